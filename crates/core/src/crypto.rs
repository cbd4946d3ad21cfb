//! All cryptography, small enough to audit in one sitting: keys, sealing, hashing, signing, the Merkle tree, random ids.
//!
//! Nothing here knows about tenants, sessions or the store.

mod hash;
mod key;
mod merkle;
mod note;
mod proof;
mod random;
mod signing;
mod tile;

pub use hash::{Sha256, digest, hmac_sha256, mac, same};
pub use key::{Key, KeyError};
pub use merkle::{EMPTY_ROOT, Frontier, Hash, complete_root, leaf_hash, node_hash};
pub use note::{Checkpoint, MAX_NOTE_BYTES, Note, TrustedKey, Verifier};
pub use proof::{Nodes, consistency, inclusion, root, verify_consistency, verify_inclusion};
pub use random::{fill, name, nonce, token, token_at};
pub use signing::{PublicKey, Signature, SigningKey};
pub use tile::{TILE_HASHES, TILE_HEIGHT, TilePath};
