//! What leads filters to entries that have a session, an agent or a tool: it names all of them, it follows the log, and
//! whoever takes an entry away from it is found.

use std::collections::BTreeSet;

use haldir::{call::AnomalyThresholds, crypto::Key};
use rusqlite::params;
use serde_json::{Value, json};

use crate::support::{
    Folder, Growing, InProcess, at_once, integer, long,
    tables::{KINDS, as_version_16, bytes, fill_postings, places, postings, right_postings},
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

fn right_trails(log: &Growing) {
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
    fill_postings(&house.sql());
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
    sql.execute_batch(
        "INSERT OR REPLACE INTO audit_postings
            SELECT tenant, of, block + shift, unhex(format('%064d', 0)) FROM audit_postings, (SELECT 0 AS shift UNION SELECT 5);
         INSERT OR REPLACE INTO audit_postings VALUES ('local', 't:odd', 1, zeroblob(32));
         UPDATE audit_postings SET entries = unhex(replace(hex(zeroblob(32)), '0', 'F'))",
    )
    .unwrap();
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
    sql.execute_batch("CREATE TEMP TABLE kept AS SELECT * FROM audit_postings").unwrap();
    for (at, (prefix, column)) in KINDS.into_iter().enumerate() {
        // An entry of the first block, or of the second.
        let seqs = [40_i64, 300];
        for seq in long(vec![seqs[at % 2]], seqs.to_vec()) {
            let block = (seq - 1) / 256;
            let text: String = house.sql_value(&format!("SELECT {column} FROM audit_entries WHERE place = {seq}"));
            let of = format!("{prefix}{text}");
            let named = |block: i64| {
                let select = "SELECT entries FROM temp.kept WHERE of = ?1 AND block = ?2";
                places(&sql.query_row(select, params![of, block], |row| row.get::<_, Vec<u8>>(0)).unwrap())
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
                sql.execute(update, params![of, block, entries]).unwrap();
            };
            let run = |tampering: &str| assert!(sql.execute(tampering, params![of, block]).unwrap() > 0, "{tampering}");
            let check = |tampering: &str, first_bad: i64| {
                let report = log.haldir.verify();
                assert_eq!(integer(&report["first_bad"], "seq"), first_bad, "{of} {block} {tampering}: {report}");
                assert!(report.to_string().contains("filters would miss it"), "{report}");
                // It lies in the answers of others, and no answer breaks.
                log.haldir.ok("getAuditStats", &json!({}));
                log.haldir.ok("getAuditTrail", &json!({column: text, "limit": 50}));
                sql.execute_batch("INSERT OR REPLACE INTO audit_postings SELECT * FROM temp.kept").unwrap();
                sql.execute("DELETE FROM audit_postings WHERE block > 1000", []).unwrap();
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
            let stray = "DELETE FROM audit_postings WHERE of = ?1 || 'x' AND ?2 >= 0";
            check("a row of another name", first);
            run(stray);
        }
    }
    assert_eq!(log.haldir.verify()["verified"], true);
}

/// The first entry of a block that is in its row and not in that of another.
fn first_of_next(other: &BTreeSet<i64>, own: &BTreeSet<i64>, block: i64) -> i64 {
    block * 256 + 1 + own.difference(other).next().unwrap()
}

#[test]
fn a_store_from_before_there_were_any_gets_them_when_it_is_opened() {
    let house = Folder::new();
    let key = Key::generate().unwrap();
    let mut log = Growing::open_with(&house, &key);
    log.grow(1_300);
    let Growing { haldir, sessions, size } = log;
    drop(haldir);
    as_version_16(&house.sql());
    // It began to fold at any entry, and has not built the tree yet.
    house
        .sql()
        .execute_batch(
            "UPDATE audit_folds SET up_to = 1300; DELETE FROM tree_tiles;
             INSERT INTO audit_tree_builds SELECT tenant, 0, seq, x'' FROM audit_heads",
        )
        .unwrap();
    let mut log =
        Growing { haldir: InProcess::open_with(&house.db(), &key, AnomalyThresholds::default()), sessions, size };
    assert_eq!(postings(&house.sql()), right_postings(&house.sql()));
    right_trails(&log);
    assert_eq!(log.haldir.verify()["verified"], true);
    log.grow(1_600);
    assert_eq!(house.sql_value::<i64>("SELECT up_to FROM log_folds"), 1_300 + 256);
    assert_eq!(postings(&house.sql()), right_postings(&house.sql()));
    right_trails(&log);
    assert_eq!(log.haldir.verify()["verified"], true);
}

#[test]
fn a_process_of_the_version_before_appends_nothing_and_folds_nothing() {
    let house = Folder::new();
    InProcess::open(&house.db()).session(&json!({}));
    let sql = house.sql();
    // What it does in every batch that appends.
    for (statement, problem) in [
        ("SELECT up_to FROM audit_folds WHERE tenant = 'local'", "no such table"),
        ("INSERT INTO audit_entries (tenant, seq, indexed) VALUES ('local', 9, 0)", "no column named tenant"),
        ("UPDATE audit_entries SET indexed = 1 WHERE place = 1", "no such column"),
    ] {
        let error = sql.prepare(statement).unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
}
