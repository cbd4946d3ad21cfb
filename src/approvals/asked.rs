//! What is asked, and the digest that binds an approval to exactly that.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::{
    crypto,
    error::{Error, Result},
    model::{Money, SecretName, Session},
};

/// The largest details or arguments, in bytes of JSON.
pub const MAX_DETAILS_BYTES: usize = 65_536;
/// How deep they may be nested.
const MAX_DEPTH: usize = 64;
/// Version of the digest's form.
const VERSION: u8 = 1;
/// The same where secrets stand in the details.
const WITH_SECRETS: u8 = 2;

/// What an agent would do, if it is approved.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// The session that it would be done in.
    pub session: &'a Session,
    /// The tool that would be called.
    pub tool: &'a str,
    /// What would be done.
    pub action: &'a str,
    /// What it would cost, in USD; zero where it is no payment.
    pub amount: Money,
    /// Arguments or details, as JSON text.
    pub details: Option<&'a str>,
    /// The secrets that stand in the details by name, in the versions that they have.
    pub secrets: Vec<(SecretName, i64)>,
    /// Whether it destroys or overwrites something.
    pub destructive: bool,
}

impl Asked<'_> {
    /// The BLAKE3 digest of session, tool, action, amount, details and the versions of the secrets named in them. Two that
    /// differ in any of these differ in it; white space and the order of members in the details make no difference.
    pub fn digest(&self) -> Result<[u8; 32]> {
        let details = self.details.map(canonical).transpose()?;
        let session = self.session.id.as_str();
        // As JSON: every part is quoted, so that none can be shifted into the next.
        let parts = (VERSION, session, self.tool, self.action, self.amount.to_string(), details);
        let bytes = match self.secrets.as_slice() {
            [] => serde_json::to_vec(&parts),
            secrets => serde_json::to_vec(&(WITH_SECRETS, parts, secrets)),
        };
        let bytes = bytes.map_err(Error::internal)?;
        Ok(crypto::digest(&[&bytes]))
    }
}

/// JSON without white space, with the members of objects in order. Numbers stay as they were written: a parser that
/// made floats of them would take two large numbers for the same one.
pub fn canonical(json: &str) -> Result<String> {
    if json.len() > MAX_DETAILS_BYTES {
        let message = format!("details must have at most {MAX_DETAILS_BYTES} bytes of JSON, this has {}", json.len());
        return Err(Error::invalid("details", message));
    }
    canonical_document(json)
}

/// The same of JSON that may be longer than details: whoever asks has bounded its length.
pub fn canonical_document(json: &str) -> Result<String> {
    let mut text = String::with_capacity(json.len());
    write(json.trim_ascii(), &mut text, 0)?;
    Ok(text)
}

fn write(json: &str, text: &mut String, depth: usize) -> Result<()> {
    let unreadable = |error: serde_json::Error| {
        let said = error.to_string();
        let (message, _) = said.rsplit_once(" at line ").unwrap_or((&said, ""));
        Error::invalid("details", format!("details: {message}"))
    };
    if depth > MAX_DEPTH {
        return Err(Error::invalid("details", format!("details must not be nested deeper than {MAX_DEPTH} levels")));
    }
    match json.as_bytes().first() {
        Some(b'{') => {
            let Members(members) = serde_json::from_str(json).map_err(unreadable)?;
            text.push('{');
            for (index, (name, value)) in members.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&serde_json::to_string(name).map_err(Error::internal)?);
                text.push(':');
                write(value.get(), text, depth + 1)?;
            }
            text.push('}');
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(json).map_err(unreadable)?;
            text.push('[');
            for (index, value) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(value.get(), text, depth + 1)?;
            }
            text.push(']');
        }
        Some(b'"') => {
            let string: String = serde_json::from_str(json).map_err(unreadable)?;
            text.push_str(&serde_json::to_string(&string).map_err(Error::internal)?);
        }
        Some(b'-' | b'0'..=b'9') => {
            // One that no parser can hold would reach nobody as it was asked.
            serde_json::from_str::<serde_json::Number>(json).map_err(unreadable)?;
            text.push_str(json);
        }
        _ => text.push_str(json),
    }
    Ok(())
}

/// An object's members. The same name twice is refused: a person and a tool may read different ones of them.
struct Members(BTreeMap<String, Box<RawValue>>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> std::result::Result<Members, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if members.insert(name, value).is_some() {
                        return Err(serde::de::Error::custom("a member stands in an object twice"));
                    }
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn white_space_and_order_make_no_difference_and_digits_do() {
        let one = canonical(r#" { "b" : [1, {"y": "A", "x": null}], "a": 0.10 } "#).unwrap();
        assert_eq!(one, r#"{"a":0.10,"b":[1,{"x":null,"y":"A"}]}"#);
        let large = |digit| canonical(&format!("[1000000000000000000000000{digit}]")).unwrap();
        assert_ne!(large(1), large(2));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        assert!(canonical(r#"{"to":"a","to":"b"}"#).unwrap_err().message.contains("twice"));
        assert!(canonical(r#"[{"x":1,"\u0078":2}]"#).is_err());
        let deep = format!("{}{}", "[".repeat(MAX_DEPTH + 2), "]".repeat(MAX_DEPTH + 2));
        assert!(canonical("[1e400]").is_err() && canonical("[1e300]").is_ok());
        assert!(canonical(&deep).unwrap_err().message.contains("deeper"));
    }

    proptest! {
        #[test]
        fn the_canonical_form_means_the_same_and_stays_as_it_is(
            names in proptest::collection::vec(any::<String>(), 0..5), numbers in proptest::collection::vec(any::<i64>(), 0..5)
        ) {
            let value = serde_json::json!({"names": names, "numbers": numbers, "more": {"z": names.first(), "a": true}});
            let text = canonical(&serde_json::to_string_pretty(&value).unwrap()).unwrap();
            prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&text).unwrap(), &value);
            prop_assert_eq!(&canonical(&text).unwrap(), &text);
        }
    }
}
