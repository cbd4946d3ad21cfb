//! The hashes of the tree's tiles, sixteen to a row: what adds to a level rewrites 512 bytes, not a whole tile of 8 KiB.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    SqliteTx,
    audit::hash,
    rows::{Columns, rows},
    statements::statements,
};
use crate::{
    crypto::Hash,
    error::Result,
    model::TenantId,
    tree::{Heads, ReadTree, RecordedHead, TileHash, TreeBuild, WriteTree},
};

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
    RECORDED = "SELECT tree_size, root_hash, signed_at, public_key, signature FROM audit_tree_heads
        WHERE tenant = ?1 AND tree_size < ?2 ORDER BY tree_size DESC LIMIT ?3";
    RECORDED_AFTER = "SELECT tree_size, root_hash, signed_at, public_key, signature FROM audit_tree_heads
        WHERE tenant = ?1 AND tree_size > ?2 ORDER BY tree_size LIMIT ?3";
    RECORD = "INSERT INTO audit_tree_heads (tenant, tree_size, root_hash, signed_at, public_key, signature)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
}

fn build(row: &Row<'_>) -> Result<TreeBuild> {
    let mut columns = Columns::of(row);
    Ok(TreeBuild { tenant: columns.next()?, done: columns.next()?, total: columns.next()?, frontier: columns.next()? })
}

fn recorded(row: &Row<'_>) -> Result<RecordedHead> {
    let mut columns = Columns::of(row);
    Ok(RecordedHead {
        tree_size: columns.next()?,
        root_hash: hash(columns.next()?),
        signed_at: columns.next()?,
        public_key: hash(columns.next()?),
        signature: columns.next()?,
    })
}

impl ReadTree for SqliteTx<'_> {
    fn tile_hashes(&self, tenant: &TenantId, level: u32, first: i64, count: usize) -> Result<Vec<Hash>> {
        self.require_reader()?;
        read_hashes(self.connection()?, tenant, level, first, count)
    }

    fn tree_build(&self, tenant: Option<&TenantId>) -> Result<Option<TreeBuild>> {
        let Some(tenant) = tenant else {
            let mut statement = self.connection()?.prepare_cached(FIRST_BUILD)?;
            return statement.query_and_then([], build)?.next().transpose();
        };
        let mut statement = self.connection()?.prepare_cached(BUILD)?;
        statement.query_and_then([tenant.as_str()], build)?.next().transpose()
    }

    fn recorded_heads(&self, tenant: &TenantId, of: Heads, limit: usize) -> Result<Vec<RecordedHead>> {
        let (sql, size) = match of {
            Heads::Before(size) => (RECORDED, size),
            Heads::After(size) => (RECORDED_AFTER, size),
        };
        let mut statement = self.connection()?.prepare_cached(sql)?;
        statement.query_and_then(params![tenant.as_str(), size, rows(limit)], recorded)?.collect()
    }
}

impl WriteTree for SqliteTx<'_> {
    fn build_tree(&mut self, build: &TreeBuild, hashes: &[TileHash]) -> Result<()> {
        write_hashes(self.any_change()?, &build.tenant, hashes)?;
        if build.done < build.total {
            let params = params![build.tenant.as_str(), build.done, build.frontier];
            self.change(PUT_BUILD)?.execute(params)?;
        } else {
            self.change(END_BUILD)?.execute([build.tenant.as_str()])?;
        }
        Ok(())
    }

    fn record_head(&mut self, tenant: &TenantId, head: &RecordedHead) -> Result<()> {
        self.change(RECORD)?.execute(params![
            tenant.as_str(),
            head.tree_size,
            head.root_hash,
            head.signed_at,
            head.public_key,
            head.signature,
        ])?;
        Ok(())
    }
}

/// Whether hashes of this tree are still to be made up for.
pub(super) fn is_building(connection: &Connection, tenant: &TenantId) -> Result<bool> {
    Ok(connection.prepare_cached(BUILD)?.exists([tenant.as_str()])?)
}

/// The hashes of `level` from `first` on, at most `count`.
pub(super) fn read_hashes(
    connection: &Connection,
    tenant: &TenantId,
    level: u32,
    first: i64,
    count: usize,
) -> Result<Vec<Hash>> {
    let (part, end) = (first / ROW_HASHES, first.saturating_add(rows(count)));
    let mut statement = connection.prepare_cached(HASHES)?;
    let last_part = end.saturating_add(ROW_HASHES - 1) / ROW_HASHES;
    let mut found = statement.query(params![tenant.as_str(), level, part, last_part])?;
    let mut hashes = Vec::with_capacity(count.min(256));
    let mut next = part;
    while let Some(row) = found.next()? {
        let bytes = row.get_ref(1)?.as_blob().unwrap_or_default();
        // A gap, or a row that is cut short, ends the list: the caller sees that some are missing.
        if row.get_ref(0)?.as_i64().ok() != Some(next) {
            break;
        }
        hashes.extend_from_slice(bytes.as_chunks::<HASH_BYTES>().0);
        next += 1;
        if hashes.len() % 16 != 0 {
            break;
        }
    }
    let skipped = usize::try_from(first - part * ROW_HASHES).unwrap_or(0).min(hashes.len());
    hashes.drain(..skipped);
    hashes.truncate(count);
    Ok(hashes)
}

/// Puts every hash in its place. Those of one row lie side by side in `hashes`, or it is written more than once.
pub(super) fn write_hashes(connection: &Connection, tenant: &TenantId, hashes: &[TileHash]) -> Result<()> {
    let is_same_part = |one: &TileHash, other: &TileHash| {
        (one.level, one.index / ROW_HASHES) == (other.level, other.index / ROW_HASHES)
    };
    let mut select = connection.prepare_cached(PART)?;
    let mut put = connection.prepare_cached(PUT_PART)?;
    for run in hashes.chunk_by(is_same_part) {
        let Some(first) = run.first() else { continue };
        let (level, number) = (first.level, first.index / ROW_HASHES);
        let offset = |hash: &TileHash| usize::try_from(hash.index % ROW_HASHES).unwrap_or(0) * HASH_BYTES;
        let key = params![tenant.as_str(), level, number];
        // A run from the beginning of a row up to its end needs no look at what was there.
        let is_whole = run.len() == 16;
        let stored: Option<Vec<u8>> =
            if is_whole { None } else { select.query_row(key, |row| row.get(0)).optional()? };
        let mut bytes = stored.unwrap_or_default();
        for hash in run {
            let at = offset(hash);
            if bytes.len() < at + HASH_BYTES {
                bytes.resize(at + HASH_BYTES, 0);
            }
            bytes[at..at + HASH_BYTES].copy_from_slice(&hash.hash);
        }
        put.execute(params![tenant.as_str(), level, number, bytes])?;
    }
    Ok(())
}
