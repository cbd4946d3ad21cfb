//! Our notes, tiles and proofs in the hands of implementations that are not ours: the crates `signed_note` and
//! `tlog_tiles`, which share no code with what makes them.

use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{
    Hash,
    checkpoint::Checkpoint,
    tile::{Tile, TileHashReader, TileReader},
    tlog::{Error, HashReader, check_record, check_tree, prove_record, prove_tree, record_hash, stored_hash_index},
};

use crate::support::{Client, House, integer, json, text};

/// Reads tiles from a server. They are not believed: [`TileHashReader`] checks them against the tree's root.
struct Tiles<'a> {
    client: &'a Client,
    /// A byte of a tile that is flipped on the way.
    flipped: Option<usize>,
}

impl TileReader for Tiles<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        let read = |tile: &Tile| {
            // This crate's paths begin with the height of tiles, which is always 8 in C2SP tlog-tiles.
            let path = tile.path().replacen("tile/8/", "tile/", 1);
            let mut bytes = self.client.get(&format!("/v1/audit/{path}")).bytes();
            if let Some(place) = self.flipped {
                let place = place % bytes.len();
                bytes[place] ^= 1;
            }
            bytes
        };
        Ok(tiles.iter().map(read).collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

fn unhex(text: &str) -> Hash {
    Hash(std::array::from_fn(|index| u8::from_str_radix(&text[index * 2..index * 2 + 2], 16).unwrap()))
}

fn hashes(answer: &serde_json::Value, field: &str) -> Vec<Hash> {
    answer[field].as_array().unwrap().iter().map(|hash| unhex(hash.as_str().unwrap())).collect()
}

#[test]
fn another_implementation_reads_our_checkpoint_and_tiles_and_makes_the_same_proofs_of_them() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = operator.session(&json!({}));
    let ids: Vec<_> = (0..700).map(|n| text(&operator.log(&session, &n.to_string()).ok(), "entry_id")).collect();
    let keys = operator.get("/v1/audit/keys").ok();
    let key = StandardVerifier::new(&text(&keys["keys"][0], "verifier_key")).unwrap();
    let text_of_note = operator.get("/v1/audit/checkpoint").text;
    let note = Note::from_bytes(text_of_note.as_bytes()).unwrap();
    let (good, unknown) = note.verify(&VerifierList::new(vec![Box::new(key)])).unwrap();
    assert_eq!((good.len(), unknown.len()), (1, 0));
    let checkpoint = Checkpoint::from_bytes(note.text()).unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.size()), (text(&keys, "origin").as_str(), 702));
    let (size, root) = (checkpoint.size(), *checkpoint.hash());
    let tiles = Tiles { client: &operator, flipped: None };
    let reader = TileHashReader::new(size, root, &tiles);
    for (number, id) in ids.iter().enumerate().step_by(37) {
        let index = number as u64 + 2;
        let theirs = prove_record(size, index, &reader).unwrap();
        let proof = operator.get(&format!("/v1/audit/inclusion-proof/{id}")).ok();
        assert_eq!(hashes(&proof, "audit_path"), theirs);
        let leaf = unhex(&text(&proof, "leaf_hash"));
        assert_eq!(reader.read_hashes(&[stored_hash_index(0, index)]).unwrap(), [leaf]);
        check_record(&theirs, size, root, index, leaf).unwrap();
    }
    for first in [1_u64, 2, 255, 256, 257, 511, 512, 513, 600, 701, 702] {
        let proof = operator.get(&format!("/v1/audit/consistency-proof?first={first}&second={size}")).ok();
        let ours = hashes(&proof, "consistency_path");
        assert_eq!(ours, prove_tree(size, first, &reader).unwrap());
        check_tree(&ours, size, root, first, unhex(&text(&proof, "first_root"))).unwrap();
    }
    let bundle = operator.get("/v1/audit/tile/entries/002.p/190").bytes();
    let length = usize::from(u16::from_be_bytes([bundle[0], bundle[1]]));
    assert_eq!(
        reader.read_hashes(&[stored_hash_index(0, 512)]).unwrap(),
        [record_hash(&bundle[2..2 + length])],
        "the bundle's first entry is the leaf of the tree"
    );
    for place in [0, 31, 100, 4_000] {
        let altered = Tiles { client: &operator, flipped: Some(place) };
        assert!(prove_record(size, 5, &TileHashReader::new(size, root, &altered)).is_err(), "byte {place}");
    }
    assert_eq!(integer(&operator.get("/v1/audit/verify").ok(), "entries_checked"), 702);
}
