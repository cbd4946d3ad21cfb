//! `getTile`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{canonical, chain, tree};
use crate::{
    call::{Finished, Head, Start, StreamContext, StreamOperation},
    crypto::TilePath,
    error::{Code, Error, Result},
    model::text::Text,
    store::{
        AuditQuery, ReadTx,
        tree::{TILE_HASHES, TILE_HEIGHT},
    },
};

/// The longest entry of a bundle: its length stands in two bytes.
const MAX_ENTRY_BYTES: usize = 0xffff;

/// Read a tile of the log's Merkle tree, or a bundle of its entries' canonical bytes, at the paths of C2SP tlog-tiles:
/// `<level>/<index>` or `entries/<index>`, with `.p/<width>` behind it for one that is not full. An entry that was erased is
/// empty in a bundle; its hash in the tile stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetTile {
    /// Such as `0/x001/234`, `1/000.p/17` or `entries/000.p/5`.
    tile: Text<1, 100>,
}

impl StreamOperation for GetTile {
    const MEDIA_TYPES: &'static [&'static str] = &["application/octet-stream"];

    type Body = String;

    fn run(self, cx: &StreamContext<'_>, start: Start) -> Result<Finished> {
        let not_found = || Error::not_found("the tile").field("tile");
        let tile = TilePath::parse(self.tile.as_str()).ok_or_else(not_found)?;
        let bytes = cx.snapshots.read(|tx| read(tile, tx, cx))?.ok_or_else(not_found)?;
        // A tile of hashes never changes: a full one for good, and another width is another tile.
        // Entries may be erased later; hashes never change.
        let cached = if tile.level.is_some() { "private, max-age=31536000, immutable" } else { "private, no-cache" };
        let head = Head::new("application/octet-stream").header("cache-control", cached);
        let mut out = start.begin(head)?;
        out.write(&bytes)?;
        out.finish()
    }
}

/// Its bytes, if the log is large enough for it.
fn read(tile: TilePath, tx: &ReadTx, cx: &StreamContext<'_>) -> Result<Option<Vec<u8>>> {
    let tenant = &cx.caller.tenant;
    let keys = cx.services.keyring.tenant(tx, tenant)?;
    let size = chain::authentic_head(tx, &keys, tenant)?.seq;
    let below = tile.level.unwrap_or(0).saturating_mul(TILE_HEIGHT);
    let on_level = if below < i64::BITS - 1 { size >> below } else { 0 };
    let Some(first) = tile.index.checked_mul(TILE_HASHES) else { return Ok(None) };
    if first.checked_add(tile.width).is_none_or(|end| end > on_level) {
        return Ok(None);
    }
    let count = usize::try_from(tile.width).map_err(Error::internal)?;
    let Some(level) = tile.level else {
        let query = AuditQuery {
            first_seq: Some(first + 1),
            before_seq: Some(first + tile.width + 1),
            limit: count,
            ..AuditQuery::default()
        };
        let mut bytes = Vec::new();
        let entries = tx.entries_forward(tenant, &query)?.entries;
        for entry in entries.iter().flatten() {
            // Nothing is left of an erased entry but its leaf, which the tile of level 0 has.
            let canonical = if entry.is_erased() { Vec::new() } else { canonical::bytes(tenant, entry) };
            let length = u16::try_from(canonical.len()).map_err(|_| too_long(entry.seq))?;
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(&canonical);
        }
        let is_whole = entries.len() == count && entries.iter().all(Result::is_ok);
        return if is_whole { Ok(Some(bytes)) } else { Err(Error::internal("entries of the log are missing")) };
    };
    if let Some(build) = tx.tree_build(Some(tenant))? {
        let message = format!("the tree is being built, {} of {} entries so far", build.done, build.total);
        return Err(Error::new(Code::Unavailable, message));
    }
    let hashes = tree::hashes(tx, tenant, level, first, count)?;
    if hashes.len() == count { Ok(Some(hashes.concat())) } else { Err(Error::internal("tiles are missing")) }
}

fn too_long(seq: i64) -> Error {
    let message = format!("entry {seq} is longer than the {MAX_ENTRY_BYTES} bytes that a bundle can hold");
    Error::new(Code::InvalidRange, message)
}
