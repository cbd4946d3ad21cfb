//! Waiting for a decision, with `?wait=`: it ends when it should, and delays no other client.

use std::{
    io::{BufReader, ErrorKind, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use super::{decide, request, spender};
use crate::support::{Answer, Client, House, Server, eventually, json, read_answer, read_by_server};

/// The longest that a client may ask to wait, in seconds.
const LONGEST: u64 = 30;
/// Clients of one key that wait at a time.
const AT_A_TIME: usize = 128;

/// A client with this key that waits for a decision.
fn wait(server: &Server, key: &str, id: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = format!("GET /v1/approvals/{id}?wait={LONGEST} HTTP/1.1\r\nHost: {}\r\n", server.address);
    stream.write_all(format!("{head}Authorization: Bearer {key}\r\n\r\n").as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    stream
}

/// So many of them, once the server has their requests.
fn waiting(server: &Server, key: &str, id: &str, count: usize) -> Vec<TcpStream> {
    let waiting: Vec<_> = (0..count).map(|_| wait(server, key, id)).collect();
    read_by_server(&waiting);
    waiting
}

fn answer(stream: TcpStream) -> Answer {
    read_answer(&mut BufReader::new(stream)).unwrap()
}

#[track_caller]
fn all_are_told(streams: Vec<TcpStream>, status: &str) {
    for stream in streams {
        let answer = answer(stream);
        assert_eq!((answer.status, &answer.json()["status"]), (200, &json!(status)));
    }
}

fn asked(operator: &Client) -> String {
    request(operator, &json!({"session_id": spender(operator)}))
}

#[test]
fn a_waiting_client_is_answered_when_another_process_decides() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let other = house.serve();
    let id = asked(&operator);
    let start = Instant::now();
    let soon = operator.get(&format!("/v1/approvals/{id}?wait=1")).ok();
    assert!(soon["status"] == "pending" && start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    let start = Instant::now();
    let waiting = waiting(&server, operator.key(), &id, 20);
    // Meanwhile everything else goes on.
    spender(&operator);
    decide(&other.with_key(operator.key()), &id, "approve").ok();
    all_are_told(waiting, "approved");
    // A client that waits for as long as it may is told so too.
    assert!(start.elapsed() < Duration::from_secs(LONGEST), "{:?}", start.elapsed());
}

#[test]
fn a_waiting_client_is_answered_when_the_server_stops_and_forgotten_when_it_disconnects() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let id = asked(&operator);
    // More than may wait at a time, one after the other: clients that disconnected are no longer counted.
    for _ in 0..12 {
        drop(waiting(&server, operator.key(), &id, 100));
    }
    eventually("there is a place left to wait", || {
        let id = asked(&operator);
        let waiting = waiting(&server, operator.key(), &id, 1).pop().unwrap();
        decide(&operator, &id, "approve").ok();
        // One that has no place is answered at once, before the decision.
        (answer(waiting).json()["status"] == "approved").then_some(())
    });
    let start = Instant::now();
    let waiting = waiting(&server, operator.key(), &id, 1);
    server.process.terminate();
    all_are_told(waiting, "pending");
    let took = start.elapsed();
    assert!(took < Duration::from_secs(LONGEST), "the end of the server did not end the wait: {took:?}");
}

#[test]
fn one_caller_does_not_take_every_place_to_wait() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let agent = operator.mint(&json!({"role": "agent"}));
    let id = request(&agent, &json!({"session_id": spender(&agent)}));
    let mut waiting = waiting(&server, agent.key(), &id, AT_A_TIME + 1);
    let one_too_many = eventually("one more than may wait is answered at once", || {
        waiting.iter().position(|stream| {
            stream.set_nonblocking(true).unwrap();
            let is_answered = match stream.peek(&mut [0]) {
                Ok(_) => true,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                    false
                }
            };
            stream.set_nonblocking(false).unwrap();
            is_answered
        })
    });
    all_are_told(vec![waiting.remove(one_too_many)], "pending");
    // Another caller can wait.
    let other = wait(&server, operator.key(), &id);
    waiting.push(other);
    read_by_server(&waiting);
    decide(&operator, &id, "deny").ok();
    all_are_told(waiting, "denied");
}

#[test]
fn a_key_revoked_while_it_waits_sees_nothing_more() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let agent = operator.mint(&json!({"role": "agent"}));
    let id = request(&agent, &json!({"session_id": spender(&agent)}));
    let waiting = waiting(&server, agent.key(), &id, 1).pop().unwrap();
    operator.delete(&format!("/v1/keys/{}", &agent.key()[..12])).ok();
    answer(waiting).refused(401, "unauthorized");
}

#[test]
fn a_wait_takes_no_more_than_its_own_connection() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let id = asked(&operator);
    let waiting = waiting(&server, operator.key(), &id, 64);
    for _ in 0..20 {
        operator.get("/v1/sessions").ok();
    }
    // They wait still: had they held up the others, their time would be over.
    decide(&operator, &id, "approve").ok();
    all_are_told(waiting, "approved");
}
