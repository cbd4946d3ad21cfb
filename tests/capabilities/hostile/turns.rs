//! Turns at a child, which all its callers share: no caller keeps one for longer than a call may take.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::{Command, Stdio as Pipe},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::front::BOTH;
use crate::{
    children::{configure, marked, running},
    proxy::wait_for,
    support::{Client, House, Server, json, until},
};

/// Calls of one upstream at a time.
const TURNS: usize = 32;

/// A protocol session at the child.
fn begin(operator: &Client) -> String {
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}});
    let begun = operator.send("POST", "/mcp/up", &[BOTH], &hello.to_string());
    let own = begun.header("mcp-session-id").unwrap_or_else(|| panic!("no session: {}", begun.text)).to_owned();
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    operator.send("POST", "/mcp/up", &[BOTH, ("Mcp-Session-Id", &own)], &initialized);
    own
}

fn calling(id: usize, tool: &str, arguments: &Value) -> String {
    let params = json!({"name": tool, "arguments": arguments});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string()
}

/// Whether a signal has stopped this process.
fn stands_still(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
}

/// What was asked, and is left open.
fn open(server: &Server, operator: &Client, (own, session): (&str, &str), body: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    write!(
        stream,
        "POST /mcp/up HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nMcp-Session-Id: {own}\r\n\
         X-Session-ID: {session}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{}: {}\r\n\r\n{body}",
        server.address,
        operator.key(),
        body.len(),
        BOTH.0,
        BOTH.1,
    )
    .unwrap();
    BufReader::new(stream)
}

/// All that a stream says until it ends.
fn rest(stream: &mut BufReader<TcpStream>) -> String {
    let (mut all, mut line) = (String::new(), String::new());
    while line != "0\r\n" && stream.read_line(&mut line).expect("the stream does not end") > 0 {
        all.push_str(&line);
        if line != "0\r\n" {
            line.clear();
        }
    }
    all
}

#[test]
fn a_call_that_is_taken_back_gives_its_turn_to_others_though_its_stream_stays_open() {
    let house = House::new();
    let mut command = house.serving();
    command.env("HALDIR_CONFIG", configure(&house, "")).env("HALDIR_UPSTREAM_CALLS", TURNS.to_string());
    let server = Server::start(command);
    let operator = server.first_key();
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let own = begin(&operator);
    let headers = [BOTH, ("Mcp-Session-Id", own.as_str()), ("X-Session-ID", session.as_str())];
    let sleep = |id| open(&server, &operator, (&own, &session), &calling(id, "sleep", &json!({"ms": 600_000})));
    let mut streams: Vec<_> = (1..=TURNS).map(sleep).collect();
    wait_for(&operator, "proxyCall.begin", TURNS);
    for id in 1..=TURNS {
        let cancelled =
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}).to_string();
        assert_eq!(operator.send("POST", "/mcp/up", &headers, &cancelled).status, 202);
    }
    // All callers share the turns.
    let told = operator.send("POST", "/mcp/up", &headers, &calling(99, "echo", &json!({"n": 7}))).text;
    assert!(told.contains(r#"{\"n\":7}"#), "{told}");
    for stream in &mut streams {
        let said = rest(stream);
        assert!(said.contains("text/event-stream") && !said.contains("data:"), "{said}");
    }
    operator.verified();
}

#[test]
fn a_request_that_is_no_call_and_never_answered_ends_by_the_time_limit_of_calls() {
    let house = House::new();
    let (mut command, mark) = marked(&house);
    command.env("HALDIR_CALL_TIMEOUT", "1").env("HALDIR_UPSTREAM_CALLS", TURNS.to_string());
    let server = Server::start(command);
    let operator = server.first_key();
    let own = begin(&operator);
    until("the session has no child", || running(&mark).len() == 2);
    let signal = |name: &str| {
        for pid in running(&mark) {
            let told = Command::new("kill").args([name, &pid.to_string()]).stderr(Pipe::null()).status();
            assert!(told.unwrap().success());
        }
    };
    until("the children do not stand still", || {
        signal("-STOP");
        running(&mark).iter().filter(|pid| stands_still(**pid)).count() == 2
    });
    let ping = |id: usize| json!({"jsonrpc": "2.0", "id": id, "method": "ping"}).to_string();
    let begun = Instant::now();
    let mut streams: Vec<_> = (1..=TURNS).map(|id| open(&server, &operator, (&own, ""), &ping(id))).collect();
    let json_only = [("Accept", "application/json"), ("Mcp-Session-Id", own.as_str())];
    let waits = operator.send("POST", "/mcp/up", &json_only, &ping(90)).text;
    for (id, stream) in (1..).zip(&mut streams) {
        let said = rest(stream);
        assert!(said.contains(&format!("\"id\":{id},")) && said.contains("did not answer in time"), "{said}");
    }
    assert!(waits.contains("did not answer in time"), "{waits}");
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    signal("-CONT");
    // What its child had not read it answers first.
    until("the child answers again", || {
        operator.send("POST", "/mcp/up", &json_only, &ping(91)).text.contains("\"result\"")
    });
}
