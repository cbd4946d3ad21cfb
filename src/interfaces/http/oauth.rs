//! Where clients look for an authorization server once they were answered with 401. There is none: they are told to send a
//! key, since they show their user what they find here.

use axum::{Extension, Router, response::Response, routing::any};
use serde_json::json;

use super::{App, guard::RequestId, respond};
use crate::error::{Code, Error};

/// What clients ask (RFC 8414, RFC 9728, RFC 7591, and what `OpenID` calls discovery).
const PATHS: [&str; 10] = [
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-authorization-server/{*resource}",
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/{*resource}",
    "/.well-known/openid-configuration",
    "/.well-known/openid-configuration/{*resource}",
    "/mcp/.well-known/openid-configuration",
    "/register",
    "/authorize",
    "/token",
];

const MESSAGE: &str = "haldir does not use OAuth: send an API key as the header `Authorization: Bearer hld_…`. An operator \
                       makes one with `haldir keys create` or POST /v1/keys";

/// The routes.
pub fn routes() -> Router<App> {
    PATHS.iter().fold(Router::new(), |router, path| router.route(path, any(none)))
}

async fn none(Extension(id): Extension<RequestId>) -> Response {
    // As RFC 6749 has it, for clients that show what it says.
    let error = Error::new(Code::NotFound, MESSAGE).with("error_description", json!(MESSAGE));
    respond::error(&error, &id)
}
