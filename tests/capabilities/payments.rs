//! Money is exact, and never overdrawn.

use std::collections::HashSet;

use haldir::{error::Code, model::Clock};
use serde_json::Value;

use crate::support::{Client, House, InProcess, at_once, json, refusal_in, text};

/// What no amount can be, with the code that says so.
const NO_AMOUNTS: [(&str, &str); 13] = [
    ("-1", "invalid_argument"),
    ("0", "invalid_argument"),
    ("-0.0", "invalid_argument"),
    ("true", "invalid_argument"),
    ("\"1\"", "invalid_argument"),
    ("null", "invalid_argument"),
    ("[1]", "invalid_argument"),
    ("1e300", "invalid_argument"),
    ("0.100000000000000000000000000001", "invalid_argument"),
    ("9223372036.854775808", "invalid_argument"),
    ("NaN", "malformed_json"),
    ("Infinity", "malformed_json"),
    ("-Infinity", "malformed_json"),
];

fn spender(operator: &Client, limit: &Value) -> String {
    operator.session(&json!({"scopes": ["read", "spend"], "spend_limit": limit}))
}

fn session(operator: &Client, id: &str) -> Value {
    operator.get(&format!("/v1/sessions/{id}")).ok()
}

#[test]
fn of_64_concurrent_payments_of_1_usd_a_budget_of_10_authorises_exactly_10() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let id = spender(&operator, &json!(10));
    let answers = at_once(64, |_| operator.again().pay(&id, "1"));
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 10);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        let body = answer.refused(403, "budget_exceeded");
        assert_eq!((&body["authorized"], &body["session_id"]), (&json!(false), &json!(id)), "{body}");
        assert!(!text(&body, "reason").is_empty());
    }
    let session = session(&operator, &id);
    assert_eq!((session["spent"].as_f64(), session["remaining_budget"].as_f64()), (Some(10.0), Some(0.0)));
    operator.verified();
}

#[test]
fn four_processes_on_one_store_cannot_overdraw_a_budget() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let others = house.serve_several::<3>();
    let id = spender(&operator, &json!(10));
    let answers = at_once(64, |index| match index % 4 {
        0 => operator.again().pay(&id, "1"),
        other => others[other - 1].with_key(operator.key()).pay(&id, "1"),
    });
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 10, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 403).count(), 54, "{statuses:?}");
    assert_eq!(house.sql_value::<i64>("SELECT spent FROM sessions WHERE spent > 0"), 10_000_000_000);
    drop(server);
    others[0].with_key(operator.key()).verified();
}

#[test]
fn the_third_dime_of_thirty_cents_is_authorized() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let id = spender(&operator, &json!(0.30));
    for left in ["0.2", "0.1", "0"] {
        let answer = operator.pay(&id, "0.10");
        answer.ok();
        assert!(answer.text.contains(&format!(r#""remaining_budget":{left},"#)), "{}", answer.text);
    }
    operator.pay(&id, "0.000000001").refused_field(403, "budget_exceeded", "amount");
}

#[test]
fn a_spend_limit_of_0_means_nothing() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let id = spender(&operator, &json!(0));
    operator.pay(&id, "0.000000001").refused(403, "budget_exceeded");
    let child = operator.session(&json!({"scopes": ["spend"], "parent_session_id": id}));
    operator.pay(&child, "0.01").refused(403, "budget_exceeded");
}

#[test]
fn a_session_without_the_spend_scope_cannot_pay() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    for scopes in [json!(["read"]), json!(["spend:5:x"]), json!(["spender"]), json!(["spend:*"]), json!([])] {
        let made = operator.post("/v1/sessions", &json!({"agent_id": "a", "scopes": scopes, "spend_limit": 100}));
        if made.status == 201 {
            operator.pay(&text(&made.json(), "session_id"), "1").refused(403, "scope_denied");
        } else {
            made.refused(400, "invalid_argument");
        }
    }
}

#[test]
fn another_currency_is_refused_and_not_converted() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let id = spender(&operator, &json!(100));
    let body = json!({"session_id": id, "amount": 1, "currency": "EUR"});
    operator.post("/v1/payments/authorize", &body).refused_field(403, "currency_mismatch", "currency");
    for nonsense in ["usd", "US", "", "USDX", "U\u{0}D"] {
        let body = json!({"session_id": id, "amount": 1, "currency": nonsense});
        operator.post("/v1/payments/authorize", &body).refused_field(400, "invalid_argument", "currency");
    }
    assert_eq!(session(&operator, &id)["spent"], 0);
}

#[test]
fn what_is_no_amount_is_refused_changes_nothing_and_the_next_call_works() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let id = spender(&operator, &json!(100));
    for (amount, code) in NO_AMOUNTS {
        let before = operator.tree_head();
        let answer = operator.pay(&id, amount);
        let body = answer.refused(400, code);
        if code == "invalid_argument" {
            assert_eq!(body["field"], "amount", "{amount}: {body}");
        }
        assert_eq!(operator.tree_head(), before, "{amount} left a trace");
        assert_eq!(session(&operator, &id)["spent"], 0, "{amount} was spent");
        operator.log(&id, "goes on").ok();
    }
    operator.pay(&id, "1").ok();
}

#[test]
fn what_is_no_amount_is_refused_over_mcp_too() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let id = spender(&operator, &json!(100));
    for (amount, _) in NO_AMOUNTS {
        let arguments = format!(r#"{{"session_id":"{id}","amount":{amount}}}"#);
        let answer = operator.tool_text("authorizePayment", &arguments);
        let body = answer.json();
        if serde_json::from_str::<Value>(&arguments).is_ok() {
            assert_eq!((answer.status, &body["result"]["isError"]), (200, &json!(true)), "{amount}: {body}");
            let said = refusal_in(&body["result"]);
            assert_eq!((&said["code"], &said["field"]), (&json!("invalid_argument"), &json!("amount")), "{amount}");
        } else {
            assert_eq!((answer.status, &body["error"]["code"]), (400, &json!(-32700)), "{amount}: {body}");
        }
        assert_eq!(session(&operator, &id)["spent"], 0, "{amount} was spent");
    }
    let result = operator.tool("authorizePayment", &json!({"session_id": id, "amount": 1}));
    assert_eq!((&result["isError"], &result["structuredContent"]["authorized"]), (&json!(false), &json!(true)));
}

#[test]
fn a_refused_payment_over_mcp_is_an_error_that_says_authorized_false() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let poor = spender(&operator, &json!(1));
    let reader = operator.session(&json!({"scopes": ["read"]}));
    for (session, currency, code) in [
        (&poor, "USD", "budget_exceeded"),
        (&poor, "EUR", "currency_mismatch"),
        (&reader, "USD", "scope_denied"),
        (&"ses_unknown".to_owned(), "USD", "session_invalid"),
    ] {
        let result =
            operator.tool("authorizePayment", &json!({"session_id": session, "amount": 2, "currency": currency}));
        assert_eq!(result["isError"], true, "{result}");
        let said = refusal_in(&result);
        assert_eq!((&said["authorized"], &said["code"]), (&json!(false), &json!(code)), "{said}");
        assert!(!text(&said, "reason").is_empty());
    }
}

#[test]
fn what_a_child_spends_counts_against_every_ancestor() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let root = spender(&operator, &json!(10));
    let middle = operator.session(&json!({"scopes": ["spend"], "parent_session_id": root}));
    let child = operator.session(&json!({"scopes": ["spend"], "spend_limit": 8, "parent_session_id": middle}));
    operator.pay(&child, "6").ok();
    for (id, spent) in [(&root, 6.0), (&middle, 6.0), (&child, 6.0)] {
        assert_eq!(session(&operator, id)["spent"].as_f64(), Some(spent));
    }
    operator.pay(&root, "3").ok();
    // The child has 2 left of its own, but the root only 1.
    operator.pay(&child, "2").refused(403, "budget_exceeded");
    operator.pay(&middle, "1.5").refused(403, "budget_exceeded");
    operator.pay(&child, "1").ok();
    assert_eq!(session(&operator, &root)["remaining_budget"], 0);
}

#[test]
fn concurrent_siblings_cannot_overdraw_their_parent() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let root = spender(&operator, &json!(5));
    let children: Vec<_> =
        (0..16).map(|_| operator.session(&json!({"scopes": ["spend"], "parent_session_id": root}))).collect();
    let answers = at_once(16, |index| operator.again().pay(&children[index], "1"));
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 5);
}

#[test]
fn capture_and_void_return_what_was_not_paid_to_every_budget() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let root = spender(&operator, &json!(10));
    let child = operator.session(&json!({"scopes": ["spend"], "parent_session_id": root}));
    let [first, second] =
        [4, 5].map(|amount| text(&operator.pay(&child, &amount.to_string()).ok(), "authorization_id"));
    let path = |id: &str, what: &str| format!("/v1/payments/{id}/{what}");
    for too_much in ["4.000000001", "0", "-1"] {
        let answer = operator.post_text(&path(&first, "capture"), &format!(r#"{{"amount":{too_much}}}"#));
        answer.refused_field(400, "invalid_argument", "amount");
    }
    let captured = operator.post(&path(&first, "capture"), &json!({"amount": 1.5})).ok();
    assert_eq!((&captured["captured"], &captured["returned"]), (&json!(1.5), &json!(2.5)));
    assert_eq!(operator.post(&path(&second, "void"), &json!({})).ok()["returned"], 5);
    for id in [&root, &child] {
        assert_eq!(session(&operator, id)["spent"], 1.5);
    }
    for (id, what) in [(&first, "capture"), (&first, "void"), (&second, "void"), (&second, "capture")] {
        operator.post(&path(id, what), &json!({})).refused(409, "conflict");
    }
    operator.post(&path("auth_unknown", "void"), &json!({})).refused(404, "not_found");
    assert_eq!(operator.get("/v1/audit/spend").ok()["authorized_usd"], 1.5);
}

#[test]
fn an_agent_cannot_settle_payments() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let agent = operator.mint(&json!({"role": "agent"}));
    let id = spender(&agent, &json!(10));
    let authorization = text(&agent.pay(&id, "10").ok(), "authorization_id");
    for what in ["capture", "void"] {
        agent.post(&format!("/v1/payments/{authorization}/{what}"), &json!({})).refused(403, "operator_required");
    }
    agent.pay(&id, "0.01").refused(403, "budget_exceeded");
    operator.post(&format!("/v1/payments/{authorization}/void"), &json!({})).ok();
}

#[test]
fn sixteen_racing_calls_with_one_idempotency_key_are_one_payment() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let other = house.serve();
    let id = spender(&operator, &json!(100));
    let body = json!({"session_id": id, "amount": 7}).to_string();
    let answers = at_once(16, |index| {
        let client = if index % 2 == 0 { operator.again() } else { other.with_key(operator.key()) };
        client.send("POST", "/v1/payments/authorize", &[("Idempotency-Key", "once")], &body)
    });
    let authorizations: HashSet<_> = answers.iter().map(|answer| text(&answer.ok(), "authorization_id")).collect();
    assert_eq!(authorizations.len(), 1);
    assert_eq!(session(&operator, &id)["spent"], 7);
    let changed = json!({"session_id": id, "amount": 8}).to_string();
    let answer = operator.send("POST", "/v1/payments/authorize", &[("Idempotency-Key", "once")], &changed);
    answer.refused(422, "idempotency_mismatch");
    // The same call over MCP is the same call.
    let arguments = json!({"session_id": id, "amount": 7, "idempotency_key": "once"});
    let result = operator.tool("authorizePayment", &arguments);
    assert!(authorizations.contains(&text(&result["structuredContent"], "authorization_id")));
    assert_eq!(session(&operator, &id)["spent"], 7);
    drop(server);
}

#[test]
fn two_amounts_that_only_an_exact_reader_tells_apart_are_two_calls() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let id = spender(&operator, &json!(null));
    let pay = |amount: &str, space: &str| {
        let body = format!(r#"{{{space}"amount":{amount},"session_id":{space}"{id}"}}"#);
        operator.send("POST", "/v1/payments/authorize", &[("Idempotency-Key", "exact")], &body)
    };
    let first = pay("4000000000.000000001", "").ok();
    assert_eq!(pay("4000000000.000000001", " ").ok(), first);
    pay("4000000000.000000002", "").refused(422, "idempotency_mismatch");
}

#[test]
fn an_idempotency_key_is_kept_for_a_day() {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    let id = haldir.session(&json!({"scopes": ["spend"], "ttl": 0}));
    let pay = || {
        let answer = haldir.call_once("daily", "authorizePayment", &json!({"session_id": id, "amount": 1})).unwrap();
        text(&answer, "authorization_id")
    };
    let first = pay();
    haldir.clock.advance_seconds(86_399);
    assert_eq!(pay(), first);
    haldir.clock.advance_seconds(1);
    assert_ne!(pay(), first);
    assert_eq!(haldir.ok("getSession", &json!({"session_id": id}))["spent"], 2);
}

#[test]
fn a_retry_of_a_refused_payment_is_refused_again() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let id = spender(&operator, &json!(1));
    let pay = |amount: u32| {
        let body = json!({"session_id": id, "amount": amount}).to_string();
        operator.send("POST", "/v1/payments/authorize", &[("Idempotency-Key", "k")], &body)
    };
    for _ in 0..2 {
        let body = pay(2).refused(403, "budget_exceeded");
        assert_eq!(body["authorized"], false, "{body}");
    }
    pay(1).refused(422, "idempotency_mismatch");
    assert_eq!(session(&operator, &id)["spent"], 0);
}

#[test]
fn a_revoked_session_cannot_pay() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let id = spender(&operator, &json!(10));
    operator.delete(&format!("/v1/sessions/{id}")).ok();
    operator.pay(&id, "1").refused(401, "session_invalid");
}

#[test]
fn every_payment_and_every_refusal_is_in_the_log() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let id = spender(&operator, &json!(1));
    operator.pay(&id, "1").ok();
    operator.pay(&id, "1").refused(403, "budget_exceeded");
    let trail = operator.get(&format!("/v1/audit?session_id={id}")).ok();
    let actions: Vec<_> = trail["entries"].as_array().unwrap().iter().map(|entry| text(entry, "action")).collect();
    assert_eq!(actions, ["authorizePayment.denied", "payment.authorize", "session.create"]);
    assert_eq!(trail["entries"][0]["details"]["code"], "budget_exceeded");
}

#[test]
fn payments_are_listed_by_agent_session_state_and_time() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let of =
        |agent: &str| operator.session(&json!({"agent_id": agent, "scopes": ["read", "spend"], "spend_limit": 100}));
    let (ann, bob, bob_again) = (of("ann"), of("bob"), of("bob"));
    let pay = |session: &str, amount: &str| text(&operator.pay(session, amount).ok(), "authorization_id");
    let paid = [pay(&ann, "1"), pay(&bob, "2"), pay(&bob_again, "3"), pay(&bob, "4")];
    operator.post(&format!("/v1/payments/{}/capture", paid[1]), &json!({"amount": 1.5})).ok();
    operator.post(&format!("/v1/payments/{}/void", paid[2]), &json!({})).ok();
    let listed = |query: &str| {
        let answer = operator.get(&format!("/v1/payments{query}")).ok();
        let payments = answer["payments"].as_array().unwrap().clone();
        assert_eq!(answer["count"], payments.len());
        (payments.iter().map(|payment| text(payment, "authorization_id")).collect::<Vec<_>>(), answer)
    };
    let ids = |places: &[usize]| places.iter().map(|place| paid[*place].clone()).collect::<Vec<_>>();

    assert_eq!(listed("").0, ids(&[3, 2, 1, 0]));
    assert_eq!(listed("?agent_id=bob").0, ids(&[3, 2, 1]));
    assert_eq!(listed(&format!("?session_id={bob}")).0, ids(&[3, 1]));
    assert_eq!(listed(&format!("?session_id={bob}&agent_id=ann")).0, ids(&[]));
    assert_eq!(listed("?open=true").0, ids(&[3, 0]));
    assert_eq!(listed("?open=true&agent_id=bob").0, ids(&[3]));
    assert_eq!(listed(&format!("?open=true&session_id={ann}")).0, ids(&[0]));
    let first = listed("?limit=3");
    assert_eq!(first.0, ids(&[3, 2, 1]));
    let second = listed(&format!("?limit=3&cursor={}", text(&first.1, "next_cursor")));
    assert_eq!((second.0, &second.1["next_cursor"]), (ids(&[0]), &Value::Null));
    let at = first.1["payments"][1]["created_at"].to_string();
    assert_eq!(listed(&format!("?since={at}")).0, ids(&[3, 2]));
    assert_eq!(listed(&format!("?until={at}")).0, ids(&[1, 0]));

    let states: Vec<_> =
        first.1["payments"].as_array().unwrap().iter().map(|payment| text(payment, "status")).collect();
    assert_eq!(states, ["authorized", "voided", "captured"]);
    let captured = &first.1["payments"][2];
    assert_eq!((&captured["amount"], &captured["captured"]), (&json!(2), &json!(1.5)));
    assert!(captured["settled_at"].is_number() && first.1["payments"][0]["captured"].is_null(), "{}", first.1);
    operator.get("/v1/payments?limit=0").refused_field(400, "invalid_argument", "limit");
}

#[test]
fn what_was_spent_in_a_span_of_time_is_summed_up_by_tool_session_and_agent() {
    let folder = tempfile::tempdir().unwrap();
    let haldir = InProcess::open(&folder.path().join("haldir.db"));
    let spend = json!({"agent_id": "ann", "scopes": ["read", "spend"], "spend_limit": 100, "ttl": 1_000_000});
    let (ann, bob) = (haldir.session(&spend), haldir.session(&json!({"agent_id": "bob", "ttl": 1_000_000})));
    let log = |session: &str, tool: &str, cost: f64| {
        haldir.ok("logAction", &json!({"session_id": session, "tool": tool, "action": "do", "cost_usd": cost}));
    };
    let pay = |amount: u32| {
        let paid = haldir.ok("authorizePayment", &json!({"session_id": ann, "amount": amount}));
        text(&paid, "authorization_id")
    };
    log(&ann, "search", 1.5);
    pay(10);
    haldir.clock.advance_seconds(86_400);
    let begin = haldir.clock.now().as_seconds();
    log(&ann, "search", 2.0);
    log(&ann, "mail", 0.25);
    log(&bob, "search", 4.0);
    let (captured, voided) = (pay(20), pay(30));
    haldir.ok("capturePayment", &json!({"authorization_id": captured, "amount": 15}));
    haldir.ok("voidPayment", &json!({"authorization_id": voided}));
    haldir.clock.advance_seconds(86_400);
    let end = haldir.clock.now().as_seconds();
    log(&bob, "mail", 8.0);

    let of = |mut filter: Value| {
        (filter["since"], filter["until"]) = (json!(begin), json!(end));
        haldir.ok("getSpend", &filter)
    };
    let all = of(json!({}));
    assert_eq!((&all["total_usd"], &all["action_count"], &all["truncated"]), (&json!(6.25), &json!(3), &json!(false)));
    assert_eq!(all["by_tool"], json!({"mail": 0.25, "search": 6}), "{all}");
    assert_eq!(all["by_agent"], json!({"ann": 2.25, "bob": 4}), "{all}");
    assert_eq!(all["authorized_usd"], 15, "{all}");
    let ann_s = of(json!({"agent_id": "ann"}));
    assert_eq!((&ann_s["total_usd"], &ann_s["authorized_usd"]), (&json!(2.25), &json!(15)), "{ann_s}");
    let bob_s = of(json!({"session_id": bob}));
    assert_eq!((&bob_s["by_session"], &bob_s["authorized_usd"]), (&json!({bob.clone(): 4}), &json!(0)), "{bob_s}");
    assert_eq!(haldir.ok("getSpend", &json!({"since": end}))["total_usd"], 8);
    assert_eq!(haldir.ok("getSpend", &json!({"until": begin}))["authorized_usd"], 10);
    assert_eq!(haldir.refused("getSpend", &json!({"session_id": "ses_none", "since": 1})).code, Code::NotFound);
}
