//! A secret is found nowhere but in the answer of getSecret.

use std::os::unix::fs::PermissionsExt;

use haldir::{call::AnomalyThresholds, crypto::Key, model::Credential, vault};
use serde_json::Value;

use crate::support::{House, McpSession, Server, Stdio, json, on_postgres, refuses_to_start, text};

/// What must not be found. It is no valid name and no valid scope, so that it cannot become one.
const PLANTED: &str = "PLANTED+sk_live/4eC39HqLyjWDarjtT1zdp7dc=";

/// Fails if the planted value, or a good part of it, stands here.
#[track_caller]
fn clean(what: &str, bytes: &[u8]) {
    for part in [PLANTED, "4eC39HqLyjWDarjtT1zdp7dc"] {
        let found = bytes.windows(part.len()).any(|window| window == part.as_bytes());
        assert!(!found, "the secret stands in {what}");
    }
}

/// Inputs in which the secret stands where it does not belong, by operation.
fn misplaced(session: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("storeSecret", json!({"name": PLANTED, "value": "v"})),
        ("storeSecret", json!({"name": "s", "value": {"a": PLANTED}})),
        ("storeSecret", json!({"name": "s", "value": [PLANTED]})),
        ("storeSecret", json!({"name": {"x": PLANTED}, "value": PLANTED})),
        ("storeSecret", json!({"name": "s", "value": PLANTED, "disclosure": PLANTED})),
        ("storeSecret", json!({"name": "s", "value": PLANTED, "scope_required": PLANTED})),
        ("storeSecret", json!({"name": "s", "value": PLANTED, "unknown": PLANTED})),
        ("storeSecret", json!({"value": PLANTED})),
        ("storeSecret", json!([PLANTED])),
        ("storeSecret", json!(PLANTED)),
        ("getSecret", json!({"name": PLANTED, "session_id": session})),
        ("getSecret", json!({"name": "s", "session_id": [PLANTED]})),
        ("createSession", json!({"agent_id": "a", "scopes": [PLANTED]})),
        ("createSession", json!({"agent_id": "a", "scopes": PLANTED})),
        ("createSession", json!({"agent_id": "a", "ttl": PLANTED})),
        ("createSession", json!({"agent_id": "a", "spend_limit": PLANTED})),
        ("createSession", json!({"agent_id": [PLANTED]})),
        ("authorizePayment", json!({"session_id": session, "amount": PLANTED})),
        ("authorizePayment", json!({"session_id": session, "amount": 1, "currency": PLANTED})),
        ("logAction", json!({"session_id": session, "action": "x", "cost_usd": PLANTED})),
        ("logAction", json!({"session_id": PLANTED, "action": "x"})),
        ("getSecret", json!({"session_id": PLANTED, "name": "s"})),
        ("getAuditTrail", json!({"limit": PLANTED})),
        ("getAuditTrail", json!({"flagged": PLANTED})),
        ("getAuditTrail", json!({"cursor": PLANTED.get(..30)})),
    ]
}

fn tracing(house: &House) -> Server {
    let mut command = house.serving();
    command.env("HALDIR_LOG", "trace").env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1");
    Server::start(command)
}

fn tracing_stdio(house: &House) -> Stdio {
    let mut command = house.program();
    command.env("HALDIR_LOG", "trace").env("RUST_LOG", "trace");
    Stdio::start(command)
}

/// Everything that is kept or shown besides answers: files and logs.
#[track_caller]
fn leftovers_are_clean(house: &House, logs: &[String]) {
    let files = house.stored_bytes();
    assert!(files.iter().any(|(name, bytes)| name.starts_with("h.db") && bytes.len() > 4096));
    for (name, bytes) in files {
        clean(&name, &bytes);
    }
    for log in logs {
        assert!(!log.is_empty(), "nothing was logged");
        clean("the log", log.as_bytes());
    }
}

#[test]
fn a_secret_over_http_is_in_no_file_no_log_and_no_other_answer() {
    let house = House::new();
    let mut server = tracing(&house);
    let operator = server.first_key();
    let session = operator.session(&json!({"scopes": ["read", "spend"]}));
    let poor = operator.session(&json!({"scopes": ["browse"]}));
    let mcp = McpSession::begin(&operator);
    let store = json!({"name": "s", "value": PLANTED});
    clean("storeSecret", operator.post("/v1/secrets", &store).text.as_bytes());
    clean("storeSecret", operator.tool("storeSecret", &store).to_string().as_bytes());
    clean("storeSecret", mcp.tool("storeSecret", &store).as_bytes());
    let inject = json!({"name": "i", "value": PLANTED, "disclosure": "inject"});
    clean(
        "storeSecret",
        operator.send("POST", "/v1/secrets", &[("Idempotency-Key", "k")], &inject.to_string()).text.as_bytes(),
    );

    let read = json!({"name": "s", "session_id": session});
    assert_eq!(operator.get(&format!("/v1/secrets/s?session_id={session}")).ok()["value"], PLANTED);
    assert_eq!(operator.send("GET", "/v1/secrets/s", &[("X-Session-ID", &session)], "").ok()["value"], PLANTED);
    assert_eq!(operator.tool("getSecret", &read)["structuredContent"]["value"], PLANTED);
    assert!(mcp.tool("getSecret", &read).contains(PLANTED), "the secret was not read in an MCP session");

    for (name, refused) in [("s", &poor), ("i", &session), ("s", &"ses_none".to_owned())] {
        let answer = operator.get(&format!("/v1/secrets/{name}?session_id={refused}"));
        assert!(answer.status == 403 || answer.status == 401, "{}", answer.text);
        clean("a refusal", answer.text.as_bytes());
        clean("a refusal", mcp.tool("getSecret", &json!({"name": name, "session_id": refused})).as_bytes());
    }
    for (name, input) in misplaced(&session) {
        // Arguments that are no object are a fault of the request, which has no result.
        let answer: serde_json::Value =
            serde_json::from_str(&operator.tool_text(name, &input.to_string()).text).unwrap();
        let said = if input.is_object() { answer["result"].clone() } else { answer["error"].clone() };
        assert!(said["isError"] == true || said["code"] == -32602, "{name} {input}: {answer}");
        // What a caller asks about by its own words may be repeated to them, but is not kept.
        if !said.to_string().contains("session_invalid") {
            clean(&format!("the refusal of {name} {input}"), said.to_string().as_bytes());
        }
        mcp.tool(name, &input);
        let rest = haldir::operations::named(name).unwrap();
        if rest.method.as_str() == "POST" {
            let said = operator.post(rest.path, &input);
            assert!((400..500).contains(&said.status), "{name} {input}: {}", said.text);
            if said.status != 401 {
                clean(&format!("the refusal of {name} {input}"), said.text.as_bytes());
            }
        }
    }
    for path in ["/v1/secrets", "/v1/audit?limit=1000", "/v1/sessions", "/v1/audit/spend", "/v1/keys", "/openapi.json"]
    {
        clean(path, operator.get(path).text.as_bytes());
    }
    server.process.kill(); // What it has logged is complete then.
    assert!(server.process.errors().contains("DEBUG"), "the log was not verbose");
    leftovers_are_clean(&house, &[server.process.errors()]);
}

#[test]
fn a_secret_over_stdio_is_in_no_file_no_log_and_no_other_answer() {
    let house = House::new();
    let mut stdio = tracing_stdio(&house);
    let session = stdio.session(&json!({"scopes": ["read", "spend"]}));
    clean("storeSecret", stdio.ok("storeSecret", &json!({"name": "s", "value": PLANTED})).to_string().as_bytes());
    let read = stdio.ok("getSecret", &json!({"name": "s", "session_id": session}));
    assert_eq!(read["value"], PLANTED);
    for (name, input) in misplaced(&session) {
        let said = stdio.tool_text(name, &input.to_string());
        if !said.to_string().contains("session_invalid") {
            clean(&format!("the refusal of {name} {input}"), said.to_string().as_bytes());
        }
    }
    stdio.exchange(&format!(
        r#"{{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{{"name":"storeSecret","arguments":"{PLANTED}"}}}}"#
    ));
    stdio.exchange(&format!(r#"{{"jsonrpc":"2.0","id":3,"method":"{PLANTED}"#));
    clean("the trail", stdio.ok("getAuditTrail", &json!({})).to_string().as_bytes());
    stdio.process.kill();
    leftovers_are_clean(&house, &[stdio.process.errors()]);
}

#[test]
fn an_injected_secret_is_never_given_out() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = operator.session(&json!({"scopes": ["*"]}));
    operator.post("/v1/secrets", &json!({"name": "i", "value": PLANTED, "disclosure": "inject"})).ok();
    operator.get(&format!("/v1/secrets/i?session_id={session}")).refused(403, "inject_only");
    assert_eq!(operator.tool("getSecret", &json!({"name": "i", "session_id": session}))["isError"], true);
    assert_eq!(operator.get("/v1/secrets").ok()["secrets"], json!(["i"]));
}

#[test]
fn an_overwritten_value_and_a_deletion_are_seen_at_once_by_another_process() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let other_server = house.serve();
    let other = other_server.with_key(operator.key());
    let session = operator.session(&json!({}));
    let path = format!("/v1/secrets/s?session_id={session}");
    for number in 0..20 {
        let value = format!("value {number}");
        let (writer, reader) = if number % 2 == 0 { (&operator, &other) } else { (&other, &operator) };
        writer.post("/v1/secrets", &json!({"name": "s", "value": value})).ok();
        assert_eq!(reader.get(&path).ok()["value"], value);
        if number % 5 == 4 {
            writer.delete("/v1/secrets/s").ok();
            reader.get(&path).refused_field(404, "not_found", "name");
            writer.delete("/v1/secrets/s").refused(404, "not_found");
        }
    }
}

#[test]
fn a_secret_needs_a_session_that_holds_its_scope() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    operator.post("/v1/secrets", &json!({"name": "s", "value": "v", "scope_required": "billing:read"})).ok();
    operator.get("/v1/secrets/s").refused_field(400, "invalid_argument", "session_id");
    for (scopes, status) in [
        (json!(["read"]), 403),
        (json!(["billing:write"]), 403),
        (json!(["billing"]), 200),
        (json!(["billing:read"]), 200),
    ] {
        let session = operator.session(&json!({"scopes": scopes}));
        assert_eq!(operator.get(&format!("/v1/secrets/s?session_id={session}")).status, status, "{scopes}");
    }
    let revoked = operator.session(&json!({"scopes": ["billing"]}));
    operator.delete(&format!("/v1/sessions/{revoked}")).ok();
    operator.get(&format!("/v1/secrets/s?session_id={revoked}")).refused(401, "session_invalid");
}

#[test]
fn a_sealed_value_that_was_moved_or_altered_does_not_open() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = operator.session(&json!({}));
    for name in ["a", "b"] {
        operator.post("/v1/secrets", &json!({"name": name, "value": PLANTED})).ok();
    }
    let sealed: Vec<u8> = house.sql_value("SELECT sealed FROM secrets WHERE name = 'b'");
    let mut altered = sealed.clone();
    altered[30] ^= 1;
    for (name, blob) in [("a", &sealed), ("b", &altered)] {
        house.sql().change("UPDATE secrets SET sealed = ?1 WHERE name = ?2", rusqlite::params![blob, name]);
        let answer = operator.get(&format!("/v1/secrets/{name}?session_id={session}"));
        answer.refused(500, "internal");
        clean("the answer", answer.text.as_bytes());
    }
}

#[test]
fn the_database_and_its_key_are_their_owners_alone() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    operator.session(&json!({}));
    let mut seen = 0;
    for (name, _) in house.stored_bytes() {
        let mode = std::fs::metadata(house.folder().join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        seen += 1;
    }
    assert!(seen >= 3, "the key, the database and its log");
}

#[test]
fn another_encryption_key_is_refused_with_a_clear_error() {
    let house = House::new();
    let with_key = |key: &str| {
        let mut command = house.serving();
        command.env("HALDIR_ENCRYPTION_KEY", key);
        command
    };
    let right = Key::generate().unwrap().to_base64();
    let operator = Server::start(with_key(&right)).first_key();
    let wrong = Key::generate().unwrap().to_base64();
    for key in [wrong.as_str(), "short", "not base64 at all!", "AAAA"] {
        let errors = refuses_to_start(with_key(key));
        assert!(errors.contains("HALDIR_ENCRYPTION_KEY"), "{errors}");
        assert!(!errors.contains(key) && !errors.contains(right.as_str()), "the error shows a key");
    }
    let mut without = house.serving();
    without.env_remove("HALDIR_ENCRYPTION_KEY");
    let errors = refuses_to_start(without);
    let says = if on_postgres::is_used() { ["HALDIR_ENCRYPTION_KEY", "required"] } else { ["h.db.key", "missing"] };
    assert!(says.iter().all(|part| errors.contains(part)), "{errors}");
    Server::start(with_key(&right)).with_key(operator.key()).verified();
    assert!(!house.folder().join("h.db.key").exists());
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let house = House::new();
    drop(house.serve());
    let path = house.folder().join("h.db.key");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refuses_to_start(house.serving()).contains("chmod 600"));
}

#[test]
fn no_core_type_shows_what_it_holds() {
    let plaintext: vault::sealing::Plaintext = serde_json::from_value(json!(PLANTED)).unwrap();
    let store: vault::store_secret::StoreSecret =
        serde_json::from_value(json!({"name": "s", "value": PLANTED})).unwrap();
    let credential = Credential::ApiKey(PLANTED.to_owned().into());
    let key = Key::generate().unwrap();
    let settings = haldir::call::Settings {
        local_ceilings: haldir::model::Ceilings::NONE,
        key_ceilings: haldir::model::Ceilings::NONE,
        key_defaults: haldir::model::Ceilings::NONE,
        anomalies: AnomalyThresholds::default(),
        rate_limits: None,
        bootstrap_token: Some(PLANTED.to_owned().into()),
        open_bootstrap: false,
        outbound: haldir::outbound::Outbound::default(),
        webhooks: haldir::call::WebhookPace::default(),
        upstreams: haldir::upstream::UpstreamLimits::default(),
        children: haldir::upstream::child::Children::default(),
        tool_names: haldir::call::ToolNames::default(),
    };
    let minting: haldir::gate::create_api_key::CreateApiKey =
        serde_json::from_value(json!({"bootstrap_token": PLANTED})).unwrap();
    for shown in [
        format!("{plaintext:?} {plaintext:#?}"),
        format!("{store:?}"),
        format!("{credential:?}"),
        format!("{settings:?}"),
        format!("{minting:?}"),
    ] {
        clean("Debug", shown.as_bytes());
    }
    let shown = format!("{key:?}");
    assert!(!shown.contains(key.to_base64().get(..8).unwrap()), "{shown}");
    assert_eq!(text(&json!({"s": shown}), "s"), "Key(…)");
}
