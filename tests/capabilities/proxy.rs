//! Calls of upstream servers' tools: found, pinned, governed, carried out, and in the log whatever becomes of them.

mod approvals;
#[cfg(feature = "cedar")]
mod cedar;
mod edited;
mod placeholders;
mod policies;
mod processes;
mod servers;

use std::thread;

use serde_json::Value;

use crate::support::{
    Answer, Client, House, at_once, eventually, integer, json, text, until,
    upstream::{Behaviour, Upstream, described, tool},
};

#[track_caller]
pub fn register(operator: &Client, name: &str, upstream: &Upstream) -> Value {
    let answer = operator.post("/v1/proxy/upstreams", &json!({"name": name, "url": upstream.url()}));
    assert_eq!(answer.status, 201, "{}", answer.text);
    let made = answer.json();
    assert_eq!((&made["registered"], &made["name"]), (&json!(true), &json!(name)), "{made}");
    made
}

pub fn caller(client: &Client) -> String {
    client.session(&json!({"scopes": ["execute"]}))
}

pub fn call(client: &Client, session: &str, tool: &str, arguments: &Value) -> Answer {
    client.post("/v1/proxy/call", &json!({"session_id": session, "tool": tool, "arguments": arguments}))
}

/// The text of a result that is no error.
#[track_caller]
pub fn carried_out(answer: &Answer) -> String {
    let result = answer.ok();
    assert_eq!(result["isError"], false, "{result}");
    text(&result["content"][0], "text")
}

/// A refusal, as REST has it and as a tool's result.
#[track_caller]
pub fn blocked(answer: &Answer, code: &str) -> Value {
    let body = answer.refused(403, code);
    assert_eq!(body["isError"], true, "{body}");
    let told: Value = serde_json::from_str(&text(&body["content"][0], "text")).unwrap();
    assert_eq!((&told["blocked_by"], &told["error"]), (&json!("haldir"), &body["error"]), "{body}");
    body
}

#[track_caller]
pub fn add_policy(operator: &Client, policy: &Value) -> String {
    let answer = operator.post("/v1/proxy/policies", policy);
    assert_eq!(answer.status, 201, "{}", answer.text);
    text(&answer.json(), "policy_id")
}

/// Entries of these actions, newest first.
pub fn entries(operator: &Client, action: &str) -> Vec<Value> {
    let trail = operator.get("/v1/audit?limit=1000").ok();
    trail["entries"].as_array().unwrap().iter().filter(|entry| entry["action"] == action).cloned().collect()
}

/// Waits for what is written soon after the answer.
#[track_caller]
pub fn wait_for(operator: &Client, action: &str, count: usize) -> Vec<Value> {
    eventually(&format!("{action} is there {count} times"), || {
        let found = entries(operator, action);
        (found.len() >= count).then_some(found)
    })
}

#[test]
fn a_tool_is_found_listed_and_called_by_both_its_names() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo"), tool("erase")]));
    let (_server, operator) = house.serve_operator();
    let made = register(&operator, "up", &upstream);
    assert_eq!((&made["healthy"], &made["tools_discovered"]), (&json!(true), &json!(2)), "{made}");
    assert_eq!(made["tool_names"], json!(["up.echo", "up.erase"]));
    let agent = operator.mint(&json!({"role": "agent"}));
    let listed = agent.get("/v1/proxy/tools").ok();
    let echo = &listed["tools"][0];
    assert_eq!((&listed["count"], &echo["name"], &echo["upstream"]), (&json!(2), &json!("up__echo"), &json!("up")));
    assert_eq!((&echo["description"], &echo["inputSchema"]), (&json!("does echo"), &json!({"type": "object"})));
    let session = caller(&agent);
    for name in ["up.echo", "echo"] {
        assert_eq!(carried_out(&call(&agent, &session, name, &json!({"word": "mellon"}))), r#"{"word":"mellon"}"#);
    }
    wait_for(&operator, "proxyCall.ok", 2);
    let stats = &operator.get("/v1/proxy/upstreams").ok()["upstreams"]["up"];
    assert_eq!(
        (&stats["healthy"], &stats["tools"], &stats["total_calls"]),
        (&json!(true), &json!(2), &json!(2)),
        "{stats}"
    );
    assert_eq!((&stats["total_errors"], &stats["url"]), (&json!(0), &json!(upstream.url())), "{stats}");
    let begun = &entries(&operator, "proxyCall.begin")[0];
    assert_eq!((&begun["tool"], &begun["agent_id"]), (&json!("up.echo"), &json!("tester")), "{begun}");
    let steps: Vec<_> = begun["details"]["trace"].as_array().unwrap().iter().map(|step| text(step, "step")).collect();
    assert_eq!(steps, ["session", "tool", "scope", "approval"], "{begun}");
    operator.verified();
}

#[test]
fn arguments_and_results_pass_exactly_as_they_were_written() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = caller(&operator);
    let arguments = r#"{"z":1.10,"a":123456789012345678901234567890,"s":"\u00e9\/"}"#;
    let body = format!(r#"{{"session_id":"{session}","tool":"up.echo","arguments":{arguments}}}"#);
    operator.post_text("/v1/proxy/call", &body).ok();
    assert!(upstream.calls()[0].body.contains(arguments), "{:?}", upstream.calls()[0].body);
    let result = json!({"content": [{"type": "image", "data": "aGk=", "mimeType": "image/png"}], "isError": false,
        "structuredContent": {"deep": [1, {"x": null}]}, "_meta": {"k": 1}});
    upstream.behave(Behaviour::Result(result.clone()));
    assert_eq!(call(&operator, &session, "echo", &json!({})).ok(), result);
    upstream.behave(Behaviour::Events);
    assert_eq!(carried_out(&call(&operator, &session, "echo", &json!({}))), "streamed");
    // What two readers could read in two ways is refused.
    let twice = format!(r#"{{"session_id":"{session}","tool":"up.echo","arguments":{{"amount":1,"amount":2}}}}"#);
    operator.post_text("/v1/proxy/call", &twice).refused_field(400, "invalid_argument", "arguments");
}

#[test]
fn a_caller_without_permission_does_not_call_and_the_log_says_so() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let reader = operator.session(&json!({"scopes": ["read", "browse", "spend"]}));
    let refusal = blocked(&call(&operator, &reader, "up.echo", &json!({})), "scope_denied");
    assert_eq!(refusal["required"], "execute:up:echo");
    for scope in ["execute:other", "execute:up:other", "executes", "up", "echo"] {
        let session = operator.session(&json!({"scopes": [scope]}));
        blocked(&call(&operator, &session, "echo", &json!({})), "scope_denied");
    }
    call(&operator, "ses_unknown", "up.echo", &json!({})).refused(401, "session_invalid");
    let revoked = caller(&operator);
    operator.delete(&format!("/v1/sessions/{revoked}")).ok();
    call(&operator, &revoked, "up.echo", &json!({})).refused(401, "session_invalid");
    let session = caller(&operator);
    for name in ["up.unknown", "unknown", "UP.echo", "up.ECHO", "Echo", "up", "up.", ".echo", "e\u{441}ho", "down.echo"]
    {
        let told = blocked(&call(&operator, &session, name, &json!({})), "unknown_tool");
        assert!(text(&told, "error").contains("Unknown tool"), "{told}");
    }
    assert_eq!(upstream.calls().len(), 0, "a call left");
    let denied = entries(&operator, "proxyCall.denied");
    assert_eq!(denied.len(), 18);
    assert_eq!(denied[0]["details"]["trace"][1]["ok"], false, "{}", denied[0]);
    // Narrower scopes hold what they name.
    for scope in ["execute:up", "execute:up:echo", "execute:*", "*"] {
        let session = operator.session(&json!({"scopes": [scope]}));
        carried_out(&call(&operator, &session, "up.echo", &json!({})));
    }
    let key = operator.mint(&json!({"role": "agent", "scopes": ["sessions:write", "proxy:read"]}));
    let refused = call(&key, &session, "up.echo", &json!({}));
    assert_eq!(refused.refused(403, "insufficient_scope")["isError"], true);
    let agent = operator.mint(&json!({"role": "agent"}));
    agent.post("/v1/proxy/upstreams", &json!({"name": "x", "url": upstream.url()})).refused(403, "operator_required");
    agent.post("/v1/proxy/policies", &json!({"type": "block_tool", "tool": "x"})).refused(403, "operator_required");
    agent.delete("/v1/proxy/upstreams/up").refused(403, "operator_required");
    agent.post("/v1/proxy/upstreams/up/accept", &json!({})).refused(403, "operator_required");
    operator.verified();
}

#[test]
fn no_key_sees_or_calls_what_another_tenant_has() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let mut command = house.serving();
    command.env("HALDIR_BOOTSTRAP_TOKEN", "the operator's word");
    let server = crate::support::Server::start(command);
    let key = || {
        let body = json!({"name": "k", "tier": "enterprise", "bootstrap_token": "the operator's word"});
        server.with_key(&text(&server.anonymous().post("/v1/keys", &body).ok(), "key"))
    };
    let (ours, theirs) = (key(), key());
    register(&ours, "up", &upstream);
    add_policy(&ours, &json!({"type": "block_tool", "tool": "echo"}));
    assert_eq!(theirs.get("/v1/proxy/upstreams").ok()["upstreams"], json!({}));
    assert_eq!(theirs.get("/v1/proxy/policies").ok()["count"], 0);
    blocked(&call(&theirs, &caller(&theirs), "up.echo", &json!({})), "unknown_tool");
    // The same name is another upstream for them, and takes nothing over.
    let other = Upstream::new([tool("echo"), tool("more")]);
    register(&theirs, "up", &other);
    carried_out(&call(&theirs, &caller(&theirs), "up.echo", &json!({})));
    assert_eq!((upstream.calls().len(), other.calls().len()), (0, 1));
    assert_eq!(ours.get("/v1/proxy/upstreams").ok()["upstreams"]["up"]["url"], upstream.url());
    theirs.delete("/v1/proxy/upstreams/up").ok();
    assert_eq!(ours.get("/v1/proxy/tools").ok()["count"], 1);
}

#[test]
fn a_call_that_needs_approval_waits_for_it_and_is_made_once() {
    let (house, upstream) =
        (House::new(), Upstream::new([tool("wipe"), json!({"name": "drop", "inputSchema": {"type": "object"}})]));
    let (server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let agent = operator.mint(&json!({"role": "agent"}));
    let session = caller(&agent);
    for rule in [json!({"type": "tool_blocked", "tools": ["WIPE"]}), json!({"type": "destructive"})] {
        assert_eq!(operator.post("/v1/approvals/rules", &rule).status, 201);
    }
    let held = |client: &Client, session: &str, name: &str, arguments: &Value| {
        let told: Value = serde_json::from_str(&carried_out(&call(client, session, name, arguments))).unwrap();
        assert_eq!(told["status"], "approval_required", "{told}");
        assert!(!text(&told, "reason").is_empty() && !text(&told, "message").is_empty(), "{told}");
        text(&told, "request_id")
    };
    let asked = json!({"path": "/a", "n": 1.50});
    let id = held(&agent, &session, "up.wipe", &asked);
    // The same call, also by its other name and in another order of members, is the same request.
    assert_eq!(held(&agent, &session, "wipe", &json!({"n": 1.50, "path": "/a"})), id);
    let shown = operator.get(&format!("/v1/approvals/{id}")).ok();
    assert_eq!((&shown["tool"], &shown["details"]), (&json!("up.wipe"), &asked), "{shown}");
    agent.post(&format!("/v1/approvals/{id}/approve"), &json!({})).refused(403, "operator_required");
    // Another process, another connection: the store alone remembers.
    drop(server);
    let server = house.serve();
    let (operator, agent) = (server.with_key(operator.key()), server.with_key(agent.key()));
    operator.post(&format!("/v1/approvals/{id}/approve"), &json!({})).ok();
    let changed = held(&agent, &session, "up.wipe", &json!({"path": "/b", "n": 1.50}));
    let elsewhere = held(&agent, &caller(&agent), "up.wipe", &asked);
    assert!(changed != id && elsewhere != id && changed != elsewhere);
    assert_eq!(upstream.calls().len(), 0, "a call left without its approval");
    carried_out(&call(&agent, &session, "up.wipe", &asked));
    assert_ne!(held(&agent, &session, "up.wipe", &asked), id, "an approval served twice");
    assert_eq!(upstream.calls().len(), 1);
    // No annotation says that this one is harmless.
    let drop_id = held(&agent, &session, "up.drop", &json!({}));
    operator.post(&format!("/v1/approvals/{drop_id}/deny"), &json!({"note": "never"})).ok();
    let told = blocked(&call(&agent, &session, "up.drop", &json!({})), "approval_invalid");
    assert!(text(&told, "error").contains("never"), "{told}");
    operator.verified();
}

#[test]
fn the_model_never_sees_a_secret_that_is_put_into_its_call() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let value = "t0p\"s3cret/value and more";
    let store = |name: &str, upstreams: Value| {
        let body = json!({"name": name, "value": value, "disclosure": "inject", "upstreams": upstreams, "scope_required": "execute"});
        assert_eq!(operator.post("/v1/secrets", &body).status, 201);
    };
    store("key", json!(["up"]));
    store("private", json!([]));
    store("others", json!(["down"]));
    let session = caller(&operator);
    let arguments = json!({"auth": "Bearer {{secret:key}}", "n": 1});
    let answer = call(&operator, &session, "up.echo", &arguments);
    let sent = upstream.calls()[0].json();
    assert_eq!(sent["params"]["arguments"]["auth"], format!("Bearer {value}"), "{sent}");
    assert!(!answer.text.contains("s3cret") && answer.text.contains("[redacted: key]"), "{}", answer.text);
    let split = json!({"content": [{"type": "text", "text": "it is t0p\"s3c"}, {"type": "text", "text": "ret/value and more"}]});
    upstream.behave(Behaviour::Result(split));
    let answer = call(&operator, &session, "up.echo", &arguments);
    assert!(!answer.text.contains("s3c") && !answer.text.contains("value and"), "{}", answer.text);
    for name in ["private", "others", "unknown"] {
        let arguments = json!({"auth": format!("{{{{secret:{name}}}}}")});
        blocked(&call(&operator, &session, "up.echo", &arguments), "secret_denied");
    }
    let narrow = operator.session(&json!({"scopes": ["execute:up"]}));
    blocked(&call(&operator, &narrow, "up.echo", &arguments), "scope_denied");
    assert_eq!(upstream.calls().len(), 2);
    assert_eq!(entries(&operator, "secret.inject").len(), 2);
    for (file, bytes) in house.stored_bytes() {
        let found = bytes.windows(6).any(|window| window == b"s3cret");
        assert!(!found, "the value lies in {file}");
    }
    // Another process, a new version: from the next call on.
    let other = house.serve();
    let body = json!({"name": "key", "value": "another-1", "upstreams": ["up"], "scope_required": "execute"});
    other.with_key(operator.key()).post("/v1/secrets", &body).ok();
    call(&operator, &session, "up.echo", &arguments).ok();
    assert!(upstream.calls()[2].body.contains("Bearer another"), "{:?}", upstream.calls()[2]);
    let trail = operator.get("/v1/audit?limit=100").text;
    assert!(!trail.contains("s3cret") && trail.contains("{{secret:key}}"), "{trail}");
}

#[test]
fn a_credential_in_a_header_comes_from_the_vault_and_does_not_come_back() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    let body = json!({"name": "token", "value": "hdr-s3cret-1", "disclosure": "inject", "upstreams": ["up"]});
    operator.post("/v1/secrets", &body).ok();
    let add = |name: &str, headers: Value| {
        operator.post("/v1/proxy/upstreams", &json!({"name": name, "url": upstream.url(), "headers": headers}))
    };
    for headers in
        [json!({"Authorization": "Bearer plain"}), json!({"Host": "x"}), json!({"a b": "x"}), json!({"x": "a\nb"})]
    {
        add("up", headers).refused_field(400, "invalid_argument", "headers");
    }
    let made = add("other", json!({"Authorization": "Bearer {{secret:token}}"})).ok();
    assert_eq!(made["healthy"], false, "a secret went to an upstream that it does not allow: {made}");
    assert_eq!(upstream.asked().len(), 0);
    let made = add("up", json!({"Authorization": "Bearer {{secret:token}}"})).ok();
    assert_eq!(made["healthy"], true, "{made}");
    assert!(upstream.asked().iter().all(|asked| asked.header("authorization") == "Bearer hdr-s3cret-1"));
    upstream.behave(Behaviour::Result(json!({"content": [{"type": "text", "text": "you sent hdr-s3cret-1"}]})));
    let answer = call(&operator, &caller(&operator), "up.echo", &json!({}));
    assert!(answer.text.contains("[redacted: token]") && !answer.text.contains("s3cret"), "{}", answer.text);
    assert!(!operator.get("/v1/proxy/upstreams").text.contains("s3cret"));
}

#[test]
fn a_call_that_a_crash_left_open_is_closed_as_unknown() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (mut server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = caller(&operator);
    upstream.behave(Behaviour::Held);
    let (agent, of) = (operator.again(), session.clone());
    let caller = thread::spawn(move || {
        let body = json!({"session_id": of, "tool": "up.echo"}).to_string();
        agent.try_send("POST", "/v1/proxy/call", &[("Idempotency-Key", "once")], &body).is_err()
    });
    until("the call arrives", || !upstream.calls().is_empty());
    server.process.kill();
    assert!(caller.join().unwrap(), "the caller was answered");
    upstream.behave(Behaviour::Echo);
    let server = house.serve();
    let operator = server.with_key(operator.key());
    assert_eq!(entries(&operator, "proxyCall.begin").len(), 1, "what was about to be done is not in the log");
    let unknown = &wait_for(&operator, "proxyCall.unknown", 1)[0];
    assert_eq!((&unknown["tool"], &unknown["session_id"]), (&json!("up.echo"), &json!(session)), "{unknown}");
    // Its retry is not carried out: it is unknown whether the first call was.
    let body = json!({"session_id": session, "tool": "up.echo"}).to_string();
    operator.send("POST", "/v1/proxy/call", &[("Idempotency-Key", "once")], &body).refused(409, "conflict");
    assert_eq!(upstream.calls().len(), 1);
    assert_eq!(integer(&operator.get("/v1/proxy/upstreams").ok()["upstreams"]["up"], "total_errors"), 1);
    operator.verified();
}

#[test]
fn a_repetition_with_the_same_key_is_answered_and_not_carried_out() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = caller(&operator);
    let send = |client: &Client, n: i32| {
        let body = json!({"session_id": session, "tool": "up.echo", "arguments": {"n": n}}).to_string();
        client.send("POST", "/v1/proxy/call", &[("Idempotency-Key", "k")], &body)
    };
    let first = send(&operator, 1).ok();
    assert_eq!(send(&operator, 1).ok(), first);
    send(&operator, 2).refused(422, "idempotency_mismatch");
    assert_eq!(upstream.calls().len(), 1);
    let body = json!({"session_id": session, "tool": "up.echo", "arguments": {"n": 3}}).to_string();
    let answers =
        at_once(8, |_| operator.again().send("POST", "/v1/proxy/call", &[("Idempotency-Key", "race")], &body).status);
    assert!(answers.contains(&200) && answers.iter().all(|status| matches!(status, 200 | 409)), "{answers:?}");
    assert_eq!(upstream.calls().len(), 2);
}

#[test]
fn a_refused_call_is_told_to_webhooks() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let receiver = crate::support::Receiver::new();
    operator.post("/v1/webhooks", &json!({"url": receiver.url(), "events": ["policy_denied", "anomaly"]})).ok();
    add_policy(&operator, &json!({"type": "block_tool", "tool": "echo"}));
    let session = caller(&operator);
    blocked(&call(&operator, &session, "up.echo", &json!({})), "policy_denied");
    let told = receiver.wait_for(1)[0].json();
    assert_eq!((&told["event"], &told["tool"]), (&json!("policy_denied"), &json!("up.echo")), "{told}");
    assert_eq!((&told["step"], &told["session_id"]), (&json!("policy"), &json!(session)), "{told}");
    assert!(text(&told, "rule").starts_with("block_tool pol_"), "{told}");
    upstream.offer([described("echo", "something else")]);
    register(&operator, "up", &upstream);
    let told = receiver.wait_for(2)[1].json();
    assert_eq!((&told["event"], &told["tool"]), (&json!("anomaly"), &json!("up.echo")), "{told}");
}

#[test]
fn a_burst_of_calls_and_repeated_refusals_are_flagged() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    std::fs::write(house.folder().join("c.toml"), "[anomalies]\nburst_actions = 3\nrefusals = 2\n").unwrap();
    let mut command = house.serving();
    command.env("HALDIR_CONFIG", house.folder().join("c.toml"));
    let server = crate::support::Server::start(command);
    let operator = server.first_key();
    register(&operator, "up", &upstream);
    let session = caller(&operator);
    for _ in 0..4 {
        carried_out(&call(&operator, &session, "echo", &json!({})));
    }
    let begun = entries(&operator, "proxyCall.begin");
    assert!(text(&begun[0], "flag_reason").contains("burst of actions: 4"), "{}", begun[0]);
    assert!(begun[1..].iter().all(|entry| entry["flagged"] == false));
    for _ in 0..2 {
        blocked(&call(&operator, &session, "unknown", &json!({})), "unknown_tool");
    }
    let denied = entries(&operator, "proxyCall.denied");
    assert!(text(&denied[0], "flag_reason").contains("repeated refusals"), "{}", denied[0]);
}
