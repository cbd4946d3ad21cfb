//! A disk that has no more room: what cannot be written is refused and said so, what is there can be read, and what
//! was acknowledged is there when there is room again.

use std::{
    process::Command,
    sync::{Arc, Barrier},
    thread,
};

use crate::{
    proxy::{entries, register, wait_for},
    support::{
        House, Server, health, json, text, until,
        upstream::{Behaviour, Upstream, tool},
    },
};

/// The most that any file of the store may have, in blocks of 512 bytes: 3 MiB.
const MOST_BLOCKS: &str = "6144";

/// The server, whose files cannot grow beyond the limit: to it, the disk is full.
fn cramped(house: &House, most: &str) -> Server {
    let roomy = house.serving();
    let mut command = Command::new("sh");
    // Ignored, so that a write that goes too far fails, as on a full disk, and does not end the process.
    let script = format!("trap '' XFSZ; ulimit -S -f {most}; exec \"$0\" \"$@\"");
    command.env_clear().current_dir(house.folder()).args(["-c", &script]);
    command.arg(roomy.get_program()).args(roomy.get_args());
    command.stdin(std::process::Stdio::null());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    Server::start(command)
}

#[track_caller]
fn takes_no_writes(server: &Server) {
    let ready = server.anonymous().get("/readyz");
    assert!(ready.status == 503 && ready.text.contains("takes no writes"), "{} {}", ready.status, ready.text);
    let status = server.anonymous().get("/v1/status").json();
    assert_eq!(status["status"], "degraded", "{status}");
    let (code, why) = health(&["--url", &format!("http://{}", server.address)], &[]);
    assert!(code == 1 && why.contains("takes no writes"), "{code}: {why}");
}

#[cfg(unix)]
#[test]
fn a_full_disk_refuses_writes_lets_reads_go_on_and_loses_nothing_that_was_acknowledged() {
    let house = House::new();
    let server = cramped(&house, MOST_BLOCKS);
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
    takes_no_writes(&server);
    // Nor does it say otherwise once a small write has found room.
    operator.get(&path).ok();
    drop(operator.post("/v1/audit", &json!({"session_id": session, "action": "work"})));
    takes_no_writes(&server);
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

/// The most that any file of a process may have from now on, in bytes; `None` is no bound.
#[cfg(target_os = "linux")]
fn bound_files(server: &mut Server, most: Option<u64>) {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let pid = Pid::from_child(server.process.child());
    prlimit(Some(pid), Resource::Fsize, Rlimit { current: most, maximum: None }).unwrap();
}

/// The calls that are open, with their leases over, and one more, of a process that has ended.
#[cfg(target_os = "linux")]
fn end_leases(house: &House) {
    let sql = house.sql();
    assert!(sql.change("UPDATE calls SET lease = 0 WHERE lease IS NOT NULL", &[]) > 0);
    let copied = "INSERT INTO calls (tenant, id, upstream, tool, session_id, cost, uses, started_at, lease)
        SELECT tenant, 'call_of_another', upstream, tool, session_id, cost, uses, started_at, 0 FROM calls
        WHERE lease IS NOT NULL LIMIT 1";
    assert_eq!(sql.change(copied, &[]), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn what_became_of_a_call_is_written_once_the_disk_has_room_again() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let mut server = cramped(&house, "unlimited");
    let operator = server.first_key();
    register(&operator, "up", &upstream);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let call = json!({"session_id": session, "tool": "up.echo", "arguments": {}});
    let (first, second) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let caller = |gate: &Arc<Barrier>, count: usize| {
        upstream.behave(Behaviour::Gated(Arc::clone(gate)));
        let (caller, call) = (operator.again(), call.to_string());
        let key = format!("call-{count}");
        let calling = thread::spawn(move || caller.send("POST", "/v1/proxy/call", &[("Idempotency-Key", &key)], &call));
        until("the upstream has the call", || upstream.calls().len() == count);
        calling
    };
    let answered = caller(&first, 1);
    let in_flight = caller(&second, 2);
    wait_for(&operator, "proxyCall.begin", 2);
    bound_files(&mut server, Some(1));
    first.wait();
    let result = answered.join().unwrap().ok();
    assert_eq!(result["content"][0]["text"], "carried out", "{result}");
    until("the server says that it takes no writes", || server.anonymous().get("/readyz").status == 503);
    takes_no_writes(&server);
    end_leases(&house);
    bound_files(&mut server, None);
    let ended = wait_for(&operator, "proxyCall.ok", 1);
    assert_eq!(ended[0]["details"]["late"], false, "{ended:?}");
    // Calls without a live process are closed by now; those of this process must not be among them.
    let lost = wait_for(&operator, "proxyCall.unknown", 1);
    assert_eq!((lost.len(), &lost[0]["details"]["call_id"]), (1, &json!("call_of_another")), "{lost:?}");
    second.wait();
    assert_eq!(in_flight.join().unwrap().ok()["isError"], false);
    assert_eq!(wait_for(&operator, "proxyCall.ok", 2).len(), 2);
    assert_eq!(entries(&operator, "proxyCall.unknown").len(), 1);
    // The answer that could not be kept for its key is not given twice, and neither is the call made twice.
    let again = operator.send("POST", "/v1/proxy/call", &[("Idempotency-Key", "call-1")], &call.to_string());
    assert_eq!((again.status, upstream.calls().len()), (409, 2), "{}", again.text);
    until("the server takes writes again", || server.anonymous().get("/readyz").status == 200);
    assert!(server.process.errors().contains("the outcome of a call could not be written and will be retried"));
    operator.verified();
}
