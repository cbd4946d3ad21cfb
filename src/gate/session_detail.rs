//! A session as operations show it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    call::session::may_act,
    error::Result,
    model::{Money, Scopes, Session, SessionId, TenantId, UnixMicros},
    store::ReadTx,
};

/// A session, with what is derived from it at the time of the call.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SessionDetail {
    /// The session's id.
    pub session_id: SessionId,
    /// The agent it was made for.
    pub agent_id: String,
    /// The scopes it holds.
    pub scopes: Scopes,
    /// Its budget in USD; null is no limit of its own.
    pub spend_limit: Option<Money>,
    /// What it and its agent's other sessions with such a limit may spend together in a UTC day, in USD; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daily_spend_limit: Option<Money>,
    /// What it and its descendants have authorized, in USD.
    pub spent: Money,
    /// What is left of its budget; null without one.
    pub remaining_budget: Option<Money>,
    /// Whether it may act now: it has not expired, and neither it, nor a session above it, nor its key was revoked.
    pub is_valid: bool,
    /// Whether it was revoked.
    pub revoked: bool,
    /// When it was created, in Unix seconds.
    pub created_at: UnixMicros,
    /// When it expires, in Unix seconds; 0 is never.
    pub expires_at: UnixMicros,
    /// The session that delegated to it; empty at the root.
    pub parent_session_id: String,
    /// How many delegations lie above it.
    pub delegation_depth: i64,
    /// What it has logged as cost, in USD.
    pub logged_cost_usd: Money,
    /// How many actions it has logged.
    pub action_count: i64,
}

impl SessionDetail {
    /// How `session` looks at `now`.
    pub fn new(tx: &ReadTx, tenant: &TenantId, session: &Session, now: UnixMicros) -> Result<Self> {
        Ok(Self {
            is_valid: may_act(tx, tenant, session, now)?,
            revoked: session.revoked_at.is_some(),
            remaining_budget: session.spend_limit.map(|limit| limit.minus_floor_zero(session.spent)),
            session_id: session.id.clone(),
            agent_id: session.agent_id.to_string(),
            scopes: session.scopes.clone(),
            spend_limit: session.spend_limit,
            daily_spend_limit: session.daily_limit,
            spent: session.spent,
            created_at: session.created_at,
            expires_at: session.expires_at.unwrap_or_default(),
            parent_session_id: session.parent.as_ref().map_or_else(String::new, ToString::to_string),
            delegation_depth: session.depth,
            logged_cost_usd: session.logged_cost,
            action_count: session.action_count,
        })
    }
}
