//! A client that is asked by results, in front of an upstream that asks in the middle of a call: the call waits for the client,
//! and goes on with its answers.

use super::*;

/// What a client answers to everything that a result asks.
pub(super) fn answers(needed: &Value) -> Value {
    let of = |question: &Value| match question["method"].as_str().unwrap() {
        "sampling/createMessage" => {
            json!({"role": "assistant", "content": {"type": "text", "text": "sampled"}, "model": "m"})
        }
        "roots/list" => json!({"roots": [{"uri": "file:///a"}]}),
        _ => json!({"action": "accept", "content": {"username": "u", "email": "e@example.com"}}),
    };
    let all = needed["inputRequests"].as_object().unwrap().iter();
    Value::Object(all.map(|(key, question)| (key.clone(), of(question))).collect())
}

/// The call again, with these answers.
pub(super) fn again(params: &Value, needed: &Value, answers: Value) -> Value {
    let mut params = params.clone();
    params["requestState"] = needed["requestState"].clone();
    params["inputResponses"] = answers;
    params
}

#[track_caller]
pub(super) fn needed(messages: &[Value]) -> Value {
    let needed = messages.last().unwrap()["result"].clone();
    assert_eq!(needed["resultType"], "input_required", "{messages:?}");
    needed
}

/// The one question that a result asks.
#[track_caller]
fn only(needed: &Value) -> &Value {
    let all = needed["inputRequests"].as_object().unwrap();
    assert_eq!(all.len(), 1, "{needed}");
    all.values().next().unwrap()
}

#[test]
fn a_client_is_asked_by_a_result_and_its_call_again_goes_on_with_the_one_that_waits() {
    let house = House::new();
    let (server, operator, session) = serving(&house, OLD);
    let _web = registered(&operator, &["--old"]);
    let begun = entries(&operator, "proxyCall.begin").len();
    for upstream in ["up", "web"] {
        for (tool, arguments, shown, told) in [
            ("test_sampling", json!({"prompt": "p"}), "\"text\":\"p\"".to_owned(), "LLM response: sampled"),
            ("test_elicitation", json!({"message": "Who?"}), format!("[{upstream}] Who?"), "action=accept"),
            ("test_roots", json!({}), "roots/list".to_owned(), "file:///a"),
        ] {
            let params = json!({"name": format!("{upstream}.{tool}"), "arguments": arguments});
            let asked = needed(&modern(&server, &operator, &session, 6, &params).up_to(6));
            assert!(only(&asked).to_string().contains(&shown), "{asked}");
            let params = again(&params, &asked, answers(&asked));
            let result = modern(&server, &operator, &session, 7, &params).up_to(7);
            assert!(answered(&result).contains(told), "{result:?}");
            assert_eq!(result.last().unwrap()["result"]["resultType"], "complete", "{result:?}");
            // Answers are used once.
            let twice = modern(&server, &operator, &session, 8, &params).up_to(8);
            assert_eq!(twice[0]["error"]["code"], -32602, "{twice:?}");
        }
    }
    // Each is one call to the log, whose outcome is known, and each question is an entry.
    assert_eq!(entries(&operator, "proxyCall.begin").len(), begun + 6);
    let asked = entries(&operator, "proxyCall.asked");
    assert!(asked.len() == 6 && asked.iter().all(|entry| entry["details"]["passed_on"] == true), "{asked:?}");
    eventually("all are settled", || (entries(&operator, "proxyCall.ok").len() == begun + 6).then_some(()));
    // What it has not declared it is not asked.
    let mut params = json!({"name": "up.test_elicitation", "arguments": {"message": "Who?"}});
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({"sampling": {}});
    let told = modern(&server, &operator, &session, 9, &params).up_to(9);
    assert!(answered(&told).contains("action=decline"), "{told:?}");
    operator.verified();
}

#[test]
fn a_call_that_asks_twice_waits_twice_and_says_how_far_it_is_to_whom_waits_for_it() {
    let house = House::new();
    let (server, operator, session) = serving(&house, OLD);
    let params = json!({"name": "up.test_two_questions", "arguments": {}, "_meta": {"progressToken": "first"}});
    let first = needed(&modern(&server, &operator, &session, 6, &params).up_to(6));
    assert_eq!(only(&first)["method"], "sampling/createMessage");
    let mut params = again(&params, &first, answers(&first));
    params["_meta"]["progressToken"] = json!("second");
    let heard = modern(&server, &operator, &session, 7, &params).up_to(7);
    assert_eq!(heard[0]["params"]["progressToken"], "second", "{heard:?}");
    let second = needed(&heard);
    assert_eq!(only(&second)["params"]["message"], "[up] second");
    assert_ne!(first["requestState"], second["requestState"]);
    // Where a client leaves a request unanswered, the upstream is told so.
    let told = modern(&server, &operator, &session, 8, &again(&params, &second, json!({}))).up_to(8);
    assert_eq!(answered(&told), "LLM response: sampled", "{told:?}");
    assert!(told.last().unwrap().to_string().contains("has not answered"), "{told:?}");
    eventually("it is settled", || (entries(&operator, "proxyCall.ok").len() == 2).then_some(()));
}

#[test]
fn a_paused_call_goes_on_only_for_its_caller_and_its_request() {
    let house = House::new();
    let (server, operator, session) = serving(&house, OLD);
    let other = operator.mint(&json!({"role": "agent"}));
    let second = operator.session(&json!({"scopes": ["execute"]}));
    let params = json!({"name": "up.test_elicitation", "arguments": {"message": "Who?"}});
    let asked = needed(&modern(&server, &operator, &session, 6, &params).up_to(6));
    let params = again(&params, &asked, answers(&asked));
    let mut others = [params.clone(), params.clone(), params.clone()];
    others[0]["arguments"]["message"] = json!("Whom?");
    others[1]["name"] = json!("up.test_roots");
    others[2]["requestState"] = json!("haldir-call:made-up");
    let refused = |client: &Client, session: &str, params: &Value| {
        let told = modern(&server, client, session, 7, params).up_to(7);
        assert_eq!(told[0]["error"]["code"], -32602, "{told:?}");
    };
    refused(&other, &session, &params);
    refused(&operator, &second, &params);
    for params in &others {
        refused(&operator, &session, params);
    }
    let told = modern(&server, &operator, &session, 8, &params).up_to(8);
    assert!(answered(&told).contains("\"username\":\"u\""), "{told:?}");
    operator.verified();
}

#[test]
fn a_call_that_waits_does_not_go_on_once_its_session_has_ended_or_its_client_has_left() {
    let house = House::new();
    let (server, operator, session) = serving(&house, OLD);
    let params = json!({"name": "up.test_elicitation", "arguments": {"message": "Who?"}});
    let asked = needed(&modern(&server, &operator, &session, 6, &params).up_to(6));
    assert_eq!(operator.delete(&format!("/v1/sessions/{session}")).status, 200);
    let told = modern(&server, &operator, &session, 7, &again(&params, &asked, answers(&asked))).up_to(7);
    assert_eq!(told[0]["result"]["isError"], true, "{told:?}");
    assert!(told[0].to_string().contains("session_invalid"), "{told:?}");
    settled_as_cancelled(&operator);
    // One that hangs up when it has answered has taken its call back.
    let web = registered(&operator, &["--old"]);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let before = entries(&operator, "proxyCall.unknown").len();
    let params = json!({"name": "web.test_two_questions", "arguments": {"ms": 60_000}});
    let asked = needed(&modern(&server, &operator, &session, 8, &params).up_to(8));
    let waiting = modern(&server, &operator, &session, 9, &again(&params, &asked, answers(&asked)));
    eventually("the upstream has the answer", || web.errors().contains(SLEEPS).then_some(()));
    assert_eq!(entries(&operator, "proxyCall.unknown").len(), before, "it is under way");
    drop(waiting);
    eventually("it is settled", || (entries(&operator, "proxyCall.unknown").len() > before).then_some(()));
    eventually("the upstream hears of it", || web.errors().contains("a call was cancelled").then_some(()));
    operator.verified();
}

#[test]
fn so_many_calls_wait_for_one_caller_and_one_more_is_not_asked() {
    let house = House::new();
    let (server, operator, session) = serving(&house, OLD);
    let _web = registered(&operator, &["--old"]);
    let params = json!({"name": "web.test_elicitation", "arguments": {"message": "Who?"}});
    let mut waiting: Vec<_> =
        (0..16).map(|_| needed(&modern(&server, &operator, &session, 6, &params).up_to(6))).collect();
    let told = modern(&server, &operator, &session, 7, &params).up_to(7);
    assert!(answered(&told).contains("too much waits"), "{told:?}");
    // Another one's calls have room.
    let other = operator.mint(&json!({"role": "agent"}));
    let asked = needed(&modern(&server, &other, &session, 8, &params).up_to(8));
    waiting.push(asked);
    for (at, asked) in waiting.iter().enumerate() {
        let client = if at == 16 { &other } else { &operator };
        let told = modern(&server, client, &session, 9, &again(&params, asked, answers(asked))).up_to(9);
        assert!(answered(&told).contains("action=accept"), "{told:?}");
    }
    operator.verified();
}

#[test]
fn a_client_on_standard_input_is_asked_by_a_result_too_and_so_is_one_that_reads_no_events() {
    let house = House::new();
    let mut lines = Lines::start(with_child(&house, house.program(), OLD));
    let context = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "tests", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"sampling": {}, "elicitation": {}, "roots": {}}});
    let mut ask = |mut params: Value, method: &str| {
        params["_meta"] = context.clone();
        parsed(&lines.ask(method, &params))
    };
    eventually("the child answers", || {
        ask(json!({}), "tools/list").pop().unwrap().to_string().contains("up__test_roots").then_some(())
    });
    let made = json!({"name": "createSession", "arguments": {"agent_id": "a", "scopes": ["execute"]}});
    assert_eq!(ask(made, "tools/call").pop().unwrap()["result"]["isError"], false);
    let params = json!({"name": "up.test_roots", "arguments": {}});
    let asked = needed(&ask(params.clone(), "tools/call"));
    let told = ask(again(&params, &asked, answers(&asked)), "tools/call");
    assert!(answered(&told).contains("file:///a"), "{told:?}");
    assert!(lines.leave().0);

    let house = House::new();
    let (_server, operator, session) = serving(&house, OLD);
    let ask = |id: u64, mut params: Value| {
        params["_meta"] = context.clone();
        let headers = [
            ("Accept", "application/json"),
            ("Mcp-Protocol-Version", "2026-07-28"),
            ("Mcp-Method", "tools/call"),
            ("Mcp-Name", "up.test_roots"),
            ("X-Session-ID", session.as_str()),
        ];
        let message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        [operator.send("POST", "/mcp", &headers, &message.to_string()).json()]
    };
    let asked = needed(&ask(1, params.clone()));
    let told = ask(2, again(&params, &asked, answers(&asked)));
    assert!(answered(&told).contains("file:///a"), "{told:?}");
}

#[test]
fn a_person_decides_first_and_then_the_upstream_asks() {
    let house = House::new();
    let mut serving = house.serving();
    serving.args(["--approve-by", "elicitation"]);
    let server = Server::start(serving);
    let operator = server.first_key();
    let _web = registered(&operator, &["--old"]);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let rule = json!({"type": "tool_blocked", "tools": ["web.test_roots"]});
    assert_eq!(operator.post("/v1/approvals/rules", &rule).status, 201);
    let params = json!({"name": "web.test_roots", "arguments": {}});
    let asked = needed(&modern(&server, &operator, &session, 6, &params).up_to(6));
    assert!(only(&asked)["params"]["message"].as_str().unwrap().contains("haldir asks you"), "{asked}");
    let yes = json!({"haldir_approval": {"action": "accept", "content": {"decision": "approve"}}});
    let asked = needed(&modern(&server, &operator, &session, 7, &again(&params, &asked, yes)).up_to(7));
    assert_eq!(only(&asked)["method"], "roots/list", "{asked}");
    let told = modern(&server, &operator, &session, 8, &again(&params, &asked, answers(&asked))).up_to(8);
    assert!(answered(&told).contains("file:///a"), "{told:?}");
    let trail = ["approval.approve", "proxyCall.begin", "proxyCall.asked", "proxyCall.ok"];
    eventually("it is settled", || trail.iter().all(|action| entries(&operator, action).len() == 1).then_some(()));
    operator.verified();
}
