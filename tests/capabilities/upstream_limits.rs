//! Bounds of an upstream hold over `/mcp/{upstream}` as well: how many calls of it are under way, and that it is left alone
//! once it has failed again and again. Where both speak alike, and where a bridge lies between.

use serde_json::Value;

use crate::{
    bridged::{modern, registered},
    proxy::entries,
    support::{Client, Events, House, Server, json, until},
};

/// Calls of one upstream at a time.
const AT_A_TIME: usize = 8;

/// A call of 2026-07-28 that takes a minute.
fn slow(server: &Server, client: &Client, session: &str, id: usize) -> Events {
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "tests", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"sampling": {}, "elicitation": {}, "roots": {}}});
    let params = json!({"name": "sleep", "arguments": {"ms": 60_000}, "_meta": meta});
    let message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
    let headers = [
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "sleep"),
        ("X-Session-ID", session),
    ];
    Events::post(server, client.key(), "/mcp/up", &headers, &message)
}

fn echo(client: &Client, session: &str) -> Value {
    modern(client, session, 1, "tools/call", &json!({"name": "echo", "arguments": {}})).pop().unwrap()
}

#[test]
fn no_more_calls_of_an_upstream_are_under_way_than_allowed() {
    for flag in ["--new", "--old"] {
        let house = House::new();
        let mut command = house.serving();
        command.env("HALDIR_UPSTREAM_CALLS", AT_A_TIME.to_string()).env("HALDIR_QUEUE_TIMEOUT", "1");
        let server = Server::start(command);
        let operator = server.first_key();
        let upstream = registered(&operator, flag);
        let session = operator.session(&json!({"scopes": ["execute"]}));
        assert!(echo(&operator, &session)["result"].is_object());
        let calls: Vec<_> = (0..AT_A_TIME).map(|at| slow(&server, &operator, &session, at + 10)).collect();
        until("the upstream has them all", || upstream.errors().matches("a call sleeps").count() == AT_A_TIME);
        let refused = echo(&operator, &session)["error"]["message"].to_string();
        assert!(refused.contains("8 calls of it are under way already"), "{flag}: {refused}");
        // Its outcome is known as well: it was not carried out.
        assert_eq!(entries(&operator, "proxyCall.failed").len(), 1, "{flag}");
        // A client that disconnects makes room.
        drop(calls);
        until("there is room again", || echo(&operator, &session)["result"].is_object());
    }
}

#[test]
fn an_upstream_behind_a_bridge_that_fails_again_and_again_is_left_alone() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let mut upstream = registered(&operator, "--old");
    let session = operator.session(&json!({"scopes": ["execute"]}));
    assert!(echo(&operator, &session)["result"].is_object());
    upstream.kill();
    until("it is left alone", || echo(&operator, &session).to_string().contains("left alone"));
    operator.verified();
}
