//! The keys that sign tree heads. They are the store's, not a tenant's: one published key stands for all that this haldir signs.

use crate::{
    ReadTx, Tx,
    database::{from_row, params},
    error::Result,
    model::UnixMicros,
    statements::statements,
};

statements! {
    SIGNING_KEYS = "SELECT number, public_key, created_at, retires_at, seed, mac FROM signing_keys
        WHERE number > 0 ORDER BY number DESC LIMIT ?1";
    PUT_SIGNING_KEY = "INSERT INTO signing_keys (number, public_key, created_at, retires_at, seed, mac)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET retires_at = ?4, seed = ?5, mac = ?6";
}

/// A signing key, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct StoredSigningKey {
    /// From 1; the last one signs.
    pub number: i64,
    pub public_key: [u8; 32],
    pub created_at: UnixMicros,
    /// When it signs no more; `None` is the one in use.
    pub retires_at: Option<UnixMicros>,
    /// Sealed under the master key; `None` once it has retired.
    pub seed: Option<Vec<u8>>,
    /// Keyed by the master key over everything else here but the seed.
    pub mac: [u8; 32],
}

from_row! { StoredSigningKey { number, public_key, created_at, retires_at, seed, mac } }

impl ReadTx {
    /// The newest signing keys first, at most `limit`.
    pub fn signing_keys(&self, limit: usize) -> Result<Vec<StoredSigningKey>> {
        self.all(SIGNING_KEYS, params![limit])
    }
}

impl Tx {
    /// Adds the key, or replaces the one with its number.
    pub fn put_signing_key(&mut self, key: &StoredSigningKey) -> Result<()> {
        let StoredSigningKey { number, public_key, created_at, retires_at, seed, mac } = key;
        self.change(PUT_SIGNING_KEY, params![number, public_key, created_at, retires_at, seed, mac]).map(drop)
    }
}
