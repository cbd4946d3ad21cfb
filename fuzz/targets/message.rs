//! JSON-RPC messages of clients and upstreams: what is read is written so that it is read as the same.
#![no_main]

use haldir_protocol::{Message, message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for one in message::messages(text.to_owned()) {
        let Ok(read) = Message::read(&one) else { continue };
        let _ = (read.request_id(), read.answers(), read.speaker(), read.progress_token(), read.cancelled_id());
        let written = read.text();
        let again = Message::read(&written).expect("a message that was read is written as one");
        assert_eq!((again.method.as_deref(), again.request_id()), (read.method.as_deref(), read.request_id()));
        assert_eq!(again.text(), written);
    }
    let _ = message::one_line(text);
});
