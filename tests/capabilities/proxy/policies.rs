//! What may be called and for how much: policies, marks, costs; in every process, also after a restart.

use serde_json::Value;

use super::{add_policy, blocked, call, caller, carried_out, entries, register, wait_for};
use crate::support::{
    Answer, Client, House, at_once, json, text,
    upstream::{Behaviour, Upstream, described, tool},
};

#[test]
fn a_blocked_tool_is_blocked_under_every_name() {
    let look_alike = "d\u{435}lete";
    let names = ["delete", "Delete", "DELETE", "de_lete", look_alike, "undelete"];
    let (house, upstream) = (House::new(), Upstream::new(names.map(tool)));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = caller(&operator);
    let id = add_policy(&operator, &json!({"type": "block_tool", "tool": "up.delete"}));
    for name in &names[..5] {
        for called in [(*name).to_owned(), format!("up.{name}")] {
            let told = blocked(&call(&operator, &session, &called, &json!({})), "policy_denied");
            assert_eq!(told["policy_id"], id, "{called}");
        }
    }
    carried_out(&call(&operator, &session, "undelete", &json!({})));
    assert_eq!(upstream.calls().len(), 1);
    operator.delete(&format!("/v1/proxy/policies/{id}")).ok();
    carried_out(&call(&operator, &session, "up.delete", &json!({})));
}

#[test]
fn an_allow_list_allows_exactly_what_it_names() {
    let (house, good, bad) =
        (House::new(), Upstream::new([tool("read"), tool("write"), tool("Read")]), Upstream::new([tool("read")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &good);
    let session = caller(&operator);
    add_policy(&operator, &json!({"type": "allow_list", "tools": ["read"]}));
    carried_out(&call(&operator, &session, "up.read", &json!({})));
    for name in ["up.write", "up.Read"] {
        blocked(&call(&operator, &session, name, &json!({})), "policy_denied");
    }
    // With two tools of one name, the name alone means neither.
    register(&operator, "evil", &bad);
    let told = blocked(&call(&operator, &session, "read", &json!({})), "unknown_tool");
    assert!(text(&told, "error").contains("evil__read, up__read"), "{told}");
    for name in ["evil.read", "up.read"] {
        blocked(&call(&operator, &session, name, &json!({})), "policy_denied");
    }
    // A name in full means that upstream's tool, never another's of that name.
    blocked(&call(&operator, &session, "evil.write", &json!({})), "unknown_tool");
    add_policy(&operator, &json!({"type": "deny_list", "tools": ["evil.*"]}));
    blocked(&call(&operator, &session, "evil.read", &json!({})), "policy_denied");
    assert_eq!((good.calls().len(), bad.calls().len()), (1, 0));
}

#[test]
fn a_policy_that_makes_no_sense_is_refused_and_not_kept() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    for (policy, field) in [
        (json!({"type": "block_tool"}), "tool"),
        (json!({"type": "block_tool", "tool": ""}), "tool"),
        (json!({"type": "block_tool", "tool": "x", "max": 1}), "max"),
        (json!({"type": "allow_list"}), "tools"),
        (json!({"type": "allow_list", "tools": []}), "tools"),
        (json!({"type": "deny_list", "tool": "x"}), "tool"),
        (json!({"type": "spend_limit"}), "max"),
        (json!({"type": "spend_limit", "max": -1}), "max"),
        (json!({"type": "spend_limit", "max": "100"}), "max"),
        (json!({"type": "rate_limit"}), "max_per_minute"),
        (json!({"type": "rate_limit", "max_per_minute": 0}), "max_per_minute"),
        (json!({"type": "rate_limit", "max_per_minute": 1.5}), "max_per_minute"),
        (json!({"type": "time_window", "start_hour": 9}), "end_hour"),
        (json!({"type": "time_window", "start_hour": 24, "end_hour": 3}), "start_hour"),
        (json!({"type": "time_window", "start_hour": 9, "end_hour": 9}), "end_hour"),
        (json!({"tool": "x"}), "type"),
    ] {
        operator.post("/v1/proxy/policies", &policy).refused_field(400, "invalid_argument", field);
    }
    let unknown = operator.post("/v1/proxy/policies", &json!({"type": "nonsense"})).refused(400, "invalid_argument");
    for valid in ["block_tool", "allow_list", "deny_list", "spend_limit", "rate_limit", "time_window", "cedar"] {
        assert!(text(&unknown, "error").contains(valid), "{unknown}");
    }
    assert_eq!(operator.get("/v1/proxy/policies").ok()["count"], 0);
}

#[test]
fn policies_upstreams_and_pins_hold_after_a_restart() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo"), tool("erase")]));
    let (server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = caller(&operator);
    add_policy(&operator, &json!({"type": "block_tool", "tool": "erase"}));
    let policies = operator.get("/v1/proxy/policies").ok();
    drop(server);
    let server = house.serve();
    let operator = server.with_key(operator.key());
    assert_eq!(operator.get("/v1/proxy/policies").ok(), policies);
    blocked(&call(&operator, &session, "up.erase", &json!({})), "policy_denied");
    carried_out(&call(&operator, &session, "up.echo", &json!({})));
    upstream.offer([described("echo", "does something else"), tool("erase")]);
    drop(server);
    let server = house.serve();
    let operator = server.with_key(operator.key());
    blocked(&call(&operator, &session, "up.echo", &json!({})), "tool_quarantined");
}

#[test]
fn four_processes_on_one_store_count_one_rate() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (first, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = caller(&operator);
    let servers = house.serve_several::<3>();
    let clients: Vec<_> = servers.iter().chain([&first]).map(|server| server.with_key(operator.key())).collect();
    add_policy(&clients[2], &json!({"type": "rate_limit", "max_per_minute": 10, "tool": "echo"}));
    let answers = at_once(4, |index| {
        let mut carried = 0;
        for _ in 0..8 {
            let answer = call(&clients[index], &session, "echo", &json!({}));
            if answer.status == 200 {
                carried += 1;
            } else {
                blocked(&answer, "policy_denied");
            }
        }
        carried
    });
    assert_eq!(answers.iter().sum::<i32>(), 10, "{answers:?}");
    // Another agent has a count of its own.
    let other = operator.session(&json!({"agent_id": "other", "scopes": ["execute"]}));
    carried_out(&call(&clients[0], &other, "echo", &json!({})));
    operator.verified();
}

#[test]
fn what_was_refused_burns_no_rate() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = caller(&operator);
    add_policy(&operator, &json!({"type": "rate_limit", "max_per_minute": 2}));
    add_policy(&operator, &json!({"type": "spend_limit", "max": 10}));
    for _ in 0..4 {
        blocked(&call(&operator, &session, "echo", &json!({"amount": 11})), "policy_denied");
    }
    for _ in 0..2 {
        carried_out(&call(&operator, &session, "echo", &json!({"amount": 10})));
    }
    blocked(&call(&operator, &session, "echo", &json!({})), "policy_denied");
}

#[test]
fn an_amount_passes_no_limit_under_another_name_or_form() {
    let (house, upstream) = (House::new(), Upstream::new([tool("pay")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = caller(&operator);
    add_policy(&operator, &json!({"type": "spend_limit", "max": 100}));
    for arguments in [
        r#"{"amount":100.000000001}"#, r#"{"amount":"nan"}"#, r#"{"amount":"inf"}"#, r#"{"amount":-500}"#,
        r#"{"Amount":"500"}"#, r#"{"total_price":500}"#, r#"{"x":500}"#, r#"{"amount":1e3}"#, r#"{"a":{"b":[500]}}"#,
    ] {
        let body = format!(r#"{{"session_id":"{session}","tool":"pay","arguments":{arguments}}}"#);
        blocked(&operator.post_text("/v1/proxy/call", &body), "policy_denied");
    }
    // Texts that one tool reads as an amount, and another one as another: under any name.
    for (name, amount) in ["EUR 100", "100$", "+100", "1,0", "1e1", "1_0", "0x1"]
        .map(|text| ("amount", text))
        .into_iter()
        .chain([("gift", "EUR 100"), ("gift", "500$"), ("gift", "+500"), ("gift", "1,000"), ("gift", "1e3")])
    {
        let said = blocked(&call(&operator, &session, "pay", &json!({name: amount})), "policy_denied");
        let why = text(&said, "error");
        assert!(
            why.contains(&format!("/{name} is no amount")) && why.contains("send a JSON number"),
            "{amount}: {why}"
        );
    }
    assert_eq!(upstream.calls().len(), 0);
    carried_out(&call(&operator, &session, "pay", &json!({"amount": 100, "id": 4711, "note": "500 thanks"})));
    carried_out(&call(&operator, &session, "pay", &json!({"amount": "99.50", "when": "2026-11-30"})));
}

#[test]
fn an_amount_that_cannot_be_read_needs_the_approval_that_a_large_one_needs() {
    let (house, upstream) = (House::new(), Upstream::new([tool("pay")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = caller(&operator);
    operator.post("/v1/approvals/rules", &json!({"type": "spend_over", "threshold": 100})).ok();
    carried_out(&call(&operator, &session, "pay", &json!({"amount": "99.50"})));
    for amount in [json!("EUR 5000"), json!("5,000"), json!("5e3"), json!(5_000)] {
        let told = carried_out(&call(&operator, &session, "pay", &json!({"amount": amount})));
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["status"], "approval_required", "{amount}: {told}");
    }
    assert_eq!(upstream.calls().len(), 1);
}

fn mark(operator: &Client, tool: &str, marks: &Value) -> Answer {
    let mut body = json!({"tool": tool});
    body.as_object_mut().unwrap().extend(marks.as_object().unwrap().clone());
    operator.send("PUT", "/v1/proxy/upstreams/up/marks", &[], &body.to_string())
}

#[test]
fn an_agent_that_has_read_from_a_source_calls_no_sink_without_approval() {
    let (house, upstream) = (House::new(), Upstream::new([tool("fetch"), tool("send"), tool("add")]));
    let (server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    mark(&operator, "fetch", &json!({"source": true})).ok();
    mark(&operator, "send", &json!({"sink": true})).ok();
    let (session, other) = (caller(&operator), caller(&operator));
    carried_out(&call(&operator, &session, "up.send", &json!({})));
    upstream.behave(Behaviour::Error(-1));
    call(&operator, &session, "up.fetch", &json!({})).ok();
    upstream.behave(Behaviour::Echo);
    drop(server);
    let server = house.serve();
    let operator = server.with_key(operator.key());
    let told = carried_out(&call(&operator, &session, "up.send", &json!({"to": "x"})));
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["status"], "approval_required", "{told}");
    assert!(text(&told, "reason").contains("up.fetch"), "{told}");
    carried_out(&call(&operator, &session, "up.add", &json!({})));
    assert_eq!(carried_out(&call(&operator, &other, "up.send", &json!({}))), "{}");
    operator.post(&format!("/v1/approvals/{}/approve", text(&told, "request_id")), &json!({})).ok();
    assert_eq!(carried_out(&call(&operator, &session, "up.send", &json!({"to": "x"}))), r#"{"to":"x"}"#);
}

#[test]
fn what_a_call_costs_is_taken_out_of_the_budget_before_it_leaves() {
    let (house, upstream) = (House::new(), Upstream::new([tool("buy")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    for (marks, field) in [(json!({"cost": -1}), "cost"), (json!({"cost_argument": "x"}), "cost_argument")] {
        mark(&operator, "buy", &marks).refused_field(400, "invalid_argument", field);
    }
    mark(&operator, "buy", &json!({"cost": 0.1, "cost_argument": "/price"})).ok();
    let parent = operator.session(&json!({"scopes": ["execute", "spend"], "spend_limit": 1}));
    let session = operator.session(&json!({"scopes": ["execute", "spend"], "parent_session_id": parent}));
    let spent = |id: &str| operator.get(&format!("/v1/sessions/{id}")).ok()["spent"].clone();
    carried_out(&call(&operator, &session, "buy", &json!({"price": 0.2})));
    assert_eq!((spent(&session), spent(&parent)), (json!(0.3), json!(0.3)));
    let told = blocked(&call(&operator, &session, "buy", &json!({"price": 0.7})), "budget_exceeded");
    assert_eq!(told["remaining_budget"], 0.7, "{told}");
    for arguments in [json!({}), json!({"price": "nan"}), json!({"price": true})] {
        blocked(&call(&operator, &session, "buy", &arguments), "budget_exceeded");
    }
    let without_spend = operator.session(&json!({"scopes": ["execute"]}));
    blocked(&call(&operator, &without_spend, "buy", &json!({"price": 0})), "scope_denied");
    upstream.behave(Behaviour::Status(500));
    assert_eq!(call(&operator, &session, "buy", &json!({"price": 0.2})).ok()["isError"], true);
    wait_for(&operator, "proxyCall.failed", 1);
    assert_eq!(spent(&session), json!(0.6), "a call that left is paid for, whatever its upstream says");
    upstream.behave(Behaviour::Echo);
    let carried = at_once(6, |_| call(&operator.again(), &session, "buy", &json!({"price": 0.1})).status == 200);
    assert_eq!(carried.iter().filter(|done| **done).count(), 2, "{carried:?}");
    assert_eq!(spent(&parent), json!(1));
    operator.verified();
}

#[test]
fn a_cost_that_the_result_tells_is_set_aside_before_the_call_and_settled_after() {
    let (house, upstream) = (House::new(), Upstream::new([tool("ask")]));
    let (server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    for (marks, field) in [
        (json!({"cost_result": "/price"}), "cost_max"),
        (json!({"cost_max": 1}), "cost_max"),
        (json!({"cost_result": "/price", "cost_max": -1}), "cost_max"),
        (json!({"cost_result": "price", "cost_max": 1}), "cost_result"),
    ] {
        mark(&operator, "ask", &marks).refused_field(400, "invalid_argument", field);
    }
    mark(&operator, "ask", &json!({"cost": 0.1, "cost_result": "/structuredContent/a/0/price", "cost_max": 0.5})).ok();
    let parent = operator.session(&json!({"scopes": ["execute", "spend"], "spend_limit": 10}));
    let session = operator.session(&json!({"scopes": ["execute", "spend"], "parent_session_id": parent}));
    let answers = |price: &Value| {
        let content = json!([{"type": "text", "text": "x"}]);
        upstream.behave(Behaviour::Result(json!({"content": content, "structuredContent": {"a": [{"price": price}]}})));
    };
    let (mut spent, mut done) = (0, 0);
    for (price, cost, flagged) in [
        (json!(0.25), 350, false),
        (json!(0), 100, false),
        (json!(0.5), 600, false),
        (json!("0.2"), 300, false),
        (json!(0.500_000_001), 600, true),
        (json!(-0.1), 600, true),
        (json!("nan"), 600, true),
        (json!(1e300), 600, true),
        (json!(true), 600, true),
        (Value::Null, 600, true),
    ] {
        answers(&price);
        carried_out(&call(&operator, &session, "ask", &json!({})));
        (spent, done) = (spent + cost, done + 1);
        let entry = wait_for(&operator, "proxyCall.ok", done).swap_remove(0);
        let said = entry["details"]["cost"].as_f64().unwrap();
        assert!((said * 1_000.0 - f64::from(cost)).abs() < 1e-6, "{price}: {entry}");
        assert_eq!(entry["flagged"], flagged, "{price}: {entry}");
        for id in [&session, &parent] {
            let shown = operator.get(&format!("/v1/sessions/{id}")).ok()["spent"].as_f64().unwrap();
            assert!((shown * 1_000.0 - f64::from(spent)).abs() < 1e-6, "{price}: {shown}");
        }
    }
    upstream.behave(Behaviour::Echo);
    carried_out(&call(&operator, &session, "ask", &json!({})));
    assert!(wait_for(&operator, "proxyCall.ok", done + 1)[0]["flag_reason"].as_str().unwrap().contains("no cost at"));
    upstream.behave(Behaviour::Status(500));
    call(&operator, &session, "ask", &json!({})).ok();
    wait_for(&operator, "proxyCall.failed", 1);
    let left = |id: &str| operator.get(&format!("/v1/sessions/{id}")).ok()["remaining_budget"].clone();
    assert_eq!(
        left(&parent),
        json!(3.85),
        "a call that left keeps all that was set aside, unless its result says less"
    );
    // What may be needed is needed before the call, in every process.
    let other = operator.session(&json!({"scopes": ["execute", "spend"], "spend_limit": 0.7}));
    answers(&json!(0.1));
    let second = house.serve();
    let clients = [server.with_key(operator.key()), second.with_key(operator.key())];
    carried_out(&call(&clients[0], &other, "ask", &json!({})));
    wait_for(&operator, "proxyCall.ok", done + 2);
    let told = blocked(&call(&clients[1], &other, "ask", &json!({})), "budget_exceeded");
    assert_eq!(told["remaining_budget"], 0.5, "{told}");
    operator.verified();
}

#[test]
fn a_policy_is_tried_on_the_calls_in_the_log_before_it_holds() {
    let (house, upstream) = (House::new(), Upstream::new([tool("pay"), tool("read")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = caller(&operator);
    for amount in [1, 20, 30] {
        carried_out(&call(&operator, &session, "pay", &json!({"amount": amount})));
    }
    carried_out(&call(&operator, &session, "read", &json!({})));
    let tested = |policy: Value| operator.post("/v1/proxy/policies/test", &policy).ok();
    let spend = tested(json!({"type": "spend_limit", "max": 10}));
    assert_eq!(
        (&spend["calls"], &spend["would_refuse"], &spend["were_made"]),
        (&json!(4), &json!(2), &json!(2)),
        "{spend}"
    );
    assert_eq!((&spend["refusals"][0]["tool"], &spend["refusals"][0]["was"]), (&json!("up.pay"), &json!("made")));
    assert_eq!(tested(json!({"type": "block_tool", "tool": "up.READ"}))["would_refuse"], 1);
    assert_eq!(tested(json!({"type": "rate_limit", "max_per_minute": 3}))["would_refuse"], 1);
    assert_eq!(tested(json!({"type": "time_window", "start_hour": 0, "end_hour": 24}))["would_refuse"], 0);
    operator
        .post("/v1/proxy/policies/test", &json!({"type": "spend_limit"}))
        .refused_field(400, "invalid_argument", "max");
    assert_eq!(operator.get("/v1/proxy/policies").ok()["count"], 0);
    // A policy on trial logs what it would refuse, and refuses nothing.
    add_policy(&operator, &json!({"type": "spend_limit", "max": 10, "dry_run": true}));
    carried_out(&call(&operator, &session, "pay", &json!({"amount": 50})));
    let trace = entries(&operator, "proxyCall.begin")[0]["details"]["trace"].clone();
    assert!(trace.to_string().contains("would_refuse"), "{trace}");
}
