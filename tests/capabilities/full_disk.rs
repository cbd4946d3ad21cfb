//! A disk that has no more room: what cannot be written is refused and said so, what is there can be read, and what
//! was acknowledged is there when there is room again.

use std::process::Command;

use crate::support::{House, Server, json, text, until};

/// The most that any file of the store may have, in blocks of 512 bytes: 3 MiB.
const MOST_BLOCKS: &str = "6144";

/// The server, whose files cannot grow beyond the limit: to it, the disk is full.
fn cramped(house: &House) -> Server {
    let roomy = house.serving();
    let mut command = Command::new("sh");
    // Ignored, so that a write that goes too far fails, as on a full disk, and does not end the process.
    let script = format!("trap '' XFSZ; ulimit -f {MOST_BLOCKS}; exec \"$0\" \"$@\"");
    command.env_clear().current_dir(house.folder()).args(["-c", &script]);
    command.arg(roomy.get_program()).args(roomy.get_args());
    command.stdin(std::process::Stdio::null());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    Server::start(command)
}

#[cfg(unix)]
#[test]
fn a_full_disk_refuses_writes_lets_reads_go_on_and_loses_nothing_that_was_acknowledged() {
    let house = House::new();
    let server = cramped(&house);
    let operator = server.first_key();
    let session = operator.session(&json!({"scopes": ["read", "spend:1000"]}));
    let entry = json!({"session_id": session, "action": "work", "details": "x".repeat(20_000)});
    let mut acknowledged = Vec::new();
    let refused = loop {
        let answer = operator.post("/v1/audit", &entry);
        if answer.status != 201 {
            break answer;
        }
        acknowledged.push(text(&answer.ok(), "entry_id"));
        assert!(acknowledged.len() < 1_000, "the disk is never full");
    };
    assert!(acknowledged.len() > 20, "{}", refused.text);
    // Again and again: the store is not wedged, each call is answered for itself, and nothing is half-done.
    let mut later = Vec::new();
    for _ in 0..20 {
        let answer = operator.post("/v1/audit", &entry);
        match answer.status {
            201 => later.push(text(&answer.ok(), "entry_id")),
            _ => drop(answer.refused(503, "unavailable")),
        }
    }
    refused.refused(503, "unavailable");
    let path = format!("/v1/sessions/{session}");
    for _ in 0..20 {
        assert_eq!(operator.get(&path).ok()["is_valid"], true);
        assert!(operator.get("/v1/audit?limit=5").ok()["entries"].as_array().unwrap().len() == 5);
    }
    assert_eq!(server.anonymous().get("/livez").status, 200);
    // An entry that is as large as any until it fails: then the server says that it takes no writes.
    let large = json!({"session_id": session, "action": "work", "details": "x".repeat(60_000)});
    until("a write fails", || operator.post("/v1/audit", &large).status == 503);
    let ready = server.anonymous().get("/readyz");
    let status = server.anonymous().get("/v1/status").json();
    assert!(ready.status == 200 || ready.text.contains("takes no writes"), "{}", ready.text);
    assert_eq!(ready.status == 200, status["status"] == "ok", "{status}");
    assert!(!server.process.errors().contains("no transaction is active"), "{}", server.process.errors());
    drop(server);

    let server = house.serve();
    let operator = server.with_key(operator.key());
    for id in acknowledged.iter().chain(&later) {
        operator.get(&format!("/v1/audit/entries/{id}")).ok();
    }
    assert!(operator.verified() > i64::try_from(acknowledged.len() + later.len()).unwrap());
    operator.post("/v1/audit", &entry).ok();
    operator.pay(&session, "1").ok();
    operator.verified();
}
