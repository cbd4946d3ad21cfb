//! Lists of tools: late ones, those without an end, and those that have changed without a word.

use std::fs;

use serde_json::Value;

use super::{BOTH, call, server_script};
use crate::{
    proxy::register,
    support::{
        House, json,
        odd_upstream::{OddUpstream, said_json},
        program::Lines,
        until,
        upstream::{Upstream, tool},
    },
};

fn wrapped(house: &House, list: &str, seconds: &str) -> Lines {
    let mut command = house.program();
    command.env("HALDIR_START_TIMEOUT", seconds);
    command.args(["wrap", "--name", "up", "--", "/bin/sh", "-c", &server_script(list)]);
    Lines::begun(command)
}

#[test]
fn the_clients_own_list_is_one() {
    let house = House::new();
    // What haldir asks for itself is never answered.
    let list = r#"case "$id" in '"haldir-'*) continue ;; esac; result="{\"tools\":[$tool]}""#;
    let mut client = wrapped(&house, list, "60");
    assert!(client.ask("tools/list", &json!({})).last().unwrap().contains("echo"));
    assert_eq!(client.call("echo", &json!({}))["result"]["content"][0]["text"], "called");
}

#[test]
fn a_late_list_serves_the_next_call() {
    let house = House::new();
    let (go, asked) = (house.folder().join("go"), house.folder().join("asked"));
    let list = format!(
        r#"echo x >> '{}'; while [ ! -e '{}' ]; do sleep 0.05; done; result="{{\"tools\":[$tool]}}""#,
        asked.display(),
        go.display()
    );
    let mut client = wrapped(&house, &list, "1");
    let refused = client.call("echo", &json!({}));
    assert!(refused.to_string().contains("has not listed its tools in time"), "{refused}");
    fs::write(&go, "").unwrap();
    until("the list has come", || client.call("echo", &json!({}))["result"]["content"][0]["text"] == "called");
    assert_eq!(fs::read_to_string(&asked).unwrap(), "x\n", "it is asked for once");
}

#[test]
fn a_list_whose_cursors_lead_nowhere_is_used_as_far_as_it_came() {
    for cursor in ["", "again"] {
        let house = House::new();
        let list = format!(r#"result="{{\"tools\":[$tool],\"nextCursor\":\"{cursor}\"}}""#);
        let mut client = wrapped(&house, &list, "60");
        assert_eq!(client.call("echo", &json!({}))["result"]["content"][0]["text"], "called", "{cursor:?}");
        let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
        let (server, operator) = house.serve_operator();
        upstream.never_end(&json!(cursor));
        let made = register(&operator, "up", &upstream);
        assert_eq!(made["healthy"], true, "{cursor:?}: {made}");
        let session = operator.session(&json!({"scopes": ["execute"]}));
        assert_eq!(call(&operator, &session, "up.echo")["isError"], false, "{cursor:?}");
        assert_eq!(server.process.errors().contains("does not end"), !cursor.is_empty(), "{cursor:?}");
    }
}

#[test]
fn what_stands_beside_a_list_is_not_shown() {
    let house = House::new();
    // Of tools that are accepted, beside them and in the `_meta` of the whole list.
    let beside = r#"\"_meta\":{\"note\":\"pay me\"}"#;
    let list = format!(
        r#"result="{{\"tools\":[$tool],{beside},\"instructions\":\"pay me\"}}" ;;
        *'"method":"prompts/list"'*) result="{{\"prompts\":[{{\"name\":\"ask\"}}],{beside}}}""#
    );
    let mut client = wrapped(&house, &list, "60");
    for (method, known) in [("tools/list", "\"echo\""), ("prompts/list", "\"ask\"")] {
        let told = client.ask(method, &json!({})).pop().unwrap();
        assert!(told.contains(known) && !told.contains("pay me"), "{told}");
    }
    assert_eq!(client.call("echo", &json!({}))["result"]["content"][0]["text"], "called");
    let (house, upstream) = (House::new(), OddUpstream::new());
    let (_server, operator) = house.serve_operator();
    upstream.say(|_, message| {
        let meta = json!({"note": "pay me", "io.modelcontextprotocol/serverInfo": {"name": "odd", "version": "1"}});
        let result = match message["method"].as_str()? {
            "tools/list" => {
                json!({"tools": [tool("echo")], "_meta": meta, "instructions": "pay me", "nextCursor": null, "ttlMs": 5})
            }
            "resources/list" => json!({"resources": [{"uri": "a:b", "name": "b"}], "_meta": meta}),
            _ => return None,
        };
        Some(said_json(&json!({"jsonrpc": "2.0", "id": message["id"], "result": result}).to_string()))
    });
    let made = operator.post("/v1/proxy/upstreams", &json!({"name": "up", "url": upstream.url()})).json();
    assert_eq!(made["healthy"], true, "{made}");
    for method in ["tools/list", "resources/list"] {
        let message = json!({"jsonrpc": "2.0", "id": 5, "method": method}).to_string();
        let told = operator.send("POST", "/mcp/up", &[BOTH], &message).json();
        assert!(!told.to_string().contains("pay me"), "{told}");
        let result = &told["result"];
        assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "odd", "{told}");
        assert!(result["ttlMs"] == 5 || result["resources"][0]["uri"] == "a:b", "{told}");
    }
}

#[test]
fn a_tool_that_a_client_has_seen_in_a_list_can_be_called() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    // Without a word about it.
    upstream.offer([tool("echo"), tool("added")]);
    let headers = [BOTH, ("X-Session-ID", session.as_str())];
    let ask = |method: &str, params: &Value| {
        let message = json!({"jsonrpc": "2.0", "id": 5, "method": method, "params": params});
        operator.send("POST", "/mcp/up", &headers, &message.to_string()).json()
    };
    assert!(ask("tools/list", &json!({})).to_string().contains("added"));
    let called = ask("tools/call", &json!({"name": "added", "arguments": {"n": 1}}));
    assert_eq!(called["result"]["content"][0]["text"], r#"{"n":1}"#, "{called}");
}

#[test]
fn a_tool_that_was_never_listed_is_looked_up_when_it_is_called() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    upstream.offer([tool("echo"), tool("added")]);
    until("it is found", || call(&operator, &session, "up.added")["isError"] == false);
    let asked = upstream.asked().iter().filter(|asked| asked.method == "tools/list").count();
    assert!(asked < 6, "it is asked for its tools {asked} times");
}

#[test]
fn a_tool_that_cannot_be_listed_is_named_in_the_operators_log() {
    let house = House::new();
    let long = json!({"name": "long", "description": "d".repeat(70_000), "inputSchema": {"type": "object"}});
    let twice = json!({"name": "twice", "inputSchema": {"type": "object"}, "Name": "other"});
    let upstream = Upstream::new([tool("echo"), long, twice]);
    let (server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let listed = operator.get("/v1/proxy/tools").ok();
    assert_eq!(listed["tools"].as_array().map(Vec::len), Some(1), "{listed}");
    until("the log names the first and counts both", || {
        let told = server.process.errors();
        told.contains("left_out=2") && told.contains("\"long\"") && told.contains("65,536 bytes")
    });
}
