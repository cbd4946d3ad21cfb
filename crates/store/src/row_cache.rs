//! The row cache: the parsed rows of keys, sessions, upstreams and sendable secrets, which nearly every call looks up, for one
//! version of the database.
//!
//! The version is asked of the backend each time: every commit of every process changes it, once it is durable.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{
    Cost,
    model::{ApiKey, Money, SecretVersions, Session, SessionId, TenantId, Upstream, UpstreamName},
    tables,
};

/// Rows of each kind that are remembered; one more, and all are forgotten.
const MAX_ROWS: usize = 4_096;
/// Commits by which a read can lie behind what is remembered; what seems further behind is another log.
const MAX_BEHIND: u32 = 100_000;
/// A version of the database: equal versions, equal content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DatabaseVersion {
    /// What the backend tells versions apart by.
    pub(crate) stamp: [u8; 48],
    /// The commits of all processes so far, modulo 2^32.
    pub(crate) commits: u32,
}

/// Asks a backend for the version as of now; `None` in the middle of a change, and where it cannot be known: then nothing is
/// cached.
pub(crate) type AskVersion = Box<dyn Fn() -> Option<DatabaseVersion> + Send + Sync>;

pub(crate) struct RowCache {
    ask_version: AskVersion,
    rows: RwLock<Rows>,
}

#[derive(Default)]
struct Rows {
    /// What they were read in, or later.
    version: Option<DatabaseVersion>,
    keys: HashMap<String, Arc<[Arc<ApiKey>]>>,
    sessions: HashMap<SessionId, (TenantId, Arc<Session>)>,
    /// But for the counts in them, which calls change all the time.
    upstreams: HashMap<TenantId, HashMap<UpstreamName, Arc<Upstream>>>,
    secrets: HashMap<(TenantId, UpstreamName), SecretVersions>,
}

impl RowCache {
    pub(crate) fn new(ask_version: AskVersion) -> Self {
        Self { ask_version, rows: RwLock::default() }
    }

    /// The version as of now.
    pub(crate) fn version(&self) -> Option<DatabaseVersion> {
        (self.ask_version)()
    }

    pub(crate) fn keys(&self, version: DatabaseVersion, prefix: &str) -> Option<Arc<[Arc<ApiKey>]>> {
        self.look_up(version, |rows| rows.keys.get(prefix).cloned())
    }

    pub(crate) fn session(&self, version: DatabaseVersion, tenant: &TenantId, id: &SessionId) -> Option<Arc<Session>> {
        self.look_up(version, |rows| {
            let (owner, session) = rows.sessions.get(id)?;
            (owner == tenant).then(|| Arc::clone(session))
        })
    }

    pub(crate) fn upstream(
        &self,
        version: DatabaseVersion,
        tenant: &TenantId,
        name: &UpstreamName,
    ) -> Option<Arc<Upstream>> {
        self.look_up(version, |rows| rows.upstreams.get(tenant)?.get(name).cloned())
    }

    pub(crate) fn secrets_for(
        &self,
        version: DatabaseVersion,
        tenant: &TenantId,
        upstream: &UpstreamName,
    ) -> Option<SecretVersions> {
        self.look_up(version, |rows| rows.secrets.get(&(tenant.clone(), upstream.clone())).cloned())
    }

    /// Remembers which secrets may go to an upstream, as it was read in `version` or later.
    pub(crate) fn keep_secrets_for(
        &self,
        version: DatabaseVersion,
        tenant: &TenantId,
        upstream: &UpstreamName,
        secrets: &SecretVersions,
    ) {
        self.keep(version, |rows| rows.secrets.insert((tenant.clone(), upstream.clone()), Arc::clone(secrets)));
    }

    /// Remembers keys that were read in `version` or later.
    pub(crate) fn keep_keys(&self, version: DatabaseVersion, prefix: &str, keys: &Arc<[Arc<ApiKey>]>) {
        self.keep(version, |rows| rows.keys.insert(prefix.to_owned(), Arc::clone(keys)));
    }

    /// Remembers a session that was read in `version` or later.
    pub(crate) fn keep_session(&self, version: DatabaseVersion, tenant: &TenantId, session: &Arc<Session>) {
        self.keep(version, |rows| rows.sessions.insert(session.id.clone(), (tenant.clone(), Arc::clone(session))));
    }

    /// Remembers an upstream that was read in `version` or later.
    pub(crate) fn keep_upstream(&self, version: DatabaseVersion, tenant: &TenantId, upstream: &Arc<Upstream>) {
        self.keep(version, |rows| {
            let of_tenant = rows.upstreams.entry(tenant.clone()).or_default();
            of_tenant.insert(upstream.name.clone(), Arc::clone(upstream))
        });
    }

    /// After the writer's commit, which changed the version from `before` and of these rows nothing but what the
    /// sessions in `logged` have logged, what those in `spent` have spent, and counts of upstreams: they stay good.
    /// Answers the version after it; `None` if another process committed as well, and nothing stays good.
    pub(crate) fn carry<'s>(
        &self,
        before: DatabaseVersion,
        logged: impl Iterator<Item = (&'s SessionId, Cost)>,
        spent: impl Iterator<Item = (&'s SessionId, Money)>,
    ) -> Option<DatabaseVersion> {
        let after = self.version().filter(|after| after.commits == before.commits.wrapping_add(1))?;
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        if rows.version != Some(before) {
            return Some(after);
        }
        rows.version = Some(after);
        for (id, added) in logged {
            if let Some((_, session)) = rows.sessions.get_mut(id) {
                tables::sessions::add_logged(Arc::make_mut(session), added);
            }
        }
        for (id, spent) in spent {
            if let Some((_, session)) = rows.sessions.get_mut(id) {
                Arc::make_mut(session).spent = spent;
            }
        }
        Some(after)
    }

    fn look_up<T>(&self, version: DatabaseVersion, find: impl FnOnce(&Rows) -> Option<T>) -> Option<T> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        if rows.version == Some(version) { find(&rows) } else { None }
    }

    fn keep<T>(&self, version: DatabaseVersion, insert: impl FnOnce(&mut Rows) -> T) {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        let behind = rows.version.map_or(0, |known| known.commits.wrapping_sub(version.commits));
        if (1..=MAX_BEHIND).contains(&behind) {
            return; // A read that began before the last commits: what is remembered is newer.
        }
        let most = rows.keys.len().max(rows.sessions.len()).max(rows.upstreams.len()).max(rows.secrets.len());
        if rows.version != Some(version) || most >= MAX_ROWS {
            *rows = Rows { version: Some(version), ..Rows::default() };
        }
        insert(&mut rows);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use crate::{
        Store,
        model::{Money, Scopes, Session, SessionId, TenantId, UnixMicros},
        sqlite::Inspection,
    };

    /// What an expensive test does: `usual` by default, `whole` with `HALDIR_TEST_LONG=1`.
    fn long<T>(usual: T, whole: T) -> T {
        if std::env::var_os("HALDIR_TEST_LONG").is_some_and(|value| value == "1") { whole } else { usual }
    }

    fn session(id: &str) -> Session {
        Session {
            id: SessionId::parse(id).unwrap(),
            agent_id: crate::model::AgentId::parse("agent").unwrap(),
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
            parent: None,
            depth: 0,
            created_by: "test".to_owned(),
        }
    }

    /// What one of two stores does with one of two sessions.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Look,
        Log(i64),
        Spend(i64),
        Revoke,
        LogAndFail,
    }

    fn steps() -> impl Strategy<Value = Vec<(usize, usize, Step)>> {
        let step = prop_oneof![
            4 => Just(Step::Look),
            4 => (0..9i64).prop_map(Step::Log),
            1 => (0..9i64).prop_map(Step::Spend),
            1 => Just(Step::Revoke),
            1 => Just(Step::LogAndFail),
        ];
        proptest::collection::vec((0..2usize, 0..2usize, step), 1..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(long(6, 24)))]

        /// Two stores on one file, each with a row_cache of its own: whatever either does, both see what the file says.
        #[test]
        fn what_is_remembered_is_what_the_database_says(steps in steps()) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("h.db");
            let stores = [Store::open(&path).unwrap(), Store::open(&path).unwrap()];
            let tenant = TenantId::local();
            let ids = ["ses_a", "ses_b"].map(|id| SessionId::parse(id).unwrap());
            runtime.block_on(async {
                for id in &ids {
                    let (tenant, session) = (tenant.clone(), Arc::new(session(id.as_str())));
                    stores[0].write(move |tx| Ok(tx.insert_session(&tenant, &session)?)).await.unwrap();
                }
                for (store, which, step) in steps {
                    let (owner, id) = (tenant.clone(), ids[which].clone());
                    let written = stores[store].write(move |tx| match step {
                        Step::Look => Ok(()),
                        Step::Log(cost) => {
                            Ok(tx.count_action(&owner, &session(id.as_str()), "tool", Money::from_nanos(cost)).map(drop)?)
                        }
                        Step::Spend(amount) => Ok(tx.set_spent(&owner, &id, Money::from_nanos(amount))?),
                        Step::Revoke => Ok(tx.revoke_session(&owner, &id, UnixMicros(2))?),
                        Step::LogAndFail => {
                            tx.count_action(&owner, &session(id.as_str()), "tool", Money::from_nanos(1))?;
                            Err(crate::error::CoreError::internal("on purpose"))
                        }
                    });
                    assert_eq!(written.await.is_err(), matches!(step, Step::LogAndFail));
                    let inspection = Inspection::open(&path).unwrap();
                    for id in &ids {
                        let seen = |session: Option<Arc<Session>>| {
                            let session = session.unwrap();
                            (session.logged_cost, session.action_count, session.spent, session.revoked_at)
                        };
                        let stored = inspection.read(|tx| tx.session(&tenant, id)).map(seen).unwrap();
                        for store in &stores {
                            // Twice: the second look may be answered from memory.
                            for _ in 0..2 {
                                assert_eq!(store.read(|tx| Ok(tx.session(&tenant, id)?)).map(seen).unwrap(), stored);
                            }
                        }
                    }
                }
            });
        }
    }
}
