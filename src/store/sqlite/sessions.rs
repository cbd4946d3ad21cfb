//! Sessions.

use std::sync::Arc;

use rusqlite::{Connection, Row, params};

use super::{
    SqliteTx,
    rows::{Columns, json, rows},
    statements::statements,
};
use crate::{
    error::Result,
    model::{Money, Session, SessionId, TenantId, UnixMicros},
    store::{Cost, ReadSessions, SessionQuery, WriteSessions},
};

macro_rules! session {
    () => {
        "id, agent_id, scopes, spend_limit, spend_ceiling, spent, logged_cost, action_count, created_at, expires_at,
        revoked_at, parent, depth, created_by"
    };
}

statements! {
    SESSION = concat!("SELECT ", session!(), " FROM sessions WHERE tenant = ?1 AND id = ?2");
    // A row value: the page after (created_at, id), newest first.
    SESSIONS = concat!("SELECT ", session!(), " FROM sessions WHERE tenant = ?1 AND (created_at, id) < (?2, ?3)
        AND substr(id, 1, length(?4)) = ?4 ORDER BY created_at DESC, id DESC LIMIT ?5");
    SESSIONS_OF_AGENT = concat!("SELECT ", session!(), " FROM sessions WHERE tenant = ?1 AND agent_id = ?6 AND (created_at, id) < (?2, ?3)
        AND substr(id, 1, length(?4)) = ?4 ORDER BY created_at DESC, id DESC LIMIT ?5");
    // Left to itself, the planner takes the primary key, and looks at every session of the tenant.
    CHILDREN = concat!("SELECT ", session!(), " FROM sessions INDEXED BY sessions_by_parent WHERE tenant = ?1 AND parent = ?2 AND id > ?3 ORDER BY id LIMIT ?4");
    INSERT_SESSION = "INSERT INTO sessions (tenant, id, agent_id, scopes, spend_limit, spend_ceiling, created_at,
        expires_at, parent, depth, created_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    REVOKE_SESSION = "UPDATE sessions SET revoked_at = ?3 WHERE tenant = ?1 AND id = ?2 AND revoked_at IS NULL";
    SET_SPENT = "UPDATE sessions SET spent = ?3 WHERE tenant = ?1 AND id = ?2";
    // Totals stop at the largest integer instead of becoming a float.
    ADD_LOGGED = "UPDATE sessions SET logged_cost = min(logged_cost, 9223372036854775807 - ?3) + ?3, action_count = action_count + ?4
        WHERE tenant = ?1 AND id = ?2";
}

fn session(row: &Row<'_>) -> Result<Session> {
    let mut columns = Columns::of(row);
    Ok(Session {
        id: columns.next()?,
        agent_id: columns.next()?,
        scopes: columns.next()?,
        spend_limit: columns.next()?,
        spend_ceiling: columns.next()?,
        spent: columns.next()?,
        logged_cost: columns.next()?,
        action_count: columns.next()?,
        created_at: columns.next()?,
        expires_at: columns.next()?,
        revoked_at: columns.next()?,
        parent: columns.next()?,
        depth: columns.next()?,
        created_by: columns.next()?,
    })
}

impl ReadSessions for SqliteTx<'_> {
    fn session(&self, tenant: &TenantId, id: &SessionId) -> Result<Option<Arc<Session>>> {
        let remembered = self.memo().and_then(|(memo, state)| memo.session(state, tenant, id));
        if let Some(session) = remembered {
            return Ok(Some(self.current(tenant, session)));
        }
        let mut statement = self.connection()?.prepare_cached(SESSION)?;
        let mut rows = statement.query([tenant.as_str(), id.as_str()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let session = Arc::new(session(row)?);
        if let Some((memo, state)) = self.memo() {
            memo.keep_session(state, tenant, &session);
        }
        Ok(Some(self.current(tenant, session)))
    }

    fn sessions(&self, tenant: &TenantId, query: &SessionQuery) -> Result<Vec<Session>> {
        let (at, id) = query.before.as_ref().map_or((i64::MAX, ""), |(at, id)| (at.0, id.as_str()));
        self.require_reader()?;
        let (tenant, limit) = (tenant.as_str(), rows(query.limit));
        if let Some(agent) = &query.agent_id {
            let mut statement = self.connection()?.prepare_cached(SESSIONS_OF_AGENT)?;
            statement
                .query_and_then(params![tenant, at, id, query.id_prefix, limit, agent.as_str()], session)?
                .collect()
        } else {
            let mut statement = self.connection()?.prepare_cached(SESSIONS)?;
            statement.query_and_then(params![tenant, at, id, query.id_prefix, limit], session)?.collect()
        }
    }

    fn child_sessions(
        &self,
        tenant: &TenantId,
        parent: &SessionId,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Arc<Session>>> {
        let mut statement = self.connection()?.prepare_cached(CHILDREN)?;
        statement
            .query_and_then(params![tenant.as_str(), parent.as_str(), after, rows(limit)], |row| {
                Ok(self.current(tenant, Arc::new(session(row)?)))
            })?
            .collect()
    }
}

impl WriteSessions for SqliteTx<'_> {
    fn insert_session(&mut self, tenant: &TenantId, session: &Session) -> Result<()> {
        self.writable()?.prepare_cached(INSERT_SESSION)?.execute(params![
            tenant.as_str(),
            session.id.as_str(),
            session.agent_id.as_str(),
            json(&session.scopes)?,
            session.spend_limit.map(Money::nanos),
            session.spend_ceiling.map(Money::nanos),
            session.created_at.0,
            session.expires_at.map(|at| at.0),
            session.parent.as_ref().map(SessionId::as_str),
            session.depth,
            session.created_by,
        ])?;
        Ok(())
    }

    fn revoke_session(&mut self, tenant: &TenantId, id: &SessionId, now: UnixMicros) -> Result<()> {
        let mut statement = self.writable()?.prepare_cached(REVOKE_SESSION)?;
        statement.execute(params![tenant.as_str(), id.as_str(), now.0])?;
        Ok(())
    }

    fn set_spent(&mut self, tenant: &TenantId, id: &SessionId, spent: Money) -> Result<()> {
        let mut statement = self.writable()?.prepare_cached(SET_SPENT)?;
        statement.execute(params![tenant.as_str(), id.as_str(), spent.nanos()])?;
        Ok(())
    }

    fn add_logged(&mut self, tenant: &TenantId, id: &SessionId, cost: Money) -> Result<()> {
        let key = (tenant.clone(), id.clone());
        let before = self.pending()?.logged.get(&key).unwrap_or_default();
        let added = before.plus(Cost { actions: 1, cost });
        self.pending()?.logged.put(key, added);
        Ok(())
    }
}

impl SqliteTx<'_> {
    /// The session with what the batch has added to it.
    fn current(&self, tenant: &TenantId, mut session: Arc<Session>) -> Arc<Session> {
        let added = self.held().and_then(|held| held.logged.get(&(tenant.clone(), session.id.clone())));
        if let Some(added) = added {
            Arc::make_mut(&mut session).add_logged(added);
        }
        session
    }
}

impl Session {
    /// Adds what it logged, as [`ADD_LOGGED`] does in the database.
    pub(super) fn add_logged(&mut self, added: Cost) {
        self.logged_cost = self.logged_cost.saturating_add(added.cost);
        self.action_count += added.actions;
    }
}

pub(super) fn write_logged(connection: &Connection, tenant: &TenantId, id: &SessionId, added: Cost) -> Result<()> {
    let mut statement = connection.prepare_cached(ADD_LOGGED)?;
    statement.execute(params![tenant.as_str(), id.as_str(), added.cost.nanos(), added.actions])?;
    Ok(())
}
