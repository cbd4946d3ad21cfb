//! Whoever can write to the database leaves every entry as it was, and alters what leads to entries: answers would miss some,
//! so verification finds it, whichever way it goes through the log.

use haldir::model::TenantId;
use rusqlite::Connection;
use serde_json::Value;

use crate::{
    folding::Growing,
    postings::fill,
    support::{House, InProcess, json},
};

/// What lies in the table of entries.
const COLUMNS: &str = "id, at, kind, session_id, agent_id, tool, action, cost, flagged, flag_reason, actor, details, \
    details_salt, details_digest, prev_hash, entry_hash";

fn in_parts(haldir: &InProcess) -> Value {
    let report = haldir.haldir.verify_log(&TenantId::local(), 3, &mut |_, _| {}).unwrap();
    serde_json::to_value(&report).unwrap()
}

fn log() -> (House, Growing, Connection) {
    let house = House::new();
    let mut log = Growing::open(&house);
    log.grow(600);
    is_good(&log);
    let sql = house.sql();
    (house, log, sql)
}

#[track_caller]
fn is_good(log: &Growing) {
    assert_eq!(log.haldir.verify()["verified"], true);
    assert_eq!(in_parts(&log.haldir)["verified"], true);
}

/// Both verifications name this entry.
#[track_caller]
fn found(log: &Growing, seq: i64, what: &str) {
    for report in [log.haldir.verify(), in_parts(&log.haldir)] {
        assert_eq!(report["verified"], false, "{what} goes unnoticed");
        assert_eq!(report["first_bad"]["seq"], seq, "{what}: {report}");
    }
}

#[test]
fn a_value_that_has_two_rows_for_a_block_leads_where_either_does() {
    let (_house, log, sql) = log();
    let first: i64 =
        sql.query_row("SELECT min(place) FROM audit_entries WHERE tool = 'tool 3'", [], |row| row.get(0)).unwrap();
    for (order, other) in [("ASC", "x'00'"), ("DESC", "x'FF'")] {
        // Without a key that forbids it; filters are led by the one that comes first.
        sql.execute_batch(&format!(
            "ALTER TABLE audit_postings RENAME TO before;
             CREATE TABLE audit_postings (tenant TEXT, of TEXT, block INTEGER, entries BLOB) STRICT;
             CREATE INDEX by_block ON audit_postings (tenant, of, block, entries {order});
             INSERT INTO audit_postings SELECT * FROM before;
             INSERT INTO audit_postings SELECT tenant, of, block, {other} FROM before WHERE of = 't:tool 3';
             DROP TABLE before"
        ))
        .unwrap();
        found(&log, first, "a second row");
        sql.execute_batch("DROP INDEX by_block").unwrap();
        fill(&sql);
        is_good(&log);
    }
}

#[test]
fn what_stands_in_front_of_the_first_entry_is_found_also_where_it_is_no_entry() {
    let (_house, log, sql) = log();
    let altered = COLUMNS.replace(" flagged,", " 7,");
    for columns in [COLUMNS, &altered] {
        let copy = format!("INSERT INTO audit_entries SELECT -5, {columns} FROM audit_entries WHERE place = 9");
        sql.execute(&copy, []).unwrap();
        found(&log, -5, columns);
        sql.execute("DELETE FROM audit_entries WHERE place = -5", []).unwrap();
        is_good(&log);
    }
}
