//! How long `details` are kept, and the record of those that were erased.

use crate::{
    error::Result,
    model::{TenantId, UnixMicros},
};

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
pub trait ReadRetention {
    fn retention(&self, tenant: &TenantId) -> Result<Option<Retention>>;
    /// Tenants with a setting, in order, after `after`.
    fn tenants_with_retention(&self, after: &str, limit: usize) -> Result<Vec<TenantId>>;
    /// Newest first, at most `limit`.
    fn erasures(&self, tenant: &TenantId, limit: usize) -> Result<Vec<Erasure>>;
    /// When an entry that is in the database already was made.
    fn entry_time(&self, tenant: &TenantId, seq: i64) -> Result<Option<UnixMicros>>;
    /// Entries with details among those from `first` to before `end`.
    fn details_between(&self, tenant: &TenantId, first: i64, end: i64) -> Result<i64>;
}

#[allow(missing_docs)]
pub trait WriteRetention {
    fn put_retention(&mut self, tenant: &TenantId, retention: &Retention) -> Result<()>;
    fn put_erasure(&mut self, tenant: &TenantId, erasure: &Erasure) -> Result<()>;
    /// Erases the details of entries from `first` to before `end`, and their salt; answers how many had any.
    fn erase_details(&mut self, tenant: &TenantId, first: i64, end: i64) -> Result<i64>;
}
