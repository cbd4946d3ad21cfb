//! What tenants have used, and what is counted of them.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    SqliteTx,
    counters::{ToolCounts, read_tool},
    posting_lists::{Kind, Walk},
    rows::{Columns, rows},
    statements::{place, statements},
};
use crate::{
    Backlog, Cost, OpenSessions, ReadAudit, ReadUsage, Top, Totals, Usage, WriteUsage,
    error::Result,
    model::{Month, SessionId, TenantId, UnixMicros},
};

statements! {
    USAGE = "SELECT calls, secret_reads FROM usage WHERE tenant = ?1 AND month = ?2";
    // Totals stop at the largest integer instead of becoming a float.
    ADD_USAGE = "INSERT INTO usage (tenant, month, calls, secret_reads) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT DO UPDATE SET calls = min(calls, 9223372036854775807 - ?3) + ?3,
        secret_reads = min(secret_reads, 9223372036854775807 - ?4) + ?4";
    TOTALS = "SELECT keys, sessions, agents, secrets, payments, approvals FROM tenant_totals WHERE tenant = ?1";
    WAITING_APPROVALS = "SELECT count(*) FROM approvals INDEXED BY approvals_pending WHERE status = 'pending' AND expires_at > ?1";
    WAITING_EVENTS = "SELECT coalesce(sum(waiting), 0), coalesce(sum(failures >= ?1 OR state = 'disabled'), 0) FROM webhooks";
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

impl SqliteTx<'_> {
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

impl ReadUsage for SqliteTx<'_> {
    fn usage(&self, tenant: &TenantId, month: Month) -> Result<Usage> {
        self.require_reader()?;
        let mut statement = self.connection()?.prepare_cached(USAGE)?;
        let mut rows = statement.query(params![tenant.as_str(), month.0])?;
        let Some(row) = rows.next()? else { return Ok(Usage::default()) };
        let mut columns = Columns::of(row);
        Ok(Usage { calls: columns.next()?, secret_reads: columns.next()? })
    }

    fn totals(&self, tenant: &TenantId) -> Result<Totals> {
        self.require_reader()?;
        let mut statement = self.connection()?.prepare_cached(TOTALS)?;
        let mut rows = statement.query([tenant.as_str()])?;
        let Some(row) = rows.next()? else { return Ok(Totals::default()) };
        let mut columns = Columns::of(row);
        Ok(Totals {
            keys: columns.next()?,
            sessions: columns.next()?,
            agents: columns.next()?,
            secrets: columns.next()?,
            payments: columns.next()?,
            approvals: columns.next()?,
        })
    }

    fn open_sessions(&self, tenant: &TenantId, now: UnixMicros, limit: usize) -> Result<OpenSessions> {
        self.require_reader()?;
        let mut count = self.connection()?.prepare_cached(OPEN_SESSIONS)?;
        let sessions = count.query_row(params![tenant.as_str(), now.0], |row| row.get(0))?;
        let mut names = self.connection()?.prepare_cached(OPEN_AGENTS)?;
        let mut rows = names.query(params![tenant.as_str(), now.0, rows(limit)])?;
        let mut agents = std::collections::HashSet::new();
        while let Some(row) = rows.next()? {
            let name = row.get_ref(0)?.as_bytes().map_err(crate::error::Error::internal)?;
            if !agents.contains(name) {
                agents.insert(name.to_vec());
            }
        }
        Ok(OpenSessions { sessions, agents: self::rows(agents.len()) })
    }

    fn top(&self, tenant: &TenantId, of: Top, limit: usize) -> Result<Vec<(String, Cost)>> {
        self.require_reader()?;
        let sql = match of {
            Top::Agents => TOP_AGENTS,
            Top::Tools => TOP_TOOLS,
        };
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let read = |row: &Row<'_>| {
            let mut columns = Columns::of(row);
            Ok((columns.next()?, Cost { actions: columns.next()?, cost: columns.next()? }))
        };
        let found = statement.query_and_then(params![tenant.as_str(), TOP_CANDIDATES], read)?;
        let mut candidates = found.collect::<Result<BTreeMap<String, Cost>>>()?;
        if let Top::Tools = of {
            self.add_tail(tenant, &mut candidates)?;
        }
        let mut all: Vec<_> = candidates.into_iter().collect();
        all.sort_by(|(a, left), (b, right)| right.actions.cmp(&left.actions).then_with(|| a.cmp(b)));
        all.truncate(limit);
        Ok(all)
    }

    fn backlog(&self, now: UnixMicros, failures: i64) -> Result<Backlog> {
        let connection = self.connection()?;
        let mut waiting = connection.prepare_cached(WAITING_EVENTS)?;
        let (events, failing_webhooks) = waiting.query_row([failures], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Backlog {
            approvals: connection.prepare_cached(WAITING_APPROVALS)?.query_row([now.0], |row| row.get(0))?,
            events,
            dead_letters: connection.prepare_cached(DEAD_LETTERS)?.query_row([i64::MIN], |row| row.get(0))?,
            failing_webhooks,
        })
    }

    fn last_entries_of(&self, tenant: &TenantId, sessions: &[SessionId]) -> Result<HashMap<SessionId, UnixMicros>> {
        self.require_reader()?;
        let mut last = HashMap::new();
        let mut statement = self.connection()?.prepare_cached(LAST_ENTRY_OF)?;
        let folded = (1, self.last_in_tiles(tenant)?.saturating_add(1));
        for session in sessions {
            let mut at: Option<i64> = None;
            let mut walk =
                Walk::backward(self.connection()?, tenant, vec![Kind::Session.of(session.as_str())], folded)?;
            while let (None, Some(runs)) = (at, walk.next()?) {
                for (first, end) in runs {
                    let key = params![tenant.as_str(), first, end, session.as_str()];
                    at = at.map_or_else(|| statement.query_row(key, |row| row.get(0)).optional(), |at| Ok(Some(at)))?;
                }
            }
            last.insert(session.as_str(), at.map(UnixMicros));
        }
        self.each_in_tail(tenant, |entry| {
            if let Some(last) = last.get_mut(entry.session_id) {
                *last = Some(entry.at);
            }
        })?;
        Ok(sessions.iter().filter_map(|id| Some((id.clone(), (*last.get(id.as_str())?)?))).collect())
    }
}

impl WriteUsage for SqliteTx<'_> {
    fn add_usage(&mut self, tenant: &TenantId, month: Month, added: Usage) -> Result<()> {
        let key = (tenant.clone(), month);
        let before = self.buffer()?.usage.get(&key).unwrap_or_default();
        self.buffer()?.usage.put(key, before.plus(added));
        Ok(())
    }
}

pub(super) fn write_usage(connection: &Connection, tenant: &TenantId, month: Month, added: Usage) -> Result<()> {
    let mut statement = connection.prepare_cached(ADD_USAGE)?;
    statement.execute(params![tenant.as_str(), month.0, added.calls, added.secret_reads])?;
    Ok(())
}
