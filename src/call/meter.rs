//! Counts the calls of tenants without a write for each. The counts are stored together, at most [`FLUSH_AFTER`] later and
//! when haldir closes. A process that is killed loses the counts since the last flush.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, future::join_all};
use parking_lot::Mutex;

use crate::{
    model::{Day, Month, TenantId, UnixMicros},
    store::{Store, Tx, Usage},
};

/// How long a call may be counted in memory alone.
pub const FLUSH_AFTER: Duration = Duration::from_secs(2);

/// The counts of this process that are not stored yet.
#[derive(Default)]
pub struct Meter {
    // A mutex that blocks its thread: it is held for a look-up, never across a write. Only tenants of authenticated callers are in it.
    calls: Mutex<HashMap<TenantId, Vec<(Day, i64)>>>,
    scheduled: AtomicBool,
}

impl Meter {
    /// Counts one call.
    pub fn count(self: &Arc<Self>, store: &Store, tenant: &TenantId, now: UnixMicros) {
        self.add(tenant, Day::of(now), 1);
        if !self.scheduled.load(Ordering::Relaxed)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
            && !self.scheduled.swap(true, Ordering::Relaxed)
        {
            let (meter, store) = (Arc::clone(self), store.clone());
            runtime.spawn(async move {
                tokio::time::sleep(FLUSH_AFTER).await;
                meter.scheduled.store(false, Ordering::Relaxed);
                meter.flush(&store).await;
            });
        }
    }

    /// The count of a tenant's month that is not stored yet.
    pub fn unstored(&self, tenant: &TenantId, month: Month) -> i64 {
        let calls = self.calls.lock();
        let days = calls.get(tenant).map_or(&[][..], Vec::as_slice);
        days.iter().filter(|(day, _)| Month::of(*day) == month).map(|(_, count)| count).sum()
    }

    /// Enqueues the counts before the writer is told to finish: it finishes what was enqueued by then.
    pub fn close(&self, store: &Store) {
        let flushed = self.flush(store).now_or_never();
        tracing::debug!(at_once = flushed.is_some(), "calls that were counted go to the store");
    }

    /// Stores the counts. They stay here until they are durable, so that `unstored` never misses any; a failed write leaves
    /// them for the next flush.
    async fn flush(&self, store: &Store) {
        let counted: Vec<(TenantId, Day, i64)> = {
            let calls = self.calls.lock();
            let flat = calls.iter().flat_map(|(tenant, days)| days.iter().map(|(day, n)| (tenant.clone(), *day, *n)));
            flat.collect()
        };
        if counted.is_empty() {
            return;
        }
        // A write for each tenant, since each locks its own; all of them are enqueued before the first is waited for.
        let stored = counted.into_iter().map(|(tenant, day, n)| async move {
            let of = tenant.clone();
            let work = move |tx: &mut Tx| Ok(tx.add_usage(&of, Month::of(day), Usage { calls: n, secret_reads: 0 })?);
            match store.write(&tenant, work).await {
                Ok(()) => self.add(&tenant, day, -n),
                Err(error) => tracing::warn!(%error, "calls that were counted are not stored yet"),
            }
        });
        join_all(stored).await;
    }

    fn add(&self, tenant: &TenantId, day: Day, added: i64) {
        let mut calls = self.calls.lock();
        if let Some(days) = calls.get_mut(tenant) {
            match days.iter_mut().find(|(known, _)| *known == day) {
                Some((_, count)) => *count += added,
                None => days.push((day, added)),
            }
            if added < 0 {
                days.retain(|(_, count)| *count > 0);
                if days.is_empty() {
                    calls.remove(tenant);
                }
            }
        } else if added > 0 {
            calls.insert(tenant.clone(), vec![(day, added)]);
        }
    }
}
