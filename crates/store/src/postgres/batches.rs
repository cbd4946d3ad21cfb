//! The batches that a process writes, and how long its caches hold.
//!
//! Each batch notes for its tenants which process has written for them last. Under a tenant's lock, a process that finds its own last
//! batch there knows that what it has cached of the tenant is what the database holds.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::connection::key;
use crate::{
    error::{Error, Result},
    model::TenantId,
    row_cache::{AskVersion, DatabaseVersion},
};

/// Tenants of which something may be cached; with one more, everything is forgotten.
const MAX_TENANTS: usize = 4_096;

/// What a process knows of the batches that it has written.
pub(super) struct Batches {
    /// What the process is known by: random.
    pub(super) process: [u8; 16],
    /// The number of the batch that is open, or was last.
    pub(super) number: Cell<i64>,
    /// The tenants that it locks.
    pub(super) tenants: RefCell<Vec<TenantId>>,
    is_open: Cell<bool>,
    /// The last batch for each tenant of which something may be cached.
    last: RefCell<HashMap<TenantId, i64>>,
    version: Arc<Mutex<DatabaseVersion>>,
}

impl Batches {
    /// What a process begins with, and how its caches learn which version they hold for.
    pub(super) fn new() -> Result<(Self, AskVersion)> {
        let mut process = [0; 16];
        haldir_core::crypto::fill(&mut process).map_err(Error::internal)?;
        let version = Arc::new(Mutex::new(DatabaseVersion { stamp: [0; 48], commits: 0 }));
        let asked = Arc::clone(&version);
        let batches = Self {
            process,
            number: Cell::new(0),
            tenants: RefCell::default(),
            is_open: Cell::new(false),
            last: RefCell::default(),
            version,
        };
        Ok((batches, Box::new(move || Some(*asked.lock().unwrap_or_else(PoisonError::into_inner)))))
    }

    /// The number that each batch of the process locks, so that the end of one can be waited for.
    pub(super) fn lock_key(&self) -> i64 {
        key(&[b"haldir process", &self.process])
    }

    /// A batch for these tenants begins.
    pub(super) fn begin(&self, tenants: &[TenantId]) {
        self.number.set(self.number.get() + 1);
        *self.tenants.borrow_mut() = tenants.to_vec();
        let is_full = self.last.borrow().len() + tenants.len() > MAX_TENANTS;
        // The batch before was not committed, if it is open still.
        if self.is_open.replace(true) || is_full {
            self.forget();
        }
    }

    /// Holds what the database says of the tenants against what is known: tenant, process, number.
    pub(super) fn compare(&self, noted: &[(TenantId, Vec<u8>, i64)]) {
        let last = self.last.borrow();
        let is_own = |tenant: &TenantId, number: i64| {
            noted.iter().any(|(of, process, noted)| of == tenant && process[..] == self.process && *noted == number)
        };
        let is_current =
            self.tenants.borrow().iter().all(|tenant| last.get(tenant).is_none_or(|number| is_own(tenant, *number)));
        drop(last);
        if !is_current {
            self.forget();
        }
    }

    /// One more tenant is to be locked, unless it is already; answers that. What is cached of it is not compared, and no longer used.
    pub(super) fn add(&self, tenant: &TenantId) -> bool {
        if self.tenants.borrow().contains(tenant) {
            return false;
        }
        if self.last.borrow().contains_key(tenant) {
            self.forget();
        }
        self.tenants.borrow_mut().push(tenant.clone());
        true
    }

    /// The batch is committed.
    pub(super) fn committed(&self) {
        let number = self.number.get();
        self.last.borrow_mut().extend(self.tenants.borrow_mut().drain(..).map(|tenant| (tenant, number)));
        self.is_open.set(false);
        let mut version = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        version.commits = version.commits.wrapping_add(1);
    }

    /// Nothing that is cached holds any more.
    fn forget(&self) {
        self.last.borrow_mut().clear();
        let mut version = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        version.stamp[..8].copy_from_slice(&self.number.get().to_le_bytes());
    }
}
