//! Calls of a tenant are counted by month, and figures are kept with what they count.

use haldir::model::Credential;
use serde_json::Value;

use crate::support::{Client, House, InProcess, at_once, integer, json, text};

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
    let servers = [house.serve(), house.serve(), house.serve()];
    at_once(3, |index| {
        let client = servers[index].with_key(&key);
        (0..40).for_each(|_| drop(client.get("/v1/sessions").ok()));
    });
    for server in servers {
        server.process.terminate();
        assert!(server.process.finish().0);
    }
    assert_eq!(calls(&operator), begun + 3 * 40 + 1);
    // Within the bounded delay the count is stored, and a kill takes nothing of it.
    std::thread::sleep(std::time::Duration::from_secs(4));
    first.process.kill();
    let second = house.serve();
    assert_eq!(calls(&second.with_key(&key)), begun + 3 * 40 + 2);
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

/// A store as it was before there were figures gets the same ones that would have been kept.
#[test]
fn figures_of_an_older_store_are_those_that_would_have_been_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h.db");
    let key = haldir::crypto::Key::generate().unwrap();
    let open = || InProcess::open_with(&path, &key, haldir::call::AnomalyThresholds::default());
    let house = open();
    house.another_tenant();
    let session = house.session(&json!({"agent_id": "a", "scopes": ["read", "spend"], "ttl": 0}));
    house.ok("storeSecret", &json!({"name": "s", "value": "v"}));
    house.ok("getSecret", &json!({"name": "s", "session_id": session}));
    house.ok("authorizePayment", &json!({"session_id": session, "amount": 5}));
    house.ok("requestApproval", &json!({"session_id": session, "tool": "t", "action": "x"}));
    for day in 0..4 {
        for tool in 0..=day * 7 {
            let tool = format!("tool{}", tool % 3);
            house.ok("logAction", &json!({"session_id": session, "tool": tool, "action": "x", "cost_usd": 1.5}));
        }
        house.clock.advance_seconds(86_400);
    }
    // Until all of these are in the counters.
    (0..600).for_each(|_| drop(house.log(&session, "more")));
    let snapshot = |sql: &rusqlite::Connection| -> Vec<String> {
        let mut lines = Vec::new();
        for (table, columns) in [
            (
                "tenant_totals",
                "tenant || keys || ',' || sessions || ',' || agents || ',' || secrets || ',' || payments || ',' || approvals",
            ),
            ("usage WHERE secret_reads > 0", "tenant || month || ',' || secret_reads"),
            ("tool_tallies WHERE of = ''", "tenant || tool || ',' || rank"),
            ("agents", "tenant || agent_id || ',' || rank"),
        ] {
            let mut statement = sql.prepare(&format!("SELECT {columns} FROM {table} ORDER BY 1")).unwrap();
            lines.extend(statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap));
            lines.push(table.to_owned());
        }
        lines
    };
    drop(house);
    let sql = rusqlite::Connection::open(&path).unwrap();
    let kept = snapshot(&sql);
    let names: Vec<String> = sql
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for trigger in names.iter().filter(|name| name.starts_with("count_")) {
        sql.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    sql.execute_batch(
        "DROP INDEX tools_by_rank; DROP INDEX agents_by_rank; DROP INDEX approvals_pending_by_end;
         DROP INDEX api_keys_by_tenant;
         CREATE INDEX api_keys_by_tenant ON api_keys (tenant, created_at);
         ALTER TABLE tool_tallies DROP COLUMN rank; ALTER TABLE agents DROP COLUMN rank;
         DROP TABLE usage; DROP TABLE tenant_totals;",
    )
    .unwrap();
    crate::postings::as_they_lay(&sql);
    sql.execute_batch(include_str!("../../src/store/sqlite/migrations/0006_usage.sql")).unwrap();
    assert_eq!(snapshot(&sql), kept);
}
