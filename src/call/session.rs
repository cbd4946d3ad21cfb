//! The session that a call names: whether it exists, may act now, and holds a scope.

use std::sync::Arc;

use crate::{
    error::{Code, Error, Result},
    model::{KEY_PREFIX, Scope, Session, SessionId, TenantId, UnixMicros},
    store::ReadTx,
};

/// The session, if it may act now.
pub fn require_valid(tx: &ReadTx, tenant: &TenantId, id: &SessionId, now: UnixMicros) -> Result<Arc<Session>> {
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
pub fn may_act(tx: &ReadTx, tenant: &TenantId, session: &Session, now: UnixMicros) -> Result<bool> {
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
fn is_of_revoked_key(tx: &ReadTx, tenant: &TenantId, session: &Session) -> Result<bool> {
    if !session.created_by.starts_with(KEY_PREFIX) {
        return Ok(false);
    }
    let keys = tx.api_keys_by_prefix(&session.created_by)?;
    let mut ours = keys.iter().filter(|key| key.tenant == *tenant).peekable();
    Ok(ours.peek().is_some() && ours.all(|key| key.revoked_at.is_some()))
}

/// The sessions above `session`, its parent first: at most as many as delegations may lie below one another.
pub fn above(tx: &ReadTx, tenant: &TenantId, session: &Session) -> Result<Vec<Arc<Session>>> {
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
pub fn require(tx: &ReadTx, tenant: &TenantId, id: &SessionId) -> Result<Arc<Session>> {
    tx.session(tenant, id)?.ok_or_else(|| Error::not_found("the session").field("session_id"))
}
