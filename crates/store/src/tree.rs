//! What a transaction can do with the Merkle tree of a log: the hashes of its tiles (C2SP tlog-tiles).
//!
//! Level 0 has the hash of every leaf; level L has the root of every complete subtree of 256^L leaves. Whatever else
//! a proof needs is computed from these.

pub use crate::crypto::{TILE_HASHES, TILE_HEIGHT};
use crate::{crypto::Hash, error::Result, model::TenantId};

/// One hash of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TileHash {
    pub level: u32,
    /// From 0, over all tiles of the level.
    pub index: i64,
    pub hash: Hash,
}

/// The hashes that an older version of haldir did not keep, and how far they have been made up for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TreeBuild {
    pub tenant: TenantId,
    /// Leaves whose hashes are there.
    pub done: i64,
    /// Leaves whose hashes were missing.
    pub total: i64,
    /// The frontier over those that are done, see `crypto::Frontier`.
    pub frontier: Vec<u8>,
}

/// A signed tree head that was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct RecordedHead {
    pub tree_size: i64,
    pub root_hash: Hash,
    /// Unix seconds.
    pub signed_at: i64,
    pub public_key: [u8; 32],
    pub signature: Vec<u8>,
}

/// Which recorded heads, by the size of their tree.
#[derive(Clone, Copy, Debug)]
pub enum Heads {
    /// Smaller than this, the largest first.
    Before(i64),
    /// Larger than this, the smallest first.
    After(i64),
}

#[allow(missing_docs)]
pub trait ReadTree {
    /// The hashes that the tiles of `level` hold from `first` on, at most `count`: fewer where there are no more.
    fn tile_hashes(&self, tenant: &TenantId, level: u32, first: i64, count: usize) -> Result<Vec<Hash>>;
    /// The build of this tenant's tree, or of any tenant's, that is not complete.
    fn tree_build(&self, tenant: Option<&TenantId>) -> Result<Option<TreeBuild>>;
    /// Recorded heads, at most `limit`.
    fn recorded_heads(&self, tenant: &TenantId, of: Heads, limit: usize) -> Result<Vec<RecordedHead>>;
}

#[allow(missing_docs)]
pub trait WriteTree {
    /// Puts hashes in their places, at once, and how far this has come; a finished build is forgotten.
    fn build_tree(&mut self, build: &TreeBuild, hashes: &[TileHash]) -> Result<()>;
    fn record_head(&mut self, tenant: &TenantId, head: &RecordedHead) -> Result<()>;
}
