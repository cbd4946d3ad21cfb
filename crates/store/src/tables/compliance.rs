//! What evidence is made of, and its schedules. Entries are counted as they lie in the log
//! (`fold`), the rest by triggers: nothing can be recorded that is not counted.

use std::collections::BTreeMap;

use crate::{
    Head, ReadTx, Tx,
    database::{Connection, Record, from_row, params, record},
    error::Result,
    model::{Cadence, EntryKind, EntryLine, Money, TenantId, UnixMicros},
    statements::{place, statements},
};

record! { compliance_schedules: Schedule as schedule {
    id, name, cadence, webhook_id, created_at, period_start, due_at, last_run_at, last_error, run_count, fail_count,
} }

record! { log_marks: LogTotals as log_mark { entries = "seq", actions, cost, flagged } }

statements! {
    COUNT_ENTRIES = "INSERT INTO evidence_counts (tenant, what, second, count, amount)
        VALUES (?1, ?2, ?3, ?4 + min(coalesce((SELECT count FROM evidence_counts WHERE tenant = ?1 AND what = ?2
            ORDER BY second DESC LIMIT 1), 0), 9223372036854775807 - ?4), 0)
        ON CONFLICT DO UPDATE SET count = excluded.count";
    NEXT_NAME = "SELECT what FROM evidence_counts WHERE tenant = ?1 AND what > ?2 ORDER BY what LIMIT 1";
    COUNT_BEFORE = "SELECT count, amount FROM evidence_counts WHERE tenant = ?1 AND what = ?2 AND second < ?3
        ORDER BY second DESC LIMIT 1";
    LOG_MARK = concat!("SELECT ", log_mark!(), " FROM log_marks WHERE tenant = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT 1");
    PUT_LOG_MARK = "INSERT INTO log_marks (tenant, seq, actions, cost, flagged) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT DO NOTHING";
    ENTRIES_BETWEEN = concat!("SELECT kind = 'action', cost, flagged FROM audit_entries WHERE place >= ", place!("?2"),
        " AND place < ", place!("?3"));
    SCHEDULES = concat!("SELECT ", schedule!(), " FROM compliance_schedules WHERE tenant = ?1 ORDER BY id LIMIT ?2");
    DUE_SCHEDULES = "SELECT tenant, id FROM compliance_schedules WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2";
    PUT_SCHEDULE = Schedule::PUT;
    DELETE_SCHEDULE = "DELETE FROM compliance_schedules WHERE tenant = ?1 AND id = ?2";
}

/// Names of one group that are told. Haldir's own actions are a few dozen, so this bounds only a database that was
/// filled by hand.
const MAX_NAMES: usize = 1_000;

fn prefix(group: Group) -> &'static str {
    match group {
        Group::Entries => "entry:",
        Group::Payments => "payment:",
        Group::Deliveries => "delivery:",
    }
}

/// How many entries of a log lie between two marks.
pub const MARK_EVERY: i64 = 4_096;

/// The log's totals at one of its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct LogTotals {
    /// The number of that entry.
    pub entries: i64,
    /// What agents have logged.
    pub actions: i64,
    pub cost: Money,
    pub flagged: i64,
}

impl LogTotals {
    /// What has come since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            entries: self.entries.saturating_sub(earlier.entries).max(0),
            actions: self.actions.saturating_sub(earlier.actions).max(0),
            cost: self.cost.minus_floor_zero(earlier.cost),
            flagged: self.flagged.saturating_sub(earlier.flagged).max(0),
        }
    }
}

/// What [`ReadTx::governed`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Haldir's own entries in the log, by action.
    Entries,
    /// Payments: `authorized`, `captured`, `voided`, each with its amount.
    Payments,
    /// Attempts to deliver events: `succeeded`, `failed`.
    Deliveries,
}

/// How often something happened, and for how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Governed {
    pub count: i64,
    pub amount: Money,
}

/// A schedule.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Schedule {
    pub id: String,
    pub name: String,
    pub cadence: Cadence,
    /// The webhook that gets the packs.
    pub webhook_id: i64,
    pub created_at: UnixMicros,
    /// Where the period of the next pack begins. The process that moves it on has made the pack before.
    pub period_start: UnixMicros,
    /// When the next pack is to be made, or tried again.
    pub due_at: UnixMicros,
    pub last_run_at: Option<UnixMicros>,
    /// Empty if the last run went well.
    pub last_error: String,
    pub run_count: i64,
    pub fail_count: i64,
}

impl Schedule {
    /// How the last run went: `ok`, `failed`, or empty if there was none.
    pub fn last_status(&self) -> &'static str {
        match self.last_run_at {
            None => "",
            Some(_) if self.last_error.is_empty() => "ok",
            Some(_) => "failed",
        }
    }
}

/// Entries of haldir's own, by what was done and the second. A row holds all that was up to the end of its second.
#[derive(Default)]
pub(crate) struct EntryCounts(BTreeMap<String, BTreeMap<i64, i64>>);

impl EntryCounts {
    /// Counts one entry, if it is haldir's own.
    pub(crate) fn count(&mut self, entry: &EntryLine<'_>) {
        if entry.kind == EntryKind::Governance {
            let seconds = match self.0.get_mut(entry.action) {
                Some(seconds) => seconds,
                None => self.0.entry(entry.action.to_owned()).or_default(),
            };
            *seconds.entry(entry.at.0.div_euclid(1_000_000)).or_default() += 1;
        }
    }

    /// Adds them to what is stored, in the order of time, in which a log's entries are.
    pub(crate) fn add_to(self, db: &dyn Connection, tenant: &TenantId) -> Result<()> {
        for (action, seconds) in self.0 {
            let what = format!("{}{action}", prefix(Group::Entries));
            for (second, count) in seconds {
                db.send(COUNT_ENTRIES, params![tenant, what, second, count])?;
            }
        }
        Ok(())
    }
}

from_row! { Governed { count, amount } }

#[allow(missing_docs)]
impl ReadTx {
    /// What happened from one whole second to before another, by name, in the order of names. It never changes once
    /// that second is over.
    pub fn governed(&self, tenant: &TenantId, group: Group, since: i64, until: i64) -> Result<Vec<(String, Governed)>> {
        self.require_reader()?;
        let prefix = prefix(group);
        let mut found: BTreeMap<String, (Governed, Governed)> = BTreeMap::new();
        let mut what = prefix.to_owned();
        for _ in 0..MAX_NAMES {
            let Some(name) = self.first::<String>(NEXT_NAME, params![tenant, what])? else { break };
            let Some(short) = name.strip_prefix(prefix) else { break };
            let before = |second: i64| self.first::<Governed>(COUNT_BEFORE, params![tenant, name, second]);
            found.insert(short.to_owned(), (before(since)?.unwrap_or_default(), before(until)?.unwrap_or_default()));
            what = name;
        }
        if matches!(group, Group::Entries) {
            let mut tail = EntryCounts::default();
            self.each_in_tail(tenant, |entry| tail.count(entry))?;
            for (action, seconds) in tail.0 {
                let (before, upto) = found.entry(action).or_default();
                before.count = before.count.saturating_add(seconds.range(..since).map(|(_, count)| count).sum());
                upto.count = upto.count.saturating_add(seconds.range(..until).map(|(_, count)| count).sum());
            }
        }
        let between = |(name, (before, upto)): (String, (Governed, Governed))| {
            let amount = upto.amount.minus_floor_zero(before.amount);
            (name, Governed { count: upto.count.saturating_sub(before.count), amount })
        };
        Ok(found.into_iter().map(between).filter(|(_, governed)| governed.count > 0).collect())
    }

    /// The log's totals at an entry. `entries` is smaller than its number where entries or the totals that the store keeps
    /// every [`MARK_EVERY`] entries are missing.
    pub fn log_totals(&self, tenant: &TenantId, seq: i64) -> Result<LogTotals> {
        self.require_reader()?;
        if seq <= 0 {
            return Ok(LogTotals::default());
        }
        let mut totals: LogTotals = self.first(LOG_MARK, params![tenant, seq])?.unwrap_or_default();
        // Without its marks a log is not counted: it may be of any length.
        let range = params![tenant, (totals.entries + 1).max(seq - MARK_EVERY), seq + 1];
        self.connection()?.each(ENTRIES_BETWEEN, range, |(is_action, cost, flagged): (bool, Money, bool)| {
            totals.entries += 1;
            totals.flagged += i64::from(flagged);
            if is_action {
                totals.actions += 1;
                totals.cost = totals.cost.saturating_add(cost);
            }
            Ok(true)
        })?;
        Ok(totals)
    }

    /// A tenant's schedules, at most `limit`.
    pub fn schedules(&self, tenant: &TenantId, limit: usize) -> Result<Vec<Schedule>> {
        self.all(SCHEDULES, params![tenant, limit])
    }

    /// Schedules of all tenants that are due by `now`, the longest due first, at most `limit`.
    pub fn due_schedules(&self, now: UnixMicros, limit: usize) -> Result<Vec<(TenantId, String)>> {
        self.all(DUE_SCHEDULES, params![now, limit])
    }
}

#[allow(missing_docs)]
impl Tx {
    /// Inserts or replaces.
    pub fn put_schedule(&mut self, tenant: &TenantId, schedule: &Schedule) -> Result<()> {
        self.change(PUT_SCHEDULE, &schedule.params(tenant)).map(drop)
    }

    /// Whether it was there.
    pub fn delete_schedule(&mut self, tenant: &TenantId, id: &str) -> Result<bool> {
        Ok(self.change(DELETE_SCHEDULE, params![tenant, id])? > 0)
    }
}

/// Keeps the log's totals as they are at this head.
pub(crate) fn write_mark(db: &dyn Connection, tenant: &TenantId, head: &Head) -> Result<()> {
    db.send(PUT_LOG_MARK, params![tenant, head.seq, head.actions, head.cost, head.flagged])
}
