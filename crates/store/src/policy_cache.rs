//! The policy cache: rows that calls of tools look up and that seldom change, as the writer has read them. These are policies,
//! approval rules, tools, and where logs begin. It holds on the same terms as the cached rows of the
//! [`WriteBuffer`](crate::write_buffer::WriteBuffer), and until a job is taken back.

use std::{cell::RefCell, hash::Hash, sync::Arc};

use ahash::AHashMap;

use crate::{
    error::Result,
    model::{ApprovalRule, PinnedTool, Policy, TenantId, UpstreamName},
};

/// Look-ups of a kind that are cached; with one more, all are dropped. A tool is described by up to a megabyte.
const MAX_CACHED: usize = 64;

/// Results by what was looked up.
pub(crate) struct Lookups<K, V>(RefCell<AHashMap<K, V>>);

impl<K, V> Default for Lookups<K, V> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<K: Eq + Hash, V: Clone> Lookups<K, V> {
    /// The cached result, or else what `read` finds, which is cached from then on.
    pub(crate) fn or_read(&self, key: K, read: impl FnOnce() -> Result<V>) -> Result<V> {
        if let Some(cached) = self.0.borrow().get(&key) {
            return Ok(cached.clone());
        }
        let found = read()?;
        self.keep(key, found.clone());
        Ok(found)
    }

    pub(crate) fn has(&self, key: &K) -> bool {
        self.0.borrow().contains_key(key)
    }

    pub(crate) fn keep(&self, key: K, found: V) {
        let mut cached = self.0.borrow_mut();
        if cached.len() >= MAX_CACHED {
            cached.clear();
        }
        cached.insert(key, found);
    }

    fn forget(&self) {
        self.0.borrow_mut().clear();
    }
}

/// The cache of one writer.
#[derive(Default)]
pub(crate) struct PolicyCache {
    /// By tenant, and how many were asked for.
    pub(crate) policies: Lookups<(TenantId, usize), Vec<Policy>>,
    /// The same.
    pub(crate) approval_rules: Lookups<(TenantId, usize), Vec<ApprovalRule>>,
    /// Tenants of whose approvals none has edited arguments; time makes none of them valid.
    pub(crate) without_edited: Lookups<TenantId, ()>,
    pub(crate) tools: Lookups<(TenantId, UpstreamName, String), Option<Arc<PinnedTool>>>,
    /// Where the places of logs begin.
    pub(crate) bases: Lookups<TenantId, i64>,
}

impl PolicyCache {
    pub(crate) fn forget(&self) {
        self.policies.forget();
        self.approval_rules.forget();
        self.without_edited.forget();
        self.tools.forget();
        self.bases.forget();
    }
}
