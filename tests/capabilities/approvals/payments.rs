//! Payments that need approval.

use super::{actions, add_rule, approval, decide, needs_approval, request, spender};
use crate::support::{House, json, text};

#[test]
fn a_payment_over_the_threshold_waits_for_approval_and_is_made_once() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let agent = operator.mint(&json!({"role": "agent"}));
    let session = spender(&agent);
    let rule = add_rule(&operator, &json!({"type": "spend_over", "threshold": 100}));
    agent.pay(&session, "100").ok();
    let id = needs_approval(&agent.pay(&session, "100.000000001"));
    assert_eq!(needs_approval(&agent.pay(&session, "100.0000000010")), id, "the same question was asked twice");
    assert_eq!(agent.get(&format!("/v1/sessions/{session}")).ok()["spent"], 100);
    assert_ne!(needs_approval(&agent.pay(&session, "101")), id, "another amount needs another approval");
    decide(&operator, &id, "approve").ok();
    // Neither another amount, nor another description, nor another session.
    needs_approval(&agent.pay(&session, "100.000000002"));
    let described = json!({"session_id": session, "amount": 100.000_000_001, "description": "x"});
    needs_approval(&agent.post("/v1/payments/authorize", &described));
    needs_approval(&agent.pay(&spender(&agent), "100.000000001"));
    agent.pay(&session, "100.000000001").ok();
    let used = approval(&agent, &id);
    assert!(used["used_at"].is_number() && used["usable"] == false, "{used}");
    assert_ne!(needs_approval(&agent.pay(&session, "100.000000001")), id, "an approval served twice");

    operator.delete(&format!("/v1/approvals/rules/{rule}")).ok();
    agent.pay(&session, "100.000000001").ok();
    operator.delete(&format!("/v1/approvals/rules/{rule}")).refused(404, "not_found");
    let log = actions(&operator);
    for action in ["approval_rule.add", "approval_rule.delete", "approval.approve", "approval.use"] {
        assert_eq!(log.iter().filter(|known| *known == action).count(), 1, "{action}: {log:?}");
    }
    assert!(log.contains(&"authorizePayment.denied".to_owned()));
    operator.verified();
}

#[test]
fn an_approval_that_is_named_serves_for_nothing_else() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = spender(&operator);
    add_rule(&operator, &json!({"type": "all"}));
    let pay = |amount: i64, approval: &str| {
        let body = json!({"session_id": session, "amount": amount, "approval_id": approval});
        operator.post("/v1/payments/authorize", &body)
    };
    let id = needs_approval(&operator.pay(&session, "5"));
    assert_eq!(needs_approval(&pay(5, &id)), id);
    let ahead = json!({"session_id": session, "tool": "authorizePayment", "action": "rent", "amount": 7});
    let ahead = request(&operator, &ahead);
    for id in [&id, &ahead] {
        decide(&operator, id, "approve").ok();
    }
    for (amount, id) in [(6, id.as_str()), (5, "apr_unknown"), (5, &ahead)] {
        let refused = pay(amount, id).refused(403, "approval_invalid");
        assert_eq!((&refused["authorized"], &refused["field"]), (&json!(false), &json!("approval_id")), "{refused}");
    }
    pay(5, &id).ok();
    pay(5, &id).refused(403, "approval_invalid");
    // Asked for ahead of the payment.
    let rent = json!({"session_id": session, "amount": 7, "description": "rent"});
    operator.post("/v1/payments/authorize", &rent).ok();
    needs_approval(&operator.post("/v1/payments/authorize", &rent));
}

#[test]
fn what_was_denied_stays_denied_and_what_fails_uses_no_approval() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = operator.session(&json!({"scopes": ["spend"], "spend_limit": 10}));
    add_rule(&operator, &json!({"type": "spend_over"}));
    let size = operator.log_size();
    operator.pay(&session, "11").refused(403, "budget_exceeded");
    assert_eq!(operator.log_size(), size + 1);
    assert_eq!(operator.get("/v1/approvals/pending").ok()["count"], 0, "no request for an impossible payment");

    let no = needs_approval(&operator.pay(&session, "3"));
    operator.post(&format!("/v1/approvals/{no}/deny"), &json!({"note": "too dear"})).ok();
    let refused = operator.pay(&session, "3").refused(403, "approval_invalid");
    assert_eq!((&refused["approval_request_id"], &refused["decision_note"]), (&json!(no), &json!("too dear")));

    let yes = needs_approval(&operator.pay(&session, "8"));
    let small = needs_approval(&operator.pay(&session, "4"));
    for id in [&yes, &small] {
        decide(&operator, id, "approve").ok();
    }
    operator.pay(&session, "4").ok();
    operator.pay(&session, "8").refused(403, "budget_exceeded");
    assert_eq!(approval(&operator, &yes)["usable"], true, "a payment that failed used its approval");
}

#[test]
fn an_idempotency_key_does_not_keep_the_question() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = spender(&operator);
    add_rule(&operator, &json!({"type": "all"}));
    let body = json!({"session_id": session, "amount": 2}).to_string();
    let pay = || operator.send("POST", "/v1/payments/authorize", &[("Idempotency-Key", "k")], &body);
    let id = needs_approval(&pay());
    decide(&operator, &id, "approve").ok();
    let paid = pay().ok();
    assert_eq!(pay().ok(), paid, "a retry is not paid twice, nor asked again");
    assert_eq!(operator.get(&format!("/v1/sessions/{session}")).ok()["spent"], 2);
}

#[test]
fn over_mcp_the_answer_is_an_error_within_the_schema() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = spender(&operator);
    add_rule(&operator, &json!({"type": "tool_blocked", "tools": ["authorizePayment"]}));
    let arguments = json!({"session_id": session, "amount": 2});
    let asked = operator.tool("authorizePayment", &arguments);
    let said = &asked["structuredContent"];
    assert_eq!((&asked["isError"], &said["authorized"]), (&json!(true), &json!(false)), "{asked}");
    let schema = haldir::operations::tool("authorizePayment").unwrap().output_schema().to_value();
    assert!(jsonschema::draft202012::new(&schema).unwrap().is_valid(said), "{said}");
    decide(&operator, &text(said, "approval_request_id"), "approve").ok();
    assert_eq!(operator.tool("authorizePayment", &arguments)["structuredContent"]["authorized"], true);
}
