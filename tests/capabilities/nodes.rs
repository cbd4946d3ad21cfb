//! Two servers on one store: what one has begun, the other goes on with, or tells the client to begin again.

use std::time::{Duration, Instant};

use crate::{
    proxy::register,
    support::{
        House, McpSession, json, text, until,
        upstream::{Upstream, tool},
    },
};

/// A server logs once in so long that clients name what it does not have.
const TOLD_EVERY: Duration = Duration::from_secs(10);

#[test]
fn a_protocol_session_of_one_server_is_unknown_at_another_whose_log_says_so_and_begins_anew_there() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_one, operator) = house.serve_operator();
    let other = house.serve();
    let there = other.with_key(operator.key());
    register(&operator, "up", &upstream);
    let list = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/list"});
    let session = McpSession::begin(&operator);
    let begun = Instant::now();
    for _ in 0..20 {
        let answer = session.claimed_by(&there).send(&list);
        assert_eq!(answer.status, 404, "{}", answer.text);
        assert!(text(&answer.json()["error"], "message").contains("initialise again"), "{}", answer.text);
    }
    let named = [("Mcp-Session-Id", "another-servers"), ("Mcp-Protocol-Version", "2025-06-18")];
    let passed = there.send("POST", "/mcp/up", &named, &list.to_string());
    assert_eq!((passed.status, &passed.json()["id"]), (404, &json!(3)), "{}", passed.text);
    let lines = || other.process.errors().matches("what=\"MCP session\"").count();
    until("the log says so", || lines() > 0);
    let most = 1 + begun.elapsed().as_secs() / TOLD_EVERY.as_secs();
    assert!(lines() as u64 <= most, "{}", other.process.errors());
    // A client begins anew, and the other session goes on where it was begun.
    let anew = McpSession::begin(&there);
    for session in [&anew, &session] {
        assert!(session.send(&list).text.contains("createSession"));
    }
}

#[test]
fn an_approval_that_one_server_asks_for_is_decided_at_another_and_used_once_at_either() {
    let house = House::new();
    let (one, operator) = house.serve_operator();
    let other = house.serve();
    let there = other.with_key(operator.key());
    operator.post("/v1/approvals/rules", &json!({"type": "spend_over", "threshold": 5})).ok();
    let session = operator.session(&json!({"scopes": ["spend"]}));
    for (asks, repeats) in [(&operator, &there), (&there, &operator)] {
        let asked = asks.pay(&session, "6").refused(403, "approval_required");
        let request = text(&asked, "approval_request_id");
        let decides = repeats;
        decides.post(&format!("/v1/approvals/{request}/approve"), &json!({})).ok();
        repeats.pay(&session, "6").ok();
        asks.pay(&session, "6").refused(403, "approval_required");
    }
    operator.verified();
    drop((one, other));
}
