//! Upstreams that send without end, or too much, or break off: each costs its own call, which ends by its limit and is
//! settled in the log, and no memory to speak of.

use std::{
    io::Write,
    net::TcpStream,
    process::Stdio as Pipe,
    time::{Duration, Instant},
};

use super::front::{Front, Way, peak_of};
use crate::{
    proxy::{entries, wait_for},
    support::{
        Process, json,
        program::upstream_program,
        until,
        upstream::{Behaviour, Upstream, tool},
    },
};

/// A gigabyte that was kept anywhere would be far more, in MiB.
const MOST_MEMORY: u64 = 300;
/// Limits of calls are two seconds at most in these tests.
const LONG: Duration = Duration::from_secs(60);

/// Every way to a server over HTTP that does this.
#[track_caller]
fn floods(front: &mut Front, way: Way, what: &str, call: impl Fn(&Front) -> String) {
    let before = entries(&front.operator, "proxyCall.unknown").len();
    let begun = Instant::now();
    let told = call(front);
    let shown: String = told.chars().rev().take(400).collect::<Vec<_>>().into_iter().rev().collect();
    assert!(begun.elapsed() < LONG, "{way:?} {what}: took {:?}", begun.elapsed());
    assert!(told.contains("\"isError\":true") || told.contains("\"error\""), "{way:?} {what}: {shown}");
    let unknown = wait_for(&front.operator, "proxyCall.unknown", before + 1);
    assert_eq!(unknown.len(), before + 1, "{way:?} {what}");
    let peak = front.peak(way);
    println!("{way:?} {what}: {:?}, {peak} MiB", begun.elapsed());
    assert!(peak < MOST_MEMORY, "{way:?} {what}: {peak} MiB");
}

#[test]
fn a_server_that_never_stops_sending_costs_its_own_call_and_little_memory() {
    let (upstream, well) = (Upstream::new([tool("echo")]), Upstream::new([tool("fine")]));
    let mut front = Front::to(&upstream);
    crate::proxy::register(&front.operator, "well", &well);
    for way in front.ways() {
        for behaviour in [
            Behaviour::Endless,
            Behaviour::EndlessEvent,
            Behaviour::EndlessBody,
            Behaviour::Huge(1_000_000_000),
            Behaviour::BreakOff,
            Behaviour::BreakOffEvents,
        ] {
            upstream.behave(behaviour.clone());
            floods(&mut front, way, &format!("{behaviour:?}"), |front| front.call(way, "echo", &json!({})));
            upstream.behave(Behaviour::Echo);
            // It is left alone for a moment after failures.
            until(&format!("{way:?}: it comes back"), || front.call(way, "echo", &json!({"back": 1})).contains("back"));
        }
    }
    front.operator.verified();
}

#[test]
fn a_child_that_never_stops_writing_costs_its_own_call_and_little_memory() {
    let mut front = Front::to_child(&json!([]));
    for way in front.ways() {
        for (tool, arguments) in
            [("flood", json!({"kind": "messages"})), ("die", json!({})), ("flood", json!({"kind": "line"}))]
        {
            floods(&mut front, way, &format!("{tool} {arguments}"), |front| front.call(way, tool, &arguments));
            if arguments["kind"] == "messages" {
                // It goes on with that until it ends.
                continue;
            }
            until(&format!("{way:?} {tool} {arguments}: it comes back"), || {
                let is_back = front.call(way, "test_simple_text", &json!({})).contains("simple text");
                if !is_back && way == Way::Own {
                    front.begin_again();
                }
                is_back
            });
        }
    }
    front.operator.verified();
}

#[test]
fn a_client_that_does_not_read_costs_little_memory_however_much_the_server_sends() {
    let front = Front::to_child(&json!([]));
    // A wrapped server whose client has asked, and reads nothing.
    let mut command = front.house.program();
    command.args(["wrap", "--name", "mute", "--"]).arg(upstream_program()).arg("--stdio");
    command.stdin(Pipe::piped());
    let mut wrapped = Process::spawn(command);
    let hello =
        json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let flood = json!({"name": "flood", "arguments": {"kind": "large messages"}});
    let mut input = wrapped.child().stdin.take().unwrap();
    for message in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": flood}),
    ] {
        writeln!(input, "{message}").unwrap();
    }
    // And one at `/mcp/up`, that listens without reading, while its call floods.
    let own = front.own_session().to_owned();
    let (key, session) = (front.operator.key().to_owned(), front.session.clone());
    let connections: Vec<_> = [
        ("GET", String::new()),
        ("POST", {
            let params = json!({"name": "flood", "arguments": {"kind": "large messages"}});
            json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params}).to_string()
        }),
    ]
    .map(|(method, body)| {
        let mut stream = TcpStream::connect(front.server.address).unwrap();
        write!(
            stream,
            "{method} /mcp/up HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {key}\r\nMcp-Session-Id: {own}\r\n\
             X-Session-ID: {session}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Accept: application/json, text/event-stream\r\n\r\n{body}",
            front.server.address,
            body.len()
        )
        .unwrap();
        stream
    })
    .into();
    let mut front = front;
    wait_for(&front.operator, "proxyCall.begin", 2);
    // The call at `/mcp/up` ends by its time limit, though its client has not read a word. Both have flooded until then.
    wait_for(&front.operator, "proxyCall.unknown", 1);
    for (what, peak) in [("wrapped", peak_of(&mut wrapped)), ("served", front.peak(Way::Own))] {
        println!("{what}: {peak} MiB");
        assert!(peak < MOST_MEMORY, "{what}: {peak} MiB");
    }
    drop(connections);
}
