//! `haldir agents`: the agents that have worked, and those that may work now.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use super::{
    CommandError, GlobalOptions,
    output::{amounts::dollars, line, note, table_or, when},
    sessions,
    target::Target,
};
use crate::{
    error::Error,
    gate::session_detail::SessionDetail,
    model::{Money, UnixMicros},
};

#[derive(Args)]
pub struct AgentsOptions {
    /// Only those that may act now.
    #[arg(long)]
    active: bool,
}

/// What an agent's sessions add up to.
#[derive(Default, Serialize)]
struct AgentTotals {
    agent_id: String,
    active: usize,
    sessions: usize,
    actions: i64,
    logged_cost_usd: Money,
    newest_session_at: UnixMicros,
}

/// The list, for programs.
#[derive(Serialize)]
struct AgentReport {
    agents: Vec<AgentTotals>,
    more: bool,
}

impl AgentTotals {
    fn add(&mut self, session: SessionDetail) {
        self.active += usize::from(session.is_valid);
        self.sessions += 1;
        self.actions += session.action_count;
        self.logged_cost_usd = self.logged_cost_usd.saturating_add(session.logged_cost_usd);
        self.newest_session_at = self.newest_session_at.max(session.created_at);
        self.agent_id = session.agent_id;
    }

    fn row(&self) -> Vec<String> {
        let (active, sessions) = (self.active.to_string(), self.sessions.to_string());
        let (actions, logged) = (self.actions.to_string(), dollars(self.logged_cost_usd));
        vec![self.agent_id.clone(), active, sessions, actions, logged, when(self.newest_session_at)]
    }
}

pub fn run(options: &AgentsOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    let mut by_name: BTreeMap<String, AgentTotals> = BTreeMap::new();
    let more = sessions::each(&Target::open(global)?, None, &mut |session| {
        by_name.entry(session.agent_id.clone()).or_default().add(session);
        true
    })?;
    let agents: Vec<_> = by_name.into_values().filter(|agent| !options.active || agent.active > 0).collect();
    if global.json {
        return line(&serde_json::to_string(&AgentReport { agents, more }).map_err(Error::internal)?);
    }
    let none = if options.active { "no agent may act now" } else { "no agent has had a session" };
    let header = ["AGENT", "ACTIVE", "SESSIONS", "ACTIONS", "LOGGED COST", "NEWEST SESSION"];
    table_or(none, &header, agents.iter().map(AgentTotals::row))?;
    if more {
        note("older sessions are not counted: there are more than are read");
    }
    Ok(())
}
