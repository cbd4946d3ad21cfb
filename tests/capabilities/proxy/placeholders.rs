//! What policies, costs and approvals look at is the call that its upstream reads: no name and no value that a secret holds
//! makes another one of it.

use serde_json::Value;

use super::{add_policy, blocked, call, carried_out, register};
use crate::support::{
    Answer, Client, House, json,
    program::{Lines, upstream_program},
    text,
    upstream::{Upstream, tool},
};

const BOTH: (&str, &str) = ("Accept", "application/json, text/event-stream");

fn store(client: &Client, session: &str, name: &str, value: &str) {
    let secret = json!({"name": name, "value": value, "upstreams": ["up"], "session_id": session});
    let answer = client.post("/v1/secrets", &secret);
    assert_eq!(answer.status, 201, "{}", answer.text);
}

fn spender(client: &Client) -> String {
    client.session(&json!({"scopes": ["execute", "read", "spend"], "spend_limit": 10}))
}

#[test]
fn twins_and_places_for_secrets_in_names_are_refused_on_every_way() {
    let (house, upstream) = (House::new(), Upstream::new([tool("pay")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let marks = json!({"tool": "pay", "cost_argument": "/amount_usd"}).to_string();
    operator.send("PUT", "/v1/proxy/upstreams/up/marks", &[], &marks).ok();
    let agent = operator.mint(&json!({"role": "agent", "max_spend": 50}));
    let session = spender(&agent);
    store(&agent, &session, "name", "amount_usd");
    let by_rest = |arguments: &str| {
        let body = format!(r#"{{"session_id":"{session}","tool":"up.pay","arguments":{arguments}}}"#);
        agent.post_text("/v1/proxy/call", &body).text
    };
    let by_mcp = |path: &str, tool: &str, arguments: &str| {
        let message = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
        );
        agent.send("POST", path, &[BOTH, ("X-Session-ID", session.as_str())], &message).text
    };
    let mut command = house.program();
    command.args(["wrap", "--name", "files", "--"]).arg(upstream_program()).arg("--stdio");
    let mut wrapped = Lines::begun(command);
    for (arguments, told) in [
        (r#"{"amount_usd":0,"{{secret:name}}":100}"#, "never in the name"),
        (r#"{"amount_usd":0,"x":[{"{{secret:name}}":100}]}"#, "never in the name"),
        (r#"{"amount_usd":0,"Amount_USD":100}"#, "different case"),
        (r#"{"x":{"cost":0,"coſt":100},"amount_usd":0}"#, "different case"),
    ] {
        let line = format!(
            r#"{{"jsonrpc":"2.0","id":"{told}","method":"tools/call","params":{{"name":"echo","arguments":{arguments}}}}}"#
        );
        wrapped.write(&line);
        for (way, answer) in [
            ("REST", by_rest(arguments)),
            ("/mcp", by_mcp("/mcp", "up__pay", arguments)),
            ("/mcp/up", by_mcp("/mcp/up", "pay", arguments)),
            ("wrap", wrapped.line()),
        ] {
            assert!(answer.contains(told), "{way} {arguments}: {answer}");
        }
    }
    assert!(upstream.calls().is_empty());
    assert_eq!(agent.get(&format!("/v1/sessions/{session}")).ok()["spent"], 0);
}

#[test]
fn a_secret_is_no_amount_that_a_policy_would_not_let_pass_as_written() {
    let (house, upstream) = (House::new(), Upstream::new([tool("pay")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let agent = operator.mint(&json!({"role": "agent", "max_spend": 50}));
    let session = spender(&agent);
    store(&agent, &session, "large", "100.00000");
    store(&agent, &session, "plain", "tok-12345678");
    let with = |name: &str| call(&agent, &session, "up.pay", &json!({"x": format!("{{{{secret:{name}}}}}")}));
    carried_out(&with("large"));
    add_policy(&operator, &json!({"type": "spend_limit", "max": 50}));
    let told = blocked(&with("large"), "policy_denied");
    assert!(!told.to_string().contains("100"), "the refusal tells the value: {told}");
    let mixed = json!({"x": "1{{secret:large}}"});
    blocked(&call(&agent, &session, "up.pay", &mixed), "policy_denied");
    carried_out(&with("plain"));
    assert_eq!(upstream.calls().len(), 2);
    let denied = &super::entries(&operator, "proxyCall.denied")[0];
    assert!(!denied.to_string().contains("100.0"), "{denied}");
}

/// The request that a call raises, and why.
#[track_caller]
fn held(answer: &Answer) -> (String, String) {
    let told: Value = serde_json::from_str(&carried_out(answer)).unwrap();
    assert_eq!(told["status"], "approval_required", "{told}");
    (text(&told, "request_id"), text(&told, "reason"))
}

#[test]
fn an_approval_is_for_the_secrets_as_they_were() {
    let (house, upstream) = (House::new(), Upstream::new([tool("send")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    operator.post("/v1/approvals/rules", &json!({"type": "tool_blocked", "tools": ["up.send"]})).ok();
    let agent = operator.mint(&json!({"role": "agent"}));
    let session = agent.session(&json!({"scopes": ["execute", "read"]}));
    store(&agent, &session, "to", "ann@example.com");
    let asked = json!({"to": "{{secret:to}}"});
    let send = || call(&agent, &session, "up.send", &asked);
    let approve = |id: &str, body: &Value| operator.post(&format!("/v1/approvals/{id}/approve"), body).ok();
    let (id, reason) = held(&send());
    assert!(reason.contains("to (version 1)"), "{reason}");
    approve(&id, &json!({}));
    store(&agent, &session, "to", "mallory@example.com");
    let (other, reason) = held(&send());
    assert!(other != id && reason.contains("to (version 2)"), "{reason}");
    approve(&other, &json!({}));
    carried_out(&send());
    assert!(upstream.calls()[0].body.contains("mallory@example.com"), "this one was approved");
    // What an operator has put in the arguments is for the values of then, too.
    let (third, _) = held(&call(&agent, &session, "up.send", &json!({"to": "x"})));
    approve(&third, &json!({"arguments": asked}));
    store(&agent, &session, "to", "eve@example.com");
    let (fourth, _) = held(&call(&agent, &session, "up.send", &json!({"to": "x"})));
    assert_ne!(fourth, third);
    assert_eq!(upstream.calls().len(), 1);
}
