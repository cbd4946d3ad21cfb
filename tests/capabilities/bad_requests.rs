//! Requests that are too large, too slow, broken off, or not HTTP: refused, without an effect on other clients.

use std::{
    io::{BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use crate::support::{Client, House, json, raw_exchange, read_answer};

fn post_head(client: &Client, path: &str, more: &str) -> String {
    let key = client.key();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n{more}\r\n"
    )
}

#[test]
fn a_hundred_megabytes_are_refused_before_they_are_taken() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let before = operator.tree_head();
    for path in ["/v1/audit", "/v1/sessions", "/mcp", "/v1/keys"] {
        let announced = post_head(&operator, path, "Content-Length: 100000000\r\n");
        let body = raw_exchange(server.address, announced.as_bytes()).unwrap().refused(413, "payload_too_large");
        // A message of MCP may be larger.
        let most = if path == "/mcp" { 4 * 1_048_576 } else { 1_048_576 };
        assert_eq!(body["max_bytes"], most);
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(post_head(&operator, path, "Transfer-Encoding: chunked\r\n").as_bytes()).unwrap();
        let answers = stream.try_clone().unwrap();
        let answer = std::thread::spawn(move || read_answer(&mut BufReader::new(answers)));
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        let mut sent = 0;
        while sent < 1_600 && stream.write_all(chunk.as_bytes()).is_ok() {
            sent += 1;
        }
        assert!(sent < 1_600, "{path} took a hundred megabytes");
        // The connection may break before the answer is read: nothing else may come.
        if let Ok(answer) = answer.join().unwrap() {
            answer.refused(413, "payload_too_large");
        }
    }
    for nonsense in ["Content-Length: -5\r\n", "Content-Length: x\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n"] {
        let answer = raw_exchange(server.address, post_head(&operator, "/v1/audit", nonsense).as_bytes());
        assert!(answer.is_err() || answer.is_ok_and(|answer| (400..500).contains(&answer.status)), "{nonsense}");
    }
    assert_eq!(operator.tree_head(), before);
}

#[test]
fn slow_senders_do_not_hold_up_other_clients() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let halves = [
        "POST /v1/sess".to_owned(),
        "POST /v1/sessions HTTP/1.1\r\nHost: loc".to_owned(),
        post_head(&operator, "/v1/sessions", "Content-Length: 50\r\n") + "{\"agent_id\":",
        post_head(&operator, "/mcp", "Content-Length: 50\r\n") + "{",
        post_head(&operator, "/v1/audit", "Transfer-Encoding: chunked\r\n") + "5\r\n{\"a",
        String::new(),
    ];
    let waiting: Vec<_> = (0..120)
        .map(|index| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            stream.write_all(halves[index % halves.len()].as_bytes()).unwrap();
            stream
        })
        .collect();
    for _ in 0..20 {
        operator.again().session(&json!({}));
    }
    // Not one of them was answered as if it had been whole.
    for mut stream in waiting {
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let mut start = [0; 12];
        // The server may have lost patience with it, and no more than that.
        if let Ok(1..) = stream.read(&mut start) {
            assert_eq!(&start, b"HTTP/1.1 408", "half a request was answered");
        }
    }
    assert_eq!(operator.verified(), 21);
}

#[test]
fn half_a_request_that_breaks_off_changes_nothing() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let before = operator.tree_head();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let whole = json!({"agent_id": "a"}).to_string();
        let head = post_head(&operator, "/v1/sessions", &format!("Content-Length: {}\r\n", whole.len() + 1));
        stream.write_all((head + &whole).as_bytes()).unwrap();
    }
    assert_eq!(operator.tree_head(), before);
    operator.session(&json!({}));
}

#[test]
fn huge_heads_are_refused() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let long_value = format!("X-Long: {}\r\n", "x".repeat(100_000));
    let many: String = (0..200).fold(String::new(), |all, number| all + &format!("X-{number}: v\r\n"));
    for more in [long_value, many] {
        let request =
            format!("GET /v1/sessions HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {}\r\n{more}\r\n", operator.key());
        // The server may close before it has read all of it.
        if let Ok(answer) = raw_exchange(server.address, request.as_bytes()) {
            assert!((400..500).contains(&answer.status), "{}", answer.status);
        }
    }
    let path = format!("/v1/sessions/{}", "x".repeat(20_000));
    assert!((400..500).contains(&operator.get(&path).status));
    for nonsense in
        ["\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\u{16}\u{3}\u{1}", "G\u{0}T / HTTP/1.1\r\n\r\n"]
    {
        let mut stream = TcpStream::connect(server.address).unwrap();
        // The server may close before it has all of it. For what could go on to be a request it waits; no more comes.
        let _ = stream.write_all(format!("{nonsense}\r\n\r\n").as_bytes());
        let _ = stream.shutdown(Shutdown::Write);
        let answer = read_answer(&mut BufReader::new(stream));
        assert!(answer.is_err() || answer.is_ok_and(|answer| (400..500).contains(&answer.status)), "{nonsense:?}");
    }
    operator.get("/v1/sessions").ok();
}

#[test]
fn bad_idempotency_keys_are_refused_by_name() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let long = "k".repeat(256);
    for bad in ["", &long] {
        let answer = operator.send("POST", "/v1/sessions", &[("Idempotency-Key", bad)], r#"{"agent_id":"a"}"#);
        answer.refused_field(400, "invalid_argument", "idempotency_key");
    }
    let answer = operator.send("POST", "/v1/sessions", &[("Idempotency-Key", "ä")], r#"{"agent_id":"a"}"#);
    answer.refused(400, "invalid_argument");
    assert_eq!(operator.get("/v1/sessions").ok()["count"], 0);
}
