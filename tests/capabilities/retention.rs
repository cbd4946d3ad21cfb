//! Details are erased after a set time, and nothing else ever is: every proof stays as it was.

use haldir::model::Credential;
use rusqlite::{params, types::Value as Sql};

use crate::support::{Database, House, InProcess, at_once, integer, json, text};

const DAY: i64 = 86_400;

/// A log with details in entries of today and of ten days ago.
fn log() -> (House, InProcess, Database) {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    let session = haldir.session(&json!({"ttl": 29 * DAY}));
    for number in 0..3 {
        haldir.ok(
            "logAction",
            &json!({"session_id": session, "action": "old", "details": format!("private {number} of the past")}),
        );
    }
    haldir.log(&session, "without details");
    haldir.clock.advance_seconds(10 * DAY);
    haldir.ok("logAction", &json!({"session_id": session, "action": "new", "details": "private of today"}));
    let connection = house.sql();
    (house, haldir, connection)
}

fn with_details(connection: &Database) -> Vec<i64> {
    let entries = connection.entries();
    let select = format!(
        "SELECT number FROM ({entries}) AS entries WHERE tenant = 'local' AND details_salt IS NOT NULL ORDER BY number"
    );
    connection.column(&select, &[])
}

fn set(haldir: &InProcess, days: i64) -> serde_json::Value {
    haldir.ok("setAuditRetention", &json!({"retain_days": days}))
}

#[test]
fn details_that_are_due_are_erased_and_every_proof_stays() {
    let (house, haldir, connection) = log();
    let before = haldir.verify();
    let answer = set(&haldir, 5);
    assert_eq!((integer(&answer, "retain_days"), integer(&answer["preview"], "would_delete")), (5, 4), "{answer}");
    let pruned = haldir.ok("pruneAuditDetails", &json!({"confirm": true}));
    assert_eq!((integer(&pruned, "entries_deleted"), integer(&pruned, "entries_left")), (4, 0), "{pruned}");
    // What was made today has its details: the new entry, and those about the retention itself.
    assert_eq!(with_details(&connection), [6, 7, 8]);
    let after = haldir.verify();
    assert_eq!(after["verified"], true, "{after}");
    assert_eq!(integer(&after, "entries_checked"), integer(&before, "entries_checked") + 2);
    let trail = haldir.ok("getAuditTrail", &json!({"until": 1_800_000_001}));
    for entry in trail["entries"].as_array().unwrap() {
        assert!(entry["details"].is_null(), "{entry}");
        assert_eq!(entry["details_digest"].is_null(), entry["action"] == "without details");
    }
    let checkpoints = haldir.ok("listRetentionCheckpoints", &json!({}));
    assert_eq!((integer(&checkpoints, "count"), integer(&checkpoints["checkpoints"][0], "entries_deleted")), (1, 4));
    let erased = haldir.ok("getAuditTrail", &json!({"limit": 1}))["entries"][0].clone();
    assert_eq!((text(&erased, "action").as_str(), &erased["details"]["last_seq"]), ("audit.erase_details", &json!(5)));
    // The file has nothing of it once the write-ahead log is folded in, and no row has.
    drop((haldir, connection));
    for (name, bytes) in house.stored_bytes() {
        let found = bytes.windows(11).any(|window| window == b"of the past");
        assert!(!found, "{name} still has what was erased");
    }
}

#[test]
fn pruning_needs_to_be_confirmed_and_says_so_when_nothing_is_due() {
    let (_house, haldir, connection) = log();
    let had = with_details(&connection);
    let refused = haldir.refused("pruneAuditDetails", &json!({}));
    assert_eq!(refused.code.name(), "confirmation_required");
    for days in [0, 11] {
        set(&haldir, days);
        let answer = haldir.ok("pruneAuditDetails", &json!({"confirm": true}));
        assert_eq!((&answer["pruned"], integer(&answer, "entries_deleted")), (&json!(false), 0), "{answer}");
        assert!(!text(&answer, "reason").is_empty());
    }
    assert!(with_details(&connection).starts_with(&had));
    for days in [-1, 36_501] {
        assert_eq!(haldir.refused("setAuditRetention", &json!({"retain_days": days})).field.unwrap(), "retain_days");
    }
}

#[test]
fn a_server_erases_by_itself_in_steps_and_once_a_day() {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    let session = haldir.session(&json!({"ttl": 29 * DAY}));
    let connection = house.sql();
    at_once(50, |part| {
        for number in (0..2_500).skip(part).step_by(50) {
            haldir.ok("logAction", &json!({"session_id": session, "action": "old", "details": number}));
        }
    });
    set(&haldir, 2);
    haldir.runtime.block_on(haldir.haldir.apply_retention()).unwrap();
    assert_eq!(with_details(&connection).len(), 2_502, "what is not due was erased");
    haldir.clock.advance_seconds(3 * DAY);
    haldir.log(&session, "later");
    haldir.runtime.block_on(haldir.haldir.apply_retention()).unwrap();
    assert_eq!(with_details(&connection), [2_504]);
    assert_eq!(haldir.verify()["verified"], true);
    let runs = haldir.ok("listRetentionCheckpoints", &json!({}));
    assert_eq!((integer(&runs, "count"), integer(&runs["checkpoints"][0], "entries_deleted")), (1, 2_502), "{runs}");
    assert_eq!(runs["checkpoints"][0]["actor"], "retention");
    haldir.runtime.block_on(haldir.haldir.apply_retention()).unwrap();
    haldir.clock.advance_seconds(DAY - 1);
    haldir.runtime.block_on(haldir.haldir.apply_retention()).unwrap();
    assert_eq!(integer(&haldir.ok("listRetentionCheckpoints", &json!({})), "count"), 1);
    haldir.clock.advance_seconds(2 * DAY);
    haldir.runtime.block_on(haldir.haldir.apply_retention()).unwrap();
    assert_eq!(integer(&haldir.ok("listRetentionCheckpoints", &json!({})), "count"), 2);
    assert_eq!(haldir.verify()["verified"], true);
}

#[test]
fn an_attacker_that_deletes_details_is_caught_before_and_after_an_erasure() {
    let (_house, haldir, connection) = log();
    let erase = |seq: i64| {
        let update = "UPDATE audit_entries SET details = NULL, details_salt = NULL WHERE place = ?1";
        assert_eq!(connection.execute(update, params![seq]), Ok(1));
    };
    let original = |seq: i64| -> (Sql, Sql) {
        let select = "SELECT details, details_salt FROM audit_entries WHERE place = ?1";
        let row = connection.rows(select, params![seq]).remove(0);
        (row.get("details"), row.get("details_salt"))
    };
    let put = |seq: i64, (details, salt): &(Sql, Sql)| {
        let update = "UPDATE audit_entries SET details = ?2, details_salt = ?3 WHERE place = ?1";
        assert_eq!(connection.execute(update, params![seq, details, salt]), Ok(1));
    };
    let kept = original(3);
    erase(3);
    let report = haldir.verify();
    assert_eq!((&report["verified"], &report["first_bad"]["seq"]), (&json!(false), &json!(3)), "{report}");
    put(3, &kept);
    set(&haldir, 5);
    haldir.ok("pruneAuditDetails", &json!({"confirm": true}));
    assert_eq!(haldir.verify()["verified"], true);
    // Behind what was erased, details are still missed …
    let newer = original(6);
    erase(6);
    assert_eq!(haldir.verify()["first_bad"]["seq"], 6);
    put(6, &newer);
    // … and before it, none may come back, nor what was never there.
    put(3, &kept);
    assert_eq!(haldir.verify()["first_bad"]["seq"], 3);
    put(3, &(Sql::Text("\"invented\"".into()), Sql::Null));
    assert_eq!(haldir.verify()["first_bad"]["seq"], 3);
    put(3, &(Sql::Null, Sql::Null));
    assert_eq!(haldir.verify()["verified"], true);
}

#[test]
fn no_byte_of_the_record_or_of_the_setting_can_be_altered() {
    let (_house, haldir, connection) = log();
    set(&haldir, 5);
    haldir.ok("pruneAuditDetails", &json!({"confirm": true}));
    set(&haldir, 4);
    for (table, verifies) in [("audit_erasures", false), ("audit_retention", true)] {
        for column in connection.columns(table) {
            let original: Sql = connection.value(&format!("SELECT {column} FROM {table}"), &[]);
            let altered = match &original {
                Sql::Integer(number) => Sql::Integer(number + 1),
                Sql::Text(text) => Sql::Text(format!("{text}.")),
                Sql::Blob(bytes) => Sql::Blob(bytes.iter().map(|byte| byte ^ 1).collect()),
                _ => unreachable!(),
            };
            let update = format!("UPDATE {table} SET {column} = ?1");
            assert_eq!(connection.execute(&update, params![altered]), Ok(1), "{column}");
            if verifies && column != "tenant" {
                haldir.refused("getAuditRetention", &json!({}));
                haldir.refused("pruneAuditDetails", &json!({"confirm": true}));
            } else if !verifies {
                assert_eq!(haldir.verify()["verified"], false, "{column} of {table} goes unnoticed");
            }
            assert_eq!(connection.execute(&update, params![original]), Ok(1));
        }
    }
    assert_eq!(haldir.verify()["verified"], true);
    connection.batch("DELETE FROM audit_erasures");
    assert_eq!(haldir.verify()["first_bad"]["seq"], 1, "a deleted record excuses nothing");
}

#[test]
fn a_setting_put_into_the_database_by_hand_erases_nothing() {
    let (_house, haldir, connection) = log();
    let had = with_details(&connection);
    connection.batch("INSERT INTO audit_retention VALUES ('local', 1, 0, 'operator', zeroblob(32))");
    haldir.runtime.block_on(haldir.haldir.apply_retention()).unwrap();
    assert_eq!(with_details(&connection), had);
    // An operator mends it by setting it again.
    set(&haldir, 0);
    assert_eq!(haldir.ok("getAuditRetention", &json!({}))["retain_days"], 0);
}

#[test]
fn retention_is_each_tenants_own_and_not_for_agents() {
    let (_house, haldir, connection) = log();
    let others = Credential::LocalOperator(haldir.another_tenant());
    haldir.call_as(&others, "setAuditRetention", &json!({"retain_days": 1})).unwrap();
    haldir.runtime.block_on(haldir.haldir.apply_retention()).unwrap();
    let pruned = haldir.call_as(&others, "pruneAuditDetails", &json!({"confirm": true})).unwrap();
    assert_eq!(pruned["pruned"], false, "{pruned}");
    assert!(with_details(&connection).starts_with(&[1, 2, 3, 4, 6]));
    assert_eq!(haldir.ok("getAuditRetention", &json!({}))["configured"], false);
    for (name, input) in
        [("setAuditRetention", json!({"retain_days": 1})), ("pruneAuditDetails", json!({"confirm": true}))]
    {
        let error = haldir.call_as(&Credential::LocalAgent, name, &input).unwrap_err();
        assert_eq!(error.code.name(), "operator_required");
    }
}

#[test]
fn retention_speaks_over_http_as_clients_expect() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let never = operator.get("/v1/audit/retention").ok();
    assert_eq!(
        (&never["configured"], &never["updated_at"], &never["retain_days"]),
        (&json!(false), &json!(null), &json!(0))
    );
    let answer = operator.send("PUT", "/v1/audit/retention", &[], r#"{"retain_days":90}"#).ok();
    assert_eq!((&answer["configured"], &answer["retain_days"]), (&json!(true), &json!(90)), "{answer}");
    operator
        .send("PUT", "/v1/audit/retention", &[], r#"{"retain_days":"x"}"#)
        .refused_field(400, "invalid_argument", "retain_days");
    operator.post("/v1/audit/retention/prune", &json!({})).refused(400, "confirmation_required");
    assert_eq!(operator.post("/v1/audit/retention/prune", &json!({"confirm": true})).ok()["pruned"], false);
    assert_eq!(operator.get("/v1/audit/retention/checkpoints?limit=5").ok(), json!({"count": 0, "checkpoints": []}));
}
