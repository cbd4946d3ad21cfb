//! A canonical form of JSON for digests: no white space, members of objects sorted, numbers as they were written.
//!
//! It differs from RFC 8785 in the numbers: a parser that makes doubles of them would take two large numbers for the same one.

use std::collections::BTreeMap;

use haldir_core::error::{Error, Result};
use serde_json::value::RawValue;

/// The deepest nesting.
const MAX_DEPTH: usize = 64;
/// White space between the tokens of JSON (RFC 8259, section 2); not that of `trim_ascii`, which includes the form feed.
const JSON_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// The canonical form of `json`, whose length the caller has bounded. `field` names it in errors: bad JSON, a member that an object
/// has twice, or more than 64 levels.
pub fn canonical(json: &str, field: &str) -> Result<String> {
    let mut text = String::with_capacity(json.len());
    write(json.trim_matches(JSON_SPACE), &mut text, 0, field)?;
    Ok(text)
}

fn write(json: &str, text: &mut String, depth: usize, field: &str) -> Result<()> {
    let unreadable = |error: serde_json::Error| {
        let said = error.to_string();
        let (message, _) = said.rsplit_once(" at line ").unwrap_or((&said, ""));
        Error::invalid(field, format!("{field}: {message}"))
    };
    if depth > MAX_DEPTH {
        return Err(Error::invalid(field, format!("{field} must not be nested deeper than {MAX_DEPTH} levels")));
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
                write(value.get(), text, depth + 1, field)?;
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
                write(value.get(), text, depth + 1, field)?;
            }
            text.push(']');
        }
        Some(b'"') => {
            let string: String = serde_json::from_str(json).map_err(unreadable)?;
            text.push_str(&serde_json::to_string(&string).map_err(Error::internal)?);
        }
        Some(b'-' | b'0'..=b'9') => {
            // A number beyond the range of every parser is refused.
            serde_json::from_str::<serde_json::Number>(json).map_err(unreadable)?;
            text.push_str(json);
        }
        _ if matches!(json, "true" | "false" | "null") => text.push_str(json),
        _ => return Err(Error::invalid(field, format!("{field}: expected a JSON value"))),
    }
    Ok(())
}

/// The members of an object. A repeated name is refused: two parsers may pick different values.
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

    fn canonical_details(json: &str) -> Result<String> {
        canonical(json, "details")
    }

    #[test]
    fn white_space_and_order_make_no_difference_and_digits_do() {
        let one = canonical_details(r#" { "b" : [1, {"y": "A", "x": null}], "a": 0.10 } "#).unwrap();
        assert_eq!(one, r#"{"a":0.10,"b":[1,{"x":null,"y":"A"}]}"#);
        let large = |digit| canonical_details(&format!("[1000000000000000000000000{digit}]")).unwrap();
        assert_ne!(large(1), large(2));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        assert!(canonical_details(r#"{"to":"a","to":"b"}"#).unwrap_err().message.contains("twice"));
        assert!(canonical_details(r#"[{"x":1,"\u0078":2}]"#).is_err());
        let deep = format!("{}{}", "[".repeat(MAX_DEPTH + 2), "]".repeat(MAX_DEPTH + 2));
        for no_json in ["", "\u{c}4", "x", "nul", "true false", "[1,]", "{\"a\"}"] {
            assert!(canonical_details(no_json).is_err(), "{no_json}");
        }
        assert!(canonical_details("[1e400]").is_err() && canonical_details("[1e300]").is_ok());
        assert!(canonical_details(&deep).unwrap_err().message.contains("deeper"));
    }

    proptest! {
        #[test]
        fn the_canonical_form_means_the_same_and_stays_as_it_is(
            names in proptest::collection::vec(any::<String>(), 0..5), numbers in proptest::collection::vec(any::<i64>(), 0..5)
        ) {
            let value = serde_json::json!({"names": names, "numbers": numbers, "more": {"z": names.first(), "a": true}});
            let text = canonical_details(&serde_json::to_string_pretty(&value).unwrap()).unwrap();
            prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&text).unwrap(), &value);
            prop_assert_eq!(&canonical_details(&text).unwrap(), &text);
        }
    }
}
