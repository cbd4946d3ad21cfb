//! Receivers that do not take what they are sent.

use std::time::Duration;

use serde_json::Value;

use super::{actions, anomaly, only, register, start};
use crate::support::{Client, House, Receiver, Reply, Server, integer, json, text, until};

#[test]
fn what_fails_is_tried_again_in_order_and_every_attempt_is_listed() {
    let (house, receiver) = (House::new(), Receiver::new());
    let (_server, operator) = start(&house);
    receiver.then([
        Reply::status(500),
        Reply::status(302),
        Reply(429, "Retry-After: 100\r\n".into(), Duration::ZERO),
        Reply::none(),
    ]);
    register(&operator, &receiver, &json!(["anomaly"]));
    let session = operator.session(&json!({}));
    let names: Vec<_> = (0..5).map(|index| format!("act {index}")).collect();
    for name in &names {
        anomaly(&operator, &session, name);
    }
    // Four failures of the first event, then five successes.
    let got = receiver.wait_for(9);
    assert_eq!(actions(&got), names);
    let first = got[0].header("webhook-id").to_owned();
    assert!(got[..5].iter().all(|delivery| delivery.header("webhook-id") == first && delivery.body == got[0].body));
    let numbers: Vec<_> = got.iter().map(|delivery| delivery.header("x-haldir-delivery-attempt").to_owned()).collect();
    assert_eq!(numbers, ["1", "2", "3", "4", "5", "1", "1", "1", "1"]);
    until("the last is recorded", || only(&operator)["fire_count"] == 5);
    assert_eq!(only(&operator)["fail_count"], 4);
    let listed = operator.get(&format!("/v1/webhooks/deliveries?event_id={first}")).ok();
    let rows = listed["deliveries"].as_array().unwrap();
    let statuses: Vec<_> = rows.iter().map(|row| integer(row, "status_code")).collect();
    assert_eq!(statuses, [200, 0, 429, 302, 500], "newest first");
    assert_eq!(rows.iter().map(|row| integer(row, "attempt")).collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
    for row in rows {
        let is_last = row["attempt"] == 5;
        assert_eq!((row["next_retry_at"].is_null(), row["webhook_url"] == receiver.url()), (is_last, true), "{row}");
        assert!(
            row["created_at"].is_number() && row["duration_ms"].is_i64() && row["event_type"] == "anomaly",
            "{row}"
        );
    }
    let asked = rows[2]["next_retry_at"].as_f64().unwrap() - rows[2]["created_at"].as_f64().unwrap();
    assert!(asked >= 0.5, "100 seconds of 5 ms were asked for, it waited {asked}");
    assert_eq!(rows[0]["response_excerpt"], "well");
    assert!(text(&rows[1], "error").contains("in time") || text(&rows[1], "error").contains("within"));
    let page = operator.get("/v1/webhooks/deliveries?limit=2").ok();
    let older =
        operator.get(&format!("/v1/webhooks/deliveries?before={}", text(&page["deliveries"][1], "delivery_id")));
    assert_eq!((&page["count"], &older.ok()["count"]), (&json!(2), &json!(7)));
}

#[test]
fn an_event_that_its_receiver_refuses_makes_way_for_those_behind_it() {
    let (house, receiver) = (House::new(), Receiver::new());
    let (_server, operator) = start(&house);
    receiver.then((0..5).map(|number| Reply::status(if number % 2 == 0 { 400 } else { 422 })));
    register(&operator, &receiver, &json!(["anomaly"]));
    let session = operator.session(&json!({}));
    for name in ["refused", "second", "third"] {
        anomaly(&operator, &session, name);
    }
    let got = receiver.wait_for(7);
    assert_eq!(actions(&got[4..]), ["refused", "second", "third"]);
    until("the last is recorded", || only(&operator)["fire_count"] == 2);
    let letters = operator.get("/v1/webhooks/dead-letters").ok();
    assert_eq!(letters["count"], 1, "{letters}");
    assert!(letters.to_string().contains("refuses it"), "{letters}");
}

#[test]
fn a_redirect_is_followed_to_allowed_addresses_only() {
    let (house, receiver) = (House::new(), Receiver::new());
    let (_server, operator) = start(&house);
    let trap = Receiver::at("127.0.0.2:0".parse().unwrap());
    let to = |url: String| Reply(307, format!("Location: {url}\r\n"), Duration::ZERO);
    receiver.then([
        to(trap.url()),
        to(format!("http://localhost:{}/", trap.address.port())),
        to("http://169.254.169.254/latest".into()),
        to("ftp://127.0.0.1/".into()),
        to("/hook".into()),
        to("/hook".into()),
        to("/hook".into()),
        to("/hook".into()),
        to("/moved".into()),
    ]);
    register(&operator, &receiver, &Value::Null);
    operator.post("/v1/webhooks/1/ping", &json!({})).ok();
    let got = receiver.wait_until("the ping at its new place", |got| got.iter().any(|one| one.path == "/moved"));
    assert_eq!(got.len(), 10, "{got:?}");
    assert!(trap.got().is_empty(), "a redirect to a forbidden address was followed");
    until("the delivery", || only(&operator)["fire_count"] == 1);
    assert_eq!(only(&operator)["fail_count"], 5);
}

#[test]
fn a_receiver_that_is_gone_is_sent_nothing_more_until_an_operator_pings_it() {
    let (house, receiver) = (House::new(), Receiver::new());
    let (_server, operator) = start(&house);
    receiver.always(Reply::status(500));
    register(&operator, &receiver, &json!(["anomaly"]));
    let session = operator.session(&json!({}));
    for name in ["one", "two", "three"] {
        anomaly(&operator, &session, name);
    }
    // Not before all three wait: a webhook that is disabled takes no further event.
    receiver.always(Reply::status(410));
    until("what waited is dead", || operator.get("/v1/webhooks/dead-letters").ok()["count"] == 3);
    let hook = only(&operator);
    assert_eq!((&hook["active"], &hook["waiting"]), (&json!(false), &json!(0)));
    assert!(operator.get("/v1/audit?limit=10").text.contains("webhook.disable"));
    let before = receiver.got().len();
    anomaly(&operator, &session, "while it was disabled");
    receiver.always(Reply::status(200));
    let letters = operator.get("/v1/webhooks/dead-letters?webhook_id=1").ok();
    let last = text(&letters["dead_letters"][2], "event_id");
    assert!(text(&letters["dead_letters"][0], "reason").contains("410"));
    operator.post("/v1/webhooks/1/resend", &json!({"event_id": "evt_none"})).refused(404, "not_found");
    assert_eq!(operator.post("/v1/webhooks/1/resend", &json!({"event_id": last})).ok()["resent"], 1);
    let again = operator.post("/v1/webhooks/1/resend", &json!({})).ok();
    assert_eq!((&again["resent"], &again["more"]), (&json!(2), &json!(false)));
    let got = receiver.wait_for(before + 3);
    let resent: Vec<_> = got[before..].iter().map(|delivery| text(&delivery.json(), "action")).collect();
    assert_eq!(resent, ["three", "one", "two"]);
    assert_eq!((&only(&operator)["active"], got[before].header("webhook-id")), (&json!(true), last.as_str()));
    assert_eq!(operator.get("/v1/webhooks/dead-letters").ok()["count"], 0);
    operator.verified();
}

/// A server on which a second of retries takes so many microseconds, whose two events have become dead letters, and those.
fn after_a_day(house: &House, receiver: &Receiver, micros: u32) -> (Server, Client, Value) {
    let mut command = house.serving();
    command.env("HALDIR_TEST_WEBHOOK_PACE", format!("{micros},2000"));
    let server = Server::start(command);
    let operator = server.first_key();
    register(&operator, receiver, &json!(["anomaly"]));
    let session = operator.session(&json!({}));
    anomaly(&operator, &session, "one");
    anomaly(&operator, &session, "two");
    until("both are dead", || operator.get("/v1/webhooks/dead-letters").ok()["count"] == 2);
    let letters = operator.get("/v1/webhooks/dead-letters").ok();
    (server, operator, letters)
}

#[test]
fn after_a_day_of_failures_an_event_is_a_dead_letter_and_the_next_one_has_its_turn() {
    let receiver = Receiver::new();
    receiver.always(Reply::status(500));
    // A day passes in about nine tenths of a second. On a slow machine there is no time for the attempts in it: it passes
    // more slowly.
    let (_house, (_server, operator, letters)) = [10, 100, 1_000]
        .into_iter()
        .find_map(|micros| {
            let house = House::new();
            let day = after_a_day(&house, &receiver, micros);
            (integer(&day.2["dead_letters"][0], "attempts") > 3).then_some((house, day))
        })
        .expect("an event is a dead letter after a few attempts");
    assert!(text(&letters["dead_letters"][0], "reason").contains("answered 500"), "{letters}");
    assert_eq!((&only(&operator)["active"], &only(&operator)["waiting"]), (&json!(true), &json!(0)));
    receiver.always(Reply::status(204));
    let before = receiver.got().len();
    operator.post("/v1/webhooks/1/resend", &json!({})).ok();
    let got = receiver.wait_for(before + 2);
    let resent: Vec<_> = got[before..].iter().map(|delivery| text(&delivery.json(), "action")).collect();
    assert_eq!(resent, ["one", "two"]);
}

#[test]
fn an_address_that_is_no_longer_allowed_is_not_called() {
    let (house, receiver) = (House::new(), Receiver::new());
    let (server, operator) = start(&house);
    register(&operator, &receiver, &Value::Null);
    let key = operator.key().to_owned();
    drop(server);
    let mut command = house.program();
    command.args(["serve", "--listen", "127.0.0.1:0", "--rate-limits", "off"]);
    let server = Server::start(command);
    let operator = server.with_key(&key);
    operator.post("/v1/webhooks/1/ping", &json!({})).ok();
    until("the attempt failed", || only(&operator)["fail_count"] == 1);
    let row = operator.get("/v1/webhooks/deliveries").ok()["deliveries"][0].clone();
    assert_eq!(row["status_code"], 0);
    assert!(text(&row, "error").contains("--allow-private"), "{row}");
    assert!(receiver.got().is_empty());
}
