//! Signed notes, checkpoints, verifier keys and key sets of others.
#![no_main]

use haldir_core::crypto::{Checkpoint, Note, TrustedKey, Verifier};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(note) = Note::parse(text) {
        assert_eq!(Note::parse(&note.to_string()).unwrap().to_string(), note.to_string());
        if let Ok(checkpoint) = Checkpoint::parse(&note.text) {
            assert!(Checkpoint::parse(&checkpoint.to_note().text).is_ok());
        }
    }
    if let Ok(key) = Verifier::parse(text) {
        assert!(Verifier::parse(&key.to_string()).is_ok_and(|again| again == key));
    }
    let _ = TrustedKey::parse(text);
    let _ = haldir_verify::jwks::keys(text);
});
