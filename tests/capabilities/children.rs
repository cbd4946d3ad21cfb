//! Upstreams that stand in the config file: children of the server, reached in three ways, and ended with it.

use std::{fs, process::Command};

use serde_json::Value;

use crate::support::{
    Client, Events, House, McpSession, Server, Stdio, json,
    program::{Lines, upstream_program},
    refuses_to_start, text, until,
};

/// A config file with the upstream of the tests as the child `up`.
pub fn configure(house: &House, more: &str) -> std::path::PathBuf {
    let path = house.folder().join("haldir.toml");
    let program = json!(upstream_program()).to_string();
    fs::write(&path, format!("[upstreams.up]\ncommand = {program}\nargs = [\"--stdio\"]\n{more}\n")).unwrap();
    path
}

/// A server whose child `up` bears a mark among its arguments, by which its processes are found.
pub fn marked(house: &House) -> (Command, String) {
    let mark = house.folder().join("mark").display().to_string();
    let config = configure(house, "");
    let text = fs::read_to_string(&config).unwrap().replace("\"--stdio\"", &format!("\"--stdio\", {}", json!(mark)));
    fs::write(&config, text).unwrap();
    let mut command = house.serving();
    command.env("HALDIR_CONFIG", &config);
    (command, mark)
}

fn serving(house: &House, more: &str) -> Command {
    let mut command = house.serving();
    command.env("HALDIR_CONFIG", configure(house, more));
    command
}

fn call(client: &Client, session: &str, tool: &str, arguments: &Value) -> Value {
    client.post("/v1/proxy/call", &json!({"session_id": session, "tool": tool, "arguments": arguments})).ok()
}

/// A call that goes well, once the child has been started.
#[track_caller]
fn first(client: &Client, session: &str) {
    let echo = json!({"session_id": session, "tool": "up.echo", "arguments": {}});
    until("the child answers", || client.post("/v1/proxy/call", &echo).json()["isError"] == false);
}

/// Processes whose command line has this in it.
pub fn running(mark: &str) -> Vec<i32> {
    let numbered = fs::read_dir("/proc").unwrap().flatten();
    let numbers = numbered.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_it = |number: &i32| {
        let line = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(mark) && String::from_utf8_lossy(&line).contains("--stdio")
    };
    numbers.filter(is_it).collect()
}

#[test]
fn a_child_of_the_configuration_is_reached_in_all_three_ways() {
    let house = House::new();
    let server = Server::start(serving(&house, ""));
    let operator = server.first_key();
    let session = operator.session(&json!({"scopes": ["execute"]}));
    first(&operator, &session);
    let told = call(&operator, &session, "up.echo", &json!({"n": 1.50}));
    assert_eq!(told["content"][0]["text"], r#"{"n":1.5}"#, "{told}");
    // Beside haldir's own tools.
    let connection = McpSession::begin(&operator);
    let listed = connection.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).text;
    assert!(listed.contains("\"up__echo\""), "{listed}");
    connection.tool("createSession", &json!({"agent_id": "a", "scopes": ["execute"]}));
    assert!(connection.tool("up.echo", &json!({"a": 7})).contains(r#"{\"a\":7}"#));
    // And by itself.
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}});
    let accept = ("Accept", "application/json, text/event-stream");
    let begun = operator.send("POST", "/mcp/up", &[accept], &hello.to_string());
    assert!(begun.text.contains("test-upstream"), "{}", begun.text);
    let id = begun.header("mcp-session-id").unwrap().to_owned();
    let ours = [accept, ("Mcp-Session-Id", id.as_str()), ("X-Session-ID", session.as_str())];
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    assert_eq!(operator.send("POST", "/mcp/up", &ours, &initialized).status, 202);
    let ask = |client: &Client, headers: &[(&str, &str)], name: &str| {
        let params = json!({"name": name, "arguments": {}, "_meta": {"progressToken": "p"}});
        let message = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params});
        client.send("POST", "/mcp/up", headers, &message.to_string())
    };
    let answer = ask(&operator, &ours, "test_tool_with_progress");
    let events = answer.text.matches("notifications/progress").count();
    assert!(events >= 3 && answer.text.contains("Made progress."), "{}", answer.text);
    let refused = ask(&operator, &ours[..2], "echo").text;
    assert!(refused.contains("session_invalid"), "{refused}");
    // It is the key's that began it, and ends when that says so.
    let other = operator.mint(&json!({"role": "agent"}));
    assert_eq!(ask(&other, &ours, "echo").status, 404);
    assert_eq!(other.send("DELETE", "/mcp/up", &ours, "").status, 404);
    assert_eq!(operator.send("DELETE", "/mcp/up", &ours, "").status, 204);
    assert_eq!(ask(&operator, &ours, "echo").status, 404);
    operator.verified();
}

#[test]
fn a_client_that_asks_once_sees_the_tools_of_a_child_that_has_just_been_started() {
    let house = House::new();
    let mut command = house.program();
    command.env("HALDIR_CONFIG", configure(&house, ""));
    let stdio = Stdio::start(command);
    let listed = stdio.exchange(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    assert!(listed.to_string().contains("\"up__echo\""), "{listed}");
    stdio.leave();
    // Nor does it wait for one that does not start.
    let house = House::new();
    let mut command = house.program();
    let config = house.folder().join("haldir.toml");
    fs::write(&config, "[upstreams.up]\ncommand = \"/no/such/program\"\n").unwrap();
    command.env("HALDIR_CONFIG", config);
    let stdio = Stdio::start(command);
    let listed = stdio.exchange(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    assert_eq!(listed["result"]["tools"].as_array().map(Vec::len), Some(10), "{listed}");
}

#[test]
fn a_child_sees_of_the_environment_what_it_needs_and_no_secret_comes_back() {
    let house = House::new();
    let more = "inherit = [\"WANTED\"]\nenv = { TOKEN = \"tok-{{secret:token}}\", PLAIN = \"p\" }";
    let secret = json!({"name": "token", "value": "12345678-secret", "upstreams": ["up"], "disclosure": "inject"});
    let before = Stdio::start(house.program());
    before.ok("storeSecret", &secret);
    assert!(before.leave().0);
    let mut program = house.program();
    program.env("HALDIR_CONFIG", configure(&house, more)).env("WANTED", "w").env("UNWANTED", "u");
    let stdio = Stdio::start(program);
    let says = |name: &str| stdio.tool("up.variable", &json!({"name": name}));
    until("the child is not there", || {
        let said = says("PLAIN");
        said["content"].is_array() && said["isError"] != true
    });
    let value = |name: &str| text(&says(name)["content"][0], "text");
    assert!(value("PLAIN").contains('p') && value("WANTED").contains('w'), "{} {}", value("PLAIN"), value("WANTED"));
    for hidden in ["UNWANTED", "HALDIR_CONFIG", "HALDIR_DB"] {
        let unset = value("NO_SUCH_VARIABLE").replace("NO_SUCH_VARIABLE", hidden);
        assert_eq!(value(hidden), unset, "{hidden} is seen");
    }
    let token = value("TOKEN");
    assert!(token.contains("[redacted: token]") && !token.contains("12345678-secret"), "{token}");
}

#[test]
fn a_child_that_ends_is_started_again_and_what_it_wrote_is_kept() {
    let house = House::new();
    let server = Server::start(serving(&house, ""));
    let operator = server.first_key();
    let session = operator.session(&json!({"scopes": ["execute"]}));
    first(&operator, &session);
    let died = call(&operator, &session, "up.die", &json!({}));
    assert!(died["isError"] == true && died.to_string().contains("ended"), "{died}");
    first(&operator, &session);
    let log = fs::read_to_string(house.logs().join("up.log")).unwrap();
    assert!(log.matches("upstream on standard input and output").count() >= 2, "{log}");
    let stats = operator.get("/v1/proxy/upstreams").ok();
    assert_eq!((&stats["upstreams"]["up"]["healthy"], &stats["upstreams"]["up"]["url"]), (&json!(true), &json!("")));
    operator.verified();
}

#[test]
fn an_answer_of_a_child_that_is_too_large_costs_that_call_only() {
    let house = House::new();
    let mut command = serving(&house, "");
    command.env("HALDIR_TEST_UPSTREAM_LIMITS", "2000,65536");
    let server = Server::start(command);
    let operator = server.first_key();
    let session = operator.session(&json!({"scopes": ["execute"]}));
    first(&operator, &session);
    let large = call(&operator, &session, "up.large", &json!({"bytes": 100_000}));
    assert!(large.to_string().contains("upstream_answer_too_large"), "{large}");
    let slow = call(&operator, &session, "up.sleep", &json!({"ms": 10_000}));
    assert!(slow.to_string().contains("upstream_timeout"), "{slow}");
    first(&operator, &session);
}

#[test]
fn children_end_with_their_server_even_if_that_is_killed() {
    for killed in [false, true] {
        let house = House::new();
        let mark = house.folder().join("mark").display().to_string();
        let config = configure(&house, "");
        let written =
            fs::read_to_string(&config).unwrap().replace("\"--stdio\"", &format!("\"--stdio\", {}", json!(mark)));
        fs::write(&config, written).unwrap();
        let mut command = house.serving();
        command.env("HALDIR_CONFIG", &config);
        let mut server = Server::start(command);
        until("the child is not started by itself", || !running(&mark).is_empty());
        if killed {
            server.process.kill();
        } else {
            server.process.terminate();
            assert!(server.process.finish().0, "the server does not end well");
        }
        until("the child runs on", || running(&mark).is_empty());
    }
}

/// Whether a process of this number runs; one that has ended may stay in the table until its new parent looks.
fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

#[cfg(target_os = "linux")]
#[test]
fn what_ignores_that_its_server_was_killed_is_ended_all_the_same() {
    let house = House::new();
    let pid = |name: &str| house.folder().join(name).display().to_string();
    // It does not look at its input, and does not end when it is asked to.
    let script = |name: &str| {
        let server = upstream_program().display();
        format!("trap '' TERM HUP INT; echo $$ > '{}'; '{server}' --stdio; while true; do sleep 1; done", pid(name))
    };
    let config = house.folder().join("haldir.toml");
    fs::write(
        &config,
        format!("[upstreams.up]\ncommand = \"/bin/sh\"\nargs = [\"-c\", {}]\n", json!(script("served"))),
    )
    .unwrap();
    let mut command = house.serving();
    command.env("HALDIR_CONFIG", &config).env("PATH", "/usr/bin:/bin");
    let mut server = Server::start(command);
    let mut command = house.program();
    command.env("PATH", "/usr/bin:/bin");
    command.args(["wrap", "--name", "other", "--", "/bin/sh", "-c", &script("wrapped")]);
    let mut wrapped = Lines::begun(command);
    wrapped.call("echo", &json!({}));
    let stubborn = ["served", "wrapped"].map(|name| {
        until("the child is not started", || fs::read_to_string(pid(name)).is_ok_and(|pid| pid.ends_with('\n')));
        fs::read_to_string(pid(name)).unwrap()
    });
    assert!(stubborn.iter().all(|pid| lives(pid)));
    server.process.kill();
    wrapped.process.kill();
    until("a stubborn child outlives its server", || !stubborn.iter().any(|pid| lives(pid)));
}

#[test]
fn no_call_changes_what_the_configuration_starts() {
    let house = House::new();
    let server = Server::start(serving(&house, ""));
    let operator = server.first_key();
    let taken = json!({"name": "up", "url": "https://1.1.1.1/mcp"});
    operator.post("/v1/proxy/upstreams", &taken).refused(409, "conflict");
    for bad in ["other = 1", "env = { \"A=B\" = \"c\" }", "tenant = \"nobody\""] {
        let house = House::new();
        let errors = refuses_to_start(serving(&house, bad));
        assert!(errors.contains("haldir-mcp:"), "{bad}: {errors}");
    }
}

#[test]
fn a_wrapped_server_sees_the_environment_of_its_client() {
    let house = House::new();
    let mut command = house.program();
    command.args(["wrap", "--name", "up", "--"]).arg(upstream_program()).arg("--stdio").env("GIVEN", "by the client");
    let mut wrapped = Lines::begun(command);
    let told = wrapped.call("variable", &json!({"name": "GIVEN"}));
    assert!(told.to_string().contains("by the client"), "{told}");
}

#[test]
fn a_protocol_session_that_ends_ends_its_child_also_with_an_open_stream() {
    let house = House::new();
    let (command, mark) = marked(&house);
    let server = Server::start(command);
    let operator = server.first_key();
    until("the shared child is not started by itself", || running(&mark).len() == 1);
    let accept = ("Accept", "application/json, text/event-stream");
    let hello =
        json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}).to_string();
    let begun = operator.send("POST", "/mcp/up", &[accept], &hello);
    let session = begun.header("mcp-session-id").unwrap().to_owned();
    until("the session has no child of its own", || running(&mark).len() == 2);
    // It listens for as long as it can.
    let mut listener = Events::listen(&server, operator.key(), "/mcp/up", &[("Mcp-Session-Id", &session)]);
    listener.begun();
    assert_eq!(operator.send("DELETE", "/mcp/up", &[("Mcp-Session-Id", &session)], "").status, 204);
    until("the child outlives its session", || running(&mark).len() == 1);
}
