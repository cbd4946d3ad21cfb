//! All cryptography, small enough to audit in one sitting: keys, sealing, hashing, signing, the Merkle tree, random ids.
//!
//! Nothing here knows about tenants, sessions or the store.

mod hash;
mod key;
mod merkle;
mod random;
mod signing;

pub use hash::{Sha256, digest, hmac_sha256, mac, same};
pub use key::{Key, KeyError};
pub use merkle::{EMPTY_ROOT, Frontier, leaf_hash};
pub use random::{fill, nonce, token};
pub use signing::{PublicKey, Signature, SigningKey};
