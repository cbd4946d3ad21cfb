//! Folding: what follows from the entries of a log is brought up to the log for many entries at once, in the transaction
//! that brings the last of them. That is the indexes of the filters, the counters of days and of evidence, and the
//! tree's tiles. A commit that touched them for each entry would write three times as many pages.
//!
//! The entries behind the last fold are the log's tail. Whoever asks for what is folded looks at the tail as well, one
//! entry after the other: it is never longer than a fold and a half, but while the tree of an old store is being built.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    SqliteTx,
    audit::{self, Stored},
    compliance::EntryCounts,
    statements::statements,
    stats::DayCounts,
    tree,
};
use crate::{
    crypto::{self, Hash},
    error::Result,
    model::{EntryView, TenantId},
    store::{
        LogKeeper, ReadAudit,
        tree::{TILE_HASHES, TileHash},
    },
};

/// Entries that are folded at once.
const FOLD: i64 = 2 * TILE_HASHES;
/// The most that one commit folds, where more have gathered.
const MAX_FOLDED: i64 = 16 * TILE_HASHES;

statements! {
    FOLDED = "SELECT up_to FROM audit_folds WHERE tenant = ?1";
    PUT_FOLDED = "INSERT INTO audit_folds (tenant, up_to) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET up_to = ?2";
    INDEX = "UPDATE audit_entries SET indexed = 1 WHERE tenant = ?1 AND seq > ?2 AND seq <= ?3";
}

/// The last entry of the log that is folded.
pub(super) fn folded(connection: &Connection, tenant: &TenantId) -> Result<i64> {
    let mut statement = connection.prepare_cached(FOLDED)?;
    Ok(statement.query_row([tenant.as_str()], |row| row.get(0)).optional()?.unwrap_or(0).max(0))
}

/// Folds the log that ends at `last` if its tail, which begins behind `folded`, is long enough; answers how far it is
/// folded then. It ends where a tile does.
pub(super) fn fold(
    connection: &Connection,
    tenant: &TenantId,
    folded: i64,
    last: i64,
    keeper: &dyn LogKeeper,
) -> Result<i64> {
    if last.saturating_sub(folded) < FOLD || tree::is_building(connection, tenant)? {
        return Ok(folded);
    }
    let end = last.min(folded + MAX_FOLDED) / TILE_HASHES * TILE_HASHES;
    let (mut days, mut evidence) = (DayCounts::default(), EntryCounts::default());
    // From the beginning of a tile, of which a part may be there.
    let first = folded / TILE_HASHES * TILE_HASHES;
    let mut leaves = Vec::new();
    let mut failed = None;
    audit::each(connection, tenant, first + 1, &mut |read| {
        let seq = match &read {
            Ok(stored) => stored.entry.seq,
            Err(problem) => problem.seq.unwrap_or(end),
        };
        if seq > end {
            return false;
        }
        // What is missing or is no entry has no leaf: `verify` names it, and no proof over it holds.
        let place = usize::try_from(seq - 1 - first).unwrap_or(0);
        leaves.resize(place.max(leaves.len()), Hash::default());
        if let Ok(Stored { entry, .. }) = read {
            leaves.push(keeper.leaf_hash(tenant, &entry));
            if seq > folded {
                evidence.count(&entry);
                failed = days.count(connection, tenant, &entry).err();
            }
        }
        failed.is_none()
    })?;
    failed.map_or(Ok(()), Err)?;
    leaves.resize(usize::try_from(end - first).unwrap_or(0), Hash::default());
    days.write(connection, tenant)?;
    evidence.write(connection, tenant)?;
    write_tiles(connection, tenant, first, leaves)?;
    connection.prepare_cached(INDEX)?.execute(params![tenant.as_str(), folded, end])?;
    connection.prepare_cached(PUT_FOLDED)?.execute(params![tenant.as_str(), end])?;
    Ok(end)
}

/// Writes whole tiles of leaves, from leaf `first` on, and the hashes above that they complete.
fn write_tiles(connection: &Connection, tenant: &TenantId, first: i64, leaves: Vec<Hash>) -> Result<()> {
    let (mut level, mut first, mut hashes) = (0, first, leaves);
    while !hashes.is_empty() {
        let numbered = (first..).zip(&hashes).map(|(index, hash)| TileHash { level, index, hash: *hash });
        tree::write_hashes(connection, tenant, &numbered.collect::<Vec<_>>())?;
        // Above the leaves a tile may have been begun by an earlier fold.
        let end = first + hashes.len().cast_signed() as i64;
        let tiles = first / TILE_HASHES..end / TILE_HASHES;
        first = tiles.start;
        hashes = Vec::new();
        for tile in tiles {
            let whole = tree::read_hashes(connection, tenant, level, tile * TILE_HASHES, 256)?;
            hashes.push(crypto::complete_root(&whole).unwrap_or_default());
        }
        level += 1;
    }
    Ok(())
}

impl SqliteTx<'_> {
    /// Hands over the entries of the log's tail, in order. One that cannot be read is tampering, which `verify` reports;
    /// it is left out here.
    pub(super) fn each_in_tail(&self, tenant: &TenantId, mut each: impl FnMut(&EntryView<'_>)) -> Result<()> {
        audit::each(self.connection()?, tenant, self.folded(tenant)? + 1, &mut |read| {
            if let Ok(stored) = read {
                each(&stored.entry);
            }
            true
        })
    }
}
