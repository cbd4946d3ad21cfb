//! What this process measures of itself: counters and histograms that cost a few atomic additions each, and no lock.
//! They are of the whole process, and start with it; nothing of a tenant is in them.

use std::{
    sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Counts up.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// From zero.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// One more.
    pub fn add_one(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// How many so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// From zero.
    pub const fn new() -> Self {
        Self(AtomicI64::new(0))
    }

    /// More, or with a negative number less.
    pub fn add(&self, change: i64) {
        self.0.fetch_add(change, Relaxed);
    }

    /// This many from now on.
    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }

    /// As of now.
    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// Buckets of a histogram: their upper bounds double, and the last has none.
pub const BUCKETS: usize = 24;

/// How values are distributed, by powers of two of a smallest one.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// Empty.
    pub const fn new() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], sum: AtomicU64::new(0) }
    }

    /// Counts a value: a number, or microseconds.
    pub fn observe(&self, value: u64) {
        // Bucket 0 is up to 1, bucket 1 up to 2, bucket 2 up to 4.
        let bucket = value.saturating_sub(1).checked_ilog2().map_or(0, |log| log as usize + 1).min(BUCKETS - 1);
        let bucket = if value <= 1 { 0 } else { bucket };
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }

    /// Counts a time.
    pub fn observe_time(&self, time: Duration) {
        self.observe(u64::try_from(time.as_micros()).unwrap_or(u64::MAX >> 1));
    }

    /// What was counted.
    pub fn read(&self) -> Distribution {
        let mut counts = [0; BUCKETS];
        for (count, bucket) in counts.iter_mut().zip(&self.buckets) {
            *count = bucket.load(Relaxed);
        }
        Distribution { counts, sum: self.sum.load(Relaxed) }
    }
}

/// A histogram as it was read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Distribution {
    /// How many values lie in each bucket.
    pub counts: [u64; BUCKETS],
    /// Of all values.
    pub sum: u64,
}

impl Distribution {
    /// The upper bound of a bucket; `None` for the last.
    pub fn bound(bucket: usize) -> Option<u64> {
        (bucket + 1 < BUCKETS).then(|| 1 << bucket)
    }

    /// Both together.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(mine, theirs)| *mine += theirs);
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// What a share of the values, in percent, does not exceed: the upper bound of its bucket. `None` without values.
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let count = self.count();
        let wanted = (count * percent).div_ceil(100);
        let mut seen = 0;
        let reached = |count: &u64| {
            seen += count;
            seen >= wanted
        };
        let bucket = self.counts.iter().position(reached).filter(|_| count > 0)?;
        Some(1 << bucket)
    }
}

/// The statuses that operations answer with, each counted by itself; the last stands for any other.
pub const STATUSES: [u16; 16] = [200, 201, 204, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 503, 500];

/// What is measured of one operation.
#[derive(Debug, Default)]
pub struct OfOperation {
    /// From the call to its answer.
    pub latency: Histogram,
    answers: [Counter; STATUSES.len()],
}

impl OfOperation {
    /// Counts an answer.
    pub fn answered(&self, status: u16, took: Duration) {
        let place = STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len() - 1);
        self.answers[place].add_one();
        self.latency.observe_time(took);
    }

    /// How many answers there were, by status.
    pub fn answers(&self) -> impl Iterator<Item = (u16, u64)> {
        STATUSES.into_iter().zip(self.answers.iter().map(Counter::get)).filter(|(_, count)| *count > 0)
    }
}

/// What is measured of the process.
#[derive(Debug)]
pub struct Measures {
    /// Writes that wait for the writer.
    pub queued_writes: Gauge,
    /// Writes in a commit.
    pub batch_size: Histogram,
    /// How long commits took, which sync the write-ahead log.
    pub sync_time: Histogram,
    /// From an event to its delivery by webhook, successful attempts only.
    pub webhook_lag: Histogram,
    /// Whether a commit of the store has failed, and no check since has found room: its disk may be full.
    pub writes_fail: AtomicBool,
    /// Calls over the hourly limit, by tier: free, pro, enterprise.
    pub rate_limited: [Counter; 3],
    /// Calls that were refused, and are in the log as that, by the place of the error's code.
    pub refused: [Counter; MAX_CODES],
}

/// As many codes of errors as can be counted.
pub const MAX_CODES: usize = 64;

impl Measures {
    /// What counts refusals with a code, which has this place among all codes.
    pub fn refused_by(&self, code: usize) -> &Counter {
        &self.refused[code.min(MAX_CODES - 1)]
    }
}

/// This process's.
pub static MEASURES: Measures = Measures {
    queued_writes: Gauge::new(),
    batch_size: Histogram::new(),
    sync_time: Histogram::new(),
    webhook_lag: Histogram::new(),
    writes_fail: AtomicBool::new(false),
    rate_limited: [const { Counter::new() }; 3],
    refused: [const { Counter::new() }; MAX_CODES],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lies_in_the_bucket_that_bounds_it() {
        for value in [0, 1, 2, 3, 4, 5, 8, 9, 1 << 21, (1 << 22) + 1, u64::MAX] {
            let histogram = Histogram::new();
            histogram.observe(value);
            let read = histogram.read();
            let bucket = read.counts.iter().position(|count| *count == 1).unwrap();
            assert!(Distribution::bound(bucket).is_none_or(|bound| value <= bound), "{value} in {bucket}");
            assert!(bucket == 0 || value > Distribution::bound(bucket - 1).unwrap(), "{value} in {bucket}");
        }
    }

    #[test]
    fn percentiles_are_bounds_of_their_buckets() {
        let histogram = Histogram::new();
        assert_eq!(histogram.read().percentile(50), None);
        (0..98).for_each(|_| histogram.observe(3));
        (0..2).for_each(|_| histogram.observe(1000));
        let read = histogram.read();
        assert_eq!((read.percentile(50), read.percentile(95), read.percentile(99)), (Some(4), Some(4), Some(1024)));
    }
}
