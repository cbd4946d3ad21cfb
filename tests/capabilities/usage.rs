//! Calls of a tenant are counted by month, and figures are kept with what they count.

use haldir::model::Credential;
use serde_json::Value;

use crate::support::{Client, House, InProcess, at_once, integer, json, text, until};

fn calls(client: &Client) -> i64 {
    integer(&client.get("/v1/usage").ok(), "action_count")
}

#[test]
fn every_authenticated_call_counts_and_nothing_else() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let agent = operator.mint(&json!({"name": "agent"}));
    let before = calls(&operator);
    let session = agent.session(&json!({}));
    agent.get("/v1/keys").refused(403, "operator_required");
    agent.get("/v1/sessions/ses_none").json();
    agent.post_text("/v1/audit", "{").refused(400, "malformed_json");
    agent.tool("logAction", &json!({"session_id": session, "action": "x"}));
    // None of these is an authenticated call of an operation.
    server.anonymous().get("/v1/usage").refused(401, "unauthorized");
    server.with_key(&format!("hld_{}", "x".repeat(43))).get("/v1/usage").refused(401, "unauthorized");
    operator.get("/healthz").ok();
    operator.get("/v1").ok();
    let usage = operator.get("/v1/usage").ok();
    assert_eq!(integer(&usage, "action_count"), before + 6, "{usage}");
    assert_eq!(usage["tier"], "enterprise");
    let month = text(&usage, "month");
    // An agent's key may ask too; its tier is its own.
    let same = agent.get(&format!("/v1/usage?month={month}")).ok();
    assert_eq!((integer(&same, "action_count"), &same["tier"]), (before + 7, &json!("free")));
    assert_eq!(integer(&operator.get("/v1/usage?month=2001-01").ok(), "action_count"), 0);
    for bad in ["2026-13", "2026-1", "11-2026", "2026-11-01", "now"] {
        operator.get(&format!("/v1/usage?month={bad}")).refused_field(400, "invalid_argument", "month");
    }
}

#[test]
fn calls_of_several_processes_add_up_and_survive_an_orderly_end() {
    let house = House::new();
    let (mut first, operator) = house.serve_operator();
    let key = operator.key().to_owned();
    let begun = calls(&operator);
    let servers = house.serve_several::<3>();
    at_once(3, |index| {
        let client = servers[index].with_key(&key);
        (0..40).for_each(|_| drop(client.get("/v1/sessions").ok()));
    });
    for server in servers {
        server.process.terminate();
        assert!(server.process.finish().0);
    }
    assert_eq!(calls(&operator), begun + 3 * 40 + 1);
    // Soon the count is stored, where another process sees it, and a kill takes nothing of it.
    let second = house.serve();
    let other = second.with_key(&key);
    let mut looks = 0;
    until("the count is stored", || {
        looks += 1;
        calls(&other) - looks == begun + 3 * 40 + 1
    });
    first.process.kill();
    assert_eq!(calls(&other), begun + 3 * 40 + 1 + looks + 1);
}

/// The figures as a recount of the rows gives them.
fn figures(house: &InProcess) -> Value {
    house.ok("getMetrics", &json!({}))
}

#[test]
fn figures_follow_every_change() {
    let folder = tempfile::tempdir().unwrap();
    let house = InProcess::open(&folder.path().join("h.db"));
    let empty = figures(&house);
    for name in
        ["total_sessions", "active_sessions", "unique_agents", "total_actions", "total_secrets", "total_payments"]
    {
        assert_eq!(empty[name], 0, "{name} in {empty}");
    }
    let short = house.session(&json!({"agent_id": "a", "scopes": ["read", "spend"], "ttl": 60}));
    let long = house.session(&json!({"agent_id": "b", "scopes": ["read", "spend"], "ttl": 3600}));
    house.session(&json!({"agent_id": "b", "ttl": 0}));
    house.ok("storeSecret", &json!({"name": "s", "value": "v"}));
    house.ok("storeSecret", &json!({"name": "s", "value": "w"}));
    house.ok("storeSecret", &json!({"name": "gone", "value": "w"}));
    house.ok("deleteSecret", &json!({"name": "gone"}));
    house.ok("getSecret", &json!({"name": "s", "session_id": long}));
    let paid = house.ok("authorizePayment", &json!({"session_id": short, "amount": 5}));
    house.ok("authorizePayment", &json!({"session_id": long, "amount": 2}));
    house.ok("voidPayment", &json!({"authorization_id": paid["authorization_id"]}));
    for (session, tool, times) in [(&short, "t1", 3), (&long, "t2", 12)] {
        for _ in 0..times {
            let entry = json!({"session_id": session, "tool": tool, "action": "x", "cost_usd": 0.25});
            house.ok("logAction", &entry);
        }
    }
    let seen = figures(&house);
    assert_eq!(seen["total_sessions"], 3);
    assert_eq!(seen["active_sessions"], 3);
    assert_eq!(seen["unique_agents"], 2);
    assert_eq!((&seen["total_actions"], &seen["actions_today"]), (&json!(15), &json!(15)));
    assert_eq!(seen["total_spend_usd"].as_f64(), Some(3.75));
    assert_eq!((&seen["total_secrets"], &seen["total_payments"]), (&json!(1), &json!(2)));
    assert_eq!(seen["total_payment_volume_usd"].as_f64(), Some(2.0));
    assert_eq!(seen["top_tools"], json!({"t1": 3, "t2": 12}));
    assert_eq!(seen["top_agents"], json!({"a": 3, "b": 12}));
    let asked = house.ok("requestApproval", &json!({"session_id": long, "tool": "t", "action": "x"}));
    house.ok("requestApproval", &json!({"session_id": long, "tool": "t", "action": "y"}));
    house.ok("denyRequest", &json!({"request_id": asked["request_id"]}));
    let seen = figures(&house);
    assert_eq!((&seen["pending_approvals"], &seen["total_approvals"]), (&json!(1), &json!(2)));
    // Expiry happens without a write, and a revocation by one.
    house.clock.advance_seconds(61);
    assert_eq!(figures(&house)["active_sessions"], 2);
    house.ok("revokeSession", &json!({"session_id": long}));
    assert_eq!(figures(&house)["active_sessions"], 1);
    // A day later, today is empty.
    house.clock.advance_seconds(86_400);
    let later = figures(&house);
    assert_eq!((&later["actions_today"], &later["total_actions"]), (&json!(0), &json!(15)));
}

#[test]
fn the_top_ten_are_those_with_most_actions() {
    let folder = tempfile::tempdir().unwrap();
    let house = InProcess::open(&folder.path().join("h.db"));
    let session = house.session(&json!({"agent_id": "a"}));
    for tool in 1..=14 {
        for _ in 0..tool * 3 {
            house.ok("logAction", &json!({"session_id": session, "tool": format!("tool{tool:02}"), "action": "x"}));
        }
    }
    let expected: serde_json::Map<_, _> = (5..=14).map(|tool| (format!("tool{tool:02}"), json!(tool * 3))).collect();
    assert_eq!(figures(&house)["top_tools"], Value::Object(expected));
}

#[test]
fn a_tenant_sees_its_own_figures_only() {
    let folder = tempfile::tempdir().unwrap();
    let house = InProcess::open(&folder.path().join("h.db"));
    let other = Credential::LocalOperator(house.another_tenant());
    let session = house.session(&json!({"agent_id": "a", "scopes": ["read"]}));
    house.log(&session, "x");
    let theirs = house.call_as(&other, "getMetrics", &json!({})).unwrap();
    assert_eq!((&theirs["total_sessions"], &theirs["total_actions"]), (&json!(0), &json!(0)), "{theirs}");
    assert_eq!((&theirs["top_tools"], &theirs["top_agents"]), (&json!({}), &json!({})));
    assert_eq!(theirs["total_api_keys"], 1);
    let overview = house.call_as(&other, "getOverview", &json!({})).unwrap();
    assert_eq!((&overview["sessions"]["active_count"], &overview["audit"]["total_entries"]), (&json!(0), &json!(1)));
    assert!(!overview.to_string().contains(&session));
}
