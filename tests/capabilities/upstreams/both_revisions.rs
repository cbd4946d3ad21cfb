//! Servers that serve clients with a handshake and those of 2026-07-28, and name only the latter's revision.

use serde_json::Value;

use super::BOTH;
use crate::{
    bridged::registered,
    proxy::register,
    support::{
        House, McpSession, json,
        upstream::{Upstream, tool},
    },
};

fn hello(capabilities: &Value) -> String {
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": capabilities,
        "clientInfo": {"name": "tests", "version": "1"}});
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).to_string()
}

#[test]
fn a_client_with_a_handshake_has_its_own_with_the_upstream() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    upstream.serve_both();
    upstream.serve_session("theirs", 404);
    register(&operator, "up", &upstream);
    let begun = operator.send("POST", "/mcp/up", &[BOTH], &hello(&json!({})));
    // The upstream's session, not one of a bridge of haldir's.
    assert_eq!(begun.header("mcp-session-id"), Some("theirs"), "{}", begun.text);
    let initialize = upstream.asked().into_iter().rfind(|asked| asked.method == "initialize").unwrap();
    assert_eq!(initialize.json()["params"]["clientInfo"]["name"], "tests", "{}", initialize.body);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let headers = [BOTH, ("Mcp-Session-Id", "theirs"), ("X-Session-ID", session.as_str())];
    let params = json!({"name": "echo", "arguments": {"n": 1}});
    let message = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params}).to_string();
    let answer = operator.send("POST", "/mcp/up", &headers, &message);
    assert_eq!(answer.json()["result"]["content"][0]["text"], r#"{"n":1}"#, "{}", answer.text);
    assert_eq!(upstream.calls()[0].json()["params"]["_meta"], Value::Null);
}

#[test]
fn a_call_of_a_client_that_is_asked_by_requests_is_made_where_the_upstream_can_ask_so() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    upstream.serve_both();
    upstream.serve_session("theirs", 404);
    register(&operator, "up", &upstream);
    let call = |capabilities: &Value| {
        let answer = operator.send("POST", "/mcp", &[BOTH], &hello(capabilities));
        let id = answer.header("mcp-session-id").unwrap().to_owned();
        let connection = McpSession { client: &operator, id };
        connection.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        connection.tool("createSession", &json!({"agent_id": "a", "scopes": ["execute"]}));
        let said = connection.tool("up.echo", &json!({"n": 1}));
        assert!(said.contains(r#"{\"n\":1}"#), "{said}");
        upstream.calls().pop().unwrap()
    };
    let asked = call(&json!({"elicitation": {}}));
    assert_eq!(asked.header("mcp-session-id"), "theirs", "{asked:?}");
    // A client without capabilities for requests does not need it.
    let asked = call(&json!({}));
    assert_eq!(asked.header("mcp-protocol-version"), "2026-07-28", "{asked:?}");
}

#[test]
fn where_haldir_stands_in_for_a_server_of_2026_it_asks_what_such_a_server_does() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let _upstream = registered(&operator, "--old");
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let echo = json!({"name": "echo", "arguments": {}});
    let ask = |method: &str, params: &Value, meta: &Value, headers: &[(&str, &str)]| {
        let mut params = params.clone();
        params["_meta"] = meta.clone();
        let message = json!({"jsonrpc": "2.0", "id": 5, "method": method, "params": params});
        let headers: Vec<_> = [BOTH, ("X-Session-ID", session.as_str())].iter().chain(headers).copied().collect();
        let answer = operator.send("POST", "/mcp/up", &headers, &message.to_string());
        (answer.status, crate::transparent::messages(&answer).pop().unwrap())
    };
    let meta = |version: &str| {
        json!({"io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "tests", "version": "1"}})
    };
    let without = |name: &str| {
        let mut meta = meta("2026-07-28");
        meta.as_object_mut().unwrap().remove(name);
        meta
    };
    let (modern, new) = (meta("2026-07-28"), "2026-07-28");
    let version = ("MCP-Protocol-Version", new);
    let (method, name) = (("Mcp-Method", "tools/call"), ("Mcp-Name", "echo"));
    let (status, answer) = ask("tools/call", &echo, &modern, &[version, method, name]);
    assert_eq!((status, &answer["result"]["resultType"]), (200, &json!("complete")), "{answer}");
    for (headers, meta, code) in [
        (vec![version, name], &modern, -32_020),
        (vec![version, ("Mcp-Method", "tools/list"), name], &modern, -32_020),
        (vec![version, method], &modern, -32_020),
        (vec![version, method, ("Mcp-Name", "other")], &modern, -32_020),
        (vec![method, name], &modern, -32_020),
        (vec![("MCP-Protocol-Version", "2025-06-18"), method, name], &modern, -32_020),
        (vec![("MCP-Protocol-Version", "2027-01-01"), method, name], &meta("2027-01-01"), -32_022),
        (vec![version, method, name], &without("io.modelcontextprotocol/clientCapabilities"), -32_602),
    ] {
        let (status, answer) = ask("tools/call", &echo, meta, &headers);
        assert_eq!((status, &answer["error"]["code"]), (400, &json!(code)), "{headers:?} {answer}");
        assert_eq!(answer["id"], 5, "{answer}");
    }
    for former in ["initialize", "ping", "logging/setLevel", "no/such_method"] {
        let (status, answer) = ask(former, &json!({}), &modern, &[version, ("Mcp-Method", former)]);
        assert_eq!((status, &answer["error"]["code"]), (404, &json!(-32_601)), "{former}: {answer}");
    }
    let (status, answer) = ask("tools/list", &json!({}), &modern, &[version, ("Mcp-Method", "tools/list")]);
    assert!(status == 200 && answer["result"]["tools"].is_array(), "{answer}");
}
