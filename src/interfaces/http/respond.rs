//! Responses: JSON, with one shape of error everywhere.

use std::time::Duration;

use axum::{body::Body, extract::State, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use zeroize::Zeroizing;

use super::{App, guard::RequestId, input, rpc_errors};
use crate::{
    error::{Code, Error, Result},
    operations::{RateLimitStatus, Reply, Streamed},
};

/// How old the data of a response is, in seconds, where a replica of the database has answered.
pub const DATA_AGE: HeaderName = HeaderName::from_static("haldir-data-age");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Bytes that are zeroized once they are sent.
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

/// Plain text.
pub fn text(body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, TEXT);
    response
}

/// The response of an operation.
pub fn reply(reply: Reply) -> Response {
    if reply.status == StatusCode::NO_CONTENT.as_u16() {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        return response;
    }
    let mut response = json(reply.status, reply.body);
    say_age(response.headers_mut(), reply.data_age);
    response
}

fn say_age(headers: &mut HeaderMap, age: Option<Duration>) {
    let seconds = age.and_then(|age| HeaderValue::from_str(&format!("{:.3}", age.as_secs_f64())).ok());
    if let Some(seconds) = seconds {
        headers.insert(DATA_AGE, seconds);
    }
}

/// The age that such a header says.
pub fn said_age(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(DATA_AGE)?.to_str().ok()?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Lines of JSON.
pub const NDJSON: &str = "application/x-ndjson";
/// Their type for clients that accept only text.
pub const PLAIN_TEXT: &str = "text/plain";

/// Whether a client accepts text, but no type of JSON lines.
pub fn accepts_text_alone(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let kinds = accepted.flat_map(|value| value.split(',')).map(|kind| kind.split(';').next().unwrap_or("").trim());
    let (mut text, mut lines) = (false, false);
    for kind in kinds {
        text |= kind.eq_ignore_ascii_case(PLAIN_TEXT) || kind.eq_ignore_ascii_case("text/*");
        lines |= [NDJSON, "application/*", "*/*"].iter().any(|known| kind.eq_ignore_ascii_case(known));
    }
    text && !lines
}

/// The streamed response of an operation.
pub fn streamed(status: u16, streamed: Streamed, as_text: bool) -> Result<Response> {
    let Streamed { head, pieces } = streamed;
    let pieces = futures::stream::unfold(pieces, |mut pieces| async { Some((pieces.next().await?, pieces)) });
    let mut response = Response::new(Body::from_stream(pieces));
    *response.status_mut() = StatusCode::from_u16(status).map_err(Error::internal)?;
    let headers = response.headers_mut();
    let is_lines = head.content_type.split(';').next() == Some(NDJSON);
    let kind = if as_text && is_lines { TEXT } else { HeaderValue::from_static(head.content_type) };
    headers.insert(header::CONTENT_TYPE, kind);
    for (name, value) in head.headers {
        let value = HeaderValue::from_str(&value).map_err(Error::internal)?;
        headers.insert(HeaderName::from_static(name), value);
    }
    say_age(headers, head.data_age);
    Ok(response)
}

/// What the caller's key has left of the hour.
pub fn limits(response: &mut Response, remaining: Option<RateLimitStatus>) {
    let Some(remaining) = remaining else { return };
    let headers = response.headers_mut();
    headers.insert("x-ratelimit-limit", remaining.limit.into());
    headers.insert("x-ratelimit-remaining", remaining.remaining.into());
    headers.insert("x-ratelimit-reset", remaining.reset.into());
}

/// An error.
pub fn error(error: &Error, id: &RequestId) -> Response {
    let mut response = json(error.code.status(), error.body(Some(id.as_str())));
    decorate(&mut response, error);
    response
}

/// The headers that an error calls for (RFC 9110 sections 10.2.3 and 11.6.1).
pub fn decorate(response: &mut Response, error: &Error) {
    let headers = response.headers_mut();
    let number = |name: &str| error.extra(name)?.get().parse::<i64>().ok();
    if let Some(seconds) = number("retry_after") {
        headers.insert(header::RETRY_AFTER, seconds.into());
        headers.insert("x-ratelimit-remaining", 0.into());
        if let Some(limit) = number("limit") {
            headers.insert("x-ratelimit-limit", limit.into());
        }
        if let Some(reset) = number("reset") {
            headers.insert("x-ratelimit-reset", reset.into());
        }
    } else if error.code == Code::Unavailable {
        headers.insert(header::RETRY_AFTER, 1.into());
    }
    if error.code == Code::Unauthorized {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
}

/// No such route.
pub async fn not_found(
    State(app): State<App>,
    axum::Extension(id): axum::Extension<RequestId>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let message = format!("there is no {}; GET /v1 lists what there is", uri.path());
    counted(&app, &headers, error(&Error::new(Code::NotFound, message), &id)).await
}

/// No such method.
pub async fn method_not_allowed(
    State(app): State<App>,
    axum::Extension(id): axum::Extension<RequestId>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let message = format!("{} does not take {method}; GET /openapi.json says what it takes", uri.path());
    let error = Error::new(Code::MethodNotAllowed, message);
    counted(&app, &headers, rpc_errors::form_at(uri.path())(&error, &id)).await
}

/// Counts a call of a missing route against a known key's hourly limit, and reports the rest.
async fn counted(app: &App, headers: &HeaderMap, mut response: Response) -> Response {
    limits(&mut response, app.shared.haldir.count_call(&input::credential(headers)).await);
    response
}
