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
