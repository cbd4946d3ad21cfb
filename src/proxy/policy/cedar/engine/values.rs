//! Converts arguments to Cedar values. Cedar has strings, 64-bit integers, decimals of 4 digits, sets and booleans, but no floats
//! and no null. A value that does not fit is an error and is never coerced.

use cedar_policy::RestrictedExpression;
use rust_decimal::Decimal;

use crate::model::Money;

/// The longest string argument that policies read, in bytes.
const MAX_TEXT_BYTES: usize = 65_536;
/// The longest list of strings.
const MAX_ITEMS: usize = 1_000;
/// Digits after the point of a Cedar decimal.
const DECIMALS: u32 = 4;
/// Nano-units in the last digit of a Cedar decimal.
const NANOS_PER_STEP: i64 = 100_000;

/// The type that a policy expects of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Text,
    Whole,
    Number,
    Flag,
    List,
}

impl Kind {
    pub const ALL: [Self; 5] = [Self::Text, Self::Whole, Self::Number, Self::Flag, Self::List];

    /// As a member of the context.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Whole => "whole",
            Self::Number => "number",
            Self::Flag => "flag",
            Self::List => "list",
        }
    }

    /// The entity that has the arguments of this kind as its tags.
    pub fn entity(self) -> &'static str {
        match self {
            Self::Text => "Texts",
            Self::Whole => "Wholes",
            Self::Number => "Numbers",
            Self::Flag => "Flags",
            Self::List => "Lists",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Converts the argument to this kind; the error names its actual type, without its value.
    pub fn read(self, json: &str) -> Result<RestrictedExpression, String> {
        let first = json.as_bytes().first();
        let is_number = matches!(first, Some(b'-' | b'0'..=b'9'));
        match (self, first) {
            (Self::Text, Some(b'"')) => text(json).map(RestrictedExpression::new_string),
            (Self::Whole, _) if is_number => whole(json).map(RestrictedExpression::new_long),
            (Self::Number, _) if is_number => number(json).map(RestrictedExpression::new_decimal),
            (Self::Flag, Some(b't' | b'f')) => Ok(RestrictedExpression::new_bool(json == "true")),
            (Self::List, Some(b'[')) => list(json).map(RestrictedExpression::new_set),
            _ => Err(format!("is {}", what_it_is(first))),
        }
    }
}

fn what_it_is(first: Option<&u8>) -> &'static str {
    match first {
        Some(b'"') => "a text",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null",
        _ => "a number",
    }
}

fn text(json: &str) -> Result<String, String> {
    if json.len() > MAX_TEXT_BYTES {
        return Err(format!("is a text of more than {MAX_TEXT_BYTES} bytes"));
    }
    serde_json::from_str(json).map_err(|_| "is a text that cannot be read".to_owned())
}

fn list(json: &str) -> Result<Vec<RestrictedExpression>, String> {
    if json.len() > MAX_TEXT_BYTES {
        return Err(format!("is a list of more than {MAX_TEXT_BYTES} bytes"));
    }
    let items: Vec<String> =
        serde_json::from_str(json).map_err(|_| "is a list of other things than texts".to_owned())?;
    if items.len() > MAX_ITEMS {
        return Err(format!("is a list of more than {MAX_ITEMS} texts"));
    }
    Ok(items.into_iter().map(RestrictedExpression::new_string).collect())
}

/// A number, read digit by digit: never as a float.
fn exact(json: &str) -> Option<Decimal> {
    let read = if json.contains(['e', 'E']) { Decimal::from_scientific(json) } else { Decimal::from_str_exact(json) };
    read.ok().map(|number| number.normalize())
}

fn whole(json: &str) -> Result<i64, String> {
    let number = exact(json).filter(|number| number.scale() == 0);
    let whole = number.and_then(|number| i64::try_from(number.mantissa()).ok());
    whole.ok_or_else(|| "is no whole number of 64 bits".to_owned())
}

fn number(json: &str) -> Result<String, String> {
    let number = exact(json).filter(|number| number.scale() <= DECIMALS);
    let steps = number.and_then(|number| number.mantissa().checked_mul(10_i128.pow(DECIMALS - number.scale())));
    let steps = steps.and_then(|steps| i64::try_from(steps).ok());
    steps
        .map(decimal)
        .ok_or_else(|| format!("is no number that Cedar holds: at most {DECIMALS} decimals, less than 10^15"))
}

/// Ten-thousandths as a Cedar decimal.
fn decimal(steps: i64) -> String {
    let (sign, steps) = (if steps < 0 { "-" } else { "" }, steps.unsigned_abs());
    format!("{sign}{}.{:04}", steps / 10_000, steps % 10_000)
}

/// An amount, which is not negative; digits beyond Cedar's decimals are rounded up.
pub fn amount(money: Money) -> String {
    let nanos = money.nanos();
    let more = i64::from(nanos % NANOS_PER_STEP > 0);
    decimal(nanos / NANOS_PER_STEP + more)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_read_exactly_or_not_at_all() {
        for (json, whole_number, decimal) in [
            ("5", Some(5), Some("5.0000")),
            ("-5.50", None, Some("-5.5000")),
            ("5.0", Some(5), Some("5.0000")),
            ("1e3", Some(1_000), Some("1000.0000")),
            ("0.0001", None, Some("0.0001")),
            ("-0.0001", None, Some("-0.0001")),
            ("0.00001", None, None),
            ("9223372036854775807", Some(i64::MAX), None),
            ("-9223372036854775808", Some(i64::MIN), None),
            ("9223372036854775808", None, None),
            ("922337203685477.5807", None, Some("922337203685477.5807")),
            ("922337203685477.5808", None, None),
            ("1e300", None, None),
            ("1e-300", None, None),
            ("100000000000000000000000000000000000000000", None, None),
        ] {
            assert_eq!(whole(json).ok(), whole_number, "{json}");
            assert_eq!(number(json).ok().as_deref(), decimal, "{json}");
        }
    }

    #[test]
    fn an_amount_is_never_rounded_down() {
        for (nanos, shown) in
            [(0, "0.0000"), (1, "0.0001"), (100_000_000_000, "100.0000"), (100_000_000_001, "100.0001")]
        {
            assert_eq!(amount(Money::from_nanos(nanos)), shown);
        }
        assert_eq!(amount(Money::from_nanos(i64::MAX)), "9223372036.8548");
    }

    #[test]
    fn what_is_of_another_kind_is_not_made_to_fit() {
        for json in ["\"x\"", "5", "true", "null", "[\"a\"]", "[1]", "{}", "[null]"] {
            let kinds: Vec<_> = Kind::ALL.into_iter().filter(|kind| kind.read(json).is_ok()).map(Kind::name).collect();
            let expected: &[&str] = match json {
                "\"x\"" => &["text"],
                "5" => &["whole", "number"],
                "true" => &["flag"],
                "[\"a\"]" => &["list"],
                _ => &[],
            };
            assert_eq!(kinds, expected, "{json}");
        }
    }

    proptest! {
        #[test]
        fn no_number_panics_and_none_changes(text in "-?[0-9]{1,25}(\\.[0-9]{1,12})?([eE][+-]?[0-9]{1,3})?") {
            if let Ok(whole) = whole(&text) {
                prop_assert_eq!(exact(&text), Some(Decimal::from(whole)));
            }
            if let Ok(number) = number(&text) {
                prop_assert_eq!(exact(&text), exact(&number));
            }
        }
    }
}
