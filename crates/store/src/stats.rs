//! What the log holds, by day: counters small enough to be summed up, however long the log is.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    erasing::ERASED,
    error::Result,
    model::{Day, EntryKind, EntryLine, Money, TenantId, UnixMicros},
};

/// What stands for the names beyond a bound.
pub const OTHER: &str = "(other)";
/// The governance entry that a session begins with.
pub const SESSION_BEGINS: &str = "session.create";

/// Stands for all days together, in the place of a day.
pub const EVER: i64 = -1;

/// The UTC day that `time` lies in, from 1970-01-01.
pub fn day_of(time: UnixMicros) -> i64 {
    Day::of(time).0
}

/// What was counted. Its names are bounded: those beyond it stand under [`OTHER`].
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Tally {
    pub entries: i64,
    /// Of these, what agents have logged.
    pub actions: i64,
    pub cost: Money,
    pub flagged: i64,
    /// Sessions that began.
    pub sessions: i64,
    /// Entries by tool.
    pub by_tool: BTreeMap<String, i64>,
    /// Entries by what was done.
    pub by_action: BTreeMap<String, i64>,
}

/// The names that one tally may hold, and how long they may be in bytes.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct NameBound {
    pub names: usize,
    pub bytes: usize,
}

impl NameBound {
    /// Of one day's row: it stays below a page of the database.
    pub const STORED: Self = Self { names: 32, bytes: 64 };
    /// Of an answer.
    pub const ANSWERED: Self = Self { names: 1_000, bytes: 1_024 };

    fn count(self, into: &mut BTreeMap<String, i64>, name: &str, times: i64) {
        if let Some(known) = into.get_mut(name) {
            *known = known.saturating_add(times);
        } else if into.len() < self.names && name.len() <= self.bytes {
            into.insert(name.to_owned(), times);
        } else {
            let other = into.entry(OTHER.to_owned()).or_default();
            *other = other.saturating_add(times);
        }
    }
}

impl Tally {
    /// Counts one entry.
    pub fn count(&mut self, entry: &EntryLine<'_>, bound: NameBound) {
        self.entries = self.entries.saturating_add(1);
        if entry.kind == EntryKind::Action {
            self.actions = self.actions.saturating_add(1);
            self.cost = self.cost.saturating_add(entry.cost);
        }
        self.flagged = self.flagged.saturating_add(i64::from(entry.flagged));
        let begins = entry.kind == EntryKind::Governance && entry.action == SESSION_BEGINS;
        self.sessions = self.sessions.saturating_add(i64::from(begins));
        bound.count(&mut self.by_tool, entry.tool, 1);
        bound.count(&mut self.by_action, entry.action, 1);
    }

    /// Moves a counted entry from its names to [`ERASED`]; every sum stays.
    pub fn forget_names(&mut self, entry: &EntryLine<'_>) {
        let move_one = |names: &mut BTreeMap<String, i64>, name: &str| {
            let name = if names.contains_key(name) { name } else { OTHER };
            let Some(times) = names.get_mut(name) else { return };
            *times -= 1;
            if *times <= 0 {
                names.remove(name);
            }
            *names.entry(ERASED.to_owned()).or_default() += 1;
        };
        move_one(&mut self.by_tool, entry.tool);
        move_one(&mut self.by_action, entry.action);
    }

    /// Counts what another has counted.
    pub fn add(&mut self, other: &Self, bound: NameBound) {
        self.entries = self.entries.saturating_add(other.entries);
        self.actions = self.actions.saturating_add(other.actions);
        self.cost = self.cost.saturating_add(other.cost);
        self.flagged = self.flagged.saturating_add(other.flagged);
        self.sessions = self.sessions.saturating_add(other.sessions);
        for (name, times) in &other.by_tool {
            bound.count(&mut self.by_tool, name, *times);
        }
        for (name, times) in &other.by_action {
            bound.count(&mut self.by_action, name, *times);
        }
    }
}

/// Whose entries are counted.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Counted<'a> {
    Tenant,
    Agent(&'a str),
    Session(&'a str),
}

/// Entries that were looked at one by one.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Looked {
    pub tally: Tally,
    /// The agents of entries in sessions.
    pub agents: BTreeSet<String>,
    /// Whether older ones were left out, since there were more than might be looked at.
    pub truncated: bool,
}

#[allow(missing_docs)]
pub trait ReadStats {
    /// The number of the first entry at `time` or later; one behind the last if there is none.
    fn seq_at(&self, tenant: &TenantId, time: UnixMicros) -> Result<i64>;
    /// The sum of these whole days, the last not included, for the tenant or an agent. [`EVER`] is one of them.
    fn day_tally(&self, tenant: &TenantId, of: Counted<'_>, first: i64, end: i64) -> Result<Tally>;
    /// The first day that has entries.
    fn first_day(&self, tenant: &TenantId) -> Result<Option<i64>>;
    /// The agents that have entries on these days, at most `limit` rows.
    fn agents_of_days(&self, tenant: &TenantId, first: i64, end: i64, limit: usize) -> Result<BTreeSet<String>>;
    /// Looks at entries one by one, from `first` to before `end`: the newest `limit` of them.
    fn look_at_entries(&self, tenant: &TenantId, of: Counted<'_>, first: i64, end: i64, limit: usize)
    -> Result<Looked>;
}
