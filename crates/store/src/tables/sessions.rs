//! Sessions.

use std::sync::Arc;

use crate::{
    Cost, ReadTx, Tx,
    database::{Connection, Record, params, record},
    error::Result,
    model::{AgentId, Money, Session, SessionId, TenantId, UnixMicros},
    statements::statements,
};

record! { sessions: Session as session {
    id, agent_id, scopes, spend_limit, spend_ceiling, daily_limit, daily_ceiling, spent, logged_cost, action_count, created_at,
    expires_at, revoked_at, parent, depth, created_by,
} }

statements! {
    SESSION = concat!("SELECT ", session!(), " FROM sessions WHERE tenant = ?1 AND id = ?2");
    // A row value: the page after (created_at, id), newest first.
    SESSIONS = concat!("SELECT ", session!(), " FROM sessions WHERE tenant = ?1 AND (created_at, id) < (?2, ?3)
        AND substr(id, 1, length(?4)) = ?4 ORDER BY created_at DESC, id DESC LIMIT ?5");
    SESSIONS_OF_AGENT = concat!("SELECT ", session!(), " FROM sessions WHERE tenant = ?1 AND agent_id = ?6 AND (created_at, id) < (?2, ?3)
        AND substr(id, 1, length(?4)) = ?4 ORDER BY created_at DESC, id DESC LIMIT ?5");
    // Left to itself, the planner takes the primary key, and looks at every session of the tenant.
    CHILDREN = concat!("SELECT ", session!(), " FROM sessions INDEXED BY sessions_by_parent WHERE tenant = ?1 AND parent = ?2 AND id > ?3 ORDER BY id LIMIT ?4");
    INSERT_SESSION = Session::INSERT;
    REVOKE_SESSION = "UPDATE sessions SET revoked_at = ?3 WHERE tenant = ?1 AND id = ?2 AND revoked_at IS NULL";
    SET_SPENT = "UPDATE sessions SET spent = ?3 WHERE tenant = ?1 AND id = ?2";
    // Totals stop at the largest integer instead of becoming a float.
    ADD_LOGGED = "UPDATE sessions SET logged_cost = min(logged_cost, 9223372036854775807 - ?3) + ?3, action_count = action_count + ?4
        WHERE tenant = ?1 AND id = ?2";
}

/// Which sessions to list, newest first.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct SessionQuery {
    pub agent_id: Option<AgentId>,
    /// Only ids that start with this.
    pub id_prefix: String,
    /// Older than this one: its creation time and id.
    pub before: Option<(UnixMicros, String)>,
    pub limit: usize,
}

#[allow(missing_docs)]
impl ReadTx {
    pub fn session(&self, tenant: &TenantId, id: &SessionId) -> Result<Option<Arc<Session>>> {
        // Hardly any batch has one, and nearly every job asks for a session: it is spared a key.
        let buffer = self.buffer_if_writer().filter(|buffer| !buffer.new_sessions.values().is_empty());
        if let Some(new) = buffer.and_then(|buffer| buffer.new_sessions.get(&(tenant.clone(), id.clone()))) {
            return Ok(Some(self.current(tenant, new)));
        }
        let remembered = self.row_cache().and_then(|(row_cache, version)| row_cache.session(version, tenant, id));
        if let Some(session) = remembered {
            return Ok(Some(self.current(tenant, session)));
        }
        let Some(session) = self.first::<Session>(SESSION, params![tenant, id])?.map(Arc::new) else { return Ok(None) };
        if let Some((row_cache, version)) = self.row_cache() {
            row_cache.keep_session(version, tenant, &session);
        }
        Ok(Some(self.current(tenant, session)))
    }

    pub fn sessions(&self, tenant: &TenantId, query: &SessionQuery) -> Result<Vec<Session>> {
        let (at, id) = query.before.as_ref().map_or((i64::MAX, ""), |(at, id)| (at.0, id.as_str()));
        self.require_reader()?;
        match &query.agent_id {
            Some(agent) => self.all(SESSIONS_OF_AGENT, params![tenant, at, id, query.id_prefix, query.limit, agent]),
            None => self.all(SESSIONS, params![tenant, at, id, query.id_prefix, query.limit]),
        }
    }

    /// The direct children, oldest first, after `after`, at most `limit`.
    pub fn child_sessions(
        &self,
        tenant: &TenantId,
        parent: &SessionId,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Arc<Session>>> {
        let found: Vec<Session> = self.all(CHILDREN, params![tenant, parent, after, limit])?;
        let mut children: Vec<_> = found.into_iter().map(|session| self.current(tenant, Arc::new(session))).collect();
        if let Some(buffer) = self.buffer_if_writer() {
            let new = buffer.new_sessions.values();
            let new = new.iter().filter(|(key, session)| {
                key.0 == *tenant && session.parent.as_ref() == Some(parent) && session.id.as_str() > after
            });
            children.extend(new.map(|(_, session)| self.current(tenant, Arc::clone(session))));
            children.sort_by(|one, other| one.id.as_str().cmp(other.id.as_str()));
            children.truncate(limit);
        }
        Ok(children)
    }

    /// The session with what the batch has changed in it.
    fn current(&self, tenant: &TenantId, mut session: Arc<Session>) -> Arc<Session> {
        let Some(buffer) = self.buffer_if_writer() else { return session };
        let key = (tenant.clone(), session.id.clone());
        if let Some(spent) = buffer.spent.get(&key) {
            Arc::make_mut(&mut session).spent = spent;
        }
        if let Some(added) = buffer.logged.get(&key) {
            add_logged(Arc::make_mut(&mut session), added);
        }
        session
    }
}

#[allow(missing_docs)]
impl Tx {
    pub fn insert_session(&mut self, tenant: &TenantId, session: &Arc<Session>) -> Result<()> {
        self.buffer().new_sessions.put((tenant.clone(), session.id.clone()), Arc::clone(session));
        Ok(())
    }

    pub fn revoke_session(&mut self, tenant: &TenantId, id: &SessionId, now: UnixMicros) -> Result<()> {
        let key = (tenant.clone(), id.clone());
        let new = self.buffer().new_sessions.get(&key);
        if let Some(mut session) = new {
            Arc::make_mut(&mut session).revoked_at.get_or_insert(now);
            self.buffer().new_sessions.put(key, session);
            return Ok(());
        }
        self.change(REVOKE_SESSION, params![tenant, id, now]).map(drop)
    }

    pub fn set_spent(&mut self, tenant: &TenantId, id: &SessionId, spent: Money) -> Result<()> {
        self.buffer().spent.put((tenant.clone(), id.clone()), spent);
        Ok(())
    }
}

/// Adds what a session logged, as [`ADD_LOGGED`] does in the database.
pub(crate) fn add_logged(session: &mut Session, added: Cost) {
    session.logged_cost = session.logged_cost.saturating_add(added.cost);
    session.action_count += added.actions;
}

pub(crate) fn write_new(db: &dyn Connection, tenant: &TenantId, session: &Session) -> Result<()> {
    db.send_row(INSERT_SESSION, &session.params(tenant))
}

pub(crate) fn write_spent(db: &dyn Connection, tenant: &TenantId, id: &SessionId, spent: Money) -> Result<()> {
    db.send_row(SET_SPENT, params![tenant, id, spent])
}

pub(crate) fn write_logged(db: &dyn Connection, tenant: &TenantId, id: &SessionId, added: Cost) -> Result<()> {
    db.send_row(ADD_LOGGED, params![tenant, id, added.cost, added.actions])
}
