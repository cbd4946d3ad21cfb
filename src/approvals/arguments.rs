//! The arguments of a call: JSON that can be read in one way only.

use std::collections::BTreeSet;

use serde_json::{Value, value::RawValue};

use crate::{
    crypto,
    error::{Error, Result},
    model::{secret_placeholder, text::folded},
    verify::{hex::hex, json},
};

/// The largest details or arguments, in bytes of JSON.
pub const MAX_DETAILS_BYTES: usize = 65_536;
/// Arguments that are kept with the audit entry, in bytes; larger ones are kept as their digest.
const MAX_KEPT_BYTES: usize = 8_192;
/// Characters of a name that an error shows.
const MAX_SHOWN_CHARS: usize = 64;

/// Refuses two members of one object, at any depth, whose names differ in case only, and a name that contains a secret's
/// placeholder: a rule then reads what every reader of the call reads.
fn check_names(value: &Value) -> std::result::Result<(), String> {
    match value {
        Value::Array(items) => items.iter().try_for_each(check_names),
        Value::Object(members) => {
            let mut names = BTreeSet::new();
            for (name, member) in members {
                if secret_placeholder::has_any(name) {
                    return Err("a secret stands in a value, never in the name of a member".to_owned());
                }
                if !names.insert(folded(name)) {
                    let name: String = name.chars().take(MAX_SHOWN_CHARS).collect();
                    let message = "stands in one object twice, in different case: some readers take them for one";
                    return Err(format!("`{name}` {message}"));
                }
                check_names(member)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Arguments as they were written, and in canonical form.
#[derive(Clone, Debug)]
pub struct Arguments {
    written: String,
    canonical: String,
}

impl Arguments {
    /// Parses an object. A duplicate member is refused: a rule and a tool might read different ones.
    pub fn parse(json: &str) -> Result<Self> {
        let written = json.trim_ascii();
        if !written.starts_with('{') {
            return Err(Error::invalid("arguments", "arguments must be a JSON object"));
        }
        let canonical = json::canonical(written, "arguments")?;
        // Once escapes are decoded, so that a name is what every reader makes of it.
        let refused = |problem: String| Error::invalid("arguments", format!("arguments: {problem}"));
        let value = serde_json::from_str(&canonical).map_err(|error| {
            let said = error.to_string();
            refused(said.rsplit_once(" at line ").map_or(said.as_str(), |(problem, _)| problem).to_owned())
        })?;
        check_names(&value).map_err(refused)?;
        Ok(Self { written: written.to_owned(), canonical })
    }

    /// As they were written.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Without white space, members in order, numbers as they were written.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// BLAKE3 of the canonical form, in hexadecimal.
    pub fn digest(&self) -> String {
        hex(&crypto::digest(&[self.canonical.as_bytes()]))
    }

    /// What the log keeps of them.
    pub fn kept(&self) -> Option<Box<RawValue>> {
        let is_small = self.canonical.len() <= MAX_KEPT_BYTES;
        is_small.then(|| RawValue::from_string(self.canonical.clone()).ok()).flatten()
    }
}

/// JSON without white space, with the members of objects in order. Numbers stay as they were written: a parser that
/// made floats of them would take two large numbers for the same one.
pub fn canonical(json: &str) -> Result<String> {
    if json.len() > MAX_DETAILS_BYTES {
        let message = format!("details must have at most {MAX_DETAILS_BYTES} bytes of JSON, this has {}", json.len());
        return Err(Error::invalid("details", message));
    }
    json::canonical(json, "details")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_some_readers_take_for_one_member_is_refused_at_any_depth() {
        for twins in [
            r#"{"amount":0,"Amount":100}"#,
            r#"{"cost":0,"co\u017ft":100}"#,
            r#"{"key":0,"\u212aey":100}"#,
            r#"{"x":[{"path":"a","PATH":"b"}]}"#,
            r#"{"a":1,"\u0041":2}"#,
        ] {
            let error = Arguments::parse(twins).unwrap_err();
            assert!(error.message.contains("different case"), "{twins}: {}", error.message);
        }
        for good in [r#"{"a":1,"b":{"A":2},"c":[{"a":1},{"A":1e300}],"d":null,"e":"A","straße":1,"strasse2":-2}"#, "{}"]
        {
            assert!(Arguments::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_secret_stands_in_no_name() {
        for name in ["{{secret:a}}", "x{{secret:a}}", "\\u007b{secret:a}}"] {
            let error = Arguments::parse(&format!(r#"{{"a":{{"{name}":1}}}}"#)).unwrap_err();
            assert!(error.message.contains("never in the name"), "{name}: {}", error.message);
        }
    }
}
