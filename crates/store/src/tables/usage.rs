//! What tenants have used, and the counters that answer for them without counting anew.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{
    counters::{ToolCounts, read_tool},
    posting_lists::{Kind, Walk},
};
use crate::{
    Cost, ReadTx, Tx,
    database::{Connection, from_row, params},
    error::Result,
    model::{Month, SessionId, TenantId, UnixMicros},
    statements::{place, statements},
};

statements! {
    USAGE = "SELECT calls, secret_reads FROM usage WHERE tenant = ?1 AND month = ?2";
    // Totals stop at the largest integer instead of becoming a float.
    ADD_USAGE = "INSERT INTO usage (tenant, month, calls, secret_reads) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT DO UPDATE SET calls = min(usage.calls, 9223372036854775807 - ?3) + ?3,
        secret_reads = min(usage.secret_reads, 9223372036854775807 - ?4) + ?4";
    TOTALS = "SELECT keys, sessions, agents, secrets, payments, approvals FROM tenant_totals WHERE tenant = ?1";
    WAITING_APPROVALS = "SELECT count(*) FROM approvals INDEXED BY approvals_pending WHERE status = 'pending' AND expires_at > ?1";
    WAITING_EVENTS = "SELECT coalesce(sum(waiting), 0), count(*) FILTER (WHERE failures >= ?1 OR state = 'disabled') FROM webhooks";
    DEAD_LETTERS = "SELECT count(*) FROM webhook_dead WHERE died_at > ?1";
    OPEN_SESSIONS = "SELECT count(*) FROM sessions INDEXED BY sessions_by_end
        WHERE tenant = ?1 AND ifnull(expires_at, 9223372036854775807) > ?2 AND revoked_at IS NULL";
    OPEN_AGENTS = "SELECT agent_id FROM sessions INDEXED BY sessions_by_end
        WHERE tenant = ?1 AND ifnull(expires_at, 9223372036854775807) > ?2 AND revoked_at IS NULL
        ORDER BY ifnull(expires_at, 9223372036854775807) DESC LIMIT ?3";
    TOP_TOOLS = "SELECT tool, actions, cost FROM tool_tallies INDEXED BY tools_by_rank
        WHERE tenant = ?1 AND of = '' AND rank > 0 ORDER BY rank DESC LIMIT ?2";
    TOP_AGENTS = "SELECT agent_id, actions, cost FROM agents INDEXED BY agents_by_rank
        WHERE tenant = ?1 AND rank > 0 ORDER BY rank DESC LIMIT ?2";
    LAST_ENTRY_OF = concat!("SELECT at FROM audit_entries WHERE place >= ", place!("?2"), " AND place < ", place!("?3"),
        " AND session_id = ?4 ORDER BY place DESC LIMIT 1");
}

/// Candidates that are read for a list of those with most actions: all of the highest ranks, unless more than these
/// share them.
const TOP_CANDIDATES: i64 = 500;

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

from_row! { Usage { calls, secret_reads } }

from_row! { Totals { keys, sessions, agents, secrets, payments, approvals } }

#[allow(missing_docs)]
impl ReadTx {
    pub fn usage(&self, tenant: &TenantId, month: Month) -> Result<Usage> {
        self.require_reader()?;
        Ok(self.first(USAGE, params![tenant, month])?.unwrap_or_default())
    }

    pub fn totals(&self, tenant: &TenantId) -> Result<Totals> {
        self.require_reader()?;
        Ok(self.first(TOTALS, params![tenant])?.unwrap_or_default())
    }

    /// Neither revoked nor expired. Agents are told apart among the `limit` sessions that last longest.
    pub fn open_sessions(&self, tenant: &TenantId, now: UnixMicros, limit: usize) -> Result<OpenSessions> {
        self.require_reader()?;
        let sessions = self.one(OPEN_SESSIONS, params![tenant, now])?;
        let mut agents = HashSet::new();
        self.connection()?.each(OPEN_AGENTS, params![tenant, now, limit], |agent: String| {
            agents.insert(agent);
            Ok(true)
        })?;
        Ok(OpenSessions { sessions, agents: i64::try_from(agents.len()).unwrap_or(i64::MAX) })
    }

    /// The agents or tools with most actions, at most `limit`. Ranks are kept to an eighth of a doubling: see `rank`.
    pub fn top(&self, tenant: &TenantId, of: Top, limit: usize) -> Result<Vec<(String, Cost)>> {
        self.require_reader()?;
        let sql = match of {
            Top::Agents => TOP_AGENTS,
            Top::Tools => TOP_TOOLS,
        };
        let found: Vec<(String, Cost)> = self.all(sql, params![tenant, TOP_CANDIDATES])?;
        let mut candidates: BTreeMap<String, Cost> = found.into_iter().collect();
        if let Top::Tools = of {
            self.add_tail(tenant, &mut candidates)?;
        }
        let mut all: Vec<_> = candidates.into_iter().collect();
        all.sort_by(|(a, left), (b, right)| right.actions.cmp(&left.actions).then_with(|| a.cmp(b)));
        all.truncate(limit);
        Ok(all)
    }

    /// What waits, of all tenants together: for the operator's metrics. It takes as long as much waits.
    pub fn backlog(&self, now: UnixMicros, failures: i64) -> Result<Backlog> {
        let (events, failing_webhooks) = self.one(WAITING_EVENTS, params![failures])?;
        let approvals = self.one(WAITING_APPROVALS, params![now])?;
        Ok(Backlog { approvals, events, dead_letters: self.one(DEAD_LETTERS, params![i64::MIN])?, failing_webhooks })
    }

    /// When a session's newest entry was made.
    pub fn last_entries_of(&self, tenant: &TenantId, sessions: &[SessionId]) -> Result<HashMap<SessionId, UnixMicros>> {
        self.require_reader()?;
        let mut last = HashMap::new();
        let folded = (1, self.last_in_tiles(tenant)?.saturating_add(1));
        for session in sessions {
            let mut at: Option<UnixMicros> = None;
            let of = vec![Kind::Session.of(session.as_str())];
            let mut walk = Walk::backward(self.connection()?, tenant, of, folded);
            while let (None, Some(runs)) = (at, walk.next()?) {
                for (first, end) in runs {
                    if at.is_none() {
                        at = self.first(LAST_ENTRY_OF, params![tenant, first, end, session])?;
                    }
                }
            }
            last.insert(session.as_str(), at);
        }
        self.each_in_tail(tenant, |entry| {
            if let Some(last) = last.get_mut(entry.session_id) {
                *last = Some(entry.at);
            }
        })?;
        Ok(sessions.iter().filter_map(|id| Some((id.clone(), (*last.get(id.as_str())?)?))).collect())
    }

    /// Adds what the log's tail adds to the costs of tools.
    fn add_tail(&self, tenant: &TenantId, candidates: &mut BTreeMap<String, Cost>) -> Result<()> {
        let mut tail = ToolCounts::default();
        self.each_in_tail(tenant, |entry| tail.count(entry))?;
        for (tool, added) in tail.of_tenant() {
            let before = match candidates.get(&tool) {
                Some(candidate) => *candidate,
                None => read_tool(self.connection()?, tenant, "", &tool)?,
            };
            candidates.insert(tool, before.plus(added));
        }
        Ok(())
    }
}

impl Tx {
    /// Adds to a month. It is written once a batch.
    pub fn add_usage(&mut self, tenant: &TenantId, month: Month, added: Usage) -> Result<()> {
        let (key, usage) = ((tenant.clone(), month), &self.buffer().usage);
        let before = usage.get(&key).unwrap_or_default();
        usage.put(key, before.plus(added));
        Ok(())
    }
}

pub(crate) fn write_usage(db: &dyn Connection, tenant: &TenantId, month: Month, added: Usage) -> Result<()> {
    db.send_row(ADD_USAGE, params![tenant, month, added.calls, added.secret_reads])
}

/// Where a count stands among others, in eighths of a doubling: it moves about 190 times on the way to ten million, so
/// that the index over it is written that often, and not once a batch.
pub(crate) fn rank(count: i64) -> i64 {
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
