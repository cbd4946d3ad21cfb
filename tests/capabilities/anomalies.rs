//! Each rule flags at its threshold, says why, and stays silent below.

use std::fs;

use haldir::{call::AnomalyThresholds, crypto::Key, model::Money};
use serde_json::Value;

use crate::support::{House, InProcess, Server, json, refuses_to_start, text};

fn haldir() -> (House, InProcess) {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    (house, haldir)
}

/// Logs an action of this cost with this tool; answers why it was flagged, empty if it was not.
fn reason(haldir: &InProcess, session: &str, tool: &str, cost: &str) -> String {
    let cost: Value = serde_json::from_str(cost).unwrap();
    let input = json!({"session_id": session, "action": "x", "tool": tool, "cost_usd": cost});
    let logged = haldir.ok("logAction", &input);
    let reason = text(&logged, "flag_reason");
    assert_eq!(logged["flagged"], !reason.is_empty(), "{logged}");
    reason
}

/// Why the newest entry was flagged.
fn newest(haldir: &InProcess) -> String {
    text(&haldir.ok("getAuditTrail", &json!({"limit": 1}))["entries"][0], "flag_reason")
}

#[test]
fn a_burst_of_actions_is_flagged_beyond_its_threshold_and_within_its_window() {
    let (_house, haldir) = haldir();
    let session = haldir.session(&json!({"ttl": 0}));
    for _ in 0..120 {
        assert_eq!(reason(&haldir, &session, "t", "0"), "");
    }
    assert_eq!(reason(&haldir, &session, "t", "0"), "burst of actions: 121 within 60 s (threshold 120)");
    // One flag for a hundred and twenty more, not a hundred and twenty.
    for _ in 0..119 {
        assert_eq!(reason(&haldir, &session, "t", "0"), "");
    }
    assert_eq!(reason(&haldir, &session, "t", "0"), "burst of actions: 241 within 60 s (threshold 120)");
    haldir.clock.advance_seconds(60);
    assert_eq!(reason(&haldir, &session, "t", "0"), "");
    // Another agent is not blamed for it.
    let other = haldir.session(&json!({"agent_id": "other"}));
    assert_eq!(reason(&haldir, &other, "t", "0"), "");
}

#[test]
fn a_high_cost_is_flagged_above_its_threshold() {
    let (_house, haldir) = haldir();
    let session = haldir.session(&json!({}));
    assert_eq!(reason(&haldir, &session, "t", "100"), "");
    assert_eq!(
        reason(&haldir, &session, "t", "100.000000001"),
        "high cost: 100.000000001 USD in one action (threshold 100 USD)"
    );
}

#[test]
fn an_unusual_cost_is_flagged_against_the_agents_own_mean() {
    let (_house, haldir) = haldir();
    let session = haldir.session(&json!({}));
    for _ in 0..9 {
        assert_eq!(reason(&haldir, &session, "t", "0.2"), "");
    }
    // The tenth action has nine behind it: too few to know the agent.
    assert_eq!(reason(&haldir, &session, "t", "0.2"), "");
    assert_eq!(reason(&haldir, &session, "t", "2"), "", "ten times the mean is not more than ten times");
    let why = reason(&haldir, &session, "t", "4");
    assert!(why.starts_with("unusual cost: 4 USD, more than 10 times this agent's mean of 0.3636363"), "{why}");
}

#[test]
fn small_sums_are_never_unusual() {
    let (_house, haldir) = haldir();
    let session = haldir.session(&json!({}));
    for _ in 0..12 {
        assert_eq!(reason(&haldir, &session, "t", "0.001"), "");
    }
    assert_eq!(reason(&haldir, &session, "t", "0.99"), "");
    assert!(reason(&haldir, &session, "t", "1.5").starts_with("unusual cost: 1.5 USD"));
}

#[test]
fn logging_more_cost_than_the_budget_is_flagged() {
    let (_house, haldir) = haldir();
    let session = haldir.session(&json!({"spend_limit": 3}));
    assert_eq!(reason(&haldir, &session, "t", "1"), "");
    assert_eq!(reason(&haldir, &session, "t", "2"), "");
    assert_eq!(
        reason(&haldir, &session, "t", "0.5"),
        "over budget: 3.5 USD logged in a session with a budget of 3 USD"
    );
    assert_eq!(reason(&haldir, &session, "t", "0"), "");
}

#[test]
fn a_tool_never_used_before_is_flagged_once_the_agent_is_known() {
    let (_house, haldir) = haldir();
    let session = haldir.session(&json!({}));
    for number in 0..49 {
        assert_eq!(reason(&haldir, &session, if number < 25 { "a" } else { "b" }, "0"), "");
    }
    assert_eq!(reason(&haldir, &session, "c", "0"), "", "with 49 actions behind it");
    assert_eq!(reason(&haldir, &session, "d", "0"), "new tool: first use of \"d\" after 50 actions without it");
    assert_eq!(reason(&haldir, &session, "d", "0"), "");
}

#[test]
fn repeated_refusals_are_flagged() {
    let (_house, haldir) = haldir();
    let session = haldir.session(&json!({"scopes": ["read"]}));
    let refuse = || haldir.refused("authorizePayment", &json!({"session_id": session, "amount": 1}));
    for _ in 0..4 {
        refuse();
        assert_eq!(newest(&haldir), "");
    }
    refuse();
    assert_eq!(newest(&haldir), "repeated refusals: 5 within 300 s (threshold 5)");
    haldir.clock.advance_seconds(300);
    refuse();
    assert_eq!(newest(&haldir), "");
}

#[test]
fn a_burst_of_secret_reads_is_flagged() {
    let (_house, haldir) = haldir();
    let session = haldir.session(&json!({}));
    haldir.ok("storeSecret", &json!({"name": "s", "value": "v"}));
    let read = || haldir.ok("getSecret", &json!({"session_id": session, "name": "s"}));
    for _ in 0..20 {
        read();
        assert_eq!(newest(&haldir), "");
    }
    read();
    assert_eq!(newest(&haldir), "burst of secret reads: 21 within 60 s (threshold 20)");
    let flagged = haldir.ok("getAuditTrail", &json!({"flagged": true}));
    assert_eq!((&flagged["count"], &flagged["entries"][0]["action"]), (&json!(1), &json!("secret.read")));
}

#[test]
fn several_reasons_are_all_given() {
    let house = House::new();
    let thresholds =
        AnomalyThresholds { burst_actions: 0, cost_usd: Money::from_units(1), ..AnomalyThresholds::default() };
    let haldir = InProcess::open_with(&house.db(), &Key::generate().unwrap(), thresholds);
    let session = haldir.session(&json!({"spend_limit": 1}));
    let why = reason(&haldir, &session, "t", "2");
    let reasons: Vec<_> = why.split("; ").filter_map(|reason| reason.split(':').next()).collect();
    assert_eq!(reasons, ["burst of actions", "high cost", "over budget"]);
}

fn configured(house: &House, toml: &str) -> std::process::Command {
    let path = house.folder().join("haldir.toml");
    fs::write(&path, toml).unwrap();
    let mut command = house.serving();
    command.arg("--config").arg(path);
    command
}

#[test]
fn an_operator_sets_the_thresholds_in_a_file() {
    let house = House::new();
    let server = Server::start(configured(&house, "[anomalies]\nburst_actions = 2\ncost_usd = 0.5\n"));
    let operator = server.first_key();
    let session = operator.session(&json!({}));
    let log = |cost: &str| {
        let body = format!(r#"{{"session_id":"{session}","action":"x","cost_usd":{cost}}}"#);
        text(&operator.post_text("/v1/audit", &body).ok(), "flag_reason")
    };
    assert_eq!(log("0.5"), "");
    assert_eq!(log("0.51"), "high cost: 0.51 USD in one action (threshold 0.5 USD)");
    assert_eq!(log("0"), "burst of actions: 3 within 60 s (threshold 2)");
}

#[test]
fn rules_are_on_by_default() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = operator.session(&json!({}));
    let logged = operator.post("/v1/audit", &json!({"session_id": session, "action": "x", "cost_usd": 101})).ok();
    assert_eq!(logged["flagged"], true);
    assert_eq!(operator.get("/v1/audit?flagged=true").ok()["count"], 1);
}

#[test]
fn a_file_that_cannot_be_meant_is_refused_by_name() {
    let house = House::new();
    for bad in [
        "[anomalies]\nburst = 2\n",
        "[anomalies]\nburst_actions = \"many\"\n",
        "[anomaly]\n",
        "not toml",
        "[anomalies]\ncost_usd = nan\n",
    ] {
        let errors = refuses_to_start(configured(&house, bad));
        assert!(errors.contains("HALDIR_CONFIG") && errors.contains("haldir.toml"), "{bad}: {errors}");
    }
}
