//! What an operator lets be spent in a day is spent once, however many sessions, names and processes there are.

use std::process::Command;

use serde_json::Value;

use crate::support::{
    House, InProcess, Server, Stdio, at_once, json,
    program::{Lines, upstream_program},
    upstream::Upstream,
};

fn pay(haldir: &InProcess, session: &str, amount: f64) -> Result<Value, haldir::error::Error> {
    haldir.call("authorizePayment", &json!({"session_id": session, "amount": amount}))
}

#[test]
fn the_sessions_of_an_agent_share_what_it_may_spend_in_a_day() {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    let session = |agent: &str, limit: f64| {
        haldir.session(&json!({"agent_id": agent, "scopes": ["spend"], "daily_spend_limit": limit, "ttl": 604_800}))
    };
    let (first, second) = (session("buyer", 5.0), session("buyer", 5.0));
    let paid = pay(&haldir, &first, 3.0).unwrap();
    let refused = pay(&haldir, &second, 3.0).unwrap_err();
    assert_eq!(refused.code.name(), "budget_exceeded");
    assert!(refused.message.contains("2 USD") && refused.message.contains("buyer"), "{}", refused.message);
    pay(&haldir, &second, 2.0).unwrap();
    pay(&haldir, &second, 0.01).unwrap_err();
    // Others have days of their own, and a stricter session of the same agent counts what the others have spent.
    pay(&haldir, &session("someone", 5.0), 5.0).unwrap();
    pay(&haldir, &session("buyer", 4.0), 0.01).unwrap_err();
    // What is given back can be spent again on that day.
    haldir.ok("voidPayment", &json!({"authorization_id": paid["authorization_id"]}));
    pay(&haldir, &first, 3.0).unwrap();
    pay(&haldir, &first, 0.01).unwrap_err();
    haldir.clock.advance_seconds(86_400);
    let next = pay(&haldir, &first, 5.0).unwrap();
    // What was spent yesterday goes back to yesterday.
    haldir.clock.advance_seconds(86_400);
    pay(&haldir, &first, 5.0).unwrap();
    haldir.ok("voidPayment", &json!({"authorization_id": next["authorization_id"]}));
    pay(&haldir, &first, 0.01).unwrap_err();
    assert_eq!(
        haldir.refused("createSession", &json!({"agent_id": "a", "daily_spend_limit": -1})).field.unwrap(),
        "daily_spend_limit"
    );
    // A delegated session spends out of its parent's day as well.
    let child = haldir.session(&json!({"agent_id": "helper", "scopes": ["spend"], "parent_session_id": second}));
    pay(&haldir, &child, 0.01).unwrap_err();
    // No name is kept beside the sums.
    let rows: i64 = house.sql_value("SELECT count(*) FROM daily_spend WHERE CAST(of AS TEXT) LIKE '%buyer%'");
    assert_eq!(rows, 0);
}

#[test]
fn a_key_spends_its_day_once_whatever_names_it_gives_its_agents() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let agent = operator.mint(&json!({"name": "agent", "max_daily_spend": 5}));
    let answers = at_once(8, |number| {
        let session = agent.session(&json!({"agent_id": format!("agent {number}"), "scopes": ["spend"]}));
        agent.pay(&session, "1").status
    });
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 5, "{answers:?}");
    let other = operator.mint(&json!({"name": "other", "max_daily_spend": 5}));
    other.pay(&other.session(&json!({"scopes": ["spend"]})), "5").ok();
    let keys = operator.get("/v1/keys").ok();
    assert_eq!(keys["keys"][0]["max_daily_spend"], 5, "{keys}");
}

#[test]
fn a_client_that_starts_a_process_for_each_call_has_one_day() {
    let house = House::new();
    let paid = at_once(8, |number| {
        let mut command = house.program();
        command.env("HALDIR_MAX_DAILY_SPEND", "5").env("HALDIR_MAX_SCOPES", "read,spend").env("HALDIR_MAX_TTL", "600");
        let client = Stdio::start(command);
        // What else the operator has set binds in each process too.
        client.refused("createSession", &json!({"agent_id": "a", "scopes": ["execute"]}), "ceiling_exceeded");
        client.refused("createSession", &json!({"agent_id": "a", "ttl": 601}), "ceiling_exceeded");
        let session = client.session(&json!({"agent_id": format!("agent {number}"), "scopes": ["spend"]}));
        let answer = client.tool("authorizePayment", &json!({"session_id": session, "amount": 1}));
        answer["structuredContent"]["authorized"] == json!(true)
    });
    assert_eq!(paid.iter().filter(|paid| **paid).count(), 5, "{paid:?}");
}

fn wrap(house: &House, options: &[&str]) -> Command {
    let mut command = house.program();
    command.args(["wrap", "--name", "shop"]).args(options).arg("--").arg(upstream_program()).arg("--stdio");
    command
}

#[test]
fn a_wrapped_servers_day_outlives_its_processes_and_what_is_not_counted_is_said() {
    let house = House::new();
    let bounds = ["--agent", "buyer", "--scopes", "execute,read,spend", "--budget", "100", "--daily-budget", "5"];
    let mut wrapped = Lines::begun(wrap(&house, &bounds));
    // Nothing has a cost yet: the call passes, and it is said that nothing counts.
    assert_eq!(wrapped.call("echo", &json!({"amount": 300}))["result"]["isError"], Value::Null);
    let (_, errors) = wrapped.leave();
    assert!(errors.contains("no tool of this server has a marked cost"), "{errors}");
    assert!(errors.contains("looks like an amount"), "{errors}");
    let (_, trail, _) = house.terminal(&["--json", "call", "get-audit-trail"]);
    assert!(trail.contains("not_counted") && trail.contains("/amount"), "{trail}");

    let marked = house.terminal(&["call", "mark-tool", "--name", "shop", "--tool", "echo", "--cost", "2"]);
    assert_eq!(marked.0, 0, "{marked:?}");
    let passed = at_once(4, |_| {
        let mut wrapped = Lines::begun(wrap(&house, &bounds));
        let answer = wrapped.call("echo", &json!({"amount": 1}));
        let (_, errors) = wrapped.leave();
        assert!(!errors.contains("no tool of this server has a marked cost"), "{errors}");
        answer["result"]["isError"].is_null()
    });
    assert_eq!(passed.iter().filter(|passed| **passed).count(), 2, "{passed:?}");
    Lines::begun(wrap(&house, &bounds)).refused("echo", &json!({}), "budget_exceeded");
    // Another agent has a day of its own.
    let other = ["--agent", "other", "--scopes", "execute,spend", "--daily-budget", "2"];
    let mut other = Lines::begun(wrap(&house, &other));
    assert!(other.call("echo", &json!({}))["result"]["isError"].is_null());
    other.refused("echo", &json!({}), "budget_exceeded");
}

#[test]
fn the_day_holds_on_every_way_through_the_proxy() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let pay = json!({"name": "pay", "description": "pays", "annotations": {"readOnlyHint": true},
        "inputSchema": {"type": "object", "properties": {"amount": {"type": "number"}, "page": {"type": "integer"}}}});
    let upstream = Upstream::new([pay]);
    operator.post("/v1/proxy/upstreams", &json!({"name": "up", "url": upstream.url()})).ok();
    let warnings = || operator.get("/v1/proxy/tools").ok()["tools"][0]["warnings"].to_string();
    assert!(warnings().contains("/amount"), "{}", warnings());
    let marks = json!({"tool": "pay", "cost_argument": "/amount"}).to_string();
    operator.send("PUT", "/v1/proxy/upstreams/up/marks", &[], &marks).ok();
    assert_eq!(warnings(), "[]", "what is counted is warned of");
    let key = operator.mint(&json!({"name": "agent", "max_daily_spend": 5}));
    let session = || key.session(&json!({"scopes": ["execute", "spend"]}));
    let ways: [&dyn Fn() -> String; 3] = [
        &|| {
            let body = json!({"session_id": session(), "tool": "up.pay", "arguments": {"amount": 2}});
            key.post("/v1/proxy/call", &body).text
        },
        &|| {
            let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                "params": {"name": "pay", "arguments": {"amount": 2}}});
            let session = session();
            let headers = [
                ("X-Session-ID", session.as_str()),
                ("Accept", "application/json, text/event-stream"),
                ("MCP-Protocol-Version", "2025-06-18"),
            ];
            key.send("POST", "/mcp/up", &headers, &call.to_string()).text
        },
        &|| key.tool("up.pay", &json!({"session_id": session(), "amount": 2})).to_string(),
    ];
    let told: Vec<String> = (0..3).map(|nth| ways[nth]()).collect();
    let refused = told.iter().filter(|told| told.contains("budget_exceeded")).count();
    assert_eq!(refused, 1, "{told:?}");
    assert!(ways.iter().all(|way| way().contains("budget_exceeded")));
    drop(server);
}

#[test]
fn a_servers_setting_bounds_the_day_of_every_agents_key() {
    let house = House::new();
    let mut command = house.serving();
    command.env("HALDIR_MAX_DAILY_SPEND", "3");
    let server = Server::start(command);
    let operator = server.first_key();
    let agent = operator.mint(&json!({"name": "agent", "max_daily_spend": 50}));
    agent.pay(&agent.session(&json!({"scopes": ["spend"]})), "3").ok();
    agent.pay(&agent.session(&json!({"scopes": ["spend"]})), "0.01").refused(403, "budget_exceeded");
}
