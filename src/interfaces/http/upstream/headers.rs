//! Protocol headers: which go on, and whether they say what the body says.

use std::collections::HashMap;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::protocol::{
    header::{JSON, LAST_EVENT_ID, METHOD, NAME, PARAMETER_PREFIX, PROTOCOL_VERSION, SESSION_ID, decoded, encoded},
    revision::is_without_handshake,
};

/// Headers of a client that are forwarded to the upstream, besides those with [`PARAMETER_PREFIX`]. No other is.
const TO_UPSTREAM: [HeaderName; 7] =
    [header::ACCEPT, header::CONTENT_TYPE, LAST_EVENT_ID, SESSION_ID, PROTOCOL_VERSION, METHOD, NAME];
/// What a client's headers are to the upstream.
pub fn for_upstream(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for (name, value) in headers {
        if TO_UPSTREAM.contains(name) || name.as_str().starts_with(PARAMETER_PREFIX) {
            kept.append(name.clone(), value.clone());
        }
    }
    // The body is written anew, so whatever else its type said holds no longer.
    if kept.contains_key(header::CONTENT_TYPE) {
        kept.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    }
    kept
}

/// Whether they are of the revision 2026-07-28, or a newer one.
pub fn is_modern(headers: &HeaderMap) -> bool {
    let version = headers.get(PROTOCOL_VERSION).and_then(|version| version.to_str().ok());
    version.is_some_and(is_without_handshake)
}

/// The header that names another method than the message, or another tool than the call that it is: a reader of
/// headers would take it for that.
pub fn mismatch(headers: &HeaderMap, method: Option<&str>, tool: Option<&str>) -> Option<HeaderName> {
    let differs = |name: HeaderName, expected: Option<&str>| {
        let mut values = headers.get_all(&name).iter();
        let differs = values.any(|value| decoded(value).as_deref() != expected);
        differs.then_some(name)
    };
    differs(METHOD, method).or_else(|| tool.and_then(|tool| differs(NAME, Some(tool))))
}

/// Whether any of them mirrors an argument.
pub fn mirror(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with(PARAMETER_PREFIX))
}

/// The header that says something else than the argument that it mirrors, or mirrors none.
pub fn unlike(headers: &HeaderMap, mirrored: &HashMap<String, Option<String>>) -> Option<String> {
    let unlike = |name: &&HeaderName| {
        let expected = mirrored.get(name.as_str()).and_then(Option::as_ref);
        let mut values = headers.get_all(*name).iter();
        let value = values.next().and_then(decoded);
        expected.is_none() || value.as_ref() != expected || values.next().is_some()
    };
    headers.keys().filter(|name| name.as_str().starts_with(PARAMETER_PREFIX)).find(unlike).map(ToString::to_string)
}

/// The headers, of which those that mirror arguments say this.
pub fn mirroring(headers: &HeaderMap, mirrored: &HashMap<String, Option<String>>) -> HeaderMap {
    let mut kept = headers.clone();
    for name in headers.keys().filter(|name| name.as_str().starts_with(PARAMETER_PREFIX)) {
        let said = mirrored.get(name.as_str()).and_then(Option::as_ref);
        match said.and_then(|text| HeaderValue::from_str(&encoded(text)).ok()) {
            Some(value) => drop(kept.insert(name.clone(), value)),
            None => drop(kept.remove(name)),
        }
    }
    kept
}
