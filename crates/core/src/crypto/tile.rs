//! Names of the tiles of a log, and of bundles of its entries: C2SP tlog-tiles (<https://c2sp.org/tlog-tiles>).

use std::fmt;

/// Hashes in a full tile, and entries in a full bundle.
pub const TILE_HASHES: i64 = 256;
/// Leaves under a tile's hash, one level up: 2^8.
pub const TILE_HEIGHT: u32 = 8;
/// The highest level of tiles.
const MAX_LEVEL: u32 = 63;

/// A tile, or a bundle of entries. As text: `<level>/<index>` or `entries/<index>`, with `.p/<width>` behind it for one that is not
/// full.
///
/// ```
/// use haldir_core::crypto::TilePath;
/// let tile = TilePath::parse("0/x001/234.p/17").unwrap();
/// assert_eq!((tile.level, tile.index, tile.width), (Some(0), 1_234, 17));
/// assert_eq!(tile.to_string(), "0/x001/234.p/17");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TilePath {
    /// The level of the tree, from 0 for the leaves; `None` for a bundle of entries.
    pub level: Option<u32>,
    /// From 0, on its level.
    pub index: i64,
    /// Hashes or entries in it.
    pub width: i64,
}

impl TilePath {
    /// Reads a path, if it is written in the one way that there is.
    pub fn parse(path: &str) -> Option<Self> {
        let (level, rest) = path.split_once('/')?;
        let level =
            if level == "entries" { None } else { Some(level.parse().ok().filter(|level| *level <= MAX_LEVEL)?) };
        let (name, width) = match rest.split_once(".p/") {
            Some((name, width)) => (name, width.parse().ok().filter(|width| (1..TILE_HASHES).contains(width))?),
            None => (rest, TILE_HASHES),
        };
        let mut index = 0_i64;
        for part in name.split('/') {
            let digits: u16 = part.strip_prefix('x').unwrap_or(part).parse().ok()?;
            index = index.checked_mul(1_000)?.checked_add(digits.into())?;
        }
        let tile = Self { level, index, width };
        // Signs, missing digits and leading zeros are other names of the same tile.
        (tile.to_string() == path).then_some(tile)
    }
}

impl fmt::Display for TilePath {
    /// The index has three digits a part, and an `x` in front of all parts but the last: `1234067` is `x001/x234/067`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Some(level) => write!(f, "{level}/")?,
            None => f.write_str("entries/")?,
        }
        let mut index = format!("{:03}", self.index % 1_000);
        let mut rest = self.index / 1_000;
        while rest > 0 {
            index = format!("x{:03}/{index}", rest % 1_000);
            rest /= 1_000;
        }
        f.write_str(&index)?;
        if self.width == TILE_HASHES { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_has_one_name() {
        let is = |level, index, width| Some(TilePath { level, index, width });
        assert_eq!(TilePath::parse("0/x001/x234/067"), is(Some(0), 1_234_067, 256));
        assert_eq!(TilePath::parse("3/000.p/7"), is(Some(3), 0, 7));
        assert_eq!(TilePath::parse("entries/x001/000.p/255"), is(None, 1_000, 255));
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
            "0/-01",
            "0/000.p/+7",
            "0/x999/x999/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(TilePath::parse(path), None, "{path}");
        }
    }
}
