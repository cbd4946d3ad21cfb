//! Time in the store's form, and the clock, which tests replace.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use schemars::json_schema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::value::RawValue;

/// Microseconds since 1970-01-01T00:00:00Z. On the wire: Unix seconds as a JSON number with up to six decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMicros(pub i64);

const MICROS_PER_SECOND: i64 = 1_000_000;

impl UnixMicros {
    /// This many whole seconds later; saturates at the end of time.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(MICROS_PER_SECOND)))
    }

    /// Whole seconds from `earlier` to this, rounded towards zero.
    pub fn seconds_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0) / MICROS_PER_SECOND
    }

    /// Whole Unix seconds.
    pub fn as_seconds(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    /// `2026-11-21T09:30:00Z`, for people (RFC 3339).
    pub fn to_rfc3339(self) -> String {
        jiff::Timestamp::from_microsecond(self.0).map_or_else(|_| self.0.to_string(), |t| format!("{t:.0}"))
    }
}

impl UnixMicros {
    /// `2026-11-21T09:30:00.250000Z` (RFC 3339).
    pub fn to_rfc3339_micros(self) -> String {
        jiff::Timestamp::from_microsecond(self.0).map_or_else(|_| self.0.to_string(), |t| format!("{t:.6}"))
    }
}

impl Serialize for UnixMicros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Exact: 2^53 microseconds last until the year 2255.
        #[allow(clippy::cast_precision_loss)]
        serializer.serialize_f64(self.0 as f64 / MICROS_PER_SECOND as f64)
    }
}

impl<'de> Deserialize<'de> for UnixMicros {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let seconds: f64 = serde_json::from_str(raw.get()).map_err(|_| D::Error::custom(EXPECTED))?;
        // The bound keeps the cast exact, and the product of any two such times within i64.
        if !(0.0..=9.0e9).contains(&seconds) {
            return Err(D::Error::custom(EXPECTED));
        }
        let micros = (seconds * 1e6).round();
        #[allow(clippy::cast_possible_truncation)]
        Ok(Self(micros as i64))
    }
}

const EXPECTED: &str = "expected a time in Unix seconds, such as 1795246557.25";

inline_schema!(
    UnixMicros,
    "UnixSeconds",
    |_| json_schema!({"type": "number", "minimum": 0, "maximum": 9_000_000_000_i64, "examples": [1_795_246_557.25]})
);

/// A clock. Tests of expiry, windows and retries move it instead of sleeping.
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> UnixMicros;
}

/// The machine's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMicros {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMicros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: UnixMicros) -> Self {
        Self(AtomicI64::new(start.0))
    }

    /// Moves the clock forward.
    pub fn advance_seconds(&self, seconds: i64) {
        self.0.fetch_add(seconds * MICROS_PER_SECOND, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMicros {
        UnixMicros(self.0.load(Ordering::SeqCst))
    }
}
