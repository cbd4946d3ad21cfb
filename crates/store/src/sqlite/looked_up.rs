//! Rows that calls of tools look at and hardly anybody changes, as the writer has read them: policies, approval rules,
//! tools, where logs begin. They stay known like held rows do ([`Pending`](super::pending::Pending)): until a row is changed that is not
//! held, a job is taken back, or anything else was committed in between.

use std::{cell::RefCell, hash::Hash, sync::Arc};

use ahash::AHashMap;

use crate::{
    error::Result,
    model::{ApprovalRule, PinnedTool, Policy, TenantId, UpstreamName},
};

/// Look-ups of a kind that are known; one more, and all are forgotten. Tools are described by up to a megabyte.
const MAX_KNOWN: usize = 64;

/// Answers by what was looked up.
pub(super) struct Known<K, V>(RefCell<AHashMap<K, V>>);

impl<K, V> Default for Known<K, V> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<K: Eq + Hash, V: Clone> Known<K, V> {
    /// What is known, or else what `read` finds, which is known from then on.
    pub(super) fn or_read(&self, key: K, read: impl FnOnce() -> Result<V>) -> Result<V> {
        if let Some(known) = self.0.borrow().get(&key) {
            return Ok(known.clone());
        }
        let found = read()?;
        self.keep(key, found.clone());
        Ok(found)
    }

    pub(super) fn has(&self, key: &K) -> bool {
        self.0.borrow().contains_key(key)
    }

    pub(super) fn keep(&self, key: K, found: V) {
        let mut known = self.0.borrow_mut();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(key, found);
    }

    fn forget(&self) {
        self.0.borrow_mut().clear();
    }
}

/// What one writer knows.
#[derive(Default)]
pub(super) struct LookedUp {
    /// By tenant, and how many were asked for.
    pub(super) policies: Known<(TenantId, usize), Vec<Policy>>,
    /// The same.
    pub(super) approval_rules: Known<(TenantId, usize), Vec<ApprovalRule>>,
    /// Tenants of whose approvals none has edited arguments; time makes none of them valid.
    pub(super) without_edited: Known<TenantId, ()>,
    pub(super) tools: Known<(TenantId, UpstreamName, String), Option<Arc<PinnedTool>>>,
    /// Where the places of logs begin.
    pub(super) bases: Known<TenantId, i64>,
}

impl LookedUp {
    pub(super) fn forget(&self) {
        self.policies.forget();
        self.approval_rules.forget();
        self.without_edited.forget();
        self.tools.forget();
        self.bases.forget();
    }
}
