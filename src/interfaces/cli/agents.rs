//! `haldir agents`: who has worked, and who may work now.

use std::{collections::BTreeMap, process::ExitCode};

use clap::Args;
use serde::Serialize;

use super::{
    GlobalOptions, Screen, Stop,
    output::{amounts::dollars, line, note, table, when},
    sessions::{self, Session},
    target::Target,
};
use crate::{
    error::Error,
    model::{Money, UnixMicros},
};

pub const HELP: &str = "\
Examples:
  haldir agents
  haldir agents --active
  haldir agents --json | jq -r '.agents[] | select(.active > 0) | .agent_id'";

#[derive(Args)]
pub struct AgentsOptions {
    /// Only those that may act now.
    #[arg(long)]
    active: bool,
}

/// What an agent's sessions add up to.
#[derive(Default, Serialize)]
struct Agent {
    #[serde(rename = "agent_id")]
    name: String,
    active: usize,
    sessions: usize,
    actions: i64,
    logged_cost_usd: Money,
    newest_session_at: UnixMicros,
}

/// The list, for programs.
#[derive(Serialize)]
struct Listed {
    agents: Vec<Agent>,
    more: bool,
}

impl Agent {
    fn add(&mut self, session: &Session) {
        self.active += usize::from(session.is_valid);
        self.sessions += 1;
        self.actions += session.action_count;
        self.logged_cost_usd = self.logged_cost_usd.saturating_add(session.logged_cost_usd);
        self.newest_session_at = self.newest_session_at.max(session.created_at);
    }

    fn row(&self) -> Vec<String> {
        let (active, sessions) = (self.active.to_string(), self.sessions.to_string());
        let (actions, logged) = (self.actions.to_string(), dollars(self.logged_cost_usd));
        vec![self.name.clone(), active, sessions, actions, logged, when(self.newest_session_at)]
    }
}

pub fn run(options: &AgentsOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let target = Target::open(global)?;
    let mut by_name: BTreeMap<String, Agent> = BTreeMap::new();
    let more = sessions::each(&target, None, &mut |session, _| {
        let agent = by_name.entry(session.agent_id.clone()).or_default();
        agent.name.clone_from(&session.agent_id);
        agent.add(&session);
        true
    })?;
    let agents: Vec<_> = by_name.into_values().filter(|agent| !options.active || agent.active > 0).collect();
    if screen.json {
        line(&serde_json::to_string(&Listed { agents, more }).map_err(Error::internal)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if agents.is_empty() {
        line(if options.active { "no agent may act now" } else { "no agent has had a session" })?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<_> = agents.iter().map(Agent::row).collect();
    table(&["AGENT", "ACTIVE", "SESSIONS", "ACTIONS", "LOGGED COST", "NEWEST SESSION"], &rows)?;
    if more {
        note("older sessions are not counted: there are more than are read");
    }
    Ok(ExitCode::SUCCESS)
}
