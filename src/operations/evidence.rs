//! Checking evidence offline, and the keys to check it with.

pub use haldir_verify::pack::{MAX_PACK_BYTES, Verified, verify};

use crate::{crypto::PublicKey, error::Result, operations::Haldir};

impl Haldir {
    /// The keys that this store signs with or has signed with.
    pub fn public_keys(&self) -> Result<Vec<PublicKey>> {
        let keys = self.inner.store.read(|tx| self.inner.services.keyring.signing_keys(tx))?;
        Ok(keys.published().iter().map(|published| published.key).collect())
    }
}
