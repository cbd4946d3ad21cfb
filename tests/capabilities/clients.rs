//! What agent frameworks and command-line agents need of a server besides the protocol: names and schemas that model APIs
//! and converters take, sessions without connections, and lists that hold what may be called.

use serde_json::Value;

use crate::{
    proxy::{add_policy, call, carried_out, register},
    support::{
        Answer, Client, Events, House, Server, json,
        program::{Lines, upstream_program},
        refusal_in, text, until,
        upstream::{Upstream, tool},
    },
    transparent::{register_at, running},
};

/// A key of an agent's, and what it lists over MCP.
fn agent(operator: &Client) -> Client {
    operator.mint(&json!({"role": "agent"}))
}

fn listed(client: &Client) -> Vec<Value> {
    let list = client.post_text("/mcp", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).ok();
    list["result"]["tools"].as_array().unwrap().clone()
}

fn names(client: &Client) -> Vec<String> {
    listed(client).iter().map(|tool| text(tool, "name")).collect()
}

/// The text of a result that is no error.
#[track_caller]
fn made(result: &Value) -> String {
    assert_ne!(result["isError"], true, "{result}");
    text(&result["content"][0], "text")
}

#[test]
fn every_tool_is_listed_under_a_name_that_model_apis_take_and_is_called_by_it() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo"), tool("get.page"), tool(&"x".repeat(100))]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    register(&operator, "a__b_", &upstream);
    let agent = agent(&operator);
    agent.tool("createSession", &json!({"agent_id": "a", "scopes": ["execute"]}));
    let names = names(&agent);
    assert_eq!(names.len(), 16, "{names:?}");
    assert!(names.contains(&"up__echo".to_owned()), "{names:?}");
    for (n, name) in names.iter().enumerate() {
        let fits =
            (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
        assert!(fits, "{name}");
        if n >= 10 {
            let answer = agent.tool_text(name, &json!({"n": n}).to_string()).json();
            assert_eq!(answer["result"]["content"][0]["text"], json!({"n": n}).to_string(), "{name}: {answer}");
        }
    }
    for alias in ["up.echo", "up.get.page", "a__b_.echo", "a__b___echo"] {
        assert_eq!(made(&agent.tool(alias, &json!({}))), "{}", "{alias}");
    }
    assert_eq!(agent.tool_text("echo", "{}").json()["error"]["code"], -32602, "two have one of this name");
    let logged = operator.get("/v1/audit?limit=1000").ok();
    let tools: Vec<_> = logged["entries"].as_array().unwrap().iter().map(|entry| text(entry, "tool")).collect();
    let by_one_name = tools.contains(&"up.get.page".to_owned()) && !tools.iter().any(|tool| tool.starts_with("up__"));
    assert!(by_one_name, "{tools:?}");
}

#[test]
fn an_operator_may_have_dotted_names_listed() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let mut command = house.serving();
    command.args(["--tool-names", "dotted"]);
    let server = Server::start(command);
    let operator = server.first_key();
    register(&operator, "up", &upstream);
    assert!(names(&operator).contains(&"up.echo".to_owned()));
    let session = operator.session(&json!({"scopes": ["execute"]}));
    assert_eq!(carried_out(&call(&operator, &session, "up__echo", &json!({}))), "{}");
}

#[test]
fn a_rule_with_the_name_that_agents_see_is_about_that_tool() {
    let (house, upstream) = (House::new(), Upstream::new([tool("wipe"), tool("get.page"), tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let shortened = names(&operator).into_iter().find(|name| name.starts_with("up__get_page_")).unwrap();
    for rule in ["up__wipe", &shortened] {
        add_policy(&operator, &json!({"type": "block_tool", "tool": rule}));
    }
    let session = operator.session(&json!({"scopes": ["execute"]}));
    for name in ["wipe", "up.wipe", "up__wipe", "up.get.page", &shortened] {
        call(&operator, &session, name, &json!({})).refused(403, "policy_denied");
    }
    assert_eq!(carried_out(&call(&operator, &session, "up__echo", &json!({}))), "{}");
}

/// Every property of a schema is in one of the forms that converters of frameworks read.
fn is_plain(place: &str, schema: &Value, within_alternatives: bool) {
    assert!(schema.get("$ref").is_none() && schema.get("oneOf").is_none(), "{place}: {schema}");
    let format = schema["format"].as_str().unwrap_or_default();
    assert!(!format.starts_with("int") && !format.starts_with("uint") && format != "double", "{place}: {schema}");
    match (&schema["type"], schema["anyOf"].as_array()) {
        (Value::String(_), None) => {}
        (Value::Null, Some(alternatives)) => {
            assert!(!within_alternatives, "{place}: alternatives within alternatives: {schema}");
            for one in alternatives {
                is_plain(place, one, true);
            }
        }
        _ => panic!("{place} has no type of its own: {schema}"),
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        is_plain(&format!("{place}.{name}"), property, false);
    }
}

#[test]
fn no_own_tool_has_a_schema_that_converters_cannot_read() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    for tool in listed(&operator) {
        let name = text(&tool, "name");
        let schema = &tool["inputSchema"];
        assert!(schema.get("description").is_none(), "{name} says everything twice");
        assert_eq!(schema["type"], "object");
        let required: Vec<_> = schema["required"].as_array().into_iter().flatten().collect();
        for (field, property) in schema["properties"].as_object().unwrap() {
            is_plain(&format!("{name}.{field}"), property, false);
            let may_be_null = property["anyOf"].as_array().is_some_and(|all| all.contains(&json!({"type": "null"})));
            assert_eq!(may_be_null, !required.contains(&&json!(field)), "{name}.{field}");
        }
        let whole = tool["outputSchema"].to_string();
        for form in ["\"uint\"", "\"int64\"", "$ref", "\"oneOf\"", "\"const\"", "[\"string\",\"null\"]"] {
            assert!(!whole.contains(form), "{name} answers {form}: {whole}");
        }
    }
}

#[test]
fn what_says_nothing_is_as_good_as_left_out() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let fields = json!({
        "agent_id": "a", "scopes": null, "ttl": null, "parent_session_id": "", "idempotency_key": "", "spend_limit": null,
    });
    let session = operator.tool("createSession", &fields)["structuredContent"]["session_id"].clone();
    assert!(session.is_string(), "{session}");
    let secret = json!({"name": "s", "value": "v", "disclosure": null, "scope_required": "", "idempotency_key": null});
    assert_eq!(operator.tool("storeSecret", &secret)["structuredContent"]["stored"], true);
    let all = json!({"session_id": "", "agent_id": "", "tool": null, "since": "", "until": null, "limit": null, "cursor": ""});
    assert_eq!(operator.tool("getAuditTrail", &all)["isError"], false);
    // What is no text is not left out for a text that says nothing, nor what is required.
    for wrong in [json!({"agent_id": "a", "spend_limit": ""}), json!({"agent_id": ""}), json!({"agent_id": null})] {
        assert_eq!(refusal_in(&operator.tool("createSession", &wrong))["code"], "invalid_argument", "{wrong}");
    }
}

#[test]
fn a_cost_that_is_reported_in_binary_is_rounded_and_said_to_be() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = operator.session(&json!({"scopes": ["read", "spend"]}));
    let log = |cost: &str| {
        let body = format!(r#"{{"session_id":"{session}","action":"x","cost_usd":{cost}}}"#);
        operator.post_text("/v1/audit", &body)
    };
    let logged = log("0.009000000000000001").ok();
    assert_eq!((logged["cost_usd"].as_f64(), &logged["cost_rounded"]), (Some(0.009), &json!(true)), "{logged}");
    assert_eq!(log("0.5").ok()["cost_rounded"], false);
    log("1e300").refused_field(400, "invalid_argument", "cost_usd");
    operator.pay(&session, "0.009000000000000001").refused_field(400, "invalid_argument", "amount");
    let spend = operator.get(&format!("/v1/audit/spend?session_id={session}")).ok();
    assert_eq!(spend["total_usd"].as_f64(), Some(0.509));
    operator.get("/v1/audit/spend?session_id=ses_unknown").refused(404, "not_found");
}

#[test]
fn a_session_holds_for_clients_that_keep_no_connection() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let (one, other) = (agent(&operator), agent(&operator));
    let first = refusal_in(&one.tool("up__echo", &json!({})));
    assert!(text(&first, "error").contains("createSession") && text(&first, "error").contains("session_id"), "{first}");
    let made_by = |client: &Client, agent: &str| {
        let fields = json!({"agent_id": agent, "scopes": ["execute", "read"], "spend_limit": 5});
        text(&client.tool("createSession", &fields)["structuredContent"], "session_id")
    };
    let session = made_by(&one, "one");
    assert_eq!(made(&one.again().tool("up__echo", &json!({"n": 1}))), r#"{"n":1}"#);
    // Own tools go on in it too; a session that is named goes before it.
    assert_eq!(one.tool("getSession", &json!({}))["structuredContent"]["session_id"], json!(session));
    assert_eq!(one.tool("checkPermission", &json!({"scope": "read"}))["structuredContent"]["allowed"], true);
    let named = operator.session(&json!({"scopes": ["read"]}));
    let asked = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"getSession","arguments":{}}}"#;
    let by_header = one.send("POST", "/mcp", &[("X-Session-ID", &named)], asked).ok();
    assert_eq!(by_header["result"]["structuredContent"]["session_id"], json!(named), "{by_header}");
    let in_meta =
        asked.replace(r#""arguments""#, &format!(r#""_meta":{{"io.haldir/session_id":"{named}"}},"arguments""#));
    let in_meta = one.post_text("/mcp", &in_meta).ok();
    assert_eq!(in_meta["result"]["structuredContent"]["session_id"], json!(named), "{in_meta}");
    // It is this key's alone, and ends with its end.
    assert_eq!(refusal_in(&other.tool("up__echo", &json!({})))["code"], "session_invalid");
    one.tool("revokeSession", &json!({}));
    assert!(text(&refusal_in(&one.tool("up__echo", &json!({}))), "error").contains("names no session"));
    let logged = operator.get(&format!("/v1/audit?session_id={session}&tool=up.echo")).ok();
    assert_eq!(logged["entries"][0]["agent_id"], "one", "{logged}");
}

#[test]
fn an_agent_ends_the_session_that_it_made_and_never_by_default_that_of_its_process() {
    let house = House::new();
    let stdio = house.stdio();
    let bound = text(&stdio.tool("getSession", &json!({}))["structuredContent"], "session_id");
    let made = stdio.session(&json!({"scopes": ["read"]}));
    assert_eq!(stdio.tool("revokeSession", &json!({}))["structuredContent"]["session_id"], json!(made));
    assert_eq!(refusal_in(&stdio.tool("revokeSession", &json!({})))["field"], "session_id");
    let now = stdio.tool("getSession", &json!({}));
    assert_eq!(now["structuredContent"]["session_id"], json!(bound));
    assert_eq!(now["structuredContent"]["is_valid"], true, "{now}");
}

#[test]
fn a_session_among_the_arguments_of_an_upstreams_tool_is_used_and_does_not_leave() {
    let own =
        json!({"name": "resume", "inputSchema": {"type": "object", "properties": {"session_id": {"type": "string"}}}});
    let (house, upstream) = (House::new(), Upstream::new([tool("echo"), own]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let agent = agent(&operator);
    let session = agent.session(&json!({"scopes": ["execute"], "agent_id": "named"}));
    let arguments = json!({"n": 1, "session_id": session});
    assert_eq!(made(&agent.tool("up__echo", &arguments)), r#"{"n":1}"#);
    assert!(upstream.calls().iter().all(|call| !call.body.contains(&session)), "the upstream could act in the session");
    // A tool that has an argument of this name has it for itself.
    assert_eq!(refusal_in(&agent.tool("up__resume", &arguments))["code"], "session_invalid");
    agent.tool("createSession", &json!({"agent_id": "b", "scopes": ["execute"]}));
    assert!(made(&agent.tool("up__resume", &arguments)).contains(&session));
}

#[test]
fn odd_definitions_are_listed_as_every_client_can_read_them() {
    let odd = [
        json!({"name": "none", "inputSchema": {}}),
        json!({"name": "text", "inputSchema": {"type": "string"}}),
        json!({"name": "any", "inputSchema": {"anyOf": [{"properties": {"a": {"type": "int"}}}, {"properties": {"b": {}}}]}}),
        json!({"name": "hints", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": "yes"}, "title": 7}),
        json!({"name": "out", "inputSchema": {"type": "object"}, "outputSchema": {"type": "object", "properties": {"n": {"type": "int"}}}}),
    ];
    let (house, upstream) = (House::new(), Upstream::new(odd));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let tools = listed(&operator);
    let of = |name: &str| {
        tools.iter().find(|tool| tool["name"] == format!("up__{name}")).unwrap_or_else(|| panic!("{name}"))
    };
    for name in ["none", "text", "any", "hints", "out"] {
        let schema = &of(name)["inputSchema"];
        assert_eq!(schema["type"], "object", "{name}");
        assert!(schema["properties"].is_object() && schema.get("anyOf").is_none(), "{name}: {schema}");
        jsonschema::draft202012::new(schema).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert_eq!(of("any")["inputSchema"]["properties"]["a"]["type"], "integer");
    assert!(of("hints").get("title").is_none() && of("out").get("outputSchema").is_none());
    let session = operator.session(&json!({"scopes": ["execute"]}));
    assert_eq!(carried_out(&call(&operator, &session, "up__text", &json!({}))), "{}");
}

#[test]
fn tools_that_an_agent_may_not_call_are_not_listed_on_any_way_in() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo"), tool("wipe")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let agent = agent(&operator);
    let direct = |headers: &[(&str, &str)]| {
        let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
        let headers = [&[("Accept", "application/json, text/event-stream")], headers].concat();
        agent.send("POST", "/mcp/up", &headers, list).text
    };
    let over_rest = |path: &str| agent.get(path).ok()["tools"].to_string();
    assert!(names(&agent).contains(&"up__wipe".to_owned()) && direct(&[]).contains("wipe"));
    let policy = add_policy(&operator, &json!({"type": "block_tool", "tool": "wipe"}));
    assert!(!names(&agent).contains(&"up__wipe".to_owned()) && names(&agent).contains(&"up__echo".to_owned()));
    assert!(!direct(&[]).contains("wipe") && direct(&[]).contains("echo"));
    assert!(!over_rest("/v1/proxy/tools").contains("wipe"));
    assert!(operator.get("/v1/proxy/tools").ok()["tools"].to_string().contains("wipe"), "an operator sees all");
    operator.delete(&format!("/v1/proxy/policies/{policy}")).ok();
    // By the scopes of the session that its calls are made in.
    agent.tool("createSession", &json!({"agent_id": "a", "scopes": ["execute:up:echo"]}));
    assert!(!names(&agent).contains(&"up__wipe".to_owned()) && names(&agent).contains(&"up__echo".to_owned()));
    agent.tool("createSession", &json!({"agent_id": "a", "scopes": ["read"]}));
    assert_eq!(names(&agent).len(), 10);
}

#[test]
fn a_client_is_told_when_a_policy_changes_what_it_may_call() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo"), tool("wipe")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let mut command = house.program();
    command.args(["--allow-private", "127.0.0.1"]);
    let mut client = Lines::begun(command);
    client.ask("tools/list", &json!({}));
    add_policy(&operator, &json!({"type": "deny_list", "tools": ["wipe"]}));
    let told: Value = serde_json::from_str(&client.line()).unwrap();
    assert_eq!(told["method"], LIST_CHANGED, "{told}");
    let list = client.ask("tools/list", &json!({})).pop().unwrap();
    assert!(!list.contains("up__wipe") && list.contains("up__echo"), "{list}");
}

const LIST_CHANGED: &str = "notifications/tools/list_changed";

#[test]
fn a_wrapped_client_is_told_when_a_policy_changes_what_it_may_call() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let mut command = house.program();
    command.args(["wrap", "--name", "files", "--"]).arg(upstream_program()).arg("--stdio");
    let mut wrapped = Lines::start(command);
    let hello = wrapped.begin().pop().unwrap();
    assert!(hello.contains(r#""listChanged":true"#), "{hello}");
    assert!(wrapped.ask("tools/list", &json!({})).pop().unwrap().contains("\"echo\""));
    let policy = add_policy(&operator, &json!({"type": "deny_list", "tools": ["echo"]}));
    while !wrapped.line().contains(LIST_CHANGED) {}
    assert!(!wrapped.ask("tools/list", &json!({})).pop().unwrap().contains("\"echo\""));
    operator.delete(&format!("/v1/proxy/policies/{policy}")).ok();
    while !wrapped.line().contains(LIST_CHANGED) {}
    assert!(wrapped.ask("tools/list", &json!({})).pop().unwrap().contains("\"echo\""));
    assert!(wrapped.leave().0);
}

#[test]
fn a_client_of_one_upstream_is_told_when_a_policy_changes_what_it_may_call() {
    let house = House::new();
    let ((_upstream, url), (server, operator)) = (running(), house.serve_operator());
    register_at(&operator, "web", &url);
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}});
    let both = ("Accept", "application/json, text/event-stream");
    let begun = operator.send("POST", "/mcp/web", &[both], &hello.to_string());
    assert!(begun.text.contains(r#""listChanged":true"#), "{}", begun.text);
    let id = begun.header("mcp-session-id").unwrap().to_owned();
    let headers = [("Mcp-Session-Id", id.as_str()), ("MCP-Protocol-Version", "2025-06-18")];
    let list = || {
        let headers = [both, headers[0], headers[1]];
        operator.send("POST", "/mcp/web", &headers, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).text
    };
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert!(operator.send("POST", "/mcp/web", &[both, headers[0], headers[1]], initialized).status < 300);
    assert!(list().contains("\"echo\""));
    let mut events = Events::listen(&server, operator.key(), "/mcp/web", &headers);
    events.begun();
    add_policy(&operator, &json!({"type": "deny_list", "tools": ["echo"]}));
    while events.next()["method"] != LIST_CHANGED {}
    assert!(!list().contains("\"echo\""));
}

#[test]
fn an_unknown_tool_is_answered_with_those_that_there_are() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let agent = agent(&operator);
    agent.tool("createSession", &json!({"agent_id": "a", "scopes": ["execute"]}));
    let answer: Answer = agent.tool_text("up__ech", "{}");
    let message = text(&answer.json()["error"], "message");
    assert!(
        message.contains("up__echo") && message.contains("createSession") && !message.contains("/v1/"),
        "{message}"
    );
}

#[test]
fn a_wrapped_agent_whose_session_has_ended_is_told_what_it_can_do() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let mut command = house.program();
    command.args(["wrap", "--name", "files", "--"]).arg(upstream_program()).arg("--stdio");
    let mut wrapped = Lines::begun(command);
    assert_ne!(wrapped.call("echo", &json!({}))["result"]["isError"], true);
    let sessions = operator.get("/v1/sessions?limit=100").ok();
    let bound = sessions["sessions"].as_array().unwrap().iter().find(|one| one["agent_id"] == "local-agent").unwrap();
    operator.delete(&format!("/v1/sessions/{}", text(bound, "session_id"))).ok();
    until("the session has ended", || wrapped.call("echo", &json!({}))["result"]["isError"] == true);
    let told = refusal_in(&wrapped.call("echo", &json!({}))["result"]);
    assert!(text(&told, "error").contains("start it anew") && !told.to_string().contains("create a new one"), "{told}");
}
