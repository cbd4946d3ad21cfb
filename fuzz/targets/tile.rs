//! Paths of tiles as clients write them: a tile has one name.
#![no_main]

use haldir_core::crypto::{TILE_HASHES, TilePath};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|path: &str| {
    let Some(tile) = TilePath::parse(path) else { return };
    assert_eq!(tile.to_string(), path);
    assert!(tile.index >= 0 && (1..=TILE_HASHES).contains(&tile.width), "{tile:?}");
});
