//! `haldir-mcp` with `HALDIR_BASE_URL`: the tools of upstreams of a haldir elsewhere, as far as its REST API carries them.

use serde_json::Value;

use crate::{
    bridged::registered,
    proxy::{add_policy, entries},
    support::{Client, House, Server, json, program::Lines, until},
};

/// A haldir elsewhere with an upstream `up`, and a client of its tools on standard input and output.
fn remote(flag: &str) -> (House, Server, Client, crate::support::Process, Lines) {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let upstream = registered(&operator, flag);
    let mut program = house.program();
    program.env("HALDIR_BASE_URL", format!("http://{}", server.address)).env("HALDIR_API_KEY", operator.key());
    (house, server, operator, upstream, Lines::begun(program))
}

fn last(lines: &[String]) -> Value {
    serde_json::from_str(lines.last().unwrap()).unwrap()
}

#[test]
fn the_tools_of_upstreams_elsewhere_are_listed_and_called_in_a_session_there() {
    let (_house, _server, operator, _upstream, mut lines) = remote("--old");
    let listed = lines.ask("tools/list", &json!({})).pop().unwrap();
    assert!(listed.contains("\"up__echo\"") && listed.contains("\"createSession\""), "{listed}");
    lines.refused("up.echo", &json!({}), "session_invalid");
    lines.call("createSession", &json!({"agent_id": "a", "scopes": ["execute"]}));
    let told = lines.ask("tools/call", &json!({"name": "up.echo", "arguments": {"n": 1}})).pop().unwrap();
    assert!(told.contains(r#""structuredContent":{"n":1}"#), "{told}");
    // Progress does not come by REST; the answer does.
    let params = json!({"name": "up.test_tool_with_progress", "_meta": {"progressToken": "mine"}});
    let heard = lines.ask("tools/call", &params);
    assert_eq!((heard.len(), &last(&heard)["result"]["content"][0]["text"]), (1, &json!("Made progress.")));
    // Neither do questions: the upstream is told so.
    let heard = lines.ask("tools/call", &json!({"name": "up.test_sampling", "arguments": {"prompt": "p"}}));
    assert!(heard.len() == 1 && heard[0].contains("The client did not help"), "{heard:?}");
    add_policy(&operator, &json!({"type": "block_tool", "tool": "up.delete"}));
    lines.refused("up.delete", &json!({"path": "a"}), "policy_denied");
    assert_eq!(lines.call("up.none", &json!({}))["error"]["code"], -32602);
    assert_eq!(entries(&operator, "proxyCall.begin").len(), 3);
    assert_eq!(entries(&operator, "proxyCall.denied").len(), 2);
    assert!(lines.leave().0);
    operator.verified();
}

#[test]
fn what_an_upstream_elsewhere_needs_of_the_client_first_is_an_error_that_says_so() {
    let (_house, _server, operator, _upstream, mut lines) = remote("--new");
    lines.call("createSession", &json!({"agent_id": "a", "scopes": ["execute"]}));
    let told = lines.call("up.test_input_required_result_sampling", &json!({}));
    assert_eq!(told["result"]["isError"], true, "{told}");
    assert!(told.to_string().contains("this client cannot be asked"), "{told}");
    operator.verified();
}

#[test]
fn a_call_that_is_taken_back_is_cancelled_at_the_upstream_elsewhere() {
    let (_house, server, operator, upstream, mut lines) = remote("--old");
    lines.call("createSession", &json!({"agent_id": "a", "scopes": ["execute"]}));
    let params = json!({"name": "up.sleep", "arguments": {"ms": 60_000}});
    lines.write(&json!({"jsonrpc": "2.0", "id": 50, "method": "tools/call", "params": params}).to_string());
    let sleeping = || upstream.errors().matches("a call sleeps").count();
    until("the upstream has the call", || sleeping() == 1);
    lines.write(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":50}}"#);
    until("it is settled", || entries(&operator, "proxyCall.unknown").len() == 1);
    until("the upstream hears of it", || upstream.errors().contains("a call was cancelled"));
    let told = last(&lines.ask("tools/call", &json!({"name": "up.echo", "arguments": {"n": 2}})));
    assert_eq!(told["result"]["content"][0]["text"], r#"{"n":2}"#, "{told}");
    // A client that disconnects without cancelling has the call carried out.
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let call = json!({"session_id": session, "tool": "up.sleep", "arguments": {"ms": 500}});
    let hanging = crate::support::Events::post(&server, operator.key(), "/v1/proxy/call", &[], &call);
    until("the upstream has the call", || sleeping() == 2);
    drop(hanging);
    until("it is carried out", || entries(&operator, "proxyCall.ok").len() == 2);
    assert_eq!(entries(&operator, "proxyCall.unknown").len(), 1);
    operator.verified();
}
