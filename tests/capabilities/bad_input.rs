//! Whatever a caller sends: a clear answer, nothing changed, and the next call works.

use haldir::operations::{self, Method, Operation};
use serde_json::Value;

use crate::support::{Answer, Client, House, json, long, raw_exchange, refusal_in, text};

/// JSON text, or what claims to be, that is put into every field of every operation.
fn garbage() -> Vec<String> {
    let fixed = [
        "null",
        "true",
        "false",
        "0",
        "1",
        "-1",
        "-0.5",
        "1.5",
        "1e300",
        "-1e300",
        "1e-300",
        "1E400",
        "9223372036854775808",
        "-9223372036854775809",
        "0.100000000000000000000000000001",
        "123456789012345678901234567890",
        "\"\"",
        "\" \"",
        "\"x\"",
        "\"1\"",
        "\"\\u0000\"",
        "\"a\\u0000b\"",
        "\"\\ud800\"",
        "\"\\udc00x\"",
        "\"../secrets/q\"",
        "\"%00\"",
        "\"\u{202e}\u{feff}\"",
        "\"'; DROP TABLE sessions; --\"",
        "\"{{}}\"",
        "[]",
        "{}",
        "[null]",
        "[[]]",
        "{\"a\":1}",
        "[\"read\",1]",
        "{\"$ref\":\"#\"}",
        "NaN",
        "Infinity",
        "-",
        "'x'",
        "undefined",
        "\"",
        "{",
        "[1,",
    ];
    let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_objects = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let long = format!("\"{}\"", "x".repeat(1_000_000));
    let digits = "9".repeat(100_000);
    fixed.into_iter().map(str::to_owned).chain([nested, deep_objects, long, digits]).collect()
}

/// What is put into the field of this number: usually every fourth text, so that several fields have all of them together;
/// at length each of them.
fn garbage_for(field: usize, garbage: &[String]) -> impl Iterator<Item = &String> {
    let every = long(4, 1);
    garbage.iter().skip(field % every).step_by(every)
}

/// The shortest good input of an operation that its schema asks for, each field as JSON text.
fn base(operation: &Operation, session: &str) -> Vec<(String, String)> {
    let schema = operation.input_schema().to_value();
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    // Which fields a policy needs depends on its type.
    let is_policy = matches!(operation.name, "addProxyPolicy" | "testProxyPolicy");
    let further = is_policy.then(|| ("max_per_minute".to_owned(), "5".to_owned()));
    required
        .map(|field| {
            let value = match field {
                // The session is still needed.
                "session_id" if operation.name == "revokeSession" => json!("none"),
                "session_id" => json!(session),
                "amount" | "webhook_id" | "first" => json!(1),
                "tile" => json!("0/000.p/1"),
                "url" => json!("https://receiver.invalid/x"),
                "retain_days" => json!(36_500),
                "name" | "value" | "action" | "agent_id" | "scope" => json!("x"),
                "entry_id" | "authorization_id" | "prefix" | "request_id" | "rule_id" | "schedule_id" | "tool"
                | "policy_id" | "tenant_id" => json!("none"),
                "tier" => json!("pro"),
                "cadence" => json!("daily"),
                "delivery" => json!("webhook:1"),
                "confirm" => json!(true),
                "type" if is_policy => json!("rate_limit"),
                "type" => json!("destructive"),
                other => match &schema["properties"][other]["examples"][0] {
                    Value::Null => panic!("{}.{other} has no example here, nor in its schema", operation.name),
                    example => example.clone(),
                },
            };
            (field.to_owned(), value.to_string())
        })
        .chain(further)
        .collect()
}

fn fields(operation: &Operation) -> Vec<String> {
    let schema = operation.input_schema().to_value();
    schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

fn object(fields: &[(String, String)]) -> String {
    let members: Vec<_> = fields.iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
    format!("{{{}}}", members.join(","))
}

/// What belongs into an URL for this JSON text: a string's own text.
fn in_url(value: &str) -> String {
    let plain = serde_json::from_str::<String>(value).unwrap_or_else(|_| value.to_owned());
    let plain: String = plain.chars().take(5_000).collect();
    percent_encoding::utf8_percent_encode(&plain, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn over_rest(client: &Client, operation: &Operation, mut input: Vec<(String, String)>) -> Answer {
    let mut path = operation.path.replace("{*", "{");
    for field in operation.path_fields() {
        let value = input.iter().position(|(name, _)| name == field).map(|at| input.remove(at).1);
        path = path.replace(&format!("{{{field}}}"), &in_url(&value.unwrap_or_default()));
    }
    if operation.method.has_body() {
        return client.send(operation.method.as_str(), &path, &[], &object(&input));
    }
    let query: Vec<_> = input.iter().map(|(name, value)| format!("{name}={}", in_url(value))).collect();
    client.send(operation.method.as_str(), &format!("{path}?{}", query.join("&")), &[], "")
}

/// A refusal in the shape of all refusals, never a fault of the server's.
#[track_caller]
fn is_clear(answer: &Answer, what: &str) {
    let shown: String = what.chars().take(300).collect();
    assert!(answer.status < 500, "{shown}: {} {}", answer.status, answer.text);
    if answer.status < 400 {
        return;
    }
    // hyper itself answers a head that is too large, without a body.
    if answer.status == 431 || answer.status == 414 {
        return;
    }
    let body = answer.json();
    assert!(!text(&body, "error").is_empty() && !text(&body, "code").is_empty(), "{shown}: {body}");
    assert!(answer.text.len() < 3_000, "{shown}: the answer repeats what was sent");
}

/// How far a call may have moved the log: an understood call by its entries, a refusal by one, nonsense not at all.
fn left_no_trace(answer: &Answer) -> bool {
    matches!(answer.status, 400 | 404 | 405 | 408 | 409 | 413 | 414 | 415 | 422 | 431)
}

#[test]
fn garbage_in_any_field_of_any_operation_is_refused_clearly_over_rest() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = operator.session(&json!({"scopes": ["read", "spend"], "ttl": 0}));
    let (garbage, mut number, mut size) = (garbage(), 0, operator.log_size());
    for operation in operations::all() {
        let accepts = jsonschema::draft202012::new(&operation.input_schema().to_value()).unwrap();
        for field in fields(operation).into_iter().chain(["unknown".to_owned()]) {
            number += 1;
            for value in garbage_for(number, &garbage) {
                let mut input = base(operation, &session);
                input.retain(|(name, _)| *name != field);
                input.push((field.clone(), value.clone()));
                let what = format!("{}.{field} = {value}", operation.name);
                let answer = over_rest(&operator, operation, input.clone());
                is_clear(&answer, &what);
                let before = std::mem::replace(&mut size, operator.log_size());
                if left_no_trace(&answer) {
                    assert_eq!(size, before, "{what:.300} left a trace");
                }
                let in_body = operation.method.has_body() && operation.path_fields().all(|path| path != field);
                if answer.status < 400 && in_body {
                    let sent: Value = serde_json::from_str(&object(&input)).unwrap();
                    assert!(accepts.is_valid(&sent), "{what:.300} was accepted against its schema");
                }
                if answer.status == 400 && in_body && serde_json::from_str::<Value>(value).is_ok() {
                    let body = answer.json();
                    let named = body["field"].as_str().unwrap_or_default();
                    assert!(named.starts_with(&field), "{what:.300}: names {named:?}: {body}");
                }
            }
        }
        for missing in base(operation, &session) {
            if operation.path_fields().any(|field| field == missing.0) {
                continue;
            }
            let mut input = base(operation, &session);
            input.retain(|(name, _)| *name != missing.0);
            let code = if missing.0 == "confirm" { "confirmation_required" } else { "invalid_argument" };
            over_rest(&operator, operation, input).refused_field(400, code, &missing.0);
        }
        size = operator.log_size();
    }
    operator.log(&session, "goes on").ok();
    operator.verified();
}

/// A tool's answer over either transport: a result, or an error of the protocol.
#[track_caller]
fn is_clear_rpc(answer: &Value, what: &str) {
    let shown: String = what.chars().take(300).collect();
    assert_eq!(answer["jsonrpc"], "2.0", "{shown}: {answer}");
    if let Some(code) = answer["error"]["code"].as_i64() {
        assert!([-32700, -32600, -32601, -32602].contains(&code), "{shown}: {answer}");
        assert!(!text(&answer["error"], "message").is_empty());
    } else if answer["result"]["isError"] == true {
        let said = refusal_in(&answer["result"]);
        assert!(!text(&said, "code").is_empty() && said["code"] != "internal", "{shown}: {said}");
    } else {
        assert!(answer["result"].is_object(), "{shown}: {answer}");
    }
}

fn garbage_calls(session: &str) -> Vec<(&'static str, String)> {
    let (garbage, mut calls, mut number) = (garbage(), Vec::new(), 0);
    for operation in operations::all().iter().filter(|operation| operation.tool.is_some()) {
        let extra = ["unknown".to_owned(), "idempotency_key".to_owned()];
        for field in fields(operation).into_iter().chain(extra) {
            number += 1;
            for value in garbage_for(number, &garbage) {
                let mut input = base(operation, session);
                input.retain(|(name, _)| *name != field);
                input.push((field.clone(), value.clone()));
                calls.push((operation.name, object(&input)));
            }
        }
        number += 1;
        calls.extend(garbage_for(number, &garbage).map(|arguments| (operation.name, arguments.clone())));
    }
    calls
}

#[test]
fn garbage_in_any_argument_of_any_tool_is_refused_clearly_over_http() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = operator.session(&json!({"scopes": ["read", "spend"], "ttl": 0}));
    let mut size = operator.log_size();
    for (name, arguments) in garbage_calls(&session) {
        let answer = operator.tool_text(name, &arguments);
        let what = format!("{name} {arguments}");
        assert!(answer.status < 500, "{what:.300}: {}", answer.text);
        if answer.status == 413 {
            continue;
        }
        is_clear_rpc(&answer.json(), &what);
        let refused = answer.text.contains("invalid_argument") || answer.text.contains("malformed_json");
        let before = std::mem::replace(&mut size, operator.log_size());
        if refused || answer.status == 400 {
            assert_eq!(size, before, "{what:.300} left a trace");
        }
    }
    operator.log(&session, "goes on").ok();
    operator.verified();
}

#[test]
fn garbage_in_any_argument_of_any_tool_is_refused_clearly_over_stdio() {
    let house = House::new();
    let stdio = house.stdio();
    let session = stdio.session(&json!({"scopes": ["read", "spend"]}));
    for (name, arguments) in garbage_calls(&session) {
        is_clear_rpc(&stdio.tool_text(name, &arguments), &format!("{name} {arguments}"));
    }
    stdio.ok("logAction", &json!({"session_id": session, "action": "goes on"}));
}

/// Messages that are no good JSON-RPC, or no good request.
fn bad_messages() -> Vec<Vec<u8>> {
    let texts = [
        r#"[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]"#,
        "[]",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"noSuchTool"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"createSession","arguments":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"createSession","arguments":[]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":7}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"haldir://sessions/%ff"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"no/such/method"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"tools/list"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"tools/list"}"#,
        r#"{"id":1,"method":"tools/list"}"#,
        "{}",
        "7",
        "null",
        "\"x\"",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"",
        "not json",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\\ud800\"}",
    ];
    let mut messages: Vec<_> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    messages.push(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\xfe\"}".to_vec());
    messages.push(b"\x00\x01\x02".to_vec());
    messages.push(format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)).into_bytes());
    messages
}

#[test]
fn a_bad_message_is_answered_and_the_connection_goes_on_over_stdio() {
    let house = House::new();
    let stdio = house.stdio();
    for message in bad_messages() {
        let answer = stdio.exchange_bytes(&message);
        let shown = String::from_utf8_lossy(&message);
        is_clear_rpc(&answer, &shown);
        let refused = answer["error"].is_object() || answer["result"]["isError"] == true;
        assert!(refused, "{shown:.200} was accepted: {answer}");
    }
    let too_long = stdio.exchange(&"x".repeat(5 * 1024 * 1024));
    assert_eq!(too_long["error"]["code"], -32600);
    stdio.session(&json!({}));
}

#[test]
fn a_bad_message_is_answered_over_http() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let head = operator.tree_head();
    for message in bad_messages() {
        let shown = String::from_utf8_lossy(&message).into_owned();
        let mut request = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {}\r\nContent-Type: application/json\r\n\
             Accept: application/json\r\nContent-Length: {}\r\n\r\n",
            operator.key(),
            message.len()
        )
        .into_bytes();
        request.extend_from_slice(&message);
        let answer = raw_exchange(server.address, &request).unwrap();
        assert!(answer.status < 500, "{shown:.200}: {} {}", answer.status, answer.text);
        let body = answer.json();
        is_clear_rpc(&body, &shown);
        assert!(body["error"].is_object() || body["result"]["isError"] == true, "{shown:.200} was accepted: {body}");
    }
    assert_eq!(operator.tree_head(), head);
    let unknown = operator.tool_text("noSuchTool", "{}").json();
    assert_eq!(unknown["error"]["code"], -32602);
    let null_params = operator.post_text("/mcp", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":null}"#);
    assert!(null_params.status < 500);
    is_clear_rpc(&null_params.json(), "tools/list with null");
}

#[test]
fn bodies_that_are_no_json_object_are_refused_on_every_post() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = operator.session(&json!({}));
    let head = operator.tree_head();
    for operation in operations::all().iter().filter(|operation| operation.method == Method::Post) {
        let path = operation.path.replace("{session_id}", &session).replace("{authorization_id}", "none");
        for body in ["[]", "7", "\"x\"", "null", "true", "[1"] {
            let answer = operator.post_text(&path, body);
            let body_json = answer.json();
            assert_eq!(answer.status, 400, "{} {body}: {body_json}", operation.name);
            assert!(["invalid_argument", "malformed_json"].contains(&body_json["code"].as_str().unwrap()));
        }
        for body in ["{", "{]", "{\"a\"}", "{\"a\":1,}", "{}{}", "x", "<a/>", "{\"a\":1", "\u{feff}{}"] {
            let answer = operator.post_text(&path, body);
            assert_eq!(answer.status, 400, "{} {body}: {}", operation.name, answer.text);
        }
        for kind in
            ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json", ""]
        {
            let answer = operator.send("POST", &path, &[("Content-Type", kind)], "{}");
            answer.refused(415, "unsupported_media_type");
        }
    }
    assert_eq!(operator.tree_head(), head);
    let twice = format!(r#"{{"session_id":"{session}","action":"a","action":"b"}}"#);
    operator.post_text("/v1/audit", &twice).refused(400, "invalid_argument");
    let other = r#"{"session_id":"ses_other","scope":"read"}"#;
    let answer = operator.post_text(&format!("/v1/sessions/{session}/check"), other);
    answer.refused(400, "invalid_argument");
}

#[test]
fn white_space_is_no_input_and_only_that_of_json_stands_around_one() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let input = r#"{"agent_id": "a"}"#;
    for body in ["\n".to_owned(), "  ".to_owned(), format!("\u{a0}{input}"), format!("{input}\u{2003}")] {
        operator.post_text("/v1/sessions", &body).refused(400, "malformed_json");
    }
    assert_eq!(operator.post_text("/v1/sessions", &format!(" \t\r\n{input}\n")).status, 201);
}
