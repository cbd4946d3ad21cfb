//! Headers of clients: a text that is encoded as a header value is read back, and mirrored arguments are found in any definition.
#![no_main]

use haldir_protocol::header;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let encoded = header::encoded(text).parse().expect("an encoded text is a header value");
    assert_eq!(header::decoded(&encoded).as_deref(), Some(text));
    let _ = text.parse().map(|value| header::decoded(&value));
    let (definition, arguments) = text.split_once('\n').unwrap_or_default();
    let _ = header::mirrored(definition, arguments);
});
