//! Rows that nearly every write touches, held back until their batch commits: audit entries, the head of a log, an
//! agent's counters, a tool's tally, what a session has logged and spent, new sessions and payments, calls under way.
//! Thirty appends to one log then write its head once, not thirty times, and no job needs a savepoint for them.
//!
//! The batch holds the database's write lock from before the first read to the commit, so what is held here is
//! what every other process will see, at the moment they can see it. What a batch has written is known to the next
//! one without reading it, unless anything else was committed in between, by whomever ([`Memo`](super::memo::Memo)
//! says how that is seen).

use std::{
    cell::{Cell, Ref, RefCell},
    hash::Hash,
    sync::Arc,
};

use ahash::AHashMap;
use rusqlite::Connection;

use super::{
    appending, counters,
    folding::Tails,
    looked_up::LookedUp,
    memo::State,
    open_calls::{self, CallKey, Counts},
    payments, sessions, usage,
};
use crate::{
    AgentStats, Cost, Head, LogKeeper, Usage,
    error::Result,
    model::{Authorization, AuthorizationId, Entry, Money, Month, Session, SessionId, TenantId, UpstreamName},
};

/// Values that stand for their rows until they are written, and how to take back what one job has put.
pub(super) struct Held<K, V> {
    values: RefCell<AHashMap<Arc<K>, V>>,
    undo: RefCell<Vec<(Arc<K>, Option<V>)>>,
    /// Rows as the batches before this one have left them.
    known: RefCell<AHashMap<Arc<K>, V>>,
}

impl<K, V> Default for Held<K, V> {
    fn default() -> Self {
        Self { values: RefCell::default(), undo: RefCell::default(), known: RefCell::default() }
    }
}

/// Rows of a kind that are known without reading them; more, and all are forgotten.
const MAX_KNOWN: usize = 4_096;

impl<K: Eq + Hash, V: Clone> Held<K, V> {
    /// What stands for the row, if it was put in this batch, or is known from one before.
    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.look(key, V::clone)
    }

    /// The same, of which one only looks at something.
    pub(super) fn look<T>(&self, key: &K, look: impl FnOnce(&V) -> T) -> Option<T> {
        self.values.borrow().get(key).or(self.known.borrow().get(key)).map(look)
    }

    pub(super) fn put(&self, key: K, value: V) {
        let key = Arc::new(key);
        let old = self.values.borrow_mut().insert(Arc::clone(&key), value);
        self.undo.borrow_mut().push((key, old));
    }

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

    pub(super) fn has(&self, key: &K) -> bool {
        self.look(key, |_| ()).is_some()
    }

    /// Everything that is held.
    pub(super) fn values(&self) -> Ref<'_, AHashMap<Arc<K>, V>> {
        self.values.borrow()
    }

    fn write(&self, mut write: impl FnMut(&K, &V) -> Result<()>) -> Result<()> {
        self.values.borrow().iter().try_for_each(|(key, value)| write(key, value))
    }

    fn clear(&self) {
        self.values.borrow_mut().clear();
        self.keep();
    }

    /// What was put is written, and known from now on, in the form that `settle` gives it.
    fn learn(&self, mut settle: impl FnMut(&mut V)) {
        let mut known = self.known.borrow_mut();
        if known.len() > MAX_KNOWN {
            known.clear();
        }
        for (key, mut value) in self.values.borrow_mut().drain() {
            settle(&mut value);
            known.insert(key, value);
        }
    }

    fn forget(&self) {
        self.known.borrow_mut().clear();
    }
}

/// An entry, whose log it is appended to, and what it is in the log's tree.
pub(super) struct Appended {
    pub(super) tenant: TenantId,
    pub(super) entry: Arc<Entry>,
    pub(super) leaf: [u8; 32],
}

/// The key of what an agent did with a tool: tenant, agent, tool.
pub(super) type ToolKey = (TenantId, String, String);

/// A value with a count in it, and whether the count has changed its rank in this batch: only then is the index over
/// ranks written.
#[derive(Clone)]
pub(super) struct Ranked<T> {
    pub(super) value: T,
    pub(super) moved: bool,
}

/// What one batch holds back.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) heads: Held<TenantId, (Head, Arc<dyn LogKeeper>)>,
    pub(super) agents: Held<(TenantId, String), Ranked<AgentStats>>,
    pub(super) tools: Held<ToolKey, Cost>,
    /// What tenants have used in this batch, to be added to their rows.
    pub(super) usage: Held<(TenantId, Month), Usage>,
    /// What sessions have logged in this batch, to be added to their rows.
    pub(super) logged: Held<(TenantId, SessionId), Cost>,
    /// What sessions have spent altogether, of those that spent in this batch.
    pub(super) spent: Held<(TenantId, SessionId), Money>,
    /// Sessions that begin in this batch: but for what they have logged and spent.
    pub(super) new_sessions: Held<(TenantId, SessionId), Arc<Session>>,
    pub(super) new_payments: Held<(TenantId, AuthorizationId), Arc<Authorization>>,
    /// What tenants have authorized altogether.
    pub(super) authorized: Held<TenantId, Money>,
    pub(super) open_calls: Held<CallKey, open_calls::Held>,
    /// What upstreams' counts gain in this batch.
    pub(super) calls: Held<(TenantId, UpstreamName), Counts>,
    /// Entries in the order of their appending; those from `kept_entries` on are the running job's.
    entries: RefCell<Vec<Appended>>,
    kept_entries: Cell<usize>,
    /// Whether the running job has a savepoint.
    pub(super) savepoint: Cell<bool>,
    /// The state in which the batch began, until it changes a row that is not held.
    pub(super) state: Cell<Option<State>>,
    /// The state in which the rows that are known are as they are known.
    known_in: Cell<Option<State>>,
    tails: Tails,
    /// What was looked up, known like the rest.
    pub(super) looked_up: LookedUp,
}

impl Pending {
    /// A batch begins in this state of the database.
    pub(super) fn begin(&self, state: Option<State>) {
        self.state.set(state);
        if state.is_none() || self.known_in.get() != state {
            self.forget();
        }
    }

    /// The batch is committed, and the database is in this state now.
    pub(super) fn learn(&self, state: State) {
        self.known_in.set(Some(state));
        self.heads.learn(|_| ());
        self.agents.learn(|stats| stats.moved = false);
        self.tools.learn(|_| ());
        self.authorized.learn(|_| ());
        self.open_calls.learn(|_| ());
    }

    /// Nothing is known any more: a row is changed that may be one of those.
    pub(super) fn forget(&self) {
        self.known_in.set(None);
        self.heads.forget();
        self.agents.forget();
        self.tools.forget();
        self.authorized.forget();
        self.open_calls.forget();
        self.looked_up.forget();
        self.tails.forget();
    }

    /// Holds an entry that the running job appends.
    pub(super) fn append(&self, appended: Appended) {
        self.entries.borrow_mut().push(appended);
    }

    /// What the job has put stays.
    pub(super) fn keep_job(&self) {
        self.kept_entries.set(self.entries.borrow().len());
        self.heads.keep();
        self.agents.keep();
        self.tools.keep();
        self.usage.keep();
        self.logged.keep();
        self.spent.keep();
        self.new_sessions.keep();
        self.new_payments.keep();
        self.authorized.keep();
        self.open_calls.keep();
        self.calls.keep();
    }

    /// What the job has put is taken back.
    pub(super) fn take_back_job(&self) {
        self.entries.borrow_mut().truncate(self.kept_entries.get());
        self.heads.take_back();
        self.agents.take_back();
        self.tools.take_back();
        self.usage.take_back();
        self.logged.take_back();
        self.spent.take_back();
        self.new_sessions.take_back();
        self.new_payments.take_back();
        self.authorized.take_back();
        self.open_calls.take_back();
        self.calls.take_back();
        // It may have looked up what it had changed itself.
        self.looked_up.forget();
    }

    /// Writes every row, before the commit.
    pub(super) fn write(&self, connection: &Connection) -> Result<()> {
        appending::write_entries(connection, &self.entries.borrow(), &self.looked_up.bases)?;
        for Appended { tenant, entry, leaf } in &*self.entries.borrow() {
            self.tails.push(tenant, entry, *leaf);
        }
        self.heads.write(|tenant, (head, keeper)| {
            appending::write_head(connection, tenant, head, keeper.seal(tenant, head))?;
            self.tails.fold(connection, tenant, head.seq, &**keeper)
        })?;
        self.agents.write(|(tenant, agent), stats| counters::write_agent(connection, tenant, agent, stats))?;
        self.tools.write(|key, total| counters::write_tool(connection, key, *total))?;
        self.open_calls.write(|key, held| open_calls::write_call(connection, key, held))?;
        self.calls.write(|(tenant, name), added| open_calls::write_counts(connection, tenant, name, *added))?;
        self.usage.write(|(tenant, month), added| usage::write_usage(connection, tenant, *month, *added))?;
        self.new_payments.write(|(tenant, _), payment| payments::write_new(connection, tenant, payment))?;
        self.authorized.write(|tenant, total| counters::write_authorized(connection, tenant, *total))?;
        self.new_sessions.write(|(tenant, _), session| sessions::write_new(connection, tenant, session))?;
        // Of new sessions too.
        self.spent.write(|(tenant, id), spent| sessions::write_spent(connection, tenant, id, *spent))?;
        self.logged.write(|(tenant, id), added| sessions::write_logged(connection, tenant, id, *added))
    }

    /// Nothing of the batch stands.
    pub(super) fn take_back(&self) {
        self.forget();
        self.tails.take_back();
    }

    /// Forgets everything, after the batch.
    pub(super) fn clear(&self) {
        self.entries.borrow_mut().clear();
        self.kept_entries.set(0);
        self.savepoint.set(false);
        self.state.set(None);
        self.heads.clear();
        self.agents.clear();
        self.tools.clear();
        self.usage.clear();
        self.logged.clear();
        self.spent.clear();
        self.new_sessions.clear();
        self.new_payments.clear();
        self.authorized.clear();
        self.open_calls.clear();
        self.calls.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_fails_takes_back_its_own_and_nothing_else() {
        let held = Held::<&str, i32>::default();
        held.put("a", 1);
        held.keep();
        held.put("a", 2);
        held.put("a", 3);
        held.put("b", 1);
        held.take_back();
        assert_eq!((held.get(&"a"), held.get(&"b")), (Some(1), None));
        held.put("a", 4);
        held.keep();
        held.take_back();
        assert_eq!(held.get(&"a"), Some(4));
    }
}
