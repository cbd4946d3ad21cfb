//! Calendar months and days in UTC, as usage and statistics are counted by.

use std::fmt;

use super::UnixMicros;

/// Microseconds of a UTC day, which has no leap seconds.
pub const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A calendar month in UTC: months since the year 0. On the wire: `2026-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(pub i64);

impl Month {
    /// Parses `YYYY-MM`.
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        let digits = |part: &str, length| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(year, 4) || !digits(month, 2) {
            return None;
        }
        let (year, month): (i64, i64) = (year.parse().ok()?, month.parse().ok()?);
        (1..=12).contains(&month).then_some(Self(year * 12 + month - 1))
    }

    /// The month of this day.
    pub fn of(day: Day) -> Self {
        // Civil years that begin in March, in eras of 400 years: no table, no loop.
        let days = day.0 + 719_468;
        let era = days.div_euclid(146_097);
        let in_era = days.rem_euclid(146_097);
        let year_of_era = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
        let in_year = in_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * in_year + 2) / 153;
        Self((era * 400 + year_of_era) * 12 + from_march + 2)
    }

    /// Its first day.
    pub fn first_day(self) -> Day {
        let from_march = (self.0 - 2).rem_euclid(12);
        let year = (self.0 - 2).div_euclid(12);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let in_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + (153 * from_march + 2) / 5;
        Day(era * 146_097 + in_era - 719_468)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.div_euclid(12), self.0.rem_euclid(12) + 1)
    }
}

/// A day in UTC: days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i64);

impl Day {
    /// The day of a time.
    pub fn of(time: UnixMicros) -> Self {
        Self(time.0.div_euclid(MICROS_PER_DAY))
    }

    /// The time that it begins at.
    pub fn start(self) -> UnixMicros {
        UnixMicros(self.0.saturating_mul(MICROS_PER_DAY))
    }
}

impl fmt::Display for Day {
    /// Its date, such as `2026-11-21`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = self.start().to_rfc3339();
        f.write_str(start.split_once('T').map_or(start.as_str(), |(date, _)| date))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_months_agree_with_another_calendar() {
        for days in (-800_000..2_000_000).step_by(13) {
            let Ok(time) = jiff::Timestamp::from_second(days * 86_400) else { continue };
            let civil = time.to_zoned(jiff::tz::TimeZone::UTC).date();
            let month = Month::of(Day(days));
            assert_eq!(month.0, i64::from(civil.year()) * 12 + i64::from(civil.month()) - 1, "{days}");
            assert_eq!(days - month.first_day().0, i64::from(civil.day()) - 1, "{days}");
        }
        assert_eq!(Month::parse("2026-11").unwrap().to_string(), "2026-11");
        for bad in ["2026-13", "2026-00", "2026-1", "26-11", "2026-11-01", "+026-11", ""] {
            assert_eq!(Month::parse(bad), None, "{bad}");
        }
    }
}
