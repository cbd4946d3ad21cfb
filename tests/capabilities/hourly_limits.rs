//! Calls an hour, by tier: exact, in every process, and said in every answer.

use serde_json::Value;

use crate::{
    proxy::register,
    support::{
        Answer, Client, House, McpSession, Server, at_once, integer, json, text,
        upstream::{Upstream, tool},
    },
};

fn limited(house: &House) -> Server {
    let mut command = house.program();
    command.args(["serve", "--listen", "127.0.0.1:0", "--rate-limits", "free=20,pro=30,enterprise=200"]);
    Server::start(command)
}

fn reset(answer: &Answer) -> i64 {
    answer.header("x-ratelimit-reset").unwrap().parse().unwrap()
}

#[test]
fn the_free_tier_is_exact_across_two_processes_and_says_so() {
    let house = House::new();
    let servers = [limited(&house), limited(&house)];
    let operator = servers[0].first_key();
    let api = operator.get("/openapi.json").ok();
    let documented = &api["paths"]["/v1/sessions"]["get"]["responses"]["429"]["headers"];
    let documented: Vec<_> = documented.as_object().unwrap().keys().map(|name| name.to_lowercase()).collect();
    assert_eq!(documented.len(), 4, "{documented:?}");
    // An hour may end in the midst of it: then the count begins anew, and so does the test.
    loop {
        let agent = operator.mint(&json!({"tier": "free"}));
        let first = agent.get("/v1/sessions");
        assert_eq!(
            (first.header("x-ratelimit-limit"), first.header("x-ratelimit-remaining")),
            (Some("20"), Some("19"))
        );
        let answers = at_once(40, |index| servers[index % 2].with_key(agent.key()).get("/v1/sessions"));
        let served: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        if served.iter().any(|answer| reset(answer) != reset(&first)) {
            continue;
        }
        assert_eq!(served.len(), 19);
        for refused in answers.iter().filter(|answer| answer.status != 200) {
            let body = refused.refused(429, "rate_limit_exceeded");
            assert_eq!((&body["limit"], &body["tier"]), (&json!(20), &json!("free")));
            assert_eq!(refused.header("retry-after"), Some(integer(&body, "retry_after").to_string().as_str()));
            assert!((1..=3600).contains(&integer(&body, "retry_after")));
            assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
            assert_eq!(reset(refused), reset(&first));
            assert_eq!(documented.iter().filter(|name| refused.header(name).is_none()).count(), 0, "{documented:?}");
        }
        let over_mcp = agent.tool_text("getSpend", "{}");
        assert_eq!(over_mcp.status, 429, "another interface has another count: {}", over_mcp.text);
        return;
    }
}

/// The tests' server, whose upstreams may be on this machine, and an upstream of it.
fn limited_with_upstream(house: &House) -> (Server, Client, Upstream) {
    let mut command = house.program();
    command.args(["serve", "--listen", "127.0.0.1:0", "--rate-limits", "enterprise=100000"]);
    command.args(["--allow-private", "127.0.0.1"]);
    let server = Server::start(command);
    let operator = server.first_key();
    let upstream = Upstream::new([tool("echo")]);
    register(&operator, "up", &upstream);
    (server, operator, upstream)
}

#[test]
fn every_request_counts_once_whatever_follows_from_it() {
    let house = House::new();
    let (_server, operator, _upstream) = limited_with_upstream(&house);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let protocol = McpSession::begin(&operator);
    let left = || {
        let answer = operator.get("/v1/sessions");
        let remaining = answer.header("x-ratelimit-remaining").unwrap().parse::<i64>().unwrap();
        (remaining, reset(&answer))
    };
    let call = |name: &str, arguments: Value| ("tools/call", json!({"name": name, "arguments": arguments}));
    let named = json!({"session_id": session});
    let asked = [
        ("ping", json!({})),
        ("tools/list", json!({})),
        ("prompts/get", json!({"name": "security-audit", "arguments": {"session_id": session}})),
        ("resources/read", json!({"uri": format!("haldir://sessions/{session}")})),
        (
            "completion/complete",
            json!({
                "ref": {"type": "ref/prompt", "name": "budget-check"},
                "argument": {"name": "session_id", "value": "ses_"},
            }),
        ),
        call("getSession", named.clone()),
        call("getSession", json!({"session_id": 7})),
        call("up__echo", named.clone()),
        call("up.echo", named.clone()),
        call("echo", named.clone()),
        call("echo", json!({})),
        call("nothing", named.clone()),
        call("nothing", json!({})),
        call("no.thing", json!({})),
        call("no__thing", named),
    ];
    // An hour may end in the midst of it: then the count begins anew, and so does the test.
    'hour: loop {
        for (method, params) in &asked {
            let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
            for in_session in [false, true] {
                let (before, hour) = left();
                let answer = if in_session { protocol.send(&message) } else { operator.post("/mcp", &message) };
                let (after, now) = left();
                if now != hour {
                    continue 'hour;
                }
                // The request, and the look at what is left.
                assert_eq!(before - after, 2, "{method} {params}: {}", answer.text);
            }
        }
        return;
    }
}

#[test]
fn the_tier_asked_for_is_the_tier_given() {
    let house = House::new();
    let server = limited(&house);
    let operator = server.first_key();
    for (tier, limit) in [("free", "20"), ("pro", "30"), ("enterprise", "200")] {
        let made = operator.post("/v1/keys", &json!({"tier": tier})).ok();
        assert_eq!(made["tier"], tier);
        let answer = server.with_key(&text(&made, "key")).get("/v1/sessions");
        assert_eq!(answer.header("x-ratelimit-limit"), Some(limit));
    }
    let made = operator.post("/v1/keys", &json!({})).ok();
    assert_eq!(made["tier"], "free");
}

#[test]
fn rate_limits_can_be_turned_off_and_do_not_bind_stdio() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let free = operator.mint(&json!({"tier": "free"}));
    let stdio = house.stdio();
    for _ in 0..110 {
        let answer = free.get("/v1/sessions");
        answer.ok();
        assert_eq!(answer.header("x-ratelimit-limit"), None);
        stdio.ok("getSpend", &json!({}));
    }
}

#[test]
fn a_known_key_is_told_what_is_left_of_its_hour_by_every_answer() {
    let house = House::new();
    let server = limited(&house);
    let operator = server.first_key();
    let session = operator.session(&json!({}));
    let bad_body = operator.post_text("/v1/audit", "{");
    let answers = [
        operator.get("/v1/sessions/ses_unknown"),
        operator.get("/v1/audit?limit=abc"),
        operator.get("/v1/nothing"),
        operator.send("PATCH", "/v1/audit", &[], ""),
        operator.pay(&session, "1"),
        bad_body,
    ];
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [404, 400, 404, 405, 403, 400]);
    for answer in &answers {
        assert_eq!(answer.header("x-ratelimit-limit"), Some("200"), "{}", answer.text);
        assert!(answer.header("x-ratelimit-remaining").is_some(), "{}", answer.text);
        assert!(reset(answer) > 0);
    }
    assert_eq!(server.anonymous().get("/v1/sessions").header("x-ratelimit-limit"), None);
}
