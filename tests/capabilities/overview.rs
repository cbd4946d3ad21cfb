//! The overview, the status, and what Prometheus reads.

use crate::support::{House, InProcess, Server, integer, json, text};

#[test]
fn the_overview_has_every_field_that_the_product_s_console_reads() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = operator.session(&json!({"agent_id": "a", "scopes": ["read", "spend"], "spend_limit": 10}));
    let over = operator.session(&json!({"agent_id": "b"}));
    operator.post("/v1/secrets", &json!({"name": "s", "value": "v"})).ok();
    operator.get(&format!("/v1/secrets/s?session_id={session}")).ok();
    operator.pay(&session, "1.5").ok();
    operator.post("/v1/audit", &json!({"session_id": session, "action": "x", "tool": "t", "cost_usd": 200})).ok();
    operator.delete(&format!("/v1/sessions/{over}")).ok();
    operator.post("/v1/approvals/request", &json!({"session_id": session, "tool": "t", "action": "x"})).ok();
    let seen = operator.get("/v1/admin/overview").ok();
    assert_eq!((&seen["tenant_id"], &seen["tier"]), (&json!("local"), &json!("enterprise")));
    assert!(text(&seen, "generated_at").ends_with('Z'));
    let usage = &seen["usage"];
    // The console formats these as numbers: null would end it.
    for name in ["actions_pct_used", "overage_actions", "overage_usd"] {
        assert_eq!(usage[name].as_f64(), Some(0.0), "{name} in {usage}");
    }
    assert_eq!((integer(usage, "actions_this_month"), usage["spend_usd_this_month"].as_f64()), (9, Some(200.0)));
    assert_eq!(usage["metered"], false);
    // Requests and what agents have logged are two figures, and a limit that is none is said to be none.
    assert_eq!(usage["calls_this_month"], usage["actions_this_month"]);
    assert_eq!(integer(usage, "logged_actions_this_month"), 1);
    assert_eq!((&usage["has_actions_limit"], &seen["sessions"]["has_agents_limit"]), (&json!(false), &json!(false)));
    let sessions = &seen["sessions"];
    assert_eq!((integer(sessions, "active_count"), integer(sessions, "agents_active")), (1, 1));
    assert_eq!(integer(sessions, "agents_limit"), 999_999, "clients print it behind a slash: 0 would be none left");
    let lines = sessions["sessions"].as_array().unwrap();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((&lines[0]["session_id"], &lines[0]["agent_id"]), (&json!(session), &json!("a")));
    assert_eq!((lines[0]["spent"].as_f64(), lines[0]["spend_limit"].as_f64()), (Some(1.5), Some(10.0)));
    assert!(lines[0]["last_active"].as_f64() > lines[0]["created_at"].as_f64());
    assert_eq!(seen["vault"], json!({"secrets_count": 1, "secret_access_count": 1}));
    let audit = &seen["audit"];
    assert_eq!((&audit["chain_verified"], integer(audit, "flagged_7d")), (&json!(true), 1));
    assert_eq!(integer(audit, "total_entries"), operator.log_size());
    assert!(text(audit, "last_entry_at").ends_with('Z'));
    let recent = audit["recent"].as_array().unwrap();
    assert_eq!(recent[0]["action"], "approval.request");
    assert!(recent.iter().any(|entry| entry["flagged"] == true && entry["cost_usd"] == 200));
    assert_eq!(seen["webhooks"]["delivery_success_rate_24h"], 1.0);
    assert_eq!((&seen["approvals"]["pending_count"], &seen["compliance"]["schedules_count"]), (&json!(1), &json!(0)));
    assert_eq!(seen["health"]["status"], "ok");
    let agent = operator.mint(&json!({"name": "agent"}));
    agent.get("/v1/admin/overview").refused(403, "operator_required");
}

#[test]
fn an_altered_head_shows_in_the_overview() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    house.change("UPDATE audit_heads SET actions = actions + 1 WHERE tenant = 'local'");
    let seen = operator.get("/v1/admin/overview").ok();
    assert_eq!((&seen["audit"]["chain_verified"], &seen["health"]["status"]), (&json!(false), &json!("degraded")));
}

#[test]
fn months_and_weeks_end_when_the_calendar_says() {
    let folder = tempfile::tempdir().unwrap();
    let house = InProcess::open(&folder.path().join("h.db"));
    let session = house.session(&json!({"ttl": 0}));
    house.ok("logAction", &json!({"session_id": session, "action": "x", "cost_usd": 150}));
    let look = || house.ok("getOverview", &json!({}));
    assert_eq!(look()["audit"]["flagged_7d"], 1);
    house.clock.advance_seconds(6 * 86_400);
    assert_eq!(look()["audit"]["flagged_7d"], 1);
    house.clock.advance_seconds(86_400);
    assert_eq!(look()["audit"]["flagged_7d"], 0);
    // 2027-01-15 was the start; by 2027-02-05 the month is another.
    house.clock.advance_seconds(14 * 86_400);
    house.ok("logAction", &json!({"session_id": session, "action": "x", "cost_usd": 2}));
    let seen = look();
    assert_eq!(seen["usage"]["spend_usd_this_month"].as_f64(), Some(2.0));
}

#[test]
fn the_status_needs_no_key_and_tells_of_no_tenant() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    operator.session(&json!({}));
    let seen = server.anonymous().get("/v1/status").ok();
    assert_eq!(seen["status"], "ok");
    assert!(seen["checked_at"].as_f64() > Some(1e9));
    let names: Vec<_> = seen["components"].as_array().unwrap().iter().map(|part| text(part, "name")).collect();
    assert_eq!(names, ["api", "database", "billing", "proxy", "webhooks"]);
    let metrics = &seen["metrics"];
    assert_eq!(metrics["success_rate"], json!({"total": 2, "errors": 0, "ratio": 1.0}));
    let [p50, p95, p99] = ["p50", "p95", "p99"].map(|name| metrics["latency_seconds"][name].as_f64().unwrap());
    assert!(0.0 < p50 && p50 <= p95 && p95 <= p99 && p99 < 60.0, "{metrics}");
    assert!(!seen.to_string().contains("local"));
}

#[test]
fn prometheus_needs_the_token_or_an_operator_even_on_loopback() {
    let house = House::new();
    let mut command = house.serving();
    command.env("HALDIR_METRICS_TOKEN", "scrape me");
    let server = Server::start(command);
    let operator = server.first_key();
    let agent = operator.mint(&json!({"name": "agent"}));
    let auditor = operator.mint(&json!({"role": "operator", "scopes": ["audit:read"]}));
    let session = agent.session(&json!({}));
    agent.log(&session, "x").ok();
    agent.get("/v1/keys").refused(403, "operator_required");
    server.anonymous().get("/metrics").refused(401, "unauthorized");
    server.anonymous().get("/metrics?token=scrape%20me").refused(401, "unauthorized");
    server.with_key("scrape").get("/metrics").refused(401, "unauthorized");
    agent.get("/metrics").refused(401, "unauthorized");
    auditor.get("/metrics").refused(401, "unauthorized");
    for client in [&operator, &server.with_key("scrape me")] {
        let answer = client.get("/metrics");
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
        let lines: Vec<_> = answer.text.lines().collect();
        for line in [
            r#"haldir_requests_total{operation="createSession",status="201"} 1"#,
            r#"haldir_requests_total{operation="listApiKeys",status="403"} 1"#,
            r#"haldir_request_duration_seconds_count{operation="logAction"} 1"#,
            r#"haldir_request_duration_seconds_bucket{operation="logAction",le="+Inf"} 1"#,
            "haldir_writer_queue_depth 0",
            r#"haldir_rate_limited_total{tier="free"} 0"#,
            "haldir_webhook_lag_seconds_count 0",
        ] {
            assert!(lines.contains(&line), "{line} is not in\n{}", answer.text);
        }
        let sample = |name: &str| {
            let line = lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap();
            line.parse::<f64>().unwrap()
        };
        assert!(sample("haldir_commit_batch_size_count") >= 3.0);
        assert!(sample("haldir_sync_duration_seconds_count") >= 3.0);
        if cfg!(target_os = "linux") {
            assert!(sample("process_resident_memory_bytes") > 1e6);
        }
        assert!(!answer.text.contains("hld_") && !answer.text.contains(&session));
    }
}

#[test]
fn without_a_token_set_no_token_opens_the_metrics() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    server.with_key("").get("/metrics").refused(401, "unauthorized");
    assert_eq!(operator.get("/metrics").status, 200);
}

#[test]
fn calls_over_the_limit_are_measured_by_tier() {
    let house = House::new();
    let mut command = house.program();
    command.args(["serve", "--listen", "127.0.0.1:0", "--rate-limits", "free=2"]);
    let server = Server::start(command);
    let operator = server.first_key();
    let agent = operator.mint(&json!({"name": "agent"}));
    let over = (0..5).filter(|_| agent.get("/v1/sessions").status == 429).count();
    assert_eq!(over, 3);
    let text = operator.get("/metrics").text;
    assert!(text.contains("haldir_rate_limited_total{tier=\"free\"} 3\n"), "{text}");
}
