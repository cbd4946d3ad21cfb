//! What comes back from an upstream: nothing that was not understood and written anew, and no secret that it can have.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value;

use crate::{
    proxy::{register, wait_for},
    support::{
        Answer, Client, House, McpSession, Server, eventually, json,
        odd_upstream::{OddUpstream, said, said_json},
        program::upstream_program,
        text,
        upstream::{Behaviour, Upstream, described, tool},
    },
};

const BOTH: (&str, &str) = ("Accept", "application/json, text/event-stream");
const REVISION: (&str, &str) = ("MCP-Protocol-Version", "2025-06-18");
const SECRET: &str = "tok-12345678";

fn store_secret(operator: &Client, name: &str, value: &str) {
    let secret = json!({"name": name, "value": value, "upstreams": ["up"], "disclosure": "inject"});
    assert_eq!(operator.post("/v1/secrets", &secret).status, 201);
}

/// The odd upstream as `up`, to which a secret goes in a header, and a session.
fn odd(house: &House) -> (Server, Client, OddUpstream, String) {
    let upstream = OddUpstream::new();
    let (server, operator) = house.serve_operator();
    store_secret(&operator, "token", SECRET);
    let headers = json!({"Authorization": "Bearer {{secret:token}}"});
    let made = operator.post("/v1/proxy/upstreams", &json!({"name": "up", "url": upstream.url(), "headers": headers}));
    assert_eq!(made.json()["healthy"], true, "{}", made.text);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    (server, operator, upstream, session)
}

fn ask(client: &Client, session: &str, method: &str, params: &Value) -> Answer {
    let message = json!({"jsonrpc": "2.0", "id": 5, "method": method, "params": params});
    client.send("POST", "/mcp/up", &[BOTH, REVISION, ("X-Session-ID", session)], &message.to_string())
}

fn call(client: &Client, session: &str) -> Answer {
    ask(client, session, "tools/call", &json!({"name": "echo", "arguments": {}}))
}

/// Nothing in the whole answer is the secret, not with every other byte left out either.
#[track_caller]
fn without_secret(answer: &Answer) {
    let whole = format!("{:?} {}", answer.headers, answer.text).replace('\0', "");
    assert!(!whole.contains("tok-1234"), "{whole}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer:?}");
    assert_eq!(answer.header("content-security-policy"), Some("sandbox"), "{answer:?}");
    let kind = answer.header("content-type").unwrap_or("application/json");
    assert!(["application/json", "text/event-stream"].contains(&kind), "{answer:?}");
}

#[test]
fn what_is_no_message_reaches_no_client_and_no_secret_does() {
    let house = House::new();
    let (_server, operator, upstream, session) = odd(&house);
    let result =
        format!(r#"{{"jsonrpc":"2.0","id":5,"result":{{"content":[{{"type":"text","text":"it is {SECRET}"}}]}}}}"#);
    let note = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","data":"{SECRET}"}}}}"#
    );
    let kind = |kind| [("Content-Type", kind)];
    let events = format!(
        ": {SECRET}\n\nevent: {SECRET}\ndata: {{}}\n\nid: {SECRET}\ndata: {note}\n\ndata: no JSON {SECRET}\n\nid: 7\ndata: \n\n\
         data: {{\"jsonrpc\":\"2.0\",\"id\":\"{SECRET}\",\"method\":\"roots/list\"}}\n\n\
         data: {{\"jsonrpc\":\"2.0\",\"id\":\"q\",\"method\":\"{SECRET}\"}}\n\nevent: message\n{SECRET}: x\ndata: {result}\n\n"
    );
    let sixteen: Vec<u8> = result.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let html = kind("text/html");
    let headers = [
        ("Content-Type", "application/json"),
        ("Retry-After", SECRET),
        ("Allow", SECRET),
        ("MCP-Protocol-Version", SECRET),
    ];
    for (answer, status, is_answered) in [
        (said(500, &html, format!("<b>{SECRET}</b>").as_bytes()), 500, false),
        (said(502, &kind("text/plain"), SECRET.as_bytes()), 502, false),
        (said(400, &kind("application/json"), format!(r#"{{"error":"{SECRET}"}}"#).as_bytes()), 400, false),
        (said(200, &html, format!("<b>{SECRET}</b>").as_bytes()), 502, false),
        (said_json(&format!("[{note},{result}]")), 200, true),
        (said_json(&format!(r#"{{"jsonrpc":"2.0","id":"{SECRET}","id":5,"result":{{}}}}"#)), 502, false),
        (said_json(&result.replacen('{', &format!("{{\"{SECRET}\":\"{SECRET}\","), 1)), 200, true),
        (said_json("[]"), 502, false),
        (said_json("{}"), 502, false),
        (said(200, &kind("text/event-stream"), events.as_bytes()), 200, true),
        (said(200, &kind("application/json; charset=utf-16"), &sixteen), 502, false),
        (said(200, &headers, result.as_bytes()), 200, true),
        (said(200, &[("Content-Type", "application/json"), ("Mcp-Session-Id", SECRET)], result.as_bytes()), 502, false),
        (
            said(
                404,
                &kind("application/json"),
                br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"no session"}}"#,
            ),
            404,
            true,
        ),
        (said(302, &[("Location", SECRET)], b""), 502, false),
    ] {
        let shown = String::from_utf8_lossy(&answer).into_owned();
        upstream.say(move |_, message| (message["method"] == "tools/call").then(|| answer.clone()));
        let got = call(&operator, &session);
        without_secret(&got);
        assert_eq!(got.status, status, "{shown} became {}", got.text);
        let data = got.text.lines().filter_map(|line| line.strip_prefix("data: ")).chain([got.text.as_str()]);
        let read: Vec<Value> = data.filter_map(|data| serde_json::from_str(data).ok()).collect();
        let mut all = read.iter().flat_map(|value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]));
        let answered = all.any(|message| message["id"] == 5 && (is_answered || message["error"].is_object()));
        assert!(answered, "{shown} became {}", got.text);
    }
    // Of the answer to what is no request only the status counts.
    upstream.say(|_, message| {
        message["id"].is_null().then(|| said(202, &[("Content-Type", "text/plain")], SECRET.as_bytes()))
    });
    let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    let got = operator.send("POST", "/mcp/up", &[BOTH, REVISION], &note);
    assert_eq!((got.status, got.text.as_str()), (202, ""), "{got:?}");
    // What may be passed on is.
    let headers = [("Content-Type", "application/json"), ("Retry-After", "7"), ("Allow", "GET, BREW, POST")];
    let answer = said(503, &headers, b"busy");
    upstream.say(move |_, message| (message["method"] == "tools/call").then(|| answer.clone()));
    let got = call(&operator, &session);
    assert_eq!((got.header("retry-after"), got.header("allow")), (Some("7"), Some("GET, POST")), "{got:?}");
    assert!(text(&got.json()["error"], "message").contains("503") && got.text.contains("busy"), "{}", got.text);
    operator.verified();
}

#[test]
fn a_page_of_an_upstream_is_none_of_haldirs_origin() {
    let house = House::new();
    let (_server, operator, upstream, _) = odd(&house);
    upstream.say(|verb, _| (verb == "GET").then(|| said(200, &[("Content-Type", "text/html")], b"<b>run</b>")));
    let got = operator.send("GET", "/mcp/up", &[BOTH], "");
    without_secret(&got);
    assert_eq!(got.status, 502);
    for site in ["cross-site", "same-site"] {
        let got = operator.send("GET", "/mcp/up", &[BOTH, ("Sec-Fetch-Site", site)], "");
        assert_eq!(got.status, 403, "{site}: {}", got.text);
    }
    for site in ["none", "same-origin"] {
        assert_eq!(operator.send("GET", "/mcp/up", &[BOTH, ("Sec-Fetch-Site", site)], "").status, 502, "{site}");
    }
}

#[test]
fn a_secret_that_one_call_has_left_at_an_upstream_comes_back_by_none() {
    let (house, upstream) =
        (House::new(), Upstream::new([tool("echo"), described("tell", "your token is tok-12345678")]));
    let (_server, operator) = house.serve_operator();
    store_secret(&operator, "token", SECRET);
    register(&operator, "up", &upstream);
    let session = operator.session(&json!({"scopes": ["execute", "read"]}));
    let mcp = McpSession::begin(&operator);
    let recalled = json!({"content": [{"type": "text", "text": format!("it is {SECRET}, dG9rLTEyMzQ1Njc4")}]});
    upstream.behave(Behaviour::Result(recalled));
    // Nothing of these names it.
    let by_rest =
        || operator.post("/v1/proxy/call", &json!({"session_id": session, "tool": "up.echo", "arguments": {}})).text;
    let by_tool = || {
        let with = [BOTH, REVISION, ("X-Session-ID", session.as_str())];
        let message =
            json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "up.echo", "arguments": {}}});
        operator.send("POST", "/mcp", &with, &message.to_string()).text
    };
    for (way, got) in [("REST", by_rest()), ("up.echo", by_tool()), ("/mcp/up", call(&operator, &session).text)] {
        assert!(got.contains("[redacted: token]"), "{way}: {got}");
        assert!(!got.contains("tok-1234") && !got.contains("dG9rLTEy"), "{way}: {got}");
    }
    // Nor what it offers.
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    for listed in [
        mcp.send(&list).text,
        ask(&operator, &session, "tools/list", &json!({})).text,
        operator.get("/v1/proxy/tools").text,
    ] {
        assert!(listed.contains("your token is [redacted: token]") && !listed.contains("tok-1234"), "{listed}");
    }
    // A value that it was sent before another took its place.
    let sent = json!({"name": "echo", "arguments": {"t": "{{secret:token}}"}});
    assert_eq!(ask(&operator, &session, "tools/call", &sent).status, 200);
    assert_eq!(
        operator.post("/v1/secrets", &json!({"name": "token", "value": "another-9876", "upstreams": ["up"]})).status,
        201
    );
    upstream
        .behave(Behaviour::Result(json!({"content": [{"type": "text", "text": format!("{SECRET} another-9876")}]})));
    let got = call(&operator, &session).text;
    assert!(!got.contains("tok-1234") && !got.contains("another-"), "{got}");
}

#[test]
fn a_secret_that_is_sent_to_upstreams_is_no_pin() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    for more in [json!({"upstreams": ["up"]}), json!({"disclosure": "inject"})] {
        let mut secret = json!({"name": "pin", "value": "  1234567  "});
        secret.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        operator.post("/v1/secrets", &secret).refused_field(400, "invalid_argument", "value");
    }
    assert_eq!(operator.post("/v1/secrets", &json!({"name": "pin", "value": "1234"})).status, 201);
}

#[test]
fn what_stands_in_the_place_of_a_secret_makes_no_answer_much_longer() {
    const TIMES: usize = 20_000;
    let (house, upstream) = (House::new(), OddUpstream::new());
    let (_server, operator) = house.serve_operator();
    let name = "n".repeat(64);
    store_secret(&operator, &name, SECRET);
    let headers = json!({"Authorization": format!("Bearer {{{{secret:{name}}}}}")});
    let made = operator.post("/v1/proxy/upstreams", &json!({"name": "up", "url": upstream.url(), "headers": headers}));
    assert_eq!(made.json()["healthy"], true, "{}", made.text);
    let long = format!("{SECRET} ").repeat(TIMES);
    let result = json!({"content": [{"type": "text", "text": long}]});
    upstream.say(move |_, message| {
        let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
        (message["method"] == "tools/call").then(|| said_json(&answer.to_string()))
    });
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let by_rest = operator.post("/v1/proxy/call", &json!({"session_id": session, "tool": "up.echo", "arguments": {}}));
    for (way, got) in [("REST", by_rest.text), ("/mcp/up", call(&operator, &session).text)] {
        assert!(got.contains(&format!("[redacted: {name}]")) && !got.contains("tok-1234"), "{way}: {}", &got[..200]);
        let most = (SECRET.len() + 1) * TIMES + 65_536 + 4_096;
        assert!(got.len() <= most, "{way}: {} bytes, more than {most}", got.len());
    }
}

#[test]
fn a_tool_that_has_changed_is_shown_in_no_disguise() {
    let house = House::new();
    let (_server, operator, upstream, session) = odd(&house);
    assert!(ask(&operator, &session, "tools/list", &json!({})).text.contains("does echo"));
    let evil = |more: &str| {
        format!(
            r#"{{"name":"echo","description":"does echo","inputSchema":{{"type":"object"}},"annotations":{{"readOnlyHint":true}},{more}}}"#
        )
    };
    let page = |tools: &str| format!(r#"{{"jsonrpc":"2.0","id":5,"result":{{{tools}}}}}"#);
    let tools = |more: &str| page(&format!(r#""tools":[{}]"#, evil(more)));
    for listed in [
        tools(r#""description":"EVIL""#),
        tools(r#""Description":"EVIL""#),
        tools(r#""_meta":{"x":"EVIL"}"#),
        tools(r#""icons":[{"src":"https://EVIL.example"}]"#),
        tools(r#""later":"EVIL""#),
        format!("[{}]", tools(r#""title":"EVIL""#)),
        page(&format!(r#""tools":[],"tools":[{}]"#, evil(r#""title":"EVIL""#))),
        page(&format!(r#""tools":[],"Tools":[{}]"#, evil(r#""title":"EVIL""#))),
        page(r#""tools":[]"#)
            .replace("\"result\"", &format!(r#""result":{{"tools":[{}]}},"result""#, evil(r#""title":"EVIL""#))),
    ] {
        let (answer, shown) = (said_json(&listed), listed.clone());
        upstream.say(move |_, message| (message["method"] == "tools/list").then(|| answer.clone()));
        let got = ask(&operator, &session, "tools/list", &json!({}));
        assert!(!got.text.contains("EVIL"), "{shown} became {}", got.text);
        // By an event stream too, also where it is the answer to nothing that was asked there.
        let event = format!("data: {}\n\n", listed.replace('\n', " "));
        let stream = said(200, &[("Content-Type", "text/event-stream")], event.as_bytes());
        upstream.say(move |_, message| (message["method"] == "ping").then(|| stream.clone()));
        let got = ask(&operator, &session, "ping", &json!({}));
        assert!(!got.text.contains("EVIL"), "{shown} became {}", got.text);
    }
    upstream.say(|_, _| None);
    assert!(ask(&operator, &session, "tools/list", &json!({})).text.contains("does echo"));
}

/// Calls of a client of 2026-07-28 in front of a server that shakes hands: their messages are parsed on the way.
#[test]
fn a_call_that_may_have_been_carried_out_is_unknown_and_keeps_what_it_took() {
    let house = House::new();
    let (_server, operator, upstream, _) = odd(&house);
    let marks = json!({"tool": "echo", "cost": 1}).to_string();
    operator.send("PUT", "/v1/proxy/upstreams/up/marks", &[("Content-Type", "application/json")], &marks).ok();
    let budget = json!({"scopes": ["execute", "spend"], "spend_limit": 5});
    let session = operator.session(&budget);
    let broken = b"HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n: x\n\r\n0\r\n\r\n".to_vec();
    let kind = [("Content-Type", "application/json")];
    for (nth, (answer, is_modern)) in [
        (broken, true),
        (Vec::new(), true),
        (said(200, &kind, &vec![b' '; 20 * 1024 * 1024]), true),
        (said(500, &[("Content-Type", "text/html")], b"<b>x</b>"), true),
        (said(500, &kind, br#"{"error":"x"}"#), false),
        (said(200, &kind, b"[]"), false),
    ]
    .into_iter()
    .enumerate()
    {
        upstream.say(move |_, message| (message["method"] == "tools/call").then(|| answer.clone()));
        let session = if nth < 5 { session.clone() } else { operator.session(&budget) };
        if is_modern {
            let told =
                crate::bridged::modern(&operator, &session, 5, "tools/call", &json!({"name": "echo", "arguments": {}}));
            assert!(told.last().unwrap()["error"].is_object(), "{nth}: {told:?}");
        } else {
            assert!(call(&operator, &session).json()["error"].is_object());
        }
        let unknown = wait_for(&operator, "proxyCall.unknown", nth + 1);
        assert_eq!(unknown.len(), nth + 1, "{unknown:?}");
    }
    assert!(crate::proxy::entries(&operator, "proxyCall.failed").is_empty());
    // All of it is spent.
    upstream.say(|_, _| None);
    let refused = call(&operator, &session).text;
    assert!(refused.contains("budget_exceeded"), "{refused}");
    operator.verified();
}

#[test]
fn what_a_child_says_in_passing_is_kept_without_secrets_in_a_folder_of_its_owner() {
    let house = House::new();
    let logs = house.logs();
    fs::create_dir_all(&logs).unwrap();
    fs::set_permissions(&logs, fs::Permissions::from_mode(0o755)).unwrap();
    let program = json!(upstream_program()).to_string();
    let script = json!(r#"printf 'I have %s\nand again %s' "$TOKEN" "$TOKEN" >&2; exec "$0" --stdio"#);
    let config = house.folder().join("haldir.toml");
    fs::write(
        &config,
        format!("[upstreams.up]\ncommand = \"sh\"\nargs = [\"-c\", {script}, {program}]\nenv = {{TOKEN = \"{{{{secret:token}}}}\"}}\n"),
    )
    .unwrap();
    let mut command = house.serving();
    command.env("HALDIR_CONFIG", &config);
    let server = Server::start(command);
    let operator = server.first_key();
    store_secret(&operator, "token", SECRET);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let echo = json!({"session_id": session, "tool": "up.echo", "arguments": {}});
    eventually("the child answers", || {
        (operator.post("/v1/proxy/call", &echo).json()["isError"] == false).then_some(())
    });
    let kept = eventually("it has written", || {
        let kept = fs::read_to_string(logs.join("up.log")).unwrap_or_default();
        kept.contains("I have").then_some(kept)
    });
    assert!(kept.contains("I have [redacted: token]") && !kept.contains("tok-1234"), "{kept}");
    assert_eq!(fs::metadata(&logs).unwrap().permissions().mode() & 0o777, 0o700);
}
