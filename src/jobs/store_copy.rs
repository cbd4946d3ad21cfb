//! Copies of a store: how far their logs reach, whether a copy is older than a store, and a new master key.

use serde::{Deserialize, Serialize};

use crate::{
    call::{Keyring, WriteContext},
    crypto::{self, Hash, Key},
    error::{Code, Error, Result},
    model::{Caller, TenantId},
    operations::Haldir,
    store::{ReadTx, Tx, sqlite},
    watch::{
        self, Draft,
        canonical::hex,
        tree::{self, Tree},
    },
};

pub use sqlite::copying::{copy, require_alone};

/// How far a log reaches in a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHead {
    /// The tenant.
    pub tenant: TenantId,
    /// How many entries it has.
    pub tree_size: u64,
    /// The root of its Merkle tree, in hexadecimal.
    pub root_hash: String,
    /// The same as a signed checkpoint, which `haldir audit pin` keeps.
    pub checkpoint: String,
}

/// The result of comparing a copy with a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The copy holds all entries of the store.
    Complete,
    /// This log of the store has entries that the copy does not have.
    Older(TenantId),
    /// This log of the copy does not begin with that of the store.
    Diverged(TenantId),
}

impl Haldir {
    /// The heads of all logs, in the order of their tenants.
    pub fn log_heads(&self) -> Result<Vec<LogHead>> {
        let (mut heads, mut after) = (Vec::new(), String::new());
        loop {
            let logs = self.next_logs(&mut after)?;
            if logs.is_empty() {
                return Ok(heads);
            }
            for tenant in logs {
                heads.extend(self.inner.store.read(|tx| {
                    // A log that has lost its head has nothing to compare.
                    if tx.head(&tenant)?.is_none() {
                        return Ok(None);
                    }
                    let log = Tree::open(tx, &self.inner.services.keyring, &tenant)?;
                    let (_, checkpoint) = self.sign_checkpoint(tx, &tenant, &log)?;
                    let (tree_size, root_hash) = (log.size(), hex(&log.root()));
                    Ok(Some(LogHead { tenant: tenant.clone(), tree_size, root_hash, checkpoint }))
                })?);
            }
        }
    }

    /// Compares this copy with a store whose logs have these heads.
    pub fn compare(&self, heads: &[LogHead]) -> Result<Comparison> {
        for head in heads {
            let root = self.root_at(&head.tenant, head.tree_size)?;
            match root {
                None => return Ok(Comparison::Older(head.tenant.clone())),
                Some(root) if hex(&root) != head.root_hash => return Ok(Comparison::Diverged(head.tenant.clone())),
                Some(_) => {}
            }
        }
        Ok(Comparison::Complete)
    }

    /// The root of the tenant's log when it had so many entries; `None` if it has not.
    pub fn root_at(&self, tenant: &TenantId, size: u64) -> Result<Option<Hash>> {
        let services = &self.inner.services;
        self.inner.store.read(|tx| {
            if tx.wrapped_data_key(tenant)?.is_none() {
                return Ok(None);
            }
            let mut log = Tree::open(tx, &services.keyring, tenant)?;
            if log.size() < size { Ok(None) } else { log.root_at(size).map(Some) }
        })
    }

    /// The names of the tenant's log in checkpoints.
    pub fn log_origin(&self, tenant: &TenantId) -> Result<String> {
        let services = &self.inner.services;
        self.inner.store.read(|tx| Ok(tree::origin(tenant, services.keyring.tenant(tx, tenant)?.log_name)))
    }

    /// Puts a new master key in the place of this one: wraps every tenant's data key and seals every signing key under it,
    /// in one transaction. Nothing that is sealed under a data key changes.
    pub async fn rekey(&self, new: &Key) -> Result<u64> {
        let (services, next) = (std::sync::Arc::clone(&self.inner.services), Keyring::new(new));
        let work = move |tx: &mut Tx| {
            // First: it needs the keys as they are wrapped until now.
            let now = services.clock.now();
            let caller = Caller::internal(TenantId::local(), "operator");
            let mut cx = WriteContext { tx: &mut *tx, caller: &caller, now, services: &services };
            watch::append(&mut cx, Draft::governance("master_key.rotate", None, &serde_json::json!({}))?)?;
            let mut wrapped = 0;
            let mut after = String::new();
            loop {
                let tenants = tx.tenants(&after, super::PAGE)?;
                let Some(last) = tenants.last() else { break };
                after = last.id.to_string();
                for tenant in &tenants {
                    services.keyring.rewrap(tx, &tenant.id, &next)?;
                    wrapped += 1;
                }
            }
            services.keyring.reseal(tx, &next)?;
            Ok(wrapped)
        };
        self.inner.store.write(&TenantId::local(), work).await
    }
}

/// Whether this is the store's own master key, looked at from outside.
pub fn is_own_key(path: &std::path::Path, key: &Key) -> Result<bool> {
    let inspection = sqlite::Inspection::open(path)?;
    let keyring = Keyring::new(key);
    Ok(inspection.read(|tx: &ReadTx| Ok(keyring.check_existing(tx).is_ok()))?)
}

/// SHA-256 of a file, in hexadecimal; `progress` is told how many bytes are read, of how many.
pub fn digest_of(path: &std::path::Path, progress: &mut dyn FnMut(u64, u64)) -> Result<String> {
    let unreadable =
        |error: std::io::Error| Error::new(Code::Unavailable, format!("{} cannot be read: {error}", path.display()));
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    let (mut done, total) = (0, file.metadata().map_err(unreadable)?.len());
    let (mut hash, mut buffer) = (crypto::Sha256::default(), vec![0; 1024 * 1024]);
    loop {
        match std::io::Read::read(&mut file, &mut buffer).map_err(unreadable)? {
            0 => return Ok(hex(&hash.finish())),
            read => {
                hash.update(&buffer[..read]);
                done += read as u64;
                progress(done, total);
            }
        }
    }
}
