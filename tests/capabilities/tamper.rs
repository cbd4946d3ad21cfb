//! An attacker with full access to the database cannot change the log unnoticed. The attacker here knows the schema and the
//! program, and lacks only the key.

use haldir::model::Credential;
use rusqlite::{params, types::Value as Sql};
use serde_json::Value;

use crate::support::{Database, House, InProcess, at_once, integer, json, long, on_postgres};

/// A log of twelve entries of every kind, and the attacker's connection to it.
pub fn log() -> (House, InProcess, Database) {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    let paying = haldir.session(&json!({"scopes": ["read", "spend"], "spend_limit": 5}));
    for number in 0..3 {
        haldir.log(&paying, &format!("action {number}"));
        haldir.clock.advance_seconds(1);
    }
    haldir.ok(
        "logAction",
        &json!({"session_id": paying, "action": "dear", "tool": "shop", "cost_usd": 250,
        "details": {"why": "no reason", "n": [1, 2.5, null, "ä"]}}),
    );
    haldir.ok("authorizePayment", &json!({"session_id": paying, "amount": 2}));
    haldir.refused("authorizePayment", &json!({"session_id": paying, "amount": 4}));
    haldir.ok("storeSecret", &json!({"name": "s", "value": "v"}));
    haldir.ok("getSecret", &json!({"name": "s", "session_id": paying}));
    for number in 0..3 {
        haldir.ok("logAction", &json!({"session_id": paying, "action": format!("end {number}"), "details": number}));
    }
    assert_eq!(haldir.verify()["entries_checked"], 12);
    assert_eq!(haldir.verify()["verified"], true);
    let connection = house.sql();
    (house, haldir, connection)
}

/// `value` with each of its bytes altered in turn, cut short, extended, emptied, and taken away.
fn alterations(value: &Sql) -> Vec<Sql> {
    let bytes = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let flipped = (0..bytes.len()).map(|place| {
            let mut altered = bytes.to_vec();
            altered[place] ^= 1;
            altered
        });
        let mut all: Vec<_> = flipped.collect();
        all.push([bytes, b"0"].concat());
        if !bytes.is_empty() {
            all.extend([bytes[..bytes.len() - 1].to_vec(), Vec::new()]);
        }
        all
    };
    match value {
        Sql::Integer(number) => (0..8).map(|byte| Sql::Integer(number ^ (1 << (8 * byte)))).collect(),
        Sql::Text(text) => bytes(text.as_bytes())
            .into_iter()
            .map(|altered| Sql::Text(String::from_utf8(altered).unwrap_or_else(|_| "\u{fffd}".into())))
            .chain([Sql::Null])
            .collect(),
        Sql::Blob(blob) => bytes(blob).into_iter().map(Sql::Blob).chain([Sql::Null]).collect(),
        Sql::Null => {
            vec![Sql::Text("null".into()), Sql::Text(String::new()), Sql::Blob(vec![0; 16]), Sql::Blob(vec![0; 32])]
        }
        Sql::Real(_) => unreachable!("no column holds a float"),
    }
}

/// Verification says no, names `seq`, and has covered what lies before it.
#[track_caller]
fn found(report: &Value, seq: i64, what: &str) {
    assert_eq!(report["verified"], false, "{what} goes unnoticed: {report}");
    assert_eq!(report["first_bad"]["seq"], seq, "{what}: {report}");
    assert_eq!(report["first_bad"], report["first_break"], "{what}");
    assert_eq!(integer(report, "entries_checked"), seq - 1, "{what}: {report}");
    assert!(!report["first_bad"]["problem"].as_str().unwrap().is_empty());
}

#[test]
fn no_byte_of_any_column_of_any_entry_can_be_altered() {
    let (_house, haldir, connection) = log();
    let columns = connection.columns("audit_entries");
    // Where the number of a log has a column of its own, an entry can be moved by that as well.
    assert_eq!(columns.iter().filter(|column| *column != "log").count(), 17);
    for (number, column) in (0_i64..).zip(&columns) {
        let mut altered = 0;
        // Usually every third entry, in turn.
        for seq in (1..=12_i64).filter(|seq| long((seq + number) % 3 == 0, true)) {
            let select = |column: &str| format!("SELECT {column} FROM audit_entries WHERE place = ?1");
            let original: Sql = connection.value(&select(column), params![seq]);
            let place: Vec<u8> = connection.value(&select("entry_hash"), params![seq]);
            let by_hash = if column == "entry_hash" { "place = ?2" } else { "entry_hash = ?2" };
            let key = if column == "entry_hash" { Sql::Integer(seq) } else { Sql::Blob(place) };
            let update = format!("UPDATE audit_entries SET {column} = ?1 WHERE {by_hash}");
            for value in alterations(&original) {
                // The schema itself refuses some of them: a null, another entry's number.
                let Ok(1) = connection.execute(&update, params![value, key]) else { continue };
                altered += 1;
                let report = haldir.verify();
                let what = format!("{column} of entry {seq} as {value:?}");
                let moved_ahead = matches!((&value, column.as_str()), (Sql::Integer(to), "place") if *to < seq);
                if moved_ahead {
                    // It now stands in front of the first entry, where it was found.
                    assert_eq!((&report["verified"], &report["entries_checked"]), (&json!(false), &json!(0)), "{what}");
                } else {
                    found(&report, seq, &what);
                }
                assert_eq!(connection.execute(&update, params![original, key]), Ok(1));
            }
        }
        assert!(altered >= long(4, 12), "only {altered} alterations of {column} were tried");
    }
    assert_eq!(haldir.verify()["verified"], true, "the log was not put back");
}

#[test]
fn no_value_of_another_type_goes_for_the_one_that_was_written() {
    let (house, haldir, connection) = log();
    // In a table that takes any value in any column.
    let own = connection.columns("audit_entries")[1..].join(", ");
    let connection = house.file();
    connection
        .execute_batch(&format!(
            "ALTER TABLE audit_entries RENAME TO before; DROP INDEX audit_flagged;
             CREATE TABLE audit_entries (place INTEGER PRIMARY KEY, {own});
             INSERT INTO audit_entries SELECT * FROM before; DROP TABLE before;
             CREATE INDEX audit_flagged ON audit_entries (place) WHERE flagged = 1"
        ))
        .unwrap();
    assert_eq!(haldir.verify()["verified"], true);
    let get = |column: &str| -> Sql {
        let select = format!("SELECT {column} FROM audit_entries WHERE place = 5");
        // Text need not be UTF-8.
        connection.query_row(&select, [], |row| Ok(row.get(0).unwrap_or(Sql::Text("\u{fffd}".into())))).unwrap()
    };
    for column in own.split(", ") {
        let original = get(column);
        let values = [
            "NULL",
            "0",
            "1",
            "2",
            "-0.0",
            "1.0",
            "1e300",
            "9223372036854775807",
            "''",
            "'x'",
            "zeroblob(16)",
            "zeroblob(31)",
            "zeroblob(32)",
            "zeroblob(100000)",
            "CAST(? AS BLOB)",
            "CAST(? AS TEXT)",
            "CAST(? AS REAL)",
            "CAST(? AS INTEGER)",
            "? || char(0)",
            "char(0) || ?",
            "? || ' '",
            "CAST(? || x'FF' AS TEXT)",
            "CAST(x'EDA080' AS TEXT)",
            "CAST(CAST(? AS BLOB) || x'00' AS TEXT)",
        ];
        for value in values.map(|value| value.replace('?', column)) {
            connection.execute(&format!("UPDATE audit_entries SET {column} = {value} WHERE place = 5"), []).unwrap();
            let report = haldir.verify();
            if get(column) == original {
                assert_eq!(report["verified"], true, "{column} as {value}: {report}");
            } else {
                found(&report, 5, &format!("{column} as {value}"));
            }
            haldir.ok("getAuditTrail", &json!({}));
            let put_back = format!("UPDATE audit_entries SET {column} = ?1 WHERE place = 5");
            connection.execute(&put_back, params![original]).unwrap();
        }
    }
    assert_eq!(haldir.verify()["verified"], true, "the log was not put back");
}

#[test]
fn an_altered_head_is_found_is_not_built_upon_and_leaves_reads_working() {
    let (_house, haldir, connection) = log();
    let session = haldir.ok("listSessions", &json!({}))["sessions"][0]["session_id"].clone();
    let entry = json!({"session_id": session, "action": "on top"});
    for column in connection.columns("audit_heads") {
        let original: Sql = connection.value(&format!("SELECT {column} FROM audit_heads"), &[]);
        let mut altered = 0;
        for value in alterations(&original) {
            let Ok(1) = connection.execute(&format!("UPDATE audit_heads SET {column} = ?1"), params![value]) else {
                continue;
            };
            altered += 1;
            let what = format!("{column} of the head as {value:?}");
            let report = haldir.verify();
            assert_eq!(report["verified"], false, "{what} goes unnoticed: {report}");
            assert!(report["first_bad"]["seq"].is_i64(), "{what}: {report}");
            connection.written_by_another();
            haldir.refused("logAction", &entry);
            haldir.refused("createSession", &json!({"agent_id": "a"}));
            haldir.ok("getSession", &json!({"session_id": session}));
            haldir.ok("listSessions", &json!({}));
            connection.change(&format!("UPDATE audit_heads SET {column} = ?1"), params![original]);
        }
        assert!(altered > 1, "{column} was not altered");
    }
    let entries: i64 = connection.value("SELECT count(*) FROM audit_entries", &[]);
    assert_eq!(entries, 12, "something was appended behind an altered head");
    haldir.ok("logAction", &entry);
    assert_eq!(haldir.verify()["entries_checked"], 13);
}

#[test]
fn a_deleted_head_is_found_and_not_built_upon() {
    let (_house, haldir, connection) = log();
    connection.batch("DELETE FROM audit_heads");
    assert_eq!(haldir.verify()["verified"], false);
    connection.written_by_another();
    haldir.refused("createSession", &json!({"agent_id": "a"}));
}

#[test]
fn nothing_is_appended_to_an_altered_head() {
    let (_house, haldir, connection) = log();
    connection.batch("UPDATE audit_heads SET seq = seq - 1, entry_hash = zeroblob(32)");
    assert_eq!(haldir.verify()["verified"], false);
    let appended = haldir.call("createSession", &json!({"agent_id": "a"})).is_ok();
    // On Postgres the process goes on from the head that it wrote last, with a file it reads the altered one.
    assert_eq!(appended, on_postgres::is_used());
    assert_eq!(haldir.verify()["verified"], appended);
}

#[test]
fn deleting_any_entry_is_found() {
    for seq in 1..=12_i64 {
        let (_house, haldir, connection) = log();
        connection.change("DELETE FROM audit_entries WHERE place = ?1", params![seq]);
        found(&haldir.verify(), seq, "a deleted entry");
        // Closing the gap moves the blame to the entry that now stands there.
        for next in seq + 1..=12 {
            connection.change("UPDATE audit_entries SET place = place - 1 WHERE place = ?1", params![next]);
        }
        found(&haldir.verify(), seq, "a closed gap");
    }
}

/// Copies entry 3, with everything in it, to this place.
fn copy(connection: &Database, to: i64) {
    connection.copy_entry(3, to, None);
}

#[test]
fn inserting_an_entry_is_found_in_the_middle_and_at_either_end() {
    let (_house, haldir, connection) = log();
    copy(&connection, 13);
    let report = haldir.verify();
    assert_eq!((&report["verified"], &report["first_bad"]["seq"]), (&json!(false), &json!(13)), "{report}");
    for place in [0, -5] {
        let (_house, haldir, connection) = log();
        copy(&connection, place);
        let report = haldir.verify();
        assert_eq!((&report["verified"], &report["first_bad"]["seq"]), (&json!(false), &json!(place)), "{report}");
    }
    let (_house, haldir, connection) = log();
    for seq in (7..=12).rev() {
        connection.change("UPDATE audit_entries SET place = place + 1 WHERE place = ?1", params![seq]);
    }
    copy(&connection, 7);
    found(&haldir.verify(), 7, "an inserted entry");
}

#[test]
fn swapping_two_entries_is_found() {
    for (a, b) in [(1, 2), (4, 9), (11, 12)] {
        let (_house, haldir, connection) = log();
        for (from, to) in [(a, 99), (b, a), (99, b)] {
            connection.change("UPDATE audit_entries SET place = ?2 WHERE place = ?1", params![from, to]);
        }
        found(&haldir.verify(), a, "a swap");
    }
}

#[test]
fn swapping_the_contents_of_one_column_between_entries_is_found() {
    let (_house, haldir, connection) = log();
    for column in connection.columns("audit_entries") {
        let get = |seq: i64| -> Sql {
            connection.value(&format!("SELECT {column} FROM audit_entries WHERE place = ?1"), params![seq])
        };
        let (first, last) = (get(2), get(5));
        if first == last || column == "place" {
            continue;
        }
        let put = |seq: i64, value: &Sql| {
            connection.execute(&format!("UPDATE audit_entries SET {column} = ?1 WHERE place = ?2"), params![value, seq])
        };
        put(2, &last).and_then(|_| put(5, &first)).unwrap();
        found(&haldir.verify(), 2, &format!("{column} swapped"));
        put(2, &first).and_then(|_| put(5, &last)).unwrap();
    }
    assert_eq!(haldir.verify()["verified"], true);
}

#[test]
fn moving_entries_to_another_tenant_is_found_in_both_logs() {
    let (_house, haldir, connection) = log();
    let others = Credential::LocalOperator(haldir.another_tenant());
    let verify_others = || haldir.call_as(&others, "verifyAuditTrail", &json!({})).unwrap();
    assert_eq!((&verify_others()["verified"], &verify_others()["entries_checked"]), (&json!(true), &json!(1)));
    let tenant: String = connection.value("SELECT tenant FROM audit_heads WHERE tenant <> 'local'", &[]);
    let local = integer(&haldir.verify(), "entries_checked");
    for first in [local, 3, 2] {
        // To where the other log has none, and to the end of its own.
        connection.move_entries("local", &tenant, first, 1_000);
        found(&haldir.verify(), first, "a moved tail");
        let report = verify_others();
        assert_eq!(report["verified"], false, "{report}");
        assert!(integer(&report, "entries_checked") <= 1, "{report}");
        connection.move_entries(&tenant, "local", first + 1_000, -1_000);
        assert_eq!((&haldir.verify()["verified"], &verify_others()["verified"]), (&json!(true), &json!(true)));
    }
}

#[test]
fn cutting_off_the_tail_is_found() {
    for last in [0, 1, 6, 11_i64] {
        let (_house, haldir, connection) = log();
        connection.change("DELETE FROM audit_entries WHERE place > ?1", params![last]);
        found(&haldir.verify(), last + 1, "a cut tail");
    }
}

#[test]
fn editing_below_a_second_is_found() {
    let (_house, haldir, connection) = log();
    connection.batch("UPDATE audit_entries SET at = at + 1 WHERE place = 6");
    found(&haldir.verify(), 6, "a microsecond");
}

#[test]
fn blanking_the_hashes_around_an_edit_is_found() {
    for blank in ["zeroblob(32)", "zeroblob(0)", "(SELECT entry_hash FROM audit_entries WHERE place = 4)"] {
        let (_house, haldir, connection) = log();
        connection.batch("UPDATE audit_entries SET action = 'x' WHERE place = 5");
        connection.batch(&format!("UPDATE audit_entries SET entry_hash = {blank} WHERE place = 5"));
        connection.batch(&format!("UPDATE audit_entries SET prev_hash = {blank} WHERE place = 6"));
        found(&haldir.verify(), 5, blank);
    }
}

#[test]
fn shifting_text_between_two_neighbouring_fields_is_found() {
    let fields = ["id", "session_id", "agent_id", "tool", "action", "flag_reason", "actor", "kind"];
    let (_house, haldir, connection) = log();
    for left in fields {
        for right in fields.into_iter().filter(|right| *right != left) {
            let shift = format!(
                "UPDATE audit_entries SET {left} = {left} || substr({right}, 1, 1), {right} = substr({right}, 2)
                 WHERE place = 5 AND {right} <> ''"
            );
            connection.batch("CREATE TEMP TABLE saved AS SELECT * FROM audit_entries WHERE place = 5");
            assert_eq!(connection.execute(&shift, &[]), Ok(1), "{left} and {right}");
            found(&haldir.verify(), 5, &format!("{right} shifted into {left}"));
            connection.batch(
                "DELETE FROM audit_entries WHERE place = 5; INSERT INTO audit_entries SELECT * FROM saved; DROP TABLE saved",
            );
        }
    }
    assert_eq!(haldir.verify()["verified"], true);
}

#[test]
fn every_entry_of_a_long_log_is_looked_at() {
    const WRITERS: usize = 50;
    let length = long(2_600, 11_000);
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    let session = haldir.session(&json!({}));
    at_once(WRITERS, |writer| {
        // The first entry says that the session was created.
        for number in (1..length).skip(writer).step_by(WRITERS) {
            haldir.log(&session, &number.to_string());
        }
    });
    let report = haldir.verify();
    assert_eq!((&report["verified"], &report["entries_checked"]), (&json!(true), &json!(length)), "{report}");
    let connection = house.sql();
    for seq in [length - 500, length] {
        connection.change("UPDATE audit_entries SET action = action || '.' WHERE place = ?1", params![seq]);
        found(&haldir.verify(), seq, "an edit far behind");
        let put_back = "UPDATE audit_entries SET action = substr(action, 1, length(action) - 1) WHERE place = ?1";
        connection.change(put_back, params![seq]);
    }
    assert_eq!(haldir.verify()["verified"], true);
}
