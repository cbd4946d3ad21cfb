//! From flags and JSON to an operation's input. It stays text, so that no number is rounded.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{
    super::stdin::StandardInput,
    field::{Field, push_member},
};
use crate::error::{Code, Error, Result};

/// The JSON object of the fields that were given, behind those of `--json-input`.
pub fn build(
    given: &[(Field, Vec<String>)],
    json_input: Option<&str>,
    stdin: &mut StandardInput,
) -> Result<Zeroizing<String>> {
    let base = json_input.map(|text| stdin.value("json-input", text)).transpose()?;
    let names = base.as_ref().map(|text| names(text)).transpose()?.unwrap_or_default();
    let mut fields = Zeroizing::new(String::new());
    for (field, values) in given {
        if names.contains_key(&field.name) {
            let message = format!("{} stands both in --json-input and as --{}: give it once", field.name, field.flag);
            return Err(Error::invalid(&field.name, message));
        }
        push_member(&mut fields, &field.name, &value(field, values, stdin)?);
    }
    let mut input = Zeroizing::new(String::new());
    match &base {
        // The object stays as it came, with its closing brace behind the flags. `names` proved that it is one.
        Some(text) => {
            let open = text.trim();
            let separator = if names.is_empty() || fields.is_empty() { "" } else { "," };
            input.extend([open.strip_suffix('}').unwrap_or(open), separator, &fields, "}"]);
        }
        None => input.extend(["{", &fields, "}"]),
    }
    Ok(input)
}

/// The names of an object's fields.
fn names(text: &str) -> Result<BTreeMap<String, &RawValue>> {
    serde_json::from_str(text).map_err(|error| {
        let reason = match error.classify() {
            // The value may be a secret: the error does not repeat it.
            serde_json::error::Category::Data => "it is another JSON value".to_owned(),
            _ => error.to_string(),
        };
        Error::new(Code::MalformedJson, format!("--json-input: expected a JSON object: {reason}")).field("json-input")
    })
}

fn value(field: &Field, values: &[String], stdin: &mut StandardInput) -> Result<Zeroizing<String>> {
    let mut given = Zeroizing::new(String::new());
    for (place, text) in values.iter().enumerate() {
        // Only lists are given several times.
        given.extend([if place == 0 { "" } else { "," }, stdin.value(&field.flag, text)?.as_str()]);
    }
    let expected = |expected| Error::invalid(&field.name, format!("--{}: expected {expected}", field.flag));
    field.json(&given).map(Zeroizing::new).map_err(expected)
}
