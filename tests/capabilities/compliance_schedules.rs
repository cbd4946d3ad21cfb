//! Schedules of evidence: each period once, whatever processes do, and nothing is missed while none runs.

use std::collections::BTreeMap;

use haldir::{crypto::TrustedKey, verify::pack as evidence};
use serde_json::Value;

use crate::support::{Client, Delivery, House, Receiver, Server, integer, json, long, text, until};

const EVENT: &str = "compliance.evidence_pack";

fn create(operator: &Client, receiver: &Receiver, cadence: &str) -> Value {
    let webhook = operator.post("/v1/webhooks", &json!({"url": receiver.url(), "events": ["anomaly"]})).ok();
    let delivery = format!("webhook:{}", webhook["webhook_id"]);
    operator.post("/v1/compliance/schedules", &json!({"name": "board", "cadence": cadence, "delivery": delivery})).ok()
}

/// Sets a schedule this many days back, as if no server had run since.
fn back(house: &House, schedule: &Value, days: i64) {
    let schedule = text(schedule, "schedule_id");
    let set = format!("period_start = period_start - {days} * 86400000000, due_at = 0");
    assert_eq!(house.change(&format!("UPDATE compliance_schedules SET {set} WHERE id = '{schedule}'")), 1);
}

/// The packs that arrived, by the period that they are of, with the ids of their events.
fn arrived(deliveries: &[Delivery]) -> BTreeMap<String, Vec<String>> {
    by_period(deliveries.iter().map(Delivery::json))
}

/// The same of one schedule.
fn arrived_of(deliveries: &[Delivery], schedule: &Value) -> BTreeMap<String, Vec<String>> {
    let of_it = |body: &Value| body["schedule_id"] == schedule["schedule_id"];
    by_period(deliveries.iter().map(Delivery::json).filter(of_it))
}

fn by_period(bodies: impl Iterator<Item = Value>) -> BTreeMap<String, Vec<String>> {
    let mut periods: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for body in bodies.filter(|body| body["event"] == EVENT) {
        let ids = periods.entry(text(&body, "period_start")).or_default();
        let id = text(&body, "event_id");
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    periods
}

fn only(operator: &Client) -> Value {
    operator.get("/v1/compliance/schedules").ok()["schedules"][0].clone()
}

#[test]
fn a_schedule_is_created_listed_shown_in_the_overview_and_deleted() {
    let (house, receiver) = (House::new(), Receiver::new());
    let (_server, operator) = house.serve_operator();
    let made = create(&operator, &receiver, "monthly");
    assert_eq!(
        (&made["cadence"], &made["active"], &made["last_run_at"]),
        (&json!("monthly"), &json!(true), &json!(0.0))
    );
    let listed = only(&operator);
    assert_eq!(
        (&listed["last_status"], &listed["run_count"], &listed["fail_count"]),
        (&json!(""), &json!(0), &json!(0))
    );
    assert_eq!(listed["schedule_id"], made["schedule_id"]);
    let overview = operator.get("/v1/admin/overview").ok()["compliance"].clone();
    assert_eq!((&overview["schedules_count"], &overview["active_count"]), (&json!(1), &json!(1)));
    assert!(overview["next_due_at"].as_str().unwrap().ends_with("-01T00:01:00Z"), "{overview}");
    let path = format!("/v1/compliance/schedules/{}", text(&made, "schedule_id"));
    let deleted = operator.delete(&path);
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    operator.delete(&path).refused(404, "not_found");
    assert_eq!(operator.get("/v1/compliance/schedules").ok(), json!({"count": 0, "schedules": []}));
    let trail = operator.get("/v1/audit?limit=2").ok();
    assert_eq!(
        (&trail["entries"][0]["action"], &trail["entries"][1]["action"]),
        (&json!("schedule.delete"), &json!("schedule.create"))
    );
}

#[test]
fn what_cannot_be_delivered_is_refused_at_creation() {
    let (house, receiver) = (House::new(), Receiver::new());
    let (_server, operator) = house.serve_operator();
    create(&operator, &receiver, "daily");
    let refused = |cadence: &str, delivery: &str, field: &str| {
        let body = json!({"name": "x", "cadence": cadence, "delivery": delivery});
        operator.post("/v1/compliance/schedules", &body).refused_field(400, "invalid_argument", field);
    };
    refused("yearly", "webhook:1", "cadence");
    for delivery in ["email:a@example.com", "ftp:1", "webhook:", "webhook:-1", "webhook:1x", "1"] {
        refused("daily", delivery, "delivery");
    }
    let unknown = json!({"name": "x", "cadence": "daily", "delivery": "webhook:2"});
    operator.post("/v1/compliance/schedules", &unknown).refused_field(404, "not_found", "delivery");
    let full = |_| {
        operator.post("/v1/compliance/schedules", &json!({"name": "x", "cadence": "daily", "delivery": "webhook:1"}))
    };
    assert!((1..32).map(full).all(|answer| answer.status == 201));
    full(32).refused(409, "conflict");
}

#[test]
fn every_missed_period_is_made_up_for_once_with_several_processes() {
    let (house, receiver) = (House::new(), Receiver::new());
    let (first, operator) = house.serve_operator();
    let second = house.serve();
    let made = create(&operator, &receiver, "daily");
    back(&house, &made, 3);
    let got = receiver.wait_until("three packs", |got| arrived(got).len() >= 3);
    until("three runs", || integer(&only(&operator), "run_count") == 3);
    let schedule = second.with_key(operator.key()).get("/v1/compliance/schedules").ok()["schedules"][0].clone();
    assert_eq!(
        (&schedule["last_status"], &schedule["last_error"], &schedule["fail_count"]),
        (&json!("ok"), &json!(""), &json!(0))
    );
    assert_eq!(operator.get("/v1/admin/overview").ok()["compliance"]["last_run_status"], "ok");
    let body = got.iter().map(Delivery::json).find(|body| body["event"] == EVENT).unwrap();
    assert_eq!((&body["source"], &body["schedule_id"]), (&json!("haldir"), &schedule["schedule_id"]));
    // The pack within it holds by itself.
    let key = TrustedKey::parse(body["pack"]["signatures"]["public_key"].as_str().unwrap()).unwrap();
    let pack = evidence::verify(body["pack"].to_string(), &[key]).unwrap();
    assert!(pack.signatures.period_closed);
    // Whatever would come twice comes before the packs of another schedule: a process looks at all of them in turn, and
    // sends their packs in that order.
    let later = json!({"name": "later", "cadence": "daily", "delivery": made["delivery"]});
    let later = operator.post("/v1/compliance/schedules", &later).ok();
    back(&house, &later, 5);
    let got = receiver.wait_until("five packs of another schedule", |got| arrived_of(got, &later).len() >= 5);
    let periods = arrived_of(&got, &made);
    assert!(periods.len() == 3 && periods.values().all(|ids| ids.len() == 1), "{periods:?}");
    drop((first, second));
}

#[test]
fn a_kill_loses_no_period_and_makes_none_twice() {
    let (house, receiver) = (House::new(), Receiver::new());
    let serve = || {
        let mut command = house.serving();
        // A process that ends in the middle of a delivery keeps it for as long as an attempt may take.
        command.env("HALDIR_TEST_WEBHOOK_PACE", "5000,2000");
        Server::start(command)
    };
    let (mut first, mut second) = (serve(), serve());
    let operator = first.first_key();
    let key = operator.key().to_owned();
    let made = create(&operator, &receiver, "daily");
    let periods = long(8, 40);
    back(&house, &made, periods);
    // In the middle of it.
    receiver.wait_until("the first pack", |got| !arrived(got).is_empty());
    first.process.kill();
    second.process.kill();
    let server = serve();
    let operator = server.with_key(&key);
    until("all runs", || integer(&only(&operator), "run_count") == periods);
    let count = usize::try_from(periods).unwrap();
    let got = receiver.wait_until("a pack of each period", |got| arrived(got).len() >= count);
    let packs = arrived(&got);
    assert!(packs.len() == count && packs.values().all(|ids| ids.len() == 1), "{packs:?}");
    let delivered: i64 = house.sql_value("SELECT count(*) FROM audit_entries WHERE action = 'evidence.deliver'");
    assert_eq!(delivered, periods);
    operator.verified();
}

#[test]
fn schedules_and_retention_are_left_to_the_process_with_their_lease_until_it_has_died() {
    let (house, receiver) = (House::new(), Receiver::new());
    let (first, operator) = house.serve_operator();
    let key = operator.key().to_owned();
    let made = create(&operator, &receiver, "daily");
    until("no job is done", || house.sql_value::<i64>("SELECT count(*) FROM job_leases") == 0);
    drop(first);
    // Processes that will not be heard of again.
    for job in ["schedules", "retention"] {
        let until = 4_102_444_800_000_000_i64;
        assert_eq!(house.change(&format!("INSERT INTO job_leases VALUES ('{job}', 'another', {until})")), 1);
    }
    back(&house, &made, 3);
    let mut serving = house.serving();
    serving.env("HALDIR_LOG", "haldir=debug");
    let server = Server::start(serving);
    let operator = server.with_key(&key);
    let left = |job: &str| {
        let log = server.process.errors();
        let lines = log.lines().filter(|line| line.contains("another process does this job") && line.contains(job));
        lines.count()
    };
    until("it looks at the schedule again and again", || left("schedules") >= 3);
    assert!(left("retention") >= 1);
    assert_eq!(integer(&only(&operator), "run_count"), 0);
    house.change("UPDATE job_leases SET until = 0");
    receiver.wait_until("three packs", |got| arrived(got).len() == 3);
    until("all jobs are done", || house.sql_value::<i64>("SELECT count(*) FROM job_leases") == 0);
    operator.verified();
}

#[test]
fn a_run_that_fails_says_why_and_keeps_its_period() {
    let (house, receiver) = (House::new(), Receiver::new());
    let (_server, operator) = house.serve_operator();
    let made = create(&operator, &receiver, "weekly");
    let webhook = text(&made, "delivery").replace("webhook:", "");
    operator.delete(&format!("/v1/webhooks/{webhook}")).ok();
    back(&house, &made, 7);
    until("a failed run", || integer(&only(&operator), "fail_count") == 1);
    let failed = only(&operator);
    assert_eq!((&failed["last_status"], &failed["run_count"]), (&json!("failed"), &json!(0)), "{failed}");
    assert!(text(&failed, "last_error").contains("webhook"), "{failed}");
    let wait = failed["next_due"].as_f64().unwrap() - failed["last_run_at"].as_f64().unwrap();
    assert!((wait - 3_600.0).abs() < 1.0, "{failed}");
    let begin = made["next_period_start"].as_f64().unwrap() - 7.0 * 86_400.0;
    assert!((failed["next_period_start"].as_f64().unwrap() - begin).abs() < 1.0, "{failed}");
    assert_eq!(operator.get("/v1/admin/overview").ok()["compliance"]["last_run_status"], "failed");
}
