//! An attacker that rebuilds the log with every hash right fails without the key.

use haldir::{
    crypto::{Frontier, leaf_hash},
    model::{Entry, EntryId, EntryKind, Money, TenantId, UnixMicros},
    watch::canonical,
};
use rusqlite::params;

use crate::{
    support::{Database, integer, json},
    tamper::log,
};

/// The log as somebody without the key would make it: every hash right, and the head row as it should be, but
/// for its authentication.
fn rebuild(connection: &Database, change: impl Fn(&mut Entry)) {
    let entries: Vec<Entry> = connection
        .rows("SELECT * FROM audit_entries ORDER BY place", &[])
        .iter()
        .map(|row| Entry {
            seq: row.get("place"),
            id: EntryId::parse(row.get::<String>("id")).unwrap(),
            at: UnixMicros(row.get("at")),
            kind: if row.get::<String>("kind") == "action" { EntryKind::Action } else { EntryKind::Governance },
            session_id: row.get("session_id"),
            agent_id: row.get("agent_id"),
            tool: row.get("tool"),
            action: row.get("action"),
            cost: Money::from_nanos(row.get("cost")),
            flagged: row.get("flagged"),
            flag_reason: row.get("flag_reason"),
            actor: row.get("actor"),
            details: row.get("details"),
            details_salt: row.get("details_salt"),
            details_digest: row.get("details_digest"),
            prev_hash: row.get("prev_hash"),
            entry_hash: row.get("entry_hash"),
        })
        .collect();
    let (mut last, mut tree) = (canonical::GENESIS, Frontier::default());
    let (mut actions, mut cost, mut flagged) = (0, 0, 0);
    for mut entry in entries.iter().cloned() {
        change(&mut entry);
        entry.prev_hash = last;
        let bytes = canonical::bytes(&TenantId::local(), &entry);
        last = canonical::entry_hash(&bytes);
        tree.push(leaf_hash(&bytes));
        flagged += i64::from(entry.flagged);
        if entry.kind == EntryKind::Action {
            actions += 1;
            cost += entry.cost.nanos();
        }
        connection.change(
            "UPDATE audit_entries SET action = ?2, cost = ?3, at = ?4, prev_hash = ?5, entry_hash = ?6 WHERE place = ?1",
            params![entry.seq, entry.action, entry.cost.nanos(), entry.at.0, entry.prev_hash, last],
        );
    }
    let at = entries.last().unwrap().at.0;
    connection.change(
        "UPDATE audit_heads SET seq = ?1, at = ?2, entry_hash = ?3, tree = ?4, actions = ?5, cost = ?6, flagged = ?7",
        params![i64::try_from(tree.size()).unwrap(), at, last, tree.to_bytes(), actions, cost, flagged],
    );
}

#[test]
fn rebuilding_an_untouched_log_changes_nothing() {
    // Otherwise the attacks below would be found for a mistake of the attacker's.
    let (_house, haldir, connection) = log();
    let before = haldir.verify();
    rebuild(&connection, |_| {});
    assert_eq!(haldir.verify(), before);
}

#[test]
fn recomputing_every_hash_without_the_key_is_found() {
    let (_house, haldir, connection) = log();
    rebuild(&connection, |entry| {
        if entry.seq == 5 {
            entry.action = "nothing to see".into();
        }
    });
    assert_eq!(haldir.verify()["verified"], false);
    connection.written_by_another();
    haldir.refused("createSession", &json!({"agent_id": "a"}));
}

#[test]
fn cutting_off_the_tail_and_setting_the_head_back_is_found() {
    let (_house, haldir, connection) = log();
    connection.batch("DELETE FROM audit_entries WHERE place > 8");
    rebuild(&connection, |_| {});
    let report = haldir.verify();
    assert_eq!(report["verified"], false, "{report}");
    connection.written_by_another();
    haldir.refused("createSession", &json!({"agent_id": "a"}));
}

#[test]
fn a_head_kept_outside_shows_that_a_whole_earlier_state_was_put_back() {
    let (_house, haldir, connection) = log();
    let earlier = connection.rows("SELECT entry_hash, tree, mac, at FROM audit_heads", &[]).remove(0);
    let session = haldir.ok("listSessions", &json!({}))["sessions"][0]["session_id"].clone();
    haldir.log(session.as_str().unwrap(), "to be forgotten");
    let kept = haldir.ok("getTreeHead", &json!({}));
    connection.batch("DELETE FROM audit_entries WHERE place > 12");
    let put_back =
        "UPDATE audit_heads SET seq = 12, actions = actions - 1, entry_hash = ?1, tree = ?2, mac = ?3, at = ?4";
    let bytes = |column| earlier.get::<Vec<u8>>(column);
    connection.change(put_back, params![bytes("entry_hash"), bytes("tree"), bytes("mac"), earlier.get::<i64>("at")]);
    connection.written_by_another();
    let now = haldir.ok("getTreeHead", &json!({}));
    assert!(integer(&now, "tree_size") < integer(&kept, "tree_size"));
    // And it cannot be brought back to the size that was kept with anything else in it.
    haldir.log(session.as_str().unwrap(), "something else");
    let now = haldir.ok("getTreeHead", &json!({}));
    assert_eq!(now["tree_size"], kept["tree_size"]);
    assert_ne!(now["root_hash"], kept["root_hash"]);
}
