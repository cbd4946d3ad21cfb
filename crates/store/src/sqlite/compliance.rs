//! What evidence is made of, and its schedules. Entries are counted as they lie in the log
//! ([`folding`](super::fold)), the rest by triggers: nothing can be recorded that is not counted.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    SqliteTx,
    rows::{Columns, rows, word},
    statements::{place, statements},
};
use crate::{
    Head,
    compliance::{Governed, Group, LogTotals, MARK_EVERY, ReadCompliance, Schedule, WriteCompliance},
    error::Result,
    model::{EntryKind, EntryLine, Money, TenantId, UnixMicros},
};

macro_rules! schedule {
    () => {
        "id, name, cadence, webhook_id, created_at, period_start, due_at, last_run_at, last_error, run_count, fail_count"
    };
}

statements! {
    COUNT_ENTRIES = "INSERT INTO evidence_counts (tenant, what, second, count, amount)
        VALUES (?1, ?2, ?3, ?4 + min(coalesce((SELECT count FROM evidence_counts WHERE tenant = ?1 AND what = ?2
            ORDER BY second DESC LIMIT 1), 0), 9223372036854775807 - ?4), 0)
        ON CONFLICT DO UPDATE SET count = excluded.count";
    NEXT_NAME = "SELECT what FROM evidence_counts WHERE tenant = ?1 AND what > ?2 ORDER BY what LIMIT 1";
    COUNT_BEFORE = "SELECT count, amount FROM evidence_counts WHERE tenant = ?1 AND what = ?2 AND second < ?3
        ORDER BY second DESC LIMIT 1";
    LOG_MARK = "SELECT seq, actions, cost, flagged FROM log_marks WHERE tenant = ?1 AND seq <= ?2
        ORDER BY seq DESC LIMIT 1";
    PUT_LOG_MARK = "INSERT INTO log_marks (tenant, seq, actions, cost, flagged) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT DO NOTHING";
    ENTRIES_BETWEEN = concat!("SELECT kind = 'action', cost, flagged FROM audit_entries WHERE place >= ", place!("?2"),
        " AND place < ", place!("?3"));
    SCHEDULES = concat!("SELECT ", schedule!(), " FROM compliance_schedules WHERE tenant = ?1 ORDER BY id LIMIT ?2");
    DUE_SCHEDULES = "SELECT tenant, id FROM compliance_schedules WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2";
    PUT_SCHEDULE = "INSERT OR REPLACE INTO compliance_schedules (tenant, id, name, cadence, webhook_id, created_at,
        period_start, due_at, last_run_at, last_error, run_count, fail_count)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
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

fn schedule(row: &Row<'_>) -> Result<Schedule> {
    let mut columns = Columns::of(row);
    Ok(Schedule {
        id: columns.next()?,
        name: columns.next()?,
        cadence: columns.next()?,
        webhook_id: columns.next()?,
        created_at: columns.next()?,
        period_start: columns.next()?,
        due_at: columns.next()?,
        last_run_at: columns.next()?,
        last_error: columns.next()?,
        run_count: columns.next()?,
        fail_count: columns.next()?,
    })
}

/// Entries of haldir's own, by what was done and the second. A row holds all that was up to the end of its second.
#[derive(Default)]
pub(super) struct EntryCounts(BTreeMap<String, BTreeMap<i64, i64>>);

impl EntryCounts {
    /// Counts one entry, if it is haldir's own.
    pub(super) fn count(&mut self, entry: &EntryLine<'_>) {
        if entry.kind == EntryKind::Governance {
            let seconds = match self.0.get_mut(entry.action) {
                Some(seconds) => seconds,
                None => self.0.entry(entry.action.to_owned()).or_default(),
            };
            *seconds.entry(entry.at.0.div_euclid(1_000_000)).or_default() += 1;
        }
    }

    /// Adds them to what is stored, in the order of time, in which a log's entries are.
    pub(super) fn add_to(self, connection: &Connection, tenant: &TenantId) -> Result<()> {
        let mut add = connection.prepare_cached(COUNT_ENTRIES)?;
        for (action, seconds) in self.0 {
            let what = format!("{}{action}", prefix(Group::Entries));
            for (second, count) in seconds {
                add.execute(params![tenant.as_str(), what, second, count])?;
            }
        }
        Ok(())
    }
}

impl SqliteTx<'_> {
    /// What there was of something before this second.
    fn count_before(&self, tenant: &TenantId, what: &str, second: i64) -> Result<Governed> {
        let mut statement = self.connection()?.prepare_cached(COUNT_BEFORE)?;
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let found: Option<(i64, i64)> = statement.query_row(params![tenant.as_str(), what, second], read).optional()?;
        Ok(found.map_or_else(Governed::default, |(count, nanos)| Governed { count, amount: Money::from_nanos(nanos) }))
    }
}

impl ReadCompliance for SqliteTx<'_> {
    fn governed(&self, tenant: &TenantId, group: Group, since: i64, until: i64) -> Result<Vec<(String, Governed)>> {
        self.require_reader()?;
        let mut next = self.connection()?.prepare_cached(NEXT_NAME)?;
        let prefix = prefix(group);
        let mut found: BTreeMap<String, (Governed, Governed)> = BTreeMap::new();
        let mut what = prefix.to_owned();
        for _ in 0..MAX_NAMES {
            let read = |row: &Row<'_>| row.get::<_, String>(0);
            let Some(name) = next.query_row(params![tenant.as_str(), what], read).optional()? else { break };
            let Some(short) = name.strip_prefix(prefix) else { break };
            let counts = (self.count_before(tenant, &name, since)?, self.count_before(tenant, &name, until)?);
            found.insert(short.to_owned(), counts);
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

    fn log_totals(&self, tenant: &TenantId, seq: i64) -> Result<LogTotals> {
        self.require_reader()?;
        if seq <= 0 {
            return Ok(LogTotals::default());
        }
        let mut totals = LogTotals::default();
        let mut mark = self.connection()?.prepare_cached(LOG_MARK)?;
        if let Some(row) = mark.query(params![tenant.as_str(), seq])?.next()? {
            let mut columns = Columns::of(row);
            totals = LogTotals {
                entries: columns.next()?,
                actions: columns.next()?,
                cost: columns.next()?,
                flagged: columns.next()?,
            };
        }
        // Without its marks a log is not counted: it may be of any length.
        let first = (totals.entries + 1).max(seq - MARK_EVERY);
        let mut statement = self.connection()?.prepare_cached(ENTRIES_BETWEEN)?;
        let mut rows = statement.query(params![tenant.as_str(), first, seq + 1])?;
        while let Some(row) = rows.next()? {
            let mut columns = Columns::of(row);
            let (is_action, cost, flagged): (bool, Money, bool) = (columns.next()?, columns.next()?, columns.next()?);
            totals.entries += 1;
            totals.flagged += i64::from(flagged);
            if is_action {
                totals.actions += 1;
                totals.cost = totals.cost.saturating_add(cost);
            }
        }
        Ok(totals)
    }

    fn schedules(&self, tenant: &TenantId, limit: usize) -> Result<Vec<Schedule>> {
        let mut statement = self.connection()?.prepare_cached(SCHEDULES)?;
        statement.query_and_then(params![tenant.as_str(), rows(limit)], schedule)?.collect()
    }

    fn due_schedules(&self, now: UnixMicros, limit: usize) -> Result<Vec<(TenantId, String)>> {
        let mut statement = self.connection()?.prepare_cached(DUE_SCHEDULES)?;
        let read = |row: &Row<'_>| {
            let mut columns = Columns::of(row);
            Ok((columns.next()?, columns.next()?))
        };
        statement.query_and_then(params![now.0, rows(limit)], read)?.collect()
    }
}

impl WriteCompliance for SqliteTx<'_> {
    fn put_schedule(&mut self, tenant: &TenantId, schedule: &Schedule) -> Result<()> {
        self.change(PUT_SCHEDULE)?.execute(params![
            tenant.as_str(),
            schedule.id,
            schedule.name,
            word(&schedule.cadence)?,
            schedule.webhook_id,
            schedule.created_at.0,
            schedule.period_start.0,
            schedule.due_at.0,
            schedule.last_run_at.map(|at| at.0),
            schedule.last_error,
            schedule.run_count,
            schedule.fail_count,
        ])?;
        Ok(())
    }

    fn delete_schedule(&mut self, tenant: &TenantId, id: &str) -> Result<bool> {
        let mut statement = self.change(DELETE_SCHEDULE)?;
        Ok(statement.execute([tenant.as_str(), id])? > 0)
    }
}

/// Keeps the log's totals as they are at this head.
pub(super) fn write_mark(connection: &Connection, tenant: &TenantId, head: &Head) -> Result<()> {
    let mut statement = connection.prepare_cached(PUT_LOG_MARK)?;
    statement.execute(params![tenant.as_str(), head.seq, head.actions, head.cost.nanos(), head.flagged])?;
    Ok(())
}
