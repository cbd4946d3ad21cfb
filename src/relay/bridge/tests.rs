//! Both ways, message by message.

use serde_json::{Value, json};

use super::{Bridge, Step};

const MODERN: &str = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}}"#;

fn client(bridge: &mut Bridge, text: &impl ToString) -> Vec<(char, Value)> {
    shown(bridge.client_message(text.to_string()))
}

fn upstream(bridge: &mut Bridge, text: &impl ToString) -> Vec<(char, Value)> {
    shown(bridge.upstream_message(text.to_string()))
}

fn shown(steps: Vec<Step>) -> Vec<(char, Value)> {
    let shown = |step| match step {
        Step::Client(text) => ('c', text),
        Step::Upstream(text) => ('u', text),
    };
    steps.into_iter().map(shown).map(|(to, text)| (to, serde_json::from_str(&text).unwrap())).collect()
}

fn modern(id: u64, method: &str, params: &Value) -> Value {
    let mut params = params.clone();
    params["_meta"] = serde_json::from_str(MODERN).unwrap();
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn answer(id: &Value, result: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}

#[test]
fn what_both_speak_passes_as_it_is() {
    let mut bridge = Bridge::new(true);
    let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"x":1.00}}"#;
    assert_eq!(bridge.client_message(hello.to_owned()), [Step::Upstream(hello.to_owned())]);
    let welcome = r#"{"jsonrpc":"2.0","id":1,"result":{"y":1.00}}"#;
    assert_eq!(bridge.upstream_message(welcome.to_owned()), [Step::Client(welcome.to_owned())]);
    let any = r#"{"jsonrpc":"2.0",  "id":2,"method":"x"}"#;
    assert_eq!(bridge.client_message(any.to_owned()), [Step::Upstream(any.to_owned())]);
}

#[test]
fn a_client_without_handshake_reaches_a_server_with_one() {
    let mut bridge = Bridge::new(true);
    assert_eq!(client(&mut bridge, &modern(1, "server/discover", &json!({})))[0].0, 'u');
    let refused = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "what?"}});
    let steps = upstream(&mut bridge, &refused);
    let hello = &steps[0].1;
    assert_eq!((&hello["method"], &hello["params"]["clientInfo"]["name"]), (&json!("initialize"), &json!("c")));
    let welcome = json!({"protocolVersion": "2025-03-26", "capabilities": {"tools": {}}, "serverInfo": {"name": "s"}});
    let steps = upstream(&mut bridge, &answer(&hello["id"], &welcome));
    assert_eq!(steps[0].1["method"], "notifications/initialized");
    let found = &steps[1].1["result"];
    assert_eq!((&found["supportedVersions"], &found["resultType"]), (&json!(["2026-07-28"]), &json!("complete")));
    // The server is asked in its own words, and asks in the middle of it.
    let call = json!({"name": "t", "arguments": {"n": 1.5}});
    let steps = client(&mut bridge, &modern(2, "tools/call", &call));
    assert_eq!(steps, [('u', json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}))]);
    let steps = upstream(
        &mut bridge,
        &json!({"jsonrpc": "2.0", "id": 9, "method": "elicitation/create", "params": {"message": "m"}}),
    );
    let needed = &steps[0].1;
    assert_eq!((&needed["id"], &needed["result"]["resultType"]), (&json!(2), &json!("input_required")), "{needed}");
    let state = needed["result"]["requestState"].clone();
    let (key, question) = needed["result"]["inputRequests"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(question, &json!({"method": "elicitation/create", "params": {"message": "m"}}));
    // Answers to another call are refused.
    let repeated = |arguments: Value| {
        json!({"name": "t", "arguments": arguments, "requestState": state,
            "inputResponses": {key.as_str(): {"action": "accept"}}})
    };
    let steps = client(&mut bridge, &modern(3, "tools/call", &repeated(json!({"n": 2}))));
    assert_eq!(steps[0].1["error"]["code"], -32602);
    let steps = client(&mut bridge, &modern(4, "tools/call", &repeated(json!({"n": 1.5}))));
    assert_eq!(steps, [('u', answer(&json!(9), &json!({"action": "accept"})))]);
    let steps = upstream(&mut bridge, &answer(&json!(2), &json!({"content": []})));
    assert_eq!(steps, [('c', answer(&json!(4), &json!({"resultType": "complete", "content": []})))]);
}

#[test]
fn calls_that_wait_at_the_same_time_have_states_that_nobody_can_guess() {
    let mut bridge = Bridge::new(true);
    client(&mut bridge, &modern(1, "server/discover", &json!({})));
    let hello = upstream(&mut bridge, &json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": ""}}));
    upstream(&mut bridge, &answer(&hello[0].1["id"], &json!({"capabilities": {}})));
    let call = json!({"name": "t", "arguments": {}});
    let asks = |id: u64| json!({"jsonrpc": "2.0", "id": id, "method": "roots/list"});
    let mut states: Vec<String> = Vec::new();
    let mut note = |steps: &[(char, Value)]| {
        let states_of = steps.iter().filter_map(|(_, said)| said["result"]["requestState"].as_str());
        states.extend(states_of.map(str::to_owned));
        states.last().unwrap().clone()
    };
    let waiting: Vec<_> = [2, 3]
        .map(|id| {
            client(&mut bridge, &modern(id, "tools/call", &call));
            let state = note(&upstream(&mut bridge, &asks(100 + id)));
            // It asks again before the first question is answered.
            assert!(upstream(&mut bridge, &asks(200 + id)).is_empty());
            state
        })
        .into();
    for (id, state) in [(4, &waiting[0]), (5, &waiting[1])] {
        let mut again = call.clone();
        again["requestState"] = json!(state);
        again["inputResponses"] = json!({"q0": {"roots": []}});
        note(&client(&mut bridge, &modern(id, "tools/call", &again)));
        // A state serves once.
        let steps = client(&mut bridge, &modern(id + 10, "tools/call", &again));
        assert_eq!(steps[0].1["error"]["code"], -32602, "{steps:?}");
    }
    let different: std::collections::BTreeSet<_> = states.iter().collect();
    assert_eq!((states.len(), different.len()), (4, 4), "{states:?}");
    assert!(states.iter().all(|state| state.len() >= 32), "{states:?}");
}

#[test]
fn a_server_that_asks_on_while_its_client_is_asked_is_refused_what_is_too_much() {
    let mut bridge = Bridge::new(true);
    client(&mut bridge, &modern(1, "server/discover", &json!({})));
    let hello = upstream(&mut bridge, &json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": ""}}));
    upstream(&mut bridge, &answer(&hello[0].1["id"], &json!({"capabilities": {}})));
    let call = json!({"name": "t", "arguments": {}});
    client(&mut bridge, &modern(2, "tools/call", &call));
    let asks = |id: u64, bytes: usize| json!({"jsonrpc": "2.0", "id": id, "method": "roots/list", "params": {"x": "x".repeat(bytes)}});
    let state = upstream(&mut bridge, &asks(9, 5_000_000)).remove(0).1["result"]["requestState"].clone();
    let refused = |steps: &[(char, Value)], id: u64| {
        assert_eq!((steps.len(), steps[0].0, &steps[0].1["id"]), (1, 'u', &json!(id)));
        assert_eq!(steps[0].1["error"]["code"], -32603);
    };
    for id in 100..103 {
        assert!(upstream(&mut bridge, &asks(id, 1_000_000)).is_empty());
    }
    refused(&upstream(&mut bridge, &asks(103, 3_000_000)), 103);
    for id in 104..133 {
        assert!(upstream(&mut bridge, &asks(id, 1)).is_empty(), "{id}");
    }
    refused(&upstream(&mut bridge, &asks(133, 1)), 133);
    // Nor is there room for its answer, which becomes an error.
    assert!(upstream(&mut bridge, &answer(&json!(2), &json!({"x": "x".repeat(3_000_000)}))).is_empty());
    let mut again = call;
    again["requestState"] = state;
    again["inputResponses"] = json!({"q0": {"roots": []}});
    let steps = client(&mut bridge, &modern(3, "tools/call", &again));
    let (to, last) = steps.last().unwrap();
    assert_eq!((*to, &last["id"], &last["error"]["code"]), ('c', &json!(3), &json!(-32603)), "{last}");
    // Then there is room again.
    client(&mut bridge, &modern(4, "tools/call", &json!({"name": "u"})));
    assert_eq!(upstream(&mut bridge, &asks(200, 1))[0].1["result"]["resultType"], "input_required");
    assert!(upstream(&mut bridge, &asks(201, 3_000_000)).is_empty());
}

#[test]
fn a_client_of_2026_need_not_ask_who_the_server_is() {
    let mut bridge = Bridge::new(true);
    let steps = client(&mut bridge, &modern(1, "tools/list", &json!({})));
    assert_eq!((steps.len(), &steps[0].1["method"]), (1, &json!("server/discover")));
    let id = steps[0].1["id"].clone();
    let refused = json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32602, "message": "initialise first"}});
    let hello = upstream(&mut bridge, &refused).remove(0).1;
    let steps = upstream(&mut bridge, &answer(&hello["id"], &json!({"capabilities": {}})));
    let last = &steps.last().unwrap().1;
    assert_eq!((&last["id"], &last["method"]), (&json!(1), &json!("tools/list")), "{steps:?}");
    assert!(last["params"]["_meta"].is_null(), "{last}");
    let steps = upstream(&mut bridge, &answer(&json!(1), &json!({"tools": []})));
    assert_eq!((&steps[0].1["result"]["ttlMs"], &steps[0].1["id"]), (&json!(0), &json!(1)));
}

#[test]
fn changes_reach_the_subscriptions_that_are_for_them() {
    let mut bridge = Bridge::new(true);
    client(&mut bridge, &modern(1, "server/discover", &json!({})));
    let hello = upstream(&mut bridge, &json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": ""}}));
    upstream(&mut bridge, &answer(&hello[0].1["id"], &json!({"capabilities": {}})));
    let changed = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
    assert_eq!(upstream(&mut bridge, &&changed), []);
    let listen = json!({"notifications": {"toolsListChanged": true}});
    let steps = client(&mut bridge, &modern(5, "subscriptions/listen", &listen));
    assert_eq!(steps[0].1["method"], "notifications/subscriptions/acknowledged");
    let steps = upstream(&mut bridge, &&changed);
    assert_eq!(steps[0].1["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 5);
    client(&mut bridge, &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}}));
    assert_eq!(upstream(&mut bridge, &&changed), []);
}

#[test]
fn a_client_with_handshake_reaches_a_server_without_one() {
    let mut bridge = Bridge::new(true);
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {"sampling": {}}, "clientInfo": {"name": "c", "version": "1"}}});
    client(&mut bridge, &hello);
    let steps =
        upstream(&mut bridge, &json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32022, "message": "too old"}}));
    let discover = &steps[0].1;
    assert_eq!(discover["method"], "server/discover");
    let found = json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {"listChanged": true}},
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "s", "version": "2"}}});
    let steps = upstream(&mut bridge, &answer(&discover["id"], &found));
    let welcome = &steps[0].1["result"];
    assert_eq!((&welcome["protocolVersion"], &welcome["serverInfo"]["name"]), (&json!("2025-06-18"), &json!("s")));
    let steps = client(&mut bridge, &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    assert_eq!(steps[0].1["params"]["notifications"], json!({"toolsListChanged": true}));
    assert_eq!(client(&mut bridge, &json!({"jsonrpc": "2.0", "id": 7, "method": "ping"}))[0].0, 'c');
    client(&mut bridge, &json!({"jsonrpc": "2.0", "id": 8, "method": "logging/setLevel", "params": {"level": "info"}}));
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "t"}});
    let steps = client(&mut bridge, &call);
    let meta = &steps[0].1["params"]["_meta"];
    assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], json!({"sampling": {}}));
    assert_eq!(meta["io.modelcontextprotocol/logLevel"], "info");
    let needed = json!({"resultType": "input_required", "requestState": "s1",
        "inputRequests": {"a": {"method": "sampling/createMessage", "params": {"maxTokens": 5}}}});
    let steps = upstream(&mut bridge, &answer(&json!(2), &needed));
    let asked = &steps[0].1;
    assert_eq!((steps[0].0, &asked["method"]), ('c', &json!("sampling/createMessage")));
    let steps = client(&mut bridge, &answer(&asked["id"], &json!({"role": "assistant"})));
    let again = &steps[0].1;
    assert_eq!(again["params"]["inputResponses"], json!({"a": {"role": "assistant"}}));
    assert_eq!((&again["params"]["requestState"], &again["params"]["name"]), (&json!("s1"), &json!("t")));
    let steps = upstream(&mut bridge, &answer(&again["id"], &json!({"resultType": "complete", "content": []})));
    assert_eq!(steps, [('c', answer(&json!(2), &json!({"content": []})))]);
}

#[test]
fn a_server_that_knows_neither_beginning_is_said_to() {
    let mut bridge = Bridge::new(true);
    client(&mut bridge, &modern(1, "tools/list", &json!({})));
    let refused = |id: &Value| json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32603, "message": "no"}});
    let hello = upstream(&mut bridge, &refused(&json!("haldir.1"))).remove(0).1;
    let steps = upstream(&mut bridge, &refused(&hello["id"]));
    assert_eq!((steps.len(), &steps[0].1["id"], &steps[0].1["error"]["code"]), (1, &json!(1), &json!(-32603)));
}

#[test]
fn a_server_that_ends_is_tried_once_in_the_other_way_and_then_said_to_have_ended() {
    let mut bridge = Bridge::new(false);
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}});
    client(&mut bridge, &hello);
    let discover: Value = serde_json::from_str(&bridge.upstream_ended("it ended: why").unwrap()).unwrap();
    assert_eq!(discover["method"], "server/discover");
    assert!(bridge.upstream_ended("it ended again").is_none());
    // What the exchange says of the request that the server had.
    let ended = |id: &Value| json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32603, "message": "it ended"}});
    assert_eq!(upstream(&mut bridge, &ended(&json!(1))), []);
    let steps = upstream(&mut bridge, &ended(&discover["id"]));
    let told = &steps[0].1;
    assert_eq!((steps.len(), &told["id"], &told["error"]["message"]), (1, &json!(1), &json!("it ended: why")));
}

#[test]
fn whoever_waits_for_a_server_that_is_given_up_is_told_so() {
    let mut bridge = Bridge::new(true);
    client(&mut bridge, &modern(1, "tools/list", &json!({})));
    client(&mut bridge, &modern(2, "prompts/list", &json!({})));
    let told = shown(bridge.give_up("it does not run"));
    let ids: Vec<_> = told.iter().map(|(to, message)| (*to, message["id"].clone())).collect();
    assert_eq!(ids, [('c', json!(1)), ('c', json!(2))]);
    assert!(bridge.give_up("it does not run").is_empty());
}

#[test]
fn a_client_that_may_know_the_handshake_hears_that_it_is_needed() {
    let mut bridge = Bridge::new(false);
    client(&mut bridge, &modern(1, "server/discover", &json!({})));
    let refused = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "what?"}});
    assert_eq!(upstream(&mut bridge, &&refused), [('c', refused.clone())]);
    let hello = json!({"jsonrpc": "2.0", "id": 2, "method": "initialize", "params": {}});
    assert_eq!(client(&mut bridge, &&hello), [('u', hello.clone())]);
    // One that does not know it goes on without.
    let mut bridge = Bridge::new(false);
    client(&mut bridge, &modern(1, "server/discover", &json!({})));
    upstream(&mut bridge, &&refused);
    let hello = client(&mut bridge, &modern(2, "tools/list", &json!({}))).remove(0).1;
    assert_eq!(hello["method"], "initialize");
    let steps = upstream(&mut bridge, &answer(&hello["id"], &json!({"capabilities": {}})));
    assert_eq!(steps.last().unwrap().1["method"], "tools/list");
}

#[test]
fn a_log_level_that_there_is_not_goes_to_no_server() {
    let mut bridge = Bridge::new(true);
    client(&mut bridge, &modern(1, "server/discover", &json!({})));
    let refused = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "what?"}});
    let hello = upstream(&mut bridge, &refused)[0].1["id"].clone();
    let welcome =
        json!({"protocolVersion": "2025-03-26", "capabilities": {"logging": {}}, "serverInfo": {"name": "s"}});
    upstream(&mut bridge, &answer(&hello, &welcome));
    let mut ask = |level: &Value| {
        let mut call = modern(2, "tools/call", &json!({"name": "t", "arguments": {}}));
        call["params"]["_meta"]["io.modelcontextprotocol/logLevel"] = level.clone();
        client(&mut bridge, &call)
    };
    for wrong in [json!("loud"), json!(3)] {
        let steps = ask(&wrong);
        assert_eq!((steps[0].0, &steps[0].1["error"]["code"]), ('c', &json!(-32602)), "{steps:?}");
    }
    assert_eq!(ask(&json!("notice"))[0].1["params"], json!({"level": "notice"}));

    let mut bridge = Bridge::new(false);
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}});
    client(&mut bridge, &hello);
    let refused = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32022, "message": "what?"}});
    let discover = upstream(&mut bridge, &refused)[0].1["id"].clone();
    let found = json!({"supportedVersions": ["2026-07-28"], "capabilities": {"logging": {}}});
    assert_eq!(upstream(&mut bridge, &answer(&discover, &found))[0].0, 'c');
    let set =
        |level: &str| json!({"jsonrpc": "2.0", "id": 2, "method": "logging/setLevel", "params": {"level": level}});
    assert_eq!(client(&mut bridge, &set("loud"))[0].1["error"]["code"], -32602);
    assert_eq!(client(&mut bridge, &set("error"))[0].1["result"], json!({}));
    let list = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/list"});
    let asked = client(&mut bridge, &list);
    assert_eq!(asked[0].1["params"]["_meta"]["io.modelcontextprotocol/logLevel"], "error", "{asked:?}");
}
