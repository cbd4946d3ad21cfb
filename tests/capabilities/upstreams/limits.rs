//! Limits that an operator sets: for all upstreams, and for one.

use serde_json::Value;

use super::{BOTH, call, told};
use crate::{
    children::configure,
    proxy::register,
    support::{
        Events, House, Server, Stdio, at_once, json,
        program::{Lines, upstream_program},
        refuses_to_start, until,
        upstream::{Behaviour, Upstream, tool},
    },
};

#[test]
fn limits_of_one_upstream_hold_for_it_alone() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let mut command = house.serving();
    command.env("HALDIR_QUEUE_TIMEOUT", "0");
    let server = Server::start(command);
    let operator = server.first_key();
    let limits = json!({"call_timeout": 3_600, "concurrency": 1, "max_answer": 4_096});
    let made = operator.post("/v1/proxy/upstreams", &json!({"name": "up", "url": upstream.url(), "limits": limits}));
    assert_eq!(made.status, 201, "{}", made.text);
    register(&operator, "free", &upstream);
    let listed = operator.get("/v1/proxy/upstreams").ok();
    assert_eq!((&listed["upstreams"]["up"]["limits"], &listed["upstreams"]["free"]["limits"]), (&limits, &json!({})));
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let long = json!({"content": [{"type": "text", "text": "x".repeat(5_000)}]});
    upstream.behave(Behaviour::Result(long));
    assert_eq!(told(&call(&operator, &session, "up.echo"))["code"], "upstream_answer_too_large");
    assert_eq!(call(&operator, &session, "free.echo")["isError"], false);
    // The one that has the turn does not end by itself.
    upstream.behave(Behaviour::Held);
    let params = json!({"name": "echo", "arguments": {}});
    let message = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params});
    let held = Events::post(&server, operator.key(), "/mcp/up", &[("X-Session-ID", session.as_str())], &message);
    until("the call is there", || upstream.calls().len() == 3);
    upstream.behave(Behaviour::Echo);
    let said = told(&call(&operator, &session, "up.echo"));
    assert_eq!(said["error"], "1 calls of it are under way already", "{said}");
    assert_eq!(call(&operator, &session, "free.echo")["isError"], false);
    drop(held);
}

#[test]
fn limits_that_make_no_sense_are_refused() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    for (field, value) in [("call_timeout", 0), ("start_timeout", 86_401), ("concurrency", 0), ("max_answer", 1)] {
        let input = json!({"name": "up", "url": "http://127.0.0.1:9/mcp", "limits": {field: value}});
        let answer = operator.post("/v1/proxy/upstreams", &input);
        assert_eq!(answer.status, 400, "{field}: {}", answer.text);
        assert!(answer.text.contains(&format!("limits.{field} must be from")), "{}", answer.text);
    }
    assert_eq!(operator.get("/v1/proxy/upstreams").ok()["upstreams"], json!({}));
    let mut command = house.serving();
    command.env("HALDIR_CONFIG", configure(&house, "limits = { concurrency = 0 }"));
    assert!(refuses_to_start(command).contains("upstreams.up.limits: concurrency must be from 1 to 1024"));
    for (written, problem) in [
        (r#"call_timeout = "25h""#, "call_timeout must be from 1 to 86400"),
        (r#"start_timeout = "soon""#, "`soon` is no duration: expected seconds, or units such as 90s"),
        ("start_timeout = true", "expected a number of seconds, or a duration such as"),
    ] {
        let mut command = house.serving();
        command.env("HALDIR_CONFIG", configure(&house, &format!("limits = {{ {written} }}")));
        let said = refuses_to_start(command);
        assert!(said.contains(problem), "{written}: {said}");
    }
}

#[test]
fn more_calls_than_have_a_turn_wait_for_it() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    // A whole number, however it is written.
    let limits = json!({"concurrency": 1.0, "call_timeout": 60.0});
    let made = operator.post("/v1/proxy/upstreams", &json!({"name": "up", "url": upstream.url(), "limits": limits}));
    assert_eq!(made.status, 201, "{}", made.text);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let answers = at_once(8, |_| call(&operator, &session, "up.echo"));
    assert!(answers.iter().all(|answer| answer["isError"] == false), "{answers:?}");
}

/// A call that is longer than allowed, whose id stands behind its arguments.
fn too_long() -> String {
    let text = "x".repeat(70_000);
    format!(
        r#"{{"jsonrpc":"2.0","method":"tools/call","params":{{"name":"echo","arguments":{{"id":1,"t":"{text}"}}}},"id":"theirs"}}"#
    )
}

#[track_caller]
fn is_refused(answer: &Value) {
    assert_eq!(answer["id"], "theirs", "{answer}");
    let problem = answer["error"]["message"].as_str().unwrap();
    assert!(problem.contains("at most 65536 bytes") && problem.contains("HALDIR_MAX_MESSAGE"), "{problem}");
}

#[test]
fn a_message_that_is_too_long_is_refused_under_its_id() {
    let house = House::new();
    let mut command = house.program();
    command.env("HALDIR_MAX_MESSAGE", "65536");
    let stdio = Stdio::start(command);
    is_refused(&stdio.exchange(&too_long()));
    assert_eq!(stdio.exchange(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)["id"], 1);
    let mut command = house.program();
    command.env("HALDIR_MAX_MESSAGE", "65536").args(["wrap", "--name", "up", "--"]);
    command.arg(upstream_program()).arg("--stdio");
    let mut wrapped = Lines::begun(command);
    wrapped.write(&too_long());
    is_refused(&serde_json::from_str(&wrapped.line()).unwrap());
    assert_eq!(wrapped.call("echo", &json!({"n": 1}))["result"]["content"][0]["text"], r#"{"n":1}"#);
}

#[test]
fn a_message_may_be_as_long_on_each_way_in() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    // Two million bytes: more than a request of the REST API may have otherwise.
    let arguments = json!({"t": "x".repeat(2_000_000)});
    let input = json!({"session_id": session, "tool": "up.echo", "arguments": arguments});
    assert_eq!(operator.post("/v1/proxy/call", &input).json()["isError"], false);
    let params = json!({"name": "echo", "arguments": arguments});
    let message = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params});
    let headers = [BOTH, ("X-Session-ID", session.as_str())];
    let answer = operator.send("POST", "/mcp/up", &headers, &message.to_string());
    assert_eq!(answer.status, 200, "{}", &answer.text[..200]);
    assert_eq!(upstream.calls().len(), 2);
    drop(server);
}

#[test]
fn event_streams_are_not_held_back_on_the_way() {
    let house = House::new();
    let mut command = house.serving();
    command.env("HALDIR_CONFIG", configure(&house, ""));
    let server = Server::start(command);
    let operator = server.first_key();
    let upstream = Upstream::new([tool("echo")]);
    register(&operator, "far", &upstream);
    upstream.behave(Behaviour::Events);
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}});
    let begun = operator.send("POST", "/mcp/up", &[BOTH], &hello.to_string());
    assert_eq!(begun.header("x-accel-buffering"), Some("no"), "{}", begun.text);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let params = json!({"name": "echo", "arguments": {}});
    let message = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params});
    let headers = [BOTH, ("X-Session-ID", session.as_str())];
    let answer = operator.send("POST", "/mcp/far", &headers, &message.to_string());
    assert!(answer.text.contains("streamed"), "{}", answer.text);
    assert_eq!(answer.header("x-accel-buffering"), Some("no"));
}

#[test]
fn a_log_at_debug_names_each_request() {
    let house = House::new();
    let mut command = house.serving();
    command.env("HALDIR_LOG", "haldir=debug");
    let server = Server::start(command);
    assert_eq!(server.anonymous().get("/v1/sessions/ses_x?a=secret").status, 401);
    until("the request is in the log", || {
        let is_it = |line: &str| line.contains("GET") && line.contains("/v1/sessions/ses_x") && line.contains("401");
        server.process.errors().lines().any(is_it)
    });
    assert!(!server.process.errors().contains("a=secret"));
}
