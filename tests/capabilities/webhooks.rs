//! Webhooks: signed, at least once, in order, to allowed addresses only, whatever receivers and processes do.

mod retries;

use std::{
    collections::BTreeSet,
    net::TcpListener,
    process::Command,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::support::{Client, Delivery, HeldPort, House, Receiver, Reply, Server, json, text, until};

/// A server on which a second of retries takes five milliseconds, and an attempt at most two seconds.
fn hasty(house: &House) -> Command {
    let mut command = house.serving();
    command.env("HALDIR_TEST_WEBHOOK_PACE", "5000,2000");
    command
}

fn start(house: &House) -> (Server, Client) {
    let server = Server::start(hasty(house));
    let operator = server.first_key();
    (server, operator)
}

fn register(operator: &Client, receiver: &Receiver, events: &Value) -> Value {
    operator.post("/v1/webhooks", &json!({"url": receiver.url(), "name": "test", "events": events})).ok()
}

/// An agent does something that is flagged, by this name.
fn anomaly(client: &Client, session: &str, action: &str) {
    let logged =
        client.post("/v1/audit", &json!({"session_id": session, "action": action, "tool": "t", "cost_usd": 500}));
    assert_eq!(logged.ok()["flagged"], true);
}

fn only(operator: &Client) -> Value {
    operator.get("/v1/webhooks").ok()["webhooks"][0].clone()
}

fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    use hmac::{Hmac, KeyInit, Mac};
    let mut hmac = Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
    hmac.update(text.as_bytes());
    hmac.finalize().into_bytes().into()
}

/// Whether `X-Haldir-Signature` was made with this secret.
fn signed(delivery: &Delivery, secret: &str) -> bool {
    let text = format!("{}.{}", delivery.header("x-haldir-timestamp"), delivery.body);
    let hex = hmac(secret.as_bytes(), &text).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    delivery.header("x-haldir-signature") == format!("sha256={hex}")
}

/// Whether one of the signatures of Standard Webhooks was made with this secret.
fn signed_by_the_standard(delivery: &Delivery, secret: &str) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let (id, time) = (delivery.header("webhook-id"), delivery.header("webhook-timestamp"));
    let expected = format!("v1,{}", STANDARD.encode(hmac(&key, &format!("{id}.{time}.{}", delivery.body))));
    delivery.header("webhook-signature").split(' ').any(|signature| signature == expected)
}

/// The actions of anomalies, in the order of their first arrival.
fn actions(got: &[Delivery]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let fresh = |delivery: &&Delivery| seen.insert(delivery.header("webhook-id").to_owned());
    got.iter().filter(fresh).map(|delivery| text(&delivery.json(), "action")).collect()
}

#[test]
fn every_kind_of_event_arrives_signed_in_both_schemes() {
    let (house, receiver) = (House::new(), Receiver::new());
    let (_server, operator) = start(&house);
    let made = register(&operator, &receiver, &Value::Null);
    let secret = text(&made, "secret");
    assert_eq!((&made["registered"], &made["webhook_id"], &made["events"]), (&json!(true), &json!(1), &json!(["all"])));
    let session = operator.session(&json!({"agent_id": "a", "scopes": ["spend"], "spend_limit": 2}));
    anomaly(&operator, &session, "yacht");
    operator.pay(&session, "2").ok();
    for _ in 0..3 {
        operator.pay(&session, "1").refused(403, "budget_exceeded");
    }
    operator.delete(&format!("/v1/sessions/{session}")).ok();
    operator.delete(&format!("/v1/sessions/{session}")).ok();
    let ping = operator.post("/v1/webhooks/1/ping", &json!({})).ok();
    let got = receiver.wait_for(4);
    let kinds: Vec<_> = got.iter().map(|delivery| delivery.header("x-haldir-event").to_owned()).collect();
    assert_eq!(kinds, ["anomaly", "budget_exhausted", "session_revoked", "ping"], "each once, in order");
    for delivery in &got {
        let body = delivery.json();
        assert!(signed(delivery, &secret) && signed_by_the_standard(delivery, &secret), "{delivery:?}");
        assert_eq!(delivery.header("content-type"), "application/json");
        assert!(delivery.header("user-agent").starts_with("Haldir/"));
        assert_eq!(delivery.header("x-haldir-webhook-id"), "1", "the webhook, not the event");
        assert_eq!(delivery.header("webhook-id"), text(&body, "event_id"));
        assert_eq!(delivery.header("x-haldir-delivery-attempt"), "1");
        assert_eq!((&body["source"], body["timestamp"].is_number()), (&json!("haldir"), true));
        assert_eq!(body["event"], delivery.header("x-haldir-event"));
    }
    let body = got[0].json();
    assert_eq!((&body["agent_id"], &body["tool"], &body["action"]), (&json!("a"), &json!("t"), &json!("yacht")));
    assert!(body["cost_usd"] == 500 && !text(&body, "reason").is_empty());
    let body = got[1].json();
    assert_eq!((&body["session_id"], &body["spent"], &body["limit"]), (&json!(session), &json!(2), &json!(2)));
    assert_eq!(got[2].json()["session_id"], json!(session));
    assert_eq!(got[3].json()["event_id"], ping["event_id"]);
    until("the counts", || only(&operator)["fire_count"] == 4);
    assert_eq!((&only(&operator)["fail_count"], &only(&operator)["waiting"]), (&json!(0), &json!(0)));
    let overview = operator.get("/v1/admin/overview").ok();
    assert_eq!(
        overview["webhooks"],
        json!({"registered_count": 1, "deliveries_24h": 4, "delivery_success_rate_24h": 1.0, "failed_24h": 0}),
    );
    operator.verified();
}

#[test]
fn a_webhook_gets_the_events_it_is_for_and_those_of_its_tenant_alone() {
    let (house, receiver) = (House::new(), Receiver::new());
    let mut command = hasty(&house);
    command.env("HALDIR_BOOTSTRAP_TOKEN", "the operator's word");
    let server = Server::start(command);
    let tenant = |name: &str| {
        let body = json!({"name": name, "bootstrap_token": "the operator's word"});
        server.with_key(&text(&server.anonymous().post("/v1/keys", &body).ok(), "key"))
    };
    let (one, other) = (tenant("one"), tenant("other"));
    register(&one, &receiver, &json!(["session_revoked"]));
    for client in [&other, &one] {
        let session = client.session(&json!({}));
        anomaly(client, &session, "yacht");
        client.delete(&format!("/v1/sessions/{session}")).ok();
    }
    one.post("/v1/webhooks/1/ping", &json!({})).ok();
    let got = receiver.wait_until("the ping", |got| got.iter().any(|one| one.header("x-haldir-event") == "ping"));
    assert_eq!(got.len(), 2, "{got:?}");
    assert_eq!(got[0].header("x-haldir-event"), "session_revoked");
    assert_eq!(other.get("/v1/webhooks").ok()["count"], 0);
    assert_eq!(other.get("/v1/webhooks/deliveries").ok()["count"], 0);
    for path in ["/v1/webhooks/1/ping", "/v1/webhooks/1/rotate-secret", "/v1/webhooks/1/resend"] {
        other.post(path, &json!({})).refused(404, "not_found");
    }
    other.delete("/v1/webhooks/1").refused(404, "not_found");
}

#[test]
fn both_secrets_are_valid_for_the_overlap_and_neither_lies_in_the_store() {
    let (house, receiver) = (House::new(), Receiver::new());
    let (_server, operator) = start(&house);
    let old = text(&register(&operator, &receiver, &Value::Null), "secret");
    operator
        .send("POST", "/v1/webhooks/1/rotate-secret?grace_seconds=59", &[], "")
        .refused_field(400, "invalid_argument", "grace_seconds");
    let headers = [("Content-Type", "application/json")];
    let rotated = operator.send("POST", "/v1/webhooks/1/rotate-secret?grace_seconds=120", &headers, "").ok();
    let new = text(&rotated, "secret");
    assert!(new != old && rotated["secret_prev"].is_string() && rotated["secret_prev_expires_at"].is_number());
    assert_eq!(rotated["grace_seconds"], 120);
    operator.post("/v1/webhooks/1/ping", &json!({})).ok();
    let got = receiver.wait_for(1);
    assert!(signed(&got[0], &new) && !signed(&got[0], &old));
    assert!(signed_by_the_standard(&got[0], &new) && signed_by_the_standard(&got[0], &old));
    // As if the overlap had passed. What is recorded of an attempt would write over it.
    until("the first attempt is recorded", || house.sql_value::<i64>("SELECT delivered FROM webhooks") == 1);
    house.change("UPDATE webhooks SET previous_until = 1");
    operator.post("/v1/webhooks/1/ping", &json!({})).ok();
    let got = receiver.wait_for(2);
    assert!(signed(&got[1], &new) && signed_by_the_standard(&got[1], &new) && !signed_by_the_standard(&got[1], &old));
    for (name, bytes) in house.stored_bytes() {
        for secret in [&old, &new] {
            let secret = secret.as_bytes();
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{name} has a secret");
        }
    }
    assert!(
        !operator.get("/v1/webhooks").text.contains("whsec_") && !operator.get("/v1/audit").text.contains("whsec_")
    );
}

#[test]
fn only_operators_have_webhooks_and_bad_ones_are_refused() {
    let house = House::new();
    let (_server, operator) = start(&house);
    let agent = operator.mint(&json!({"name": "agent", "role": "agent"}));
    let url = "http://127.0.0.1:9/";
    agent.post("/v1/webhooks", &json!({"url": url})).refused(403, "operator_required");
    agent.get("/v1/webhooks").refused(403, "operator_required");
    for url in [
        "http://169.254.169.254/latest",
        "http://10.0.0.1/",
        "http://[::1]:1/",
        "file:///etc/passwd",
        "http://localhost/",
        "http://2130706434/",
        "http://u:p@127.0.0.1/",
        "nothing",
        "http://does-not-exist.invalid/",
    ] {
        operator.post("/v1/webhooks", &json!({"url": url})).refused_field(400, "unsafe_url", "url");
    }
    for events in [json!(["nothing"]), json!([]), json!("all"), json!(["policy_refused"])] {
        operator.post("/v1/webhooks", &json!({"url": url, "events": events})).refused(400, "invalid_argument");
    }
    operator.post("/v1/webhooks", &json!({})).refused_field(400, "invalid_argument", "url");
    for _ in 0..32 {
        operator.post("/v1/webhooks", &json!({"url": url})).ok();
    }
    operator.post("/v1/webhooks", &json!({"url": url})).refused(409, "conflict");
    assert_eq!(operator.delete("/v1/webhooks/7").ok()["deleted"], true);
    operator.delete("/v1/webhooks/7").refused(404, "not_found");
    until("the webhook is gone", || house.sql_value::<i64>("SELECT count(*) FROM webhooks") == 31);
    assert_eq!(operator.post("/v1/webhooks", &json!({"url": url})).ok()["webhook_id"], 33, "no number twice");
}

#[test]
fn events_survive_the_death_of_the_server_and_of_the_receiver_in_order_and_none_is_lost() {
    let house = House::new();
    // A port without a listener yet.
    let port = HeldPort::new();
    let address = port.address();
    let (mut server, operator) = start(&house);
    let key = operator.key().to_owned();
    operator.post("/v1/webhooks", &json!({"url": format!("http://{address}/hook"), "events": ["anomaly"]})).ok();
    let session = operator.session(&json!({"ttl": 0}));
    let names: Vec<_> = (0..60).map(|index| format!("act {index}")).collect();
    for (index, name) in names[..20].iter().enumerate() {
        anomaly(&server.with_key(&key), &session, name);
        if index % 5 == 4 {
            server.process.kill();
            server = Server::start(hasty(&house));
        }
    }
    // The receiver comes back, slow and unreliable, while the server goes on being killed.
    let receiver = Receiver::at(address);
    for (index, name) in names[20..].iter().enumerate() {
        let slow = Reply(200, String::new(), Duration::from_millis(5));
        receiver.then([Reply(503, "Retry-After: 2\r\n".into(), Duration::ZERO), slow, Reply::status(200)]);
        anomaly(&server.with_key(&key), &session, name);
        if index % 10 == 9 {
            server.process.kill();
            server = Server::start(hasty(&house));
        }
    }
    let got = receiver.wait_until("the last event", |got| actions(got).iter().collect::<BTreeSet<_>>().len() == 60);
    assert_eq!(actions(&got), names, "not in order");
    let operator = server.with_key(&key);
    until("nothing waits", || only(&operator)["waiting"] == 0);
    assert_eq!(operator.get("/v1/webhooks/dead-letters").ok()["count"], 0);
    operator.verified();
}

#[test]
fn an_attempt_whose_server_was_killed_is_made_again_by_another_once_its_lease_has_ended() {
    // The lease of the pace that tests have, but for what passes before the test sees the attempt.
    const ALMOST_THE_LEASE: Duration = Duration::from_secs(3);
    let (house, receiver) = (House::new(), Receiver::new());
    let (mut first, operator) = start(&house);
    receiver.then([Reply::none()]);
    register(&operator, &receiver, &json!(["anomaly"]));
    let session = operator.session(&json!({}));
    anomaly(&operator, &session, "yacht");
    receiver.wait_for(1);
    let begun = Instant::now();
    first.process.kill();
    let second = Server::start(hasty(&house));
    let got = receiver.wait_for(2);
    assert!(begun.elapsed() >= ALMOST_THE_LEASE, "{:?}", begun.elapsed());
    assert_eq!(got[0].header("webhook-id"), got[1].header("webhook-id"));
    assert_eq!(got[0].body, got[1].body);
    let operator = second.with_key(operator.key());
    until("it is settled", || only(&operator)["fire_count"] == 1);
    operator.verified();
}

#[test]
fn several_processes_on_one_store_send_every_event_once_and_in_order() {
    let (house, receiver) = (House::new(), Receiver::new());
    let (server, operator) = start(&house);
    let others: Vec<_> = (0..3).map(|_| Server::start(hasty(&house))).collect();
    register(&operator, &receiver, &json!(["anomaly"]));
    let session = operator.session(&json!({}));
    let names: Vec<_> = (0..40).map(|index| format!("act {index}")).collect();
    for (index, name) in names.iter().enumerate() {
        let through = if index % 4 == 0 { &server } else { &others[index % 4 - 1] };
        anomaly(&through.with_key(operator.key()), &session, name);
    }
    let got = receiver.wait_for(40);
    until("nothing waits", || only(&operator)["waiting"] == 0);
    assert_eq!(actions(&got), names);
    assert_eq!(receiver.got().len(), 40, "sent more than once although nothing failed");
}

#[test]
fn a_dead_receiver_delays_no_other() {
    let (house, receiver) = (House::new(), Receiver::new());
    let mut command = house.serving();
    // An attempt at a receiver that does not answer takes ten minutes.
    command.env("HALDIR_TEST_WEBHOOK_PACE", "5000,600000");
    let server = Server::start(command);
    let operator = server.first_key();
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for _ in 0..20 {
        let url = format!("http://{}/", silent.local_addr().unwrap());
        operator.post("/v1/webhooks", &json!({"url": url})).ok();
    }
    register(&operator, &receiver, &Value::Null);
    let session = operator.session(&json!({}));
    for index in 0..5 {
        anomaly(&operator, &session, &format!("act {index}"));
        receiver.wait_for(index + 1);
    }
}

#[test]
fn a_server_on_stdio_delivers_what_happens_there() {
    let (house, receiver) = (House::new(), Receiver::new());
    let (server, operator) = start(&house);
    register(&operator, &receiver, &json!(["anomaly"]));
    drop(server);
    let mut command = house.program();
    command.env("HALDIR_ALLOW_PRIVATE", "localhost,127.0.0.1");
    let stdio = crate::support::Stdio::start(command);
    let made = stdio.tool("createSession", &json!({"agent_id": "a"}));
    let session = text(&made["structuredContent"], "session_id");
    stdio.tool("logAction", &json!({"session_id": session, "action": "yacht", "cost_usd": 500}));
    assert_eq!(actions(&receiver.wait_for(1)), ["yacht"]);
}
