//! Headers of streamable HTTP (specification, Basic, Transports) and how their values are encoded (SEP-2243).

use std::collections::HashMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::Value;

/// The protocol session.
pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// The revision of a request.
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The method of a request.
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// The tool, prompt or resource that a request names.
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// The event after which a stream is resumed.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// The prefix of the protocol's own headers.
pub const PREFIX: &str = "mcp-";
/// The prefix of headers that mirror an argument of a call.
pub const PARAMETER_PREFIX: &str = "mcp-param-";
/// The member of a property's schema that names the header, behind [`PARAMETER_PREFIX`], which mirrors the argument.
pub const MIRRORED: &str = "x-mcp-header";

/// Media type of messages.
pub const JSON: &str = "application/json";
/// Media type of event streams.
pub const EVENT_STREAM: &str = "text/event-stream";
/// What a client of streamable HTTP accepts.
pub const ACCEPT_BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// A text as a header value: base64 unless it is plain ASCII.
pub fn encoded(text: &str) -> String {
    let is_plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && text.trim() == text;
    if is_plain && !text.starts_with("=?base64?") {
        text.to_owned()
    } else {
        format!("=?base64?{}?=", BASE64_STANDARD.encode(text))
    }
}

/// The text of a header value; `None` if it is not encoded as [`encoded`] does.
pub fn decoded(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?.trim();
    match text.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(encoded) => String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok(),
        None => Some(text.to_owned()),
    }
}

/// The headers that mirror arguments, by the definition of the tool; both are JSON text. A header that two arguments claim has
/// no value.
pub fn mirrored(definition: &str, arguments: &str) -> HashMap<String, Option<String>> {
    fn collect(schema: &Value, value: &Value, all: &mut HashMap<String, Option<String>>) {
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            let value = &value[name];
            if let Some(header) = schema[MIRRORED].as_str() {
                let text = match value {
                    Value::String(text) => Some(text.clone()),
                    Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
                    _ => None,
                };
                let name = format!("{PARAMETER_PREFIX}{}", header.to_ascii_lowercase());
                all.entry(name).and_modify(|other| *other = None).or_insert(text);
            }
            collect(schema, value, all);
        }
    }
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let mut all = HashMap::new();
    collect(&read(definition)["inputSchema"], &read(arguments), &mut all);
    all
}

/// Whether these headers state a media type, whatever its parameters.
pub fn is_kind(headers: &HeaderMap, kind: &str) -> bool {
    let stated = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    stated.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(kind)
}

/// Whether a client takes an event stream as an answer.
pub fn accepts_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.into_iter().any(|value| value.contains(EVENT_STREAM) || value.contains("*/*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_back_from_a_header_as_it_was() {
        for text in ["search", "a b", " a", "ä", "=?base64?YQ==?=", ""] {
            let value = HeaderValue::from_str(&encoded(text)).unwrap();
            assert_eq!(decoded(&value).as_deref(), Some(text));
        }
        assert_eq!(decoded(&HeaderValue::from_static("=?base64?%?=")), None);
    }

    #[test]
    fn a_media_type_is_read_without_its_parameters() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("Text/Event-Stream; charset=utf-8"));
        assert!(is_kind(&headers, EVENT_STREAM) && !is_kind(&headers, JSON));
    }
}
