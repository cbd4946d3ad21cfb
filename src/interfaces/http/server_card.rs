//! Discovery of the MCP server by SEP-2127: a server card beside the endpoint, and a catalog that leads to it. Both are
//! public, the same for everybody, and read by pages of any origin.

use axum::{extract::State, response::Response};
use http::{HeaderName, HeaderValue, header};
use rmcp::model::ProtocolVersion;
use serde_json::{Value, json};

use super::{App, respond};
use crate::operations::proxied::RESERVED_NAME;

/// The server, by reverse DNS.
const SERVER: &str = "io.haldir/haldir";
const SCHEMA: &str = "https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json";
const CARD: HeaderValue = HeaderValue::from_static("application/mcp-server-card+json");
const CATALOG: HeaderValue = HeaderValue::from_static("application/ai-catalog+json");

/// The card of a server at `public_url`. What is on it is for connecting alone: tools are listed over the protocol.
pub fn card(public_url: &str, summary: &str) -> Value {
    let versions: Vec<_> = ProtocolVersion::KNOWN_VERSIONS.iter().map(ProtocolVersion::as_str).collect();
    json!({
        "$schema": SCHEMA,
        "name": SERVER,
        "title": "haldir",
        "version": env!("CARGO_PKG_VERSION"),
        "description": summary,
        "remotes": [{
            "type": "streamable-http",
            "url": format!("{public_url}/mcp"),
            "headers": [{
                "name": "Authorization",
                "description": "`Bearer ` and an API key, which an operator makes",
                "placeholder": "Bearer hld_…",
                "isRequired": true,
                "isSecret": true,
            }],
            "supportedProtocolVersions": versions,
        }],
    })
}

/// The catalog of a server at `public_url`.
pub fn catalog(public_url: &str, summary: &str) -> Value {
    let host = public_url.split_once("://").map_or(public_url, |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    json!({
        "specVersion": "1.0",
        "host": {"displayName": "haldir"},
        "entries": [{
            "identifier": format!("urn:air:{host}:mcp:haldir"),
            "displayName": "haldir",
            "description": summary,
            "version": env!("CARGO_PKG_VERSION"),
            "type": "application/mcp-server-card+json",
            "url": format!("{public_url}/mcp/{RESERVED_NAME}"),
        }],
    })
}

/// `GET /mcp/server-card`.
pub async fn serve_card(State(app): State<App>) -> Response {
    public(app.shared.discovery.server_card(), CARD)
}

/// `GET /.well-known/ai-catalog.json`.
pub async fn serve_catalog(State(app): State<App>) -> Response {
    public(app.shared.discovery.catalog(), CATALOG)
}

/// What everybody may read, and keep for an hour.
pub fn public(body: &str, kind: HeaderValue) -> Response {
    let mut response = respond::json(200, body.to_owned());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    for (name, value) in [
        (header::CACHE_CONTROL, "public, max-age=3600"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type"),
    ] as [(HeaderName, &'static str); 4]
    {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
