//! What rmcp answers, in the form that clients take.

use std::convert::Infallible;

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, combinators::BoxBody};
use serde_json::value::RawValue;

use crate::{
    interfaces::{
        http::{guard::RequestId, rpc_errors},
        mcp::exact,
    },
    protocol::{code::INVALID_REQUEST, header::PROTOCOL_VERSION, revision::NEWEST_WITH_HANDSHAKE},
    relay::elsewhere::{self, Named, UNKNOWN_SESSION},
};

/// Whether the client takes an event without data at the beginning of a stream, which names the id to go on from. Clients
/// of earlier revisions take every event for a message, and give up: some have no tools then.
pub(super) fn takes_priming(headers: &HeaderMap, asked_for: Option<&str>) -> bool {
    let said = headers.get(PROTOCOL_VERSION).and_then(|version| version.to_str().ok());
    said.or(asked_for).is_some_and(|revision| revision >= NEWEST_WITH_HANDSHAKE)
}

/// rmcp's response, with the numbers of tool results as they were written, and without events that have no data where the
/// client does not take them. rmcp writes one message, or one event, a frame.
pub(super) async fn with_exact_numbers(response: http::Response<BoxBody<Bytes, Infallible>>, primes: bool) -> Response {
    let (parts, body) = response.into_parts();
    let content_type = parts.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let body = match content_type {
        Some(b"application/json") => {
            let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            Body::from(replaced(bytes, exact::restore))
        }
        Some(b"text/event-stream") => Body::new(body.map_frame(move |frame| {
            frame.map_data(|event| {
                if !primes && is_priming(&event) { Bytes::new() } else { replaced(event, exact::restore_event) }
            })
        })),
        _ => Body::new(body),
    };
    Response::from_parts(parts, body)
}

/// Whether this is an event whose data is empty.
fn is_priming(event: &[u8]) -> bool {
    let mut lines = event.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"data"));
    let is_empty =
        |line: &[u8]| line.trim_ascii_end().strip_prefix(b"data").is_some_and(|rest| rest.is_empty() || rest == b":");
    lines.next().is_some_and(is_empty) && lines.next().is_none()
}

fn replaced(bytes: Bytes, replacement: impl Fn(&str) -> Option<String>) -> Bytes {
    std::str::from_utf8(&bytes).ok().and_then(replacement).map_or(bytes, Bytes::from)
}

/// rmcp's own refusals are plain text; here they become what errors are everywhere.
pub(super) fn readable(response: Response, request: &RequestId) -> Response {
    if response.status().as_u16() < 400 || response.headers().contains_key(header::CONTENT_TYPE) {
        return response;
    }
    match response.status() {
        // The body was JSON, so what it could not read was the message.
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            let problem = "expected a JSON-RPC 2.0 request, notification or response";
            rpc_error(StatusCode::BAD_REQUEST, None, INVALID_REQUEST, problem, request)
        }
        StatusCode::NOT_FOUND => unknown_session(request),
        status => {
            let problem = format!(
                "the request does not follow the streamable HTTP transport ({status}): see Mcp-Session-Id, \
                     MCP-Protocol-Version and Accept"
            );
            rpc_error(status, None, INVALID_REQUEST, &problem, request)
        }
    }
}

/// A session that has ended, never was, or is another key's.
pub(super) fn unknown_session(request: &RequestId) -> Response {
    elsewhere::note(Named::Session);
    rpc_error(StatusCode::NOT_FOUND, None, INVALID_REQUEST, UNKNOWN_SESSION, request)
}

/// An error of the transport, under the request's id where that was read.
pub(super) fn rpc_error(
    status: StatusCode,
    id: Option<&RawValue>,
    code: i32,
    problem: &str,
    request: &RequestId,
) -> Response {
    rpc_errors::of_transport(status, id.map(RawValue::get), code, problem, request)
}
