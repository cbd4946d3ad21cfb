//! Whose something is that outlives a request.

use crate::{crypto, model::Credential};

/// What is kept of a caller.
pub type Owner = [u8; 32];

/// What is kept of a caller: enough to know them again.
pub fn owner(credential: &Credential) -> Owner {
    match credential {
        Credential::ApiKey(key) => crypto::digest(&[key.as_bytes()]),
        Credential::SignedIn(key) => key.digest,
        Credential::Anonymous | Credential::LocalAgent | Credential::LocalOperator(_) => Owner::default(),
    }
}
