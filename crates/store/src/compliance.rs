//! What evidence is made of, and its schedules.

use crate::{
    error::Result,
    model::{Cadence, Money, TenantId, UnixMicros},
};

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

/// What [`ReadCompliance::governed`] counts.
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

#[allow(missing_docs)]
pub trait ReadCompliance {
    /// What happened from one whole second to before another, by name, in the order of names. It never changes once
    /// that second is over.
    fn governed(&self, tenant: &TenantId, group: Group, since: i64, until: i64) -> Result<Vec<(String, Governed)>>;
    /// The log's totals at an entry. `entries` is smaller than its number where entries or the totals that the store keeps
    /// every [`MARK_EVERY`] entries are missing.
    fn log_totals(&self, tenant: &TenantId, seq: i64) -> Result<LogTotals>;
    /// A tenant's schedules, at most `limit`.
    fn schedules(&self, tenant: &TenantId, limit: usize) -> Result<Vec<Schedule>>;
    /// Schedules of all tenants that are due by `now`, the longest due first, at most `limit`.
    fn due_schedules(&self, now: UnixMicros, limit: usize) -> Result<Vec<(TenantId, String)>>;
}

#[allow(missing_docs)]
pub trait WriteCompliance {
    /// Inserts or replaces.
    fn put_schedule(&mut self, tenant: &TenantId, schedule: &Schedule) -> Result<()>;
    /// Whether it was there.
    fn delete_schedule(&mut self, tenant: &TenantId, id: &str) -> Result<bool>;
}
