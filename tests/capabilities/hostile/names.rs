//! Every step of the pipeline, and what is tried to get around it, on every way in: they share one pipeline, and this shows
//! that none of them has a door beside it.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio as Pipe},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::front::{Front, Way};
use crate::{
    proxy::{add_policy, entries, register},
    support::{
        HeldPort, Process, json,
        odd_upstream::{OddUpstream, said_events},
        program::upstream_program,
        until,
        upstream::{Behaviour, Upstream, described, tool},
    },
    transparent::register_at,
};

const NAMES: [&str; 5] = ["delete_all", "Delete_All", "DELETE-ALL", "d\u{435}lete_all", "deleteall"];

fn tools() -> Value {
    json!(NAMES.iter().copied().chain(["safe", "wipe"]).map(tool).collect::<Vec<_>>())
}

/// Both kinds of upstream with the same tools, and how many calls each has let through so far.
fn both() -> [(Front, Option<Upstream>); 2] {
    let upstream = Upstream::new(tools().as_array().unwrap().clone());
    let over_http = Front::to(&upstream);
    [(over_http, Some(upstream)), (Front::to_child(&tools()), None)]
}

fn begun(front: &Front) -> usize {
    entries(&front.operator, "proxyCall.begin").len()
}

fn request_in(told: &str) -> String {
    let from = told.find("apr_").unwrap_or_else(|| panic!("no request in {told}"));
    told[from..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_' || *c == '-').collect()
}

#[test]
fn a_blocked_tool_is_blocked_on_every_way_by_whatever_name_it_is_called() {
    for (front, upstream) in both() {
        add_policy(&front.operator, &json!({"type": "block_tool", "tool": "up.delete_all"}));
        let before = begun(&front);
        for way in front.ways() {
            for name in NAMES {
                let told = front.call(way, name, &json!({}));
                assert!(told.contains("policy_denied"), "{way:?} {name}: {told}");
            }
            // Names that are no tool's reach none.
            for name in [
                "delete_all ", " delete_all", "delete_all\u{200b}", "up.delete_all", "DELETE_ALL", "delete\u{2010}all",
                "",
            ] {
                let told = front.call(way, name, &json!({}));
                let refused = ["-32602", "unknown_tool", "policy_denied", "invalid_argument"];
                assert!(refused.iter().any(|code| told.contains(code)), "{way:?} {name:?}: {told}");
            }
        }
        assert_eq!(begun(&front), before, "a call was let through");
        assert!(upstream.is_none_or(|upstream| upstream.calls().is_empty()));
    }
}

#[test]
fn a_tool_of_another_server_with_the_same_name_is_not_reached_by_any_way() {
    let (good, evil) = (Upstream::new([tool("read")]), Upstream::new([tool("read"), tool("extra")]));
    let front = Front::to(&good);
    register(&front.operator, "evil", &evil);
    add_policy(&front.operator, &json!({"type": "allow_list", "tools": ["up.read"]}));
    let bare = json!({"session_id": front.session, "tool": "read", "arguments": {}});
    front.operator.post("/v1/proxy/call", &bare).refused(403, "unknown_tool");
    for way in front.ways() {
        assert!(front.call(way, "read", &json!({"way": format!("{way:?}")})).contains("way"), "{way:?}");
        for name in ["extra", "evil.read", "../evil.read", "evil/read", "up.evil.read"] {
            let told = front.call(way, name, &json!({}));
            assert!(
                told.contains("-32602") || told.contains("unknown_tool") || told.contains("invalid_argument"),
                "{way:?} {name}: {told}"
            );
        }
    }
    assert_eq!((good.calls().len(), evil.calls().len()), (4, 0));
}

#[test]
fn a_tool_that_is_renamed_or_swapped_in_the_middle_of_a_session_is_not_called() {
    let upstream = Upstream::new([described("safe", "reads"), described("wipe", "wipes")]);
    let front = Front::to(&upstream);
    add_policy(&front.operator, &json!({"type": "allow_list", "tools": ["up.safe"]}));
    for way in front.ways() {
        assert!(front.call(way, "safe", &json!({"first": 1})).contains("first"), "{way:?}");
    }
    let before = upstream.calls().len();
    // What wiped is called `safe` now, and what was `safe` has another name.
    upstream.offer([described("safe", "wipes"), described("safer", "reads")]);
    register(&front.operator, "up", &upstream);
    for way in front.ways() {
        let told = front.call(way, "safe", &json!({}));
        assert!(told.contains("tool_quarantined"), "{way:?}: {told}");
        for name in ["safer", "wipe"] {
            let told = front.call(way, name, &json!({}));
            let refused = ["policy_denied", "unknown_tool", "-32602"];
            assert!(refused.iter().any(|code| told.contains(code)), "{way:?} {name}: {told}");
        }
    }
    assert_eq!(upstream.calls().len(), before);
}

#[test]
fn an_approval_serves_one_call_of_one_session_with_these_arguments_on_every_way() {
    for (front, upstream) in both() {
        let rule = json!({"type": "tool_blocked", "tools": ["wipe"]});
        assert_eq!(front.operator.post("/v1/approvals/rules", &rule).status, 201);
        let other = front.operator.session(&json!({"scopes": ["execute"]}));
        for way in front.ways() {
            let before = begun(&front);
            let arguments = json!({"path": format!("/{way:?}"), "n": 1});
            let changed = [
                json!({"path": format!("/{way:?}"), "n": 2}),
                json!({"path": format!("/{way:?} "), "n": 1}),
                json!({"path": format!("/{way:?}"), "n": 1, "more": null}),
                json!({"path": format!("/{way:?}"), "n": "1"}),
                json!({"path": format!("/{way:?}"), "n": 1.0}),
            ];
            let id = request_in(&front.call(way, "wipe", &arguments));
            front.operator.post(&format!("/v1/approvals/{id}/approve"), &json!({})).ok();
            for changed in changed {
                let told = front.call(way, "wipe", &changed);
                assert!(told.contains("approval_required") && !told.contains(&id), "{way:?} {changed}: {told}");
            }
            if way != Way::Wrap {
                let told = front.call_in(way, &other, "wipe", &arguments);
                assert!(told.contains("approval_required") && !told.contains(&id), "{way:?}: {told}");
            }
            assert_eq!(begun(&front), before, "{way:?}: a call was let through");
            let made = front.call(way, "wipe", &arguments);
            assert!(!made.contains("approval_required") && made.contains("\\\"n\\\":1"), "{way:?}: {made}");
            let again = front.call(way, "wipe", &arguments);
            assert!(again.contains("approval_required") && !again.contains(&id), "{way:?}: {again}");
            assert_eq!(begun(&front), before + 1, "{way:?}");
        }
        let ways = front.ways().count();
        assert_eq!(entries(&front.operator, "approval.use").len(), ways);
        assert!(upstream.is_none_or(|upstream| upstream.calls().len() == ways));
    }
}

#[test]
fn a_rate_is_counted_over_all_ways_together_and_a_window_holds_on_each() {
    for (front, _) in both() {
        let id = add_policy(&front.operator, &json!({"type": "rate_limit", "max_per_minute": 7, "tool": "up.safe"}));
        let mut made = 0;
        for _ in 0..3 {
            for way in front.ways() {
                // A wrapped server's calls are of the same session, and so of the same agent.
                let told = front.call(way, "safe", &json!({"made": true}));
                made += usize::from(!told.contains("policy_denied"));
            }
        }
        assert_eq!(made, 7);
        front.operator.delete(&format!("/v1/proxy/policies/{id}")).ok();
        let hour = (std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 3_600) % 24;
        let closed = json!({"type": "time_window", "start_hour": (hour + 2) % 24, "end_hour": (hour + 3) % 24});
        add_policy(&front.operator, &closed);
        for way in front.ways() {
            let told = front.call(way, "safe", &json!({}));
            assert!(told.contains("policy_denied"), "{way:?}: {told}");
        }
    }
}

#[test]
fn a_secret_that_comes_back_in_pieces_is_seen_on_no_way() {
    for (front, upstream) in both() {
        let secret = json!({"name": "token", "value": "tok-12345678-end", "upstreams": ["up"], "disclosure": "inject",
            "scope_required": "execute"});
        assert_eq!(front.operator.post("/v1/secrets", &secret).status, 201);
        if let Some(upstream) = &upstream {
            let part = |text: &str| json!({"type": "text", "text": text});
            let parts = json!({"content": [part("it is tok-123"), part("45678-e"), part("nd and more")]});
            upstream.behave(Behaviour::Result(parts));
        }
        for way in front.ways() {
            let tool = if upstream.is_some() { "safe" } else { "split" };
            let told = front.call(way, tool, &json!({"text": "it is {{secret:token}} and more", "every": 7}));
            assert!(told.contains("redacted"), "{way:?}: {told}");
            for piece in ["tok-", "123", "45678", "8-e"] {
                assert!(!told.contains(piece), "{way:?} {piece}: {told}");
            }
        }
    }
}

#[test]
fn a_secret_that_comes_back_over_the_members_of_an_answer_and_over_messages_is_seen_on_no_way() {
    let upstream = OddUpstream::new();
    let front = Front::to_url(|operator| register_at(operator, "up", &upstream.url()));
    let secret = json!({"name": "token", "value": "tok-12345678-end", "upstreams": ["up"], "disclosure": "inject",
        "scope_required": "execute"});
    assert_eq!(front.operator.post("/v1/secrets", &secret).status, 201);
    let content = |text: &str| json!([{"type": "text", "text": text}]);
    let (first, second) = ("it is tok-1234", "5678-end and more");
    for (what, note, outcome) in [
        ("content", None, json!({"result": {"content": content(first), "structuredContent": {"x": {"y": second}}}})),
        ("structured", None, json!({"result": {"content": content(second), "structuredContent": {"x": [first]}}})),
        ("members", None, json!({"result": {"content": [], "structuredContent": {"x": first, "y": second}}})),
        ("error", None, json!({"error": {"code": -32_000, "message": first, "data": {"detail": second}}})),
        ("log", Some(first), json!({"result": {"content": content(second)}})),
        ("log of an error", Some(first), json!({"error": {"code": -32_000, "message": second}})),
    ] {
        let is_error = outcome.get("error").is_some();
        upstream.say(move |_, message| {
            (message["method"] == "tools/call").then(|| answer_of(&outcome, note, &message["id"]))
        });
        for way in front.ways() {
            let told = front.call(way, "echo", &json!({"text": "{{secret:token}}"}));
            // Where the client hears no log messages, it has one half alone.
            let has_both = note.is_none() || way == Way::Own;
            assert!(!has_both || !told.contains("5678-end"), "{what}, {way:?}: {told}");
            // Nor has it the data of an error by REST.
            assert!(!has_both || is_error || told.contains("redacted"), "{what}, {way:?}: {told}");
        }
    }
}

/// An answer to the request of this id, and a log message before it.
fn answer_of(outcome: &Value, note: Option<&str>, id: &Value) -> Vec<u8> {
    let mut answer = outcome.clone();
    (answer["jsonrpc"], answer["id"]) = ("2.0".into(), id.clone());
    let note = note.map(|text| {
        let note = json!({"jsonrpc": "2.0", "method": "notifications/message",
            "params": {"level": "error", "data": text}});
        format!("data: {note}\n\n")
    });
    said_events(&format!("{}data: {answer}\n\n", note.unwrap_or_default()))
}

#[test]
fn a_redirect_to_another_address_is_followed_on_no_way() {
    let (upstream, elsewhere) = (Upstream::new([tool("safe")]), Upstream::new([tool("safe")]));
    let front = Front::to(&upstream);
    for way in front.ways() {
        for target in [
            "http://169.254.169.254/latest",
            "http://[::1]:9/",
            "http://localhost:9/",
            "file:///etc/passwd",
            &elsewhere.url(),
        ] {
            upstream.behave(Behaviour::Redirect(target.to_owned()));
            let told = front.call(way, "safe", &json!({}));
            assert!(told.contains("redirects to another address"), "{way:?} {target}: {told}");
            upstream.behave(Behaviour::Echo);
            assert!(front.call(way, "safe", &json!({"well": 1})).contains("well"), "{way:?} {target}");
        }
    }
    assert!(elsewhere.asked().is_empty());
}

/// The program of the tests over HTTP, on this port.
fn program(port: &HeldPort) -> Process {
    let mut command = Command::new(upstream_program());
    command.args(["--port", &port.address().port().to_string()]).stdout(Pipe::piped()).stderr(Pipe::piped());
    let mut process = Process::spawn(command);
    let mut line = String::new();
    BufReader::new(process.child().stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), format!("upstream listening on http://{}", port.address()), "{}", process.errors());
    process
}

#[test]
fn a_server_that_is_started_again_on_its_port_is_called_as_before() {
    let port = HeldPort::new();
    let mut process = program(&port);
    let mut front = Front::to_url(|operator| register_at(operator, "up", &format!("http://{}/", port.address())));
    for way in front.ways() {
        front.begin_again();
        assert!(front.call(way, "echo", &json!({"round": 1})).contains("round"), "{way:?}");
        process.kill();
        process = program(&port);
        let mut told = front.call(way, "echo", &json!({"round": 2}));
        if way == Way::Own {
            // The client's own session has ended with the server: that is the client's to hear, and to begin anew.
            assert!(!told.contains("round"), "{told}");
            front.begin_again();
            told = front.call(way, "echo", &json!({"round": 2}));
        }
        assert!(told.contains("round"), "{way:?}: the next call fails: {told}");
    }
    // While it is away, calls fail at once, and it is not registered again for that.
    process.kill();
    let before = entries(&front.operator, "upstream.register").len();
    for way in front.ways() {
        let begun = Instant::now();
        let told = front.call(way, "echo", &json!({}));
        assert!(told.contains("rror") && begun.elapsed() < Duration::from_secs(60), "{way:?}: {told}");
    }
    let _process = program(&port);
    front.begin_again();
    for way in front.ways() {
        until(&format!("{way:?}: it comes back"), || front.call(way, "echo", &json!({"back": true})).contains("back"));
    }
    assert_eq!(entries(&front.operator, "upstream.register").len(), before);
}
