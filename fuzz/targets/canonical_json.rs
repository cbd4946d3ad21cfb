//! The canonical form of JSON details: it means the same and does not change when it is made again.
#![no_main]

use haldir_verify::json::canonical;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(once) = canonical(text, "details") else { return };
    assert_eq!(canonical(&once, "details").unwrap(), once);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&once).unwrap(),
        serde_json::from_str::<serde_json::Value>(text).unwrap()
    );
});
