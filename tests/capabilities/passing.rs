//! What belongs to a call besides its answer passes through `upstream.tool` too: cancellation, progress, log messages,
//! and what the upstream asks the client.

mod asking;
mod elsewhere;
mod levels;
mod paused;

use std::{fs, process::Command};

use serde_json::Value;

use crate::{
    proxy::entries,
    support::{
        Client, Events, House, Process, Server, eventually, json,
        program::{Lines, upstream_program},
        text,
    },
};

/// With the upstream of the tests as the child `up`.
fn with_child(house: &House, mut command: Command, flags: &str) -> Command {
    let path = house.folder().join("haldir.toml");
    let program = json!(upstream_program()).to_string();
    fs::write(&path, format!("[upstreams.up]\ncommand = {program}\nargs = [\"--stdio\"{flags}]\n")).unwrap();
    command.env("HALDIR_CONFIG", path);
    command
}

/// A client on standard input and output, with a session, whose child answers.
fn local(house: &House, flags: &str) -> Lines {
    let mut lines = Lines::begun(with_child(house, house.program(), flags));
    lines.call("createSession", &json!({"agent_id": "a", "scopes": ["execute"]}));
    lines
}

fn parsed(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The server over HTTP with that child, and an operator's client.
fn serving(house: &House, flags: &str) -> (Server, Client, String) {
    let server = Server::start(with_child(house, house.serving(), flags));
    let operator = server.first_key();
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let echo = json!({"session_id": session, "tool": "up.echo", "arguments": {}});
    eventually("the child answers", || {
        let told = operator.post("/v1/proxy/call", &echo).json();
        (told["isError"] == false).then_some(())
    });
    (server, operator, session)
}

/// What makes the child one of the revisions with a handshake.
const OLD: &str = ", \"--old\"";
const BOTH: (&str, &str) = ("Accept", "application/json, text/event-stream");
const REVISION: (&str, &str) = ("Mcp-Protocol-Version", "2025-06-18");

/// A protocol session of a client that can do this.
fn begin(client: &Client, capabilities: &Value) -> String {
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": capabilities, "clientInfo": {"name": "tests", "version": "1"}}});
    let answer = client.send("POST", "/mcp", &[BOTH], &hello.to_string());
    let id = answer.header("mcp-session-id").unwrap().to_owned();
    post(client, &id, &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    id
}

/// A message within a protocol session that is not answered.
#[track_caller]
fn post(client: &Client, mcp: &str, message: &Value) {
    let answer = client.send("POST", "/mcp", &[BOTH, ("Mcp-Session-Id", mcp), REVISION], &message.to_string());
    assert_eq!(answer.status, 202, "{}", answer.text);
}

fn call_message(id: u64, tool: &str, arguments: &Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": "mine"}});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
}

/// A call within a protocol session, read event by event.
fn call(server: &Server, client: &Client, mcp: &str, session: &str, id: u64, tool: &str, arguments: &Value) -> Events {
    let headers = [("Mcp-Session-Id", mcp), REVISION, ("X-Session-ID", session)];
    Events::post(server, client.key(), "/mcp", &headers, &call_message(id, tool, arguments))
}

/// A call of 2026-07-28, which knows no protocol session.
fn modern(server: &Server, client: &Client, session: &str, id: u64, params: &Value) -> Events {
    let mut params = params.clone();
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    params["_meta"]["io.modelcontextprotocol/clientInfo"] = json!({"name": "tests", "version": "1"});
    if params["_meta"]["io.modelcontextprotocol/clientCapabilities"].is_null() {
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
            json!({"sampling": {}, "elicitation": {}, "roots": {}});
    }
    let message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
    let name = params["name"].as_str().unwrap().to_owned();
    let headers = [
        ("Mcp-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", name.as_str()),
        ("X-Session-ID", session),
    ];
    Events::post(server, client.key(), "/mcp", &headers, &message)
}

/// The upstream over HTTP, registered as `web`.
fn registered(operator: &Client, flags: &[&str]) -> Process {
    use std::io::BufRead;
    let mut command = Command::new(upstream_program());
    command.args(flags).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut process = Process::spawn(command);
    let mut line = String::new();
    std::io::BufReader::new(process.child().stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = format!("{}/", line.trim().strip_prefix("upstream listening on ").unwrap());
    let made = operator.post("/v1/proxy/upstreams", &json!({"name": "web", "url": url})).json();
    assert_eq!(made["healthy"], true, "{made}");
    process
}

/// What the upstream of the tests writes when a call of its tool `sleep` has begun.
const SLEEPS: &str = "a call sleeps";

/// Whether the child has written this to its standard error.
fn child_said(house: &House, what: &str) -> Option<()> {
    let (_, said, _) = house.terminal(&["upstreams", "logs", "up"]);
    said.contains(what).then_some(())
}

/// Whether the child has heard that a call was cancelled.
fn child_heard(house: &House) -> Option<()> {
    child_said(house, "a call was cancelled")
}

/// The call was begun, and its outcome says that it was cancelled.
#[track_caller]
fn settled_as_cancelled(operator: &Client) -> Value {
    eventually("the call is settled", || {
        let settled = entries(operator, "proxyCall.unknown");
        settled.into_iter().find(|entry| entry["details"]["reason"].as_str().unwrap_or_default().contains("cancelled"))
    })
}

#[test]
fn a_call_that_is_cancelled_on_standard_input_is_cancelled_at_the_child_and_settled() {
    let house = House::new();
    let mut lines = local(&house, "");
    lines.write(&call_message(50, "up.sleep", &json!({"ms": 60_000})).to_string());
    eventually("the child has the call", || child_said(&house, SLEEPS));
    lines.write(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":50}}"#);
    eventually("the child hears of it", || child_heard(&house));
    // The connection lives on, and nothing more is said of the call.
    let heard = parsed(&lines.ask("tools/call", &json!({"name": "up.echo", "arguments": {"n": 1}})));
    assert!(heard.iter().all(|message| message["id"] != 50) && heard.len() == 1, "{heard:?}");
    assert_eq!(heard[0]["result"]["content"][0]["text"], r#"{"n":1}"#);
    let trail = lines.call("getAuditTrail", &json!({"limit": 20}))["result"]["structuredContent"].clone();
    let settled = trail["entries"].as_array().unwrap().iter().find(|entry| entry["action"] == "proxyCall.unknown");
    assert!(text(&settled.unwrap()["details"], "reason").contains("cancelled"), "{trail}");
    let open: i64 = house.sql_value("SELECT count(*) FROM calls WHERE lease IS NOT NULL");
    assert_eq!(open, 0);
    assert!(lines.leave().0);
}

#[test]
fn a_call_that_is_cancelled_over_http_is_cancelled_at_the_upstream_and_settled() {
    let house = House::new();
    let (server, operator, session) = serving(&house, "");
    // With a protocol session, by a notification.
    let mcp = begin(&operator, &json!({}));
    let _waiting = call(&server, &operator, &mcp, &session, 5, "up.sleep", &json!({"ms": 60_000}));
    eventually("the child has the call", || child_said(&house, SLEEPS));
    post(&operator, &mcp, &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}}));
    settled_as_cancelled(&operator);
    eventually("the child hears of it", || child_heard(&house));
    // Without one, by hanging up; the upstream is one over HTTP, of either revision.
    for flags in [&["--old"][..], &["--new"]] {
        let web = registered(&operator, flags);
        let before = entries(&operator, "proxyCall.unknown").len();
        let waiting =
            modern(&server, &operator, &session, 7, &json!({"name": "web.sleep", "arguments": {"ms": 60_000}}));
        eventually("the upstream has the call", || web.errors().contains(SLEEPS).then_some(()));
        drop(waiting);
        eventually("the call is settled", || (entries(&operator, "proxyCall.unknown").len() > before).then_some(()));
        eventually("the upstream hears of it", || web.errors().contains("a call was cancelled").then_some(()));
        assert_eq!(operator.delete("/v1/proxy/upstreams/web").status, 200);
    }
    let open: i64 = house.sql_value("SELECT count(*) FROM calls WHERE lease IS NOT NULL");
    assert_eq!(open, 0);
    operator.verified();
}

#[track_caller]
fn is_progress(messages: &[Value]) {
    let steps: Vec<_> = messages.iter().filter(|message| message["method"] == "notifications/progress").collect();
    let told: Vec<_> = steps.iter().map(|step| step["params"]["progress"].as_f64().unwrap()).collect();
    assert_eq!(told, [0.0, 50.0, 100.0], "{messages:?}");
    assert!(steps.iter().all(|step| step["params"]["progressToken"] == "mine" && step["params"]["total"] == 100.0));
    assert_eq!(messages.last().unwrap()["result"]["content"][0]["text"], "Made progress.", "{messages:?}");
}

#[test]
fn progress_reaches_the_client_that_made_the_call_in_order_and_before_the_answer() {
    let house = House::new();
    let mut lines = local(&house, "");
    let asked = json!({"name": "up.test_tool_with_progress", "_meta": {"progressToken": "mine"}});
    is_progress(&parsed(&lines.ask("tools/call", &asked)));
    // Without a progress token, the client gets no progress.
    assert_eq!(lines.ask("tools/call", &json!({"name": "up.test_tool_with_progress"})).len(), 1);
    assert!(lines.leave().0);
    let house = House::new();
    let (server, operator, session) = serving(&house, "");
    let (one, other) = (begin(&operator, &json!({})), begin(&operator, &json!({})));
    let tool = "up.test_tool_with_progress";
    let mut both = [&one, &other].map(|mcp| call(&server, &operator, mcp, &session, 5, tool, &json!({})));
    for events in &mut both {
        is_progress(&events.up_to(5));
    }
    for flags in ["--old", "--new"] {
        let _web = registered(&operator, &[flags]);
        let asked = json!({"name": "web.test_tool_with_progress", "_meta": {"progressToken": "mine"}});
        is_progress(&modern(&server, &operator, &session, 6, &asked).up_to(6));
        assert_eq!(operator.delete("/v1/proxy/upstreams/web").status, 200);
    }
    // A client that accepts no event stream gets one JSON response.
    let message = call_message(9, tool, &json!({}));
    let answer = operator.send("POST", "/mcp", &[("X-Session-ID", session.as_str())], &message.to_string()).ok();
    assert_eq!(answer["result"]["content"][0]["text"], "Made progress.", "{answer}");
}

fn logged(messages: &[Value]) -> Vec<(&str, &str)> {
    let logs = messages.iter().filter(|message| message["method"] == "notifications/message");
    logs.map(|log| (log["params"]["logger"].as_str().unwrap(), log["params"]["data"].as_str().unwrap())).collect()
}

#[test]
fn log_messages_of_a_call_reach_the_client_that_asked_for_them() {
    let house = House::new();
    let mut lines = local(&house, "");
    let asked = json!({"name": "up.test_tool_with_logging", "arguments": {}});
    assert_eq!(lines.ask("tools/call", &asked).len(), 1);
    lines.ask("logging/setLevel", &json!({"level": "info"}));
    let heard = parsed(&lines.ask("tools/call", &asked));
    let expected =
        [("up", "Tool execution started"), ("up", "Tool processing data"), ("up", "Tool execution completed")];
    assert_eq!(logged(&heard), expected, "{heard:?}");
    lines.ask("logging/setLevel", &json!({"level": "error"}));
    assert_eq!(lines.ask("tools/call", &asked).len(), 1);
    assert!(lines.leave().0);
    let house = House::new();
    let (server, operator, session) = serving(&house, "");
    let mut asked = asked;
    asked["_meta"]["io.modelcontextprotocol/logLevel"] = json!("info");
    assert_eq!(logged(&modern(&server, &operator, &session, 6, &asked).up_to(6)), expected);
    // In a protocol session it comes on the stream that the client holds open, and on no other client's.
    let (one, other) = (begin(&operator, &json!({})), begin(&operator, &json!({})));
    let level = json!({"jsonrpc": "2.0", "id": 3, "method": "logging/setLevel", "params": {"level": "debug"}});
    let [mut first, mut second] = [&one, &other].map(|mcp| {
        let headers = [("Mcp-Session-Id", mcp.as_str()), REVISION];
        assert_eq!(operator.send("POST", "/mcp", &[BOTH, headers[0], headers[1]], &level.to_string()).status, 200);
        Events::listen(&server, operator.key(), "/mcp", &headers)
    });
    call(&server, &operator, &one, &session, 5, "up.test_tool_with_logging", &json!({})).up_to(5);
    assert_eq!(first.next()["params"]["data"], "Tool execution started");
    operator.send(
        "POST",
        "/mcp",
        &[BOTH, ("Mcp-Session-Id", &other), REVISION],
        &call_message(5, "getSpend", &json!({})).to_string(),
    );
    assert_eq!(second.next()["params"]["logger"], "haldir");
}

fn answered(messages: &[Value]) -> &str {
    messages.last().unwrap()["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{messages:?}"))
}

/// Reads a stream on a thread of its own, until it has a message of this method.
#[track_caller]
fn hears(events: &mut Events, method: &str) {
    loop {
        if events.next()["method"] == method {
            return;
        }
    }
}

const LIST_CHANGED: &str = "notifications/tools/list_changed";

#[test]
fn a_client_is_told_that_the_tools_have_changed_whatever_changed_them() {
    let house = House::new();
    let mut lines = local(&house, OLD);
    assert_eq!(lines.call("up.echo", &json!({}))["result"]["content"][0]["text"], "{}");
    assert!(lines.ask("tools/list", &json!({})).pop().unwrap().contains("\"up__poison\""));
    // The upstream says so itself: the tool that changed is in quarantine, and not in the list.
    let mut heard = lines.ask("tools/call", &json!({"name": "up.poison"}));
    while !heard.last().unwrap().contains(LIST_CHANGED) {
        heard.push(lines.line());
    }
    assert!(!lines.ask("tools/list", &json!({})).pop().unwrap().contains("\"up__echo\""));
    // An operator in another process accepts it.
    let (code, _, errors) = house.terminal(&["upstreams", "accept", "up", "echo"]);
    assert_eq!(code, 0, "{errors}");
    while !lines.line().contains(LIST_CHANGED) {}
    assert!(lines.ask("tools/list", &json!({})).pop().unwrap().contains("\"up__echo\""));
    assert!(lines.leave().0);
}

#[test]
fn clients_over_http_of_either_revision_are_told_that_the_tools_have_changed() {
    let house = House::new();
    let (server, operator, session) = serving(&house, "");
    let mcp = begin(&operator, &json!({}));
    let headers = [("Mcp-Session-Id", mcp.as_str()), REVISION];
    let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}).to_string();
    let listed = operator.send("POST", "/mcp", &[BOTH, headers[0], headers[1]], &list).text;
    assert!(listed.contains("up__echo"), "{listed}");
    let mut old = Events::listen(&server, operator.key(), "/mcp", &headers);
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "tests", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {}});
    let subscribe = json!({"jsonrpc": "2.0", "id": 3, "method": "subscriptions/listen",
        "params": {"_meta": meta, "notifications": {"toolsListChanged": true, "promptsListChanged": true}}});
    let named = [("Mcp-Protocol-Version", "2026-07-28"), ("Mcp-Method", "subscriptions/listen")];
    let mut new = Events::post(&server, operator.key(), "/mcp", &named, &subscribe);
    let begun = new.next();
    assert_eq!(begun["params"]["notifications"], json!({"toolsListChanged": true}), "{begun}");
    // The child is one of 2026-07-28, which says nothing of changes by itself.
    let poison = json!({"session_id": session, "tool": "up.poison", "arguments": {}});
    assert_eq!(operator.post("/v1/proxy/call", &poison).ok()["isError"], false);
    hears(&mut old, LIST_CHANGED);
    hears(&mut new, LIST_CHANGED);
    assert_eq!(operator.post("/v1/proxy/upstreams/up/accept", &json!({"tool": "echo"})).status, 200);
    hears(&mut old, LIST_CHANGED);
    hears(&mut new, LIST_CHANGED);
    // Another upstream.
    let _web = registered(&operator, &[]);
    hears(&mut old, LIST_CHANGED);
    hears(&mut new, LIST_CHANGED);
}

#[test]
fn what_a_child_says_to_a_subscription_names_the_clients_own_request() {
    let house = House::new();
    let (server, operator, session) = serving(&house, "");
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "tests", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {}});
    let ask = |id: &Value, method: &str, params: &Value| {
        let mut params = params.clone();
        params["_meta"] = meta.clone();
        let name = params["name"].as_str().unwrap_or_default().to_owned();
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let mut headers =
            vec![("Mcp-Protocol-Version", "2026-07-28"), ("Mcp-Method", method), ("X-Session-ID", session.as_str())];
        if !name.is_empty() {
            headers.push(("Mcp-Name", &name));
        }
        Events::post(&server, operator.key(), "/mcp/up", &headers, &message)
    };
    let subscribe = json!({"notifications": {"toolsListChanged": true}});
    let ids = [json!(3), json!("mine")];
    let mut all = ids.each_ref().map(|id| ask(id, "subscriptions/listen", &subscribe));
    let id_in = |message: &Value| message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].clone();
    for (events, id) in all.iter_mut().zip(&ids) {
        let begun = events.next();
        assert_eq!(begun["method"], "notifications/subscriptions/acknowledged", "{begun}");
        assert_eq!(id_in(&begun), *id, "{begun}");
    }
    // The tools of this child are other ones from now on.
    let told = ask(&json!(4), "tools/call", &json!({"name": "poison", "arguments": {}})).up_to(4);
    let result = &told.last().unwrap()["result"];
    assert!(result["content"].is_array() && result["isError"] != true, "{told:?}");
    for (events, id) in all.iter_mut().zip(&ids) {
        let mut message = events.next();
        while message["method"] != LIST_CHANGED {
            message = events.next();
        }
        assert_eq!(id_in(&message), *id, "{message}");
    }
}
