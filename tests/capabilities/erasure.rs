//! Everything about one agent or one session is erased at an operator's word; proofs and totals stay as they were.

use std::io::Cursor;

use haldir::{
    call::AnomalyThresholds,
    crypto::{Key, verify_consistency},
    operations::bundle,
};
use rusqlite::params;
use serde_json::Value;

use crate::support::{House, InProcess, at_once, hash_of, includes, integer, json, path_of, size_of, text};

const NAME: &str = "agent-of-mrs-quillfeather";
const WORD: &str = "confidential-word-7731";

/// A log of two agents in which the first leaves its name and its word in every place that there is.
struct Stage {
    house: House,
    key: Key,
    sessions: Vec<String>,
    entry: String,
}

fn open(house: &House, key: &Key) -> InProcess {
    InProcess::open_with(&house.db(), key, AnomalyThresholds::default())
}

fn stage() -> (Stage, InProcess) {
    let (house, key) = (House::new(), Key::generate().unwrap());
    let haldir = open(&house, &key);
    haldir.ok("registerWebhook", &json!({"url": "https://8.8.8.8/hook", "events": ["all"]}));
    let made = haldir.call_once(
        "make",
        "createSession",
        &json!({
            "agent_id": NAME, "scopes": ["read", "spend:50"], "ttl": 86_400,
        }),
    );
    let mine = text(&made.unwrap(), "session_id");
    let others = haldir.session(&json!({"agent_id": "bystander", "scopes": ["read", "spend:50"]}));
    let delegated = haldir.session(&json!({"agent_id": "helper", "parent_session_id": mine}));
    let act =
        |session: &str, number: usize| {
            haldir.ok("logAction", &json!({
            "session_id": session, "tool": format!("tool {WORD} {}", number % 3), "action": format!("did {WORD}"),
            "cost_usd": 0.5, "details": {"what": format!("{WORD} {number}")},
        }))
        };
    let entry = text(&act(&mine, 0), "entry_id");
    at_once(20, |part| {
        for number in (1..320).skip(part).step_by(20) {
            act(&mine, number);
            haldir
                .ok("logAction", &json!({"session_id": others, "tool": "shared", "action": "work", "cost_usd": 0.25}));
        }
    });
    haldir.log(&delegated, "helped");
    let pay = json!({"session_id": mine, "amount": 7, "description": format!("paid for {WORD}")});
    haldir.call_once("pay", "authorizePayment", &pay).unwrap();
    haldir.ok("addApprovalRule", &json!({"type": "spend_over", "threshold": 20}));
    haldir.ok(
        "requestApproval",
        &json!({
            "session_id": mine, "tool": "wipe", "action": format!("wipe {WORD}"), "reason": WORD,
        }),
    );
    // Its last words are in the tail of the log, behind the last fold.
    act(&mine, 999);
    (Stage { house, key, sessions: vec![mine, others, delegated], entry }, haldir)
}

fn erase(haldir: &InProcess, of: &Value) -> Value {
    let mut input = of.clone();
    input["dry_run"] = json!(false);
    let operation = if of["agent_id"].is_null() { "eraseSession" } else { "eraseAgent" };
    loop {
        let answer = haldir.ok(operation, &input);
        if answer["complete"] == json!(true) {
            return answer;
        }
    }
}

/// That no row has any of these. Old pages of a file and the gaps in others are written anew: what moves a row from page to page
/// leaves a copy behind until something is written there.
fn require_nowhere(house: &House, words: &[&str]) {
    house.compact();
    for (name, bytes) in house.stored_bytes() {
        for word in words {
            let found = bytes.windows(word.len()).any(|window| window == word.as_bytes());
            assert!(!found, "{name} still has {word}");
        }
    }
}

#[test]
fn nothing_of_an_erased_agent_is_left_and_every_proof_holds() {
    let (stage, haldir) = stage();
    let before = haldir.verify();
    let head = haldir.ok("getTreeHead", &json!({}));
    let proof = haldir.ok("getInclusionProof", &json!({"entry_id": stage.entry}));
    let (spend, overview) = (haldir.ok("getSpend", &json!({})), haldir.ok("getMetrics", &json!({})));
    let stats = haldir.ok("getAuditStats", &json!({}));

    let of = json!({"agent_id": NAME});
    let mut asked = of.clone();
    asked["dry_run"] = json!(false);
    let refused = haldir.refused("eraseAgent", &asked);
    assert_eq!(refused.code.name(), "conflict", "a live agent was erased");
    assert!(refused.message.contains("haldir stop"), "{}", refused.message);
    haldir.ok("stopAgent", &of);
    let preview = haldir.ok("eraseAgent", &of);
    assert_eq!((integer(&preview, "sessions"), &preview["complete"]), (1, &json!(false)), "{preview}");
    assert_eq!(haldir.ok("getAuditTrail", &json!({"agent_id": NAME, "limit": 1}))["count"], 1, "a preview erased");

    let erased = erase(&haldir, &of);
    assert!(integer(&erased, "entries") >= 324 && integer(&erased, "sessions") == 1, "{erased}");
    assert!(integer(&erased, "details") >= 2 && integer(&erased, "records") >= 4, "{erased}");

    let after = haldir.verify();
    assert_eq!(after["verified"], true, "{after}");
    assert!(integer(&after, "entries_checked") > integer(&before, "entries_checked"));
    let size = integer(&head, "tree_size");
    let again = haldir.ok("getInclusionProof", &json!({"entry_id": stage.entry}));
    assert!(includes(&again), "{again}");
    assert_eq!(again["leaf_hash"], proof["leaf_hash"]);
    let consistent = haldir.ok("getConsistencyProof", &json!({"first": size}));
    let (first, second) = (hash_of(&consistent, "first_root"), hash_of(&consistent, "second_root"));
    assert_eq!(first, hash_of(&head, "root_hash"), "the tree of the past is another one");
    let path = path_of(&consistent, "consistency_path");
    assert!(verify_consistency(
        size_of(&consistent, "first_size"),
        &first,
        size_of(&consistent, "second_size"),
        &second,
        &path
    ));
    let whole = haldir.streamed("exportBundle", &json!({})).unwrap();
    let report = bundle::verify(Cursor::new(whole.as_bytes()), &[], 2, &mut |_, _| {}).unwrap();
    assert!(report.verified, "{}", report.message);
    assert_eq!(report.entries_erased, u64::try_from(integer(&erased, "entries")).unwrap());
    let altered: Vec<String> = whole
        .lines()
        .map(|line| {
            let mut read: Value = serde_json::from_str(line).unwrap();
            if read["erased"]["entry_id"] == json!(stage.entry) {
                read["erased"]["leaf"] = json!("00".repeat(32));
                return read.to_string();
            }
            line.to_owned()
        })
        .collect();
    let altered = altered.join("\n");
    let altered = bundle::verify(Cursor::new(altered.as_bytes()), &[], 2, &mut |_, _| {}).unwrap();
    assert!(!altered.verified, "an altered leaf of an erased entry passes");

    let spend_after = haldir.ok("getSpend", &json!({}));
    for field in ["total_usd", "authorized_usd", "action_count"] {
        assert!(spend[field].as_f64().unwrap() > 0.0);
        assert_eq!(spend_after[field], spend[field], "{field}: {spend_after} was {spend}");
    }
    let stats_after = haldir.ok("getAuditStats", &json!({}));
    for field in ["total_usd", "flagged_count", "session_count"] {
        assert_eq!(stats_after[field], stats[field], "{field}: {stats_after} was {stats}");
    }
    for answer in
        [&spend_after, &stats_after, &haldir.ok("getMetrics", &json!({})), &haldir.ok("getOverview", &json!({}))]
    {
        let answer = answer.to_string();
        assert!(!answer.contains(NAME) && !answer.contains(WORD), "{answer}");
    }
    assert!(overview.to_string().contains(NAME), "the test looks where nothing was");
    let entry = haldir.ok("getAuditEntry", &json!({"entry_id": stage.entry}));
    assert_eq!((&entry["erased"], &entry["agent_id"], &entry["details"]), (&json!(true), &json!(""), &Value::Null));
    assert_eq!((&entry["cost_usd"], &entry["seq"]), (&json!(0.5), &json!(integer(&proof, "leaf_index") + 1)));
    assert_eq!(haldir.ok("getAuditTrail", &json!({"agent_id": NAME}))["count"], 0);
    assert_eq!(haldir.ok("getAuditTrail", &json!({"agent_id": "bystander", "limit": 1}))["count"], 1);
    assert_eq!(haldir.ok("getAuditTrail", &json!({"tool": "shared", "limit": 400}))["count"], 319);

    // The calls are known to have been made, and are not made again.
    let pay = json!({"session_id": stage.sessions[0], "amount": 7, "description": format!("paid for {WORD}")});
    assert_eq!(haldir.call_once("pay", "authorizePayment", &pay).unwrap_err().code.name(), "conflict");
    // What it delegated has ended with it, and can still be looked at.
    let helper = haldir.ok("getSession", &json!({"session_id": stage.sessions[2]}));
    assert_eq!((&helper["revoked"], &helper["parent_session_id"]), (&json!(true), &json!("")), "{helper}");
    let told = haldir.ok("getAuditTrail", &json!({"limit": 1}))["entries"][0].clone();
    assert_eq!(text(&told, "action"), "erasure.end", "{told}");
    assert_eq!(told["details"]["entries"], erased["entries"]);
    let list = haldir.ok("listErasures", &json!({}));
    assert_eq!((integer(&list, "count"), &list["erasures"][0]["actor"]), (1, &json!("operator")), "{list}");

    // A second time there is nothing of it; and it can begin anew.
    assert_eq!(haldir.refused("eraseAgent", &asked).code.name(), "not_found");
    drop(haldir);
    require_nowhere(&stage.house, &[NAME, WORD, &stage.sessions[0]]);
    let haldir = open(&stage.house, &stage.key);
    let session = haldir.session(&json!({"agent_id": NAME}));
    for number in 0..300 {
        haldir.log(&session, &format!("anew {number}"));
    }
    assert_eq!(haldir.verify()["verified"], true);
}

#[test]
fn one_session_is_erased_and_the_agents_others_stay() {
    let (stage, haldir) = stage();
    let kept = haldir.session(&json!({"agent_id": NAME}));
    haldir.log(&kept, "stays");
    let of = json!({"session_id": stage.sessions[0], "dry_run": false});
    assert_eq!(haldir.refused("eraseSession", &of).code.name(), "conflict");
    haldir.ok("revokeSession", &json!({"session_id": stage.sessions[0]}));
    erase(&haldir, &of);
    let checked = haldir.verify();
    assert_eq!(checked["verified"], true, "{checked}");
    assert_eq!(haldir.refused("getSession", &json!({"session_id": stage.sessions[0]})).code.name(), "not_found");
    // The session's begin, and what it logged.
    assert_eq!(haldir.ok("getAuditTrail", &json!({"agent_id": NAME}))["count"], 2);
    let stats = haldir.ok("getAuditStats", &json!({"agent_id": NAME}));
    assert!(!stats.to_string().contains(WORD), "{stats}");
    drop(haldir);
    require_nowhere(&stage.house, &[WORD, &stage.sessions[0]]);
}

#[test]
fn an_interrupted_erasure_goes_on_and_what_was_altered_is_not_made_true() {
    let (house, key) = (House::new(), Key::generate().unwrap());
    let haldir = open(&house, &key);
    let session = haldir.session(&json!({"agent_id": NAME}));
    at_once(50, |part| {
        for _ in (0..2_300).skip(part).step_by(50) {
            haldir.log(&session, "did");
        }
    });
    haldir.ok("stopAgent", &json!({"agent_id": NAME}));
    house.change("UPDATE audit_entries SET cost = 1 WHERE place = 1900");
    let of = json!({"agent_id": NAME, "dry_run": false});
    haldir.refused("eraseAgent", &of);
    let begun = haldir.ok("listErasures", &json!({}));
    assert_eq!(begun["erasures"][0]["completed_at"], Value::Null, "{begun}");
    assert_eq!(integer(&begun["erasures"][0], "entries"), 1_000);
    assert_eq!(house.sql_value::<i64>("SELECT count(*) FROM audit_entries WHERE agent_id = ''"), 1_000);
    let found = haldir.verify();
    assert_eq!((&found["verified"], integer(&found["first_bad"], "seq")), (&json!(false), 1_900), "{found}");
    drop(haldir);

    let haldir = open(&house, &key);
    house.change("UPDATE audit_entries SET cost = 0 WHERE place = 1900");
    let erased = erase(&haldir, &of);
    assert_eq!((text(&erased, "erasure_id").as_str(), integer(&erased, "entries")), ("era_1", 2_302), "{erased}");
    assert_eq!(haldir.verify()["verified"], true);
}

#[test]
fn an_attacker_with_only_the_database_can_excuse_nothing_by_an_erasure() {
    let (stage, haldir) = stage();
    haldir.ok("stopAgent", &json!({"agent_id": NAME}));
    erase(&haldir, &json!({"agent_id": NAME}));
    let connection = stage.house.sql();
    let place: i64 = stage.house.sql_value("SELECT min(place) FROM audit_entries WHERE agent_id = '' AND cost > 0");
    let is_bad = |what: &str| {
        let found = haldir.verify();
        assert_eq!(
            (&found["verified"], integer(&found["first_bad"], "seq")),
            (&json!(false), place),
            "{what}: {found}"
        );
    };
    for (change, back) in [
        (
            "UPDATE audit_entries SET cost = cost + 1 WHERE place = ?1",
            "UPDATE audit_entries SET cost = cost - 1 WHERE place = ?1",
        ),
        (
            "UPDATE audit_entries SET at = at + 1 WHERE place = ?1",
            "UPDATE audit_entries SET at = at - 1 WHERE place = ?1",
        ),
        (
            "UPDATE audit_entries SET action = 'nothing' WHERE place = ?1",
            "UPDATE audit_entries SET action = '(erased)' WHERE place = ?1",
        ),
        (
            "UPDATE audit_entries SET details = '{}' WHERE place = ?1",
            "UPDATE audit_entries SET details = NULL WHERE place = ?1",
        ),
        ("UPDATE erased_entries SET seq = -seq WHERE seq = ?1", "UPDATE erased_entries SET seq = -seq WHERE -seq = ?1"),
        (
            "UPDATE erased_entries SET erasure = 9 WHERE seq = ?1",
            "UPDATE erased_entries SET erasure = 1 WHERE seq = ?1",
        ),
    ] {
        assert_eq!(connection.change(change, params![place]), 1);
        is_bad(change);
        assert_eq!(connection.change(back, params![place]), 1);
        assert_eq!(haldir.verify()["verified"], true, "{back}");
    }
    // An entry of another agent is not erased by a mark that was put there.
    let other: i64 = stage.house.sql_value("SELECT max(place) FROM audit_entries WHERE agent_id = 'bystander'");
    let copy = "INSERT INTO erased_entries SELECT tenant, ?2, erasure, leaf, mac FROM erased_entries WHERE seq = ?1";
    connection.change(copy, params![place, other]);
    connection.change("UPDATE audit_entries SET details = NULL, action = '(erased)' WHERE place = ?1", params![other]);
    assert_eq!(integer(&haldir.verify()["first_bad"], "seq"), other);
}

#[test]
fn the_terminal_client_erases_after_a_word() {
    let house = House::new();
    let run = |arguments: &[&str]| house.terminal(arguments);
    assert_eq!(run(&["keys", "create", "--name", "first"]).0, 0);
    let (_, made, _) = run(&["--json", "call", "create-session", "--agent-id", NAME]);
    let session = text(&serde_json::from_str(&made).unwrap(), "session_id");
    let (code, _, errors) = run(&["erase", "--agent", NAME]);
    assert!(code == 2 && errors.contains("--yes"), "{code} {errors}");
    let (code, _, errors) = run(&["erase", "--agent", NAME, "--yes"]);
    assert!(code == 1 && errors.contains("haldir stop"), "{code} {errors}");
    assert_eq!(run(&["stop", NAME]).0, 0);
    let (code, out, _) = run(&["erase", "--agent", NAME, "--dry-run"]);
    assert!(code == 0 && out.contains("1 sessions"), "{out}");
    let (code, out, errors) = run(&["--json", "erase", "--agent", NAME, "--yes"]);
    assert_eq!(code, 0, "{errors}");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["complete"], true);
    let (code, out, _) = run(&["audit", "verify"]);
    assert_eq!(code, 0, "{out}");
    require_nowhere(&house, &[NAME, &session]);
}
