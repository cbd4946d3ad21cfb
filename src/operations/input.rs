//! From JSON to an operation's input, with an error that names the field and what it should be.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{error::Category, value::RawValue};

use crate::error::{Code, Error, Result};

/// Reads an input.
pub(super) fn parse<T: DeserializeOwned>(json: &str) -> Result<T> {
    // The path of a bad field costs a little to follow, so it is followed only when there is one.
    serde_json::from_str(json).or_else(|first| {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
            Err(error) => Err(explain(error.path().to_string(), error.inner())),
            // The value was read, so what came behind it is at fault.
            Ok(_) => Err(explain(String::new(), &first)),
        }
    })
}

fn explain(path: String, error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let (message, position) = text.rsplit_once(" at line ").unwrap_or((&text, ""));
    if error.classify() != Category::Data {
        let place = if position.is_empty() { String::new() } else { format!(" (line {position})") };
        return Error::new(Code::MalformedJson, format!("the input is no JSON that can be read: {message}{place}"));
    }
    let in_backticks = message.split('`').nth(1).unwrap_or_default();
    if message.starts_with("missing field") {
        return Error::invalid(join(&path, in_backticks), format!("{in_backticks} is required"));
    }
    if let Some(rest) = message.strip_prefix("unknown field") {
        let expected = rest.rsplit_once(", ").map_or("no fields are expected here", |(_, expected)| expected);
        // serde writes every expected field in backticks; what stands before them is the unknown one.
        let expected = rest.split_once("expected").map_or(expected, |(_, list)| list.trim());
        return Error::invalid(in_backticks, format!("unknown field; expected {}", expected.replace('`', "")));
    }
    let field = if path == "." { String::new() } else { path };
    let message = without_value(message);
    let message = if field.is_empty() { message } else { format!("{field}: {message}") };
    let error = Error::new(Code::InvalidArgument, message);
    if field.is_empty() { error } else { error.field(field) }
}

fn join(path: &str, field: &str) -> String {
    match path {
        "." | "" => field.to_owned(),
        path if path.ends_with(field) => path.to_owned(),
        path => format!("{path}.{field}"),
    }
}

/// serde quotes the offending value, which may be a secret in the wrong place: only its type is kept.
fn without_value(message: &str) -> String {
    let kind_of = |rest: &str| rest.split(['`', '"', ',']).next().unwrap_or_default().trim().to_owned();
    for prefix in ["invalid type: ", "invalid value: "] {
        if let Some((found, expected)) = message.strip_prefix(prefix).and_then(|rest| rest.rsplit_once(", expected ")) {
            // The names of our types say nothing to a caller.
            let expected = match expected {
                "i64" | "u64" => "an integer",
                expected if expected.starts_with("struct ") => "a JSON object",
                expected => expected,
            };
            return format!("expected {}, found {}", expected.replace('`', ""), kind_of(found));
        }
    }
    match message.strip_prefix("unknown variant ").and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((_, expected)) => format!("expected {}", expected.replace('`', "")),
        None => message.to_owned(),
    }
}

/// Takes `idempotency_key` out of a tool's arguments, where it stands beside the operation's own fields.
pub fn take_idempotency_key(json: &str) -> Result<(String, Option<String>)> {
    const FIELD: &str = "idempotency_key";
    // Nearly no call has one; an escaped spelling of the name is refused later as an unknown field.
    if !json.contains(FIELD) {
        return Ok((json.to_owned(), None));
    }
    let mut fields: BTreeMap<String, Box<RawValue>> = parse(json)?;
    let key = fields.remove(FIELD).filter(|key| key.get() != "null");
    let key: Option<String> = key
        .map(|key| serde_json::from_str(key.get()))
        .transpose()
        .map_err(|_| Error::invalid(FIELD, "idempotency_key: expected a string"))?;
    Ok((serde_json::to_string(&fields).map_err(Error::internal)?, key))
}
