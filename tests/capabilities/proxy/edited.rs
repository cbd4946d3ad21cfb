//! An operator may change the arguments of a call that they approve: the changed call passes everything again, is made
//! once when the agent repeats what it asked for, and the agent is told.

use serde_json::Value;

use super::{add_policy, blocked, call, caller, carried_out, entries, register};
use crate::support::{
    Answer, Client, House, Server, at_once, json, refusal_in, text,
    upstream::{Behaviour, Upstream},
};

fn mail() -> Value {
    json!({
        "name": "send", "description": "sends a mail", "annotations": {"readOnlyHint": true},
        "inputSchema": {
            "type": "object", "required": ["to"], "additionalProperties": false,
            "properties": {"to": {"type": "string"}, "amount": {"type": "number"}, "body": {"type": "string"}},
        },
    })
}

/// A server whose one tool needs an approval, and an agent with its session.
struct Setting {
    house: House,
    upstream: Upstream,
    server: Server,
    operator: Client,
    agent: Client,
    session: String,
}

fn setting() -> Setting {
    let (house, upstream) = (House::new(), Upstream::new([mail()]));
    let (server, operator) = house.serve_operator();
    register(&operator, "post", &upstream);
    let agent = operator.mint(&json!({"role": "agent"}));
    let session = caller(&agent);
    let rule = json!({"type": "tool_blocked", "tools": ["send"]});
    assert_eq!(operator.post("/v1/approvals/rules", &rule).status, 201);
    Setting { house, upstream, server, operator, agent, session }
}

impl Setting {
    /// The request that this call raises.
    #[track_caller]
    fn held(&self, arguments: &Value) -> String {
        let told = carried_out(&call(&self.agent, &self.session, "post.send", arguments));
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["status"], "approval_required", "{told}");
        text(&told, "request_id")
    }

    fn approve(&self, id: &str, arguments: &Value) -> Answer {
        self.operator.post(&format!("/v1/approvals/{id}/approve"), &json!({"arguments": arguments, "note": "safer"}))
    }
}

#[test]
fn the_changed_call_is_made_once_and_the_agent_is_told_what_was_changed() {
    let setting = setting();
    let asked = json!({"to": "everyone@example.com", "body": "hello", "amount": 1});
    let id = setting.held(&asked);
    let edited = json!({"to": "ann@example.com", "body": "hello"});
    setting.approve(&id, &edited).ok();
    let shown = setting.agent.get(&format!("/v1/approvals/{id}")).ok();
    assert_eq!((&shown["arguments"], &shown["changed"]), (&edited, &json!(["amount", "to"])), "{shown}");
    assert_eq!(shown["details"], asked, "what was asked stays as it was");

    let result = call(&setting.agent, &setting.session, "send", &asked).ok();
    let told = &result["_meta"]["io.haldir/edited_arguments"];
    assert_eq!((&told["request_id"], &told["changed"]), (&json!(id), &json!(["amount", "to"])), "{result}");
    let sent: Value = serde_json::from_str(&text(&result["content"][0], "text")).unwrap();
    assert_eq!(sent, edited, "{result}");
    let said = text(&result["content"][1], "text");
    assert!(said.contains("amount, to") && said.contains("safer"), "{said}");

    let decided = &entries(&setting.operator, "approval.approve")[0]["details"]["edited"];
    assert_eq!((&decided["arguments"], &decided["changed"]), (&edited, &json!(["amount", "to"])), "{decided}");
    let began = &entries(&setting.operator, "proxyCall.begin")[0]["details"];
    assert_eq!((&began["arguments"], &began["arguments_digest"]), (&edited, &decided["arguments_digest"]), "{began}");
    let step = began["trace"].as_array().unwrap().iter().find(|step| step["step"] == "edited").unwrap();
    assert_eq!(step["saw"]["request_id"], id, "{began}");
    assert_ne!(setting.held(&asked), id, "the changed call was made twice");
    assert_eq!(setting.upstream.calls().len(), 1);
    setting.operator.verified();
}

#[test]
fn a_changed_call_is_made_once_by_four_processes_after_a_restart() {
    let setting = setting();
    let asked = json!({"to": "everyone@example.com"});
    let id = setting.held(&asked);
    setting.approve(&id, &json!({"to": "ann@example.com"})).ok();
    drop(setting.server);
    let servers = setting.house.serve_several::<4>();
    let agents: Vec<_> = servers.iter().map(|server| server.with_key(setting.agent.key())).collect();
    at_once(4, |index| drop(call(&agents[index], &setting.session, "post.send", &asked).ok()));
    let calls = setting.upstream.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!(calls[0].json()["params"]["arguments"], json!({"to": "ann@example.com"}));
}

#[test]
fn the_changed_call_passes_policies_budget_and_secrets_again_and_a_refusal_does_not_use_it_up() {
    let setting = setting();
    let asked = json!({"to": "everyone@example.com", "amount": 5});
    let secret = |upstream: &str| {
        let secret = json!({"name": "address", "value": "ann@example.com", "scope_required": "execute",
            "upstreams": [upstream]});
        assert_eq!(setting.operator.post("/v1/secrets", &secret).status, 201);
    };
    secret("other");
    let id = setting.held(&asked);
    let edited = json!({"to": "{{secret:address}}", "amount": 500});
    setting.approve(&id, &edited).ok();
    let policy = add_policy(&setting.operator, &json!({"type": "spend_limit", "max": 100}));
    let told = blocked(&call(&setting.agent, &setting.session, "post.send", &asked), "policy_denied");
    assert!(text(&told, "error").contains("100"), "{told}");
    setting.operator.delete(&format!("/v1/proxy/policies/{policy}")).ok();
    // A secret that may not go there.
    blocked(&call(&setting.agent, &setting.session, "post.send", &asked), "secret_denied");
    assert_eq!(setting.upstream.calls().len(), 0);
    // Once it may, it is another one than the operator approved.
    secret("post");
    let again = setting.held(&asked);
    assert_ne!(again, id);
    setting.approve(&again, &edited).ok();
    let result = call(&setting.agent, &setting.session, "post.send", &asked).ok();
    let sent = setting.upstream.calls()[0].json()["params"]["arguments"].clone();
    assert_eq!(sent, json!({"to": "ann@example.com", "amount": 500}), "{result}");
    assert!(!result.to_string().contains("ann@example.com"), "{result}");
}

#[test]
fn arguments_that_the_tool_does_not_take_are_refused_and_decide_nothing() {
    let setting = setting();
    let id = setting.held(&json!({"to": "a@example.com"}));
    for (arguments, why) in [
        (json!({"to": 7}), "string"),
        (json!({"body": "x"}), "to"),
        (json!({"to": "b@example.com", "bcc": "c@example.com"}), "bcc"),
        (json!([1]), "object"),
        (json!("text"), "object"),
    ] {
        let told = setting.approve(&id, &arguments).refused(400, "invalid_argument");
        assert_eq!(told["field"], "arguments", "{told}");
        assert!(text(&told, "error").contains(why), "{told}");
    }
    let twice = r#"{"arguments": {"to": "b@example.com", "to": "c@example.com"}}"#;
    assert_eq!(setting.operator.post_text(&format!("/v1/approvals/{id}/approve"), twice).status, 400);
    setting
        .agent
        .post(&format!("/v1/approvals/{id}/approve"), &json!({"arguments": {"to": "b@example.com"}}))
        .refused(403, "operator_required");
    assert_eq!(setting.operator.get(&format!("/v1/approvals/{id}")).ok()["status"], "pending");
    // What is no call of a tool has no arguments to change.
    let payment = json!({"session_id": setting.session, "tool": "authorizePayment", "action": "x", "amount": 1});
    let payment = text(&setting.agent.post("/v1/approvals/request", &payment).json(), "request_id");
    setting.approve(&payment, &json!({"to": "b"})).refused(400, "invalid_argument");
    // Just what was asked for is no change.
    setting.approve(&id, &json!({"to": "a@example.com"})).ok();
    let result = call(&setting.agent, &setting.session, "post.send", &json!({"to": "a@example.com"})).ok();
    assert!(result["_meta"].is_null() && result["content"].as_array().unwrap().len() == 1, "{result}");
}

#[test]
fn an_error_of_the_changed_call_says_so_too() {
    let setting = setting();
    let asked = json!({"to": "a@example.com"});
    let id = setting.held(&asked);
    setting.approve(&id, &json!({"to": "b@example.com"})).ok();
    setting.upstream.behave(Behaviour::Error(-32_050));
    let result = call(&setting.agent, &setting.session, "post.send", &asked).ok();
    assert_eq!(result["isError"], true, "{result}");
    assert!(text(&result["content"][0], "text").contains("with changes to: to"), "{result}");
}

#[test]
fn arguments_are_changed_from_the_terminal_too() {
    let setting = setting();
    let asked = json!({"to": "everyone@example.com", "amount": 1.5});
    let id = setting.held(&asked);
    let refused = setting.house.terminal(&["approvals", "approve", &id, "--arguments", "{\"to\": 7}"]);
    assert!(refused.0 == 2 && refused.2.contains("the tool does not take"), "{refused:?}");
    let file = setting.house.folder().join("edited.json");
    std::fs::write(&file, "{\"to\": \"ann@example.com\", \"amount\": 0.10}\n").unwrap();
    let file = format!("@{}", file.display());
    let approved = setting.house.terminal(&["approvals", "approve", &id, "--arguments", &file]);
    assert!(approved.0 == 0 && approved.1.starts_with(&format!("approved {id}\n")), "{approved:?}");
    assert!(approved.1.contains("once, with the arguments that you changed"), "{approved:?}");
    let shown = setting.house.terminal(&["approvals", "show", &id]).1;
    assert!(shown.contains("ann@example.com") && shown.contains("amount, to"), "{shown}");
    call(&setting.agent, &setting.session, "post.send", &asked).ok();
    let body = &setting.upstream.calls()[0].body;
    assert!(body.contains(r#"{"amount":0.10,"to":"ann@example.com"}"#), "digits stay as they were written: {body}");
}

#[test]
fn the_changed_call_passes_through_the_servers_own_address_too() {
    let setting = setting();
    let asked = json!({"to": "everyone@example.com", "body": "hello"});
    let call = || {
        let params = json!({"name": "send", "arguments": asked});
        let message = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params}).to_string();
        let headers = [("Accept", "application/json, text/event-stream"), ("X-Session-ID", setting.session.as_str())];
        setting.agent.send("POST", "/mcp/post", &headers, &message).json()["result"].clone()
    };
    let held = refusal_in(&call());
    setting.approve(&text(&held, "request_id"), &json!({"to": "ann@example.com", "body": "hello"})).ok();
    let result = call();
    assert_eq!(result["_meta"]["io.haldir/edited_arguments"]["changed"], json!(["to"]), "{result}");
    assert!(text(&result["content"][0], "text").contains("ann@example.com"), "{result}");
    assert!(text(&result["content"][1], "text").contains("with changes to: to"), "{result}");
    assert_eq!(setting.upstream.calls().len(), 1);
}
