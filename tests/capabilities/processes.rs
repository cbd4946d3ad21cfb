//! Four servers on one store: what one of them is told holds in the others from the next request on, and after a
//! restart of all. What is remembered in a process is never the truth.

use std::collections::HashSet;

use crate::support::{Answer, Client, House, Server, at_once, integer, json, long, text};

const PROCESSES: usize = 4;

/// The servers, and an operator at each of them.
fn four() -> (House, Vec<Server>, Vec<Client>) {
    let house = House::new();
    let (first, operator) = house.serve_operator();
    let mut servers = vec![first];
    servers.extend(house.serve_several::<{ PROCESSES - 1 }>());
    let operators = servers.iter().map(|server| server.with_key(operator.key())).collect();
    (house, servers, operators)
}

/// Sixteen equal calls with one idempotency key, spread over the processes.
fn race(operators: &[Client], path: &str, body: &serde_json::Value) -> Vec<Answer> {
    let body = body.to_string();
    at_once(16, |index| {
        operators[index % PROCESSES].again().send("POST", path, &[("Idempotency-Key", &format!("once {path}"))], &body)
    })
}

#[test]
fn racing_duplicates_of_any_post_are_one_call() {
    let (_house, _servers, operators) = four();
    let one = &operators[0];
    let session = one.session(&json!({"scopes": ["read", "spend:100"]}));
    for (path, body) in [
        ("/v1/sessions", json!({"agent_id": "racer"})),
        ("/v1/secrets", json!({"name": "raced", "value": "v"})),
        ("/v1/payments/authorize", json!({"session_id": session, "amount": 7})),
        ("/v1/audit", json!({"session_id": session, "action": "raced"})),
        ("/v1/approvals/request", json!({"session_id": session, "tool": "raced"})),
        ("/v1/approvals/rules", json!({"type": "tool_blocked", "tools": ["raced"]})),
    ] {
        let answers = race(&operators, path, &body);
        let different: HashSet<_> = answers.iter().map(|answer| answer.ok().to_string()).collect();
        assert_eq!(different.len(), 1, "{path}: {different:?}");
    }
    // What is shown once is shown once: the others learn that it was done.
    for (path, body) in
        [("/v1/keys", json!({"name": "raced"})), ("/v1/webhooks", json!({"url": "https://receiver.invalid/hook"}))]
    {
        let answers = race(&operators, path, &body);
        let (made, others): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
        assert_eq!(made.len(), 1, "{path}");
        for answer in others {
            answer.refused(409, "conflict");
        }
    }
    assert_eq!(one.get(&format!("/v1/sessions/{session}")).ok()["spent"], 7);
    assert_eq!(integer(&one.get("/v1/sessions?agent_id=racer").ok(), "count"), 1);
    assert_eq!(integer(&one.get("/v1/keys").ok(), "count"), 2);
    assert_eq!(integer(&one.get("/v1/webhooks").ok(), "count"), 1);
    assert_eq!(integer(&one.get("/v1/approvals/rules").ok(), "count"), 1);
    assert_eq!(integer(&one.get("/v1/approvals/pending").ok(), "count"), 1);
    one.verified();
}

#[test]
fn a_rule_holds_and_ends_in_every_process_from_the_next_payment_on() {
    let (_house, _servers, operators) = four();
    let session = operators[0].session(&json!({"scopes": ["spend"]}));
    for round in 0..long(8, 40) {
        let added = operators[round % PROCESSES].post("/v1/approvals/rules", &json!({"type": "spend_over"})).ok();
        for operator in &operators {
            operator.pay(&session, &format!("{}.5", round + 1)).refused(403, "approval_required");
        }
        operators[(round + 1) % PROCESSES].delete(&format!("/v1/approvals/rules/{}", text(&added, "rule_id"))).ok();
        for operator in &operators {
            operator.pay(&session, &format!("{}.5", round + 1)).ok();
        }
    }
}

#[test]
fn a_revoked_parent_a_revoked_key_and_a_new_value_are_seen_by_the_very_next_request_of_every_process() {
    let (_house, servers, operators) = four();
    for round in 0..long(12, 60) {
        let here = &operators[round % PROCESSES];
        let parent = here.session(&json!({"scopes": ["read", "spend:9"]}));
        let child = here.session(&json!({"scopes": ["read", "spend:1"], "parent_session_id": parent}));
        here.post("/v1/secrets", &json!({"name": "rolling", "value": format!("value {round}")})).ok();
        let agent = here.mint(&json!({"name": "agent"}));
        for (server, operator) in servers.iter().zip(&operators) {
            let read = operator.send("GET", "/v1/secrets/rolling", &[("X-Session-ID", &child)], "").ok();
            assert_eq!(text(&read, "value"), format!("value {round}"));
            server.with_key(agent.key()).get(&format!("/v1/sessions/{child}")).ok();
            let check = operator.post(&format!("/v1/sessions/{parent}/check"), &json!({"scope": "read"})).ok();
            assert_eq!(check["allowed"], true, "round {round}");
        }
        operators[(round + 1) % PROCESSES].delete(&format!("/v1/sessions/{parent}?cascade=true")).ok();
        operators[(round + 2) % PROCESSES].delete(&format!("/v1/keys/{}", &agent.key()[..12])).ok();
        for (server, operator) in servers.iter().zip(&operators) {
            operator.pay(&child, "0.01").refused(401, "session_invalid");
            let check = operator.post(&format!("/v1/sessions/{parent}/check"), &json!({"scope": "read"})).ok();
            assert_eq!(check["allowed"], false, "round {round}");
            operator
                .send("GET", "/v1/secrets/rolling", &[("X-Session-ID", &child)], "")
                .refused(401, "session_invalid");
            server.with_key(agent.key()).get(&format!("/v1/sessions/{child}")).refused(401, "unauthorized");
        }
    }
    let gone = &operators[3];
    gone.delete("/v1/secrets/rolling").ok();
    let session = gone.session(&json!({}));
    for operator in &operators {
        operator.send("GET", "/v1/secrets/rolling", &[("X-Session-ID", &session)], "").refused(404, "not_found");
    }
}

#[test]
fn rules_webhooks_and_requests_outlive_every_process() {
    let (house, servers, operators) = four();
    let session = operators[0].session(&json!({"scopes": ["spend"]}));
    operators[1].post("/v1/approvals/rules", &json!({"type": "spend_over", "threshold": 5})).ok();
    operators[2].post("/v1/webhooks", &json!({"url": "https://receiver.invalid/hook", "name": "kept"})).ok();
    operators[3].send("PUT", "/v1/audit/retention", &[], &json!({"retain_days": 90}).to_string()).ok();
    let asked = operators[0].pay(&session, "6").refused(403, "approval_required");
    let request = text(&asked, "approval_request_id");
    let key = operators[0].key().to_owned();
    drop((servers, operators));
    let again = house.serve();
    let operator = again.with_key(&key);
    assert_eq!(operator.get("/v1/webhooks").ok()["webhooks"][0]["name"], "kept");
    assert_eq!(integer(&operator.get("/v1/audit/retention").ok(), "retain_days"), 90);
    operator.pay(&session, "6").refused(403, "approval_required");
    operator.post(&format!("/v1/approvals/{request}/approve"), &json!({})).ok();
    operator.pay(&session, "6").ok();
    operator.verified();
}

#[test]
fn a_thousand_reads_are_not_a_thousand_writes() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = operator.session(&json!({}));
    let path = format!("/v1/sessions/{session}");
    operator.get(&path).ok();
    let log = || std::fs::metadata(house.folder().join("h.db-wal")).unwrap().len();
    let before = log();
    for _ in 0..1_000 {
        operator.get(&path).ok();
    }
    // When the key was last used, and how often, is written every few seconds: a few pages each time.
    assert!(log() - before < 100 * 4_096, "the log grew from {before} to {} bytes", log());
}
