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
    db.execute(INSERT_SESSION, &session.params(tenant)).map(drop)
}

pub(crate) fn write_spent(db: &dyn Connection, tenant: &TenantId, id: &SessionId, spent: Money) -> Result<()> {
    db.execute(SET_SPENT, params![tenant, id, spent]).map(drop)
}

pub(crate) fn write_logged(db: &dyn Connection, tenant: &TenantId, id: &SessionId, added: Cost) -> Result<()> {
    db.execute(ADD_LOGGED, params![tenant, id, added.cost, added.actions]).map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::{
        Store,
        error::{CoreError, CoreResult},
        model::{AgentId, Authorization, AuthorizationId, AuthorizationStatus, Scopes},
    };

    type Work = Box<dyn FnOnce(&mut Tx) -> CoreResult<()> + Send>;

    /// Runs these in one batch; answers which of them stand.
    async fn in_one_batch(store: &Store, jobs: Vec<Work>) -> Vec<bool> {
        let (release, held) = channel::<()>();
        // All that comes while this one runs is in its batch.
        let mut first = Box::pin(store.write(move |_| held.recv().map_err(CoreError::internal)));
        assert!(futures::poll!(first.as_mut()).is_pending());
        let mut writes: Vec<_> = jobs.into_iter().map(|job| Box::pin(store.write(job))).collect();
        for write in &mut writes {
            assert!(futures::poll!(write.as_mut()).is_pending());
        }
        release.send(()).unwrap();
        first.await.unwrap();
        futures::future::join_all(writes).await.into_iter().map(|outcome| outcome.is_ok()).collect()
    }

    fn id(name: &str) -> SessionId {
        SessionId::parse(format!("ses_{name}")).unwrap()
    }

    fn begun(name: &str, parent: Option<&str>) -> Arc<Session> {
        Arc::new(Session {
            id: id(name),
            agent_id: AgentId::parse("agent").unwrap(),
            scopes: Scopes::new([]),
            spend_limit: None,
            spend_ceiling: None,
            daily_limit: None,
            daily_ceiling: None,
            spent: Money::ZERO,
            logged_cost: Money::ZERO,
            action_count: 0,
            created_at: UnixMicros(1),
            expires_at: None,
            revoked_at: None,
            parent: parent.map(id),
            depth: 0,
            created_by: "test".to_owned(),
        })
    }

    fn dollars(amount: i32) -> Money {
        Money::from_units(amount)
    }

    fn children(tx: &ReadTx, after: &str, limit: usize) -> Vec<String> {
        let found = tx.child_sessions(&TenantId::local(), &id("parent"), after, limit).unwrap();
        found.iter().map(|session| session.id.to_string()).collect()
    }

    #[tokio::test]
    async fn a_session_is_found_changed_and_listed_by_the_rest_of_the_batch_in_which_it_begins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("h.db");
        let (store, other) = (Store::open(&path).unwrap(), Store::open(&path).unwrap());
        let tenant = TenantId::local;
        let begin = |name: &'static str, parent: Option<&'static str>| -> Work {
            Box::new(move |tx| Ok(tx.insert_session(&tenant(), &begun(name, parent))?))
        };
        assert_eq!(in_one_batch(&store, vec![begin("parent", None), begin("c", Some("parent"))]).await, [true; 2]);
        let jobs: Vec<Work> = vec![
            begin("d", Some("parent")),
            Box::new(move |tx| {
                tx.insert_session(&tenant(), &begun("b", Some("parent")))?;
                tx.set_spent(&tenant(), &id("parent"), dollars(7))?;
                tx.revoke_session(&tenant(), &id("d"), UnixMicros(5))?;
                Err(CoreError::internal("on purpose"))
            }),
            begin("a", Some("parent")),
            Box::new(move |tx| {
                assert!(tx.session(&tenant(), &id("b"))?.is_none(), "what failed left something");
                assert_eq!(children(tx, "", 9), ["ses_a", "ses_c", "ses_d"]);
                assert_eq!(children(tx, "ses_a", 1), ["ses_c"]);
                tx.set_spent(&tenant(), &id("parent"), dollars(3))?;
                tx.set_spent(&tenant(), &id("a"), dollars(2))?;
                tx.count_action(&tenant(), &begun("a", Some("parent")), "tool", dollars(1))?;
                tx.revoke_session(&tenant(), &id("a"), UnixMicros(6))?;
                tx.revoke_session(&tenant(), &id("a"), UnixMicros(7))?;
                Ok(tx.revoke_session(&tenant(), &id("c"), UnixMicros(8))?)
            }),
            Box::new(move |tx| {
                let found = |name| tx.session(&tenant(), &id(name)).unwrap().unwrap();
                assert_eq!((found("parent").spent, found("a").spent), (dollars(3), dollars(2)));
                assert_eq!((found("a").revoked_at, found("d").revoked_at), (Some(UnixMicros(6)), None));
                Ok(())
            }),
        ];
        assert_eq!(in_one_batch(&store, jobs).await, [true, false, true, true, true]);
        for store in [&store, &other] {
            let read = |name| store.read(|tx| Ok(tx.session(&tenant(), &id(name))?)).unwrap();
            assert!(read("b").is_none());
            let [parent, a, c, d] = ["parent", "a", "c", "d"].map(|name| read(name).unwrap());
            assert_eq!((parent.spent, a.spent, a.logged_cost, a.action_count), (dollars(3), dollars(2), dollars(1), 1));
            assert_eq!([&a, &c, &d].map(|child| child.revoked_at), [Some(UnixMicros(6)), Some(UnixMicros(8)), None]);
            let all = store.read(|tx| Ok(children(tx, "", 9))).unwrap();
            assert_eq!(all, ["ses_a", "ses_c", "ses_d"]);
        }
    }

    #[tokio::test]
    async fn a_payment_is_settled_in_its_own_batch_or_later_and_totals_are_those_of_every_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("h.db");
        let (store, other) = (Store::open(&path).unwrap(), Store::open(&path).unwrap());
        let tenant = TenantId::local;
        store.write(move |tx| Ok(tx.insert_tenant(&tenant(), b"key", UnixMicros(1))?)).await.unwrap();
        let payment = |name: &str| Authorization {
            id: AuthorizationId::parse(name).unwrap(),
            session_id: id("a"),
            agent_id: AgentId::parse("agent").unwrap(),
            amount: dollars(2),
            captured: Money::ZERO,
            currency: "USD".to_owned(),
            description: String::new(),
            status: AuthorizationStatus::Authorized,
            created_at: UnixMicros(1),
            settled_at: None,
        };
        let authorize = |name: &'static str, amount: i32| -> Work {
            Box::new(move |tx| {
                tx.insert_authorization(&tenant(), &payment(name))?;
                tx.add_authorized(&tenant(), "agent", dollars(amount))?;
                if name == "fails" { Err(CoreError::internal("on purpose")) } else { Ok(()) }
            })
        };
        let void = |name: &'static str| -> Work {
            Box::new(move |tx| {
                let mut found = tx.authorization(&tenant(), &AuthorizationId::parse(name).unwrap())?.unwrap();
                found.status = AuthorizationStatus::Voided;
                found.settled_at = Some(UnixMicros(9));
                Ok(tx.settle_authorization(&tenant(), &found)?)
            })
        };
        let jobs = vec![authorize("one", 2), authorize("fails", 2), authorize("two", 3), void("one")];
        assert_eq!(in_one_batch(&store, jobs).await, [true, false, true, true]);
        // Another process, whose batch the first one has not seen.
        assert_eq!(in_one_batch(&other, vec![authorize("three", 4), void("two")]).await, [true; 2]);
        assert_eq!(in_one_batch(&store, vec![authorize("four", 1), authorize("five", -3)]).await, [true; 2]);
        assert_eq!(in_one_batch(&store, vec![authorize("six", -100), authorize("seven", 5)]).await, [true; 2]);
        for store in [&store, &other] {
            let read = |name| {
                store.read(|tx| Ok(tx.authorization(&tenant(), &AuthorizationId::parse(name).unwrap())?)).unwrap()
            };
            assert!(read("fails").is_none());
            let settled = ["one", "two", "three"].map(|name| read(name).unwrap().settled_at);
            assert_eq!(settled, [Some(UnixMicros(9)), Some(UnixMicros(9)), None]);
            assert_eq!(
                store.read(|tx| Ok(tx.authorized_total(&tenant())?)).unwrap(),
                dollars(5),
                "it stops at nothing"
            );
        }
    }
}
