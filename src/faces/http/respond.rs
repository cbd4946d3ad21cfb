//! Answers: JSON, with an error shape that is the same everywhere.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Uri, header};
use zeroize::Zeroizing;

use super::guard::RequestId;
use crate::{
    error::{Code, Error},
    operations::Reply,
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Bytes that are wiped from memory once they are sent.
struct Wiped(Zeroizing<String>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// JSON with a status.
pub fn json(status: u16, body: impl Into<Zeroizing<String>>) -> Response {
    let mut response = Response::new(Body::from(Bytes::from_owner(Wiped(body.into()))));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// The answer of an operation.
pub fn reply(reply: Reply) -> Response {
    let mut response = json(reply.status, reply.body);
    if let Some(remaining) = reply.remaining {
        let headers = response.headers_mut();
        headers.insert("x-ratelimit-limit", remaining.limit.into());
        headers.insert("x-ratelimit-remaining", remaining.remaining.into());
        headers.insert("x-ratelimit-reset", remaining.reset.into());
    }
    response
}

/// An error.
pub fn error(error: &Error, id: &RequestId) -> Response {
    let mut response = json(error.code.status(), error.body(Some(id.as_str())).to_string());
    decorate(&mut response, error);
    response
}

/// The headers that an error calls for (RFC 9110 sections 10.2.3 and 11.6.1).
pub fn decorate(response: &mut Response, error: &Error) {
    let headers = response.headers_mut();
    if let Some(seconds) = error.extra("retry_after").and_then(serde_json::Value::as_i64) {
        headers.insert(header::RETRY_AFTER, seconds.into());
        headers.insert("x-ratelimit-remaining", 0.into());
        if let Some(limit) = error.extra("limit").and_then(serde_json::Value::as_i64) {
            headers.insert("x-ratelimit-limit", limit.into());
        }
    } else if error.code == Code::Unavailable {
        headers.insert(header::RETRY_AFTER, 1.into());
    }
    if error.code == Code::Unauthorized {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
}

/// No such route.
pub async fn not_found(axum::Extension(id): axum::Extension<RequestId>, uri: Uri) -> Response {
    let message = format!("there is no {}; GET /v1 lists what there is", uri.path());
    error(&Error::new(Code::NotFound, message), &id)
}

/// No such method.
pub async fn method_not_allowed(axum::Extension(id): axum::Extension<RequestId>, method: Method, uri: Uri) -> Response {
    let message = format!("{} does not take {method}; GET /openapi.json says what it takes", uri.path());
    error(&Error::new(Code::MethodNotAllowed, message), &id)
}
