//! Streams that are held open, and children that are begun, by more than one at a time.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    time::Duration,
};

use super::front::BOTH;
use crate::{
    children::{configure, marked, running},
    support::{Client, House, Server, at_once, eventually, json, text, until},
    transparent,
};

/// A key of its own, with a session on this path, and the stream that it listens on.
fn listen(server: &Server, operator: &Client, path: &str) -> (String, BufReader<TcpStream>) {
    let made = operator.post("/v1/keys", &json!({"name": "listener", "role": "agent"})).ok();
    let agent = server.with_key(&text(&made, "key"));
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}});
    let begun = agent.send("POST", path, &[BOTH], &hello.to_string());
    let id = begun.header("mcp-session-id").unwrap_or_else(|| panic!("no session: {}", begun.text)).to_owned();
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    agent.send("POST", path, &[BOTH, ("Mcp-Session-Id", &id)], &initialized);
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nMcp-Session-Id: {id}\r\n\
         Accept: text/event-stream\r\n\r\n",
        server.address,
        agent.key()
    )
    .unwrap();
    (text(&made, "prefix"), BufReader::new(stream))
}

#[test]
fn a_listener_hears_nothing_any_more_soon_after_its_key_is_revoked() {
    let ((_upstream, url), house) = (transparent::running(), House::new());
    let mut command = house.serving();
    command.env("HALDIR_CONFIG", configure(&house, ""));
    let server = Server::start(command);
    let operator = server.first_key();
    transparent::register_at(&operator, "far", &url);
    let listeners = ["/mcp", "/mcp/far", "/mcp/up"].map(|path| {
        let (prefix, mut stream) = listen(&server, &operator, path);
        let (_, other) = listen(&server, &operator, path);
        let mut line = String::new();
        while line.trim() != "" || line.is_empty() {
            line.clear();
            stream.read_line(&mut line).unwrap();
        }
        (path, prefix, stream, other)
    });
    for (_, prefix, ..) in &listeners {
        assert_eq!(operator.delete(&format!("/v1/keys/{prefix}")).status, 200);
    }
    for (path, _, mut stream, mut other) in listeners {
        // What is left is the end of the body.
        let mut line = String::new();
        while !line.starts_with("0\r\n") {
            line.clear();
            assert!(stream.read_line(&mut line).unwrap() > 0, "{path}: {line}");
        }
        // Whose key is good goes on.
        other.get_mut().set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut ended = String::new();
        while other.read_line(&mut ended).is_ok_and(|read| read > 0) {}
        assert!(ended.contains("text/event-stream") && !ended.ends_with("0\r\n\r\n"), "{path}: {ended}");
    }
}

#[test]
fn requests_that_come_at_once_for_one_child_begin_one() {
    let house = House::new();
    let (command, mark) = marked(&house);
    let server = Server::start(command);
    let operator = server.first_key();
    until("haldir's own child is not started", || running(&mark).len() == 1);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "modern", "version": "2"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}).to_string();
    let answers = at_once(8, |_| {
        let headers = [BOTH, ("Mcp-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/list")];
        operator.again().send("POST", "/mcp/up", &headers, &list).text
    });
    assert!(answers.iter().all(|answer| answer.contains("test_simple_text")), "{answers:?}");
    assert_eq!(running(&mark).len(), 2, "haldir's own, and one for all of them");
}

#[test]
fn a_client_that_never_ends_its_sessions_is_not_locked_out() {
    let house = House::new();
    let mut command = house.serving();
    command.env("HALDIR_CONFIG", configure(&house, ""));
    let server = Server::start(command);
    let operator = server.first_key();
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}});
    let open = || operator.send("POST", "/mcp/up", &[BOTH], &hello.to_string());
    let ping = |id: &str| {
        let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
        operator.send("POST", "/mcp/up", &[BOTH, ("Mcp-Session-Id", id)], &ping).status
    };
    let id = |answer: &crate::support::Answer| answer.header("mcp-session-id").unwrap().to_owned();
    let first: Vec<String> = (0..32).map(|_| id(&open())).collect();
    let refused = open();
    assert!(refused.status == 503 && refused.text.contains("32 of them of this key"), "{}", refused.text);
    // The first is used again and again, so the second has been left alone longest.
    let one_more = eventually("one makes way", || {
        assert_eq!(ping(&first[0]), 200);
        let answer = open();
        (answer.status == 200).then(|| id(&answer))
    });
    let still: Vec<u16> = [&first[0], &first[1], &first[2], &one_more].map(|id| ping(id)).to_vec();
    assert_eq!(still, [200, 404, 200, 200]);
}
