//! What a transaction can do with the keys that sign tree heads. They are the store's, not a tenant's: one published
//! key stands for all that this haldir signs.

use crate::{error::Result, model::UnixMicros};

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

#[allow(missing_docs)]
pub trait ReadSigningKeys {
    /// The newest first, at most `limit`.
    fn signing_keys(&self, limit: usize) -> Result<Vec<StoredSigningKey>>;
}

#[allow(missing_docs)]
pub trait WriteSigningKeys {
    /// Adds the key, or replaces the one with its number.
    fn put_signing_key(&mut self, key: &StoredSigningKey) -> Result<()>;
}
