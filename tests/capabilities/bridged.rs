//! Clients and servers of different revisions of MCP, with haldir between them.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio as Pipe},
};

use serde_json::Value;

use crate::support::{
    Answer, Client, House, Process, json,
    program::{Lines, upstream_program},
};

const BOTH: (&str, &str) = ("Accept", "application/json, text/event-stream");

fn context() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "tests", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"sampling": {}, "elicitation": {}, "roots": {}},
    })
}

fn wrapped(house: &House, options: &[&str], flag: &str) -> Lines {
    let mut command = house.program();
    command.args(["wrap", "--name", "up"]).args(options).arg("--").arg(upstream_program()).args(["--stdio", flag]);
    Lines::start(command)
}

/// The upstream over HTTP, registered.
pub fn registered(operator: &Client, flag: &str) -> Process {
    registered_as(operator, flag, "it")
}

/// The same; its variable `WHICH` says this.
fn registered_as(operator: &Client, flag: &str, which: &str) -> Process {
    let mut command = Command::new(upstream_program());
    command.arg(flag).env("WHICH", which).stdout(Pipe::piped()).stderr(Pipe::piped());
    let mut process = Process::spawn(command);
    let mut line = String::new();
    BufReader::new(process.child().stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = format!("{}/", line.trim().strip_prefix("upstream listening on ").unwrap());
    let made = operator.post("/v1/proxy/upstreams", &json!({"name": "up", "url": url})).json();
    assert_eq!(made["healthy"], true, "{made}");
    process
}

/// The messages of an event stream, or the one of a JSON body.
fn messages(answer: &Answer) -> Vec<Value> {
    let events = answer.text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| !data.is_empty());
    let events: Vec<Value> = events.map(|data| serde_json::from_str(data).unwrap()).collect();
    if events.is_empty() { vec![answer.json()] } else { events }
}

/// A request of 2026-07-28 to `/mcp/up`.
pub fn modern(client: &Client, session: &str, id: u64, method: &str, params: &Value) -> Vec<Value> {
    let mut params = params.clone();
    for (name, value) in context().as_object().unwrap() {
        params["_meta"][name] = value.clone();
    }
    let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    let name = params["name"].as_str().unwrap_or_default().to_owned();
    let mut headers =
        vec![BOTH, ("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", method), ("X-Session-ID", session)];
    if !name.is_empty() {
        headers.push(("Mcp-Name", &name));
    }
    messages(&client.send("POST", "/mcp/up", &headers, &message.to_string()))
}

#[test]
fn a_client_without_handshake_calls_a_wrapped_server_with_one() {
    let house = House::new();
    let mut client = wrapped(&house, &["--bridge"], "--old");
    let with = |more: Value| {
        let mut params = more;
        params["_meta"] = context();
        params
    };
    let read = |lines: &[String]| -> Value { serde_json::from_str(lines.last().unwrap()).unwrap() };
    let found = read(&client.ask("server/discover", &with(json!({}))));
    assert_eq!(found["result"]["supportedVersions"], json!(["2026-07-28"]), "{found}");
    assert_eq!(found["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "test-upstream", "{found}");
    let listed = read(&client.ask("tools/list", &with(json!({}))));
    assert_eq!((&listed["result"]["resultType"], &listed["result"]["ttlMs"]), (&json!("complete"), &json!(0)));
    let call = json!({"name": "test_sampling", "arguments": {"prompt": "p"}});
    let needed = read(&client.ask("tools/call", &with(call.clone())))["result"].clone();
    assert_eq!(needed["resultType"], "input_required", "{needed}");
    let (key, question) = needed["inputRequests"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(question["method"], "sampling/createMessage");
    let mut again = call;
    again["requestState"] = needed["requestState"].clone();
    again["inputResponses"][key] =
        json!({"role": "assistant", "content": {"type": "text", "text": "sampled"}, "model": "m"});
    let told = read(&client.ask("tools/call", &with(again.clone())));
    assert_eq!(told["result"]["content"][0]["text"], "LLM response: sampled", "{told}");
    // Answers are used once.
    assert_eq!(read(&client.ask("tools/call", &with(again)))["error"]["code"], -32602);
    let echoed = read(&client.ask("tools/call", &with(json!({"name": "echo", "arguments": {"n": 1}}))));
    assert_eq!(echoed["result"]["content"][0]["text"], r#"{"n":1}"#, "{echoed}");
    assert_eq!(echoed["result"]["resultType"], "complete");
}

#[test]
fn a_client_that_knows_the_handshake_too_hears_that_the_server_needs_it() {
    let house = House::new();
    let mut client = wrapped(&house, &[], "--old");
    let refused: Value =
        serde_json::from_str(client.ask("server/discover", &json!({"_meta": context()})).last().unwrap()).unwrap();
    assert!(refused["error"]["code"].is_i64(), "{refused}");
}

#[test]
fn a_client_with_handshake_calls_a_wrapped_server_without_one() {
    let house = House::new();
    let mut client = wrapped(&house, &[], "--new");
    let begun: Value = serde_json::from_str(client.begin().last().unwrap()).unwrap();
    let welcome = &begun["result"];
    assert_eq!(
        (&welcome["protocolVersion"], &welcome["serverInfo"]["name"]),
        (&json!("2025-06-18"), &json!("test-upstream"))
    );
    let listed: Value = serde_json::from_str(client.ask("tools/list", &json!({})).last().unwrap()).unwrap();
    assert!(listed["result"]["resultType"].is_null() && listed["result"]["tools"].is_array(), "{listed}");
    assert_eq!(client.call("echo", &json!({"n": 2}))["result"]["content"][0]["text"], r#"{"n":2}"#);
    // What the server needs before it answers is asked of the client, as servers did before.
    let lines = client.ask("tools/call", &json!({"name": "test_input_required_result_sampling", "arguments": {}}));
    assert!(lines[0].contains("sampling/createMessage"), "{lines:?}");
    let told: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    assert_eq!(told["result"]["content"][0]["text"], "sampled", "{told}");
    let lines = client.ask("tools/call", &json!({"name": "test_input_required_result_elicitation", "arguments": {}}));
    assert!(lines[0].contains(r#""message":"[up] What is your name?""#), "{lines:?}");
    let lines = client.ask("tools/call", &json!({"name": "test_tool_with_progress", "_meta": {"progressToken": "p"}}));
    assert_eq!(lines.iter().filter(|line| line.contains("notifications/progress")).count(), 3, "{lines:?}");
    assert_eq!(client.ask("ping", &json!({})).len(), 1);
}

#[test]
fn a_client_without_handshake_calls_a_server_with_one_over_http() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let _upstream = registered(&operator, "--old");
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let ask = |id, method: &str, params: &Value| modern(&operator, &session, id, method, params);
    let found = ask(1, "server/discover", &json!({})).pop().unwrap();
    assert_eq!(found["result"]["supportedVersions"], json!(["2026-07-28"]), "{found}");
    let call = json!({"name": "echo", "arguments": {"n": 1}});
    let told = ask(2, "tools/call", &call).pop().unwrap();
    assert_eq!((&told["id"], &told["result"]["resultType"]), (&json!(2), &json!("complete")), "{told}");
    assert_eq!(told["result"]["content"][0]["text"], r#"{"n":1}"#);
    let with_progress = json!({"name": "test_tool_with_progress", "_meta": {"progressToken": 7}});
    let heard = ask(2, "tools/call", &with_progress);
    let progress: Vec<_> = heard.iter().filter(|message| message["method"] == "notifications/progress").collect();
    assert!(progress.len() == 3 && progress.iter().all(|one| one["params"]["progressToken"] == 7), "{heard:?}");
    let elicit = json!({"name": "test_elicitation", "arguments": {"message": "m"}});
    let needed = ask(3, "tools/call", &elicit).pop().unwrap()["result"].clone();
    assert_eq!(needed["resultType"], "input_required", "{needed}");
    assert!(needed["inputRequests"].to_string().contains(r#""message":"[up] m""#), "{needed}");
    let mut again = elicit;
    again["requestState"] = needed["requestState"].clone();
    let key = needed["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
    again["inputResponses"][&key] = json!({"action": "accept", "content": {"username": "u", "email": "e@example.com"}});
    // Another client cannot continue it.
    let other = operator.mint(&json!({"role": "agent"}));
    assert_eq!(modern(&other, &session, 4, "tools/call", &again).pop().unwrap()["error"]["code"], -32602);
    let told = ask(5, "tools/call", &again).pop().unwrap();
    assert!(told["result"]["content"][0]["text"].as_str().unwrap().contains("action=accept"), "{told}");
    // Without a session of haldir there is no call.
    let refused = modern(&operator, "", 6, "tools/call", &json!({"name": "echo", "arguments": {}})).pop().unwrap();
    assert_eq!(refused["result"]["isError"], true, "{refused}");
    operator.verified();
}

#[test]
fn a_client_with_handshake_calls_a_server_without_one_over_http() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let _upstream = registered(&operator, "--new");
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-03-26", "capabilities": {"sampling": {}}, "clientInfo": {"name": "tests", "version": "1"}}});
    let begun = operator.send("POST", "/mcp/up", &[BOTH], &hello.to_string());
    let welcome = messages(&begun).pop().unwrap();
    assert_eq!(welcome["result"]["protocolVersion"], "2025-03-26", "{welcome}");
    let id = begun.header("mcp-session-id").unwrap().to_owned();
    let headers = [BOTH, ("Mcp-Session-Id", id.as_str()), ("X-Session-ID", session.as_str())];
    let send = |message: &Value| operator.send("POST", "/mcp/up", &headers, &message.to_string());
    assert_eq!(send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).status, 202);
    let call =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {"n": 3}}});
    let told = messages(&send(&call)).pop().unwrap();
    assert_eq!(told["result"]["content"][0]["text"], r#"{"n":3}"#, "{told}");
    assert!(told["result"]["resultType"].is_null(), "{told}");
    operator.verified();
}

#[test]
fn an_upstream_that_is_moved_is_called_at_its_new_address_by_clients_that_had_begun_before() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let call = json!({"name": "variable", "arguments": {"name": "WHICH"}});
    let _first = registered_as(&operator, "--old", "the first");
    let ask = |id| modern(&operator, &session, id, "tools/call", &call).pop().unwrap().to_string();
    assert!(ask(1).contains("the first"));
    let _second = registered_as(&operator, "--old", "the second");
    let told = ask(2);
    assert!(told.contains("the second"), "{told}");
    // A client that initialized a session initializes again.
    let _third = registered_as(&operator, "--new", "the third");
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}});
    let begin = || {
        let begun = operator.send("POST", "/mcp/up", &[BOTH], &hello.to_string());
        begun.header("mcp-session-id").unwrap_or_else(|| panic!("no session: {}", begun.text)).to_owned()
    };
    let ask = |id: &str| {
        let headers = [BOTH, ("Mcp-Session-Id", id), ("X-Session-ID", session.as_str())];
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call});
        operator.send("POST", "/mcp/up", &headers, &message.to_string())
    };
    let before = begin();
    assert!(ask(&before).text.contains("the third"));
    operator.delete("/v1/proxy/upstreams/up").ok();
    let _fourth = registered_as(&operator, "--new", "the fourth");
    let stale = ask(&before);
    assert!(stale.status == 404 && stale.text.contains("initialise again"), "{stale:?}");
    let told = ask(&begin()).text;
    assert!(told.contains("the fourth"), "{told}");
    operator.verified();
}
