//! What leads filters to entries that have a session, an agent or a tool: it names all of them, it follows the log, and
//! whoever takes an entry away from it is found.

use std::collections::BTreeSet;

use haldir::{call::AnomalyThresholds, crypto::Key};
use rusqlite::params;
use serde_json::{Value, json};

use crate::support::{
    Folder, Growing, InProcess, at_once, integer, long,
    tables::{KINDS, bytes, places, postings, refill_postings, right_postings},
};

const FILTERS: [(&str, &str); 5] =
    [("agent_id", "two"), ("tool", "tool 3"), ("tool", "haldir"), ("tool", "odd"), ("agent_id", "nobody")];

fn filters(log: &Growing) -> Vec<Value> {
    let mut filters: Vec<_> = FILTERS.iter().map(|(field, value)| json!({(*field): value})).collect();
    filters.push(json!({"session_id": log.sessions[0]}));
    filters.push(json!({"session_id": log.sessions[0], "tool": "tool 3"}));
    filters.push(json!({"session_id": log.sessions[0], "agent_id": "two"}));
    filters.push(json!({"agent_id": "two", "tool": "odd", "flagged": false}));
    filters
}

/// Filters find what has what they ask for, and nothing else.
pub fn right_trails(log: &Growing) {
    let all = log.trail(&json!({}), 1_000);
    for filter in filters(log) {
        let passes = |entry: &&Value| filter.as_object().unwrap().iter().all(|(field, value)| entry[field] == *value);
        let right: Vec<_> = all.iter().filter(passes).cloned().collect();
        assert_eq!(log.trail(&filter, 90), right, "{filter}");
        let exported: Vec<_> = log.export(&filter).into_iter().map(|entry| entry["entry_id"].clone()).collect();
        assert!(exported.iter().eq(right.iter().rev().map(|entry| &entry["entry_id"])), "{filter}");
    }
}

#[test]
fn they_name_the_folded_entries_and_no_others_whichever_process_folds() {
    let house = Folder::new();
    let key = Key::generate().unwrap();
    let mut log = Growing::open_with(&house, &key);
    let other = InProcess::open_with(&house.db(), &key, AnomalyThresholds::default());
    for size in (100..2_000).step_by(long(633, 190)) {
        log.grow(size);
        // The one process no longer knows all of the tail. The tools are often and seldom, of one block and of several.
        for (tool, times) in [("odd", 1), ("often", 33)] {
            // Several at once are written together, and folds end anywhere.
            let input = json!({"session_id": log.sessions[2], "tool": tool, "action": "x"});
            at_once(times, |_| drop(other.ok("logAction", &input)));
            log.size += times;
        }
        let sql = house.sql();
        assert_eq!(postings(&sql), right_postings(&sql), "{size}");
        right_trails(&log);
    }
    let before = postings(&house.sql());
    refill_postings(&house.sql());
    assert_eq!(postings(&house.sql()), before);
    assert_eq!(log.haldir.verify()["verified"], true);
}

#[test]
fn what_they_name_without_reason_is_not_found_and_goes_with_the_next_fold() {
    let house = Folder::new();
    let mut log = Growing::open(&house);
    log.grow(700);
    let sql = house.sql();
    let folded: i64 = house.sql_value("SELECT up_to FROM log_folds");
    sql.batch(
        "CREATE TEMP TABLE odd AS SELECT tenant, of, block FROM audit_postings
            UNION SELECT tenant, of, block + 5 FROM audit_postings UNION SELECT 'local', 't:odd', 1;
         DELETE FROM audit_postings;
         INSERT INTO audit_postings SELECT tenant, of, block, zeroblob(32) FROM odd",
    );
    sql.change("UPDATE audit_postings SET entries = ?1", params![[0xff_u8; 32]]);
    right_trails(&log);
    assert_eq!(log.haldir.verify()["verified"], true);
    let session = json!({"session_id": log.sessions[0]});
    assert!(log.haldir.ok("getSession", &session).is_object());
    log.grow(1_100);
    right_trails(&log);
    assert_eq!(log.haldir.verify()["verified"], true);
    // In the block in which the fold began, nothing is named any more that lay behind it then.
    let again = |named: &BTreeSet<i64>| named.range(folded + 1..=folded / 256 * 256 + 256).copied().collect::<Vec<_>>();
    let (stored, right) = (postings(&sql), right_postings(&sql));
    let key = ("local".to_owned(), "a:two".to_owned());
    assert_eq!(again(&stored[&key]), again(&right[&key]));
}

#[test]
fn an_entry_that_they_do_not_name_is_found_by_its_verification() {
    let house = Folder::new();
    let mut log = Growing::open(&house);
    log.grow(700);
    assert_eq!(log.haldir.verify()["verified"], true);
    let sql = house.sql();
    sql.batch("CREATE TEMP TABLE kept AS SELECT * FROM audit_postings");
    for (at, (prefix, column)) in KINDS.into_iter().enumerate() {
        // An entry of the first block, or of the second.
        let seqs = [40_i64, 300];
        for seq in long(vec![seqs[at % 2]], seqs.to_vec()) {
            let block = (seq - 1) / 256;
            let text: String = sql.value(&format!("SELECT {column} FROM audit_entries WHERE place = ?1"), params![seq]);
            let of = format!("{prefix}{text}");
            let named = |block: i64| {
                let select = "SELECT entries FROM kept WHERE of = ?1 AND block = ?2";
                places(&sql.value::<Vec<u8>>(select, params![of, block]))
            };
            let entries = named(block);
            let first = block * 256 + 1 + entries.first().unwrap();
            let mut without = entries.clone();
            assert!(without.remove(&((seq - 1) % 256)));
            let mut list: Vec<u8> = entries.iter().map(|place| u8::try_from(*place).unwrap()).collect();
            let mut few = vec![0; 32];
            few[..3].fill(0xff);
            let longer = [bytes(&entries), vec![0xff]].concat();
            let moved = block * 256 + 1 + entries.difference(&named(1 - block)).next().unwrap();
            let put = |entries: Vec<u8>| {
                let update = "UPDATE audit_postings SET entries = ?3 WHERE of = ?1 AND block = ?2";
                sql.change(update, params![of, block, entries]);
            };
            let run = |tampering: &str| assert!(sql.change(tampering, params![of, block]) > 0, "{tampering}");
            let check = |tampering: &str, first_bad: i64| {
                let report = log.haldir.verify();
                assert_eq!(integer(&report["first_bad"], "seq"), first_bad, "{of} {block} {tampering}: {report}");
                assert!(report.to_string().contains("filters would miss it"), "{report}");
                // It lies in the answers of others, and no answer breaks.
                log.haldir.ok("getAuditStats", &json!({}));
                log.haldir.ok("getAuditTrail", &json!({column: text, "limit": 50}));
                sql.batch("DELETE FROM audit_postings; INSERT INTO audit_postings SELECT * FROM kept");
                if long(false, true) {
                    assert_eq!(log.haldir.verify()["verified"], true, "{tampering} was not put back");
                }
            };
            put(bytes(&without));
            check("a cleared bit", seq);
            run("DELETE FROM audit_postings WHERE of = ?1 AND block = ?2");
            check("a deleted row", first);
            run("UPDATE audit_postings SET block = block + 1001 WHERE of = ?1 AND block = ?2");
            check("a moved row", first);
            put(bytes(&named(1 - block)));
            check("the row of another block", moved.min(first_of_next(&named(1 - block), &named(block), block)));
            list.reverse();
            for malformed in [Vec::new(), few, longer, vec![0xff; 33], list] {
                put(malformed);
                check("a malformed row", first);
            }
            run("UPDATE audit_postings SET of = of || 'x' WHERE of = ?1 AND block = ?2");
            check("a row of another name", first);
        }
    }
    assert_eq!(log.haldir.verify()["verified"], true);
}

/// The first entry of a block that is in its row and not in that of another.
fn first_of_next(other: &BTreeSet<i64>, own: &BTreeSet<i64>, block: i64) -> i64 {
    block * 256 + 1 + own.difference(other).next().unwrap()
}
