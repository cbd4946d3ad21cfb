//! What every request counts as, how many streams there may be, and how many files the process may have open.

use std::{
    io::{BufReader, Write},
    net::TcpStream,
    process::{Command, Stdio as Pipe},
};

use crate::support::{Answer, Client, House, McpSession, Server, json, read_answer, text};

fn limited(house: &House, limits: &str) -> Server {
    let mut command = house.program();
    command.args(["serve", "--listen", "127.0.0.1:0", "--rate-limits", limits]);
    Server::start(command)
}

fn rpc(client: &Client, path: &str, method: &str) -> Answer {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {}});
    client.send("POST", path, &[("Accept", "application/json, text/event-stream")], &message.to_string())
}

#[test]
fn every_mcp_request_of_a_known_key_counts_against_its_hour() {
    let house = House::new();
    let server = limited(&house, "free=30,enterprise=5000");
    let operator = server.first_key();
    let upstream = crate::support::upstream::Upstream::new([crate::support::upstream::tool("echo")]);
    let unsafe_address = operator.post("/v1/proxy/upstreams", &json!({"name": "up", "url": upstream.url()}));
    assert_eq!(unsafe_address.status, 400, "{}", unsafe_address.text);
    let send = |client: &Client, kind: usize| match kind {
        0 => rpc(client, "/mcp", "ping").status,
        1 => rpc(client, "/mcp", "prompts/list").status,
        2 => rpc(client, "/mcp", "initialize").status,
        3 => client.post_text("/mcp", "{ no JSON").status,
        4 => client.post_text("/mcp", r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).status,
        5 => client.tool_text("no_such_tool", "{}").status,
        6 => client.send("DELETE", "/mcp", &[], "").status,
        _ => client.tool_text("getSpend", "{}").status,
    };
    for kind in 0..8 {
        // The answer to an unknown tool lists those that there are, which is a call of its own.
        let allowed = if kind == 5 { 15 } else { 30 };
        // An hour may end in the midst of it: then the count begins anew once.
        let counts = (0..3).any(|_| {
            let agent = operator.mint(&json!({"tier": "free"}));
            let statuses: Vec<_> = (0..40).map(|_| send(&agent, kind)).collect();
            statuses[..allowed].iter().all(|status| *status != 429)
                && statuses[30..].iter().all(|status| *status == 429)
        });
        assert!(counts, "requests of kind {kind} are not counted");
    }
}

#[test]
fn a_key_has_no_hourly_limit_unless_the_server_sets_one_and_an_operator_can_change_its_tier() {
    let house = House::new();
    let mut command = house.program();
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    let server = Server::start(command);
    let operator = server.first_key();
    let free = operator.mint(&json!({"role": "agent"}));
    for _ in 0..120 {
        let answer = free.get("/v1/sessions");
        answer.ok();
        assert_eq!(answer.header("x-ratelimit-limit"), None);
    }
    drop(server);
    let server = limited(&house, "on");
    let operator = server.with_key(operator.key());
    let made = operator.post("/v1/keys", &json!({"role": "agent"})).ok();
    let (agent, prefix) = (server.with_key(&text(&made, "key")), text(&made, "prefix"));
    assert_eq!(agent.get("/v1/sessions").header("x-ratelimit-limit"), Some("100"));
    let path = format!("/v1/keys/{prefix}/tier");
    let set = |client: &Client, tier: &str| client.send("PUT", &path, &[], &json!({"tier": tier}).to_string());
    set(&agent, "pro").refused(403, "operator_required");
    set(&operator, "gold").refused_field(400, "invalid_argument", "tier");
    let changed = set(&operator, "pro").ok();
    assert_eq!((&changed["tier"], &changed["previous_tier"]), (&json!("pro"), &json!("free")));
    assert_eq!(agent.get("/v1/sessions").header("x-ratelimit-limit"), Some("5000"));
    let (code, output, errors) = house.terminal(&["keys", "tier", &prefix, "enterprise"]);
    assert_eq!(code, 0, "{errors}");
    assert!(output.contains("enterprise"), "{output}");
    assert_eq!(agent.get("/v1/sessions").header("x-ratelimit-limit"), Some("50000"));
    operator.verified();
}

/// A server that may have so many files open, and may not have more.
fn with_files(house: &House, soft: u32, hard: u32) -> Server {
    let serving = house.serving();
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\""));
    command.arg(serving.get_program()).args(serving.get_args()).env_clear().current_dir(house.folder());
    command.envs(serving.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Pipe::null()).stdout(Pipe::piped()).stderr(Pipe::piped());
    Server::start(command)
}

/// The stream of a protocol session, once the server has answered it.
fn listen(server: &Server, key: &str, session: &str) -> (u16, BufReader<TcpStream>) {
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(
        stream,
        "GET /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {key}\r\nMcp-Session-Id: {session}\r\n\
         Accept: text/event-stream\r\n\r\n",
        server.address
    )
    .unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
    (line.split(' ').nth(1).unwrap().parse().unwrap(), reader)
}

#[cfg(target_os = "linux")]
#[test]
fn the_limit_of_open_files_is_raised_and_streams_leave_room_for_other_clients() {
    let house = House::new();
    let mut server = with_files(&house, 64, 288);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.process.child().id())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("288"), "{files}");
    let operator = server.first_key();
    // 80 connections: 40 streams, of which a tenant may hold 20 and a key 10.
    let keys: Vec<_> = (0..3).map(|_| operator.mint(&json!({"role": "agent"}))).collect();
    let mut held = Vec::new();
    for (key, most) in keys.iter().zip([10, 10, 0]) {
        for number in 0..12 {
            let session = McpSession::begin(key);
            let (status, stream) = listen(&server, key.key(), &session.id);
            assert_eq!(status, if number < most { 200 } else { 503 }, "stream {number}");
            held.push(stream);
        }
    }
    assert_eq!(operator.get("/healthz").status, 200);
    operator.session(&json!({}));
    // What is given back can be had again.
    drop(held);
    crate::support::until("there is room again", || {
        let session = McpSession::begin(&keys[2]);
        listen(&server, keys[2].key(), &session.id).0 == 200
    });
}

#[test]
fn a_refused_stream_says_why() {
    let house = House::new();
    let server = with_files(&house, 160, 160);
    let operator = server.first_key();
    let first = McpSession::begin(&operator);
    let kept: Vec<_> = (0..2).map(|_| listen(&server, operator.key(), &McpSession::begin(&operator).id)).collect();
    assert_eq!(kept.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [200, 200]);
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(
        stream,
        "GET /mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nMcp-Session-Id: {}\r\n\
         Accept: text/event-stream\r\n\r\n",
        server.address,
        operator.key(),
        first.id
    )
    .unwrap();
    let refused = read_answer(&mut BufReader::new(stream)).unwrap();
    assert!(refused.text.contains("held open"), "{} {}", refused.status, refused.text);
}
