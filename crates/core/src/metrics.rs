//! Metrics of the process: counters and histograms that cost a few atomic additions each, and no lock. They hold no data of a
//! tenant.

use std::{
    sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// A counter.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Starts at zero.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds one.
    pub fn add_one(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// The present count.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A gauge.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Starts at zero.
    pub const fn new() -> Self {
        Self(AtomicI64::new(0))
    }

    /// Adds `change`, which may be negative.
    pub fn add(&self, change: i64) {
        self.0.fetch_add(change, Relaxed);
    }

    /// Sets the value.
    pub fn set(&self, value: i64) {
        self.0.store(value, Relaxed);
    }

    /// The present value.
    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// Buckets of a histogram. Their upper bounds double; the last has none.
pub const BUCKETS: usize = 24;

/// A histogram with bounds that are powers of two.
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

    /// Counts a value, such as a number of microseconds.
    pub fn observe(&self, value: u64) {
        // Bucket 0 is up to 1, bucket 1 up to 2, bucket 2 up to 4.
        let bucket = value.saturating_sub(1).checked_ilog2().map_or(0, |log| log as usize + 1).min(BUCKETS - 1);
        let bucket = if value <= 1 { 0 } else { bucket };
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }

    /// Counts a duration in microseconds.
    pub fn observe_time(&self, time: Duration) {
        self.observe(u64::try_from(time.as_micros()).unwrap_or(u64::MAX >> 1));
    }

    /// The present distribution.
    pub fn read(&self) -> Distribution {
        let mut counts = [0; BUCKETS];
        for (count, bucket) in counts.iter_mut().zip(&self.buckets) {
            *count = bucket.load(Relaxed);
        }
        Distribution { counts, sum: self.sum.load(Relaxed) }
    }
}

/// The values of a histogram at one time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Distribution {
    /// The number of values in each bucket.
    pub counts: [u64; BUCKETS],
    /// The sum of all values.
    pub sum: u64,
}

impl Distribution {
    /// The upper bound of a bucket; `None` for the last.
    pub fn bound(bucket: usize) -> Option<u64> {
        (bucket + 1 < BUCKETS).then(|| 1 << bucket)
    }

    /// Adds another distribution.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(mine, theirs)| *mine += theirs);
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// The number of values.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The upper bound of the bucket that holds this percentile. `None` without values.
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

/// Response statuses with a counter of their own; the last one also counts all others.
pub const STATUSES: [u16; 16] = [200, 201, 204, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 503, 500];

/// The metrics of one operation.
#[derive(Debug, Default)]
pub struct OperationMetrics {
    /// From the call to its response.
    pub latency: Histogram,
    answers: [Counter; STATUSES.len()],
}

impl OperationMetrics {
    /// Counts a response.
    pub fn answered(&self, status: u16, took: Duration) {
        let place = STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len() - 1);
        self.answers[place].add_one();
        self.latency.observe_time(took);
    }

    /// The number of responses by status.
    pub fn answers(&self) -> impl Iterator<Item = (u16, u64)> {
        STATUSES.into_iter().zip(self.answers.iter().map(Counter::get)).filter(|(_, count)| *count > 0)
    }
}

/// The metrics of the process.
#[derive(Debug)]
pub struct ProcessMetrics {
    /// Queued writes.
    pub queued_writes: Gauge,
    /// Writes in a commit.
    pub batch_size: Histogram,
    /// The duration of a commit, which syncs the write-ahead log.
    pub sync_time: Histogram,
    /// From an event to its delivery by webhook, for successful attempts.
    pub webhook_lag: Histogram,
    /// Reads that a replica has answered, and those that it might have answered but the primary did.
    pub replica_reads: Counter,
    #[allow(missing_docs)]
    pub replica_reads_passed_on: Counter,
    /// Whether a commit has failed and no test write has succeeded since: the disk may be full.
    pub writes_fail: AtomicBool,
    /// Calls over the hourly limit, by tier: free, pro, enterprise.
    pub rate_limited: [Counter; 3],
    /// Refused calls in the audit log, by the index of the error's code.
    pub refused: [Counter; MAX_CODES],
}

/// The largest number of error codes.
pub const MAX_CODES: usize = 64;

impl ProcessMetrics {
    /// The counter of refusals with the code of this index.
    pub fn refused_by(&self, code: usize) -> &Counter {
        &self.refused[code.min(MAX_CODES - 1)]
    }
}

/// The metrics of this process.
pub static METRICS: ProcessMetrics = ProcessMetrics {
    queued_writes: Gauge::new(),
    batch_size: Histogram::new(),
    sync_time: Histogram::new(),
    webhook_lag: Histogram::new(),
    replica_reads: Counter::new(),
    replica_reads_passed_on: Counter::new(),
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
