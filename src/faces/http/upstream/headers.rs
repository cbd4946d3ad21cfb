//! Protocol headers: which go on, and whether they say what the body says.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::faces::{http::mcp_sessions::SESSION_ID, relay::message::FIRST_MODERN};

pub const PROTOCOL_VERSION: &str = "mcp-protocol-version";
const METHOD: &str = "mcp-method";
const NAME: &str = "mcp-name";
const PARAMETERS: &str = "mcp-param-";
/// Protocol headers that go on to the upstream; [`PARAMETERS`] besides. No other header of a client does.
const TO_UPSTREAM: [&str; 7] = ["accept", "content-type", "last-event-id", SESSION_ID, PROTOCOL_VERSION, METHOD, NAME];
/// What a client's headers are to the upstream.
pub fn for_upstream(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for (name, value) in headers {
        if TO_UPSTREAM.contains(&name.as_str()) || name.as_str().starts_with(PARAMETERS) {
            kept.append(name.clone(), value.clone());
        }
    }
    // The body is written anew, so whatever else its type said holds no longer.
    if kept.contains_key(header::CONTENT_TYPE) {
        kept.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    kept
}

/// Whether they are of the revision 2026-07-28, or a newer one.
pub fn is_modern(headers: &HeaderMap) -> bool {
    let version = headers.get(HeaderName::from_static(PROTOCOL_VERSION));
    version.is_some_and(|version| version.as_bytes() >= FIRST_MODERN.as_bytes())
}

/// The header that names another method or tool than the call: whoever goes by headers would call that.
pub fn mismatch(headers: &HeaderMap, tool: &str) -> Option<&'static str> {
    let differs = |name: &'static str, expected: &str| {
        let mut values = headers.get_all(name).iter();
        let differs = values.any(|value| said(value).as_deref() != Some(expected));
        differs.then_some(name)
    };
    differs(METHOD, "tools/call").or_else(|| differs(NAME, tool))
}

/// A header's text, which is base64 where it is no ASCII (SEP-2243).
fn said(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?.trim();
    match text.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(encoded) => String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok(),
        None => Some(text.to_owned()),
    }
}
