//! Policy sets in Cedar: added, held to in every process, counted, tried on the log, and on trial.

use serde_json::Value;

use super::{add_policy, blocked, call, caller, carried_out, entries, register, wait_for};
use crate::support::{
    Client, House, at_once, json, text,
    upstream::{Behaviour, Upstream, tool},
};

const ALL: &str = "permit (principal, action, resource);";

fn cedar(text: &str) -> Value {
    json!({"type": "cedar", "cedar": text})
}

/// What the newest entry of these calls says that Cedar saw.
fn saw(operator: &Client, action: &str) -> Value {
    let entry = entries(operator, action).swap_remove(0);
    let steps = entry["details"]["trace"].as_array().unwrap().clone();
    let step = steps.iter().find(|step| step["rule"].as_str().is_some_and(|rule| rule.starts_with("cedar")));
    step.unwrap_or_else(|| panic!("no Cedar policy decided: {entry}")).clone()
}

#[test]
fn a_policy_set_that_is_not_valid_is_refused_with_its_place_and_changes_nothing() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = caller(&operator);
    for (text, says) in [
        ("permit (principal, action, resource)\nwhen { context.hour = 8 };", "line 2, column"),
        ("permit (principal, action, resource)\nwhen { context.houre == 8 };", "line 2, column 8"),
        ("permit (principal, action, resource) when { context.hour == \"8\" };", "Long and String"),
        ("forbid (principal, action, resource == Tool::\"*\");", "Upstream::"),
        (" ", "from 1 to 200"),
    ] {
        let told = operator.post("/v1/proxy/policies", &cedar(text)).refused(400, "invalid_argument");
        assert!(told["error"].as_str().unwrap().contains(says) && told["field"] == "cedar", "{told}");
        operator.post("/v1/proxy/policies/test", &cedar(text)).refused_field(400, "invalid_argument", "cedar");
    }
    let deep = format!("{ALL} forbid (principal, action, resource) when {{ {} }};", "[".repeat(30_000));
    let large = format!("// {}\n{ALL}", "x".repeat(40_000));
    for text in [deep, large] {
        operator.post("/v1/proxy/policies", &cedar(&text)).refused_field(400, "invalid_argument", "cedar");
    }
    for (policy, field) in [
        (json!({"type": "cedar"}), "cedar"),
        (json!({"type": "cedar", "cedar": ALL, "tool": "echo"}), "tool"),
        (json!({"type": "block_tool", "tool": "echo", "cedar": ALL}), "cedar"),
    ] {
        operator.post("/v1/proxy/policies", &policy).refused_field(400, "invalid_argument", field);
    }
    assert_eq!(operator.get("/v1/proxy/policies").ok()["count"], 0);
    carried_out(&call(&operator, &session, "echo", &json!({})));
    let strange = "forbid (principal, action, resource) when { context.hour > 25 && false };";
    let added = operator.post("/v1/proxy/policies", &cedar(strange)).json();
    assert!(added["warnings"][0].as_str().unwrap().contains("impossible"), "{added}");
    for _ in 1..16 {
        add_policy(&operator, &cedar(ALL));
    }
    operator.post("/v1/proxy/policies", &cedar(ALL)).refused(409, "conflict");
}

#[test]
fn what_cedar_decides_is_in_the_log_by_the_name_of_the_policy_and_without_values() {
    let names = ["read", "delete", "Delete", "d\u{435}lete"];
    let (house, upstream) = (House::new(), Upstream::new(names.map(tool)));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = caller(&operator);
    let set = format!(
        "{ALL} @id(\"no-deleting\") forbid (principal, action, resource == Tool::\"up.delete\");
         @id(\"no-system-files\") forbid (principal, action, resource)
         when {{ context.text.hasTag(\"/path\") && context.text.getTag(\"/path\") like \"/etc/*\" }};"
    );
    let id = add_policy(&operator, &cedar(&set));
    carried_out(&call(&operator, &session, "up.read", &json!({"path": "/home/x"})));
    let step = saw(&operator, "proxyCall.begin");
    assert_eq!((&step["rule"], &step["ok"]), (&json!(format!("cedar {id}")), &json!(true)), "{step}");
    assert_eq!((&step["saw"]["by"], &step["saw"]["arguments"]), (&json!(["policy0"]), &json!(["/path"])), "{step}");
    for name in &names[1..] {
        let told = blocked(&call(&operator, &session, &format!("up.{name}"), &json!({})), "policy_denied");
        assert_eq!(told["policy_id"], id, "{told}");
        assert!(text(&told, "error").contains("no-deleting"), "{told}");
    }
    blocked(&call(&operator, &session, "up.read", &json!({"path": "/etc/passwd"})), "policy_denied");
    let step = saw(&operator, "proxyCall.denied");
    assert_eq!((&step["saw"]["by"], &step["saw"]["decision"]), (&json!(["no-system-files"]), &json!("forbidden")));
    assert!(!step.to_string().contains("passwd"), "{step}");
    assert_eq!(upstream.calls().len(), 1);
}

#[test]
fn what_cannot_be_shown_to_cedar_does_not_reach_the_upstream() {
    let (house, upstream) = (House::new(), Upstream::new([tool("pay")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = caller(&operator);
    let n = "context.whole.hasTag(\"/n\") && context.whole.getTag(\"/n\")";
    let set = format!(
        "{ALL} @id(\"n\") forbid (principal, action, resource) when {{ {n} * 2 > 100 }};
         @id(\"amount\") forbid (principal, action, resource) when {{ context.amount.greaterThan(decimal(\"100.0\")) }};"
    );
    add_policy(&operator, &cedar(&set));
    let send = |arguments: &str| {
        let body = format!(r#"{{"session_id":"{session}","tool":"pay","arguments":{arguments}}}"#);
        operator.post_text("/v1/proxy/call", &body)
    };
    for (arguments, says) in [
        (r#"{"n":9223372036854775807}"#, "could not be evaluated"),
        (r#"{"n":9223372036854775808}"#, "no whole number of 64 bits"),
        (r#"{"n":123456789012345678901234567890}"#, "no whole number"),
        (r#"{"n":1.5}"#, "no whole number"),
        (r#"{"n":null}"#, "is null"),
        (r#"{"n":"7"}"#, "is a text"),
        (r#"{"amount":"nan"}"#, "none that can be read"),
        (r#"{"amount":100.0000000001}"#, "amount"),
        (r#"{"total":"101"}"#, "amount"),
        (r#"{"n":51}"#, "forbidden by the Cedar policy n"),
    ] {
        let told = blocked(&send(arguments), "policy_denied");
        assert!(text(&told, "error").contains(says), "{arguments}: {told}");
    }
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    send(&deep).refused(400, "invalid_argument");
    assert_eq!(upstream.calls().len(), 0);
    // These are not evaluated.
    carried_out(&send(
        r#"{"id":123456789012345678901234567890,"latitude":52.5200066,"note":null,"n":50,"amount":100}"#,
    ));
}

#[test]
fn a_policy_set_that_changes_holds_on_the_next_call_in_every_process() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo"), tool("erase")]));
    let (first, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = caller(&operator);
    let servers = house.serve_several::<3>();
    let clients: Vec<_> = servers.iter().chain([&first]).map(|server| server.with_key(operator.key())).collect();
    let echo = "permit (principal, action, resource == Tool::\"up.echo\");";
    for turn in 0..3 {
        let id = add_policy(&clients[turn], &cedar(echo));
        for client in &clients {
            carried_out(&call(client, &session, "echo", &json!({})));
            let told = blocked(&call(client, &session, "erase", &json!({})), "policy_denied");
            assert!(text(&told, "error").contains("no Cedar policy"), "{told}");
        }
        // Every set must permit: one more allows no more.
        let other = add_policy(&clients[turn + 1], &cedar(ALL));
        blocked(&call(&clients[turn], &session, "erase", &json!({})), "policy_denied");
        for id in [&id, &other] {
            clients[turn + 1].delete(&format!("/v1/proxy/policies/{id}")).ok();
        }
        for client in &clients {
            carried_out(&call(client, &session, "erase", &json!({})));
        }
    }
    // So many calls of a session, whichever process takes them, also after a restart.
    let set =
        "permit (principal, action, resource) when { context.session_tool_calls < 5 && context.minute_calls < 100 };";
    add_policy(&operator, &cedar(set));
    upstream.behave(Behaviour::Status(500));
    assert_eq!(call(&operator, &session, "echo", &json!({})).ok()["isError"], true);
    wait_for(&operator, "proxyCall.failed", 1);
    upstream.behave(Behaviour::Echo);
    let made = at_once(4, |index| {
        (0..4).filter(|_| call(&clients[index], &session, "echo", &json!({})).status == 200).count()
    });
    // The one that was answered with 500 may have been carried out, so it counts.
    assert_eq!(made.iter().sum::<usize>(), 4, "{made:?}");
    carried_out(&call(&operator, &session, "erase", &json!({})));
    let key = operator.key().to_owned();
    drop((servers, clients, operator, first));
    let server = house.serve();
    let operator = server.with_key(&key);
    blocked(&call(&operator, &session, "echo", &json!({})), "policy_denied");
    carried_out(&call(&operator, &caller(&operator), "echo", &json!({})));
    operator.verified();
}

#[test]
fn a_forbid_can_ask_a_person_instead() {
    let (house, upstream) = (House::new(), Upstream::new([tool("wipe")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = caller(&operator);
    let set = format!(
        "{ALL} @id(\"ask\") @requires_approval(\"it is gone for good\") forbid (principal, action, resource == \
         Tool::\"up.wipe\");"
    );
    add_policy(&operator, &cedar(&set));
    let held = |arguments: &Value| {
        let told: Value = serde_json::from_str(&carried_out(&call(&operator, &session, "wipe", arguments))).unwrap();
        assert_eq!(told["status"], "approval_required", "{told}");
        assert_eq!(told["reason"], "it is gone for good");
        text(&told, "request_id")
    };
    let id = held(&json!({"path": "/a"}));
    assert_eq!(saw(&operator, "proxyCall.held")["saw"]["by"], json!(["ask"]));
    operator.post(&format!("/v1/approvals/{id}/approve"), &json!({})).ok();
    assert_ne!(held(&json!({"path": "/b"})), id, "an approval was for something else");
    carried_out(&call(&operator, &session, "wipe", &json!({"path": "/a"})));
    assert_ne!(held(&json!({"path": "/a"})), id, "an approval served twice");
    assert_eq!(upstream.calls().len(), 1);
    // What another forbids stays forbidden.
    add_policy(&operator, &cedar("forbid (principal, action, resource == Tool::\"up.wipe\");"));
    blocked(&call(&operator, &session, "wipe", &json!({"path": "/c"})), "policy_denied");
}

#[test]
fn a_policy_set_is_tried_on_the_log_and_on_trial_before_it_holds() {
    let (house, upstream) = (House::new(), Upstream::new([tool("pay"), tool("read")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = caller(&operator);
    for amount in [1, 20, 30] {
        carried_out(&call(&operator, &session, "pay", &json!({"amount": amount})));
    }
    carried_out(&call(&operator, &session, "read", &json!({})));
    let tested = |text: &str| operator.post("/v1/proxy/policies/test", &cedar(text)).ok();
    let small = "permit (principal, action, resource) when { context.amount.lessThan(decimal(\"10.0\")) };";
    let result = tested(small);
    assert_eq!(
        (&result["calls"], &result["would_refuse"], &result["were_made"]),
        (&json!(4), &json!(2), &json!(2)),
        "{result}"
    );
    assert_eq!(result["refusals"][0]["tool"], "up.pay");
    for (text, refused) in [
        ("permit (principal, action, resource) when { context.session_calls < 3 };", 1),
        ("permit (principal, action, resource) when { context.minute_tool_calls < 2 };", 1),
        ("permit (principal == Agent::\"nobody\", action, resource);", 4),
        (format!("permit (principal in Session::\"{session}\", action, resource in Upstream::\"up\");").as_str(), 0),
        (
            format!("{ALL} @requires_approval(\"x\") forbid (principal, action, resource == Tool::\"up.READ\");")
                .as_str(),
            1,
        ),
    ] {
        assert_eq!(tested(text)["would_refuse"], refused, "{text}");
    }
    assert_eq!(operator.get("/v1/proxy/policies").ok()["count"], 0);
    let mut on_trial = cedar(small);
    on_trial["dry_run"] = true.into();
    add_policy(&operator, &on_trial);
    carried_out(&call(&operator, &session, "pay", &json!({"amount": 50})));
    let step = saw(&operator, "proxyCall.begin");
    assert_eq!((&step["saw"]["dry_run"], &step["ok"]), (&json!(true), &json!(true)), "{step}");
    assert!(text(&step["saw"], "would_refuse").contains("no Cedar policy"), "{step}");
}
