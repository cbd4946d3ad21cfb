//! Event streams of upstream servers: however the bytes arrive, the same events are read, and none is lost.
#![no_main]

use haldir_protocol::event_stream::{EventReader, data, has_id};
use libfuzzer_sys::fuzz_target;

fn events(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let (mut reader, mut events) = (EventReader::default(), Vec::new());
    for piece in pieces {
        reader.push(piece);
        while let Some(event) = reader.next_event() {
            let _ = (has_id(&event), std::str::from_utf8(&event).map(data));
            events.push(event.to_vec());
        }
    }
    let read: usize = events.iter().map(Vec::len).sum();
    assert_eq!(read + reader.pending(), pieces.iter().map(|piece| piece.len()).sum::<usize>());
    events
}

fuzz_target!(|input: &[u8]| {
    // The first byte says where the stream is cut.
    let Some((at, bytes)) = input.split_first() else { return };
    let (before, after) = bytes.split_at(usize::from(*at).min(bytes.len()));
    assert_eq!(events(&[before, after]).concat(), events(&[bytes]).concat());
});
