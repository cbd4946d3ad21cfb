//! A log whose last entry is of the future, since a clock once was: its times never go back, so new entries bear that of the
//! last one until the clock has passed it. That is said, since nothing else shows it.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::model::{TenantId, UnixMicros};

/// Seconds that a log may be ahead of the clock: several machines' clocks differ.
pub const MAX_SECONDS: i64 = 60;
/// Seconds between two words of the log about one tenant's.
const TELL_EVERY: i64 = 3_600;
/// Tenants that the log is told of.
const MAX_TOLD: usize = 1_024;

/// Says in the log of the process that an entry bears a time that is ahead of the clock, at first and then once an hour.
pub(super) fn tell(tenant: &TenantId, at: UnixMicros, now: UnixMicros) {
    static TOLD: Mutex<BTreeMap<TenantId, UnixMicros>> = Mutex::new(BTreeMap::new());
    let ahead = at.seconds_since(now);
    if ahead <= MAX_SECONDS {
        return;
    }
    let mut told = TOLD.lock();
    let is_due = told.get(tenant).is_none_or(|last| now.seconds_since(*last) >= TELL_EVERY || now < *last);
    if is_due && (told.len() < MAX_TOLD || told.contains_key(tenant)) {
        told.insert(tenant.clone(), now);
        tracing::warn!(
            %tenant, seconds = ahead, time = at.to_rfc3339(),
            "the audit log is ahead of this machine's clock: until the clock has passed the time of the last entry, new \
             entries bear it. Was a clock set wrong once?"
        );
    }
}
