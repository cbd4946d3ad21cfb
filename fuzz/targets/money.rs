//! Amounts as clients write them, in JSON: what is read is written without loss.
#![no_main]

use haldir_core::model::Money;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &str| {
    let Ok(amount) = serde_json::from_str::<Money>(json) else { return };
    let text = amount.to_string();
    assert_eq!(serde_json::from_str::<Money>(&text).ok(), Some(amount), "{json} became {text}");
    assert_eq!(serde_json::to_string(&amount).unwrap(), text);
});
