//! What the log holds, by day: counters small enough to be summed up, however long the log is. They are made from the entries as they
//! lie in the log (`fold`), so nothing can be appended that is not counted, and a refused job leaves none behind.

use std::collections::{BTreeMap, BTreeSet, HashMap, hash_map};

use super::{audit, erasing::ERASED};
use crate::{
    AuditQuery, ReadTx,
    database::{Connection, from_row, params},
    error::{Error, Result},
    model::{AgentId, Day, EntryKind, EntryLine, Money, SessionId, TenantId, UnixMicros},
    statements::statements,
};

statements! {
    DAY = "SELECT entries, actions, cost, flagged, sessions, by_tool, by_action FROM audit_days
        WHERE tenant = ?1 AND day = ?2 AND of = ?3";
    PUT_DAY = "INSERT INTO audit_days (tenant, day, of, entries, actions, cost, flagged, sessions, by_tool, by_action)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
        ON CONFLICT DO UPDATE SET entries = ?4, actions = ?5, cost = ?6, flagged = ?7, sessions = ?8, by_tool = ?9,
        by_action = ?10";
    FIRST_DAY = "SELECT day FROM audit_days WHERE tenant = ?1 AND day >= 0 ORDER BY day LIMIT 1";
    AGENTS_OF_DAYS = "SELECT of FROM audit_days WHERE tenant = ?1 AND day >= ?2 AND day < ?3 AND of <> ''
        ORDER BY day, of LIMIT ?4";
}

fn owner(of: Counted<'_>) -> Result<String> {
    match of {
        Counted::Tenant => Ok(String::new()),
        Counted::Agent(agent) => Ok(format!("a:{agent}")),
        Counted::Session(_) => Err(Error::internal("sessions are not counted by day")),
    }
}

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

from_row! { Tally { entries, actions, cost, flagged, sessions, by_tool, by_action } }

fn read_day(db: &dyn Connection, tenant: &TenantId, day: i64, of: &str) -> Result<Option<Tally>> {
    db.first(DAY, params![tenant, day, of])
}

/// The rows that entries are counted into: two of the tenant and of each agent, of the day and of all days, however many
/// entries there are.
#[derive(Default)]
pub(crate) struct DayCounts(HashMap<(i64, String), Tally>);

impl DayCounts {
    /// Counts one entry on top of what is stored.
    pub(crate) fn count(&mut self, db: &dyn Connection, tenant: &TenantId, entry: &EntryLine<'_>) -> Result<()> {
        for counted in [Counted::Tenant, Counted::Agent(entry.agent_id)] {
            let of = owner(counted)?;
            for day in [day_of(entry.at), EVER] {
                let tally = match self.0.entry((day, of.clone())) {
                    hash_map::Entry::Occupied(tally) => tally.into_mut(),
                    hash_map::Entry::Vacant(place) => place.insert(read_day(db, tenant, day, &of)?.unwrap_or_default()),
                };
                tally.count(entry, NameBound::STORED);
            }
        }
        Ok(())
    }

    pub(crate) fn write(self, db: &dyn Connection, tenant: &TenantId) -> Result<()> {
        for ((day, of), tally) in self.0 {
            let Tally { entries, actions, cost, flagged, sessions, by_tool, by_action } = tally;
            let params = params![tenant, day, of, entries, actions, cost, flagged, sessions, by_tool, by_action];
            db.send(PUT_DAY, params)?;
        }
        Ok(())
    }
}

/// Entries have lost what they did and with what: names that stand for nothing else any more are not kept.
pub(crate) fn forget_names(db: &dyn Connection, tenant: &TenantId, entries: &[(i64, EntryLine<'_>)]) -> Result<()> {
    let mut changed: HashMap<(i64, String), Option<Tally>> = HashMap::new();
    for (_, entry) in entries {
        for counted in [Counted::Tenant, Counted::Agent(entry.agent_id)] {
            let of = owner(counted)?;
            for day in [day_of(entry.at), EVER] {
                let tally = match changed.entry((day, of.clone())) {
                    hash_map::Entry::Occupied(tally) => tally.into_mut(),
                    hash_map::Entry::Vacant(place) => place.insert(read_day(db, tenant, day, &of)?),
                };
                if let Some(tally) = tally {
                    tally.forget_names(entry);
                }
            }
        }
    }
    let known = changed.into_iter().filter_map(|(key, tally)| Some((key, tally?)));
    DayCounts(known.collect()).write(db, tenant)
}

#[allow(missing_docs)]
impl ReadTx {
    /// The number of the first entry at `time` or later; one behind the last if there is none.
    pub fn seq_at(&self, tenant: &TenantId, time: UnixMicros) -> Result<i64> {
        let last = self.head(tenant)?.map_or(0, |head| head.seq);
        self.first_seq_since(tenant, time, last)
    }

    /// The sum of these whole days, the last not included, for the tenant or an agent. [`EVER`] is one of them.
    pub fn day_tally(&self, tenant: &TenantId, of: Counted<'_>, first: i64, end: i64) -> Result<Tally> {
        self.require_reader()?;
        let (connection, owned_by) = (self.connection()?, owner(of)?);
        let mut days = BTreeMap::new();
        // A day at a time: the rows of one day lie together, not those of one agent.
        for day in first..end {
            if let Some(tally) = read_day(connection, tenant, day, &owned_by)? {
                days.insert(day, tally);
            }
        }
        self.each_in_tail(tenant, |entry| {
            let is_counted = !matches!(of, Counted::Agent(agent) if agent != entry.agent_id);
            for day in [day_of(entry.at), EVER] {
                if is_counted && (first..end).contains(&day) {
                    days.entry(day).or_default().count(entry, NameBound::STORED);
                }
            }
        })?;
        let mut sum = Tally::default();
        for tally in days.values() {
            sum.add(tally, NameBound::ANSWERED);
        }
        Ok(sum)
    }

    /// The first day that has entries.
    pub fn first_day(&self, tenant: &TenantId) -> Result<Option<i64>> {
        self.require_reader()?;
        let mut first = self.first(FIRST_DAY, params![tenant])?;
        if first.is_none() {
            self.each_in_tail(tenant, |entry| first = first.or(Some(day_of(entry.at))))?;
        }
        Ok(first)
    }

    /// The agents that have entries on these days, at most `limit` rows.
    pub fn agents_of_days(&self, tenant: &TenantId, first: i64, end: i64, limit: usize) -> Result<BTreeSet<String>> {
        self.require_reader()?;
        let found: Vec<String> = self.all(AGENTS_OF_DAYS, params![tenant, first, end, limit])?;
        let agents = found.iter().filter_map(|of| of.strip_prefix("a:").map(str::to_owned));
        let mut agents: BTreeSet<String> = agents.collect();
        self.each_in_tail(tenant, |entry| {
            if (first..end).contains(&day_of(entry.at)) && !agents.contains(entry.agent_id) {
                agents.insert(entry.agent_id.to_owned());
            }
        })?;
        agents.remove(audit::NO_AGENT);
        Ok(agents)
    }

    /// Looks at entries one by one, from `first` to before `end`: the newest `limit` of them.
    pub fn look_at_entries(
        &self,
        tenant: &TenantId,
        of: Counted<'_>,
        first: i64,
        end: i64,
        limit: usize,
    ) -> Result<Looked> {
        let mut query = AuditQuery { before_seq: Some(end), first_seq: Some(first), ..AuditQuery::default() };
        match of {
            Counted::Tenant => {}
            Counted::Agent(agent) => query.agent_id = Some(AgentId::parse(agent).map_err(Error::internal)?.to_string()),
            Counted::Session(session) => {
                query.session_id = Some(SessionId::parse(session).map_err(Error::internal)?.to_string());
            }
        }
        query.limit = limit + 1;
        let mut looked = Looked::default();
        let found = self.entries(tenant, &query)?.entries;
        looked.truncated = found.len() > limit;
        // One that cannot be read is tampering, which `verify` reports; it is left out here.
        for entry in found.into_iter().take(limit).flatten() {
            looked.tally.count(&entry.view().line(), NameBound::ANSWERED);
            if !entry.session_id.is_empty() {
                looked.agents.insert(entry.agent_id);
            }
        }
        Ok(looked)
    }
}
