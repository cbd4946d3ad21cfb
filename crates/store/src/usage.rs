//! What tenants have used, and the counters that answer for them without counting anew.

use std::collections::HashMap;

use crate::{
    Cost,
    error::Result,
    model::{Month, SessionId, TenantId, UnixMicros},
};

/// What a tenant has used in a month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Usage {
    /// Calls with one of its API keys.
    pub calls: i64,
    /// Plaintexts that were given out.
    pub secret_reads: i64,
}

impl Usage {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            secret_reads: self.secret_reads.saturating_add(other.secret_reads),
        }
    }
}

/// How many of each a tenant has. They move in the transaction of whatever they count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Totals {
    /// Keys that are not revoked.
    pub keys: i64,
    /// Sessions ever created.
    pub sessions: i64,
    /// Agents that ever had one.
    pub agents: i64,
    pub secrets: i64,
    /// Payments ever authorized.
    pub payments: i64,
    /// Approvals ever asked for.
    pub approvals: i64,
}

/// What is ranked by its actions.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Top {
    Agents,
    Tools,
}

/// Sessions that are open now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct OpenSessions {
    pub sessions: i64,
    /// Agents that have one.
    pub agents: i64,
}

#[allow(missing_docs)]
pub trait ReadUsage {
    fn usage(&self, tenant: &TenantId, month: Month) -> Result<Usage>;
    fn totals(&self, tenant: &TenantId) -> Result<Totals>;
    /// Neither revoked nor expired. Agents are told apart among the `limit` sessions that last longest.
    fn open_sessions(&self, tenant: &TenantId, now: UnixMicros, limit: usize) -> Result<OpenSessions>;
    /// The agents or tools with most actions, at most `limit`. Ranks are kept to an eighth of a doubling: see `rank`.
    fn top(&self, tenant: &TenantId, of: Top, limit: usize) -> Result<Vec<(String, Cost)>>;
    /// What waits, of all tenants together: for the operator's metrics. It takes as long as much waits.
    fn backlog(&self, now: UnixMicros, failures: i64) -> Result<Backlog>;
    /// When a session's newest entry was made.
    fn last_entries_of(&self, tenant: &TenantId, sessions: &[SessionId]) -> Result<HashMap<SessionId, UnixMicros>>;
}

/// What waits in the whole store.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct Backlog {
    /// Approval requests that are neither decided nor expired.
    pub approvals: i64,
    /// Events on their way to webhooks.
    pub events: i64,
    /// Events that were given up.
    pub dead_letters: i64,
    /// Webhooks whose receivers do not take what they are sent, or that were disabled for it.
    pub failing_webhooks: i64,
}

#[allow(missing_docs)]
pub trait WriteUsage {
    /// Adds to a month. It is written once a batch.
    fn add_usage(&mut self, tenant: &TenantId, month: Month, added: Usage) -> Result<()>;
}

/// Where a count stands among others, in eighths of a doubling: it moves about 190 times on the way to ten million, so
/// that the index over it is written that often, and not once a batch.
pub(super) fn rank(count: i64) -> i64 {
    let Some(doublings) = count.checked_ilog2() else { return 0 };
    let eighth = if doublings >= 3 { (count >> (doublings - 3)) & 7 } else { (count << (3 - doublings)) & 7 };
    i64::from(doublings) * 8 + eighth + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_count_never_ranks_lower() {
        let mut moved = 0;
        for count in 1..100_000 {
            assert!(rank(count) >= rank(count - 1), "{count}");
            moved += i32::from(rank(count) != rank(count - 1));
        }
        assert!((90..140).contains(&moved), "{moved}");
        assert!(rank(i64::MAX) > rank(i64::MAX / 2));
    }
}
