//! What an operator sees of a server that is in trouble: figures, words in the log, and what doctor says.

use std::process::Command;

use crate::support::{
    HeldPort, House, InProcess, Receiver, Reply, Server, integer, json, on_postgres, text, until, upstream::Upstream,
};

fn hasty(house: &House) -> Command {
    let mut command = house.serving();
    command.env("HALDIR_TEST_WEBHOOK_PACE", "1000,2000");
    command
}

/// Doctor says this in one line; of a store on Postgres there is no doctor.
#[track_caller]
fn said_by_doctor(house: &House, parts: &[&str]) {
    if on_postgres::is_used() {
        return;
    }
    let (_, said, _) = house.terminal(&["doctor"]);
    assert!(said.lines().any(|line| parts.iter().all(|part| line.contains(part))), "{said}");
}

/// The value of a series without labels, or with these.
fn value(metrics: &str, series: &str) -> Option<i64> {
    metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn refusals_what_waits_and_the_disk_are_measured() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let upstream = Upstream::new([crate::support::upstream::tool("echo")]);
    operator.post("/v1/proxy/upstreams", &json!({"name": "up", "url": upstream.url()})).ok();
    let session = operator.session(&json!({"scopes": ["read", "spend"], "spend_limit": 1}));
    operator.pay(&session, "2").refused(403, "budget_exceeded");
    // Refused by the proxy, on one of its ways and on another: each counts once.
    let call = json!({"session_id": session, "tool": "up.echo", "arguments": {}});
    operator.post("/v1/proxy/call", &call).refused(403, "scope_denied");
    let message =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {}}});
    let headers = [
        ("X-Session-ID", session.as_str()),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2025-06-18"),
    ];
    operator.send("POST", "/mcp/up", &headers, &message.to_string());
    operator.post("/v1/approvals/request", &json!({"session_id": session, "action": "x"})).ok();
    let metrics = operator.get("/metrics").text;
    for (series, expected) in [
        ("haldir_refused_total{code=\"budget_exceeded\"}", 1),
        ("haldir_refused_total{code=\"scope_denied\"}", 2),
        ("haldir_approvals_waiting", 1),
        ("haldir_webhook_events_waiting", 0),
        ("haldir_webhook_dead_letters", 0),
        ("haldir_webhooks_failing", 0),
    ] {
        assert_eq!(value(&metrics, series), Some(expected), "{series} in {metrics}");
    }
    for series in ["haldir_store_size_bytes", "haldir_disk_free_bytes"] {
        let measured = value(&metrics, series);
        let is_right = if on_postgres::is_used() { measured.is_none() } else { measured > Some(100_000) };
        assert!(is_right, "{series} in {metrics}");
    }
}

#[test]
fn a_receiver_that_takes_nothing_is_told_of_once_and_seen_by_doctor() {
    let (house, port) = (House::new(), HeldPort::new());
    let server = Server::start(hasty(&house));
    let operator = server.first_key();
    let place = port.address().to_string();
    let url = format!("http://{place}/hook?token=of-the-receiver");
    operator.post("/v1/webhooks", &json!({"url": url, "events": ["anomaly"]})).ok();
    let session = operator.session(&json!({}));
    for number in 0..3 {
        let flagged = json!({"session_id": session, "action": format!("x{number}"), "tool": "t", "cost_usd": 500});
        operator.post("/v1/audit", &flagged).ok();
    }
    until("the log says that the receiver is dead", || server.process.errors().contains("takes nothing"));
    let fails = || integer(&operator.get("/v1/webhooks").ok()["webhooks"][0], "fail_count");
    let before = fails();
    until("more attempts fail", || fails() > before + 2);
    let log = server.process.errors();
    let told: Vec<_> = log.lines().filter(|line| line.contains("takes nothing")).collect();
    assert_eq!(told.len(), 1, "{log}");
    assert!(told[0].contains(&place) && told[0].contains("efused"), "{told:?}");
    assert!(!told[0].contains("of-the-receiver"), "{told:?}");
    let metrics = operator.get("/metrics").text;
    assert_eq!(value(&metrics, "haldir_webhooks_failing"), Some(1), "{metrics}");
    assert_eq!(value(&metrics, "haldir_webhook_events_waiting"), Some(3), "{metrics}");
    let status = operator.get("/v1/status").ok();
    let of_webhooks = status["components"].as_array().unwrap().iter().find(|one| one["name"] == "webhooks").unwrap();
    assert_eq!(of_webhooks["state"], "degraded", "{status}");
    said_by_doctor(&house, &["webhooks", "3 events wait"]);
    let receiver = Receiver::at(port.address());
    receiver.wait_for(3);
    until("the log says that it takes them again", || server.process.errors().contains("takes events again"));
}

#[test]
fn dead_letters_of_a_webhook_are_bounded() {
    let (house, receiver) = (House::new(), Receiver::new());
    let server = Server::start(hasty(&house));
    let operator = server.first_key();
    operator.post("/v1/webhooks", &json!({"url": receiver.url(), "events": ["anomaly"]})).ok();
    {
        // As if there had been two hundred thousand, of which the first were given up.
        for seq in 1..=3 {
            let at = 9_000_000_000_000_000_i64;
            let letter = format!("'local', 1, {seq}, 'evt_{seq}', 'anomaly', '{{}}', {at}, 1, {at}, 'x'");
            house.change(&format!("INSERT INTO webhook_dead VALUES ({letter})"));
        }
        house.change("UPDATE webhooks SET last_seq = 200000");
    }
    receiver.always(Reply::status(410));
    let session = operator.session(&json!({}));
    let flagged = json!({"session_id": session, "action": "x", "tool": "t", "cost_usd": 500});
    operator.post("/v1/audit", &flagged).ok();
    until("the event is given up", || {
        house.sql_value::<i64>("SELECT count(*) FROM webhook_dead WHERE seq = 200001") == 1
    });
    assert_eq!(house.sql_value::<i64>("SELECT count(*) FROM webhook_dead"), 2, "old ones did not make way");
}

#[test]
fn what_was_not_reached_is_named_with_its_cause() {
    let (house, port) = (House::new(), HeldPort::new());
    let place = port.address().to_string();
    let (code, out, errors) = house.terminal(&["--url", &format!("http://{place}"), "--key", "k", "usage"]);
    assert_eq!(code, 1);
    let said = out + &errors;
    assert!(said.contains(&place) && said.contains("connection was refused"), "{said}");

    // An agent hears what kind of trouble it is, and the operator's log where.
    let upstream = Upstream::new([crate::support::upstream::tool("echo")]);
    let server = Server::start(house.serving());
    let operator = server.first_key();
    operator.post("/v1/proxy/upstreams", &json!({"name": "up", "url": upstream.url()})).ok();
    let moved = format!("http://{place}/mcp");
    house.change(&format!("UPDATE upstreams SET url = '{moved}'"));
    drop(server);
    let server = Server::start(house.serving());
    let agent = server.with_key(operator.key());
    let session = agent.session(&json!({"scopes": ["execute"]}));
    let call = json!({"session_id": session, "tool": "up.echo", "arguments": {}});
    let told = agent.post("/v1/proxy/call", &call).text;
    assert!(told.contains("connection was refused"), "{told}");
    assert!(!told.contains(&place), "{told}");
    // The same where the upstream is reached directly.
    let params = json!({"name": "echo", "arguments": {}});
    let message = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params}).to_string();
    let list = json!({"jsonrpc": "2.0", "id": 6, "method": "tools/list"}).to_string();
    let hello = json!({"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}});
    for asked in [message, list, hello.to_string()] {
        let headers = [("Accept", "application/json, text/event-stream"), ("X-Session-ID", session.as_str())];
        let told = agent.send("POST", "/mcp/up", &headers, &asked).text;
        assert!(told.contains("connection was refused"), "{asked}: {told}");
        assert!(!told.contains(&place), "{asked}: {told}");
    }
    until("the log names the place", || {
        let log = server.process.errors();
        log.lines().any(|line| line.contains("was not reached") && line.contains(&place))
    });
}

#[test]
fn a_log_of_the_future_is_said_by_server_and_doctor() {
    let house = House::new();
    let key = house.terminal(&["keys", "create", "--name", "operator"]).1.trim().to_owned();
    // A clock once was a year in the future.
    let future = InProcess::open_with(&house.db(), &house.master_key(), haldir::call::AnomalyThresholds::default());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let start = crate::support::start_of_time().as_seconds();
    future.clock.advance_seconds(i64::try_from(now).unwrap() + 365 * 86_400 - start);
    future.session(&json!({}));
    drop(future);
    let server = Server::start(house.serving());
    let operator = server.with_key(&key);
    let session = operator.session(&json!({}));
    operator.log(&session, "x").ok();
    until("the server says so", || server.process.errors().contains("ahead of this machine's clock"));
    operator.log(&session, "y").ok();
    let log = server.process.errors();
    assert_eq!(log.matches("ahead of this machine's clock").count(), 1, "{log}");
    said_by_doctor(&house, &["clock", "ahead"]);
    assert!(!text(&operator.get("/v1/audit?limit=1").ok()["entries"][0], "action").is_empty());
    operator.verified();
}
