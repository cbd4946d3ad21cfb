//! Approvals of proxied calls: every process that raises, polls, decides or uses one sees the same request.

use serde_json::Value;

use super::{call, caller, carried_out, entries, register};
use crate::support::{
    Client, House, Receiver, Server, at_once, json, text,
    upstream::{Upstream, tool},
};

#[track_caller]
fn held(client: &Client, session: &str, arguments: &Value) -> String {
    let told: Value = serde_json::from_str(&carried_out(&call(client, session, "up.wipe", arguments))).unwrap();
    assert_eq!(told["status"], "approval_required", "{told}");
    let message = text(&told, "message");
    let id = text(&told, "request_id");
    // What a model has to do next, and with what.
    for part in [id.as_str(), "repeat this call", "exactly the same arguments"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!text(&told, "reason").contains(&id), "the reason is the rule's alone: {told}");
    id
}

#[test]
fn a_request_of_a_proxied_call_is_polled_decided_and_redeemed_in_different_processes() {
    let (house, upstream) = (House::new(), Upstream::new([tool("wipe")]));
    let (first, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    operator.post("/v1/approvals/rules", &json!({"type": "tool_blocked", "tools": ["wipe"]})).ok();
    let agent = operator.mint(&json!({"role": "agent"}));
    let session = caller(&agent);
    let [second, third, fourth] = house.serve_several();
    let id = held(&second.with_key(agent.key()), &session, &json!({"n": 1}));
    let polled = std::thread::scope(|scope| {
        let polling = scope.spawn(|| third.with_key(agent.key()).get(&format!("/v1/approvals/{id}?wait=30")).ok());
        fourth.with_key(operator.key()).post(&format!("/v1/approvals/{id}/approve"), &json!({"note": "go"})).ok();
        polling.join().unwrap()
    });
    assert_eq!((&polled["status"], &polled["usable"]), (&json!("approved"), &json!(true)), "{polled}");
    assert!(upstream.calls().is_empty());
    let agents = [&first, &second, &third, &fourth].map(|server| server.with_key(agent.key()));
    let answers = at_once(4, |index| call(&agents[index], &session, "up.wipe", &json!({"n": 1})).ok());
    assert_eq!(upstream.calls().len(), 1, "{answers:?}");
    // Each step is an entry of this tenant, with its session and its actor.
    for (action, actor) in [("approval.request", &agent), ("approval.approve", &operator), ("approval.use", &agent)] {
        let of_it: Vec<_> =
            entries(&operator, action).into_iter().filter(|entry| entry["details"]["request_id"] == id).collect();
        assert_eq!(of_it.len(), 1, "{action}: {of_it:?}");
        assert_eq!((&of_it[0]["session_id"], &of_it[0]["actor"]), (&json!(session), &json!(actor.key()[..12])));
    }
    operator.verified();
}

#[test]
fn a_rule_holds_in_every_process_from_the_next_call_on_and_after_a_restart() {
    let (house, upstream) = (House::new(), Upstream::new([tool("wipe")]));
    let (first, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = caller(&operator);
    let second = house.serve();
    let there = second.with_key(operator.key());
    carried_out(&call(&there, &session, "up.wipe", &json!({})));
    let rule = json!({"type": "tool_blocked", "tools": ["wipe"], "operator_only": true});
    let rule = text(&operator.post("/v1/approvals/rules", &rule).json(), "rule_id");
    held(&there, &session, &json!({}));
    drop((first, second));
    let server = house.serve();
    let operator = server.with_key(operator.key());
    assert_eq!(operator.get("/v1/approvals/rules").ok()["rules"][0]["operator_only"], true);
    held(&operator, &session, &json!({}));
    operator.delete(&format!("/v1/approvals/rules/{rule}")).ok();
    carried_out(&call(&operator, &session, "up.wipe", &json!({})));
    assert_eq!(upstream.calls().len(), 2);
}

#[test]
fn a_request_of_a_proxied_call_is_told_to_webhooks_once() {
    let (house, upstream) = (House::new(), Upstream::new([tool("wipe")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    operator.post("/v1/approvals/rules", &json!({"type": "tool_blocked", "tools": ["wipe"]})).ok();
    let receiver = Receiver::new();
    operator.post("/v1/webhooks", &json!({"url": receiver.url(), "events": ["approval_requested"]})).ok();
    let session = caller(&operator);
    let id = held(&operator, &session, &json!({"n": 1}));
    assert_eq!(held(&operator, &session, &json!({"n": 1})), id);
    let other = held(&operator, &session, &json!({"n": 2}));
    let told = receiver.wait_for(2);
    let ids: Vec<_> = told.iter().map(|delivery| text(&delivery.json(), "request_id")).collect();
    assert_eq!(ids, [id, other]);
    let first = told[0].json();
    assert_eq!((&first["event"], &first["tool"]), (&json!("approval_requested"), &json!("up.wipe")), "{first}");
}

#[test]
fn no_key_of_another_tenant_sees_or_decides_a_request() {
    let (house, upstream) = (House::new(), Upstream::new([tool("wipe")]));
    let mut command = house.serving();
    command.env("HALDIR_BOOTSTRAP_TOKEN", "the operator's word");
    let server = Server::start(command);
    let key = || {
        let body = json!({"name": "k", "tier": "enterprise", "bootstrap_token": "the operator's word"});
        server.with_key(&text(&server.anonymous().post("/v1/keys", &body).ok(), "key"))
    };
    let (ours, theirs) = (key(), key());
    register(&ours, "up", &upstream);
    ours.post("/v1/approvals/rules", &json!({"type": "tool_blocked", "tools": ["wipe"]})).ok();
    let id = held(&ours, &caller(&ours), &json!({"n": 1}));
    theirs.get(&format!("/v1/approvals/{id}")).refused(404, "not_found");
    for (decision, body) in [("approve", json!({})), ("approve", json!({"arguments": {"n": 2}})), ("deny", json!({}))] {
        theirs.post(&format!("/v1/approvals/{id}/{decision}"), &body).refused(404, "not_found");
    }
    assert_eq!(ours.get(&format!("/v1/approvals/{id}")).ok()["status"], "pending");
}
