//! Subscriptions of 2026-07-28 at `/mcp/{upstream}` hear what changes at haldir too, as earlier clients do on the stream that
//! they hold open.

use std::fs;

use serde_json::Value;

use crate::{
    bridged::{modern, registered},
    proxy::{add_policy, register},
    support::{
        Client, Events, House, Server, json,
        program::{Lines, upstream_program},
        upstream::{Upstream, tool},
    },
};

const LIST_CHANGED: &str = "notifications/tools/list_changed";
const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";

fn context() -> Value {
    json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "tests", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"sampling": {}, "elicitation": {}, "roots": {}}})
}

fn subscription_in(message: &Value) -> &Value {
    &message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"]
}

/// A client subscribes at `/mcp/up` and lists the tools, and an operator blocks one.
fn hears_of_a_policy((server, operator): (&Server, &Client), what: &str) {
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let found = modern(operator, &session, 1, "server/discover", &json!({})).pop().unwrap();
    assert_eq!(found["result"]["capabilities"]["tools"]["listChanged"], true, "{what}: {found}");
    let subscribe = json!({"jsonrpc": "2.0", "id": "mine", "method": "subscriptions/listen",
        "params": {"_meta": context(), "notifications": {"toolsListChanged": true}}});
    let headers = [("Mcp-Protocol-Version", "2026-07-28"), ("Mcp-Method", "subscriptions/listen")];
    let mut events = Events::post(server, operator.key(), "/mcp/up", &headers, &subscribe);
    let begun = events.next();
    assert_eq!((&begun["method"], subscription_in(&begun)), (&json!(ACKNOWLEDGED), &json!("mine")), "{what}: {begun}");
    assert_eq!(begun["params"]["notifications"]["toolsListChanged"], true, "{what}: {begun}");
    let list = |id| modern(operator, &session, id, "tools/list", &json!({})).pop().unwrap().to_string();
    assert!(list(2).contains("\"echo\""), "{what}");
    add_policy(operator, &json!({"type": "deny_list", "tools": ["echo"]}));
    let told = events.next();
    assert_eq!((&told["method"], subscription_in(&told)), (&json!(LIST_CHANGED), &json!("mine")), "{what}: {told}");
    assert!(!list(3).contains("\"echo\""), "{what}");
}

#[test]
fn a_subscription_at_a_server_hears_when_a_policy_changes_what_it_may_call() {
    for flag in ["--new", "--old"] {
        let house = House::new();
        let (server, operator) = house.serve_operator();
        let _upstream = registered(&operator, flag);
        hears_of_a_policy((&server, &operator), flag);
    }
    // One that knows no subscriptions.
    let (house, upstream) = (House::new(), Upstream::new([tool("echo"), tool("other")]));
    let (server, operator) = house.serve_operator();
    upstream.serve_both();
    register(&operator, "up", &upstream);
    hears_of_a_policy((&server, &operator), "none");
}

#[test]
fn a_subscription_at_a_child_hears_when_a_policy_changes_what_it_may_call() {
    for flag in ["--new", "--old"] {
        let house = House::new();
        let path = house.folder().join("haldir.toml");
        let program = json!(upstream_program());
        fs::write(&path, format!("[upstreams.up]\ncommand = {program}\nargs = [\"--stdio\", \"{flag}\"]\n")).unwrap();
        let mut command = house.serving();
        command.env("HALDIR_CONFIG", path);
        let server = Server::start(command);
        let operator = server.first_key();
        hears_of_a_policy((&server, &operator), flag);
    }
}

#[test]
fn a_wrapped_client_without_a_handshake_hears_of_changes_only_what_it_has_subscribed_to() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let mut command = house.program();
    command.args(["wrap", "--name", "up", "--"]).arg(upstream_program()).args(["--stdio", "--new"]);
    let mut client = Lines::start(command);
    client.ask("tools/list", &json!({"_meta": context()}));
    let listen = |id: &str, filter: &Value| {
        let params = json!({"_meta": context(), "notifications": filter});
        json!({"jsonrpc": "2.0", "id": id, "method": "subscriptions/listen", "params": params}).to_string()
    };
    let read = |line: String| -> Value { serde_json::from_str(&line).unwrap() };
    for (id, filter) in [("prompts", json!({"promptsListChanged": true})), ("tools", json!({"toolsListChanged": true}))]
    {
        client.write(&listen(id, &filter));
        let begun = read(client.line());
        assert_eq!((&begun["method"], subscription_in(&begun)), (&json!(ACKNOWLEDGED), &json!(id)), "{begun}");
        assert_eq!(begun["params"]["notifications"], filter, "{begun}");
    }
    add_policy(&operator, &json!({"type": "deny_list", "tools": ["echo"]}));
    let told = read(client.line());
    assert_eq!((&told["method"], subscription_in(&told)), (&json!(LIST_CHANGED), &json!("tools")), "{told}");
}
