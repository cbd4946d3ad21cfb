//! The log has no gap and no fork, from however many processes it is written.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use haldir::call::AnomalyThresholds;

use crate::support::{Client, House, InProcess, Server, Stdio, at_once, integer, json, long, text};

/// How long the processes write at once, in seconds: usually, and at length.
const SECONDS: (u64, u64) = (1, 10);
/// Clients of each HTTP server.
const CLIENTS: usize = 2;

/// Entries that were acknowledged, with the numbers they were given.
fn write_until(end: Instant, mut log: impl FnMut(u64) -> serde_json::Value) -> Vec<(String, i64)> {
    let mut acknowledged = Vec::new();
    while Instant::now() < end {
        let entry = log(acknowledged.len() as u64);
        acknowledged.push((text(&entry, "entry_id"), integer(&entry, "seq")));
    }
    acknowledged
}

fn over_http(server: &Server, operator: &Client, session: &str, end: Instant) -> Vec<(String, i64)> {
    let client = server.with_key(operator.key());
    write_until(end, |number| client.log(session, &format!("entry {number}")).ok())
}

fn over_stdio(stdio: &Stdio, session: &str, end: Instant) -> Vec<(String, i64)> {
    let entry = |number| json!({"session_id": session, "action": format!("entry {number}"), "details": {"n": number}});
    write_until(end, |number| stdio.ok("logAction", &entry(number)))
}

#[test]
fn four_processes_that_write_at_once_leave_no_gap_no_fork_and_lose_nothing() {
    let house = House::new();
    let (first, operator) = house.serve_operator();
    let [second, third] = house.serve_several();
    let servers = [first, second, third];
    let stdio = house.stdio();
    let session = operator.session(&json!({}));
    let end = Instant::now() + Duration::from_secs(long(SECONDS.0, SECONDS.1));
    let acknowledged = at_once(servers.len() * CLIENTS + 1, |index| match servers.get(index / CLIENTS) {
        Some(server) => over_http(server, &operator, &session, end),
        None => over_stdio(&stdio, &session, end),
    });
    assert!(acknowledged.iter().all(|entries| !entries.is_empty()), "a process wrote nothing");
    let acknowledged = acknowledged.concat();

    let numbers: HashSet<_> = acknowledged.iter().map(|(_, seq)| seq).collect();
    assert_eq!(numbers.len(), acknowledged.len(), "two entries were given one number");
    let total = operator.verified();
    assert_eq!(operator.log_size(), total);
    assert!(total >= i64::try_from(acknowledged.len()).unwrap());

    let (mut found, mut link) = (HashSet::new(), vec![0; 32]);
    let entries = "SELECT place, id, prev_hash, entry_hash FROM audit_entries ORDER BY place";
    for row in house.sql().rows(entries, &[]) {
        let seq: i64 = row.get("place");
        assert_eq!(seq, i64::try_from(found.len()).unwrap() + 1, "a gap");
        assert_eq!(row.get::<Vec<u8>>("prev_hash"), link, "a fork at {seq}");
        link = row.get("entry_hash");
        found.insert((row.get::<String>("id"), seq));
    }
    let lost: Vec<_> = acknowledged.iter().filter(|entry| !found.contains(*entry)).collect();
    assert!(lost.is_empty(), "acknowledged, but not in the store: {lost:?}");
}

#[test]
fn what_governs_is_an_entry() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let id = operator.session(&json!({"scopes": ["read", "spend:5"]}));
    operator.post("/v1/secrets", &json!({"name": "s", "value": "v"})).ok();
    operator.get(&format!("/v1/secrets/s?session_id={id}")).ok();
    operator.delete("/v1/secrets/s").ok();
    let authorization = text(&operator.pay(&id, "2").ok(), "authorization_id");
    operator.post(&format!("/v1/payments/{authorization}/capture"), &json!({})).ok();
    let agent = operator.mint(&json!({"name": "agent"}));
    agent.get("/v1/keys").refused(403, "operator_required");
    operator.delete(&format!("/v1/keys/{}", &agent.key()[..12])).ok();
    operator.delete(&format!("/v1/sessions/{id}")).ok();
    operator.log(&id, "too late").refused(401, "session_invalid");
    let trail = operator.get("/v1/audit").ok();
    let mut actions: Vec<_> = trail["entries"].as_array().unwrap().iter().map(|entry| text(entry, "action")).collect();
    actions.reverse();
    assert_eq!(
        actions,
        [
            "key.create", "session.create", "secret.store", "secret.read", "secret.delete", "payment.authorize",
            "payment.capture", "key.create", "listApiKeys.denied", "key.revoke", "session.revoke", "logAction.denied"
        ]
    );
    for entry in trail["entries"].as_array().unwrap() {
        assert_eq!((&entry["kind"], &entry["tool"]), (&json!("governance"), &json!("haldir")), "{entry}");
    }
    assert_eq!(operator.verified(), 12);
}

#[test]
fn an_entry_is_answered_as_it_was_logged_and_its_cost_is_exact() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let id = operator.session(&json!({}));
    let body = format!(
        r#"{{"session_id":"{id}","action":"buy","tool":"shop","cost_usd":0.000000001,"details":{{"b":[1,"x"]}}}}"#
    );
    let logged = operator.post_text("/v1/audit", &body).ok();
    let answer = operator.get(&format!("/v1/audit/entries/{}", text(&logged, "entry_id")));
    let entry = answer.ok();
    assert_eq!((&entry["action"], &entry["tool"], &entry["kind"]), (&json!("buy"), &json!("shop"), &json!("action")));
    assert_eq!(entry["details"], json!({"b": [1, "x"]}));
    assert!(answer.text.contains(r#""cost_usd":0.000000001,"#), "{}", answer.text);
    assert_eq!(entry["flag_reason"], "");
    assert_eq!(operator.get("/v1/audit?limit=1").ok()["entries"][0], entry);
}

#[test]
fn pages_of_the_trail_cover_every_entry_once_and_filters_keep_only_theirs() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let [a, b] = ["alpha", "beta"].map(|agent| operator.session(&json!({"agent_id": agent})));
    for number in 0..25 {
        operator.log(if number % 5 == 0 { &b } else { &a }, &number.to_string()).ok();
    }
    let mut seqs = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = operator.get(&format!("/v1/audit?limit=7{cursor}")).ok();
        let entries = page["entries"].as_array().unwrap();
        assert_eq!(integer(&page, "count"), i64::try_from(entries.len()).unwrap());
        seqs.extend(entries.iter().map(|entry| integer(entry, "seq")));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seqs, (1..=28).rev().collect::<Vec<_>>());
    let count = |query: &str| integer(&operator.get(&format!("/v1/audit?{query}")).ok(), "count");
    assert_eq!(count(&format!("session_id={b}")), 6);
    assert_eq!((count("agent_id=beta"), count("agent_id=nobody")), (6, 0));
    assert_eq!((count("tool=t"), count("tool=t&agent_id=beta")), (25, 5));
    assert_eq!((count("flagged=true"), count("flagged=false")), (0, 28));
    assert_eq!((count("since=4000000000"), count("until=1"), count("since=1&until=4000000000")), (0, 0, 28));
}

#[test]
fn an_agent_cannot_write_an_entry_that_passes_for_haldirs() {
    let house = House::new();
    let stdio = house.stdio();
    let session = stdio.session(&json!({"agent_id": "system"}));
    let forged = json!({"session_id": session, "tool": "haldir", "action": "payment.authorize"});
    stdio.ok("logAction", &forged);
    let trail = stdio.ok("getAuditTrail", &json!({}));
    assert_eq!((&trail["entries"][0]["kind"], &trail["entries"][1]["kind"]), (&json!("action"), &json!("governance")));
}

#[test]
fn time_in_the_log_does_not_go_back_where_clocks_differ() {
    let house = House::new();
    let key = haldir::crypto::Key::generate().unwrap();
    let [ahead, behind] = [(); 2].map(|()| InProcess::open_with(&house.db(), &key, AnomalyThresholds::default()));
    ahead.clock.advance_seconds(100);
    let session = ahead.session(&json!({"ttl": 0}));
    let times: Vec<_> = [&ahead, &behind, &ahead, &behind]
        .iter()
        .map(|process| process.log(&session, "x")["timestamp"].as_f64().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(behind.verify()["verified"], true);
}
