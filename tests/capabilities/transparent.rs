//! `/mcp/{upstream}`, and upstreams' tools beside haldir's own: what passes, whose it is, and what does not pass.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio as Pipe},
};

use serde_json::Value;

use crate::{
    proxy::{add_policy, entries, register, wait_for},
    support::{
        Answer, Client, House, McpSession, Process, Stdio, json,
        odd_upstream::{OddUpstream, said_events, said_json},
        program::upstream_program,
        refusal_in, text, until,
        upstream::{Behaviour, Upstream, tool},
    },
};

const BOTH: (&str, &str) = ("Accept", "application/json, text/event-stream");

/// The upstream over HTTP, and its address.
pub fn running() -> (Process, String) {
    let mut command = Command::new(upstream_program());
    command.stdout(Pipe::piped()).stderr(Pipe::piped());
    let mut process = Process::spawn(command);
    let mut line = String::new();
    BufReader::new(process.child().stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("upstream listening on ").unwrap().to_owned();
    (process, format!("{address}/"))
}

pub fn register_at(operator: &Client, name: &str, url: &str) {
    let answer = operator.post("/v1/proxy/upstreams", &json!({"name": name, "url": url}));
    assert_eq!(answer.status, 201, "{}", answer.text);
}

fn initialize(client: &Client, path: &str) -> Answer {
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}});
    client.send("POST", path, &[BOTH], &hello.to_string())
}

/// The messages of an event stream, or the one of a JSON body.
pub fn messages(answer: &Answer) -> Vec<Value> {
    let events = answer.text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| !data.is_empty());
    let events: Vec<Value> = events.map(|data| serde_json::from_str(data).unwrap()).collect();
    if events.is_empty() { vec![answer.json()] } else { events }
}

fn call(client: &Client, headers: &[(&str, &str)], tool: &str, arguments: &Value) -> Answer {
    let params = json!({"name": tool, "arguments": arguments});
    let message = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params});
    let headers: Vec<_> = [BOTH, ("MCP-Protocol-Version", "2025-06-18")].iter().chain(headers).copied().collect();
    client.send("POST", "/mcp/up", &headers, &message.to_string())
}

#[test]
fn a_session_of_an_upstream_is_the_keys_that_began_it() {
    let ((_upstream, url), house) = (running(), House::new());
    let (_server, operator) = house.serve_operator();
    register_at(&operator, "up", &url);
    let agent = operator.mint(&json!({"role": "agent"}));
    let begun = initialize(&agent, "/mcp/up");
    assert_eq!(messages(&begun)[0]["result"]["serverInfo"]["name"], "test-upstream", "{}", begun.text);
    let id = begun.header("mcp-session-id").unwrap();
    let session = agent.session(&json!({"scopes": ["execute"]}));
    let ours = [("Mcp-Session-Id", id), ("X-Session-ID", session.as_str())];
    let answer = call(&agent, &ours, "test_tool_with_logging", &json!({}));
    assert_eq!(messages(&answer).last().unwrap()["result"]["content"][0]["text"], "Logged three times.");
    let other = operator.mint(&json!({"role": "agent"}));
    for headers in [&ours[..], &ours[..1]] {
        assert_eq!(call(&other, headers, "echo", &json!({})).status, 404);
    }
    assert_eq!(other.send("GET", "/mcp/up", &ours[..1], "").status, 404);
    assert_eq!(other.send("DELETE", "/mcp/up", &ours[..1], "").status, 404);
    assert!(agent.send("DELETE", "/mcp/up", &ours[..1], "").status < 300);
    assert_eq!(call(&agent, &ours, "echo", &json!({})).status, 404, "it has ended");
}

#[test]
fn a_call_without_a_session_a_scope_or_a_key_does_not_reach_the_upstream() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let narrow = operator.session(&json!({"scopes": ["read"]}));
    for (headers, code) in [
        (vec![], "session_invalid"),
        (vec![("X-Session-ID", "ses_none")], "session_invalid"),
        (vec![("X-Session-ID", narrow.as_str())], "scope_denied"),
    ] {
        let answer = call(&operator, &headers, "echo", &json!({}));
        let result = &answer.json()["result"];
        assert_eq!(result["isError"], true, "{}", answer.text);
        let told = refusal_in(result);
        assert_eq!((&told["code"], &told["blocked_by"]), (&json!(code), &json!("haldir")), "{told}");
    }
    assert_eq!(call(&server.anonymous(), &[], "echo", &json!({})).status, 401);
    assert_eq!(call(&server.with_key("hld_wrong"), &[], "echo", &json!({})).status, 401);
    let wide = operator.session(&json!({"scopes": ["execute"]}));
    let named = [("X-Session-ID", wide.as_str()), ("Mcp-Name", "erase")];
    assert_eq!(call(&operator, &named, "echo", &json!({})).json()["error"]["code"], -32020);
    assert_eq!(operator.send("POST", "/mcp/none", &[BOTH], "{}").status, 404);
    assert!(upstream.calls().is_empty(), "{:?}", upstream.calls());
}

#[test]
fn haldirs_own_headers_stay_here_and_secrets_never_come_back() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let secret = json!({"name": "token", "value": "tok-12345678", "upstreams": ["up"], "disclosure": "inject"});
    assert_eq!(operator.post("/v1/secrets", &secret).status, 201);
    let session = operator.session(&json!({"scopes": ["execute", "read"]}));
    let headers = [("X-Session-ID", session.as_str()), ("Cookie", "a=b"), ("X-Other", "c")];
    let answer = call(&operator, &headers, "echo", &json!({"t": "Bearer {{secret:token}}"}));
    assert!(answer.text.contains("[redacted: token]") && !answer.text.contains("tok-1234"), "{}", answer.text);
    let asked = &upstream.calls()[0];
    assert!(asked.body.contains("Bearer tok-12345678"), "{}", asked.body);
    for header in ["authorization", "x-api-key", "x-session-id", "cookie", "x-other"] {
        assert_eq!(asked.header(header), "", "{header} reached the upstream");
    }
    let holds = |bytes: &[u8]| bytes.windows(12).any(|window| window == b"tok-12345678");
    assert!(!house.stored_bytes().iter().any(|(_, bytes)| holds(bytes)), "the secret is in the store");
}

#[test]
fn headers_say_to_the_upstream_what_was_decided_and_nothing_else() {
    let deploy = json!({"name": "deploy", "description": "deploys", "annotations": {"readOnlyHint": true}, "inputSchema": {
    "type": "object", "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"}, "count": {"type": "integer", "x-mcp-header": "Count"},
        "place": {"type": "object", "properties": {"zone": {"type": "string", "x-mcp-header": "Zone"}}}, "note": {"type": "string"},
    }}});
    let (house, upstream) = (House::new(), Upstream::new([deploy]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let secret = json!({"name": "token", "value": "tok-12345678", "upstreams": ["up"], "disclosure": "inject"});
    assert_eq!(operator.post("/v1/secrets", &secret).status, 201);
    let session = operator.session(&json!({"scopes": ["execute", "read"]}));
    let ours = ("X-Session-ID", session.as_str());
    let arguments = json!({"region": "eu", "count": 2, "place": {"zone": "a b"}, "note": "us"});
    for (name, value) in [
        ("Mcp-Param-Region", "us"),
        ("Mcp-Param-Region", "=?base64?dXM=?="),
        ("mcp-param-count", "3"),
        ("Mcp-Param-Zone", "a"),
        ("Mcp-Param-Note", "us"),
        ("Mcp-Param-Other", "eu"),
        ("Mcp-Method", "tools/list"),
        ("Mcp-Name", "erase"),
    ] {
        let answer = call(&operator, &[ours, (name, value)], "deploy", &arguments);
        assert_eq!(answer.json()["error"]["code"], -32020, "{name}: {value} passes: {}", answer.text);
        let twice = [ours, ("Mcp-Param-Region", "eu"), (name, value)];
        assert_eq!(call(&operator, &twice, "deploy", &arguments).json()["error"]["code"], -32020, "{name}: {value}");
    }
    // Nor does another message go for a call.
    let list = json!({"jsonrpc": "2.0", "id": 6, "method": "tools/list", "params": {"name": "deploy", "arguments": arguments}});
    let answer = operator.send("POST", "/mcp/up", &[BOTH, ours, ("Mcp-Method", "tools/call")], &list.to_string());
    assert_eq!(answer.json()["error"]["code"], -32020, "{}", answer.text);
    assert!(upstream.calls().is_empty(), "{:?}", upstream.calls());

    let all = [ours, ("Mcp-Param-Region", "=?base64?ZXU=?="), ("Mcp-Param-Count", "2"), ("Mcp-Param-Zone", "a b")];
    assert_eq!(call(&operator, &all, "deploy", &arguments).status, 200);
    let hidden = json!({"region": "{{secret:token}}"});
    assert_eq!(call(&operator, &[ours, ("Mcp-Param-Region", "{{secret:token}}")], "deploy", &hidden).status, 200);
    // An operator changes what a call asks for, with it the header.
    let rule = json!({"type": "tool_blocked", "tools": ["deploy"]});
    assert_eq!(operator.post("/v1/approvals/rules", &rule).status, 201);
    let held = call(&operator, &all, "deploy", &arguments);
    let held = refusal_in(&held.json()["result"]);
    let path = format!("/v1/approvals/{}/approve", text(&held, "request_id"));
    operator.post(&path, &json!({"arguments": {"region": "\u{e9}", "count": 1}})).ok();
    assert_eq!(call(&operator, &all, "deploy", &arguments).status, 200);
    let said: Vec<_> = ["mcp-param-region", "mcp-param-count", "mcp-param-zone"]
        .map(|name| upstream.calls().iter().map(|asked| asked.header(name).to_owned()).collect::<Vec<_>>().join("|"))
        .into();
    assert_eq!(said, ["eu|tok-12345678|=?base64?w6k=?=", "2||1", "a b||"]);
    operator.verified();
}

#[test]
fn a_call_that_was_made_ready_leaves_as_it_was_decided_or_not_at_all() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo"), tool("erase")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let secret = json!({"name": "token", "value": "tok-12345678", "upstreams": ["up"], "disclosure": "inject"});
    assert_eq!(operator.post("/v1/secrets", &secret).status, 201);
    let session = operator.session(&json!({"scopes": ["execute", "read"]}));
    let headers = [("X-Session-ID", session.as_str())];
    let reached = || {
        let calls = upstream.calls().into_iter().map(|asked| asked.json()["params"]["arguments"].clone());
        calls.collect::<Vec<_>>()
    };
    // From the second on, a connection is at hand.
    for n in 0..3 {
        assert_eq!(call(&operator, &headers, "echo", &json!({"n": n})).json()["result"]["isError"], Value::Null);
    }
    assert_eq!(reached(), [json!({"n": 0}), json!({"n": 1}), json!({"n": 2})]);
    let answer = call(&operator, &headers, "echo", &json!({"t": "{{secret:token}}"}));
    assert!(answer.text.contains("[redacted: token]") && !answer.text.contains("tok-1234"), "{}", answer.text);
    assert_eq!(reached()[3..], [json!({"t": "tok-12345678"})]);
    add_policy(&operator, &json!({"type": "block_tool", "tool": "up.erase"}));
    for headers in [&headers[..], &[("X-Session-ID", "ses_none")]] {
        assert_eq!(call(&operator, headers, "erase", &json!({})).json()["result"]["isError"], true);
    }
    assert_eq!(reached().len(), 4, "what was refused has left: {:?}", reached());
    assert_eq!(call(&operator, &headers, "echo", &json!({"n": 4})).status, 200);
    assert_eq!(reached()[4..], [json!({"n": 4})]);
}

#[test]
fn an_upstream_that_fails_is_said_to_fail_and_the_log_knows() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let headers = [("X-Session-ID", session.as_str())];
    for (behaviour, says) in [
        (Behaviour::Redirect("http://127.0.0.1:9/".to_owned()), "redirects"),
        (Behaviour::BreakOff, "broke off"),
        (Behaviour::Huge(64 * 1024 * 1024), "larger than allowed"),
    ] {
        upstream.behave(behaviour.clone());
        let answer = call(&operator, &headers, "echo", &json!({}));
        assert_eq!((answer.status, answer.json()["id"].clone()), (502, json!(5)), "{behaviour:?}: {}", answer.text);
        assert!(answer.text.contains(says), "{behaviour:?}: {}", answer.text);
    }
    upstream.behave(Behaviour::Echo);
    assert_eq!(call(&operator, &headers, "echo", &json!({"a": 1})).status, 200);
    operator.verified();
}

#[test]
fn an_upstream_that_fails_again_and_again_is_left_alone_for_a_while() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let headers = [("X-Session-ID", session.as_str())];
    upstream.behave(Behaviour::HangUp);
    let failing = || call(&operator, &headers, "echo", &json!({})).text;
    until("it is left alone", || failing().contains("left alone"));
    upstream.behave(Behaviour::Echo);
    until("it is asked again", || call(&operator, &headers, "echo", &json!({})).status == 200);
    operator.verified();
}

#[test]
fn what_an_upstream_asks_is_named_and_logged() {
    let (house, upstream) = (House::new(), OddUpstream::new());
    let (_server, operator) = house.serve_operator();
    let form = json!({"message": "haldir asks:\nPay?", "requestedSchema": {"type": "object", "properties": {}}});
    let needed = json!({"resultType": "input_required", "requestState": "s",
        "inputRequests": {"a": {"method": "elicitation/create", "params": form}}});
    upstream.say(move |verb, message| {
        let event = |message: &Value| format!("event: message\ndata: {message}\n\n");
        let asked = event(&json!({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": form}));
        let answer = |result: &Value| json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
        match message["method"].as_str() {
            None if verb == "GET" => Some(said_events(&asked)),
            Some("tools/call") => Some(said_events(&(asked + &event(&answer(&json!({"content": []})))))),
            Some("prompts/get" | "prompts/list") => Some(said_json(&answer(&needed).to_string())),
            _ => None,
        }
    });
    register_at(&operator, "up", &upstream.url());
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let heard = messages(&call(&operator, &[("X-Session-ID", session.as_str())], "echo", &json!({})));
    let named = json!("[up] haldir asks:\n[up] Pay?");
    assert_eq!((&heard[0]["params"]["message"], &heard[1]["result"]), (&named, &json!({"content": []})), "{heard:?}");
    let asked = entries(&operator, "proxyCall.asked");
    assert!(asked.len() == 1 && asked[0]["details"]["call_id"].is_string(), "{asked:?}");
    assert_eq!(asked[0]["tool"], "up.echo", "{asked:?}");
    // Outside of calls: on the stream that the client listens to, and in the result of another request.
    let heard = messages(&operator.send("GET", "/mcp/up", &[("Accept", "text/event-stream")], ""));
    assert_eq!(heard[0]["params"]["message"], named, "{heard:?}");
    for method in ["prompts/get", "prompts/list"] {
        let request = json!({"jsonrpc": "2.0", "id": 6, "method": method, "params": {"name": "p"}}).to_string();
        let told = messages(&operator.send("POST", "/mcp/up", &[BOTH], &request)).remove(0);
        assert_eq!(told["result"]["inputRequests"]["a"]["params"]["message"], named, "{told}");
    }
    let asked = entries(&operator, "proxyCall.asked");
    let details = json!({"upstream": "up", "method": "elicitation/create", "passed_on": true});
    assert_eq!(asked.iter().filter(|entry| entry["details"] == details).count(), 3, "{asked:?}");
    operator.verified();
}

#[test]
fn an_upstream_that_asks_too_often_gets_errors_and_its_call_fails() {
    let (house, upstream) = (House::new(), Upstream::new([tool("ask")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let ask = || messages(&call(&operator, &[("X-Session-ID", session.as_str())], "ask", &json!({})));
    upstream.behave(Behaviour::Questions(5_000));
    let heard = ask();
    assert_eq!(heard.iter().filter(|message| message["method"] == "roots/list").count(), 32, "{heard:?}");
    assert!(heard.len() == 33 && heard[32]["error"].to_string().contains("more than 32 times"), "{heard:?}");
    assert_eq!(wait_for(&operator, "proxyCall.unknown", 1).len(), 1);
    let logged = || entries(&operator, "proxyCall.asked").len();
    assert_eq!(logged(), 33);
    let posted = |has: &str| upstream.asked().iter().any(|asked| asked.body.contains(has));
    until("the upstream gets an error", || posted(r#""id":"q32","error""#) && posted("notifications/cancelled"));
    // In a result that asks: too often, or by haldir's own name.
    let form = json!({"method": "elicitation/create", "params": {"message": "Pay?"}});
    let asking =
        |requests: Value| Behaviour::Result(json!({"resultType": "input_required", "inputRequests": requests}));
    let many: serde_json::Map<_, _> = (0..1_000).map(|n| (n.to_string(), form.clone())).collect();
    for (requests, why, entries) in [
        (Value::Object(many), "more than 32 times", 33),
        (json!({"haldir_approval": form}), "by which haldir itself", 1),
        (json!({"a": {"method": "tools/call"}}), "MCP does not know", 0),
    ] {
        let before = logged();
        upstream.behave(asking(requests));
        let told = ask().remove(0);
        assert!(told["error"].to_string().contains(why) && !told.to_string().contains("Pay?"), "{told}");
        assert_eq!(logged(), before + entries, "{told}");
    }
    assert_eq!(wait_for(&operator, "proxyCall.unknown", 4).len(), 4);
    operator.verified();
}

#[test]
fn tools_of_upstreams_stand_beside_haldirs_own() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let result = json!({"content": [{"type": "novel", "x": [1.5]}], "isError": false, "later": {"n": 1}});
    upstream.behave(Behaviour::Result(result.clone()));
    let over_http = McpSession::begin(&operator);
    let listed = over_http.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).text;
    assert!(listed.contains("\"up__echo\"") && listed.contains("\"createSession\""), "{listed}");
    let refused = over_http.tool("up__echo", &json!({}));
    assert!(refused.contains("session_invalid"), "{refused}");
    over_http.tool("createSession", &json!({"agent_id": "a", "scopes": ["execute"]}));
    // The session that was made over this connection.
    let called = over_http.tool("up.echo", &json!({"a": 1}));
    assert!(called.contains(&result.to_string()), "{called}");
    assert!(over_http.tool("up.none", &json!({})).contains("-32602"));
    // On standard input the operator of the machine has bound one.
    let mut program = house.program();
    program.args(["--allow-private", "127.0.0.1"]);
    let stdio = Stdio::start(program);
    assert_eq!(stdio.tool("up.echo", &json!({"a": 2})), result);
    assert_eq!(upstream.calls().len(), 2);
}
