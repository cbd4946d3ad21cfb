//! Schemas, tools, routes and documents all come from the one list of operations, and answers are what they say.

use std::{collections::BTreeSet, fs, path::Path};

use haldir::operations::{self, Operation, Run, proxied::CEDAR_SCHEMA};
use serde_json::Value;

use crate::support::{
    Client, House, Server, json, text,
    upstream::{self, Upstream},
};

fn pretty(schema: &Value) -> String {
    // In the order of their names, whatever order serde_json is built to keep.
    let mut sorted = schema.clone();
    sorted.sort_all_objects();
    let mut text = serde_json::to_string_pretty(&sorted).unwrap();
    text.push('\n');
    text
}

/// `HALDIR_UPDATE=1 cargo test --test capabilities the_committed` writes the files anew.
#[test]
fn the_committed_schemas_are_those_of_the_operations() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let cedar = ("haldir.cedarschema".to_owned(), CEDAR_SCHEMA.to_owned());
    let tools = ("tools.json".to_owned(), pretty(&json!(haldir::interfaces::mcp::tools::of_operations())));
    let expected: Vec<(String, String)> = operations::all()
        .iter()
        .flat_map(|operation| {
            [
                (format!("{}.input.json", operation.name), pretty(&operation.input_schema().to_value())),
                (format!("{}.output.json", operation.name), pretty(&operation.output_schema().to_value())),
            ]
        })
        .chain([cedar, tools])
        .collect();
    if std::env::var_os("HALDIR_UPDATE").is_some() {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        for (name, text) in &expected {
            fs::write(folder.join(name), text).unwrap();
        }
    }
    let files: BTreeSet<String> = fs::read_dir(&folder)
        .expect("schemas/ is missing: run HALDIR_UPDATE=1 cargo test --test capabilities the_committed")
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, expected.iter().map(|(name, _)| name.clone()).collect());
    for (name, text) in expected {
        let committed = fs::read_to_string(folder.join(&name)).unwrap();
        assert_eq!(
            committed, text,
            "schemas/{name} is stale: run HALDIR_UPDATE=1 cargo test --test capabilities the_committed"
        );
    }
}

#[test]
fn every_schema_is_a_schema_and_says_what_each_field_is() {
    for operation in operations::all() {
        assert!(operation.description().len() > 20, "{} has no description", operation.name);
        for schema in [operation.input_schema().to_value(), operation.output_schema().to_value()] {
            jsonschema::draft202012::new(&schema).unwrap_or_else(|error| panic!("{}: {error}", operation.name));
            let is_text =
                !operation.media_types.contains(&"application/json") && schema == operation.output_schema().to_value();
            assert_eq!(schema["type"], if is_text { "string" } else { "object" }, "{}", operation.name);
        }
        let input = operation.input_schema().to_value();
        assert_eq!(input["additionalProperties"], false, "{} takes any field", operation.name);
        for (name, field) in input["properties"].as_object().into_iter().flatten() {
            assert!(field["description"].is_string(), "{}.{name} has no description", operation.name);
        }
    }
}

/// Every tool as `tools/list` has it.
fn listed(client: &Client) -> Vec<Value> {
    let list = client.post_text("/mcp", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).ok();
    list["result"]["tools"].as_array().unwrap().clone()
}

#[test]
fn tools_list_has_the_ten_tools_with_the_schemas_of_their_operations() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let stdio = house.stdio();
    let over_stdio = stdio.exchange(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    let tools = listed(&operator);
    assert_eq!(over_stdio["result"]["tools"].as_array().unwrap(), &tools);
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "createSession", "getSession", "revokeSession", "checkPermission", "storeSecret", "getSecret",
            "authorizePayment", "logAction", "getAuditTrail", "getSpend"
        ]
    );
    for tool in &tools {
        let operation = operations::tool(tool["name"].as_str().unwrap()).unwrap();
        let mut input = tool["inputSchema"].clone();
        if operation.takes_idempotency_key() {
            let key = input["properties"].as_object_mut().unwrap().remove("idempotency_key");
            assert!(key.is_some(), "{} takes no idempotency key", operation.name);
        }
        let mut expected = operation.input_schema().to_value();
        // The tool has the description; and where a session is needed, the connection may have it.
        expected.as_object_mut().unwrap().remove("description");
        let needs_session = expected["required"].as_array().is_some_and(|names| names.contains(&json!("session_id")));
        if needs_session {
            expected["required"].as_array_mut().unwrap().retain(|name| name != "session_id");
            for schema in [&mut input, &mut expected] {
                schema["properties"].as_object_mut().unwrap().remove("session_id").unwrap();
            }
        }
        assert_eq!(input, expected);
        assert_eq!(tool["outputSchema"], operation.output_schema().to_value());
        assert_eq!((&tool["description"], &tool["title"]), (&json!(operation.description()), &json!(operation.title)));
        let hints = operation.tool.unwrap();
        assert_eq!(tool["annotations"]["readOnlyHint"], hints.read_only);
        assert_eq!(tool["annotations"]["destructiveHint"], hints.destructive);
        assert_eq!(tool["annotations"]["idempotentHint"], hints.idempotent);
        assert_eq!(tool["annotations"]["openWorldHint"], false);
    }
}

#[test]
fn every_route_answers_and_only_to_its_method() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let methods_of = |path: &str| -> Vec<&str> {
        operations::all().iter().filter(|other| other.path == path).map(|other| other.method.as_str()).collect()
    };
    for operation in operations::all() {
        let path = operation.path.replace(['{', '}', '*'], "");
        server.anonymous().send(operation.method.as_str(), &path, &[], "").refused(401, "unauthorized");
        for other in ["GET", "POST", "DELETE", "PUT", "PATCH"] {
            if !methods_of(operation.path).contains(&other) {
                operator.send(other, &path, &[], "").refused(405, "method_not_allowed");
            }
        }
    }
}

#[test]
fn what_a_replica_may_answer_is_a_list_or_a_report_and_the_document_says_so() {
    let house = House::new();
    let document = house.serve().anonymous().get("/openapi.json").ok();
    for operation in operations::all() {
        let path = operation.path.replace("{*", "{");
        let described = &document["paths"][&path][operation.method.as_str().to_ascii_lowercase()];
        let headers = &described["responses"][operation.status.to_string()]["headers"];
        assert_eq!(headers["Haldir-Data-Age"].is_object(), operation.may_lag, "{}", operation.name);
        assert!(!operation.may_lag || matches!(operation.run, Run::Scan(_) | Run::Stream(_)), "{}", operation.name);
    }
}

#[test]
fn the_openapi_document_has_every_operation_and_no_other() {
    let house = House::new();
    let (server, _operator) = house.serve_operator();
    let document = server.anonymous().get("/openapi.json").ok();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            // The status needs no key and tells of no tenant: it is no operation, like health.
            if path.starts_with("/v1/") && path != "/v1/status" {
                described.insert((method.to_uppercase(), path.clone(), text(operation, "operationId")));
            }
        }
    }
    let listed: BTreeSet<_> = operations::all()
        .iter()
        .map(|operation| {
            (operation.method.as_str().to_owned(), operation.path.replace("{*", "{"), operation.name.to_owned())
        })
        .collect();
    assert_eq!(described, listed);
    for operation in operations::all() {
        let described = &document["paths"][operation.path.replace("{*", "{")][operation.method.as_str().to_lowercase()];
        let mut body = &described["requestBody"]["content"]["application/json"]["schema"];
        if let Some(path) = body["$ref"].as_str() {
            body = document.pointer(path.trim_start_matches('#')).unwrap();
        }
        let body = &body["properties"];
        let in_body = body.as_object().into_iter().flatten().map(|(name, _)| name.clone());
        let parameters = described["parameters"].as_array().unwrap();
        let in_head =
            parameters.iter().filter(|parameter| parameter["in"] != "header").map(|field| text(field, "name"));
        let described_fields: BTreeSet<_> = in_body.chain(in_head).collect();
        let input = operation.input_schema().to_value();
        let fields = input["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        assert_eq!(described_fields, fields, "{}", operation.name);
        assert!(described["responses"][operation.status.to_string()].is_object(), "{}", operation.name);
    }
}

#[test]
fn generators_of_clients_find_a_type_and_a_name_for_every_answer() {
    let house = House::new();
    let (server, _operator) = house.serve_operator();
    let document = server.anonymous().get("/openapi.json").ok();
    let ends_in_number = |name: &String| name.ends_with(|last: char| last.is_ascii_digit());
    let names: Vec<_> = document["components"]["schemas"].as_object().unwrap().keys().collect();
    let numbered: Vec<_> = names.iter().filter(|name| ends_in_number(name)).collect();
    assert!(numbered.is_empty(), "two types of one name: {numbered:?}");
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let Some(content) = response["content"].as_object() else { continue };
                // What openapi-python-client 0.29 knows: JSON, and whatever is text.
                let is_known = |kind: &String| kind == "application/json" || kind.starts_with("text/");
                let is_bytes = |kind: &String| kind == "application/octet-stream";
                let place = format!("{method} {path} {status}");
                assert!(content.keys().any(|kind| is_known(kind) || is_bytes(kind)), "{place}: {response}");
                if let Some(json) = content.get("application/json") {
                    assert!(json["schema"]["$ref"].is_string(), "{place} has a type without a name: {json}");
                }
            }
        }
    }
}

/// Sends an operation's input as its route wants it.
pub fn over_rest(client: &Client, operation: &Operation, input: &Value) -> crate::support::Answer {
    let mut path = operation.path.replace("{*", "{");
    let mut rest = input.as_object().unwrap().clone();
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let encode =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    for field in operation.path_fields() {
        let value = rest.remove(field).unwrap_or_default();
        path = path.replace(&format!("{{{field}}}"), &encode(&plain(&value)));
    }
    if operation.method.has_body() {
        return client.send(operation.method.as_str(), &path, &[], &Value::Object(rest).to_string());
    }
    for (index, (name, value)) in rest.iter().enumerate() {
        path.push(if index == 0 { '?' } else { '&' });
        path.push_str(&[encode(name), encode(&plain(value))].join("="));
    }
    client.send(operation.method.as_str(), &path, &[], "")
}

/// A good input for every operation, in an order in which each succeeds; `$` stands for something made before.
fn good_inputs() -> Vec<(&'static str, Value)> {
    // It listens until the tests end.
    let url = Upstream::new([upstream::tool("echo")]).url();
    vec![
        ("createSession", json!({"agent_id": "a", "scopes": ["read", "execute", "spend:20"]})),
        ("createSession", json!({"agent_id": "c", "scopes": ["read"], "parent_session_id": "$session", "ttl": 60})),
        ("getSession", json!({"session_id": "$session"})),
        ("checkPermission", json!({"session_id": "$session", "scope": "spend"})),
        ("listSessions", json!({"limit": 1})),
        ("listDescendants", json!({"session_id": "$session"})),
        ("storeSecret", json!({"name": "a/b", "value": "v"})),
        ("getSecret", json!({"name": "a/b", "session_id": "$session"})),
        ("listSecrets", json!({})),
        ("deleteSecret", json!({"name": "a/b"})),
        ("authorizePayment", json!({"session_id": "$session", "amount": 3, "description": "x"})),
        ("capturePayment", json!({"authorization_id": "$authorization", "amount": 1.25})),
        ("authorizePayment", json!({"session_id": "$session", "amount": 0.5})),
        ("voidPayment", json!({"authorization_id": "$authorization"})),
        ("logAction", json!({"session_id": "$session", "action": "x", "cost_usd": 1, "details": ["d"]})),
        ("logAction", json!({"session_id": "$session", "action": "x", "cost_usd": 500})),
        ("getAuditTrail", json!({"limit": 2})),
        ("getAuditTrail", json!({"session_id": "$session", "flagged": true})),
        ("getSpend", json!({})),
        ("getSpend", json!({"session_id": "$session"})),
        ("getAuditEntry", json!({"entry_id": "$entry"})),
        ("getTreeHead", json!({})),
        ("getInclusionProof", json!({"entry_id": "$entry"})),
        ("getConsistencyProof", json!({"first": 1})),
        ("listTreeHeads", json!({"limit": 5})),
        ("verifyTreeHeads", json!({})),
        ("listLogKeys", json!({})),
        ("exportBundle", json!({})),
        ("getCheckpoint", json!({})),
        ("getTile", json!({"tile": "0/000.p/1"})),
        ("verifyAuditTrail", json!({})),
        ("addApprovalRule", json!({"type": "tool_blocked", "tools": ["x"]})),
        ("listApprovalRules", json!({})),
        ("deleteApprovalRule", json!({"rule_id": "$rule"})),
        ("requestApproval", json!({"session_id": "$session", "amount": 2.5, "details": {"b": 1}})),
        ("listPendingApprovals", json!({"agent_id": "a"})),
        ("listDecidedApprovals", json!({"limit": 5})),
        ("listPayments", json!({"open": true})),
        ("getApproval", json!({"request_id": "$request", "wait": 0})),
        ("approveRequest", json!({"request_id": "$request", "note": "n"})),
        ("requestApproval", json!({"session_id": "$session"})),
        ("denyRequest", json!({"request_id": "$request"})),
        ("getApproval", json!({"request_id": "$request"})),
        ("getAuditStats", json!({"since": 1})),
        ("exportAudit", json!({"format": "csv"})),
        ("getExportManifest", json!({})),
        ("setAuditRetention", json!({"retain_days": 30})),
        ("getAuditRetention", json!({})),
        ("pruneAuditDetails", json!({"confirm": true})),
        ("listRetentionCheckpoints", json!({})),
        ("createApiKey", json!({"name": "k", "max_spend": 5, "max_scopes": ["read"], "max_ttl": 60})),
        ("listApiKeys", json!({})),
        ("rotateApiKey", json!({"prefix": "$prefix", "grace_seconds": 60})),
        ("getUsage", json!({})),
        ("getMetrics", json!({})),
        ("getOverview", json!({})),
        ("setApiKeyTier", json!({"prefix": "$prefix", "tier": "pro"})),
        ("revokeApiKey", json!({"prefix": "$prefix"})),
        ("registerWebhook", json!({"url": "https://receiver.invalid/hook", "name": "w", "events": ["anomaly"]})),
        ("rotateWebhookSecret", json!({"webhook_id": "$webhook", "grace_seconds": 60})),
        ("pingWebhook", json!({"webhook_id": "$webhook"})),
        ("resendDeadLetters", json!({"webhook_id": "$webhook"})),
        ("listWebhooks", json!({})),
        ("listDeliveries", json!({"limit": 5})),
        ("listDeadLetters", json!({"webhook_id": "$webhook"})),
        ("createComplianceSchedule", json!({"name": "board", "cadence": "weekly", "delivery": "webhook:1"})),
        ("listComplianceSchedules", json!({})),
        ("deleteComplianceSchedule", json!({"schedule_id": "$schedule"})),
        ("getComplianceScore", json!({})),
        ("getEvidence", json!({"since": "2026-01-01", "format": "html"})),
        ("getEvidenceManifest", json!({"until": 1_800_000_000})),
        ("deleteWebhook", json!({"webhook_id": "$webhook"})),
        ("registerUpstream", json!({"name": "up", "url": url})),
        ("listUpstreams", json!({})),
        ("listProxyTools", json!({"upstream": "up", "state": "pinned"})),
        ("addProxyPolicy", json!({"type": "rate_limit", "max_per_minute": 5, "tool": "up.echo"})),
        ("listProxyPolicies", json!({})),
        ("proxyCall", json!({"session_id": "$session", "tool": "up.echo", "arguments": {"a": 1.5}})),
        // What becomes of a call is written behind its answer, and before the next write.
        ("deleteProxyPolicy", json!({"policy_id": "$policy"})),
        ("testProxyPolicy", json!({"type": "rate_limit", "max_per_minute": 1})),
        ("markTool", json!({"name": "up", "tool": "echo", "source": true, "cost": 0.5})),
        ("acceptTools", json!({"name": "up"})),
        ("deleteUpstream", json!({"name": "up"})),
        ("listTenants", json!({"bootstrap_token": TOKEN})),
        ("nameTenant", json!({"tenant_id": "local", "name": "n", "bootstrap_token": TOKEN})),
        ("revokeSession", json!({"session_id": "$session"})),
        ("stopAgent", json!({"agent_id": "c"})),
        ("getSession", json!({"session_id": "$session"})),
        ("eraseSession", json!({"session_id": "$session", "dry_run": false})),
        ("eraseAgent", json!({"agent_id": "c", "dry_run": false})),
        ("listErasures", json!({"limit": 5})),
    ]
}

const TOKEN: &str = "the operator's word";

/// A server that takes this bootstrap token, and its first operator.
fn serve_with_token(house: &House) -> (Server, Client) {
    let mut command = house.serving();
    command.env("HALDIR_BOOTSTRAP_TOKEN", TOKEN);
    let server = Server::start(command);
    let made = server.anonymous().post("/v1/keys", &json!({"bootstrap_token": TOKEN, "tier": "enterprise"})).ok();
    let operator = server.with_key(made["key"].as_str().unwrap());
    (server, operator)
}

/// What was made so far, by the name that stands for it.
#[derive(Default)]
struct Made(Vec<(&'static str, Value)>);

impl Made {
    fn fill(&self, input: &Value) -> Value {
        let mut input = input.clone();
        for value in input.as_object_mut().unwrap().values_mut() {
            if let Some((_, made)) = self.0.iter().find(|(name, _)| value == name) {
                *value = made.clone();
            }
        }
        input
    }

    fn note(&mut self, operation: &str, answer: &Value) {
        for (by, name, field, once) in [
            ("createSession", "$session", "session_id", true),
            ("authorizePayment", "$authorization", "authorization_id", false),
            ("logAction", "$entry", "entry_id", false),
            ("addApprovalRule", "$rule", "rule_id", false),
            ("requestApproval", "$request", "request_id", false),
            ("createApiKey", "$prefix", "prefix", false),
            ("addProxyPolicy", "$policy", "policy_id", false),
            ("registerWebhook", "$webhook", "webhook_id", false),
            ("createComplianceSchedule", "$schedule", "schedule_id", false),
        ] {
            if by == operation && !(once && self.0.iter().any(|(known, _)| *known == name)) {
                self.0.retain(|(known, _)| *known != name);
                self.0.push((name, answer[field].clone()));
            }
        }
    }
}

#[test]
fn every_answer_fits_its_schema_and_no_operation_is_left_out() {
    let house = House::new();
    let (_server, operator) = serve_with_token(&house);
    let mut made = Made::default();
    let mut seen = BTreeSet::new();
    for (name, input) in good_inputs() {
        let operation = operations::named(name).unwrap();
        let input = made.fill(&input);
        let accepts = jsonschema::draft202012::new(&operation.input_schema().to_value()).unwrap();
        assert!(accepts.is_valid(&input), "{name} does not accept {input} by its schema");
        let answered = over_rest(&operator, operation, &input);
        assert_eq!(answered.status, operation.status, "{name}: {}", answered.text);
        seen.insert(name);
        if matches!(operation.run, Run::Stream(_)) {
            continue; // Its own tests look at what it writes.
        }
        if operation.status == 204 {
            assert_eq!(answered.text, "", "{name}");
            continue;
        }
        let answer = answered.json();
        let schema = jsonschema::draft202012::new(&operation.output_schema().to_value()).unwrap();
        let problems: Vec<_> = schema.iter_errors(&answer).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{name} answered {answer}: {problems:?}");
        made.note(name, &answer);
    }
    assert_eq!(seen, operations::all().iter().map(|operation| operation.name).collect());
}

#[test]
fn a_tool_answers_what_its_output_schema_says_and_the_same_as_text() {
    let house = House::new();
    let stdio = house.stdio();
    let mut made = Made::default();
    for (name, input) in good_inputs() {
        let Some(operation) = operations::tool(name) else { continue };
        let result = stdio.tool(name, &made.fill(&input));
        assert_eq!(result["isError"], false, "{name}: {result}");
        let answer = &result["structuredContent"];
        let schema = jsonschema::draft202012::new(&operation.output_schema().to_value()).unwrap();
        assert!(schema.is_valid(answer), "{name} answered {answer}");
        assert_eq!(&serde_json::from_str::<Value>(result["content"][0]["text"].as_str().unwrap()).unwrap(), answer);
        made.note(name, answer);
    }
}

#[test]
fn what_only_reads_appends_nothing_and_what_writes_appends_an_entry() {
    let house = House::new();
    let (_server, operator) = serve_with_token(&house);
    let mut made = Made::default();
    for (name, input) in good_inputs() {
        let operation = operations::named(name).unwrap();
        let before = operator.tree_head();
        let answered = over_rest(&operator, operation, &made.fill(&input));
        if !matches!(operation.run, Run::Stream(_)) && operation.status != 204 {
            made.note(name, &answered.ok());
        }
        let changed = operator.tree_head() != before;
        assert_eq!(changed, operation.run.changes(), "{name}");
        if let Some(hints) = operation.tool {
            assert_eq!(changed, !hints.read_only, "the annotations of {name} do not tell the truth");
        }
    }
}

#[test]
fn a_tool_that_calls_itself_idempotent_changes_nothing_the_second_time() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = operator.session(&json!({}));
    for operation in operations::all().iter().filter(|operation| operation.tool.is_some_and(|hints| hints.idempotent)) {
        let input = match operation.name {
            "getAuditTrail" | "getSpend" => json!({}),
            "checkPermission" => json!({"session_id": session, "scope": "read"}),
            _ => json!({"session_id": session}),
        };
        let first = operator.tool(operation.name, &input);
        let head = operator.tree_head();
        assert_eq!(operator.tool(operation.name, &input), first, "{}", operation.name);
        assert_eq!(operator.tree_head(), head, "{}", operation.name);
    }
}
