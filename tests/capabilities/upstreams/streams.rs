//! Event streams that end before the answer, what has left and is paid for, and servers that cannot be reached so.

use std::{
    io::Write,
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::channel,
    },
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{BOTH, call, told};
use crate::{
    bridged::modern,
    support::{
        Client, HeldPort, House, McpSession, json, lock,
        odd_upstream::{OddUpstream, said, said_events, said_json},
        until,
        upstream::{Upstream, tool},
    },
};

fn register(operator: &Client, upstream: &OddUpstream, limits: &Value) {
    let input = json!({"name": "up", "url": upstream.url(), "limits": limits});
    let made = operator.post("/v1/proxy/upstreams", &input);
    assert_eq!((made.status, &made.json()["healthy"]), (201, &json!(true)), "{}", made.text);
}

fn result(id: &Value, text: &str) -> String {
    json!({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": text}]}}).to_string()
}

/// The answer to a handshake, of a revision that has one.
fn welcome(message: &Value) -> String {
    let result = json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
        "serverInfo": {"name": "odd", "version": "1"}});
    json!({"jsonrpc": "2.0", "id": message["id"], "result": result}).to_string()
}

/// `up.echo` costs 1 a call.
fn costs(operator: &Client) {
    operator.send("PUT", "/v1/proxy/upstreams/up/marks", &[], &json!({"tool": "echo", "cost": 1}).to_string()).ok();
}

fn spender(client: &Client) -> String {
    client.session(&json!({"scopes": ["execute", "spend"], "spend_limit": 5}))
}

fn spent(client: &Client, session: &str) -> Value {
    client.get(&format!("/v1/sessions/{session}")).ok()["spent"].clone()
}

/// A call at `/mcp/up` by a client without a protocol session.
fn pass(client: &Client, session: &str) -> Value {
    let message =
        json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "echo", "arguments": {}}});
    client.send("POST", "/mcp/up", &[BOTH, ("X-Session-ID", session)], &message.to_string()).json()
}

#[test]
fn an_answer_that_comes_on_a_stream_that_goes_on_with_the_calls_own_is_its_answer() {
    let (house, upstream) = (House::new(), OddUpstream::new());
    let (_server, operator) = house.serve_operator();
    upstream.say(|_, message| (message["method"] == "initialize").then(|| said_json(&welcome(message))));
    register(&operator, &upstream, &json!({}));
    let calls = Arc::new(AtomicUsize::new(0));
    let (counted, asked, is_busy) = (Arc::clone(&calls), Mutex::new(Value::Null), AtomicBool::new(false));
    upstream.say(move |_, message| {
        let mut asked = asked.lock().unwrap();
        if message["method"] == "tools/call" {
            counted.fetch_add(1, Ordering::Relaxed);
            *asked = message["id"].clone();
            return Some(said_events("id: first\nretry: 1\ndata: \n\n"));
        }
        match message["after"].as_str()? {
            "first" => Some(said_events("id: second\ndata: \n\n")),
            // It is busy every other time.
            "second" if !is_busy.fetch_xor(true, Ordering::Relaxed) => Some(said(503, &[], b"")),
            "second" => Some(said_events(&format!("data: {}\n\n", result(&asked, "resumed")))),
            _ => None,
        }
    });
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let answer = call(&operator, &session, "up.echo");
    assert_eq!(answer["content"][0]["text"], "resumed", "{answer}");
    let connection = McpSession::begin(&operator);
    connection.tool("createSession", &json!({"agent_id": "a", "scopes": ["execute"]}));
    let answer = connection.tool("up__echo", &json!({}));
    assert!(answer.contains("resumed"), "{answer}");
    // And where haldir translates between the revisions of client and server.
    let answers = modern(&operator, &session, 7, "tools/call", &json!({"name": "echo", "arguments": {}}));
    assert_eq!(answers.last().unwrap()["result"]["content"][0]["text"], "resumed", "{answers:?}");
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    operator.verified();
}

#[test]
fn a_stream_that_cannot_be_resumed_is_said_to_have_ended_and_the_call_is_paid_for() {
    let (house, upstream) = (House::new(), OddUpstream::new());
    let (_server, operator) = house.serve_operator();
    register(&operator, &upstream, &json!({}));
    costs(&operator);
    upstream
        .say(|_, message| (message["method"] == "tools/call").then(|| said_events("id: first\nretry: 1\ndata: \n\n")));
    let session = spender(&operator);
    let failed = told(&call(&operator, &session, "up.echo"));
    assert_eq!(failed["code"], "upstream_unavailable", "{failed}");
    assert!(failed["error"].as_str().unwrap().contains("stream ended before the answer"), "{failed}");
    assert_eq!(spent(&operator, &session), 1);
}

#[test]
fn an_answer_that_is_too_large_is_said_to_be_in_an_event_stream_too() {
    let (house, upstream) = (House::new(), OddUpstream::new());
    let (_server, operator) = house.serve_operator();
    register(&operator, &upstream, &json!({"max_answer": 4_096}));
    upstream.say(|_, message| {
        let large = || said_events(&format!("data: {}\n\n", result(&message["id"], &"x".repeat(8_192))));
        (message["method"] == "tools/call").then(large)
    });
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let failed = told(&call(&operator, &session, "up.echo"));
    assert_eq!(failed["code"], "upstream_answer_too_large", "{failed}");
    let connection = McpSession::begin(&operator);
    connection.tool("createSession", &json!({"agent_id": "a", "scopes": ["execute"]}));
    let answer = connection.tool("up__echo", &json!({}));
    assert!(answer.contains("upstream_answer_too_large"), "{answer}");
}

#[test]
fn a_call_that_was_redirected_elsewhere_has_left_and_is_paid_for() {
    let (house, upstream) = (House::new(), OddUpstream::new());
    let (_server, operator) = house.serve_operator();
    register(&operator, &upstream, &json!({}));
    costs(&operator);
    let other = HeldPort::new();
    let here = upstream.url();
    for target in [
        "http://evil.example/".to_owned(),
        format!("http://{}/mcp", other.address()),
        here.replace("http://", "https://"),
        here.replace("http://", "ftp://"),
        here.replace("http://", "http://a:b@"),
        "http://10.0.0.1/".to_owned(),
        "::::".to_owned(),
        String::new(),
    ] {
        for directly in [false, true] {
            // What waits after failures is over.
            upstream.say(|_, _| None);
            let well = spender(&operator);
            until("it is asked again", || call(&operator, &well, "up.echo")["isError"] == false);
            let arrived = Arc::new(AtomicUsize::new(0));
            let (seen, location) = (Arc::clone(&arrived), target.clone());
            upstream.say(move |_, message| {
                (message["method"] == "tools/call").then(|| {
                    seen.fetch_add(1, Ordering::Relaxed);
                    let location = [("Location", location.as_str())];
                    said(307, if location[0].1.is_empty() { &[] } else { &location }, b"")
                })
            });
            let session = spender(&operator);
            let answer = if directly { pass(&operator, &session) } else { call(&operator, &session, "up.echo") };
            assert!(arrived.load(Ordering::Relaxed) > 0, "{target}: {answer}");
            assert_eq!(spent(&operator, &session), 1, "{target}, at /mcp/up: {directly}: {answer}");
        }
    }
}

/// An upstream with a protocol session, whose calls are answered with 404 once `gone` says so: the session is then unknown to
/// pings as well if `all`.
fn forgetful(upstream: &OddUpstream, all: bool) -> (Arc<AtomicBool>, Arc<AtomicUsize>) {
    let (gone, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (is_gone, counted) = (Arc::clone(&gone), Arc::clone(&calls));
    upstream.say(move |_, message| {
        let gone = is_gone.load(Ordering::Relaxed);
        match message["method"].as_str()? {
            "initialize" if gone => Some(said(307, &[("Location", "http://evil.example/")], b"")),
            "initialize" => {
                let headers = [("Content-Type", "application/json"), ("Mcp-Session-Id", "theirs")];
                Some(said(200, &headers, welcome(message).as_bytes()))
            }
            "tools/call" if gone => {
                counted.fetch_add(1, Ordering::Relaxed);
                Some(said(404, &[], b""))
            }
            "ping" if gone && all => Some(said(404, &[], b"")),
            "ping" => Some(said_json(&json!({"jsonrpc": "2.0", "id": message["id"], "result": {}}).to_string())),
            _ => None,
        }
    });
    (gone, calls)
}

#[test]
fn a_call_whose_session_could_not_be_begun_anew_has_left_and_is_paid_for() {
    let (house, upstream) = (House::new(), OddUpstream::new());
    let (_server, operator) = house.serve_operator();
    let (gone, calls) = forgetful(&upstream, true);
    register(&operator, &upstream, &json!({}));
    costs(&operator);
    gone.store(true, Ordering::Relaxed);
    let session = spender(&operator);
    let failed = told(&call(&operator, &session, "up.echo"));
    assert_eq!((calls.load(Ordering::Relaxed), spent(&operator, &session)), (1, json!(1)), "{failed}");
}

#[test]
fn a_call_that_is_answered_with_404_in_a_session_that_goes_on_is_sent_once() {
    let (house, upstream) = (House::new(), OddUpstream::new());
    let (_server, operator) = house.serve_operator();
    let (gone, calls) = forgetful(&upstream, false);
    register(&operator, &upstream, &json!({}));
    costs(&operator);
    gone.store(true, Ordering::Relaxed);
    let session = spender(&operator);
    let failed = told(&call(&operator, &session, "up.echo"));
    assert_eq!((&failed["code"], calls.load(Ordering::Relaxed)), (&json!("upstream_status"), 1), "{failed}");
    assert_eq!(spent(&operator, &session), 1);
}

/// What an upstream asks in the middle of a call may come on the stream that the client is about to listen to. This one answers
/// the listening only once it has the call, so it has that no sooner than haldir has waited for the answer in vain.
#[test]
fn a_call_does_not_overtake_the_listening_that_its_client_has_begun() {
    let (house, upstream) = (House::new(), OddUpstream::new());
    let (server, operator) = house.serve_operator();
    let ((listens, listening), (called, calls), (release, released)) = (channel(), channel(), channel());
    let released = Mutex::new(released);
    upstream.say(move |verb, message| match message["method"].as_str() {
        Some("initialize") => {
            let headers = [("Content-Type", "application/json"), ("Mcp-Session-Id", "theirs")];
            Some(said(200, &headers, welcome(message).as_bytes()))
        }
        Some("tools/call") => {
            called.send(Instant::now()).unwrap();
            release.send(()).unwrap();
            None
        }
        _ if verb == "GET" && message["after"] == "of-the-client" => {
            listens.send(()).unwrap();
            lock(&released).recv().unwrap();
            None
        }
        _ => None,
    });
    register(&operator, &upstream, &json!({}));
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}});
    let begun = operator.send("POST", "/mcp/up", &[BOTH], &hello.to_string());
    assert_eq!(begun.header("mcp-session-id"), Some("theirs"), "{}", begun.text);
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(
        stream,
        "GET /mcp/up HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nMcp-Session-Id: theirs\r\n\
         Last-Event-ID: of-the-client\r\nAccept: text/event-stream\r\n\r\n",
        server.address,
        operator.key()
    )
    .unwrap();
    listening.recv().unwrap();
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let message =
        json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "echo", "arguments": {}}});
    let headers = [BOTH, ("Mcp-Session-Id", "theirs"), ("X-Session-ID", session.as_str())];
    let sent = Instant::now();
    let answer = operator.send("POST", "/mcp/up", &headers, &message.to_string()).text;
    assert!(answer.contains("\"content\""), "{answer}");
    let waited = calls.recv().unwrap() - sent;
    assert!(waited >= LEAST_WAIT, "the call overtook the listening: it was sent on after {waited:?}");
}

/// Half of the time for which a request waits for the listening before it.
const LEAST_WAIT: Duration = Duration::from_secs(1);

#[test]
fn a_server_that_was_never_reached_is_said_to_be_so_rather_than_its_tools() {
    let (house, nobody) = (House::new(), HeldPort::new());
    let (_server, operator) = house.serve_operator();
    let url = format!("http://{}/mcp", nobody.address());
    let made = operator.post("/v1/proxy/upstreams", &json!({"name": "up", "url": url})).json();
    assert_eq!(made["healthy"], false, "{made}");
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let answer = pass(&operator, &session);
    let said = answer["result"]["content"][0]["text"].as_str().unwrap_or_default();
    assert!(answer["id"] == 5 && said.contains("the tools of up are not known yet"), "{answer}");
    for method in ["initialize", "tools/list"] {
        let message = json!({"jsonrpc": "2.0", "id": 9, "method": method, "params": {}}).to_string();
        let answer = operator.send("POST", "/mcp/up", &[BOTH], &message);
        assert_eq!((answer.status, &answer.json()["id"]), (502, &json!(9)), "{method}: {}", answer.text);
    }
}

#[test]
fn a_server_of_the_transport_of_2024_is_said_to_be_one() {
    let (house, upstream) = (House::new(), OddUpstream::new());
    let (_server, operator) = house.serve_operator();
    for status in [404, 405] {
        upstream.say(move |verb, _| match verb {
            "GET" => Some(said_events("event: endpoint\ndata: /messages?session=1\n\n")),
            _ => Some(said(status, &[], b"")),
        });
        let made = operator.post("/v1/proxy/upstreams", &json!({"name": "up", "url": upstream.url()})).json();
        let error = made["error"].as_str().unwrap_or_default();
        assert!(error.contains("HTTP+SSE") && made["upstream_status"] == status, "{made}");
        upstream.say(move |_, _| Some(said(status, &[], b"")));
        let made = operator.post("/v1/proxy/upstreams", &json!({"name": "up", "url": upstream.url()})).json();
        assert!(!made["error"].as_str().unwrap().contains("HTTP+SSE"), "{made}");
    }
}

#[test]
fn tools_that_are_called_as_tasks_only_are_listed_where_they_can_be_called() {
    let mut task = tool("research");
    task["execution"] = json!({"taskSupport": "required"});
    let mut either = tool("either");
    either["execution"] = json!({"taskSupport": "optional"});
    let (house, upstream) = (House::new(), Upstream::new([tool("echo"), task, either]));
    let (_server, operator) = house.serve_operator();
    crate::proxy::register(&operator, "up", &upstream);
    let listed = McpSession::begin(&operator).send(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).text;
    assert!(listed.contains("up__echo") && listed.contains("up__either"), "{listed}");
    assert!(!listed.contains("up__research"), "{listed}");
    let agent = operator.mint(&json!({"role": "agent"}));
    let names = |client: &Client, path: &str| -> Vec<String> {
        let tools = client.get(path).ok()["tools"].as_array().unwrap().clone();
        tools.iter().map(|tool| tool["tool"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&agent, "/v1/proxy/tools"), ["echo", "either"]);
    assert_eq!(names(&operator, "/v1/proxy/tools"), ["echo", "either", "research"]);
    let message = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/list"}).to_string();
    let listed = operator.send("POST", "/mcp/up", &[BOTH], &message);
    assert!(listed.text.contains("research"), "{}", listed.text);
}
