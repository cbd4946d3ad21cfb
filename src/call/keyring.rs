//! Envelope encryption: the master key wraps one data key per tenant; the keys that seal and authenticate a tenant's data are
//! derived from that. A new master key re-wraps only the data keys.

use std::{collections::HashMap, sync::Arc};

use parking_lot::RwLock;

use super::signing::{Signers, SigningKeys};
use crate::{
    crypto::{self, Key, PublicKey},
    error::{Code, Error, Result},
    model::{TenantId, UnixMicros},
    store::{ReadTx, Tx},
};

/// Cached data keys. They never change, so the cache cannot be stale.
const MAX_CACHED_TENANTS: usize = 10_000;

/// The keys that are derived from a tenant's data key.
pub struct TenantKeys {
    /// Seals secrets.
    pub secrets: Key,
    /// Seals the secrets of webhooks.
    pub webhooks: Key,
    /// Authenticates the heads of the audit log.
    pub log: Key,
    /// Authenticates retention settings and erasures of details.
    pub erasures: Key,
    /// Authenticates questions to people at clients.
    pub questions: Key,
    /// The log's name in checkpoints: constant, and unique to this log.
    pub log_name: [u8; 8],
}

/// The master key, and a cache of the tenants' keys.
pub struct Keyring {
    master: Key,
    signers: Signers,
    tenants: RwLock<HashMap<TenantId, Arc<TenantKeys>>>,
}

impl Keyring {
    /// A keyring under this master key.
    pub fn new(master: &Key) -> Self {
        Self {
            master: master.derive("haldir 2026-11-21 wrap tenant data keys"),
            signers: Signers::new(master),
            tenants: RwLock::default(),
        }
    }

    /// Refuses a master key other than the store's; the first one becomes the store's.
    pub fn check(&self, tx: &mut Tx) -> Result<()> {
        if tx.master_key_check()?.is_none() {
            tx.set_master_key_check(&self.master.seal(CHECK, CHECK).map_err(Error::internal)?)?;
        }
        self.check_existing(tx)
    }

    /// Refuses a master key other than the store's.
    pub fn check_existing(&self, tx: &ReadTx) -> Result<()> {
        let sealed = tx.master_key_check()?.unwrap_or_default();
        self.master.open(CHECK, &sealed).map(drop).map_err(|_| {
            Error::new(
                Code::Unavailable,
                "the encryption key is not the one this store was made with: set HALDIR_ENCRYPTION_KEY to that key, or \
                 put back the key file beside the database",
            )
        })
    }

    /// The tenant's keys.
    pub fn tenant(&self, tx: &ReadTx, tenant: &TenantId) -> Result<Arc<TenantKeys>> {
        if let Some(keys) = self.tenants.read().get(tenant) {
            return Ok(Arc::clone(keys));
        }
        let wrapped = tx.wrapped_data_key(tenant)?.ok_or_else(|| Error::internal(format!("no tenant {tenant}")))?;
        let data_key = self.master.unwrap_key(tenant.as_str().as_bytes(), &wrapped).map_err(Error::internal)?;
        let keys = Arc::new(TenantKeys::new(&data_key));
        let mut tenants = self.tenants.write();
        if tenants.len() >= MAX_CACHED_TENANTS {
            tenants.clear();
        }
        tenants.insert(tenant.clone(), Arc::clone(&keys));
        Ok(keys)
    }

    /// Creates a tenant with a new data key. The keys are not cached here, since the transaction may fail.
    pub fn create_tenant(&self, tx: &mut Tx, tenant: &TenantId, now: UnixMicros) -> Result<TenantKeys> {
        let data_key = Key::generate().map_err(Error::internal)?;
        let wrapped = self.master.wrap(tenant.as_str().as_bytes(), &data_key).map_err(Error::internal)?;
        tx.insert_tenant(tenant, &wrapped, now)?;
        Ok(TenantKeys::new(&data_key))
    }

    /// Wraps the tenant's data key under the master key of `next`.
    pub fn rewrap(&self, tx: &mut Tx, tenant: &TenantId, next: &Self) -> Result<()> {
        let wrapped = tx.wrapped_data_key(tenant)?.ok_or_else(|| Error::internal(format!("no tenant {tenant}")))?;
        let data_key = self.master.unwrap_key(tenant.as_str().as_bytes(), &wrapped).map_err(Error::internal)?;
        let wrapped = next.master.wrap(tenant.as_str().as_bytes(), &data_key).map_err(Error::internal)?;
        Ok(tx.set_wrapped_data_key(tenant, &wrapped)?)
    }

    /// Seals and authenticates the signing keys under the master key of `next`, which becomes the store's.
    pub fn reseal(&self, tx: &mut Tx, next: &Self) -> Result<()> {
        self.signers.reseal(tx, &next.signers)?;
        Ok(tx.set_master_key_check(&next.master.seal(CHECK, CHECK).map_err(Error::internal)?)?)
    }

    /// The store's signing keys, as this transaction sees them.
    pub fn signing_keys(&self, tx: &ReadTx) -> Result<Arc<SigningKeys>> {
        self.signers.keys(tx)
    }

    /// Makes the store's first signing key, unless there is one.
    pub fn create_signing_key(&self, tx: &mut Tx, now: UnixMicros) -> Result<()> {
        if tx.signing_keys(1)?.is_empty() { self.signers.create(tx, 1, now).map(drop) } else { Ok(()) }
    }

    /// Puts a new signing key into use. The one before signs checkpoints until `retires_at`.
    pub fn rotate_signing_key(&self, tx: &mut Tx, now: UnixMicros, retires_at: UnixMicros) -> Result<PublicKey> {
        self.signers.rotate(tx, now, retires_at)
    }

    /// Erases the private halves of signing keys whose overlap is over.
    pub fn erase_retired_signing_keys(&self, tx: &mut Tx, now: UnixMicros) -> Result<Vec<PublicKey>> {
        self.signers.erase_retired(tx, now)
    }
}

const CHECK: &[u8] = b"haldir master key check";

impl TenantKeys {
    fn new(data_key: &Key) -> Self {
        let name = crypto::mac(&data_key.derive("haldir 2026-11-21 name the audit log"), &[]);
        let mut log_name = [0; 8];
        log_name.copy_from_slice(&name[..8]);
        Self {
            log_name,
            secrets: data_key.derive("haldir 2026-11-21 seal secrets"),
            webhooks: data_key.derive("haldir 2026-11-21 seal webhook secrets"),
            log: data_key.derive("haldir 2026-11-21 authenticate audit log heads"),
            erasures: data_key.derive("haldir 2026-11-21 authenticate erasures of details"),
            questions: data_key.derive("haldir 2026-11-21 vouch for questions to people"),
        }
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyring(…)")
    }
}

/// Whether a presented bootstrap token is the configured one.
pub(crate) fn same_token(presented: &str, configured: &str) -> bool {
    crypto::same(&crypto::digest(&[presented.as_bytes()]), &crypto::digest(&[configured.as_bytes()]))
}
