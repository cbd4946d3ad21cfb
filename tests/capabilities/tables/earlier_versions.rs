//! Stores of earlier versions: opened, they answer what they would have answered had they been of this version all along.

use haldir::{call::AnomalyThresholds, crypto::Key};
use serde_json::json;

use super::postings::right_trails;
use crate::support::{
    Folder, Growing, InProcess, at_once, includes, integer,
    tables::{as_they_lay, as_version_16, fill_postings, postings, right_postings},
    text,
};

const DAY: i64 = 86_400;

#[test]
fn a_store_from_before_days_were_counted_is_counted_when_it_is_opened() {
    let (house, key) = (Folder::new(), Key::generate().unwrap());
    let haldir = InProcess::open_with(&house.db(), &key, AnomalyThresholds::default());
    let session = haldir.session(&json!({"agent_id": "one", "ttl": 30 * DAY}));
    let act = |tool: &str, cost: &str| {
        let input = format!(r#"{{"session_id":"{session}","action":"use","tool":"{tool}","cost_usd":{cost}}}"#);
        haldir.ok("logAction", &serde_json::from_str(&input).unwrap());
    };
    act("shop", "101.000000001");
    haldir.clock.advance_seconds(2 * DAY);
    act("search", "0.5");
    let before = haldir.ok("getAuditStats", &json!({}));
    drop(haldir);
    let sql = house.file();
    let migration = include_str!("../../../crates/store/src/sqlite/migrations/0005_audit_days.sql");
    sql.execute_batch(
        "DROP TABLE audit_days; DROP TABLE audit_retention; DROP TABLE audit_erasures; DROP INDEX sessions_by_end",
    )
    .unwrap();
    as_they_lay(&sql);
    sql.execute_batch(migration).unwrap();
    sql.execute_batch("DROP VIEW temp.audit_entries; INSERT INTO log_folds SELECT tenant, seq FROM audit_heads")
        .unwrap();
    fill_postings(&sql);
    let haldir = InProcess::open_with(&house.db(), &key, AnomalyThresholds::default());
    haldir.clock.advance_seconds(2 * DAY);
    assert_eq!(haldir.ok("getAuditStats", &json!({})), before);
    assert_eq!(integer(&before, "total_entries"), 3);
}

/// A store as it was before there were figures gets the same ones that would have been kept.
#[test]
fn figures_of_an_older_store_are_those_that_would_have_been_kept() {
    let house = Folder::new();
    let path = house.db();
    let key = Key::generate().unwrap();
    let haldir = InProcess::open_with(&path, &key, AnomalyThresholds::default());
    haldir.another_tenant();
    let session = haldir.session(&json!({"agent_id": "a", "scopes": ["read", "spend"], "ttl": 0}));
    haldir.ok("storeSecret", &json!({"name": "s", "value": "v"}));
    haldir.ok("getSecret", &json!({"name": "s", "session_id": session}));
    haldir.ok("authorizePayment", &json!({"session_id": session, "amount": 5}));
    haldir.ok("requestApproval", &json!({"session_id": session, "tool": "t", "action": "x"}));
    for day in 0..4 {
        for tool in 0..=day * 7 {
            let tool = format!("tool{}", tool % 3);
            haldir.ok("logAction", &json!({"session_id": session, "tool": tool, "action": "x", "cost_usd": 1.5}));
        }
        haldir.clock.advance_seconds(86_400);
    }
    // Until all of these are in the counters.
    (0..600).for_each(|_| drop(haldir.log(&session, "more")));
    let snapshot = |sql: &rusqlite::Connection| -> Vec<String> {
        let mut lines = Vec::new();
        for (table, columns) in [
            (
                "tenant_totals",
                "tenant || keys || ',' || sessions || ',' || agents || ',' || secrets || ',' || payments || ',' || approvals",
            ),
            ("usage WHERE secret_reads > 0", "tenant || month || ',' || secret_reads"),
            ("tool_tallies WHERE of = ''", "tenant || tool || ',' || rank"),
            ("agents", "tenant || agent_id || ',' || rank"),
        ] {
            let mut statement = sql.prepare(&format!("SELECT {columns} FROM {table} ORDER BY 1")).unwrap();
            lines.extend(statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap));
            lines.push(table.to_owned());
        }
        lines
    };
    drop(haldir);
    let sql = rusqlite::Connection::open(&path).unwrap();
    let kept = snapshot(&sql);
    let names: Vec<String> = sql
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for trigger in names.iter().filter(|name| name.starts_with("count_")) {
        sql.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    sql.execute_batch(
        "DROP INDEX tools_by_rank; DROP INDEX agents_by_rank; DROP INDEX approvals_pending_by_end;
         DROP INDEX api_keys_by_tenant;
         CREATE INDEX api_keys_by_tenant ON api_keys (tenant, created_at);
         ALTER TABLE tool_tallies DROP COLUMN rank; ALTER TABLE agents DROP COLUMN rank;
         DROP TABLE usage; DROP TABLE tenant_totals;",
    )
    .unwrap();
    as_they_lay(&sql);
    sql.execute_batch(include_str!("../../../crates/store/src/sqlite/migrations/0006_usage.sql")).unwrap();
    assert_eq!(snapshot(&sql), kept);
}

#[test]
fn a_log_from_before_there_were_tiles_gets_its_tree_when_it_is_opened() {
    let house = Folder::new();
    let key = Key::generate().unwrap();
    let open = || InProcess::open_with(&house.db(), &key, AnomalyThresholds::default());
    let ids = {
        let haldir = open();
        let session = haldir.session(&json!({}));
        let log = |number: usize| text(&haldir.log(&session, &number.to_string()), "entry_id");
        at_once(50, |part| (0..700).skip(part).step_by(50).map(log).collect::<Vec<_>>()).concat()
    };
    // As the migration leaves a store of an older version, of which one step was done before a crash.
    house
        .file()
        .execute_batch(
            "DELETE FROM tree_tiles; INSERT INTO audit_tree_builds SELECT tenant, 0, seq, x'' FROM audit_heads;
            UPDATE log_folds SET up_to = 701",
        )
        .unwrap();
    fill_postings(&house.file());
    let house = &house;
    at_once(3, |_| {
        let haldir = open();
        assert_eq!(haldir.verify()["verified"], true);
        for id in ids.iter().step_by(61) {
            assert!(includes(&haldir.ok("getInclusionProof", &json!({"entry_id": id}))));
        }
    });
    assert_eq!(house.sql_value::<i64>("SELECT count(*) FROM audit_tree_builds"), 0);
    let haldir = open();
    let session = haldir.session(&json!({}));
    for number in 0..300 {
        haldir.log(&session, &number.to_string());
    }
    assert_eq!(haldir.verify()["verified"], true);
}

#[test]
fn a_process_of_an_older_version_appends_nothing_to_a_store_that_is_folded() {
    let house = Folder::new();
    InProcess::open(&house.db()).session(&json!({}));
    // Where its batches write.
    let error = house.file().execute("INSERT INTO audit_tiles VALUES ('local', 0, 0, x'')", []).unwrap_err();
    assert!(error.to_string().contains("no such table"), "{error}");
}

#[test]
fn a_store_from_before_there_were_posting_lists_gets_them_when_it_is_opened() {
    let house = Folder::new();
    let key = Key::generate().unwrap();
    let mut log = Growing::open_with(&house, &key);
    log.grow(1_300);
    let Growing { haldir, sessions, size } = log;
    drop(haldir);
    as_version_16(&house.file());
    // It began to fold at any entry, and has not built the tree yet.
    house
        .file()
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
    let sql = house.file();
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
