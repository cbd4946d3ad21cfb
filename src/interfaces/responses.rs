//! The response of `getOverview`, as the terminal and the dashboard read it. What a server of another version leaves out is
//! not shown.

use serde::{Deserialize, Serialize};

use crate::model::{Money, UnixMicros};

#[derive(Deserialize)]
pub struct Overview {
    pub tenant_id: String,
    pub tier: String,
    pub generated_at: String,
    pub usage: Usage,
    pub sessions: Sessions,
    pub vault: Vault,
    pub audit: Audit,
    pub webhooks: Webhooks,
    pub approvals: Approvals,
    pub compliance: Compliance,
    pub health: Health,
}

/// What servers say where there is no limit, if they do not say that there is none: numbers from here on, or 0.
const NO_LIMIT_OF_CALLS: i64 = 999_999_000;
const NO_LIMIT_OF_AGENTS: i64 = 999_999;

/// The limit, where there is one. An older server says so by the number alone.
fn limit(exists: Option<bool>, number: Option<i64>, none: i64) -> Option<i64> {
    number.filter(|number| exists.unwrap_or(*number > 0 && *number < none))
}

#[derive(Deserialize)]
pub struct Usage {
    /// Calls, by the name that older servers have for them.
    actions_this_month: i64,
    calls_this_month: Option<i64>,
    pub logged_actions_this_month: Option<i64>,
    actions_limit: Option<i64>,
    has_actions_limit: Option<bool>,
    pub spend_usd_this_month: Money,
}

impl Usage {
    /// Calls of agents and API keys.
    pub fn calls(&self) -> i64 {
        self.calls_this_month.unwrap_or(self.actions_this_month)
    }

    /// How many calls a month may have.
    pub fn limit(&self) -> Option<i64> {
        limit(self.has_actions_limit, self.actions_limit, NO_LIMIT_OF_CALLS)
    }
}

#[derive(Deserialize)]
pub struct Sessions {
    pub active_count: i64,
    pub agents_active: i64,
    agents_limit: Option<i64>,
    has_agents_limit: Option<bool>,
    #[serde(default, rename = "sessions")]
    pub open: Vec<OpenSession>,
}

impl Sessions {
    /// How many agents may have a session.
    pub fn agents_limit(&self) -> Option<i64> {
        limit(self.has_agents_limit, self.agents_limit, NO_LIMIT_OF_AGENTS)
    }
}

#[derive(Deserialize)]
pub struct OpenSession {
    #[serde(default)]
    pub session_id: String,
    pub agent_id: String,
    #[serde(default)]
    pub scopes: Vec<String>,
    pub spent: Money,
    pub spend_limit: Option<Money>,
}

#[derive(Deserialize)]
pub struct Vault {
    pub secrets_count: i64,
    pub secret_access_count: i64,
}

#[derive(Deserialize)]
pub struct Audit {
    pub total_entries: i64,
    pub flagged_7d: i64,
    pub chain_verified: bool,
    pub last_entry_at: Option<String>,
    #[serde(default)]
    pub recent: Vec<LogEntry>,
}

#[derive(Deserialize)]
pub struct LogEntry {
    pub agent_id: String,
    pub tool: String,
    pub action: String,
    pub timestamp: UnixMicros,
    #[serde(default)]
    pub flagged: bool,
}

#[derive(Deserialize)]
pub struct Webhooks {
    pub registered_count: i64,
    pub deliveries_24h: i64,
    pub delivery_success_rate_24h: f64,
    #[serde(default)]
    pub failed_24h: i64,
}

#[derive(Deserialize)]
pub struct Approvals {
    pub pending_count: i64,
}

#[derive(Deserialize)]
pub struct Compliance {
    pub schedules_count: i64,
    pub next_due_at: Option<String>,
    #[serde(default)]
    pub last_run_status: String,
}

#[derive(Deserialize, Serialize)]
pub struct Health {
    pub status: String,
    #[serde(default)]
    pub components: Vec<Component>,
}

/// A part of haldir.
#[derive(Deserialize, Serialize)]
pub struct Component {
    pub name: String,
    /// `ok`, `degraded`, `down` or `off`.
    pub state: String,
    #[serde(default)]
    pub message: String,
}
