//! A log that is checked in parts by several threads: whatever is altered, and wherever parts meet, the answer is the one of
//! the check that goes from the first entry to the last.

use haldir::{crypto, model::TenantId, watch::canonical::hex};
use rusqlite::params;
use serde_json::Value;

use crate::support::{House, InProcess, json};

/// The last entry of the first part.
const LAST: i64 = 4_096;
const ENTRIES: i64 = 4_200;

fn in_parts(haldir: &InProcess) -> Value {
    let report = haldir.haldir.verify_log(&TenantId::local(), 3, &mut |_, _| {}).unwrap();
    serde_json::to_value(&report).unwrap()
}

#[test]
fn what_is_altered_where_two_parts_meet_is_found_as_anywhere() {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    let session = haldir.session(&json!({}));
    let size = || haldir.ok("getTreeHead", &json!({}))["tree_size"].as_i64().unwrap();
    for number in size()..ENTRIES {
        haldir.log(&session, &format!("act-{number}"));
    }
    let sql = house.sql();
    let good = in_parts(&haldir);
    assert_eq!((&good["verified"], &good["entries_checked"]), (&json!(true), &json!(ENTRIES)), "{good}");
    assert_eq!(good, haldir.verify());

    // An entry that is altered together with its own hash, so that only the next one tells.
    let bundle = haldir.streamed("exportBundle", &json!({})).unwrap();
    let line = bundle.lines().find(|line| line.contains(&format!("\"seq\":{LAST},"))).unwrap();
    let begin = line.find("{\"action\"").unwrap();
    let entry = &line[begin..=line.find("\"v\":1}").unwrap() + 5];
    let name = format!("act-{}", LAST - 1);
    assert_eq!(line.matches(&name).count(), 1);
    let altered = entry.replace(&name, "act-x");
    let hash = crypto::digest(&[altered.as_bytes()]);
    assert!(line.contains(&hex(&crypto::digest(&[entry.as_bytes()]))), "these are the bytes that are hashed");

    let cases: [(&str, i64, &dyn Fn()); 7] = [
        ("the next one does not follow it", LAST + 1, &|| {
            let update = "UPDATE audit_entries SET action = 'act-x', entry_hash = ?1 WHERE place = ?2";
            assert_eq!(sql.change(update, params![hash, LAST]), 1);
        }),
        ("the last of a part is missing", LAST, &|| {
            assert_eq!(sql.change("DELETE FROM audit_entries WHERE place = ?1", params![LAST]), 1);
        }),
        ("the first of a part is missing", LAST + 1, &|| {
            assert_eq!(sql.change("DELETE FROM audit_entries WHERE place = ?1", params![LAST + 1]), 1);
        }),
        ("a whole part is missing", LAST + 1, &|| {
            assert!(sql.change("DELETE FROM audit_entries WHERE place > ?1", params![LAST]) > 1);
        }),
        ("the end is missing", ENTRIES, &|| {
            assert_eq!(sql.change("DELETE FROM audit_entries WHERE place = ?1", params![ENTRIES]), 1);
        }),
        ("a field is altered", LAST + 1, &|| {
            let update = "UPDATE audit_entries SET tool = 'x' WHERE place = ?1";
            assert_eq!(sql.change(update, params![LAST + 1]), 1);
        }),
        ("a hash of the tree's second level is altered", 256, &|| {
            assert_eq!(sql.change("UPDATE tree_tiles SET hashes = zeroblob(length(hashes)) WHERE level = 1", &[]), 1);
        }),
    ];
    for (what, seq, alter) in cases {
        let tables = ["audit_entries", "tree_tiles"];
        sql.keep(&tables);
        alter();
        let found = in_parts(&haldir);
        assert_eq!((&found["verified"], &found["first_bad"]["seq"]), (&json!(false), &json!(seq)), "{what}: {found}");
        assert_eq!(found, haldir.verify(), "{what}");
        sql.put_back(&tables);
    }
    assert_eq!(in_parts(&haldir), good);
}
