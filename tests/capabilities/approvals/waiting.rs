//! Waiting for a decision, with `?wait=`: it ends when it should, and holds up nobody else.

use std::{
    io::Write as _,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use super::{decide, request, spender};
use crate::support::{House, json, raw_exchange, read_answer};

#[test]
fn who_waits_is_answered_when_another_process_decides() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let other = house.serve();
    let id = request(&operator, &json!({"session_id": spender(&operator)}));
    let start = Instant::now();
    let soon = operator.get(&format!("/v1/approvals/{id}?wait=1")).ok();
    assert!(soon["status"] == "pending" && start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    thread::scope(|scope| {
        let waiting: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| operator.again().get(&format!("/v1/approvals/{id}?wait=30")).ok()))
            .collect();
        thread::sleep(Duration::from_millis(300));
        // Meanwhile everything else goes on.
        spender(&operator);
        decide(&other.with_key(operator.key()), &id, "approve").ok();
        for one in waiting {
            assert_eq!(one.join().unwrap()["status"], "approved");
        }
    });
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[test]
fn who_waits_is_answered_when_the_server_stops_and_gone_when_they_hang_up() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let id = request(&operator, &json!({"session_id": spender(&operator)}));
    let key = operator.key();
    let wait =
        format!("GET /v1/approvals/{id}?wait=30 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n");
    // More than may wait at a time, one after the other: those who hung up are no longer counted.
    for _ in 0..12 {
        let gone: Vec<_> = (0..100)
            .map(|_| {
                let mut stream = TcpStream::connect(server.address).unwrap();
                stream.write_all(wait.as_bytes()).unwrap();
                stream
            })
            .collect();
        thread::sleep(Duration::from_millis(300));
        drop(gone);
    }
    thread::sleep(Duration::from_millis(500));
    let start = Instant::now();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(wait.as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    assert!(stream.peek(&mut [0]).is_err(), "there was no place left to wait");
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    server.process.terminate();
    let answer = read_answer(&mut std::io::BufReader::new(stream)).unwrap();
    assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("pending")));
    let took = start.elapsed();
    assert!(took < Duration::from_secs(8), "the end of the server did not end the wait: {took:?}");
}

#[test]
fn one_caller_does_not_take_every_place_to_wait() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let agent = operator.mint(&json!({"role": "agent"}));
    let id = request(&agent, &json!({"session_id": spender(&agent)}));
    let wait = |key: &str| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let head = format!("GET /v1/approvals/{id}?wait=30 HTTP/1.1\r\nHost: {}\r\n", server.address);
        stream.write_all(format!("{head}Authorization: Bearer {key}\r\n\r\n").as_bytes()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(1_500))).unwrap();
        stream
    };
    let waiting: Vec<_> = (0..128).map(|_| wait(agent.key())).collect();
    thread::sleep(Duration::from_secs(1));
    assert!(wait(agent.key()).peek(&mut [0]).is_ok(), "the 129th of one caller waits");
    assert!(wait(operator.key()).peek(&mut [0]).is_err(), "nobody else can wait");
    decide(&operator, &id, "deny").ok();
    for stream in waiting {
        let answer = read_answer(&mut std::io::BufReader::new(stream)).unwrap();
        assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("denied")));
    }
}

#[test]
fn a_key_revoked_while_it_waits_sees_nothing_more() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let agent = operator.mint(&json!({"role": "agent"}));
    let id = request(&agent, &json!({"session_id": spender(&agent)}));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| agent.get(&format!("/v1/approvals/{id}?wait=30")));
        thread::sleep(Duration::from_millis(300));
        operator.delete(&format!("/v1/keys/{}", &agent.key()[..12])).ok();
        waiting.join().unwrap().refused(401, "unauthorized");
    });
    drop(server);
}

#[test]
fn a_wait_takes_no_more_than_its_own_connection() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let id = request(&operator, &json!({"session_id": spender(&operator)}));
    let key = operator.key();
    let wait =
        format!("GET /v1/approvals/{id}?wait=5 HTTP/1.1\r\nHost: x.localhost\r\nAuthorization: Bearer {key}\r\n\r\n");
    let wait = wait.replace("x.localhost", &server.address.to_string());
    thread::scope(|scope| {
        let waiting: Vec<_> =
            (0..64).map(|_| scope.spawn(|| raw_exchange(server.address, wait.as_bytes()).unwrap().status)).collect();
        thread::sleep(Duration::from_millis(500));
        let start = Instant::now();
        for _ in 0..20 {
            operator.get("/v1/sessions").ok();
        }
        assert!(start.elapsed() < Duration::from_secs(3), "waiting held up others: {:?}", start.elapsed());
        for one in waiting {
            assert_eq!(one.join().unwrap(), 200);
        }
    });
}
