//! What needs a person's decision waits for it, is decided once, and is done once, exactly as it was asked.

use std::{
    io::Write as _,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{Answer, Client, House, InProcess, at_once, json, raw_exchange, read_answer, text};

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
fn a_payment_over_the_threshold_waits_for_approval_and_is_made_once() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let agent = operator.mint(&json!({"role": "agent"}));
    let session = spender(&agent);
    let rule = add_rule(&operator, &json!({"type": "spend_over", "threshold": 100}));
    agent.pay(&session, "100").ok();
    let id = needs_approval(&agent.pay(&session, "100.000000001"));
    assert_eq!(needs_approval(&agent.pay(&session, "100.0000000010")), id, "the same question was asked twice");
    assert_eq!(agent.get(&format!("/v1/sessions/{session}")).ok()["spent"], 100);
    assert_ne!(needs_approval(&agent.pay(&session, "101")), id, "another amount needs another approval");
    decide(&operator, &id, "approve").ok();
    // Neither another amount, nor another description, nor another session.
    needs_approval(&agent.pay(&session, "100.000000002"));
    let described = json!({"session_id": session, "amount": 100.000_000_001, "description": "x"});
    needs_approval(&agent.post("/v1/payments/authorize", &described));
    needs_approval(&agent.pay(&spender(&agent), "100.000000001"));
    agent.pay(&session, "100.000000001").ok();
    let used = approval(&agent, &id);
    assert!(used["used_at"].is_number() && used["usable"] == false, "{used}");
    assert_ne!(needs_approval(&agent.pay(&session, "100.000000001")), id, "an approval served twice");

    operator.delete(&format!("/v1/approvals/rules/{rule}")).ok();
    agent.pay(&session, "100.000000001").ok();
    operator.delete(&format!("/v1/approvals/rules/{rule}")).refused(404, "not_found");
    let log = actions(&operator);
    for action in ["approval_rule.add", "approval_rule.delete", "approval.approve", "approval.use"] {
        assert_eq!(log.iter().filter(|known| *known == action).count(), 1, "{action}: {log:?}");
    }
    assert!(log.contains(&"authorizePayment.denied".to_owned()));
    operator.verified();
}

#[test]
fn an_approval_that_is_named_serves_for_nothing_else() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = spender(&operator);
    add_rule(&operator, &json!({"type": "all"}));
    let pay = |amount: i64, approval: &str| {
        let body = json!({"session_id": session, "amount": amount, "approval_id": approval});
        operator.post("/v1/payments/authorize", &body)
    };
    let id = needs_approval(&operator.pay(&session, "5"));
    assert_eq!(needs_approval(&pay(5, &id)), id);
    let ahead = json!({"session_id": session, "tool": "authorizePayment", "action": "rent", "amount": 7});
    let ahead = request(&operator, &ahead);
    for id in [&id, &ahead] {
        decide(&operator, id, "approve").ok();
    }
    for (amount, id) in [(6, id.as_str()), (5, "apr_unknown"), (5, &ahead)] {
        let refused = pay(amount, id).refused(403, "approval_invalid");
        assert_eq!((&refused["authorized"], &refused["field"]), (&json!(false), &json!("approval_id")), "{refused}");
    }
    pay(5, &id).ok();
    pay(5, &id).refused(403, "approval_invalid");
    // Asked for ahead of the payment.
    let rent = json!({"session_id": session, "amount": 7, "description": "rent"});
    operator.post("/v1/payments/authorize", &rent).ok();
    needs_approval(&operator.post("/v1/payments/authorize", &rent));
}

#[test]
fn what_was_denied_stays_denied_and_what_fails_uses_no_approval() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = operator.session(&json!({"scopes": ["spend"], "spend_limit": 10}));
    add_rule(&operator, &json!({"type": "spend_over"}));
    let size = operator.log_size();
    operator.pay(&session, "11").refused(403, "budget_exceeded");
    assert_eq!(operator.log_size(), size + 1);
    assert_eq!(operator.get("/v1/approvals/pending").ok()["count"], 0, "nobody is asked for what cannot be");

    let no = needs_approval(&operator.pay(&session, "3"));
    operator.post(&format!("/v1/approvals/{no}/deny"), &json!({"note": "too dear"})).ok();
    let refused = operator.pay(&session, "3").refused(403, "approval_invalid");
    assert_eq!((&refused["approval_request_id"], &refused["decision_note"]), (&json!(no), &json!("too dear")));

    let yes = needs_approval(&operator.pay(&session, "8"));
    let small = needs_approval(&operator.pay(&session, "4"));
    for id in [&yes, &small] {
        decide(&operator, id, "approve").ok();
    }
    operator.pay(&session, "4").ok();
    operator.pay(&session, "8").refused(403, "budget_exceeded");
    assert_eq!(approval(&operator, &yes)["usable"], true, "a payment that failed used its approval");
}

#[test]
fn an_idempotency_key_does_not_keep_the_question() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = spender(&operator);
    add_rule(&operator, &json!({"type": "all"}));
    let body = json!({"session_id": session, "amount": 2}).to_string();
    let pay = || operator.send("POST", "/v1/payments/authorize", &[("Idempotency-Key", "k")], &body);
    let id = needs_approval(&pay());
    decide(&operator, &id, "approve").ok();
    let paid = pay().ok();
    assert_eq!(pay().ok(), paid, "a retry is not paid twice, nor asked again");
    assert_eq!(operator.get(&format!("/v1/sessions/{session}")).ok()["spent"], 2);
}

#[test]
fn over_mcp_the_answer_is_an_error_within_the_schema() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = spender(&operator);
    add_rule(&operator, &json!({"type": "tool_blocked", "tools": ["authorizePayment"]}));
    let arguments = json!({"session_id": session, "amount": 2});
    let asked = operator.tool("authorizePayment", &arguments);
    let said = &asked["structuredContent"];
    assert_eq!((&asked["isError"], &said["authorized"]), (&json!(true), &json!(false)), "{asked}");
    let schema = haldir::operations::tool("authorizePayment").unwrap().output_schema().to_value();
    assert!(jsonschema::draft202012::new(&schema).unwrap().is_valid(said), "{said}");
    decide(&operator, &text(said, "approval_request_id"), "approve").ok();
    assert_eq!(operator.tool("authorizePayment", &arguments)["structuredContent"]["authorized"], true);
}

#[test]
fn the_same_request_in_every_process_is_decided_once_and_used_once() {
    let house = House::new();
    let (_first, operator) = house.serve_operator();
    let others = [house.serve(), house.serve(), house.serve()];
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
fn who_waits_is_answered_when_another_process_decides() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let other = house.serve();
    let id = request(&operator, &json!({"session_id": spender(&operator)}));
    let start = Instant::now();
    let soon = operator.get(&format!("/v1/approvals/{id}?wait=1")).ok();
    assert!(soon["status"] == "pending" && start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| operator.again().get(&format!("/v1/approvals/{id}?wait=30")).ok()))
            .collect();
        thread::sleep(Duration::from_millis(300));
        // Meanwhile everything else goes on.
        spender(&operator);
        decide(&other.with_key(operator.key()), &id, "approve").ok();
        for one in waiting {
            assert_eq!(one.join().unwrap()["status"], "approved");
        }
    });
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[test]
fn who_waits_is_answered_when_the_server_stops_and_gone_when_they_hang_up() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let id = request(&operator, &json!({"session_id": spender(&operator)}));
    let key = operator.key();
    let wait =
        format!("GET /v1/approvals/{id}?wait=30 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n");
    // More than may wait at a time, one after the other: those who hung up are no longer counted.
    for _ in 0..12 {
        let gone: Vec<_> = (0..100)
            .map(|_| {
                let mut stream = TcpStream::connect(server.address).unwrap();
                stream.write_all(wait.as_bytes()).unwrap();
                stream
            })
            .collect();
        thread::sleep(Duration::from_millis(300));
        drop(gone);
    }
    thread::sleep(Duration::from_millis(500));
    let start = Instant::now();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(wait.as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    assert!(stream.peek(&mut [0]).is_err(), "there was no place left to wait");
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    server.process.terminate();
    let answer = read_answer(&mut std::io::BufReader::new(stream)).unwrap();
    assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("pending")));
    let took = start.elapsed();
    assert!(took < Duration::from_secs(8), "the end of the server did not end the wait: {took:?}");
}

#[test]
fn one_caller_does_not_take_every_place_to_wait() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let agent = operator.mint(&json!({"role": "agent"}));
    let id = request(&agent, &json!({"session_id": spender(&agent)}));
    let wait = |key: &str| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let head = format!("GET /v1/approvals/{id}?wait=30 HTTP/1.1\r\nHost: {}\r\n", server.address);
        stream.write_all(format!("{head}Authorization: Bearer {key}\r\n\r\n").as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(1_500))).unwrap();
        stream
    };
    let waiting: Vec<_> = (0..128).map(|_| wait(agent.key())).collect();
    thread::sleep(Duration::from_secs(1));
    assert!(wait(agent.key()).peek(&mut [0]).is_ok(), "the 129th of one caller waits");
    assert!(wait(operator.key()).peek(&mut [0]).is_err(), "nobody else can wait");
    decide(&operator, &id, "deny").ok();
    for stream in waiting {
        let answer = read_answer(&mut std::io::BufReader::new(stream)).unwrap();
        assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("denied")));
    }
}

#[test]
fn a_key_revoked_while_it_waits_sees_nothing_more() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let agent = operator.mint(&json!({"role": "agent"}));
    let id = request(&agent, &json!({"session_id": spender(&agent)}));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| agent.get(&format!("/v1/approvals/{id}?wait=30")));
        thread::sleep(Duration::from_millis(300));
        operator.delete(&format!("/v1/keys/{}", &agent.key()[..12])).ok();
        waiting.join().unwrap().refused(401, "unauthorized");
    });
    drop(server);
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
fn a_wait_takes_no_more_than_its_own_connection() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let id = request(&operator, &json!({"session_id": spender(&operator)}));
    let key = operator.key();
    let wait =
        format!("GET /v1/approvals/{id}?wait=5 HTTP/1.1\r\nHost: x.localhost\r\nAuthorization: Bearer {key}\r\n\r\n");
    let wait = wait.replace("x.localhost", &server.address.to_string());
    thread::scope(|scope| {
        let waiting: Vec<_> =
            (0..64).map(|_| scope.spawn(|| raw_exchange(server.address, wait.as_bytes()).unwrap().status)).collect();
        thread::sleep(Duration::from_millis(500));
        let start = Instant::now();
        for _ in 0..20 {
            operator.get("/v1/sessions").ok();
        }
        assert!(start.elapsed() < Duration::from_secs(3), "waiting held up others: {:?}", start.elapsed());
        for one in waiting {
            assert_eq!(one.join().unwrap(), 200);
        }
    });
}
