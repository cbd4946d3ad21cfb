//! Rows that are counted in: agents, tools, idempotency keys, hourly calls.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    SqliteTx,
    rows::{Columns, rows},
    statements::statements,
    write_buffer::{Ranked, ToolKey},
};
use crate::{
    AgentStats, Cost, CostsOf, IdempotentResponse, ReadCounters, WriteCounters,
    erasing::ERASED,
    error::Result,
    model::{EntryKind, EntryLine, Money, Session, TenantId, UnixMicros},
    usage::rank,
};

statements! {
    AGENT = "SELECT actions, cost, authorized, burst_start, burst_count, refusal_start, refusal_count, secret_start,
        secret_count FROM agents WHERE tenant = ?1 AND agent_id = ?2";
    AGENT_COSTS = "SELECT agent_id AS name, actions, cost FROM agents WHERE tenant = ?1 ORDER BY agent_id LIMIT ?2";
    PUT_AGENT = "INSERT INTO agents (tenant, agent_id, actions, cost, authorized, burst_start, burst_count,
        refusal_start, refusal_count, secret_start, secret_count, rank)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
        ON CONFLICT DO UPDATE SET actions = ?3, cost = ?4, authorized = ?5, burst_start = ?6, burst_count = ?7,
        refusal_start = ?8, refusal_count = ?9, secret_start = ?10, secret_count = ?11";
    RANK_AGENT = "UPDATE agents SET rank = ?3 WHERE tenant = ?1 AND agent_id = ?2";
    SESSION_COSTS = "SELECT id AS name, action_count AS actions, logged_cost AS cost FROM sessions
        WHERE tenant = ?1 ORDER BY created_at DESC, id DESC LIMIT ?2";
    SESSION_COSTS_OF_AGENT = "SELECT id AS name, action_count AS actions, logged_cost AS cost FROM sessions
        WHERE tenant = ?1 AND agent_id = ?3 ORDER BY created_at DESC, id DESC LIMIT ?2";
    TOOL_COSTS = "SELECT tool AS name, actions, cost FROM tool_tallies WHERE tenant = ?1 AND of = ?3
        ORDER BY tool LIMIT ?2";
    TOOL_USE = "SELECT actions, cost FROM tool_tallies WHERE tenant = ?1 AND of = ?2 AND tool = ?3";
    PUT_TOOL_USE = "INSERT INTO tool_tallies (tenant, of, tool, actions, cost, rank) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT DO UPDATE SET actions = ?4, cost = ?5";
    RANK_TOOL = "UPDATE tool_tallies SET rank = ?4 WHERE tenant = ?1 AND of = ?2 AND tool = ?3";
    DELETE_TOOL = "DELETE FROM tool_tallies WHERE tenant = ?1 AND of = ?2 AND tool = ?3";
    AUTHORIZED = "SELECT authorized FROM tenants WHERE id = ?1";
    PUT_AUTHORIZED = "UPDATE tenants SET authorized = ?2 WHERE id = ?1";
    ANSWER = "SELECT digest, status, body, created_at, ifnull(session_id, '') FROM idempotency WHERE tenant = ?1 AND caller = ?2 AND key = ?3";
    PUT_ANSWER = "INSERT OR REPLACE INTO idempotency (tenant, caller, key, digest, status, body, created_at, session_id)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    KEPT_ANSWERS = "SELECT answers, bytes FROM kept_answers WHERE tenant = ?1";
    ADD_KEPT_ANSWERS = "INSERT INTO kept_answers (tenant, answers, bytes) VALUES (?1, ?2, ?3)
        ON CONFLICT DO UPDATE SET answers = max(0, answers + ?2), bytes = max(0, bytes + ?3)";
    ANSWER_BYTES = "SELECT coalesce(length(CAST(body AS BLOB)), 0) FROM idempotency
        WHERE tenant = ?1 AND caller = ?2 AND key = ?3";
    OLD_ANSWERS = "SELECT tenant, caller, key FROM idempotency WHERE created_at < ?1 ORDER BY created_at LIMIT ?2";
    FORGET_ANSWER = "DELETE FROM idempotency WHERE tenant = ?1 AND caller = ?2 AND key = ?3";
    CALLS = "SELECT used FROM hourly_calls WHERE key_digest = ?1 AND hour = ?2";
    PUT_CALLS = "INSERT OR REPLACE INTO hourly_calls (key_digest, hour, used) VALUES (?1, ?2, ?3)";
}

fn named_cost(row: &Row<'_>) -> Result<(String, Cost)> {
    let mut columns = Columns::of(row);
    Ok((columns.next()?, Cost { actions: columns.next()?, cost: columns.next()? }))
}

/// Old answers that one new answer clears away: more than it adds, so that they become fewer.
const ANSWERS_FORGOTTEN_AT_ONCE: usize = 4;

/// Under which name the tools of an agent are tallied; those of the tenant are under the empty one.
fn of_agent(agent: &str) -> String {
    format!("a:{agent}")
}

fn of_session(session: &str) -> String {
    format!("s:{session}")
}

impl ReadCounters for SqliteTx<'_> {
    fn agent(&self, tenant: &TenantId, agent: &str) -> Result<Option<AgentStats>> {
        if let Some(buffer) = self.buffer_if_writer()
            && let Some(stats) = buffer.agents.get(&(tenant.clone(), agent.to_owned()))
        {
            return Ok(Some(stats.value));
        }
        let mut statement = self.connection()?.prepare_cached(AGENT)?;
        let mut rows = statement.query([tenant.as_str(), agent])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let mut columns = Columns::of(row);
        Ok(Some(AgentStats {
            actions: columns.next()?,
            cost: columns.next()?,
            authorized: columns.next()?,
            burst_start: columns.next()?,
            burst_count: columns.next()?,
            refusal_start: columns.next()?,
            refusal_count: columns.next()?,
            secret_start: columns.next()?,
            secret_count: columns.next()?,
        }))
    }

    fn costs(&self, tenant: &TenantId, of: CostsOf<'_>, limit: usize) -> Result<Vec<(String, Cost)>> {
        self.require_reader()?;
        let (sql, key) = match of {
            CostsOf::Agents => (AGENT_COSTS, None),
            CostsOf::Sessions { agent: None } => (SESSION_COSTS, None),
            CostsOf::Sessions { agent } => (SESSION_COSTS_OF_AGENT, agent.map(str::to_owned)),
            CostsOf::Tools => (TOOL_COSTS, Some(String::new())),
            CostsOf::ToolsOfAgent(agent) => (TOOL_COSTS, Some(of_agent(agent))),
            CostsOf::ToolsOfSession(session) => (TOOL_COSTS, Some(of_session(session))),
        };
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let found = match &key {
            Some(key) => statement.query_and_then(params![tenant.as_str(), rows(limit), key], named_cost)?,
            None => statement.query_and_then(params![tenant.as_str(), rows(limit)], named_cost)?,
        };
        let found: Vec<(String, Cost)> = found.collect::<Result<_>>()?;
        let session = match of {
            CostsOf::Tools => None,
            CostsOf::ToolsOfSession(session) => Some(session),
            _ => return Ok(found),
        };
        // In the order of their names, those that come too early for the limit are complete.
        let mut tools: BTreeMap<String, Cost> = found.into_iter().collect();
        self.each_in_tail(tenant, |entry| {
            if entry.kind == EntryKind::Action && session.is_none_or(|session| session == entry.session_id) {
                add(tools.entry(entry.tool.to_owned()).or_default(), entry.cost);
            }
        })?;
        Ok(tools.into_iter().take(limit).collect())
    }

    fn authorized_total(&self, tenant: &TenantId) -> Result<Money> {
        if let Some(total) = self.buffer_if_writer().and_then(|buffer| buffer.authorized.get(tenant)) {
            return Ok(total);
        }
        let mut statement = self.connection()?.prepare_cached(AUTHORIZED)?;
        let nanos = statement.query_row([tenant.as_str()], |row| row.get(0)).optional()?;
        Ok(Money::from_nanos(nanos.unwrap_or(0)))
    }

    fn kept_responses(&self, tenant: &TenantId) -> Result<(i64, i64)> {
        let mut statement = self.connection()?.prepare_cached(KEPT_ANSWERS)?;
        let found = statement.query_row([tenant.as_str()], |row| Ok((row.get(0)?, row.get(1)?)));
        Ok(found.optional()?.unwrap_or_default())
    }

    fn idempotent_response(&self, tenant: &TenantId, caller: &str, key: &str) -> Result<Option<IdempotentResponse>> {
        let mut statement = self.connection()?.prepare_cached(ANSWER)?;
        let mut rows = statement.query([tenant.as_str(), caller, key])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let mut columns = Columns::of(row);
        Ok(Some(IdempotentResponse {
            digest: columns.next()?,
            status: columns.next()?,
            body: columns.next()?,
            created_at: columns.next()?,
            session_id: columns.next()?,
        }))
    }
}

impl WriteCounters for SqliteTx<'_> {
    fn put_agent(&mut self, tenant: &TenantId, agent: &str, stats: &AgentStats) -> Result<()> {
        let key = (tenant.clone(), agent.to_owned());
        let buffer = self.buffer()?;
        let moved = match buffer.agents.get(&key) {
            Some(row) => row.moved || rank(stats.actions) != rank(row.value.actions),
            // An entry counts at most one action.
            None => rank(stats.actions) != rank(stats.actions - 1),
        };
        buffer.agents.put(key, Ranked { value: stats.clone(), moved });
        Ok(())
    }

    fn count_action(&mut self, tenant: &TenantId, session: &Session, tool: &str, cost: Money) -> Result<i64> {
        let logged = &self.buffer()?.logged;
        let key = (tenant.clone(), session.id.clone());
        let before = logged.get(&key).unwrap_or_default();
        logged.put(key, before.plus(Cost { actions: 1, cost }));
        let agent = session.agent_id.as_str();
        let key = (tenant.clone(), agent.to_owned(), tool.to_owned());
        let mut total = match self.buffer()?.tools.get(&key) {
            Some(row) => row,
            None => read_tool(self.connection()?, tenant, &of_agent(agent), tool)?,
        };
        add(&mut total, cost);
        self.buffer()?.tools.put(key, total);
        Ok(total.actions)
    }

    fn add_authorized(&mut self, tenant: &TenantId, agent: &str, amount: Money) -> Result<()> {
        // A total stops at the largest amount, and does not fall below zero.
        let add = |total: Money| total.saturating_add(amount).max(Money::ZERO);
        let mut stats = self.agent(tenant, agent)?.unwrap_or_default();
        stats.authorized = add(stats.authorized);
        self.put_agent(tenant, agent, &stats)?;
        let total = add(self.authorized_total(tenant)?);
        self.buffer()?.authorized.put(tenant.clone(), total);
        Ok(())
    }

    fn put_idempotent_response(
        &mut self,
        tenant: &TenantId,
        caller: &str,
        key: &str,
        answer: &IdempotentResponse,
        forget_before: UnixMicros,
    ) -> Result<()> {
        self.forget_answers(forget_before)?;
        let before = answer_bytes(self.connection()?, tenant.as_str(), caller, key)?;
        let bytes = i64::try_from(answer.body.as_ref().map_or(0, String::len)).unwrap_or(i64::MAX);
        let added = (i64::from(before.is_none()), bytes - before.unwrap_or(0));
        if added != (0, 0) {
            let mut statement = self.change(ADD_KEPT_ANSWERS)?;
            statement.execute(params![tenant.as_str(), added.0, added.1])?;
        }
        self.change(PUT_ANSWER)?.execute(params![
            tenant.as_str(),
            caller,
            key,
            answer.digest,
            answer.status,
            answer.body,
            answer.created_at.0,
            answer.session_id,
        ])?;
        Ok(())
    }

    fn take_calls(&mut self, key_digest: &[u8; 32], hour: i64, wanted: i64, limit: i64) -> Result<(i64, i64)> {
        let mut select = self.connection()?.prepare_cached(CALLS)?;
        let used: i64 = select.query_row(params![key_digest, hour], |row| row.get(0)).optional()?.unwrap_or(0);
        let taken = wanted.min(limit - used).max(0);
        if taken > 0 {
            self.change(PUT_CALLS)?.execute(params![key_digest, hour, used + taken])?;
        }
        Ok((taken, used + taken))
    }
}

impl SqliteTx<'_> {
    /// Forgets a few answers from before `before`.
    fn forget_answers(&self, before: UnixMicros) -> Result<()> {
        let mut select = self.connection()?.prepare_cached(OLD_ANSWERS)?;
        let old: Vec<(String, String, String)> = select
            .query_map(params![before.0, rows(ANSWERS_FORGOTTEN_AT_ONCE)], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect::<Result<_, _>>()?;
        for (tenant, caller, key) in old {
            let bytes = answer_bytes(self.connection()?, &tenant, &caller, &key)?.unwrap_or(0);
            self.change(ADD_KEPT_ANSWERS)?.execute(params![tenant, -1, -bytes])?;
            self.change(FORGET_ANSWER)?.execute([tenant, caller, key])?;
        }
        Ok(())
    }
}

/// The length of an answer's body that is kept; `None` if there is no such answer.
fn answer_bytes(connection: &Connection, tenant: &str, caller: &str, key: &str) -> Result<Option<i64>> {
    let mut statement = connection.prepare_cached(ANSWER_BYTES)?;
    Ok(statement.query_row([tenant, caller, key], |row| row.get(0)).optional()?)
}

pub(super) fn write_authorized(connection: &Connection, tenant: &TenantId, total: Money) -> Result<()> {
    connection.prepare_cached(PUT_AUTHORIZED)?.execute(params![tenant.as_str(), total.nanos()])?;
    Ok(())
}

pub(super) fn write_agent(
    connection: &Connection,
    tenant: &TenantId,
    agent: &str,
    Ranked { value: stats, moved }: &Ranked<AgentStats>,
) -> Result<()> {
    let rank = rank(stats.actions);
    connection.prepare_cached(PUT_AGENT)?.execute(params![
        tenant.as_str(),
        agent,
        stats.actions,
        stats.cost.nanos(),
        stats.authorized.nanos(),
        stats.burst_start.0,
        stats.burst_count,
        stats.refusal_start.0,
        stats.refusal_count,
        stats.secret_start.0,
        stats.secret_count,
        rank,
    ])?;
    if *moved {
        connection.prepare_cached(RANK_AGENT)?.execute(params![tenant.as_str(), agent, rank])?;
    }
    Ok(())
}

fn add(total: &mut Cost, cost: Money) {
    *total = total.plus(Cost { actions: 1, cost });
}

pub(super) fn read_tool(connection: &Connection, tenant: &TenantId, of: &str, tool: &str) -> Result<Cost> {
    let mut statement = connection.prepare_cached(TOOL_USE)?;
    let mut rows = statement.query([tenant.as_str(), of, tool])?;
    let Some(row) = rows.next()? else { return Ok(Cost::default()) };
    let mut columns = Columns::of(row);
    Ok(Cost { actions: columns.next()?, cost: columns.next()? })
}

pub(super) fn write_tool(connection: &Connection, (tenant, agent, tool): &ToolKey, total: Cost) -> Result<()> {
    put_tool(connection, tenant, &of_agent(agent), tool, total, 0)
}

fn put_tool(connection: &Connection, tenant: &TenantId, of: &str, tool: &str, total: Cost, rank: i64) -> Result<()> {
    let mut statement = connection.prepare_cached(PUT_TOOL_USE)?;
    statement.execute(params![tenant.as_str(), of, tool, total.actions, total.cost.nanos(), rank])?;
    Ok(())
}

/// Entries have lost the tools that they used: what was counted of these counts under [`ERASED`]. The tallies of their
/// sessions go with the sessions.
pub(super) fn forget_tools(tx: &SqliteTx<'_>, tenant: &TenantId, entries: &[(i64, EntryLine<'_>)]) -> Result<()> {
    let mut moved: BTreeMap<(&str, &str), Cost> = BTreeMap::new();
    for (_, entry) in entries.iter().filter(|(_, entry)| entry.kind == EntryKind::Action) {
        for agent in ["", entry.agent_id] {
            add(moved.entry((agent, entry.tool)).or_default(), entry.cost);
        }
    }
    for ((agent, tool), gone) in moved {
        for (tool, is_gone) in [(tool, true), (ERASED, false)] {
            let change = |before: Cost| if is_gone { before.minus(gone) } else { before.plus(gone) };
            if agent.is_empty() {
                let connection = tx.any_change()?;
                let total = change(read_tool(connection, tenant, "", tool)?);
                if total.actions <= 0 {
                    connection.prepare_cached(DELETE_TOOL)?.execute([tenant.as_str(), "", tool])?;
                    continue;
                }
                put_tool(connection, tenant, "", tool, total, rank(total.actions))?;
                let params = params![tenant.as_str(), "", tool, rank(total.actions)];
                connection.prepare_cached(RANK_TOOL)?.execute(params)?;
                continue;
            }
            let key = (tenant.clone(), agent.to_owned(), tool.to_owned());
            let of = of_agent(agent);
            if let Some(row) = tx.buffer()?.tools.get(&key) {
                tx.buffer()?.tools.put(key, change(row));
                continue;
            }
            let total = change(read_tool(tx.connection()?, tenant, &of, tool)?);
            if total.actions > 0 {
                put_tool(tx.any_change()?, tenant, &of, tool, total, 0)?;
            } else {
                tx.change(DELETE_TOOL)?.execute([tenant.as_str(), &of, tool])?;
            }
        }
    }
    Ok(())
}

/// What entries add to the tallies of the tools of the tenant and of sessions. Those of agents are looked at as each
/// entry is appended.
#[derive(Default)]
pub(super) struct ToolCounts(HashMap<(Option<String>, String), Cost>);

impl ToolCounts {
    pub(super) fn count(&mut self, entry: &EntryLine<'_>) {
        if entry.kind == EntryKind::Action {
            for session in [None, Some(entry.session_id.to_owned())] {
                add(self.0.entry((session, entry.tool.to_owned())).or_default(), entry.cost);
            }
        }
    }

    /// Of the whole tenant, by tool.
    pub(super) fn of_tenant(self) -> impl Iterator<Item = (String, Cost)> {
        self.0.into_iter().filter(|((session, _), _)| session.is_none()).map(|((_, tool), cost)| (tool, cost))
    }

    /// Adds it to what is stored.
    pub(super) fn add_to(self, connection: &Connection, tenant: &TenantId) -> Result<()> {
        for ((session, tool), added) in self.0 {
            let of = session.as_deref().map_or_else(String::new, of_session);
            let before = read_tool(connection, tenant, &of, &tool)?;
            let total = before.plus(added);
            // Only the whole tenant's tools have ranks.
            let ranked = if session.is_none() { rank(total.actions) } else { 0 };
            put_tool(connection, tenant, &of, &tool, total, ranked)?;
            if session.is_none() && ranked != rank(before.actions) {
                connection.prepare_cached(RANK_TOOL)?.execute(params![tenant.as_str(), of, tool, ranked])?;
            }
        }
        Ok(())
    }
}
