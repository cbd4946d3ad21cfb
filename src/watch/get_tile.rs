//! `getTile`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{canonical, chain, tree};
use crate::{
    call::{Finished, Head, Start, StreamContext, StreamOperation},
    error::{Code, Error, Result},
    model::text::Text,
    store::{
        AuditQuery, ReadTx,
        tree::{TILE_HASHES, TILE_HEIGHT},
    },
};

/// The highest level of tiles that C2SP tlog-tiles names.
const MAX_LEVEL: u32 = 63;
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
        let wanted = Wanted::parse(self.tile.as_str()).ok_or_else(not_found)?;
        let bytes = cx.store.read(|tx| wanted.read(tx, cx))?.ok_or_else(not_found)?;
        // A tile of hashes never changes: a full one for good, and another width is another tile.
        // Entries may be erased later; hashes never change.
        let cached = if wanted.level.is_some() { "private, max-age=31536000, immutable" } else { "private, no-cache" };
        let head = Head::new("application/octet-stream").header("cache-control", cached);
        let mut out = start.begin(head)?;
        out.write(&bytes)?;
        out.finish()
    }
}

/// A tile's name.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    /// `None` is a bundle of entries.
    level: Option<u32>,
    index: i64,
    width: i64,
}

impl Wanted {
    /// Reads a path, if it is written in the one way that there is.
    fn parse(path: &str) -> Option<Self> {
        let (level, rest) = path.split_once('/')?;
        let canonical = |text: &str, most: u32| {
            let number: u32 = text.parse().ok()?;
            (number.to_string() == text && number <= most).then_some(number)
        };
        let level = if level == "entries" { None } else { Some(canonical(level, MAX_LEVEL)?) };
        let (name, width) = match rest.split_once(".p/") {
            Some((name, width)) => (name, i64::from(canonical(width, 255).filter(|width| *width > 0)?)),
            None => (rest, TILE_HASHES),
        };
        let mut index = 0_i64;
        for part in name.split('/') {
            let digits = part.strip_prefix('x').unwrap_or(part);
            if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            index = index.checked_mul(1_000)?.checked_add(digits.parse().ok()?)?;
        }
        (index_path(index) == name).then_some(Self { level, index, width })
    }

    /// Its bytes, if the log is large enough for it.
    fn read(&self, tx: &dyn ReadTx, cx: &StreamContext<'_>) -> Result<Option<Vec<u8>>> {
        let tenant = &cx.caller.tenant;
        let keys = cx.services.keyring.tenant(tx, tenant)?;
        let size = chain::authentic_head(tx, &keys, tenant)?.seq;
        let below = self.level.unwrap_or(0).saturating_mul(TILE_HEIGHT);
        let on_level = if below < i64::BITS - 1 { size >> below } else { 0 };
        let Some(first) = self.index.checked_mul(TILE_HASHES) else { return Ok(None) };
        if first.checked_add(self.width).is_none_or(|end| end > on_level) {
            return Ok(None);
        }
        let count = usize::try_from(self.width).map_err(Error::internal)?;
        let Some(level) = self.level else {
            let query = AuditQuery {
                first_seq: Some(first + 1),
                before_seq: Some(first + self.width + 1),
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
}

fn too_long(seq: i64) -> Error {
    let message = format!("entry {seq} is longer than the {MAX_ENTRY_BYTES} bytes that a bundle can hold");
    Error::new(Code::InvalidRange, message)
}

/// `1234067` as `x001/x234/067`.
fn index_path(index: i64) -> String {
    let mut path = format!("{:03}", index % 1_000);
    let mut rest = index / 1_000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1_000);
        rest /= 1_000;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_has_one_name() {
        let is = |level, index, width| Some(Wanted { level, index, width });
        assert_eq!(Wanted::parse("0/x001/x234/067"), is(Some(0), 1_234_067, 256));
        assert_eq!(Wanted::parse("3/000.p/7"), is(Some(3), 0, 7));
        assert_eq!(Wanted::parse("entries/x001/000.p/255"), is(None, 1_000, 255));
        for path in [
            "0",
            "0/",
            "0/1",
            "0/0000",
            "00/000",
            "0/x000/001",
            "0/001/002",
            "0/x001",
            "0/000.p/0",
            "0/000.p/256",
            "0/000.p/07",
            "64/000",
            "0/000/",
            "-1/000",
            "+1/000",
            "0/+01",
            "0/x999/x999/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(Wanted::parse(path), None, "{path}");
        }
    }
}
