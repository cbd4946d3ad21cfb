//! Cursors: the end of a page, from which the caller continues. Their form is checked while a request is parsed.

use schemars::json_schema;
use serde::{Deserialize, Deserializer, de::Error};

use super::UnixMicros;

/// Declares a cursor: a text of one form, parsed into the parameters of a query.
macro_rules! cursor {
    ($(#[$doc:meta])* $name:ident($($field:ty),+), $pattern:literal, $read:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name($(pub $field),+);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let read: fn(&str) -> Option<Self> = $read;
                read(&String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom($expected))
            }
        }

        inline_schema!($name, stringify!($name), |_| json_schema!({"type": "string", "pattern": $pattern}));
    };
}

cursor!(
    /// A place in a list that is ordered by time: the time, a dot, and the id of the row.
    TimeCursor(UnixMicros, String), r"^[0-9]{1,16}\.[A-Za-z0-9_-]{1,128}$",
    |text| {
        let (at, id) = text.split_once('.')?;
        let is_id = (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
        Some(Self(UnixMicros(digits(at, 16)?), id.to_owned())).filter(|_| is_id)
    },
    "must be the next_cursor of an earlier answer");
cursor!(
    /// A place in the audit log: a sequence number.
    SeqCursor(i64), "^[1-9][0-9]{0,17}$",
    |text| Some(Self(number(text)?)),
    "must be the next_cursor of an earlier answer");
cursor!(
    /// A place among the attempts to deliver events: a `delivery_id`.
    DeliveryCursor(i64), "^dlv_[1-9][0-9]{0,17}$",
    |text| Some(Self(number(text.strip_prefix("dlv_")?)?)),
    "must be a delivery_id of an earlier answer");

/// A number above zero, of at most 18 digits.
fn number(text: &str) -> Option<i64> {
    digits(text, 18).filter(|_| !text.starts_with('0'))
}

/// Digits only: a number parser would accept a sign too.
fn digits(text: &str, max: usize) -> Option<i64> {
    let valid = (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| valid)
}

#[cfg(test)]
mod tests {
    use schemars::{JsonSchema, SchemaGenerator};
    use serde_json::json;

    use super::*;

    /// Whether a text is read, and whether its schema says the same.
    fn is_read<T: for<'de> Deserialize<'de> + JsonSchema>(text: &str) -> bool {
        let schema = T::json_schema(&mut SchemaGenerator::default()).to_value();
        let read = serde_json::from_value::<T>(json!(text)).is_ok();
        assert_eq!(jsonschema::draft202012::new(&schema).unwrap().is_valid(&json!(text)), read, "{text:?}");
        read
    }

    #[test]
    fn a_cursor_is_read_exactly_if_it_has_the_form_that_its_schema_says() {
        for (text, time, seq, delivery) in [
            ("1795246557250000.ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf", true, false, false),
            ("0.a", true, false, false),
            ("17", false, true, false),
            ("dlv_17", false, false, true),
            ("999999999999999999", false, true, false),
            ("9999999999999999999", false, false, false),
            ("", false, false, false),
            ("0", false, false, false),
            ("+5", false, false, false),
            ("+5.a", false, false, false),
            ("5.", false, false, false),
            ("5.a b", false, false, false),
            ("dlv_", false, false, false),
            ("dlv_007", false, false, false),
            ("٣", false, false, false),
        ] {
            let read = (is_read::<TimeCursor>(text), is_read::<SeqCursor>(text), is_read::<DeliveryCursor>(text));
            assert_eq!(read, (time, seq, delivery), "{text:?}");
        }
    }
}
