//! Evidence packs of others: under a trusted key nothing is verified but what the key has signed.
#![no_main]

use std::sync::LazyLock;

use haldir_core::crypto::{SigningKey, TrustedKey};
use haldir_verify::pack;
use libfuzzer_sys::fuzz_target;

/// The pack of the corpus, which `examples/seeds.rs` has signed.
const SIGNED: &str = include_str!("../corpus/pack/signed");

fn digest(bytes: &[u8]) -> Option<String> {
    let key = TrustedKey::Plain(SigningKey::from_seed(&[1; 32]).public());
    pack::verify(bytes, &[key]).ok().map(|pack| pack.signatures.digest)
}

static DIGEST: LazyLock<String> = LazyLock::new(|| digest(SIGNED.as_bytes()).expect("the corpus is verified"));

fuzz_target!(|bytes: &[u8]| {
    assert!(pack::verify(bytes, &[]).is_err());
    if let Some(digest) = digest(bytes) {
        assert_eq!(digest, *DIGEST, "a pack is verified that was not signed");
    }
});
