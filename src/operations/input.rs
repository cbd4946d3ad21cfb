//! Parsing of an operation's input from JSON. Errors name the field and the expected type.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{error::Category, value::RawValue};

use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};

/// Characters of an unknown field's name that the error shows.
const MAX_NAME_SHOWN: usize = 100;
/// The message of [`without_value`] for a float in place of an integer.
const FOUND_FLOAT: &str = "expected an integer, found floating point";

/// The end of the message for a missing field, and a part of the message for an unknown field.
const REQUIRED: &str = " is required";
const UNKNOWN: &str = ": unknown field; expected ";

/// Fields of one input that are corrected; no operation has as many.
const MAX_MENDED: usize = 8;

/// Parses an input. A whole number is an integer in every notation, as in JSON Schema: 60, 60.0 or 6e1. Null for an optional
/// field counts as absent: typed clients send it.
pub(super) fn parse<T: DeserializeOwned>(json: &str) -> Result<T> {
    let first = match parse_as_written(json) {
        Ok(input) => return Ok(input),
        Err(error) => error,
    };
    // serde takes a number with a decimal point for a float, and rejects null. Both are rare, so only inputs that fail to parse
    // pay for the correction.
    let mut mended: Option<Zeroizing<String>> = None;
    let mut error = first.clone();
    for _ in 0..MAX_MENDED {
        let text = mended.as_ref().map_or(json, |text| text.as_str());
        let Some(better) = with_integer(text, &error).or_else(|| without_null(text, &error)) else { return Err(error) };
        match parse_as_written(&better) {
            Ok(input) => return Ok(input),
            // The null was in a required field: the error is about that.
            Err(next) if next.message.ends_with(REQUIRED) && next.field == error.field => return Err(error),
            Err(next) if next.message.ends_with(REQUIRED) && next.field == first.field => return Err(first),
            Err(next) => error = next,
        }
        mended = Some(better);
    }
    Err(first)
}

/// The input without the field that `error` is about, if its value is null.
fn without_null(json: &str, error: &Error) -> Option<Zeroizing<String>> {
    let field = error.field.as_ref().filter(|_| error.code == Code::InvalidArgument)?;
    if error.message.contains(UNKNOWN) {
        return None;
    }
    let mut fields: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
    fields.remove(field).filter(|value| value.get() == "null")?;
    serde_json::to_string(&fields).ok().map(Zeroizing::new)
}

/// The input with the whole number that `error` is about in integer notation.
fn with_integer(json: &str, error: &Error) -> Option<Zeroizing<String>> {
    let field = error.field.as_ref().filter(|_| error.message.ends_with(FOUND_FLOAT))?;
    let mut number = json;
    // The error names a field of a nested object by its path: `limits.call_timeout`.
    for name in field.split('.') {
        let fields: BTreeMap<String, &RawValue> = serde_json::from_str(number).ok()?;
        number = fields.get(name)?.get();
    }
    // Up to 2^53 a float is exact, and so is its text.
    let value =
        number.parse::<f64>().ok().filter(|value| value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0)?;
    let integer = format!("{:.0}", value + 0.0); // Never -0.
    let start = (number.as_ptr() as usize).checked_sub(json.as_ptr() as usize)?;
    let (before, after) = (json.get(..start)?, json.get(start + number.len()..)?);
    (integer != number).then(|| Zeroizing::new([before, &integer, after].concat()))
}

fn parse_as_written<T: DeserializeOwned>(json: &str) -> Result<T> {
    // Tracking the path of a field has a cost, so it is done only after an error.
    serde_json::from_str(json).map_err(|first| {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
            Err(error) => explain(json, error.path().to_string(), error.inner()),
            // The value was parsed, so the error is in what follows it.
            Ok(_) => explain(json, String::new(), &first),
        }
    })
}

fn explain(json: &str, path: String, error: &serde_json::Error) -> Error {
    let text = error.to_string();
    let (message, position) = text.rsplit_once(" at line ").unwrap_or((&text, ""));
    // serde_json reports a syntax error for some valid JSON: null for an enum, a number beyond f64, a lone surrogate, arrays
    // nested too deep. These are errors of one field.
    let is_json = || serde_json::from_str::<IgnoredAny>(json).is_ok();
    if error.classify() != Category::Data && !is_json() {
        let place = if position.is_empty() { String::new() } else { format!(" (line {position})") };
        return Error::new(Code::MalformedJson, format!("the input is not valid JSON: {message}{place}"));
    }
    let in_backticks = message.split('`').nth(1).unwrap_or_default();
    if message.starts_with("missing field") {
        return Error::invalid(join(&path, in_backticks), format!("{in_backticks}{REQUIRED}"));
    }
    if message.starts_with("duplicate field") {
        return Error::invalid(join(&path, in_backticks), format!("{in_backticks} is given twice"));
    }
    if let Some(rest) = message.strip_prefix("unknown field") {
        let expected = rest.rsplit_once(", ").map_or("no fields are expected here", |(_, expected)| expected);
        // serde quotes every expected field in backticks; the unknown field comes before them.
        let expected = rest.split_once("expected").map_or(expected, |(_, list)| list.trim());
        let expected = if rest.contains("there are no fields") { "no fields" } else { expected };
        let shown: String = in_backticks.chars().take(MAX_NAME_SHOWN).collect();
        let message = format!("{shown}{UNKNOWN}{}", expected.replace('`', ""));
        let field = if path.starts_with(&shown) { shown } else { join(&path, &shown) };
        return Error::invalid(field, message);
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

/// Removes the value from a serde message, which may be a secret in the wrong field, and keeps its type.
fn without_value(message: &str) -> String {
    let kind_of = |rest: &str| rest.split(['`', '"', ',']).next().unwrap_or_default().trim().to_owned();
    for prefix in ["invalid type: ", "invalid value: "] {
        if let Some((found, expected)) = message.strip_prefix(prefix).and_then(|rest| rest.rsplit_once(", expected ")) {
            if prefix == "invalid value: " && found.starts_with("integer") && matches!(expected, "i64" | "u64") {
                return format!("expected an integer of at most {} bits", &expected[1..]);
            }
            // The names of Rust types mean nothing to a caller.
            let expected = match expected {
                "i64" | "u64" => "an integer",
                expected if expected.starts_with("struct ") => "a JSON object",
                expected => expected,
            };
            return format!("expected {}, found {}", expected.replace('`', ""), kind_of(found));
        }
    }
    if message == "expected value" {
        return "expected a value of another type".to_owned();
    }
    match message.strip_prefix("unknown variant ").and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((_, expected)) => format!("expected {}", expected.replace('`', "")),
        None => message.to_owned(),
    }
}

/// Takes `idempotency_key` out of a tool's arguments, where it is beside the operation's own fields.
pub fn take_idempotency_key(json: &str) -> Result<(String, Option<String>)> {
    const FIELD: &str = "idempotency_key";
    // Few calls have one. An escaped spelling of the name is refused later as an unknown field.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        limit: i64,
        wait: Option<u64>,
        details: Option<Box<RawValue>>,
        #[serde(default)]
        deep: bool,
    }

    #[test]
    fn a_null_is_as_good_as_none_where_the_field_may_be_left_out() {
        assert!(!parse::<Input>(r#"{"limit":1,"deep":null,"wait":null}"#).unwrap().deep);
        assert!(parse::<Input>(r#"{"limit":1.0,"deep":null}"#).is_ok());
        for (json, field) in [(r#"{"limit":null,"deep":null}"#, "limit"), (r#"{"limit":1,"other":null}"#, "other")] {
            let error = parse::<Input>(json).unwrap_err();
            assert_eq!((error.code, error.field.as_deref()), (Code::InvalidArgument, Some(field)), "{json}");
            assert!(!error.message.ends_with(REQUIRED), "{json}: {}", error.message);
        }
    }

    fn read(json: &str) -> Result<(i64, Option<u64>, String)> {
        let Input { limit, wait, details, .. } = parse(json)?;
        Ok((limit, wait, details.map_or_else(String::new, |details| details.get().to_owned())))
    }

    #[test]
    fn a_whole_number_is_an_integer_however_it_is_written() {
        for json in ["60", "60.0", "6e1", "0.6E2", "60.000"] {
            let input = format!(r#"{{"wait":{json} ,"limit":{json},"details":[1.0,"60.0"]}}"#);
            assert_eq!(read(&input).unwrap(), (60, Some(60), r#"[1.0,"60.0"]"#.to_owned()), "{json}");
        }
        assert_eq!(read(r#"{"limit":-0.0}"#).unwrap().0, 0);
        assert_eq!(read(r#"{"limit":-7.0}"#).unwrap().0, -7);
    }

    #[test]
    fn what_is_no_whole_number_is_refused_by_name() {
        for json in ["60.5", "1e-1", "1e300", "9007199254740993.0", "\"60\"", "null", "true", "[60.0]"] {
            let error = read(&format!(r#"{{"limit":{json}}}"#)).unwrap_err();
            assert_eq!((error.code, error.field.as_deref()), (Code::InvalidArgument, Some("limit")), "{json}");
        }
        assert_eq!(read(r#"{"limit":1,"wait":-1.0}"#).unwrap_err().field.as_deref(), Some("wait"));
        assert!(read(r#"{"limit":1.0,"limit":2}"#).is_err() && read(r#"{"limit":1.0,"limit":2.0}"#).is_err());
    }
}
