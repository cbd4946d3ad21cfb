//! The calendar of schedules.

use serde::{Deserialize, Serialize};

use super::{Day, Month, UnixMicros, month::MICROS_PER_DAY};

/// Schedules of one tenant.
pub const MAX_SCHEDULES: usize = 32;

/// How often a schedule makes a pack. Periods are the calendar's, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Cadence {
    /// A pack of each day.
    Daily,
    /// A pack of each week, from Monday on.
    Weekly,
    /// A pack of each month.
    Monthly,
    /// A pack of each quarter of a year.
    Quarterly,
}

impl Cadence {
    /// The start of the calendar period of this time, in UTC.
    pub fn start_of(self, time: UnixMicros) -> UnixMicros {
        let day = Day::of(time);
        let first = match self {
            Self::Daily => day,
            // 1970-01-01 was a Thursday.
            Self::Weekly => Day(day.0 - (day.0 + 3).rem_euclid(7)),
            Self::Monthly => Month::of(day).first_day(),
            Self::Quarterly => quarter(day).first_day(),
        };
        UnixMicros(first.0.saturating_mul(MICROS_PER_DAY))
    }

    /// The end of the period that starts at this time.
    pub fn end_of(self, start: UnixMicros) -> UnixMicros {
        let day = Day::of(start);
        let next = match self {
            Self::Daily => Day(day.0 + 1),
            Self::Weekly => Day(day.0 + 7),
            Self::Monthly => Month(Month::of(day).0 + 1).first_day(),
            Self::Quarterly => Month(quarter(day).0 + 3).first_day(),
        };
        UnixMicros(next.0.saturating_mul(MICROS_PER_DAY))
    }

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Quarterly => "quarterly",
        }
    }
}

fn quarter(day: Day) -> Month {
    let month = Month::of(day).0;
    Month(month - month.rem_euclid(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMicros {
        UnixMicros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
    }

    #[test]
    fn periods_are_those_of_the_calendar_and_follow_one_another() {
        let time = at("2028-02-29T23:59:59.5Z");
        for (cadence, start, end) in [
            (Cadence::Daily, "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"),
            (Cadence::Weekly, "2028-02-28T00:00:00Z", "2028-03-06T00:00:00Z"),
            (Cadence::Monthly, "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            (Cadence::Quarterly, "2028-01-01T00:00:00Z", "2028-04-01T00:00:00Z"),
        ] {
            assert_eq!((cadence.start_of(time), cadence.end_of(at(start))), (at(start), at(end)), "{cadence:?}");
            let mut begin = at(start);
            for _ in 0..500 {
                let next = cadence.end_of(begin);
                assert_eq!(cadence.start_of(UnixMicros(next.0 - 1)), begin);
                assert_eq!(cadence.start_of(next), next);
                begin = next;
            }
        }
    }
}
