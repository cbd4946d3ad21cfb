//! When a key was last used, exact to about a minute: one write per read would cost more than the read.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::{
    model::{ApiKey, UnixMicros},
    store::{ApiKeyUpdate, Store},
};

/// How stale `last_used` may be, in seconds.
const PRECISION_SECONDS: i64 = 60;
/// Keys in memory; a key that is dropped costs one more write.
const MAX_REMEMBERED: usize = 10_000;

/// The uses that this process has recorded lately.
#[derive(Default)]
pub struct LastUse {
    // A mutex that blocks its thread: it is held for a look-up, never across a write.
    noted: Mutex<HashMap<[u8; 32], UnixMicros>>,
}

impl LastUse {
    /// Records a use. No caller waits for the write, and a lost one changes no decision.
    pub fn note(&self, store: &Store, key: &ApiKey, now: UnixMicros) {
        let is_fresh = |noted: UnixMicros| now.seconds_since(noted) < PRECISION_SECONDS;
        if key.last_used_at.is_some_and(is_fresh) {
            return;
        }
        let mut noted = self.noted.lock();
        if noted.get(&key.digest).copied().is_some_and(is_fresh) {
            return;
        }
        if noted.len() >= MAX_REMEMBERED {
            noted.clear();
        }
        noted.insert(key.digest, now);
        drop(noted);
        let (store, digest, tenant) = (store.clone(), key.digest, key.tenant.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let update = move |tx: &mut crate::store::Tx| Ok(tx.update_api_key(&digest, ApiKeyUpdate::Used(now))?);
                if let Err(error) = store.write(&tenant, update).await {
                    tracing::warn!(%error, "the last use of a key was not noted");
                }
            });
        }
    }
}
