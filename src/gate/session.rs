//! What operations within a session share: finding it, and its form on the wire.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::authenticate::KEY_PREFIX;
use crate::{
    error::{Code, Error, Result},
    model::{Money, Scope, Scopes, Session, SessionId, TenantId, UnixMicros},
    store::ReadTx,
};

/// The session, if it may act now.
pub fn require_valid(tx: &dyn ReadTx, tenant: &TenantId, id: &SessionId, now: UnixMicros) -> Result<Arc<Session>> {
    if let Some(session) = tx.session(tenant, id)?
        && may_act(tx, tenant, &session, now)?
    {
        return Ok(session);
    }
    let message = "the session does not exist, has expired or was revoked: create a new one";
    Err(Error::new(Code::SessionInvalid, message).field("session_id"))
}

/// Whether the session may act now. It may not once it has expired, or once it, a session above it, or the key that made
/// one of them was revoked. Looked up each time, so that one change ends any number of sessions at once.
pub fn may_act(tx: &dyn ReadTx, tenant: &TenantId, session: &Session, now: UnixMicros) -> Result<bool> {
    if !session.is_valid(now) || is_of_revoked_key(tx, tenant, session)? {
        return Ok(false);
    }
    for level in above(tx, tenant, session)? {
        if level.revoked_at.is_some() || is_of_revoked_key(tx, tenant, &level)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the key that made the session was revoked. A key that expired was known to do so when the session was made.
fn is_of_revoked_key(tx: &dyn ReadTx, tenant: &TenantId, session: &Session) -> Result<bool> {
    if !session.created_by.starts_with(KEY_PREFIX) {
        return Ok(false);
    }
    let keys = tx.api_keys_by_prefix(&session.created_by)?;
    let mut ours = keys.iter().filter(|key| key.tenant == *tenant).peekable();
    Ok(ours.peek().is_some() && ours.all(|key| key.revoked_at.is_some()))
}

/// The sessions above `session`, its parent first: at most as many as delegations may lie below one another.
pub fn above(tx: &dyn ReadTx, tenant: &TenantId, session: &Session) -> Result<Vec<Arc<Session>>> {
    let mut line: Vec<Arc<Session>> = Vec::new();
    let mut next = session.parent.clone();
    while let Some(id) = next.take() {
        let level = tx.session(tenant, &id)?;
        let level = level.ok_or_else(|| Error::internal(format!("session {id} is gone, but not its children")))?;
        next.clone_from(&level.parent);
        line.push(level);
    }
    Ok(line)
}

/// Refuses unless the session holds the scope.
pub fn require_scope(session: &Session, scope: &Scope) -> Result<()> {
    if session.scopes.hold(scope) {
        return Ok(());
    }
    let message = format!("the session lacks the scope `{scope}`; it has: {}", session.scopes);
    Err(Error::new(Code::ScopeDenied, message).with("required", scope.as_str()))
}

/// The session, valid or not; for looking at it.
pub fn require(tx: &dyn ReadTx, tenant: &TenantId, id: &SessionId) -> Result<Arc<Session>> {
    tx.session(tenant, id)?.ok_or_else(|| Error::not_found("the session").field("session_id"))
}

/// A session as everyone sees it.
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
    /// What it and its agent's other sessions that say so may spend in a UTC day, in USD; absent without such a limit.
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
    pub fn new(tx: &dyn ReadTx, tenant: &TenantId, session: &Session, now: UnixMicros) -> Result<Self> {
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
