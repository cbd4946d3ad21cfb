//! Rows that are counted in: agents, tools, idempotency keys, hourly calls.

use std::collections::{BTreeMap, HashMap};

use super::{erasing::ERASED, usage::rank};
use crate::{
    ReadTx, Tx,
    database::{Connection, from_row, params},
    error::Result,
    model::{EntryKind, EntryLine, Money, Session, TenantId, UnixMicros},
    statements::statements,
    write_buffer::{Ranked, ToolKey},
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
        ON CONFLICT DO UPDATE SET answers = max(0, kept_answers.answers + ?2), bytes = max(0, kept_answers.bytes + ?3)";
    ANSWER_BYTES = "SELECT coalesce(length(CAST(body AS BLOB)), 0) FROM idempotency
        WHERE tenant = ?1 AND caller = ?2 AND key = ?3";
    OLD_ANSWERS = "SELECT tenant, caller, key FROM idempotency WHERE created_at < ?1 ORDER BY created_at LIMIT ?2";
    FORGET_ANSWER = "DELETE FROM idempotency WHERE tenant = ?1 AND caller = ?2 AND key = ?3";
    CALLS = "SELECT used FROM hourly_calls WHERE key_digest = ?1 AND hour = ?2";
    PUT_CALLS = "INSERT OR REPLACE INTO hourly_calls (key_digest, hour, used) VALUES (?1, ?2, ?3)";
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

/// What is known of an agent: totals, and the windows that anomaly rules count in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct AgentStats {
    pub actions: i64,
    pub cost: Money,
    pub authorized: Money,
    pub burst_start: UnixMicros,
    pub burst_count: i64,
    pub refusal_start: UnixMicros,
    pub refusal_count: i64,
    pub secret_start: UnixMicros,
    pub secret_count: i64,
}

/// How often something happened and what it cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Cost {
    pub actions: i64,
    pub cost: Money,
}

impl Cost {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { actions: self.actions.saturating_add(other.actions), cost: self.cost.saturating_add(other.cost) }
    }

    /// What is left without the other.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { actions: self.actions.saturating_sub(other.actions), cost: self.cost.minus_floor_zero(other.cost) }
    }
}

/// Whose costs are listed.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum CostsOf<'a> {
    /// Of agents, in the order of their names.
    Agents,
    /// Of the newest sessions, of one agent or all.
    Sessions { agent: Option<&'a str> },
    /// Of tools, in the order of their names.
    Tools,
    /// Of the tools that an agent used.
    ToolsOfAgent(&'a str),
    /// Of the tools that a session used.
    ToolsOfSession(&'a str),
}

/// The answer that a repeated call gets again.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct IdempotentResponse {
    /// Of the operation and its input.
    pub digest: [u8; 32],
    pub status: u16,
    /// `None` where the answer holds a secret: such answers are never kept.
    pub body: Option<String>,
    pub created_at: UnixMicros,
    /// The session that the call named; empty if it named none. Nothing is decided by it.
    pub session_id: String,
}

from_row! { AgentStats {
    actions, cost, authorized, burst_start, burst_count, refusal_start, refusal_count, secret_start, secret_count,
} }

from_row! { Cost { actions, cost } }

from_row! { IdempotentResponse { digest, status, body, created_at, session_id } }

#[allow(missing_docs)]
impl ReadTx {
    pub fn agent(&self, tenant: &TenantId, agent: &str) -> Result<Option<AgentStats>> {
        let key = (tenant.clone(), agent.to_owned());
        match self.buffer_if_writer().and_then(|buffer| buffer.agents.get(&key)) {
            Some(stats) => Ok(Some(stats.value)),
            None => self.first(AGENT, params![tenant, agent]),
        }
    }

    /// What was logged, at most `limit` lines.
    pub fn costs(&self, tenant: &TenantId, of: CostsOf<'_>, limit: usize) -> Result<Vec<(String, Cost)>> {
        self.require_reader()?;
        let (sql, key) = match of {
            CostsOf::Agents => (AGENT_COSTS, None),
            CostsOf::Sessions { agent: None } => (SESSION_COSTS, None),
            CostsOf::Sessions { agent } => (SESSION_COSTS_OF_AGENT, agent.map(str::to_owned)),
            CostsOf::Tools => (TOOL_COSTS, Some(String::new())),
            CostsOf::ToolsOfAgent(agent) => (TOOL_COSTS, Some(of_agent(agent))),
            CostsOf::ToolsOfSession(session) => (TOOL_COSTS, Some(of_session(session))),
        };
        let params = params![tenant, limit, key];
        let found: Vec<(String, Cost)> = self.all(sql, if key.is_none() { &params[..2] } else { params })?;
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

    /// What the whole tenant has authorized and not given back.
    pub fn authorized_total(&self, tenant: &TenantId) -> Result<Money> {
        match self.buffer_if_writer().and_then(|buffer| buffer.authorized.get(tenant)) {
            Some(total) => Ok(total),
            None => Ok(self.first(AUTHORIZED, params![tenant])?.unwrap_or(Money::ZERO)),
        }
    }

    /// How many answers the tenant has kept for repeated calls, and the bytes of their bodies.
    pub fn kept_responses(&self, tenant: &TenantId) -> Result<(i64, i64)> {
        Ok(self.first(KEPT_ANSWERS, params![tenant])?.unwrap_or_default())
    }

    pub fn idempotent_response(
        &self,
        tenant: &TenantId,
        caller: &str,
        key: &str,
    ) -> Result<Option<IdempotentResponse>> {
        self.first(ANSWER, params![tenant, caller, key])
    }

    /// The length of an answer's body that is kept; `None` if there is no such answer.
    fn answer_bytes(&self, tenant: &str, caller: &str, key: &str) -> Result<Option<i64>> {
        self.first(ANSWER_BYTES, params![tenant, caller, key])
    }
}

#[allow(missing_docs)]
impl Tx {
    pub fn put_agent(&mut self, tenant: &TenantId, agent: &str, stats: &AgentStats) -> Result<()> {
        let key = (tenant.clone(), agent.to_owned());
        let agents = &self.buffer().agents;
        let moved = match agents.get(&key) {
            Some(row) => row.moved || rank(stats.actions) != rank(row.value.actions),
            // An entry counts at most one action.
            None => rank(stats.actions) != rank(stats.actions - 1),
        };
        agents.put(key, Ranked { value: stats.clone(), moved });
        Ok(())
    }

    /// Counts an action for the session and for what its agent did with the tool; returns how often the agent has used the tool,
    /// this time included.
    pub fn count_action(&mut self, tenant: &TenantId, session: &Session, tool: &str, cost: Money) -> Result<i64> {
        let logged = &self.buffer().logged;
        let key = (tenant.clone(), session.id.clone());
        let before = logged.get(&key).unwrap_or_default();
        logged.put(key, before.plus(Cost { actions: 1, cost }));
        let agent = session.agent_id.as_str();
        let key = (tenant.clone(), agent.to_owned(), tool.to_owned());
        let mut total = match self.buffer().tools.get(&key) {
            Some(row) => row,
            None => read_tool(self.connection()?, tenant, &of_agent(agent), tool)?,
        };
        add(&mut total, cost);
        self.buffer().tools.put(key, total);
        Ok(total.actions)
    }

    /// Adds to what the agent and the tenant have authorized; negative to give back.
    pub fn add_authorized(&mut self, tenant: &TenantId, agent: &str, amount: Money) -> Result<()> {
        // A total stops at the largest amount, and does not fall below zero.
        let add = |total: Money| total.saturating_add(amount).max(Money::ZERO);
        let mut stats = self.agent(tenant, agent)?.unwrap_or_default();
        stats.authorized = add(stats.authorized);
        self.put_agent(tenant, agent, &stats)?;
        let total = add(self.authorized_total(tenant)?);
        self.buffer().authorized.put(tenant.clone(), total);
        Ok(())
    }

    /// Puts an answer, and forgets a few that are from before `forget_before`.
    pub fn put_idempotent_response(
        &mut self,
        tenant: &TenantId,
        caller: &str,
        key: &str,
        answer: &IdempotentResponse,
        forget_before: UnixMicros,
    ) -> Result<()> {
        let old: Vec<(String, String, String)> =
            self.all(OLD_ANSWERS, params![forget_before, ANSWERS_FORGOTTEN_AT_ONCE])?;
        for (tenant, caller, key) in old {
            let bytes = self.answer_bytes(&tenant, &caller, &key)?.unwrap_or(0);
            // Rows of any tenant: another process may be at the same one.
            if self.change(FORGET_ANSWER, params![tenant, caller, key])? > 0 {
                self.change(ADD_KEPT_ANSWERS, params![tenant, -1_i64, -bytes])?;
            }
        }
        let before = self.answer_bytes(tenant.as_str(), caller, key)?;
        let bytes = i64::try_from(answer.body.as_ref().map_or(0, String::len)).unwrap_or(i64::MAX);
        let added = (i64::from(before.is_none()), bytes - before.unwrap_or(0));
        if added != (0, 0) {
            self.change(ADD_KEPT_ANSWERS, params![tenant, added.0, added.1])?;
        }
        let IdempotentResponse { digest, status, body, created_at, session_id } = answer;
        self.change(PUT_ANSWER, params![tenant, caller, key, digest, status, body, created_at, session_id]).map(drop)
    }

    /// Takes up to `wanted` calls from what `limit` leaves of an hour; answers how many, and how many were used.
    pub fn take_calls(&mut self, key_digest: &[u8; 32], hour: i64, wanted: i64, limit: i64) -> Result<(i64, i64)> {
        let used: i64 = self.first(CALLS, params![key_digest, hour])?.unwrap_or(0);
        let taken = wanted.min(limit - used).max(0);
        if taken > 0 {
            self.change(PUT_CALLS, params![key_digest, hour, used + taken])?;
        }
        Ok((taken, used + taken))
    }
}

pub(crate) fn write_authorized(db: &dyn Connection, tenant: &TenantId, total: Money) -> Result<()> {
    db.send(PUT_AUTHORIZED, params![tenant, total])
}

pub(crate) fn write_agent(
    db: &dyn Connection,
    tenant: &TenantId,
    agent: &str,
    Ranked { value: s, .. }: &Ranked<AgentStats>,
) -> Result<()> {
    let params = params![
        tenant,
        agent,
        s.actions,
        s.cost,
        s.authorized,
        s.burst_start,
        s.burst_count,
        s.refusal_start,
        s.refusal_count,
        s.secret_start,
        s.secret_count,
        rank(s.actions),
    ];
    db.send_row(PUT_AGENT, params)
}

/// The rank of an agent whose row is written, if it has changed.
pub(crate) fn write_rank(
    db: &dyn Connection,
    tenant: &TenantId,
    agent: &str,
    Ranked { value, moved }: &Ranked<AgentStats>,
) -> Result<()> {
    if *moved { db.send(RANK_AGENT, params![tenant, agent, rank(value.actions)]) } else { Ok(()) }
}

fn add(total: &mut Cost, cost: Money) {
    *total = total.plus(Cost { actions: 1, cost });
}

pub(crate) fn read_tool(db: &dyn Connection, tenant: &TenantId, of: &str, tool: &str) -> Result<Cost> {
    Ok(db.first(TOOL_USE, params![tenant, of, tool])?.unwrap_or_default())
}

pub(crate) fn write_tool(db: &dyn Connection, (tenant, agent, tool): &ToolKey, total: Cost) -> Result<()> {
    put_tool(db, tenant, &of_agent(agent), tool, total, 0)
}

fn put_tool(db: &dyn Connection, tenant: &TenantId, of: &str, tool: &str, total: Cost, rank: i64) -> Result<()> {
    db.send_row(PUT_TOOL_USE, params![tenant, of, tool, total.actions, total.cost, rank])
}

/// Entries have lost the tools that they used: what was counted of these counts under [`ERASED`]. The tallies of their
/// sessions go with the sessions.
pub(crate) fn forget_tools(tx: &Tx, tenant: &TenantId, entries: &[(i64, EntryLine<'_>)]) -> Result<()> {
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
                let db = tx.any_change()?;
                let total = change(read_tool(db, tenant, "", tool)?);
                if total.actions <= 0 {
                    db.send(DELETE_TOOL, params![tenant, "", tool])?;
                    continue;
                }
                put_tool(db, tenant, "", tool, total, rank(total.actions))?;
                db.send(RANK_TOOL, params![tenant, "", tool, rank(total.actions)])?;
                continue;
            }
            let key = (tenant.clone(), agent.to_owned(), tool.to_owned());
            let of = of_agent(agent);
            if let Some(row) = tx.buffer().tools.get(&key) {
                tx.buffer().tools.put(key, change(row));
                continue;
            }
            let total = change(read_tool(tx.connection()?, tenant, &of, tool)?);
            if total.actions > 0 {
                put_tool(tx.any_change()?, tenant, &of, tool, total, 0)?;
            } else {
                tx.change(DELETE_TOOL, params![tenant, of, tool])?;
            }
        }
    }
    Ok(())
}

/// What entries add to the tallies of the tools of the tenant and of sessions. Those of agents are looked at as each
/// entry is appended.
#[derive(Default)]
pub(crate) struct ToolCounts(HashMap<(Option<String>, String), Cost>);

impl ToolCounts {
    pub(crate) fn count(&mut self, entry: &EntryLine<'_>) {
        if entry.kind == EntryKind::Action {
            for session in [None, Some(entry.session_id.to_owned())] {
                add(self.0.entry((session, entry.tool.to_owned())).or_default(), entry.cost);
            }
        }
    }

    /// Of the whole tenant, by tool.
    pub(crate) fn of_tenant(self) -> impl Iterator<Item = (String, Cost)> {
        self.0.into_iter().filter(|((session, _), _)| session.is_none()).map(|((_, tool), cost)| (tool, cost))
    }

    /// Adds it to what is stored.
    pub(crate) fn add_to(self, db: &dyn Connection, tenant: &TenantId) -> Result<()> {
        for ((session, tool), added) in self.0 {
            let of = session.as_deref().map_or_else(String::new, of_session);
            let before = read_tool(db, tenant, &of, &tool)?;
            let total = before.plus(added);
            // Only the whole tenant's tools have ranks.
            let ranked = if session.is_none() { rank(total.actions) } else { 0 };
            put_tool(db, tenant, &of, &tool, total, ranked)?;
            if session.is_none() && ranked != rank(before.actions) {
                db.send(RANK_TOOL, params![tenant, of, tool, ranked])?;
            }
        }
        Ok(())
    }
}
