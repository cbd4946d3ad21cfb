//! Answers that are not as they should be.

use serde_json::Value;

use super::{BOTH, call, server_script, told};
use crate::{
    proxy::register,
    support::{
        House, json,
        program::Lines,
        until,
        upstream::{Behaviour, Upstream, tool},
    },
};

#[test]
fn the_answer_to_a_request_is_its_answer_whatever_id_an_error_bears() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    for (status, id) in [(400, json!(null)), (500, json!(null)), (404, json!("server-error")), (200, json!(null))] {
        upstream.behave(Behaviour::Refused(status, id.clone()));
        let said = told(&call(&operator, &session, "up.echo"));
        assert_eq!(said["code"], "upstream_error", "{status} {id}: {said}");
        assert_eq!(said["upstream_error"]["message"], "no such thing", "{status} {id}: {said}");
    }
    // A result of another request is none of this one, and nothing else will come.
    upstream.behave(Behaviour::As(json!("another")));
    let said = told(&call(&operator, &session, "up.echo"));
    assert_eq!(said["code"], "upstream_unavailable", "{said}");
}

#[test]
fn answers_are_asked_for_uncompressed() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    upstream.behave(Behaviour::Compressed);
    assert_eq!(call(&operator, &session, "up.echo")["content"][0]["text"], "plain");
    let params = json!({"name": "echo", "arguments": {}});
    let message = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params}).to_string();
    let headers = [BOTH, ("X-Session-ID", session.as_str())];
    let answer = operator.send("POST", "/mcp/up", &headers, &message);
    assert_eq!(answer.json()["result"]["content"][0]["text"], "plain", "{}", answer.text);
}

#[test]
fn a_session_that_an_upstream_has_forgotten_is_begun_anew() {
    for status in [404, 400] {
        let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
        let (_server, operator) = house.serve_operator();
        upstream.serve_session("first", status);
        register(&operator, "up", &upstream);
        let session = operator.session(&json!({"scopes": ["execute"]}));
        assert_eq!(call(&operator, &session, "up.echo")["isError"], false);
        // As it is once it was started again.
        upstream.serve_session("second", status);
        assert_eq!(call(&operator, &session, "up.echo")["isError"], false, "{status}");
        assert_eq!(upstream.calls().last().unwrap().header("mcp-session-id"), "second", "{status}");
    }
}

#[test]
fn a_client_of_a_session_that_its_upstream_has_forgotten_is_told_so_and_begins_anew() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let begin = || {
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}});
        let answer = operator.send("POST", "/mcp/up", &[BOTH], &hello.to_string());
        answer.header("mcp-session-id").unwrap_or_else(|| panic!("{}", answer.text)).to_owned()
    };
    let ask = |id: &str| {
        let params = json!({"name": "echo", "arguments": {"n": 1}});
        let message = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params});
        let headers = [BOTH, ("Mcp-Session-Id", id), ("X-Session-ID", session.as_str())];
        operator.send("POST", "/mcp/up", &headers, &message.to_string())
    };
    upstream.serve_session("first", 400);
    let first = begin();
    assert_eq!(ask(&first).json()["result"]["content"][0]["text"], r#"{"n":1}"#);
    // What the upstream has against a request is no reason to leave its session.
    upstream.behave(Behaviour::Refused(400, json!(5)));
    let refused = ask(&first);
    assert_eq!((refused.status, &refused.json()["error"]["message"]), (400, &json!("no such thing")));
    upstream.behave(Behaviour::Echo);
    assert_eq!(ask(&first).status, 200);
    // As it is once it was started again.
    upstream.serve_session("second", 400);
    for _ in 0..2 {
        let over = ask(&first);
        assert_eq!((over.status, &over.json()["id"]), (404, &json!(5)), "{}", over.text);
        assert!(over.text.contains("initialise again"), "{}", over.text);
    }
    let second = begin();
    assert_eq!(ask(&second).json()["result"]["content"][0]["text"], r#"{"n":1}"#);
}

#[test]
fn a_request_that_is_refused_does_not_cost_the_session() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    upstream.serve_session("first", 400);
    register(&operator, "up", &upstream);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    upstream.behave(Behaviour::Refused(400, json!(null)));
    assert_eq!(told(&call(&operator, &session, "up.echo"))["code"], "upstream_error");
    let begun = upstream.asked().iter().filter(|asked| asked.method == "initialize").count();
    assert_eq!((begun, upstream.calls().len()), (1, 1));
}

#[test]
fn a_session_that_is_answered_with_faults_again_and_again_is_begun_anew() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    upstream.serve_session("first", 500);
    register(&operator, "up", &upstream);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    upstream.serve_session("second", 500);
    until("the session is begun anew", || call(&operator, &session, "up.echo")["isError"] == false);
}

#[test]
fn an_upstream_that_was_down_when_it_was_registered_is_found_without_a_call() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let upstream = Upstream::new([tool("echo")]);
    upstream.fail(Some(503));
    register(&operator, "up", &upstream);
    let healthy = || operator.get("/v1/proxy/upstreams").ok()["upstreams"]["up"]["healthy"] == true;
    assert!(!healthy());
    upstream.fail(None);
    until("it is found", healthy);
}

#[test]
fn a_request_is_answered_once_and_under_its_id() {
    let house = House::new();
    let script = server_script(r#"result="{\"tools\":[$tool]}""#);
    // A result that is none, and later a second one under the same id.
    let script = script.replace(r#"result='{"content":[{"type":"text","text":"called"}]}' ;;"#, "result=null ;;");
    let mut command = house.program();
    command.args(["wrap", "--name", "up", "--", "/bin/sh", "-c", &script]);
    let mut client = Lines::begun(command);
    let answer = client.call("echo", &json!({}));
    assert!(answer["error"]["message"].to_string().contains("null, which is no result"), "{answer}");
    for id in ["1.5", "9007199254740993", "-1e300"] {
        client.write(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#));
        let line = client.line();
        assert!(line.contains(&format!("\"id\":{id},")) && line.contains("below 2^53"), "{line}");
    }
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let message = r#"{"jsonrpc":"2.0","method":"ping","id":1.5}"#;
    let answer = operator.send("POST", "/mcp/up", &[BOTH], message);
    assert_eq!((answer.status, &answer.json()["id"]), (400, &json!(1.5)), "{}", answer.text);
    // By REST a result of null is a failure, said at once.
    let session = operator.session(&json!({"scopes": ["execute"]}));
    upstream.behave(Behaviour::Result(Value::Null));
    let said = told(&call(&operator, &session, "up.echo"));
    assert!(said["error"].to_string().contains("no tool result"), "{said}");
}

#[test]
fn half_a_character_in_the_arguments_is_replaced_before_policies_judge_them() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let cut = r#"{"t":"a\ud83d"}"#;
    let is_whole = |text: &str| assert!(text.contains("a\u{fffd}") || text.contains("a\\ufffd"), "{text}");
    let input = format!(r#"{{"session_id":"{session}","tool":"up.echo","arguments":{cut}}}"#);
    is_whole(&operator.send("POST", "/v1/proxy/call", &[], &input).text);
    let call = |name: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{{"name":"{name}","arguments":{cut}}}}}"#)
    };
    let headers = [BOTH, ("X-Session-ID", session.as_str())];
    is_whole(&operator.send("POST", "/mcp/up", &headers, &call("echo")).text);
    let connection = crate::support::McpSession::begin(&operator);
    connection.tool("createSession", &json!({"agent_id": "a", "scopes": ["execute"]}));
    let headers = [BOTH, ("Mcp-Session-Id", connection.id.as_str())];
    is_whole(&operator.send("POST", "/mcp", &headers, &call("up.echo")).text);
    let mut command = house.program();
    command.args(["wrap", "--name", "wrapped", "--"]).arg(crate::support::program::upstream_program()).arg("--stdio");
    let mut wrapped = Lines::begun(command);
    wrapped.write(&call("echo"));
    is_whole(&wrapped.line());
    // What haldir keeps itself it keeps as it was given, or not at all.
    let secret = r#"{"name":"s","value":"a\ud83d"}"#;
    assert_eq!(operator.send("POST", "/v1/secrets", &[], secret).status, 400);
}
