//! Whoever can write to the database leaves every entry as it was, and alters what leads to entries: answers would miss some,
//! so verification finds it, whichever way it goes through the log.

use haldir::model::TenantId;
use rusqlite::params;
use serde_json::Value;

use crate::support::{Database, Growing, House, InProcess, json, tables::refill_postings};

/// What lies in the table of entries.
const COLUMNS: &str = "id, at, kind, session_id, agent_id, tool, action, cost, flagged, flag_reason, actor, details, \
    details_salt, details_digest, prev_hash, entry_hash";

fn in_parts(haldir: &InProcess) -> Value {
    let report = haldir.haldir.verify_log(&TenantId::local(), 3, &mut |_, _| {}).unwrap();
    serde_json::to_value(&report).unwrap()
}

fn log() -> (House, Growing, Database) {
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
fn a_log_that_is_said_to_begin_elsewhere_is_found_and_not_built_upon() {
    let (_house, log, sql) = log();
    if let Database::File(file) = &sql {
        file.pragma_update(None, "ignore_check_constraints", true).unwrap();
    }
    let (column, step) = sql.beginning_of_logs();
    for moved in [-300, -1, 1, 300, 1 << 38, -(1 << 39), 1_i64 << 40] {
        sql.change(&format!("UPDATE logs SET {column} = {column} + ?1"), params![moved]);
        found(&log, 1, &format!("a log that begins {moved} places later"));
        if moved % step != 0 {
            log.haldir.refused("logAction", &json!({"session_id": log.sessions[0], "action": "on top"}));
        }
        sql.change(&format!("UPDATE logs SET {column} = {column} - ?1"), params![moved]);
    }
    is_good(&log);
}

#[test]
fn a_value_that_has_two_rows_for_a_block_leads_where_either_does() {
    let (_house, log, sql) = log();
    let first: i64 = sql.value("SELECT min(place) FROM audit_entries WHERE tool = 'tool 3'", &[]);
    for (order, other) in [("ASC", 0x00_u8), ("DESC", 0xff)] {
        // Without a key that forbids it; filters are led by the one that comes first.
        sql.batch(&format!(
            "ALTER TABLE audit_postings RENAME TO before;
             CREATE TABLE audit_postings AS SELECT * FROM before;
             CREATE INDEX by_block ON audit_postings (tenant, of, block, entries {order});
             DROP TABLE before"
        ));
        for block in sql.column::<i64>("SELECT block FROM audit_postings WHERE of = 't:tool 3'", &[]) {
            sql.change("INSERT INTO audit_postings VALUES ('local', 't:tool 3', ?1, ?2)", params![block, [other]]);
        }
        found(&log, first, "a second row");
        sql.batch("DROP INDEX by_block");
        refill_postings(&sql);
        is_good(&log);
    }
}

#[test]
fn an_entry_that_lies_between_two_places_is_found() {
    let (house, log, _) = log();
    let moved = format!("SELECT iif(place = 40, 40.5, place), {COLUMNS} FROM before");
    let sql = house.file();
    sql.execute_batch(&format!(
        "ALTER TABLE audit_entries RENAME TO before; DROP INDEX audit_flagged;
         CREATE TABLE audit_entries (place, {COLUMNS});
         INSERT INTO audit_entries {moved};
         CREATE INDEX by_place ON audit_entries (place);
         CREATE INDEX audit_flagged ON audit_entries (place) WHERE flagged = 1;
         DROP TABLE before"
    ))
    .unwrap();
    found(&log, 40, "an entry that nobody finds by its number");
}

#[test]
fn what_stands_in_front_of_the_first_entry_is_found_also_where_it_is_no_entry() {
    let (_house, log, sql) = log();
    for altered in [None, Some(("flagged", "7"))] {
        sql.copy_entry(9, -5, altered);
        found(&log, -5, &format!("{altered:?}"));
        sql.batch("DELETE FROM audit_entries WHERE place = -5");
        is_good(&log);
    }
}

#[test]
fn a_flagged_entry_that_its_index_does_not_name_is_found() {
    let (house, log, _) = log();
    let sql = house.file();
    let flagged: Vec<i64> = {
        let mut select = sql.prepare("SELECT place FROM audit_entries WHERE flagged = 1 ORDER BY place").unwrap();
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert!(flagged.len() > 3, "{flagged:?}");
    let right = "CREATE INDEX audit_flagged ON audit_entries (place) WHERE flagged = 1";
    for missing in [flagged[0], flagged[2], *flagged.last().unwrap()] {
        let version: i64 = sql.query_row("PRAGMA schema_version", [], |row| row.get(0)).unwrap();
        // It is made without the one entry, and said to be made with all.
        sql.execute_batch(&format!(
            "DROP INDEX audit_flagged; {right} AND place <> {missing};
             PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = '{right}' WHERE name = 'audit_flagged';
             PRAGMA writable_schema = RESET; PRAGMA schema_version = {}",
            version + 10
        ))
        .unwrap();
        let trail = log.trail(&json!({"flagged": true}), 50);
        assert_eq!(trail.len(), flagged.len() - 1, "the index is not used");
        found(&log, missing, "a flagged entry that no filter finds");
        sql.execute_batch("REINDEX audit_flagged").unwrap();
        is_good(&log);
    }
}
