//! Exact money: integer nano-units of one currency, parsed from the number's own text, never a float.

use std::{fmt, str::FromStr};

use rust_decimal::Decimal;
use schemars::json_schema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::value::RawValue;

/// An amount of one currency in nano-units (10⁻⁹), at most 9,223,372,036.854775807 units.
///
/// ```
/// use haldir_core::model::Money;
/// let dime: Money = "0.10".parse().unwrap();
/// let three = dime.checked_add(dime).and_then(|sum| sum.checked_add(dime)).unwrap();
/// assert_eq!(three, "0.3".parse().unwrap());
/// assert!("0.0000000001".parse::<Money>().is_err()); // ten decimals
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(i64);

/// Decimals that an amount may have.
pub const MAX_DECIMALS: u32 = 9;

/// Nano-units of a whole one.
const NANOS_PER_UNIT: u64 = 1_000_000_000;

/// The longest number text that is parsed; longer texts are attacks on the parser.
pub(super) const MAX_NUMBER_CHARS: usize = 64;

impl Money {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// The largest amount. It also represents amounts that are too large or cannot be parsed.
    pub const MOST: Self = Self(i64::MAX);

    /// From nano-units, as the store keeps them.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From whole units.
    pub const fn from_units(units: i32) -> Self {
        Self(units as i64 * 1_000_000_000)
    }

    /// In nano-units.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The sum; `None` out of range.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference; `None` out of range.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The sum, capped at the largest amount: for displayed totals, never for a decision.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, but not below zero.
    #[must_use]
    pub fn minus_floor_zero(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0).max(0))
    }

    /// Whether this is below zero.
    pub fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Passes its text to `with`: the shortest exact decimal, `29.99`, `100`, `0.000000001`.
    pub fn with_text<T>(self, with: impl FnOnce(&str) -> T) -> T {
        // Written from its end: sign, ten digits, point, nine digits.
        let mut text = [b'0'; 24];
        let mut begin = text.len();
        let magnitude = self.0.unsigned_abs();
        let (mut whole, mut fraction) = (magnitude / NANOS_PER_UNIT, magnitude % NANOS_PER_UNIT);
        if fraction > 0 {
            let mut digits = MAX_DECIMALS;
            while fraction % 10 == 0 {
                fraction /= 10;
                digits -= 1;
            }
            for _ in 0..digits {
                begin -= 1;
                text[begin] = digit(fraction);
                fraction /= 10;
            }
            begin -= 1;
            text[begin] = b'.';
        }
        loop {
            begin -= 1;
            text[begin] = digit(whole);
            whole /= 10;
            if whole == 0 {
                break;
            }
        }
        if self.0 < 0 {
            begin -= 1;
            text[begin] = b'-';
        }
        // Digits, a sign and a point are ASCII.
        with(std::str::from_utf8(&text[begin..]).unwrap_or_default())
    }
}

/// The last decimal digit of `number`, in ASCII.
fn digit(number: u64) -> u8 {
    b'0' + u8::try_from(number % 10).unwrap_or(0)
}

impl FromStr for Money {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > MAX_NUMBER_CHARS {
            return Err(too_precise());
        }
        // rust_decimal reads more than JSON's number grammar (RFC 8259 section 6) allows.
        if !text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) || text.ends_with('.') || text.contains('_') {
            return Err(EXPECTED.to_owned());
        }
        let decimal = if text.contains(['e', 'E']) {
            // The error does not say whether the number is too large or too precise: a small exponent means too many decimals.
            let is_small = text.contains("e-") || text.contains("E-");
            Decimal::from_scientific(text).map_err(|_| if is_small { too_precise() } else { out_of_range() })?
        } else {
            Decimal::from_str_exact(text).map_err(|error| match error {
                rust_decimal::Error::Underflow => too_precise(),
                rust_decimal::Error::ExceedsMaximumPossibleValue => out_of_range(),
                _ => EXPECTED.to_owned(),
            })?
        };
        let decimal = decimal.normalize();
        if decimal.scale() > MAX_DECIMALS {
            return Err(too_precise());
        }
        let nanos = decimal.mantissa().checked_mul(10_i128.pow(MAX_DECIMALS - decimal.scale()));
        nanos.and_then(|nanos| i64::try_from(nanos).ok()).map(Self).ok_or_else(out_of_range)
    }
}

const EXPECTED: &str = "expected a number, such as 29.99";

fn too_precise() -> String {
    format!("an amount has at most {MAX_DECIMALS} decimals")
}

fn out_of_range() -> String {
    "the amount is out of range: at most 9223372036.854775807".to_owned()
}

impl fmt::Display for Money {
    /// The shortest exact decimal: `29.99`, `100`, `0.000000001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.pad(text))
    }
}

impl Serialize for Money {
    /// A JSON number with the exact decimal as its text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string()).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    /// A JSON number, read from its own text. A string, a boolean or null is no amount.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        raw.get().parse().map_err(D::Error::custom)
    }
}

inline_schema!(Money, "Money", |generator| {
    let mut schema = json_schema!({"type": "number", "examples": [29.99]});
    // In whole units, which is less than what is taken: readers of schemas have floats, and the largest amount lies
    // between two. An answer may have that amount.
    if generator.contract().is_deserialize() {
        schema.insert("maximum".into(), 9_223_372_036_i64.into());
    }
    schema
});

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_amount_survives_its_own_text(nanos: i64) {
            let money = Money::from_nanos(nanos);
            prop_assert_eq!(money.to_string().parse::<Money>(), Ok(money));
            let json = serde_json::to_string(&money).unwrap();
            prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
        }

        #[test]
        fn the_text_is_that_of_the_decimal(nanos: i64, small in -2_000_000_000_i64..2_000_000_000) {
            for nanos in [nanos, small, nanos / 1_000_000 * 1_000_000] {
                let decimal = Decimal::from_i128_with_scale(i128::from(nanos), MAX_DECIMALS).normalize();
                prop_assert_eq!(Money::from_nanos(nanos).to_string(), decimal.to_string());
            }
        }

        #[test]
        fn text_is_read_digit_by_digit(units in 0_u32.., decimals in "[0-9]{1,9}") {
            let expected = i64::from(units) * 1_000_000_000
                + format!("{decimals:0<9}").parse::<i64>().unwrap();
            prop_assert_eq!(format!("{units}.{decimals}").parse::<Money>(), Ok(Money::from_nanos(expected)));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let _ = text.parse::<Money>();
            let _ = serde_json::from_str::<Money>(&text);
        }
    }

    #[test]
    fn what_is_no_exact_amount_is_refused() {
        for bad in [
            "1e300",
            "-1e300",
            "0.0000000001",
            "1e-10",
            "0.100000000000000000000000000001",
            "9223372036.854775808",
            "NaN",
            "Infinity",
            "",
            "1.",
            "--1",
            "0x10",
            "1_000",
        ] {
            assert!(bad.parse::<Money>().is_err(), "{bad} was read as an amount");
        }
        for bad in ["\"1\"", "true", "null", "[1]", "{}", "NaN"] {
            assert!(serde_json::from_str::<Money>(bad).is_err(), "{bad} was read as an amount");
        }
        assert_eq!("1e2".parse::<Money>(), Ok(Money::from_units(100)));
        assert_eq!("2.50".parse::<Money>().unwrap().to_string(), "2.5");
    }
}
