//! How long `details` are kept, the record of those that were erased, and the erasing itself.

use crate::{
    ReadTx, Tx,
    database::{Record, params, record},
    error::Result,
    model::{TenantId, UnixMicros},
    statements::{place, statements},
};

record! { audit_retention: Retention as retention { retain_days, updated_at, updated_by, mac } }
record! { audit_erasures: Erasure as erasure {
    number, created_at, actor, retain_days, before, up_to_seq, done_seq, erased, tree_size, root_hash, mac,
} }

statements! {
    RETENTION = concat!("SELECT ", retention!(), " FROM audit_retention WHERE tenant = ?1");
    PUT_RETENTION = "INSERT INTO audit_retention (tenant, retain_days, updated_at, updated_by, mac)
        VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT DO UPDATE SET retain_days = ?2, updated_at = ?3, updated_by = ?4, mac = ?5";
    TENANTS = "SELECT tenant FROM audit_retention WHERE tenant > ?1 ORDER BY tenant LIMIT ?2";
    ERASURES = concat!("SELECT ", erasure!(), " FROM audit_erasures WHERE tenant = ?1 ORDER BY number DESC LIMIT ?2");
    PUT_ERASURE = concat!("INSERT INTO audit_erasures (tenant, ", erasure!(),
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
        ON CONFLICT DO UPDATE SET up_to_seq = ?7, done_seq = ?8, erased = ?9, mac = ?12");
    ENTRY_TIME = concat!("SELECT at FROM audit_entries WHERE place = ", place!("?2"));
    DETAILS_BETWEEN = concat!("SELECT count(*) FROM audit_entries WHERE place >= ", place!("?2"), " AND place < ",
        place!("?3"), " AND details IS NOT NULL");
    ERASE = concat!("UPDATE audit_entries SET details = NULL, details_salt = NULL WHERE place >= ", place!("?2"),
        " AND place < ", place!("?3"), " AND (details IS NOT NULL OR details_salt IS NOT NULL)");
}

/// What an operator set.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Retention {
    /// 0 is for ever.
    pub retain_days: i64,
    pub updated_at: UnixMicros,
    pub updated_by: String,
    /// Keyed by the tenant's data key: an intruder with nothing but the database cannot have haldir erase.
    pub mac: [u8; 32],
}

/// A run of erasing. The newest one says how far the log is without its details: exactly up to `done_seq`.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Erasure {
    /// From 1, without gaps.
    pub number: i64,
    pub created_at: UnixMicros,
    pub actor: String,
    pub retain_days: i64,
    /// Entries from before this time.
    pub before: UnixMicros,
    /// Where it will end.
    pub up_to_seq: i64,
    /// How far it has come.
    pub done_seq: i64,
    /// Entries that had details and have none now.
    pub erased: i64,
    /// The log's size when it began, and the tree's root.
    pub tree_size: i64,
    pub root_hash: [u8; 32],
    /// Keyed by the tenant's data key: an intruder with nothing but the database cannot excuse an erasure.
    pub mac: [u8; 32],
}

#[allow(missing_docs)]
impl ReadTx {
    pub fn retention(&self, tenant: &TenantId) -> Result<Option<Retention>> {
        self.first(RETENTION, params![tenant])
    }

    /// Tenants with a setting, in order, after `after`.
    pub fn tenants_with_retention(&self, after: &str, limit: usize) -> Result<Vec<TenantId>> {
        self.all(TENANTS, params![after, limit])
    }

    /// Newest first, at most `limit`.
    pub fn erasures(&self, tenant: &TenantId, limit: usize) -> Result<Vec<Erasure>> {
        self.all(ERASURES, params![tenant, limit])
    }

    /// When an entry that is in the database already was made.
    pub fn entry_time(&self, tenant: &TenantId, seq: i64) -> Result<Option<UnixMicros>> {
        self.first(ENTRY_TIME, params![tenant, seq])
    }

    /// Entries with details among those from `first` to before `end`.
    pub fn details_between(&self, tenant: &TenantId, first: i64, end: i64) -> Result<i64> {
        self.one(DETAILS_BETWEEN, params![tenant, first, end])
    }
}

#[allow(missing_docs)]
impl Tx {
    pub fn put_retention(&mut self, tenant: &TenantId, retention: &Retention) -> Result<()> {
        self.change(PUT_RETENTION, &retention.params(tenant)).map(drop)
    }

    pub fn put_erasure(&mut self, tenant: &TenantId, erasure: &Erasure) -> Result<()> {
        self.change(PUT_ERASURE, &erasure.params(tenant)).map(drop)
    }

    /// Erases the details of entries from `first` to before `end`, and their salt; answers how many had any.
    pub fn erase_details(&mut self, tenant: &TenantId, first: i64, end: i64) -> Result<i64> {
        let count = self.details_between(tenant, first, end)?;
        self.overwriting(|tx| tx.any_change()?.execute(ERASE, params![tenant, first, end]))?;
        Ok(count)
    }

    /// Runs `work` so that what it deletes is overwritten where it was stored, not only unlinked.
    pub(crate) fn overwriting<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.any_change()?.overwrite_freed(true)?;
        let done = work(self);
        self.connection()?.overwrite_freed(false)?;
        done
    }
}
