//! A cost that an agent reports, often a sum of binary fractions: `0.009000000000000001`. It is rounded, where an amount to pay
//! would be refused: the action has happened and must be recorded.

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::value::RawValue;

use super::{
    Money,
    money::{MAX_DECIMALS, MAX_NUMBER_CHARS},
};

/// A reported cost in USD.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportedCost {
    /// The amount, with at most nine decimals.
    pub amount: Money,
    /// Whether more decimals were reported.
    pub rounded: bool,
}

impl ReportedCost {
    /// Parses the text of a number. Halves are rounded up.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::rounded(text, RoundingStrategy::MidpointAwayFromZero)
    }

    /// As [`Self::parse`]; whatever has more decimals is rounded away from zero, so that no part of a cost is too small to
    /// count.
    pub fn parse_up(text: &str) -> Result<Self, String> {
        let read = Self::rounded(text, RoundingStrategy::AwayFromZero)?;
        let digits = text.split(['e', 'E']).next().unwrap_or_default();
        if read.amount == Money::ZERO && digits.bytes().any(|byte| matches!(byte, b'1'..=b'9')) {
            let least = if text.starts_with('-') { -1 } else { 1 };
            return Ok(Self { amount: Money::from_nanos(least), rounded: true });
        }
        Ok(read)
    }

    fn rounded(text: &str, strategy: RoundingStrategy) -> Result<Self, String> {
        let problem = match text.parse::<Money>() {
            Ok(amount) => return Ok(Self { amount, rounded: false }),
            Err(problem) => problem,
        };
        // A JSON number of bounded length, so that parsing takes bounded time.
        if text.len() > MAX_NUMBER_CHARS || serde_json::from_str::<f64>(text).is_err() {
            return Err(problem);
        }
        let read = if text.contains(['e', 'E']) { small(text) } else { text.parse::<Decimal>().ok() };
        let rounded = read.ok_or_else(|| problem.clone())?;
        let rounded = rounded.round_dp_with_strategy(MAX_DECIMALS, strategy);
        let amount = rounded.normalize().to_string().parse().map_err(|_: String| problem)?;
        Ok(Self { amount, rounded: true })
    }
}

/// In scientific notation; one that is too small for a decimal is as good as nothing.
fn small(text: &str) -> Option<Decimal> {
    let nothing = || serde_json::from_str::<f64>(text).ok().filter(|value| value.abs() < 1e-20).map(|_| Decimal::ZERO);
    Decimal::from_scientific(text).ok().or_else(nothing)
}

impl<'de> Deserialize<'de> for ReportedCost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::parse(raw.get()).map_err(D::Error::custom)
    }
}

inline_schema!(ReportedCost, Money::schema_name(), |generator| Money::json_schema(generator));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_of_binary_fractions_is_rounded_and_an_exact_amount_is_not() {
        let read = |text: &str| ReportedCost::parse(text).map(|cost| (cost.amount.to_string(), cost.rounded));
        let ok = |text: &str, rounded| Ok((text.to_owned(), rounded));
        assert_eq!(read("0.009000000000000001"), ok("0.009", true));
        assert_eq!(read("0.30000000000000004"), ok("0.3", true));
        assert_eq!(read("9.000000000000001e-3"), ok("0.009", true));
        assert_eq!(read("0.0000000005"), ok("0.000000001", true));
        assert_eq!(read("1e-300"), ok("0", true));
        assert_eq!((read("29.99"), read("1e2")), (ok("29.99", false), ok("100", false)));
        let up = |text: &str| ReportedCost::parse_up(text).map(|cost| (cost.amount.to_string(), cost.rounded));
        assert_eq!(up("0.009000000000000001"), ok("0.009000001", true));
        assert_eq!((up("1e-12"), up("1e-300")), (ok("0.000000001", true), ok("0.000000001", true)));
        assert_eq!(
            (up("-1e-12"), up("0e-300"), up("2.5")),
            (ok("-0.000000001", true), ok("0", true), ok("2.5", false))
        );
        for bad in ["1e300", "9223372036.8547758080001", "\"1\"", "NaN", "", "1.", "0x1", "-", "null", "1_0"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
