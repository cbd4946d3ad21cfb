//! The period of a pack.

use crate::{
    error::{Error, Result},
    model::{TimePoint, UnixMicros, month::MICROS_PER_DAY},
};

/// The default length of a period.
const DEFAULT_DAYS: i64 = 90;
/// How long after its end a period stays open: a write that began before its end may wait that long for the store.
pub const SETTLING_SECONDS: i64 = 60;
const MICROS: i64 = 1_000_000;

/// A period between whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Included.
    pub start: UnixMicros,
    /// Not included.
    pub end: UnixMicros,
}

impl Period {
    /// The requested period. Bounds are cut to whole seconds; without an end it lasts until now, inclusive.
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

    /// Whether the period is closed: no entry can be added to it.
    pub fn is_closed(self, now: UnixMicros) -> bool {
        now >= self.end.plus_seconds(SETTLING_SECONDS)
    }
}
