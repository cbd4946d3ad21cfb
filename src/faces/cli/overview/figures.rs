//! What the overview reads of an answer. What a server of another version leaves out is not shown.

use serde::Deserialize;

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

#[derive(Deserialize)]
pub struct Usage {
    pub actions_this_month: i64,
    pub actions_limit: Option<i64>,
    pub spend_usd_this_month: Money,
}

#[derive(Deserialize)]
pub struct Sessions {
    pub active_count: i64,
    pub agents_active: i64,
    pub agents_limit: Option<i64>,
    #[serde(default, rename = "sessions")]
    pub open: Vec<Session>,
}

#[derive(Deserialize)]
pub struct Session {
    pub agent_id: String,
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
    #[serde(default)]
    pub recent: Vec<Entry>,
}

#[derive(Deserialize)]
pub struct Entry {
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

#[derive(Deserialize)]
pub struct Health {
    pub status: String,
    #[serde(default)]
    pub components: Vec<Component>,
}

#[derive(Deserialize)]
pub struct Component {
    pub name: String,
    pub state: String,
    #[serde(default)]
    pub message: String,
}
