//! The write buffer: rows that nearly every job touches stay in memory until their batch commits. These are audit entries, the
//! head of a log, an agent's counters, a tool's tally, what a session has logged and spent, new sessions and payments, and
//! in-flight calls. Thirty appends to one log then write its head once, not thirty times, and no job needs a savepoint for them.
//!
//! The batch has the database's write lock from before its first read to its commit, so no other process can see the difference.
//! The next batch uses the rows without reading them, unless another process has committed in between
//! ([`RowCache`](crate::row_cache::RowCache) says how that is found out).

use std::{
    cell::{Cell, Ref, RefCell},
    hash::Hash,
    sync::Arc,
};

use ahash::AHashMap;

use crate::{
    AgentStats, Cost, Head, LeafHash, Usage,
    database::Connection,
    error::Result,
    model::{Authorization, AuthorizationId, Entry, Money, Month, Session, SessionId, TenantId, UpstreamName},
    policy_cache::PolicyCache,
    row_cache::DatabaseVersion,
    tables::{
        appending, counters,
        fold::Tails,
        in_flight_calls::{self, CallKey, Counts},
        payments, sessions, usage,
    },
};

/// Rows of one kind that wait for the commit, and how to take back what one job has put.
pub(crate) struct BufferedRows<K, V> {
    values: RefCell<AHashMap<Arc<K>, V>>,
    undo: RefCell<Vec<(Arc<K>, Option<V>)>>,
    /// Rows as the batches before this one have left them.
    cached: RefCell<AHashMap<Arc<K>, V>>,
}

impl<K, V> Default for BufferedRows<K, V> {
    fn default() -> Self {
        Self { values: RefCell::default(), undo: RefCell::default(), cached: RefCell::default() }
    }
}

/// Rows of a kind that are cached after their commit; with one more, all are dropped.
const MAX_CACHED: usize = 4_096;

impl<K: Eq + Hash, V: Clone> BufferedRows<K, V> {
    /// The row, if this batch has put it, or an earlier one has left it in the cache.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.look(key, V::clone)
    }

    /// What `look` makes of that row.
    pub(crate) fn look<T>(&self, key: &K, look: impl FnOnce(&V) -> T) -> Option<T> {
        self.values.borrow().get(key).or(self.cached.borrow().get(key)).map(look)
    }

    pub(crate) fn put(&self, key: K, value: V) {
        let key = Arc::new(key);
        let old = self.values.borrow_mut().insert(Arc::clone(&key), value);
        self.undo.borrow_mut().push((key, old));
    }

    pub(crate) fn has(&self, key: &K) -> bool {
        self.look(key, |_| ()).is_some()
    }

    /// Everything that this batch has put.
    pub(crate) fn values(&self) -> Ref<'_, AHashMap<Arc<K>, V>> {
        self.values.borrow()
    }

    fn write(&self, mut write: impl FnMut(&K, &V) -> Result<()>) -> Result<()> {
        self.values.borrow().iter().try_for_each(|(key, value)| write(key, value))
    }

    /// What was put is committed, and cached from now on, in the form that `settle` gives it.
    fn cache(&self, mut settle: impl FnMut(&mut V)) {
        let mut cached = self.cached.borrow_mut();
        if cached.len() > MAX_CACHED {
            cached.clear();
        }
        for (key, mut value) in self.values.borrow_mut().drain() {
            settle(&mut value);
            cached.insert(key, value);
        }
    }
}

/// What a batch does with rows of every kind alike.
trait JobRows {
    /// What the job has put stays.
    fn keep(&self);
    /// What the job has put is taken back.
    fn take_back(&self);
    /// Drops what the batch has put.
    fn clear(&self);
    /// Drops the cached rows.
    fn forget(&self);
}

impl<K: Eq + Hash, V> JobRows for BufferedRows<K, V> {
    fn keep(&self) {
        self.undo.borrow_mut().clear();
    }

    fn take_back(&self) {
        let mut values = self.values.borrow_mut();
        for (key, old) in self.undo.borrow_mut().drain(..).rev() {
            match old {
                Some(value) => values.insert(key, value),
                None => values.remove(&key),
            };
        }
    }

    fn clear(&self) {
        self.values.borrow_mut().clear();
        self.keep();
    }

    fn forget(&self) {
        self.cached.borrow_mut().clear();
    }
}

/// An entry, whose log it is appended to, and what it is in the log's tree.
pub(crate) struct Appended {
    pub(crate) tenant: TenantId,
    pub(crate) entry: Arc<Entry>,
    pub(crate) leaf: [u8; 32],
}

/// The key of what an agent did with a tool: tenant, agent, tool.
pub(crate) type ToolKey = (TenantId, String, String);

/// A value with a count in it, and whether the count has changed its rank in this batch: only then is the index over
/// ranks written.
#[derive(Clone)]
pub(crate) struct Ranked<T> {
    pub(crate) value: T,
    pub(crate) moved: bool,
}

/// What one batch has put, and the caches of the writer.
#[derive(Default)]
pub(crate) struct WriteBuffer {
    pub(crate) heads: BufferedRows<TenantId, (Head, LeafHash)>,
    pub(crate) agents: BufferedRows<(TenantId, String), Ranked<AgentStats>>,
    pub(crate) tools: BufferedRows<ToolKey, Cost>,
    /// What tenants have used in this batch, to be added to their rows.
    pub(crate) usage: BufferedRows<(TenantId, Month), Usage>,
    /// What sessions have logged in this batch, to be added to their rows.
    pub(crate) logged: BufferedRows<(TenantId, SessionId), Cost>,
    /// What sessions have spent altogether, of those that spent in this batch.
    pub(crate) spent: BufferedRows<(TenantId, SessionId), Money>,
    /// Sessions that begin in this batch: but for what they have logged and spent.
    pub(crate) new_sessions: BufferedRows<(TenantId, SessionId), Arc<Session>>,
    pub(crate) new_payments: BufferedRows<(TenantId, AuthorizationId), Arc<Authorization>>,
    /// What tenants have authorized altogether.
    pub(crate) authorized: BufferedRows<TenantId, Money>,
    pub(crate) in_flight_calls: BufferedRows<CallKey, in_flight_calls::CallChange>,
    /// What upstreams' counts gain in this batch.
    pub(crate) calls: BufferedRows<(TenantId, UpstreamName), Counts>,
    /// Entries in the order of their appending; those from `kept_entries` on are the running job's.
    entries: RefCell<Vec<Appended>>,
    kept_entries: Cell<usize>,
    /// The database version for which the caches hold.
    cached_for: Cell<Option<DatabaseVersion>>,
    tails: Tails,
    /// On the same terms as the cached rows.
    pub(crate) policy_cache: PolicyCache,
}

impl WriteBuffer {
    /// The rows of every kind.
    fn all(&self) -> [&dyn JobRows; 11] {
        [
            &self.heads, &self.agents, &self.tools, &self.usage, &self.logged, &self.spent, &self.new_sessions,
            &self.new_payments, &self.authorized, &self.in_flight_calls, &self.calls,
        ]
    }

    /// A batch begins at this version of the database.
    pub(crate) fn begin(&self, version: Option<DatabaseVersion>) {
        if version.is_none() || self.cached_for.get() != version {
            self.forget();
        }
    }

    /// The batch is committed, and the database has this version now.
    pub(crate) fn cache(&self, version: DatabaseVersion) {
        self.cached_for.set(Some(version));
        self.heads.cache(|_| ());
        self.agents.cache(|stats| stats.moved = false);
        self.tools.cache(|_| ());
        self.authorized.cache(|_| ());
        self.in_flight_calls.cache(|_| ());
    }

    /// Clears the caches: a row is changed that may be in one of them.
    pub(crate) fn forget(&self) {
        self.cached_for.set(None);
        self.all().iter().for_each(|rows| rows.forget());
        self.policy_cache.forget();
        self.tails.forget();
    }

    /// Takes an entry that the running job appends.
    pub(crate) fn append(&self, appended: Appended) {
        self.entries.borrow_mut().push(appended);
    }

    /// What the job has put stays.
    pub(crate) fn keep_job(&self) {
        self.kept_entries.set(self.entries.borrow().len());
        self.all().iter().for_each(|rows| rows.keep());
    }

    /// What the job has put is taken back.
    pub(crate) fn take_back_job(&self) {
        self.entries.borrow_mut().truncate(self.kept_entries.get());
        self.all().iter().for_each(|rows| rows.take_back());
        // It may have looked up what it had changed itself.
        self.policy_cache.forget();
    }

    /// Writes every row, before the commit.
    pub(crate) fn write(&self, connection: &dyn Connection) -> Result<()> {
        appending::write_entries(connection, &self.entries.borrow(), &self.policy_cache.bases)?;
        for Appended { tenant, entry, leaf } in &*self.entries.borrow() {
            self.tails.push(tenant, entry, *leaf);
        }
        // Rows of one kind behind one another: a backend may write them together.
        self.heads.write(|tenant, (head, _)| appending::write_head(connection, tenant, head))?;
        self.heads.write(|tenant, (head, leaf_hash)| self.tails.fold(connection, tenant, head.seq, *leaf_hash))?;
        self.agents.write(|(tenant, agent), stats| counters::write_agent(connection, tenant, agent, stats))?;
        self.agents.write(|(tenant, agent), stats| counters::write_rank(connection, tenant, agent, stats))?;
        self.tools.write(|key, total| counters::write_tool(connection, key, *total))?;
        self.in_flight_calls.write(|key, change| in_flight_calls::write_call(connection, key, change))?;
        self.calls.write(|(tenant, name), added| in_flight_calls::write_counts(connection, tenant, name, *added))?;
        self.usage.write(|(tenant, month), added| usage::write_usage(connection, tenant, *month, *added))?;
        self.new_payments.write(|(tenant, _), payment| payments::write_new(connection, tenant, payment))?;
        self.authorized.write(|tenant, total| counters::write_authorized(connection, tenant, *total))?;
        self.new_sessions.write(|(tenant, _), session| sessions::write_new(connection, tenant, session))?;
        // Of new sessions too.
        self.spent.write(|(tenant, id), spent| sessions::write_spent(connection, tenant, id, *spent))?;
        self.logged.write(|(tenant, id), added| sessions::write_logged(connection, tenant, id, *added))
    }

    /// Nothing of the batch stands.
    pub(crate) fn take_back(&self) {
        self.forget();
        self.tails.take_back();
    }

    /// Forgets everything, after the batch.
    pub(crate) fn clear(&self) {
        self.entries.borrow_mut().clear();
        self.kept_entries.set(0);
        self.all().iter().for_each(|rows| rows.clear());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_fails_takes_back_its_own_and_nothing_else() {
        let rows = BufferedRows::<&str, i32>::default();
        rows.put("a", 1);
        rows.keep();
        rows.put("a", 2);
        rows.put("a", 3);
        rows.put("b", 1);
        rows.take_back();
        assert_eq!((rows.get(&"a"), rows.get(&"b")), (Some(1), None));
        rows.put("a", 4);
        rows.keep();
        rows.take_back();
        assert_eq!(rows.get(&"a"), Some(4));
    }
}
