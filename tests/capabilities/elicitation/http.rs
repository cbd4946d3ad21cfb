//! The same through `upstream.tool`, on standard input and output and on `/mcp`, and through `/mcp/{upstream}`.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;

use super::{Desk, is_told_that_it_waits, rule, told, two_answers, waits_with_progress, yes};
use crate::{
    proxy::{entries, register},
    support::{
        Answer, Client, Events, House, Server, json,
        program::Lines,
        text,
        upstream::{Upstream, tool},
    },
    transparent::{messages, register_at, running},
};

/// A store with an upstream whose tool `wipe` needs an approval; the server asks people.
fn house() -> (House, Upstream, Server, Client) {
    let (house, upstream) = (House::new(), Upstream::new([tool("wipe"), tool("read")]));
    let mut serving = house.serving();
    serving.args(["--approve-by", "elicitation", "--approve-within", "20"]);
    let server = Server::start(serving);
    let operator = server.first_key();
    register(&operator, "up", &upstream);
    rule(&operator, &json!({"type": "tool_blocked", "tools": ["wipe"]}));
    (house, upstream, server, operator)
}

#[test]
fn the_tools_of_upstreams_on_standard_input_and_output_are_asked_about() {
    let (house, upstream, _server, operator) = house();
    let mut program = house.program();
    program.args(["--allow-private", "127.0.0.1"]);
    let mut desk = Desk::open(program);
    let call = desk.call("up.wipe", &json!({"n": 1.5}));
    let dialog = desk.dialog();
    assert!(text(&dialog["params"], "message").contains("\"n\" = 1.5"), "{dialog}");
    desk.answer(&dialog, &yes());
    assert_eq!(desk.result(call)["content"][0]["text"], "{\"n\":1.5}");
    assert_eq!(entries(&operator, "approval.approve")[0]["actor"], "elicitation");
    let call = desk.call("up.wipe", &json!({"n": 2}));
    let dialog = desk.dialog();
    desk.answer(&dialog, &json!({"action": "decline"}));
    assert_eq!(told(&desk.result(call))["code"], "approval_invalid");
    let call = desk.call("up.wipe", &json!({"n": 3}));
    let dialog = desk.dialog();
    desk.answer(&dialog, &json!({"action": "cancel"}));
    desk.held(call);
    let call = desk.call("up.wipe", &json!({"n": 3.5}));
    let dialog = desk.dialog();
    desk.answer_in_two_ways(&dialog);
    desk.held(call);
    assert_eq!(upstream.calls().len(), 1);
    // Some clients write a null beside the result.
    let call = desk.call("up.wipe", &json!({"n": 3.75}));
    let dialog = desk.dialog();
    desk.send(&json!({"jsonrpc": "2.0", "id": dialog["id"], "result": yes(), "error": null}));
    assert_eq!(desk.result(call)["content"][0]["text"], "{\"n\":3.75}");
    // Switched off.
    let mut program = house.program();
    program.args(["--allow-private", "127.0.0.1", "--approve-by", "operator"]);
    let mut lines = Lines::begun(program);
    let answer = lines.call("up.wipe", &json!({"n": 4}));
    assert_eq!(told(&answer["result"])["status"], "approval_required", "{answer}");
}

#[test]
fn a_client_that_calls_an_upstreams_tool_hears_that_the_call_waits_for_a_person() {
    let (house, _upstream, _server, _operator) = house();
    let mut program = house.program();
    program.args(["--allow-private", "127.0.0.1"]).env("HALDIR_TEST_TELL_EVERY", "20");
    waits_with_progress(&mut Desk::open(program), "up.wipe");
}

#[test]
fn over_http_too_a_client_hears_that_its_call_waits_for_a_person() {
    let (house, (_files, url)) = (House::new(), running());
    let mut serving = house.serving();
    serving.args(["--approve-by", "elicitation"]).env("HALDIR_TEST_TELL_EVERY", "20");
    let server = Server::start(serving);
    let operator = server.first_key();
    register_at(&operator, "files", &url);
    rule(&operator, &json!({"type": "tool_blocked", "tools": ["files.delete"]}));
    for (path, tool) in [("/mcp", "files.delete"), ("/mcp/files", "delete")] {
        let mcp = begin(&operator, path);
        let session = operator.session(&json!({"scopes": ["execute"]}));
        let headers = [("Mcp-Session-Id", mcp.as_str()), REVISION, ("X-Session-ID", session.as_str())];
        let params = json!({"name": tool, "arguments": {"path": path}, "_meta": {"progressToken": "mine"}});
        let call = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params});
        let mut events = Events::post(&server, operator.key(), path, &headers, &call);
        let dialog = events.next();
        assert_eq!(dialog["method"], "elicitation/create", "{dialog}");
        is_told_that_it_waits(&[events.next(), events.next()]);
        let answered = json!({"jsonrpc": "2.0", "id": dialog["id"], "result": yes()}).to_string();
        let both = ("Accept", "application/json, text/event-stream");
        assert_eq!(operator.send("POST", path, &[both, headers[0], REVISION], &answered).status, 202);
        let mut last = events.next();
        while last["method"] == "notifications/progress" {
            last = events.next();
        }
        assert!(text(&last["result"]["content"][0], "text").starts_with("Deleted"), "{last}");
    }
}

const REVISION: (&str, &str) = ("Mcp-Protocol-Version", "2025-11-25");

/// A protocol session of a client that has dialogs.
fn begin(client: &Client, path: &str) -> String {
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {"elicitation": {"form": {}}},
        "clientInfo": {"name": "web", "version": "3"}}});
    let answer = client.send("POST", path, &[("Accept", "application/json, text/event-stream")], &hello.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text);
    let id = answer.header("mcp-session-id").unwrap().to_owned();
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    let headers = [("Accept", "application/json, text/event-stream"), ("Mcp-Session-Id", id.as_str()), REVISION];
    assert_eq!(client.send("POST", path, &headers, &initialized).status, 202);
    id
}

/// Calls a tool in a session of `path`, answers the dialog so, and gives back the dialog and the result. The answer null
/// stands for a yes that is an error as well.
fn conversation(
    server: &Server,
    agent: &Client,
    stranger: &Client,
    path: &str,
    tool: &str,
    answer: &Value,
) -> (Value, Value) {
    let mcp = begin(agent, path);
    let session = agent.session(&json!({"scopes": ["execute"]}));
    let headers = [("Mcp-Session-Id", mcp.as_str()), REVISION, ("X-Session-ID", session.as_str())];
    let params = json!({"name": tool, "arguments": {"path": answer.to_string()}});
    let call = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params});
    let mut events = Events::post(server, agent.key(), path, &headers, &call);
    let dialog = events.next();
    assert_eq!(dialog["method"], "elicitation/create", "{dialog}");
    let answered = json!({"jsonrpc": "2.0", "id": dialog["id"], "result": answer});
    let answered = if answer.is_null() { two_answers(&dialog) } else { answered }.to_string();
    let both = ("Accept", "application/json, text/event-stream");
    // The session belongs to the key that began it: no other key answers in it.
    assert_eq!(stranger.send("POST", path, &[both, headers[0], REVISION], &answered).status, 404);
    assert_eq!(agent.send("POST", path, &[both, headers[0], REVISION], &answered).status, 202);
    let result = events.next();
    assert_eq!(result["id"], 5, "{result}");
    (dialog, result["result"].clone())
}

#[test]
fn a_session_over_http_is_asked_in_the_stream_of_its_call() {
    let ((_files, url), (_house, _upstream, server, operator)) = (running(), house());
    register_at(&operator, "files", &url);
    rule(&operator, &json!({"type": "tool_blocked", "tools": ["files.delete"]}));
    let (agent, stranger) = (operator.mint(&json!({"role": "agent"})), operator.mint(&json!({"role": "agent"})));
    for (made, (path, tool)) in [("/mcp", "files.delete"), ("/mcp/files", "delete")].into_iter().enumerate() {
        let talk = |answer: Value| conversation(&server, &agent, &stranger, path, tool, &answer);
        let (dialog, result) = talk(yes());
        assert!(text(&dialog["params"], "message").contains("Server: files"), "{dialog}");
        assert!(text(&result["content"][0], "text").starts_with("Deleted"), "{result}");
        let decided = &entries(&operator, "approval.approve")[0];
        assert_eq!(decided["actor"], "elicitation", "{decided}");
        assert_eq!(decided["details"]["decided_by"], "elicitation: the person at web 3", "{decided}");
        let (_, denied) = talk(json!({"action": "decline"}));
        assert_eq!(told(&denied)["code"], "approval_invalid", "{denied}");
        for undecided in [json!({"action": "cancel"}), json!(null)] {
            let (_, waits) = talk(undecided);
            assert_eq!(told(&waits)["status"], "approval_required", "{waits}");
        }
        assert_eq!(entries(&operator, "proxyCall.begin").len(), made + 1);
    }
    operator.verified();
}

#[test]
fn over_http_an_operator_decides_unless_the_server_says_otherwise() {
    let ((_files, url), house) = (running(), House::new());
    let (_server, operator) = house.serve_operator();
    register_at(&operator, "files", &url);
    rule(&operator, &json!({"type": "tool_blocked", "tools": ["delete"]}));
    let agent = operator.mint(&json!({"role": "agent"}));
    for (path, tool) in [("/mcp", "files.delete"), ("/mcp/files", "delete")] {
        let mcp = begin(&agent, path);
        let session = agent.session(&json!({"scopes": ["execute"]}));
        let headers = [("Mcp-Session-Id", mcp.as_str()), REVISION, ("X-Session-ID", session.as_str())];
        let params = json!({"name": tool, "arguments": {"path": "/a"}});
        let call = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params});
        let accept = [("Accept", "application/json, text/event-stream")];
        let answer = agent.send("POST", path, &[&accept[..], &headers[..]].concat(), &call.to_string());
        let answer = messages(&answer).pop().unwrap();
        assert_eq!(told(&answer["result"])["status"], "approval_required", "{answer}");
    }
    assert_eq!(entries(&operator, "proxyCall.begin").len(), 0);
}

/// A call as a client of 2026-07-28 makes it that can ask a person, with what it brings besides.
fn call_anew(agent: &Client, session: &str, (path, tool): (&str, &str), arguments: &Value, more: &Value) -> Answer {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "modern", "version": "2"},
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
    });
    let mut params = json!({"name": tool, "arguments": arguments, "_meta": meta});
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let call = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params}).to_string();
    let headers = [
        ("Accept", "application/json, text/event-stream"),
        ("Mcp-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", tool),
        ("X-Session-ID", session),
    ];
    agent.send("POST", path, &headers, &call)
}

#[test]
fn a_client_of_the_newest_revision_asks_and_calls_again_over_http() {
    let (_house, upstream, _server, operator) = house();
    let agent = operator.mint(&json!({"role": "agent"}));
    let session = agent.session(&json!({"scopes": ["execute"]}));
    for (path, tool) in [("/mcp", "up.wipe"), ("/mcp/up", "wipe")] {
        let before = upstream.calls().len();
        let ask = |more: Value| {
            let answer = call_anew(&agent, &session, (path, tool), &json!({"path": path}), &more);
            assert_eq!(answer.status, 200, "{}", answer.text);
            answer.json()["result"].clone()
        };
        let asked = ask(json!({}));
        assert_eq!(asked["resultType"], "input_required", "{asked}");
        let with = |answer: Value| json!({"inputResponses": {"haldir_approval": answer}, "requestState": asked["requestState"]});
        let closed = ask(with(json!({"action": "cancel"})));
        assert_eq!(told(&closed)["status"], "approval_required", "{closed}");
        assert_eq!(upstream.calls().len(), before);
        let made = ask(with(yes()));
        assert!(text(&made["content"][0], "text").contains(path), "{made}");
        let again = ask(with(yes()));
        assert_eq!(told(&again)["status"], "approval_required", "the answer served twice: {again}");
        assert_eq!(upstream.calls().len(), before + 1);
        let sent = upstream.calls().pop().unwrap().json();
        assert!(sent["params"]["requestState"].is_null() && sent["params"]["inputResponses"].is_null(), "{sent}");
    }
}

#[test]
fn a_question_that_one_server_asks_by_a_result_is_answered_at_another() {
    let (house, upstream, one, operator) = house();
    let mut serving = house.serving();
    serving.args(["--approve-by", "elicitation"]);
    let other = Server::start(serving);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    for (path, tool) in [("/mcp", "up.wipe"), ("/mcp/up", "wipe")] {
        let at = |server: &Server, more: &Value| {
            let answer =
                call_anew(&server.with_key(operator.key()), &session, (path, tool), &json!({"path": path}), more);
            assert_eq!(answer.status, 200, "{}", answer.text);
            answer.json()["result"].clone()
        };
        let asked = at(&one, &json!({}));
        let with_yes = json!({"inputResponses": {"haldir_approval": yes()}, "requestState": asked["requestState"]});
        let made = at(&other, &with_yes);
        assert!(text(&made["content"][0], "text").contains(path), "{made}");
        for server in [&one, &other] {
            assert_eq!(told(&at(server, &with_yes))["status"], "approval_required", "the answer served twice");
        }
    }
    assert_eq!(upstream.calls().len(), 2);
    operator.verified();
}

#[test]
fn over_http_too_a_dialog_does_not_come_back_without_end() {
    let (_house, upstream, _server, operator) = house();
    let agent = operator.mint(&json!({"role": "agent"}));
    let session = agent.session(&json!({"scopes": ["execute"]}));
    for (path, tool) in [("/mcp", "up.wipe"), ("/mcp/up", "wipe")] {
        let ask =
            || call_anew(&agent, &session, (path, tool), &json!({"path": path}), &json!({})).json()["result"].clone();
        for _ in 0..3 {
            let asked = ask();
            assert_eq!(asked["resultType"], "input_required", "{path}: {asked}");
        }
        for _ in 0..3 {
            let told = ask();
            assert_eq!(self::told(&told)["status"], "approval_required", "{path}: {told}");
        }
    }
    assert_eq!(upstream.calls().len(), 0);
}

/// A forged state that claims that a person was asked about a request.
fn made_up(request_id: &str) -> Value {
    let state = json!({"request_id": request_id, "proof": "00".repeat(32)}).to_string();
    json!(format!("haldir-approval:{}", BASE64_URL_SAFE_NO_PAD.encode(state)))
}

#[test]
fn only_haldir_can_prove_that_a_person_was_asked() {
    let (_house, upstream, _server, operator) = house();
    let agent = operator.mint(&json!({"role": "agent"}));
    let session = agent.session(&json!({"scopes": ["execute"]}));
    let asked_ahead = json!({"session_id": session, "tool": "up.wipe", "action": "call", "details": {}});
    let request = text(&agent.post("/v1/approvals/request", &asked_ahead).json(), "request_id");
    let other = operator.session(&json!({"scopes": ["spend"], "spend_limit": 100}));
    let payment = json!({"session_id": other, "tool": "payment", "action": "pay", "amount": 50});
    let payment = text(&operator.post("/v1/approvals/request", &payment).json(), "request_id");
    for (path, tool) in [("/mcp", "up.wipe"), ("/mcp/up", "wipe")] {
        for (about, answer) in [(&request, yes()), (&payment, json!({"action": "decline"}))] {
            let more = json!({"requestState": made_up(about), "inputResponses": {"haldir_approval": answer}});
            let answer = call_anew(&agent, &session, (path, tool), &json!({}), &more);
            assert!(answer.text.contains("requestState is not what haldir has made"), "{path}: {}", answer.text);
        }
    }
    assert_eq!(upstream.calls().len(), 0);
    for request in [request, payment] {
        assert_eq!(operator.get(&format!("/v1/approvals/{request}")).ok()["status"], "pending");
    }
}
