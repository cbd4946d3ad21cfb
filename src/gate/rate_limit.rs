//! Hourly limits, counted in the store so that they hold across processes.
//!
//! A process takes calls from the hour's count in small leases and uses a lease up before it takes the next one. A limited
//! key costs one write for every lease, and a key over its limit none. A lease is at most a hundredth of the limit; it is
//! lost if the process ends. Calls of one key that find no lease wait while one of them takes a new lease: if each took one,
//! they would lease more than they need, and later calls would be refused while leases lie unused.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::{
    call::RateLimits,
    error::{Code, Error, Result},
    model::{ApiKey, Tier, UnixMicros},
    store::Store,
};

const SECONDS_PER_HOUR: i64 = 3_600;
/// A lease is this fraction of the hour's limit, and at least one call.
const LEASES_PER_HOUR: i64 = 100;
/// Keys in memory; a key that is dropped loses its lease.
const MAX_REMEMBERED: usize = 10_000;
/// Locks for taking leases. Keys with the same lock wait for each other.
const ASKING_PLACES: usize = 32;

/// What a key has left of the hour, for the `X-RateLimit-*` headers.
#[derive(Clone, Copy, Debug)]
pub struct RateLimitStatus {
    /// Calls an hour.
    pub limit: i64,
    /// Calls left.
    pub remaining: i64,
    /// When the hour ends, in Unix seconds.
    pub reset: i64,
}

#[derive(Clone, Copy, Default)]
struct Lease {
    hour: i64,
    /// The limit when the lease was taken: an operator may have changed the key's tier since.
    limit: i64,
    /// Calls taken from the store and not used yet.
    left: i64,
    /// Calls that the hour's count had left when the lease was taken.
    beyond: i64,
}

/// The leases of this process.
#[derive(Default)]
pub struct RateLimiter {
    // A mutex that blocks its thread: it is held for a look-up, never across a write.
    leases: Mutex<HashMap<[u8; 32], Lease>>,
    // Tokio mutexes: each is held across the write that takes a lease.
    asking: [tokio::sync::Mutex<()>; ASKING_PLACES],
}

impl RateLimiter {
    /// Counts one call of `key`, or refuses it.
    pub async fn count(
        &self,
        store: &Store,
        limits: RateLimits,
        key: &ApiKey,
        now: UnixMicros,
    ) -> Result<RateLimitStatus> {
        let limit = limits.of(key.tier);
        let hour = now.as_seconds().div_euclid(SECONDS_PER_HOUR);
        let reset = (hour + 1) * SECONDS_PER_HOUR;
        let answer = |lease: Lease| RateLimitStatus { limit, remaining: lease.left + lease.beyond, reset };
        let counted = || match self.take_leased(key, hour, limit) {
            Some(lease) if lease.left >= 0 => Some(Ok(answer(lease))),
            Some(_) => Some(Err(exceeded(limit, key.tier, reset, now))),
            None => None,
        };
        if let Some(outcome) = counted() {
            return outcome;
        }
        let _asking = self.asking[usize::from(key.digest[0]) % ASKING_PLACES].lock().await;
        // The call that held the lock before may have taken a lease that suffices.
        if let Some(outcome) = counted() {
            return outcome;
        }
        let (digest, wanted) = (key.digest, (limit / LEASES_PER_HOUR).max(1));
        let (taken, used) =
            store.write(&key.tenant, move |tx| Ok(tx.take_calls(&digest, hour, wanted, limit)?)).await?;
        let mut leases = self.leases.lock();
        if leases.len() >= MAX_REMEMBERED {
            leases.clear();
        }
        let lease = leases.entry(key.digest).or_default();
        if (lease.hour, lease.limit) != (hour, limit) {
            *lease = Lease { hour, limit, left: 0, beyond: 0 };
        }
        lease.left += taken - 1;
        lease.beyond = limit - used;
        if taken == 0 {
            lease.left = lease.left.max(-1);
            return Err(exceeded(limit, key.tier, reset, now));
        }
        Ok(answer(*lease))
    }

    /// Uses one leased call. `None` if a new lease is needed; a negative `left` if the hour has no calls left.
    fn take_leased(&self, key: &ApiKey, hour: i64, limit: i64) -> Option<Lease> {
        let mut leases = self.leases.lock();
        let lease = leases.get_mut(&key.digest).filter(|lease| (lease.hour, lease.limit) == (hour, limit))?;
        if lease.left > 0 {
            lease.left -= 1;
            return Some(*lease);
        }
        (lease.left < 0).then_some(*lease)
    }
}

fn exceeded(limit: i64, tier: Tier, reset: i64, now: UnixMicros) -> Error {
    let retry_after = reset - now.as_seconds();
    let tier = tier.as_str();
    let message =
        format!("the hourly limit of {limit} calls of the {tier} tier is reached: try again in {retry_after} s");
    Error::new(Code::RateLimited, message)
        .with("limit", limit)
        .with("tier", tier)
        .with("retry_after", retry_after)
        .with("reset", reset)
        .with("resource", "calls")
}
