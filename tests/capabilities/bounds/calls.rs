//! Calls of upstreams' tools: what they cost, and whose they count as.

use serde_json::Value;

use crate::{
    proxy::{add_policy, blocked, call, carried_out, entries, register, wait_for},
    support::{
        Client, House, json, text,
        upstream::{Behaviour, Upstream, tool},
    },
};

fn mark(operator: &Client, body: &Value) {
    operator.send("PUT", "/v1/proxy/upstreams/up/marks", &[], &body.to_string()).ok();
}

/// A call at `/mcp/up`, as a client without a protocol session makes it.
fn pass(client: &Client, session: &str, tool: &str) -> u16 {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {}}});
    let headers = [("Accept", "application/json, text/event-stream"), ("X-Session-ID", session)];
    client.send("POST", "/mcp/up", &headers, &message.to_string()).status
}

#[test]
fn a_call_that_left_is_paid_for_whatever_its_upstream_says() {
    let (house, upstream) = (House::new(), Upstream::new([tool("buy"), tool("limited")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    mark(&operator, &json!({"tool": "buy", "cost": 1}));
    let agent = operator.mint(&json!({"role": "agent"}));
    let behaviours = [
        Behaviour::Status(500),
        Behaviour::Status(503),
        Behaviour::Status(404),
        Behaviour::Error(-32_603),
        Behaviour::Error(-32_602),
        Behaviour::Result(json!({"content": [], "isError": true})),
        Behaviour::HangUp,
        Behaviour::Redirect("http://127.0.0.2:9/".to_owned()),
    ];
    for behaviour in &behaviours {
        for directly in [true, false] {
            let session = agent.session(&json!({"scopes": ["execute", "spend"], "spend_limit": 1}));
            let before = upstream.calls().len();
            upstream.behave(behaviour.clone());
            for _ in 0..3 {
                if directly {
                    pass(&agent, &session, "buy");
                } else {
                    call(&agent, &session, "up.buy", &json!({}));
                }
            }
            let made = upstream.calls().len() - before;
            assert_eq!(made, 1, "{behaviour:?}, at /mcp/up: {directly}: a budget for one call made {made}");
            upstream.behave(Behaviour::Echo);
            let shown = operator.get(&format!("/v1/sessions/{session}")).ok();
            assert_eq!(shown["spent"], 1, "{behaviour:?}, at /mcp/up: {directly}");
            carried_out(&call(&agent, &agent.session(&json!({"scopes": ["execute"]})), "up.limited", &json!({})));
        }
    }
    // What did not leave costs nothing.
    upstream.fail(Some(503));
    let session = agent.session(&json!({"scopes": ["execute", "spend"], "spend_limit": 1}));
    operator.delete("/v1/proxy/upstreams/up").ok();
    call(&agent, &session, "up.buy", &json!({}));
    assert_eq!(operator.get(&format!("/v1/sessions/{session}")).ok()["spent"], 0);
    operator.verified();
}

#[test]
fn a_call_that_left_counts_against_the_rate_whatever_its_upstream_says() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    add_policy(&operator, &json!({"type": "rate_limit", "max_per_minute": 3}));
    let session = operator.session(&json!({"scopes": ["execute"]}));
    for behaviour in
        [Behaviour::Status(500), Behaviour::Error(-32_000), Behaviour::Result(json!({"content": [], "isError": true}))]
    {
        upstream.behave(behaviour);
        assert_eq!(call(&operator, &session, "echo", &json!({})).ok()["isError"], true);
    }
    upstream.behave(Behaviour::Echo);
    blocked(&call(&operator, &session, "echo", &json!({})), "policy_denied");
    wait_for(&operator, "proxyCall.failed", 3);
}

#[test]
fn a_scope_for_one_tool_is_none_for_another_whose_name_begins_with_it() {
    let names = ["echo", "echo:danger", "echo:*", "*"];
    let (house, upstream) = (House::new(), Upstream::new(names.map(tool)));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = |scope: &str| operator.session(&json!({"scopes": [scope]}));
    let one = session("execute:up:echo");
    carried_out(&call(&operator, &one, "up.echo", &json!({})));
    for name in &names[1..] {
        let told = blocked(&call(&operator, &one, &format!("up.{name}"), &json!({})), "scope_denied");
        assert_eq!(told["required"], "execute:up:*", "{told}");
        for whole in ["execute", "execute:up", "execute:up:*"] {
            carried_out(&call(&operator, &session(whole), &format!("up.{name}"), &json!({})));
        }
    }
    assert!(pass(&operator, &one, "echo:danger") == 200 && upstream.calls().len() == 10, "it passed at /mcp/up");
}

#[test]
fn a_rate_counts_by_key_whatever_agents_and_sessions_it_is_used_for() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    add_policy(&operator, &json!({"type": "rate_limit", "max_per_minute": 5}));
    let (agent, other) = (operator.mint(&json!({"role": "agent"})), operator.mint(&json!({"role": "agent"})));
    let named = |client: &Client, name: String| client.session(&json!({"agent_id": name, "scopes": ["execute"]}));
    let carried = (0..12)
        .filter(|number| call(&agent, &named(&agent, format!("agent {number}")), "echo", &json!({})).status == 200);
    assert_eq!(carried.count(), 5);
    let refused = blocked(&call(&agent, &named(&agent, "fresh".into()), "echo", &json!({})), "policy_denied");
    assert!(text(&refused, "error").contains("key"), "{refused}");
    // Another key has a count of its own, unless it names an agent whose calls are used up.
    carried_out(&call(&other, &named(&other, "another".into()), "echo", &json!({})));
    assert_eq!(upstream.calls().len(), 6);
    let tested = operator.post("/v1/proxy/policies/test", &json!({"type": "rate_limit", "max_per_minute": 4})).ok();
    assert!(tested["would_refuse"].as_i64().unwrap() >= 1, "{tested}");
}

#[test]
fn what_one_session_has_read_is_held_against_all_of_its_key_and_its_tree() {
    let (house, upstream) = (House::new(), Upstream::new([tool("fetch"), tool("send")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    mark(&operator, &json!({"tool": "fetch", "source": true}));
    mark(&operator, &json!({"tool": "send", "sink": true}));
    let [reader, elsewhere, third] = [(); 3].map(|()| operator.mint(&json!({"role": "agent"})));
    let session = |client: &Client, more: Value| {
        let mut fields = json!({"scopes": ["execute"]});
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        client.session(&fields)
    };
    let held = |client: &Client, session: &str| {
        carried_out(&call(client, session, "up.send", &json!({}))).contains("approval_required")
    };
    let parent = session(&elsewhere, json!({}));
    let child = session(&elsewhere, json!({"parent_session_id": parent}));
    let sibling = session(&elsewhere, json!({"parent_session_id": parent}));
    let before = session(&reader, json!({}));
    assert!(!held(&reader, &before) && !held(&elsewhere, &child));
    carried_out(&call(&reader, &child, "up.fetch", &json!({})));
    // The same key in another session and under another name, as it was before and made since.
    assert!(held(&reader, &before) && held(&reader, &session(&reader, json!({"agent_id": "somebody else"}))));
    // The session itself, the one above it, and what lies below that, with any key.
    assert!(held(&elsewhere, &child) && held(&elsewhere, &parent) && held(&third, &sibling));
    assert!(held(&third, &session(&third, json!({"parent_session_id": child}))));
    assert!(!held(&third, &session(&third, json!({}))), "a stranger's session is tainted");
    assert!(!entries(&operator, "proxyCall.held").is_empty());
    operator.verified();
}

#[test]
fn a_schema_that_takes_too_long_delays_no_other_call_when_arguments_are_edited() {
    let levels: serde_json::Map<String, Value> = (0..40)
        .map(|level| {
            let below = json!({"$ref": format!("#/$defs/l{}", level + 1)});
            (format!("l{level}"), json!({"allOf": [below, below]}))
        })
        .chain([("l40".to_owned(), json!({"type": "object"}))])
        .collect();
    let mut slow = tool("slow");
    slow["inputSchema"] = json!({"type": "object", "$defs": levels, "allOf": [{"$ref": "#/$defs/l0"}]});
    let (house, upstream) = (House::new(), Upstream::new([slow]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    operator.post("/v1/approvals/rules", &json!({"type": "tool_blocked", "tools": ["slow"]})).ok();
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let told: Value = serde_json::from_str(&carried_out(&call(&operator, &session, "slow", &json!({"a": 1})))).unwrap();
    let path = format!("/v1/approvals/{}/approve", text(&told, "request_id"));
    let refused = operator.post(&path, &json!({"arguments": {"a": 2}}));
    refused.refused_field(400, "invalid_argument", "arguments");
    assert!(refused.text.contains("too many steps"), "{}", refused.text);
    // As it was asked it can be approved.
    operator.post(&path, &json!({})).ok();
    carried_out(&call(&operator, &session, "slow", &json!({"a": 1})));
}

#[test]
fn the_answers_kept_for_one_tenants_retries_have_a_bound() {
    let (house, upstream) = (House::new(), Upstream::new([tool("big")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    upstream.behave(Behaviour::Result(json!({"content": [{"type": "text", "text": "x".repeat(900_000)}]})));
    let body = json!({"session_id": session, "tool": "up.big", "arguments": {}}).to_string();
    let repeat = |key: usize| {
        let key = format!("key {key}");
        operator.send("POST", "/v1/proxy/call", &[("Idempotency-Key", key.as_str())], &body)
    };
    for key in 0..24 {
        assert_eq!(repeat(key).status, 200);
    }
    let made = upstream.calls().len();
    // The first ones are kept; the last ones are known to have been carried out, and are not carried out again.
    assert_eq!(repeat(0).status, 200);
    repeat(23).refused(409, "conflict");
    assert_eq!(upstream.calls().len(), made);
    let kept: i64 = house.sql_value("SELECT sum(length(body)) FROM idempotency");
    assert!(kept <= 16 * 1024 * 1024, "{kept}");
    let answers: i64 = house.sql_value("SELECT count(*) FROM idempotency");
    assert_eq!(house.sql_value::<i64>("SELECT answers FROM kept_answers"), answers);
    assert_eq!(house.sql_value::<i64>("SELECT bytes FROM kept_answers"), kept);
}
