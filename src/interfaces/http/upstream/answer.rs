//! What of an upstream's answer reaches the client, besides its messages: its status, a few headers, and what it says where
//! it answers with no message. All of it is written anew.

use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::{
    error::{Code, Error, Result},
    interfaces::http::respond,
    protocol::{
        code::INTERNAL_ERROR,
        header::{PROTOCOL_VERSION, SESSION_ID},
        message,
    },
    relay::govern::Redact,
};

/// The longest id of a protocol session.
const MAX_SESSION_CHARS: usize = 1_024;
/// Characters of a page that says what is wrong.
const MAX_SAID_CHARS: usize = 500;
/// Methods that an upstream may say it allows.
const METHODS: [&str; 4] = ["DELETE", "GET", "OPTIONS", "POST"];
/// Where a browser says which page a request comes from (W3C Fetch Metadata).
const FETCH_SITE: &str = "sec-fetch-site";

/// Refuses what another site has a browser ask: a link would be enough to act as the agent of this machine. A page of an
/// origin that the operator allows names that origin, which was looked at already.
pub(super) fn same_site(headers: &HeaderMap) -> Result<()> {
    let site = headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
    let is_foreign = site.is_some_and(|site| !matches!(site, b"same-origin" | b"none"));
    if is_foreign && !headers.contains_key(header::ORIGIN) {
        let message = "a page of another site cannot ask this: an operator allows its origin with --allow-origin";
        return Err(Error::new(Code::ForbiddenOrigin, message));
    }
    Ok(())
}

/// The response, as a browser that is led here may treat it: as data that runs nowhere.
pub(super) fn confined(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    response
}

/// Why an answer cannot be passed on.
pub(super) const SECRET_SESSION: &str = "the id of the upstream's protocol session holds a secret, or is none";

/// The protocol session that an answer begins or belongs to. An error if its id cannot be passed on: with another id the
/// client would have another session.
pub(super) fn session(answer: &HeaderMap, secrets: &Redact) -> std::result::Result<Option<HeaderValue>, &'static str> {
    let Some(id) = answer.get(SESSION_ID) else { return Ok(None) };
    let is_id = |text: &&str| text.len() <= MAX_SESSION_CHARS && text.bytes().all(|byte| byte.is_ascii_graphic());
    let text = id.to_str().ok().filter(is_id).ok_or(SECRET_SESSION)?;
    if secrets.finds(text) { Err(SECRET_SESSION) } else { Ok(Some(id.clone())) }
}

/// The headers that reach the client besides.
pub(super) fn headers(answer: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let text = |name: HeaderName| answer.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let mut kept = Vec::new();
    let mut put = |name: HeaderName, value: Option<String>| {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            kept.push((name, value));
        }
    };
    put(header::RETRY_AFTER, text(header::RETRY_AFTER).and_then(retry_after));
    let allowed = text(header::ALLOW).map(|listed| {
        let listed: Vec<_> = listed.split(',').map(str::trim).filter(|method| METHODS.contains(method)).collect();
        listed.join(", ")
    });
    put(header::ALLOW, allowed);
    put(PROTOCOL_VERSION, text(PROTOCOL_VERSION).filter(|text| is_date(text)).map(str::to_owned));
    kept
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(text: &str) -> Option<String> {
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(seconds.to_string());
    }
    httpdate::parse_http_date(text).ok().map(httpdate::fmt_http_date)
}

/// Revisions of MCP are dates: 2026-07-28.
fn is_date(text: &str) -> bool {
    text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() })
}

/// The answer to a request that the upstream did not answer with a message: with its status if that says why.
pub(super) async fn no_message(status: StatusCode, body: Vec<u8>, id: Option<&str>, secrets: &Redact) -> Response {
    let said = secrets.text(body).await;
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let said: String = said.chars().take(MAX_SAID_CHARS).collect();
    let is_error = status.is_client_error() || status.is_server_error();
    let mut problem = if is_error {
        format!("the upstream answered {status}")
    } else {
        "the upstream's answer is no message of MCP".to_owned()
    };
    if is_error && !said.is_empty() {
        problem.push_str(": ");
        problem.push_str(&said);
    }
    let status = if is_error { status } else { StatusCode::BAD_GATEWAY };
    respond::json(status.as_u16(), message::error(id, INTERNAL_ERROR, &problem))
}
