//! A signed tree head: the size and the root of a log's tree at a time.

use haldir_core::crypto::Hash;

use crate::hex::hex;

/// The hash algorithm and tree shape of RFC 6962 section 2.1.
pub const ALGORITHM: &str = "RFC6962-SHA256";
/// How tree heads are signed: Ed25519 over `sth:<tree_size>:<root_hash>:<signed_at>`.
pub const SIGNED: &str = "Ed25519-over-canonical-sth";

/// The bytes of a tree head that are signed. `signed_at` is in Unix seconds.
pub fn signed_bytes(size: u64, root: &Hash, signed_at: i64) -> Vec<u8> {
    format!("sth:{size}:{}:{signed_at}", hex(root)).into_bytes()
}
