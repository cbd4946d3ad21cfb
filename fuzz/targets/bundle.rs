//! Bundles of others: under a log's key nothing is verified but what the log has signed, and under another key nothing at all.
#![no_main]

use std::sync::LazyLock;

use haldir_core::crypto::{SigningKey, TrustedKey};
use haldir_verify::bundle::{self, BundleReport};
use libfuzzer_sys::fuzz_target;

/// A bundle of the corpus; `examples/seeds.rs` has signed all of them with the same key, over the same tree.
const WHOLE: &[u8] = include_bytes!("../corpus/bundle/whole");

fn verify(bytes: &[u8], seed: u8) -> Option<BundleReport> {
    let key = TrustedKey::Plain(SigningKey::from_seed(&[seed; 32]).public());
    bundle::verify(bytes, &[key], 1, &mut |_, _| {}).ok().filter(|report| report.verified)
}

static SIGNED: LazyLock<String> = LazyLock::new(|| verify(WHOLE, 1).expect("the corpus is verified").root_hash);

fuzz_target!(|bytes: &[u8]| {
    let _ = bundle::verify(bytes, &[], 1, &mut |_, _| {});
    assert!(verify(bytes, 2).is_none(), "a bundle is verified with a key that did not sign it");
    if let Some(report) = verify(bytes, 1) {
        assert_eq!(report.root_hash, *SIGNED, "a bundle is verified that the log did not sign");
    }
});
