//! What needs a person's decision waits for it, is decided once, and is done once, exactly as it was asked.

mod payments;
mod waiting;

use serde_json::Value;

use crate::support::{Answer, Client, House, InProcess, at_once, json, text};

fn spender(operator: &Client) -> String {
    operator.session(&json!({"scopes": ["read", "spend"], "spend_limit": 10_000}))
}

#[track_caller]
fn add_rule(operator: &Client, rule: &Value) -> String {
    let answer = operator.post("/v1/approvals/rules", rule);
    assert_eq!(answer.status, 201, "{}", answer.text);
    let added = answer.json();
    assert_eq!((&added["added"], &added["type"]), (&json!(true), &rule["type"]), "{added}");
    text(&added, "rule_id")
}

#[track_caller]
fn request(agent: &Client, fields: &Value) -> String {
    let answer = agent.post("/v1/approvals/request", fields);
    assert_eq!(answer.status, 201, "{}", answer.text);
    let body = answer.json();
    assert_eq!(body["status"], "pending", "{body}");
    text(&body, "request_id")
}

fn decide(operator: &Client, id: &str, decision: &str) -> Answer {
    operator.post(&format!("/v1/approvals/{id}/{decision}"), &json!({}))
}

#[track_caller]
fn approval(client: &Client, id: &str) -> Value {
    client.get(&format!("/v1/approvals/{id}")).ok()
}

/// The request that a payment was refused for.
#[track_caller]
fn needs_approval(answer: &Answer) -> String {
    let body = answer.refused(403, "approval_required");
    assert_eq!((&body["authorized"], &body["status"]), (&json!(false), &json!("approval_required")), "{body}");
    assert!(body["remaining_budget"].is_number() && !text(&body, "reason").is_empty(), "{body}");
    text(&body, "approval_request_id")
}

/// Actions in the log, newest first.
fn actions(operator: &Client) -> Vec<String> {
    let trail = operator.get("/v1/audit?limit=1000").ok();
    trail["entries"].as_array().unwrap().iter().map(|entry| text(entry, "action")).collect()
}

#[test]
fn a_request_is_raised_shown_and_decided_once() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let agent = operator.mint(&json!({"role": "agent"}));
    let session = spender(&agent);
    let asked = json!({"session_id": session, "tool": "stripe", "action": "refund", "amount": 49.90, "reason": "why not",
        "details": {"order": 7, "exact": [1, "x"]}, "ttl": 60});
    let id = request(&agent, &asked);
    let open = approval(&agent, &id);
    for field in ["tool", "action", "amount", "reason", "details", "session_id"] {
        assert_eq!(open[field], asked[field], "{field}");
    }
    assert_eq!(
        (&open["status"], &open["agent_id"], &open["usable"]),
        (&json!("pending"), &json!("tester"), &json!(false))
    );
    assert_eq!((&open["decided_by"], &open["decision_note"]), (&json!(""), &json!("")), "{open}");
    let pending = operator.get("/v1/approvals/pending").ok();
    assert_eq!((&pending["count"], &pending["requests"][0]["request_id"]), (&json!(1), &json!(id)), "{pending}");

    let said = json!({"decided_by": "ann", "note": "once only"});
    let approved = operator.post(&format!("/v1/approvals/{id}/approve"), &said).ok();
    assert_eq!(approved, json!({"approved": true, "request_id": id}));
    let decided = approval(&agent, &id);
    assert_eq!((&decided["status"], &decided["usable"]), (&json!("approved"), &json!(true)), "{decided}");
    assert_eq!((&decided["decided_by"], &decided["decision_note"]), (&json!("ann"), &json!("once only")));
    assert_eq!(operator.get("/v1/approvals/pending").ok()["count"], 0);
    for decision in ["approve", "deny"] {
        let size = operator.log_size();
        decide(&operator, &id, decision).refused(400, "already_decided");
        assert_eq!(operator.log_size(), size, "what changed nothing left an entry");
    }
    assert_eq!(approval(&agent, &id), decided);

    let denied = request(&agent, &json!({"session_id": session}));
    // A body is not required.
    let answer = operator.send("POST", &format!("/v1/approvals/{denied}/deny"), &[], "").ok();
    assert_eq!(answer, json!({"denied": true, "request_id": denied}));
    assert_eq!(approval(&agent, &denied)["decided_by"], operator.key()[..12]);
    decide(&operator, &denied, "approve").refused(400, "already_decided");
    let log = actions(&operator);
    assert_eq!(log[..4], ["approval.deny", "approval.request", "approval.approve", "approval.request"]);
    operator.verified();
}

#[test]
fn only_an_operator_decides_and_makes_rules() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let agent = operator.mint(&json!({"role": "agent"}));
    let session = spender(&agent);
    let id = request(&agent, &json!({"session_id": session, "action": "x"}));
    for decision in ["approve", "deny"] {
        decide(&agent, &id, decision).refused(403, "operator_required");
    }
    agent.post("/v1/approvals/rules", &json!({"type": "all"})).refused(403, "operator_required");
    agent.get("/v1/approvals/rules").refused(403, "operator_required");
    let rule = add_rule(&operator, &json!({"type": "all"}));
    agent.delete(&format!("/v1/approvals/rules/{rule}")).refused(403, "operator_required");
    let reader = operator.mint(&json!({"role": "operator", "scopes": ["approvals:read"]}));
    decide(&reader, &id, "approve").refused(403, "insufficient_scope");
    assert_eq!(approval(&reader, &id)["status"], "pending");
    assert_eq!(operator.get("/v1/approvals/rules").ok()["count"], 1);
}

#[test]
fn what_makes_no_sense_is_refused_and_says_what_would() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = spender(&operator);
    for (rule, field) in [
        (json!({"type": "tool_blocked"}), "tools"),
        (json!({"type": "tool_blocked", "tools": []}), "tools"),
        (json!({"type": "all", "tools": ["x"]}), "tools"),
        (json!({"type": "spend_over", "threshold": -1}), "threshold"),
        (json!({"type": "spend_over", "threshold": "100"}), "threshold"),
        (json!({"type": "destructive", "threshold": 5}), "threshold"),
        (json!({"threshold": 5}), "type"),
    ] {
        operator.post("/v1/approvals/rules", &rule).refused_field(400, "invalid_argument", field);
    }
    let unknown = operator.post("/v1/approvals/rules", &json!({"type": "spend_ovre"})).refused(400, "invalid_argument");
    for valid in ["spend_over", "tool_blocked", "destructive", "all"] {
        assert!(text(&unknown, "error").contains(valid), "{unknown}");
    }
    assert_eq!(operator.get("/v1/approvals/rules").ok()["count"], 0);
    for (bad, field) in [("ttl", json!(-1)), ("ttl", json!(1_000_000_000)), ("amount", json!(-0.01))] {
        let mut body = json!({"session_id": session});
        body[bad] = field;
        operator.post("/v1/approvals/request", &body).refused_field(400, "invalid_argument", bad);
    }
    let twice = format!(r#"{{"session_id":"{session}","details":{{"to":"a","to":"b"}}}}"#);
    operator.post_text("/v1/approvals/request", &twice).refused_field(400, "invalid_argument", "details");
    operator.post("/v1/approvals/request", &json!({"session_id": "ses_x"})).refused(401, "session_invalid");
    for path in ["", "/approve", "/deny"] {
        let method = if path.is_empty() { "GET" } else { "POST" };
        operator.send(method, &format!("/v1/approvals/apr_x{path}"), &[], "").refused(404, "not_found");
    }
    let id = request(&operator, &json!({"session_id": session}));
    for wait in ["-1", "31", "x"] {
        operator.get(&format!("/v1/approvals/{id}?wait={wait}")).refused_field(400, "invalid_argument", "wait");
    }
}

#[test]
fn the_same_request_in_every_process_is_decided_once_and_used_once() {
    let house = House::new();
    let (_first, operator) = house.serve_operator();
    let others = house.serve_several::<3>();
    let at = |index: usize| match index % 4 {
        0 => operator.again(),
        other => others[other - 1].with_key(operator.key()),
    };
    let session = spender(&operator);
    add_rule(&at(1), &json!({"type": "spend_over", "threshold": 10}));
    for round in 0..5 {
        let amount = (20 + round).to_string();
        let raised = at_once(8, |index| needs_approval(&at(index).pay(&session, &amount)));
        assert!(raised.iter().all(|id| id == &raised[0]), "one question was asked several times: {raised:?}");
        let id = &raised[0];
        let decided = at_once(8, |index| decide(&at(index), id, if index % 2 == 0 { "approve" } else { "deny" }));
        let won: Vec<_> = decided.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(won.len(), 1, "round {round}: {decided:?}");
        for lost in decided.iter().filter(|answer| answer.status != 200) {
            lost.refused(400, "already_decided");
        }
        let is_approved = won[0].json()["approved"] == true;
        for index in 0..4 {
            assert_eq!(approval(&at(index), id)["status"], if is_approved { "approved" } else { "denied" });
        }
        let paid = at_once(8, |index| at(index).pay(&session, &amount).status);
        assert_eq!(paid.iter().filter(|status| **status == 200).count(), usize::from(is_approved), "{paid:?}");
    }
    // Raised in one, decided in another, used in a third.
    let id = needs_approval(&at(0).pay(&session, "99"));
    decide(&at(1), &id, "approve").ok();
    at(2).pay(&session, "99").ok();
    needs_approval(&at(3).pay(&session, "99"));
    operator.verified();
}

#[test]
fn pages_of_pending_requests_neither_repeat_nor_skip() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let (one, other) = (spender(&operator), operator.session(&json!({"agent_id": "other"})));
    let mut raised: Vec<_> = (0..7).map(|_| request(&operator, &json!({"session_id": one}))).collect();
    let foreign = request(&operator, &json!({"session_id": other}));
    raised.reverse();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = operator.get(&format!("/v1/approvals/pending?agent_id=tester&limit=3{cursor}")).ok();
        seen.extend(page["requests"].as_array().unwrap().iter().map(|request| text(request, "request_id")));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, raised);
    let all = operator.get("/v1/approvals/pending").ok();
    assert_eq!((&all["count"], &all["requests"][0]["request_id"]), (&json!(8), &json!(foreign)));
    operator.get("/v1/approvals/pending?cursor=x").refused_field(400, "invalid_argument", "cursor");
}

#[test]
fn one_session_cannot_bury_the_others_requests() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = spender(&operator);
    for _ in 0..100 {
        request(&operator, &json!({"session_id": session}));
    }
    operator.post("/v1/approvals/request", &json!({"session_id": session})).refused(409, "conflict");
    request(&operator, &json!({"session_id": spender(&operator)}));
}

#[test]
fn an_expired_request_is_not_pending_and_cannot_be_decided_or_used() {
    let house = House::new();
    let here = InProcess::open(&house.db());
    let session = here.session(&json!({"scopes": ["spend"], "ttl": 0}));
    here.ok("addApprovalRule", &json!({"type": "all"}));
    let ask = |ttl: i64| text(&here.ok("requestApproval", &json!({"session_id": session, "ttl": ttl})), "request_id");
    let (short, endless) = (ask(60), ask(0));
    assert_eq!(here.ok("getApproval", &json!({"request_id": endless}))["expires_at"].as_f64(), Some(0.0));
    here.clock.advance_seconds(60);
    let shown = here.ok("getApproval", &json!({"request_id": short, "wait": 30}));
    assert_eq!((&shown["status"], &shown["usable"]), (&json!("expired"), &json!(false)), "{shown}");
    let pending = here.ok("listPendingApprovals", &json!({}));
    assert_eq!((&pending["count"], &pending["requests"][0]["request_id"]), (&json!(1), &json!(endless)));
    let entries = || here.verify()["entries_checked"].as_i64().unwrap();
    let before = entries();
    for added in [1, 1] {
        let refused = here.refused("approveRequest", &json!({"request_id": short}));
        assert_eq!(refused.code.name(), "approval_expired");
        assert_eq!(entries() - before, added, "the expiry that was found is one entry");
    }

    let pay = json!({"session_id": session, "amount": 3});
    let asked = |error: haldir::error::Error| {
        assert_eq!(error.code.name(), "approval_required");
        serde_json::from_str::<String>(error.extra("approval_request_id").unwrap().get()).unwrap()
    };
    let late = asked(here.refused("authorizePayment", &pay));
    here.clock.advance_seconds(3_599);
    here.ok("approveRequest", &json!({"request_id": late}));
    // A yes at the last moment can be used for ten minutes.
    here.clock.advance_seconds(599);
    assert_eq!(here.ok("getApproval", &json!({"request_id": late}))["usable"], true);
    here.clock.advance_seconds(1);
    let named = json!({"session_id": session, "amount": 3, "approval_id": late});
    assert_eq!(here.refused("authorizePayment", &named).code.name(), "approval_invalid");
    assert_ne!(asked(here.refused("authorizePayment", &pay)), late);
}

#[test]
fn a_request_is_its_tenants_alone() {
    let house = House::new();
    let here = InProcess::open(&house.db());
    let other = haldir::model::Credential::LocalOperator(here.another_tenant());
    let id = text(&here.ok("requestApproval", &json!({"session_id": here.session(&json!({}))})), "request_id");
    for name in ["getApproval", "approveRequest", "denyRequest"] {
        let refused = here.call_as(&other, name, &json!({"request_id": id})).unwrap_err();
        assert_eq!(refused.code.name(), "not_found", "{name}");
    }
    assert_eq!(here.call_as(&other, "listPendingApprovals", &json!({})).unwrap()["count"], 0);
    here.ok("addApprovalRule", &json!({"type": "all"}));
    assert_eq!(here.call_as(&other, "listApprovalRules", &json!({})).unwrap()["count"], 0);
}

#[test]
fn old_requests_are_cleared_away_and_their_entries_stay() {
    let house = House::new();
    let here = InProcess::open(&house.db());
    let session = here.session(&json!({"ttl": 0}));
    let ask = || text(&here.ok("requestApproval", &json!({"session_id": session, "ttl": 1})), "request_id");
    for _ in 0..20 {
        ask();
    }
    here.clock.advance_seconds(2);
    for _ in 0..5 {
        ask();
    }
    let kept = || house.sql_value::<i64>("SELECT count(*) FROM approvals");
    let expired = "SELECT count(*) FROM audit_entries WHERE action = 'approval.expire'";
    assert_eq!((kept(), house.sql_value::<i64>(expired)), (25, 20));
    here.clock.advance_seconds(31 * 86_400);
    for _ in 0..10 {
        ask();
    }
    assert_eq!(kept(), 15, "what ended a month ago is still there");
    assert_eq!(here.verify()["verified"], true);
}

#[test]
fn a_request_is_shown_beside_the_one_like_it_that_was_approved_last() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = spender(&operator);
    let asked = |tool: &str, to: &str| {
        let fields =
            json!({"session_id": session, "tool": tool, "action": "send", "details": {"to": to, "text": "hi"}});
        request(&operator, &fields)
    };
    let first = asked("mail", "ann");
    assert_eq!(approval(&operator, &first)["last_approved"], Value::Null);
    decide(&operator, &first, "approve").ok();
    let denied = asked("mail", "eve");
    decide(&operator, &denied, "deny").ok();
    let other = asked("fax", "ann");
    assert_eq!(approval(&operator, &other)["last_approved"], Value::Null, "another tool's");
    let second = asked("mail", "bob");
    let shown = approval(&operator, &second);
    assert_eq!(shown["last_approved"]["request_id"], first, "{shown}");
    assert_eq!(shown["last_approved"]["details"], json!({"to": "ann", "text": "hi"}), "{shown}");
    decide(&operator, &second, "approve").ok();
    // What was approved since is no precedent of an earlier decision.
    assert_eq!(approval(&operator, &second)["last_approved"]["request_id"], first);
    assert_eq!(approval(&operator, &first)["last_approved"], Value::Null);
    assert_eq!(approval(&operator, &asked("mail", "cid"))["last_approved"]["request_id"], second);
}

#[test]
fn decided_requests_are_listed_the_newest_decision_first() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = spender(&operator);
    let other = operator.session(&json!({"agent_id": "other"}));
    let ask =
        |session: &str, tool: &str| request(&operator, &json!({"session_id": session, "tool": tool, "action": "do"}));
    let (one, two, three, open) = (ask(&session, "a"), ask(&other, "b"), ask(&session, "c"), ask(&session, "d"));
    decide(&operator, &two, "approve").ok();
    decide(&operator, &one, "deny").ok();
    decide(&operator, &three, "approve").ok();
    let listed = |query: &str| {
        let answer = operator.get(&format!("/v1/approvals/decided{query}")).ok();
        let requests = answer["requests"].as_array().unwrap();
        (requests.iter().map(|request| text(request, "request_id")).collect::<Vec<_>>(), answer)
    };
    let (ids, answer) = listed("");
    assert_eq!(ids, [three.clone(), one.clone(), two.clone()], "{open} is open: {answer}");
    assert_eq!(answer["requests"][1]["status"], "denied", "{answer}");
    let first = listed("?limit=2");
    assert_eq!(first.0, [three, one]);
    let second = listed(&format!("?limit=2&cursor={}", text(&first.1, "next_cursor")));
    assert_eq!((second.0, &second.1["next_cursor"]), (vec![two.clone()], &Value::Null));
    assert_eq!(listed("?agent_id=other").0, [two]);
}
