//! Bodies that clients send half of: how much of them is held, and of whom.

use std::{
    io::{BufReader, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::mpsc,
    thread,
};

use crate::{
    proxy::register,
    support::{
        Client, House, json, read_answer, text, until,
        upstream::{Behaviour, Upstream, tool},
    },
};

/// What a message may have, and what is sent of each.
const ANNOUNCED: usize = 4 * 1024 * 1024;
const SENT: usize = ANNOUNCED - 64 * 1024;
/// Bodies of that size that are held of one key.
const HELD: usize = 8;

/// Sends most of a body, and stops; the answer that comes all the same.
fn send_half(
    address: SocketAddr,
    client: &Client,
    path: &str,
    answered: mpsc::Sender<(u16, Option<String>)>,
) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let kept = stream.try_clone().unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {ANNOUNCED}\r\n\r\n",
        address,
        client.key()
    );
    thread::spawn(move || {
        // The server may close before all is sent.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&vec![b' '; SENT]));
        if let Ok(answer) = read_answer(&mut BufReader::new(stream)) {
            let _ = answered.send((answer.status, answer.header("retry-after").map(str::to_owned)));
        }
    });
    kept
}

#[test]
fn half_sent_bodies_of_one_key_take_a_bounded_part_of_the_memory() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    upstream.behave(Behaviour::Result(json!({"content": []})));
    let (greedy, other) = (operator.mint(&json!({"role": "agent"})), operator.mint(&json!({"role": "agent"})));
    let (answered, answers) = mpsc::channel();
    let paths = ["/mcp", "/mcp/up", "/v1/proxy/call"];
    let send = |number: usize| send_half(server.address, &greedy, paths[number % paths.len()], answered.clone());
    let held: Vec<_> = (0..HELD + 4).map(send).collect();
    for _ in 0..4 {
        assert_eq!(answers.recv().unwrap(), (503, Some("1".to_owned())), "more is held than a key may send at a time");
    }
    let large = |client: &Client, session: &str| {
        let arguments = json!({"text": "x".repeat(ANNOUNCED / 2)});
        client.post("/v1/proxy/call", &json!({"session_id": session, "tool": "up.echo", "arguments": arguments}))
    };
    let session = |client: &Client| client.session(&json!({"scopes": ["execute"]}));
    // Small requests of the same key, and large ones of others, come through.
    let (of_greedy, of_other) = (session(&greedy), session(&other));
    let refused = large(&greedy, &of_greedy).refused(503, "unavailable");
    assert!(text(&refused, "error").contains("request bodies are on their way"), "{refused}");
    large(&other, &of_other).ok();
    for stream in held {
        // One that was refused may be closed already.
        let _ = stream.shutdown(Shutdown::Both);
    }
    until("what was given back can be had again", || large(&greedy, &of_greedy).status == 200);
}
