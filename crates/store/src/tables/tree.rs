//! The Merkle tree of a log: the hashes of its tiles (C2SP tlog-tiles).
//!
//! Level 0 has the hash of every leaf; level L has the root of every complete subtree of 256^L leaves. Whatever else
//! a proof needs is computed from these. They are stored sixteen to a row: what adds to a level rewrites 512 bytes, not a whole tile of
//! 8 KiB.

pub use crate::crypto::{TILE_HASHES, TILE_HEIGHT};
use crate::{
    ReadTx, Tx,
    crypto::Hash,
    database::{Connection, Record, Value, from_row, params, record},
    error::Result,
    model::TenantId,
    statements::statements,
};

record! { audit_tree_heads: RecordedHead as recorded_head { tree_size, root_hash, signed_at, public_key, signature } }

/// Hashes in a row.
const ROW_HASHES: i64 = 16;
const HASH_BYTES: usize = 32;

statements! {
    HASHES = "SELECT part, hashes FROM tree_tiles
        WHERE tenant = ?1 AND level = ?2 AND part >= ?3 AND part < ?4 ORDER BY part";
    PART = "SELECT hashes FROM tree_tiles WHERE tenant = ?1 AND level = ?2 AND part = ?3";
    PUT_PART = "INSERT INTO tree_tiles (tenant, level, part, hashes) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT DO UPDATE SET hashes = ?4";
    FIRST_BUILD = "SELECT tenant, done, total, frontier FROM audit_tree_builds WHERE tenant > '' ORDER BY tenant LIMIT 1";
    BUILD = "SELECT tenant, done, total, frontier FROM audit_tree_builds WHERE tenant = ?1";
    PUT_BUILD = "UPDATE audit_tree_builds SET done = ?2, frontier = ?3 WHERE tenant = ?1";
    END_BUILD = "DELETE FROM audit_tree_builds WHERE tenant = ?1";
    RECORDED = concat!("SELECT ", recorded_head!(), " FROM audit_tree_heads
        WHERE tenant = ?1 AND tree_size < ?2 ORDER BY tree_size DESC LIMIT ?3");
    RECORDED_AFTER = concat!("SELECT ", recorded_head!(), " FROM audit_tree_heads
        WHERE tenant = ?1 AND tree_size > ?2 ORDER BY tree_size LIMIT ?3");
    RECORD = concat!("INSERT INTO audit_tree_heads (tenant, ", recorded_head!(), ") VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING");
}

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

from_row! { TreeBuild { tenant, done, total, frontier } }

#[allow(missing_docs)]
impl ReadTx {
    /// The hashes that the tiles of `level` hold from `first` on, at most `count`: fewer where there are no more.
    pub fn tile_hashes(&self, tenant: &TenantId, level: u32, first: i64, count: usize) -> Result<Vec<Hash>> {
        self.require_reader()?;
        read_hashes(self.connection()?, tenant, level, first, count)
    }

    /// The build of this tenant's tree, or of any tenant's, that is not complete.
    pub fn tree_build(&self, tenant: Option<&TenantId>) -> Result<Option<TreeBuild>> {
        match tenant {
            Some(tenant) => self.first(BUILD, params![tenant]),
            None => self.first(FIRST_BUILD, &[]),
        }
    }

    /// Recorded heads, at most `limit`.
    pub fn recorded_heads(&self, tenant: &TenantId, of: Heads, limit: usize) -> Result<Vec<RecordedHead>> {
        match of {
            Heads::Before(size) => self.all(RECORDED, params![tenant, size, limit]),
            Heads::After(size) => self.all(RECORDED_AFTER, params![tenant, size, limit]),
        }
    }
}

#[allow(missing_docs)]
impl Tx {
    /// Puts hashes in their places, at once, and how far this has come; a finished build is forgotten.
    pub fn build_tree(&mut self, build: &TreeBuild, hashes: &[TileHash]) -> Result<()> {
        let TreeBuild { tenant, done, total, frontier } = build;
        write_hashes(self.any_change()?, tenant, hashes)?;
        if done < total {
            self.change(PUT_BUILD, params![tenant, done, frontier]).map(drop)
        } else {
            self.change(END_BUILD, params![tenant]).map(drop)
        }
    }

    pub fn record_head(&mut self, tenant: &TenantId, head: &RecordedHead) -> Result<()> {
        self.change(RECORD, &head.params(tenant)).map(drop)
    }
}

/// Whether hashes of this tree are still to be made up for.
pub(crate) fn is_building(db: &dyn Connection, tenant: &TenantId) -> Result<bool> {
    db.exists(BUILD, params![tenant])
}

/// The hashes of `level` from `first` on, at most `count`.
pub(crate) fn read_hashes(
    db: &dyn Connection,
    tenant: &TenantId,
    level: u32,
    first: i64,
    count: usize,
) -> Result<Vec<Hash>> {
    let (part, end) = (first / ROW_HASHES, first.saturating_add(i64::try_from(count).unwrap_or(i64::MAX)));
    let last_part = end.saturating_add(ROW_HASHES - 1) / ROW_HASHES;
    let mut hashes = Vec::with_capacity(count.min(256));
    let mut next = part;
    db.query(HASHES, params![tenant, level, part, last_part], &mut |row| {
        // A gap, or a row that is cut short, ends the list: the caller sees that some are missing.
        if row.value(0) != Value::Integer(next) {
            return Ok(false);
        }
        let bytes = if let Value::Blob(bytes) = row.value(1) { bytes } else { &[] };
        hashes.extend_from_slice(bytes.as_chunks::<HASH_BYTES>().0);
        next += 1;
        Ok(hashes.len() % 16 == 0)
    })?;
    let skipped = usize::try_from(first - part * ROW_HASHES).unwrap_or(0).min(hashes.len());
    hashes.drain(..skipped);
    hashes.truncate(count);
    Ok(hashes)
}

/// Puts every hash in its place. Those of one row lie side by side in `hashes`, or it is written more than once.
pub(crate) fn write_hashes(db: &dyn Connection, tenant: &TenantId, hashes: &[TileHash]) -> Result<()> {
    let is_same_part = |one: &TileHash, other: &TileHash| {
        (one.level, one.index / ROW_HASHES) == (other.level, other.index / ROW_HASHES)
    };
    for run in hashes.chunk_by(is_same_part) {
        let Some(first) = run.first() else { continue };
        let (level, number) = (first.level, first.index / ROW_HASHES);
        let offset = |hash: &TileHash| usize::try_from(hash.index % ROW_HASHES).unwrap_or(0) * HASH_BYTES;
        // A run from the beginning of a row up to its end needs no look at what was there.
        let is_whole = run.len() == 16;
        let stored: Option<Vec<u8>> = if is_whole { None } else { db.first(PART, params![tenant, level, number])? };
        let mut bytes = stored.unwrap_or_default();
        for hash in run {
            let at = offset(hash);
            if bytes.len() < at + HASH_BYTES {
                bytes.resize(at + HASH_BYTES, 0);
            }
            bytes[at..at + HASH_BYTES].copy_from_slice(&hash.hash);
        }
        db.send(PUT_PART, params![tenant, level, number, bytes])?;
    }
    Ok(())
}
