//! The time that a pack tells of, and the calendar that schedules follow.

use crate::{
    error::{Error, Result},
    model::{Day, Month, TimePoint, UnixMicros, month::MICROS_PER_DAY},
    store::compliance::Cadence,
};

/// How long a pack looks back unless it is asked otherwise.
const DEFAULT_DAYS: i64 = 90;
/// How long after its end a period is still open: a write that began before may wait that long for the store.
pub const SETTLING_SECONDS: i64 = 60;
const MICROS: i64 = 1_000_000;

/// From one whole second to before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Included.
    pub start: UnixMicros,
    /// Not included.
    pub end: UnixMicros,
}

impl Period {
    /// What was asked for. Bounds are cut to whole seconds; without an end it is now, everything so far included.
    pub fn asked(since: Option<TimePoint>, until: Option<TimePoint>, now: UnixMicros) -> Result<Self> {
        let floor = |time: UnixMicros| UnixMicros(time.0.div_euclid(MICROS) * MICROS);
        let end = until.map_or_else(|| floor(UnixMicros(now.0 + MICROS - 1)), |until| floor(until.micros()));
        let start = since
            .map_or_else(|| UnixMicros((end.0 - DEFAULT_DAYS * MICROS_PER_DAY).max(0)), |since| floor(since.micros()));
        if start >= end {
            let message = "since must be at least a second before until, which is now if it is not given";
            return Err(Error::invalid("since", message));
        }
        Ok(Self { start, end })
    }

    /// Whether nothing can be added to it any more.
    pub fn is_closed(self, now: UnixMicros) -> bool {
        now >= self.end.plus_seconds(SETTLING_SECONDS)
    }
}

impl Cadence {
    /// Where the calendar period of this time begins, in UTC.
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

    /// Where the period that begins here ends.
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

    /// As on the wire.
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
