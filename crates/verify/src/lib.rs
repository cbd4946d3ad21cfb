//! What an auditor needs and nothing else: the bytes that are hashed and signed, and the checks of everything that haldir gives out
//! as evidence. No network, no database, no clock. The cryptography stands in [`haldir_core::crypto`].
//!
//! | module | what it checks | specification |
//! |---|---|---|
//! | [`canonical`] | the bytes of an audit entry, its hash and its leaf | RFC 8785, RFC 6962 |
//! | [`bundle`] | a whole log in one file: chain, tree, recorded heads, checkpoint | [C2SP signed notes](https://c2sp.org/signed-note) |
//! | [`tree_head`] | the bytes of a signed tree head | |
//! | [`pack`] | an evidence pack: digest and signature | |
//! | [`jwks`] | reads the keys to check a pack with | RFC 7517, RFC 8037 |
//! | [`pin`] | that a later checkpoint continues the one that was kept | RFC 6962 section 2.1.2 |
//! | [`witness`] | the rules of a witness, and what it remembers | [C2SP tlog-witness](https://c2sp.org/tlog-witness) |
//!
//! The command `haldir-verify` is these checks for files.

pub mod bundle;
pub mod canonical;
pub mod hex;
mod in_order;
pub mod json;
pub mod jwks;
pub mod pack;
pub mod pin;
pub mod tree_head;
pub mod witness;

use haldir_core::{crypto, error, model};
pub use in_order::in_order;
