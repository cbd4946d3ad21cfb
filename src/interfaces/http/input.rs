//! From an HTTP request to an operation's JSON input and its caller's credential.

use std::{borrow::Cow, collections::BTreeMap};

use axum::{body::Body, extract::Request};
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use percent_encoding::percent_decode_str;
use serde_json::{Value, value::RawValue};
use zeroize::Zeroizing;

use super::{BODY_TIMEOUT, body_budget::Payer};
use crate::{
    error::{Code, Error, Result},
    interfaces::cli::field::push_member,
    model::{Credential, text::without_halves},
    operations::Operation,
};

/// A body up to this many bytes is read before the key is checked. The operation checks it anyway, and a second check would cost
/// a small call more than reading its body.
const SMALL_BODY_BYTES: usize = 16 * 1024;
/// Characters of a field's name that an error repeats.
const MAX_NAME_SHOWN: usize = 100;

/// Whether the request announces a small body.
pub fn has_small_body(request: &Request<Body>) -> bool {
    announced_length(request).is_some_and(|length| length <= SMALL_BODY_BYTES as u64)
}

fn announced_length(request: &Request<Body>) -> Option<u64> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads a small body, of a client without a key or before its key is checked: many such bodies take little memory.
pub async fn small_body(request: Request<Body>, payer: Payer<'_>) -> Result<Bytes> {
    body_within(request, SMALL_BODY_BYTES, payer).await
}

/// Reads a body of at most `most` bytes, within a time limit. Its bytes are charged to `payer` until it is complete.
pub async fn body_within(request: Request<Body>, most: usize, payer: Payer<'_>) -> Result<Bytes> {
    let announced = announced_length(&request);
    if announced.is_some_and(|length| length > most as u64) {
        return Err(too_large(most));
    }
    let announced = announced.and_then(|length| usize::try_from(length).ok());
    let received = received(request.into_body(), most, announced, payer);
    tokio::time::timeout(BODY_TIMEOUT, received).await.unwrap_or_else(|_| {
        let message = format!("the request body did not arrive within {} s", BODY_TIMEOUT.as_secs());
        Err(Error::new(Code::RequestTimeout, message))
    })
}

fn too_large(most: usize) -> Error {
    let without_key = if most == SMALL_BODY_BYTES { " without an API key" } else { "" };
    let message = format!("a request body{without_key} has at most {most} bytes");
    Error::new(Code::PayloadTooLarge, message).with("max_bytes", most)
}

/// The body in one piece. Pieces are copied into one buffer as they arrive: a list of many small ones would take many times
/// their size.
async fn received(mut body: Body, most: usize, announced: Option<usize>, payer: Payer<'_>) -> Result<Bytes> {
    let broke_off = |_| Error::new(Code::MalformedJson, "the request body broke off");
    let largest = announced.map_or(most, |announced| announced.min(most));
    let is_small = largest <= SMALL_BODY_BYTES;
    let mut charge = payer.charge();
    let mut held = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(broke_off)?.into_data() else { continue };
        let length = held.len().saturating_add(piece.len());
        if length > most {
            return Err(too_large(most));
        }
        if held.is_empty() && body.is_end_stream() {
            return Ok(piece);
        }
        if length > held.capacity() {
            let capacity = held.capacity().saturating_mul(2).min(largest).max(length);
            charge.hold(capacity - held.capacity(), is_small, || payer.caller())?;
            held.reserve_exact(capacity - held.len());
        }
        held.extend_from_slice(&piece);
    }
    Ok(held.into())
}

/// JSON for an upstream without unpaired surrogates, so that the upstream reads exactly what the policies judged.
pub fn whole(body: Bytes) -> Bytes {
    match without_halves(&body) {
        Cow::Borrowed(_) => body,
        Cow::Owned(whole) => whole.into(),
    }
}

/// The key in `Authorization`, with or without `Bearer`.
fn bearer(value: &str) -> &str {
    match value.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim(),
        _ => value.trim(),
    }
}

/// Whether two headers carry different keys.
pub fn names_two_keys(headers: &HeaderMap) -> bool {
    let (Some(authorization), Some(key)) = (headers.get(header::AUTHORIZATION), headers.get("x-api-key")) else {
        return false;
    };
    match (authorization.to_str(), key.to_str()) {
        (Ok(authorization), Ok(key)) => bearer(authorization) != key.trim(),
        _ => true,
    }
}

/// The credential in these headers: `Authorization: Bearer hld_…`, the same without `Bearer`, or `X-API-Key`.
pub fn credential(headers: &HeaderMap) -> Credential {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (text("authorization"), text("x-api-key")) {
        (Some(value), _) => Credential::ApiKey(Zeroizing::new(bearer(value).to_owned())),
        (None, Some(key)) => Credential::ApiKey(Zeroizing::new(key.trim().to_owned())),
        // A header that is not text is a wrong key, not a missing one.
        (None, None) if headers.contains_key("authorization") || headers.contains_key("x-api-key") => {
            Credential::ApiKey(Zeroizing::default())
        }
        (None, None) => Credential::Anonymous,
    }
}

/// How the text of path and query becomes JSON, by field, from the operation's schema.
pub struct Fields(Vec<(String, Kind)>);

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Number,
    Boolean,
    Other,
}

impl Fields {
    /// The fields of an operation's input.
    pub fn of(operation: &Operation) -> Self {
        let schema = operation.input_schema().to_value();
        let properties = schema["properties"].as_object().into_iter().flatten();
        Self(properties.map(|(name, schema)| (name.clone(), kind(schema))).collect())
    }

    /// Whether there is a field of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// The fields of path, header and query as a JSON object. A field that is given twice must have the same value.
    pub fn object(&self, given: Vec<(String, String)>) -> Result<Given> {
        let mut fields: Vec<(String, String)> = Vec::with_capacity(given.len());
        for (name, value) in given {
            let value = self.literal(&name, &value);
            match fields.iter().find(|(known, _)| *known == name) {
                None => fields.push((name, value)),
                Some((_, other)) if *other == value => {}
                Some(_) => return Err(given_twice(&name)),
            }
        }
        Ok(Given(fields))
    }

    fn literal(&self, name: &str, value: &str) -> String {
        let kind = self.0.iter().find(|(known, _)| known == name).map_or(Kind::Text, |(_, kind)| *kind);
        let is_number = || serde_json::from_str::<serde_json::Number>(value).is_ok();
        let is_literal = match kind {
            Kind::Number => is_number(),
            Kind::Boolean => matches!(value, "true" | "false"),
            Kind::Text | Kind::Other => false,
        };
        // Text that is no number stays a string; the operation reports the expected type.
        if is_literal { value.to_owned() } else { Value::from(value).to_string() }
    }
}

/// Fields from outside the body: their names, and their values as JSON text.
pub struct Given(Vec<(String, String)>);

impl Given {
    /// As a JSON object.
    pub fn into_text(self) -> String {
        self.open() + "}"
    }

    /// As a JSON object without its closing brace.
    fn open(&self) -> String {
        let mut object = String::from("{");
        for (name, value) in &self.0 {
            push_member(&mut object, name, value);
        }
        object
    }

    /// Without the fields that the body repeats; a different value is an error.
    fn without(mut self, body: &str) -> Result<Self> {
        // Few bodies repeat a field of the path: search for its name before parsing the body. A name may be written with escapes.
        let may_repeat = !self.0.is_empty()
            && (body.contains("\\u")
                || self.0.iter().any(|(name, _)| body.contains(&Value::from(name.as_str()).to_string())));
        let Some(said) = may_repeat.then(|| serde_json::from_str::<BTreeMap<String, &RawValue>>(body).ok()).flatten()
        else {
            return Ok(self);
        };
        let same = |one: &str, other: &str| {
            let [one, other] = [one, other].map(|text| serde_json::from_str::<Value>(text).ok());
            one.is_some() && one == other
        };
        for (name, value) in &self.0 {
            if said.get(name).is_some_and(|other| !same(value, other.get())) {
                return Err(given_twice(name));
            }
        }
        self.0.retain(|(name, _)| !said.contains_key(name));
        Ok(self)
    }
}

fn given_twice(name: &str) -> Error {
    let shown: String = name.chars().take(MAX_NAME_SHOWN).collect();
    let message =
        format!("{shown} was given twice with different values, in the path, the query, a header or the body");
    Error::invalid(shown, message)
}

fn kind(schema: &Value) -> Kind {
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        Value::String(one) => vec![one.as_str()],
        _ => Vec::new(),
    };
    let any = schema["anyOf"].as_array().into_iter().flatten().map(kind).find(|kind| *kind != Kind::Other);
    if types.iter().any(|name| matches!(*name, "integer" | "number")) {
        Kind::Number
    } else if types.contains(&"boolean") {
        Kind::Boolean
    } else if types.contains(&"string") {
        Kind::Text
    } else {
        any.unwrap_or(Kind::Other)
    }
}

/// The query's fields, decoded (`application/x-www-form-urlencoded`, as browsers and clients write it).
pub fn query(text: &str) -> Result<Vec<(String, String)>> {
    let decode = |part: &str| {
        let spaced = part.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8().map(String::from)
    };
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect::<Result<_, std::str::Utf8Error>>()
        .map_err(|_| Error::new(Code::InvalidArgument, "the query is not UTF-8"))
}

/// Merges the fields of path and query in front of the body's: as text, so that numbers keep their digits.
pub fn merge(given: Given, body: &[u8]) -> Result<String> {
    if body.is_empty() {
        return Ok(given.into_text());
    }
    let text =
        std::str::from_utf8(body).map_err(|_| Error::new(Code::MalformedJson, "the request body is not UTF-8"))?;
    // JSON's white space (RFC 8259, section 2) only. White space alone is not JSON.
    let text = text.trim_matches([' ', '\t', '\n', '\r']);
    let Some(rest) = text.strip_prefix('{') else {
        // Parsed first, so that text that is not JSON is reported as such.
        serde_json::from_str::<serde::de::IgnoredAny>(text)
            .map_err(|error| Error::new(Code::MalformedJson, format!("the request body is no JSON: {error}")))?;
        return Err(Error::new(Code::InvalidArgument, "the request body must be a JSON object"));
    };
    let given = given.without(text)?;
    if given.0.is_empty() {
        return Ok(text.to_owned());
    }
    let separator = if rest.trim_start().starts_with('}') { "" } else { "," };
    Ok(given.open() + separator + rest)
}

/// A body is JSON even without a content type; another content type is refused. A form has another one, which any page may send
/// without a preflight.
pub fn check_content_type(headers: &HeaderMap) -> Result<()> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    Err(Error::new(Code::UnsupportedMediaType, "send JSON, with Content-Type: application/json"))
}

#[cfg(test)]
mod tests;
