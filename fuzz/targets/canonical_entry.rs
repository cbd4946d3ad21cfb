//! The bytes of an entry that are hashed, against another implementation of RFC 8785.
#![no_main]

use haldir_core::model::{EntryKind, EntryView, Money, TenantId, UnixMicros};
use haldir_verify::{canonical, hex::hex};
use libfuzzer_sys::fuzz_target;

/// Between the fields of an input, so that the corpus is text.
const SEPARATOR: &str = "\n--\n";

fuzz_target!(|text: &str| {
    let mut fields = text.split(SEPARATOR);
    let mut field = || fields.next().unwrap_or_default();
    let (one, two, three, has_details) = (field(), field(), field(), field() == "true");
    let mut number = || field().parse().unwrap_or(0_i64);
    // Integers of entries are below 2^53; costs are never negative.
    let (number, cost) = (number() & 0x001f_ffff_ffff_ffff, number());
    let digest = [7; 32];
    let entry = EntryView {
        seq: number,
        id: "aud_1",
        at: UnixMicros(number),
        kind: EntryKind::Action,
        session_id: one,
        agent_id: two,
        tool: three,
        action: one,
        cost: Money::from_nanos(cost & i64::MAX),
        flagged: has_details,
        flag_reason: two,
        actor: three,
        details: None,
        details_salt: None,
        details_digest: has_details.then_some(&digest),
        prev_hash: &digest,
        entry_hash: &digest,
    };
    let mut bytes = Vec::new();
    canonical::write(&TenantId::local(), &entry, &mut bytes);
    let read: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(serde_jcs::to_vec(&read).unwrap(), bytes, "not the form of RFC 8785");
    assert_eq!((&read["session_id"], &read["agent_id"], &read["tool"]), (&one.into(), &two.into(), &three.into()));
    assert_eq!(read["details"].as_str(), has_details.then(|| hex(&digest)).as_deref());
});
