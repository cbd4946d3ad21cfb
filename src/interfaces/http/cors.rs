//! Cross-origin requests of pages that an operator has allowed by name (Fetch, sections 3.2 and 4.8): their browser asks
//! first whether it may send, and keeps the answer from them unless it says that they may read it. No page is given
//! credentials of the browser's own: a key is sent as a header.

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

/// How long a browser may remember that it may send, in seconds.
const REMEMBERED: HeaderValue = HeaderValue::from_static("7200");
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, DELETE, OPTIONS");
/// Request headers that are asked for beyond this many bytes are not allowed.
const MAX_HEADERS_BYTES: usize = 2_048;
/// Headers that a client may send, where it does not ask for others.
const HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, accept, idempotency-key, last-event-id, mcp-method, mcp-name, mcp-protocol-version, \
     mcp-session-id, x-api-key, x-request-id, x-session-id",
);
/// Headers of an answer that a page may read.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "haldir-data-age, mcp-session-id, mcp-protocol-version, retry-after, www-authenticate, x-request-id, x-ratelimit-limit, \
     x-ratelimit-remaining, x-ratelimit-reset",
);

/// Whether a browser asks what it may send.
pub fn asks_first(request: &Request) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a browser that asks.
pub fn allowed(request: &Request) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let asked = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS);
    let asked = asked.filter(|names| names.len() <= MAX_HEADERS_BYTES && are_names(names)).cloned();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.unwrap_or(HEADERS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED);
    response
}

fn are_names(names: &HeaderValue) -> bool {
    names.to_str().is_ok_and(|names| names.split(',').all(|name| HeaderName::try_from(name.trim()).is_ok()))
}

/// Lets the page read the answer.
pub fn readable_by(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}
