//! What the log holds, counted in constant time, and told truthfully.

use serde_json::Value;

use crate::support::{House, InProcess, at_once, integer, json, start_of_time, text};

const DAY: i64 = 86_400;

fn haldir() -> (House, InProcess) {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    (house, haldir)
}

fn act(haldir: &InProcess, session: &str, tool: &str, cost: &str) {
    let input = format!(r#"{{"session_id":"{session}","action":"use {tool}","tool":"{tool}","cost_usd":{cost}}}"#);
    haldir.ok("logAction", &serde_json::from_str(&input).unwrap());
}

/// The same figures, counted from the whole trail.
#[allow(clippy::cast_precision_loss)]
fn agree(haldir: &InProcess, filter: &Value) {
    let stats = haldir.ok("getAuditStats", filter);
    let mut query = filter.clone();
    query["limit"] = 1000.into();
    let trail = haldir.ok("getAuditTrail", &query);
    assert_eq!(trail["next_cursor"], Value::Null);
    let entries = trail["entries"].as_array().unwrap();
    assert_eq!(stats["total_entries"], entries.len(), "{filter}: {stats}");
    assert_eq!(stats["flagged_count"], entries.iter().filter(|entry| entry["flagged"] == true).count(), "{filter}");
    for (map, field) in [("by_tool", "tool"), ("by_action", "action")] {
        let mut counted = serde_json::Map::new();
        for entry in entries {
            let count = counted.entry(text(entry, field)).or_insert(0.into());
            *count = (count.as_i64().unwrap() + 1).into();
        }
        assert_eq!(stats[map], Value::Object(counted), "{filter}");
    }
    let cost: f64 = entries.iter().filter(|e| e["kind"] == "action").map(|e| e["cost_usd"].as_f64().unwrap()).sum();
    assert!((stats["total_usd"].as_f64().unwrap() - cost).abs() < 1e-6, "{filter}: {stats}");
    let mut agents: Vec<_> = entries.iter().map(|e| text(e, "agent_id")).filter(|agent| agent != "system").collect();
    agents.sort();
    agents.dedup();
    assert_eq!(stats["agent_count"], agents.len(), "{filter}: {stats}");
}

#[test]
fn stats_say_what_the_trail_says_in_any_span_and_for_anyone() {
    let (_house, haldir) = haldir();
    let start = start_of_time().as_seconds();
    let first = haldir.session(&json!({"agent_id": "one", "ttl": 30 * DAY}));
    act(&haldir, &first, "search", "0.25");
    haldir.clock.advance_seconds(DAY);
    let second = haldir.session(&json!({"agent_id": "two", "ttl": 30 * DAY}));
    act(&haldir, &second, "shop", "101");
    act(&haldir, &first, "shop", "1.5");
    haldir.clock.advance_seconds(2 * DAY + 100);
    act(&haldir, &second, "search", "0");
    haldir.ok("storeSecret", &json!({"name": "s", "value": "v"}));
    for who in [
        json!({}),
        json!({"agent_id": "one"}),
        json!({"agent_id": "nobody"}),
        json!({"session_id": second}),
        json!({"session_id": second, "agent_id": "one"}),
    ] {
        agree(&haldir, &who);
        for since in [0, DAY - 5, DAY, DAY + 1, 3 * DAY, 9 * DAY] {
            let mut filter = who.clone();
            filter["since"] = (start + since).into();
            agree(&haldir, &filter);
            for until in [1, DAY, DAY + 7, 3 * DAY + 100, 3 * DAY + 101] {
                filter["until"] = (start + until).into();
                agree(&haldir, &filter);
            }
        }
    }
    let stats = haldir.ok("getAuditStats", &json!({}));
    assert_eq!((integer(&stats, "session_count"), integer(&stats, "active_sessions")), (2, 2));
    assert_eq!((integer(&stats, "vault_secrets"), &stats["chain_verified"]), (1, &json!(true)));
    assert_eq!((integer(&stats, "actions_this_month"), integer(&stats, "flagged_7d")), (4, 1));
    assert_eq!(stats["spend_usd_this_month"], json!(102.75));
    assert_eq!(haldir.ok("getAuditStats", &json!({"session_id": first}))["session_count"], 1);
    haldir.ok("revokeSession", &json!({"session_id": first}));
    haldir.clock.advance_seconds(31 * DAY);
    let stats = haldir.ok("getAuditStats", &json!({}));
    assert_eq!((integer(&stats, "active_sessions"), integer(&stats, "actions_this_month")), (0, 0), "{stats}");
    assert_eq!(integer(&stats, "flagged_7d"), 0);
}

#[test]
fn a_refused_call_is_counted_as_its_refusal_alone() {
    let (_house, haldir) = haldir();
    let session = haldir.session(&json!({"scopes": ["read", "spend"], "spend_limit": 1}));
    haldir.refused("authorizePayment", &json!({"session_id": session, "amount": 4}));
    let stats = haldir.ok("getAuditStats", &json!({}));
    assert_eq!(stats["by_action"], json!({"session.create": 1, "authorizePayment.denied": 1}), "{stats}");
    agree(&haldir, &json!({}));
}

#[test]
fn many_different_actions_take_bounded_room_and_none_is_lost() {
    let (house, haldir) = haldir();
    let session = haldir.session(&json!({}));
    at_once(20, |part| {
        for number in (0..300).skip(part).step_by(20) {
            haldir.log(&session, &format!("action {number} {}", "x".repeat(60)));
            haldir.log(&session, &format!("a{number}"));
        }
    });
    let stats = haldir.ok("getAuditStats", &json!({}));
    let by_action = stats["by_action"].as_object().unwrap();
    assert!(by_action.len() <= 33, "{stats}");
    assert_eq!(by_action.values().map(|count| count.as_i64().unwrap()).sum::<i64>(), 601);
    let longest: i64 = house.sql_value("SELECT max(length(by_tool) + length(by_action)) FROM audit_days");
    assert!(longest < 4_000, "a row has {longest} bytes");
}

#[test]
fn four_processes_on_one_store_count_every_entry_once() {
    let house = House::new();
    let (first, operator) = house.serve_operator();
    let session = operator.session(&json!({}));
    let others = house.serve_several::<3>();
    let clients: Vec<_> =
        std::iter::once(&first).chain(&others).map(|server| server.with_key(operator.key())).collect();
    at_once(8, |index| {
        let client = clients[index % 4].again();
        for number in 0..100 {
            client.log(&session, &format!("do {}", number % 5)).ok();
        }
    });
    let stats = clients[2].get("/v1/audit/stats").ok();
    assert_eq!(integer(&stats, "total_entries"), operator.log_size());
    assert_eq!(stats["by_tool"]["t"], 800);
    assert_eq!(stats["by_action"]["do 3"], 160);
}

#[test]
fn a_busy_day_that_is_asked_for_in_part_is_counted_as_a_whole_and_the_answer_says_so() {
    const LENGTH: i64 = 10_100;
    const WRITERS: usize = 50;
    let (_house, haldir) = haldir();
    let session = haldir.session(&json!({"agent_id": "one", "ttl": 30 * DAY}));
    at_once(WRITERS, |writer| {
        for _ in (0..LENGTH).skip(writer).step_by(WRITERS) {
            haldir.log(&session, "much");
        }
    });
    haldir.clock.advance_seconds(100);
    haldir.log(&session, "last");
    let start = start_of_time().as_seconds();
    let midnight = start - start % DAY;
    for who in [json!({}), json!({"agent_id": "one"})] {
        let stats = |field: &str, time: i64| {
            let mut input = who.clone();
            input[field] = time.into();
            haldir.ok("getAuditStats", &input)
        };
        let exact = stats("since", start + 50);
        assert_eq!((integer(&exact, "total_entries"), &exact["by_action"]), (1, &json!({"last": 1})), "{exact}");
        assert_eq!(exact["counted_from"].as_f64(), Some(f64::from(i32::try_from(start + 50).unwrap())));
        let whole = stats("since", start - 5);
        assert_eq!(integer(&whole, "total_entries"), LENGTH + 2, "{whole}");
        assert_eq!(whole["counted_from"].as_f64(), Some(f64::from(i32::try_from(midnight).unwrap())));
        let whole = stats("until", start + 50);
        assert_eq!(integer(&whole, "total_entries"), LENGTH + 2, "{whole}");
        assert_eq!(whole["counted_until"].as_f64(), Some(f64::from(i32::try_from(midnight + DAY).unwrap())));
        assert_eq!(whole["truncated"], false);
    }
    let of_session = haldir.ok("getAuditStats", &json!({"session_id": session}));
    assert_eq!((integer(&of_session, "total_entries"), &of_session["truncated"]), (10_000, &json!(true)));
}
