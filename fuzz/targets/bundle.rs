//! Bundles of others: without the log's key nothing in a bundle makes it verified under another key.
#![no_main]

use haldir_core::crypto::TrustedKey;
use haldir_verify::bundle;
use libfuzzer_sys::fuzz_target;

/// The public key of a seed that the corpus does not use.
const OTHER: &str = "d04ab232742bb4ab3a1368bd4615e4e6d0224ab71a016baf8520a332c9778737";

fuzz_target!(|bytes: &[u8]| {
    let _ = bundle::verify(bytes, &[], 1, &mut |_, _| {});
    let other = TrustedKey::parse(OTHER).unwrap();
    if let Ok(report) = bundle::verify(bytes, &[other], 1, &mut |_, _| {}) {
        assert!(!report.verified, "a bundle is verified with a key that did not sign it");
    }
});
