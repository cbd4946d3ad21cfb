//! A time from a caller: a number of seconds, a date with a time, or a date.

use jiff::fmt::temporal::Pieces;
use schemars::json_schema;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::value::RawValue;

use super::UnixMicros;

/// A bound in time. On the wire: Unix seconds as a number, be it with decimals; an RFC 3339 date-time with its
/// offset; or a date, which is its midnight in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimePoint(UnixMicros);

const EXPECTED: &str = "expected Unix seconds such as 1795246557.25, a date-time with its offset such as \
                        2026-11-21T09:30:00Z, or a date such as 2026-11-21 (midnight UTC)";
/// The latest time that the store compares with, in microseconds: in the year 2255.
const LATEST: i64 = 9_000_000_000_000_000;

impl TimePoint {
    /// As the store has it.
    pub fn micros(self) -> UnixMicros {
        self.0
    }

    fn parse(text: &str) -> Option<Self> {
        if let Ok(seconds) = serde_json::from_str::<UnixMicros>(text) {
            return Some(Self(seconds));
        }
        // An unescaped plus sign in a query is decoded as a space.
        let text = if text.contains(['T', 't']) { text.replace(' ', "+") } else { text.to_owned() };
        // Year 9999, which some clients use for "for ever", ends after the last instant that jiff supports.
        if let Ok(pieces) = Pieces::parse(&text)
            && pieces.date().year() == 9_999
            && (text.len() == 10 || pieces.offset().is_some())
        {
            return Some(Self(UnixMicros(LATEST)));
        }
        let at_midnight =
            |date: jiff::civil::Date| date.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp());
        let timestamp = match text.len() {
            // jiff also parses a date-time as a date, without its time.
            10 => text.parse().and_then(at_midnight).ok()?,
            _ => text.parse::<jiff::Timestamp>().ok()?,
        };
        // No entry is from before 1970 or after the year 2255, so such bounds are clamped.
        Some(Self(UnixMicros(timestamp.as_microsecond().clamp(0, LATEST))))
    }
}

impl<'de> Deserialize<'de> for TimePoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| raw.get().to_owned());
        Self::parse(text.trim()).ok_or_else(|| D::Error::custom(EXPECTED))
    }
}

inline_schema!(TimePoint, "TimePoint", |_| json_schema!({
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": 9_000_000_000_i64},
        {"type": "string", "minLength": 1},
    ],
    "examples": [1_795_246_557.25, "2026-11-21T09:30:00Z", "2026-11-21"],
}));

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> Option<i64> {
        TimePoint::parse(text).map(|point| point.micros().0)
    }

    #[test]
    fn one_time_is_the_same_in_every_form() {
        for text in ["1795219200", "1795219200.0", "2026-11-21", "2026-11-21T00:00:00Z", "2026-11-21T02:00:00+02:00"] {
            assert_eq!(micros(text), Some(1_795_219_200_000_000), "{text}");
        }
        assert_eq!(micros("2026-11-21T02:00:00.25 02:00"), Some(1_795_219_200_250_000));
        assert_eq!((micros("0001-01-01"), micros("9000-01-01")), (Some(0), Some(LATEST)));
    }

    #[test]
    fn the_end_of_time_is_a_time() {
        for text in ["9999-12-31", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999-12:00", "9999-01-01"] {
            assert_eq!(micros(text), Some(LATEST), "{text}");
        }
        assert_eq!((micros("9999-12-32"), micros("9999-12-31T23:59:59")), (None, None));
    }

    #[test]
    fn what_is_no_time_or_has_no_offset_is_refused() {
        for text in [
            "", "yesterday", "-5", "-1e-207", "9000000000.1", "NaN", "2026-13-01", "2026-11-21T00:00:00", "2026-11",
            "2026-11-21T",
        ] {
            assert_eq!(micros(text), None, "{text}");
        }
    }
}
