//! Evidence packs of others: none is verified without a trusted key.
#![no_main]

use haldir_verify::pack;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    assert!(pack::verify(text, &[]).is_err());
});
