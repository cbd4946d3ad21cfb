//! What is decided about calls is decided once, whichever of four processes is asked, and it is still decided after all of
//! them have ended.

use std::{thread, time::Duration};

use serde_json::Value;

use super::{add_policy, blocked, call, caller, carried_out, entries, register, wait_for};
use crate::support::{
    Answer, Client, House, Server, at_once, json, text, until,
    upstream::{Behaviour, Upstream, described, tool},
};

/// Four servers on one store, and an operator's client of each.
struct Four {
    house: House,
    servers: Vec<Server>,
    operators: Vec<Client>,
}

impl Four {
    fn new() -> Self {
        let house = House::new();
        let (first, operator) = house.serve_operator();
        let servers: Vec<_> = std::iter::once(first).chain(house.serve_several::<3>()).collect();
        let operators = servers.iter().map(|server| server.with_key(operator.key())).collect();
        Self { house, servers, operators }
    }

    /// All of them end as in a power cut, and four others begin.
    fn again(&mut self) {
        let key = self.operators[0].key().to_owned();
        self.servers.iter_mut().for_each(|server| server.process.kill());
        self.servers = self.house.serve_several::<4>().into();
        self.operators = self.servers.iter().map(|server| server.with_key(&key)).collect();
    }

    fn first(&self) -> &Client {
        &self.operators[0]
    }

    /// How many of these calls, made at once in all processes, were carried out; the others were refused for this.
    fn made(&self, each: usize, refused: &str, attempt: impl Fn(&Client) -> Answer + Sync) -> usize {
        let all = at_once(4, |index| {
            let mut made = 0;
            for _ in 0..each {
                let answer = attempt(&self.operators[index]);
                if answer.status == 200 && !answer.text.contains("approval_required") {
                    made += 1;
                } else {
                    assert!(answer.text.contains(refused), "{}", answer.text);
                }
            }
            made
        });
        all.iter().sum()
    }
}

fn mark(operator: &Client, tool: &str, marks: &Value) {
    let mut body = json!({"tool": tool});
    body.as_object_mut().unwrap().extend(marks.as_object().unwrap().clone());
    operator.send("PUT", "/v1/proxy/upstreams/up/marks", &[], &body.to_string()).ok();
}

#[test]
fn a_tool_that_changed_is_called_by_no_process_until_one_has_accepted_it() {
    let (mut four, upstream) = (Four::new(), Upstream::new([tool("echo")]));
    register(four.first(), "up", &upstream);
    let session = caller(four.first());
    for client in &four.operators {
        carried_out(&call(client, &session, "echo", &json!({})));
    }
    // One of them sees it; the others have looked at the tools a moment ago.
    upstream.offer([described("echo", "does something else")]);
    register(&four.operators[1], "up", &upstream);
    for round in 0..2 {
        for client in &four.operators {
            blocked(&call(client, &session, "echo", &json!({})), "tool_quarantined");
        }
        if round == 0 {
            four.again();
        }
    }
    four.operators[2].post("/v1/proxy/upstreams/up/accept", &json!({"tool": "echo"})).ok();
    for client in &four.operators {
        carried_out(&call(client, &session, "echo", &json!({})));
    }
    four.again();
    carried_out(&call(four.first(), &session, "echo", &json!({})));
    assert_eq!(upstream.calls().len(), 9);
    four.first().verified();
}

#[test]
fn every_type_of_policy_holds_at_once_in_every_process_and_after_all_have_ended() {
    let (mut four, upstream) = (Four::new(), Upstream::new([tool("echo"), tool("erase")]));
    register(four.first(), "up", &upstream);
    let session = caller(four.first());
    let hour = (std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 3_600) % 24;
    let mut policies = vec![
        json!({"type": "block_tool", "tool": "up.erase"}),
        json!({"type": "allow_list", "tools": ["up.echo"]}),
        json!({"type": "deny_list", "tools": ["erase"]}),
        json!({"type": "spend_limit", "max": 10}),
        json!({"type": "time_window", "start_hour": (hour + 2) % 24, "end_hour": (hour + 3) % 24}),
    ];
    if cfg!(feature = "cedar") {
        policies.push(json!({"type": "cedar", "cedar": "forbid (principal, action, resource == Tool::\"up.erase\");"}));
    }
    for (turn, policy) in policies.iter().enumerate() {
        let id = add_policy(&four.operators[turn % 4], policy);
        for client in &four.operators {
            blocked(&call(client, &session, "erase", &json!({"amount": 11})), "policy_denied");
        }
        if turn % 2 == 0 {
            four.again();
            for client in &four.operators {
                blocked(&call(client, &session, "erase", &json!({"amount": 11})), "policy_denied");
            }
        }
        four.operators[(turn + 1) % 4].delete(&format!("/v1/proxy/policies/{id}")).ok();
        for client in &four.operators {
            carried_out(&call(client, &session, "erase", &json!({"amount": 11})));
        }
    }
    assert_eq!(upstream.calls().len(), 4 * policies.len());
    // What makes no sense wedges none of them.
    for bad in [
        r#"{"type":"spend_limit","max":NaN}"#,
        r#"{"type":"spend_limit","max":1e999}"#,
        r#"{"type":"spend_limit","max":"nan"}"#,
    ] {
        for client in &four.operators {
            assert_eq!(client.post_text("/v1/proxy/policies", bad).status, 400, "{bad}");
            carried_out(&call(client, &session, "echo", &json!({})));
        }
    }
}

#[test]
fn a_rate_goes_on_where_it_was_when_all_processes_have_ended() {
    let (mut four, upstream) = (Four::new(), Upstream::new([tool("echo")]));
    register(four.first(), "up", &upstream);
    let session = caller(four.first());
    add_policy(four.first(), &json!({"type": "rate_limit", "max_per_minute": 6}));
    for client in &four.operators {
        carried_out(&call(client, &session, "echo", &json!({})));
    }
    four.again();
    let made = four.made(3, "policy_denied", |client| call(client, &session, "echo", &json!({})));
    assert_eq!(made, 2);
    four.again();
    assert_eq!(four.made(1, "policy_denied", |client| call(client, &session, "echo", &json!({}))), 0);
    assert_eq!(upstream.calls().len(), 6);
}

#[test]
fn an_approval_from_before_all_processes_ended_is_used_once_after_it() {
    let (mut four, upstream) = (Four::new(), Upstream::new([tool("wipe")]));
    register(four.first(), "up", &upstream);
    let session = caller(four.first());
    four.first().post("/v1/approvals/rules", &json!({"type": "tool_blocked", "tools": ["wipe"]})).ok();
    let make = |client: &Client| call(client, &session, "wipe", &json!({"n": 1}));
    let told: Value = serde_json::from_str(&carried_out(&make(four.first()))).unwrap();
    let id = text(&told, "request_id");
    four.again();
    // What was asked before is decided now.
    four.operators[3].post(&format!("/v1/approvals/{id}/approve"), &json!({})).ok();
    four.again();
    assert_eq!(four.made(2, "approval_required", make), 1);
    four.again();
    assert_eq!(four.made(1, "approval_required", make), 0);
    assert_eq!((upstream.calls().len(), entries(four.first(), "approval.use").len()), (1, 1));
}

#[test]
fn calls_under_way_in_all_processes_never_cost_more_than_there_is_and_a_crash_gives_nothing_back_unseen() {
    let (mut four, upstream) = (Four::new(), Upstream::new([tool("buy")]));
    register(four.first(), "up", &upstream);
    mark(four.first(), "buy", &json!({"cost": 0.1}));
    let session = four.first().session(&json!({"scopes": ["execute", "spend"], "spend_limit": 0.5}));
    let spent = |client: &Client| client.get(&format!("/v1/sessions/{session}")).ok()["spent"].clone();
    upstream.behave(Behaviour::Slow(Duration::from_millis(300)));
    let made = four.made(2, "budget_exceeded", |client| call(client, &session, "buy", &json!({})));
    assert_eq!((made, spent(four.first())), (5, json!(0.5)));
    assert_eq!(upstream.calls().len(), 5);
    // Three that are under way when everything ends.
    let other = four.first().session(&json!({"scopes": ["execute", "spend"], "spend_limit": 0.5}));
    upstream.behave(Behaviour::Held);
    let callers: Vec<_> = four.operators[..3]
        .iter()
        .map(|client| {
            let (client, body) =
                (client.again(), json!({"session_id": other, "tool": "up.buy", "arguments": {}}).to_string());
            thread::spawn(move || client.try_send("POST", "/v1/proxy/call", &[], &body).is_err())
        })
        .collect();
    until("the calls arrive", || upstream.calls().len() >= 8);
    four.again();
    assert!(callers.into_iter().all(|caller| caller.join().unwrap()));
    // It is unknown whether they were carried out, so their possible cost is spent; no more is left.
    upstream.behave(Behaviour::Echo);
    let spent = |client: &Client| client.get(&format!("/v1/sessions/{other}")).ok()["spent"].clone();
    assert_eq!(spent(four.first()), json!(0.3));
    assert_eq!(four.made(2, "budget_exceeded", |client| call(client, &other, "buy", &json!({}))), 2);
    let unknown = wait_for(four.first(), "proxyCall.unknown", 3);
    assert_eq!((unknown.len(), spent(four.first())), (3, json!(0.5)), "{unknown:?}");
    four.first().verified();
}

#[test]
fn what_a_session_has_read_is_known_to_every_process_from_the_next_call_on() {
    let (mut four, upstream) = (Four::new(), Upstream::new([tool("fetch"), tool("send")]));
    register(four.first(), "up", &upstream);
    mark(&four.operators[1], "fetch", &json!({"source": true}));
    mark(&four.operators[2], "send", &json!({"sink": true}));
    let (session, other) = (caller(four.first()), caller(four.first()));
    let send = |client: &Client| call(client, &session, "up.send", &json!({}));
    assert_eq!(four.made(1, "", send), 4);
    carried_out(&call(&four.operators[3], &session, "up.fetch", &json!({})));
    assert_eq!(four.made(1, "approval_required", send), 0);
    four.again();
    assert_eq!(four.made(1, "approval_required", send), 0);
    assert_eq!(four.made(1, "", |client| call(client, &other, "up.send", &json!({}))), 4);
    assert_eq!(upstream.calls().len(), 9);
}

#[test]
fn a_server_is_known_to_every_process_once_it_is_registered_and_to_none_once_it_is_removed() {
    let (mut four, upstream) = (Four::new(), Upstream::new([tool("echo")]));
    let session = caller(four.first());
    register(&four.operators[1], "up", &upstream);
    for client in &four.operators {
        carried_out(&call(client, &session, "up.echo", &json!({})));
    }
    four.again();
    for client in &four.operators {
        carried_out(&call(client, &session, "up.echo", &json!({})));
    }
    four.operators[2].delete("/v1/proxy/upstreams/up").ok();
    for client in &four.operators {
        blocked(&call(client, &session, "up.echo", &json!({})), "unknown_tool");
    }
    four.again();
    blocked(&call(four.first(), &session, "echo", &json!({})), "unknown_tool");
    assert_eq!(upstream.calls().len(), 8);
}
