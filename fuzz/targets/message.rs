//! JSON-RPC messages of clients and upstreams: what is read is written so that it is read as the same, and an error for a message that is
//! too long to be read has its id.
#![no_main]

use haldir_protocol::{Message, lines, message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for one in message::messages(text.to_owned()) {
        let Ok(read) = Message::read(&one) else { continue };
        let _ = (read.request_id(), read.answers(), read.speaker(), read.progress_token(), read.cancelled_id());
        let written = read.text();
        let again = Message::read(&written).expect("a message that was read is written as one");
        assert_eq!((again.method.as_deref(), again.request_id()), (read.method.as_deref(), read.request_id()));
        assert_eq!(again.text(), written);
        if let Some(id) = lines::id_in(one.as_bytes()) {
            // Read, an id has one form.
            let with_id = format!("{{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"id\":{id}}}");
            let found = Message::read(&with_id).expect("an id that was found can be read");
            assert_eq!(found.request_id(), read.id.as_deref().map(|id| id.get()));
        }
    }
    let _ = message::one_line(text);
});
