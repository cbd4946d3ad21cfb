//! What stands in front of every route: names, origins, bodies, and what clients look for before they have a key.

use std::{
    io::{BufReader, Write},
    net::{Shutdown, TcpStream},
};

use serde_json::Value;

use crate::support::{Answer, Client, House, McpSession, Server, json, raw_exchange, read_answer, text};

fn raw(server: &Server, request: &str) -> Answer {
    raw_exchange(server.address, request.as_bytes()).unwrap()
}

#[test]
fn two_hosts_or_two_origins_are_no_request() {
    let house = House::new();
    let server = house.serve();
    for pair in [
        "Host: localhost\r\nHost: evil.example",
        "Host: evil.example\r\nHost: localhost",
        "Host: localhost\r\nOrigin: http://localhost\r\nOrigin: http://evil.example",
    ] {
        let answer = raw(&server, &format!("GET /v1 HTTP/1.1\r\n{pair}\r\n\r\n"));
        assert_eq!(answer.status, 400, "{pair}: {}", answer.text);
    }
}

#[test]
fn a_request_with_two_credentials_or_sessions_is_refused() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let key = operator.key();
    let (bearer, wrong) = (format!("Authorization: Bearer {key}"), "Authorization: Bearer hld_wrong");
    let ask = |path: &str, headers: &[&str]| {
        let headers = headers.join("\r\n");
        raw(&server, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n"))
    };
    let api_key = format!("X-API-Key: {key}");
    for (name, headers) in [
        ("authorization", vec![bearer.as_str(), wrong]),
        ("authorization", vec![wrong, bearer.as_str()]),
        ("authorization", vec![bearer.as_str(), bearer.as_str()]),
        ("x-api-key", vec![api_key.as_str(), "X-API-Key: hld_wrong"]),
        ("x-api-key", vec![wrong, api_key.as_str()]),
        ("x-api-key", vec![bearer.as_str(), "X-API-Key: hld_wrong"]),
        ("x-session-id", vec![bearer.as_str(), "X-Session-ID: ses_a", "X-Session-ID: ses_b"]),
        ("mcp-session-id", vec![bearer.as_str(), "Mcp-Session-Id: a", "Mcp-Session-Id: b"]),
        (
            "mcp-protocol-version",
            vec![bearer.as_str(), "MCP-Protocol-Version: 2025-06-18", "MCP-Protocol-Version: 2026-07-28"],
        ),
        ("mcp-name", vec![bearer.as_str(), "Mcp-Name: a", "Mcp-Name: b"]),
        ("idempotency-key", vec![bearer.as_str(), "Idempotency-Key: a", "Idempotency-Key: b"]),
        ("content-type", vec![bearer.as_str(), "Content-Type: application/json", "Content-Type: text/plain"]),
    ] {
        for path in ["/v1/sessions", "/mcp", "/mcp/up"] {
            let refused = ask(path, &headers);
            assert!(refused.text.contains(name), "{path} {headers:?}: {}", refused.text);
            refused.refused(400, "invalid_argument");
        }
    }
    let twice = ask(&format!("/mcp?apiKey={key}&apiKey=hld_wrong"), &[]);
    assert!(twice.text.contains("apiKey"), "{}", twice.text);
    twice.refused(400, "invalid_argument");
    // The same key in both of its places, and a list in two parts, are read in one way only.
    assert_eq!(ask("/v1/sessions", &[&bearer, &api_key]).status, 200);
    assert_eq!(ask("/v1/sessions", &[&bearer, "Accept: text/html", "Accept: application/json"]).status, 200);
}

#[test]
fn probes_by_address_are_answered_whatever_the_public_name_is() {
    let house = House::new();
    let mut command = house.serving();
    command.args(["--public-url", "https://haldir.example.com"]).env("HALDIR_METRICS_TOKEN", "m");
    let server = Server::start(command);
    let get = |path: &str| {
        raw(&server, &format!("GET {path} HTTP/1.1\r\nHost: 10.1.2.3:8000\r\nAuthorization: Bearer m\r\n\r\n"))
    };
    for path in ["/livez", "/readyz", "/healthz", "/health", "/metrics"] {
        assert_eq!(get(path).status, 200, "{path}");
    }
    assert_eq!(get("/v1").status, 403, "others are checked as before");
}

#[test]
fn behind_a_reverse_proxy_a_stranger_gets_no_first_key() {
    let first = r#"{"name":"me"}"#;
    let ask = |server: &Server, headers: &str| {
        let length = first.len();
        let request = format!("POST /v1/keys HTTP/1.1\r\n{headers}\r\nContent-Length: {length}\r\n\r\n{first}");
        raw(server, &request)
    };
    let house = House::new();
    let mut command = house.serving();
    command.args(["--public-url", "https://haldir.example.com"]);
    let server = Server::start(command);
    for host in ["Host: haldir.example.com", "Host: localhost"] {
        ask(&server, host).refused(401, "unauthorized");
    }
    drop(server);
    // Without a public URL, what the request says has to speak for this machine.
    let mut command = house.serving();
    command.args(["--allow-host", "haldir.example.com"]);
    let server = Server::start(command);
    for headers in ["Host: haldir.example.com", "Host: localhost\r\nX-Forwarded-For: 203.0.113.9"] {
        ask(&server, headers).refused(401, "unauthorized");
    }
    assert_eq!(ask(&server, "Host: localhost").status, 201);
}

#[test]
fn a_page_whose_origin_is_allowed_may_send_and_read() {
    let house = House::new();
    let mut command = house.serving();
    command.args(["--allow-origin", "https://app.example.com"]);
    let server = Server::start(command);
    let operator = server.first_key();
    let origin = ("Origin", "https://app.example.com");
    let asks = [
        origin,
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization,content-type,x-new"),
    ];
    for path in ["/mcp", "/v1/sessions", "/mcp/up"] {
        let answer = server.anonymous().send("OPTIONS", path, &asks, "");
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some(origin.1)), "{path}");
        assert!(answer.header("access-control-allow-methods").unwrap().contains("POST"));
        assert_eq!(answer.header("access-control-allow-headers"), Some("authorization,content-type,x-new"));
        assert!(answer.header("vary").unwrap().contains("origin"));
    }
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let answer = operator.send("POST", "/mcp", &[origin], list);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(origin.1)));
    assert!(answer.header("access-control-expose-headers").unwrap().contains("mcp-session-id"));
    let refused = server.anonymous().send("POST", "/mcp", &[origin], list);
    assert_eq!(
        (refused.status, refused.header("access-control-allow-origin")),
        (401, Some(origin.1)),
        "it may read why"
    );
    let other = server.anonymous().send("OPTIONS", "/mcp", &[("Origin", "https://evil.example"), asks[1]], "");
    assert_eq!((other.status, other.header("access-control-allow-origin")), (403, None));
    let local = server.anonymous().send("OPTIONS", "/mcp", &[("Origin", "http://localhost:3000"), asks[1]], "");
    assert_eq!(local.header("access-control-allow-origin"), None, "only allowed origins read");
}

#[test]
fn no_answer_is_guessed_at() {
    let house = House::new();
    let server = house.serve();
    for path in ["/v1", "/nothing", "/mcp", "/llms.txt"] {
        assert_eq!(server.anonymous().get(path).header("x-content-type-options"), Some("nosniff"), "{path}");
    }
}

#[test]
fn a_client_that_is_still_sending_reads_why_its_body_was_refused() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let bytes = vec![b' '; 6 * 1024 * 1024];
    for (path, key, status) in [
        ("/v1/audit", operator.key(), 413),
        ("/v1/audit", "hld_wrong", 401),
        ("/nothing", operator.key(), 404),
        ("/mcp", operator.key(), 413),
    ] {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Length: {}\r\n\r\n",
            bytes.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        // In pieces, as a client writes that does not read before it is done.
        for piece in bytes.chunks(16 * 1024) {
            stream.write_all(piece).unwrap_or_else(|error| panic!("{path}: the pipe broke: {error}"));
        }
        let answer = read_answer(&mut BufReader::new(&stream)).unwrap();
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        let _ = stream.shutdown(Shutdown::Both);
    }
}

#[test]
fn a_client_without_a_key_cannot_make_the_server_hold_a_large_body() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let large = format!(r#"{{"name":"{}"}}"#, "x".repeat(64 * 1024));
    let refused = server.anonymous().post_text("/v1/keys", &large).refused(413, "payload_too_large");
    assert_eq!(refused["max_bytes"], 16_384);
    server.with_key("hld_wrong").post_text("/v1/keys", &large).refused(401, "unauthorized");
    operator.post_text("/v1/keys", &large).refused(400, "invalid_argument");
    let chunked = "POST /v1/keys HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n8000\r\n";
    let request = format!("{chunked}{}\r\n0\r\n\r\n", "x".repeat(0x8000));
    raw(&server, &request).refused(413, "payload_too_large");
}

/// The events of a stream that begins a protocol session of this revision.
fn begun(client: &Client, revision: &str) -> String {
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}});
    let accept = [("Accept", "application/json, text/event-stream")];
    let answer = client.send("POST", "/mcp", &accept, &hello.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.text
}

#[test]
fn streams_begin_with_an_event_without_data_only_where_the_revision_has_it() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let has_empty = |text: &str| text.lines().any(|line| line.trim_end() == "data:");
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18"] {
        let events = begun(&operator, revision);
        assert!(!has_empty(&events) && events.contains("serverInfo"), "{revision}: {events}");
    }
    assert!(has_empty(&begun(&operator, "2025-11-25")));
    let session = McpSession::begin(&operator);
    for message in [
        json!({"jsonrpc": "2.0", "id": 3, "method": "tools/list"}),
        json!({"jsonrpc": "2.0", "id": 4, "method": "ping"}),
    ] {
        let events = session.send(&message).text;
        assert!(!has_empty(&events) && events.contains("result"), "{events}");
    }
}

#[test]
fn a_refusal_at_mcp_is_a_json_rpc_error_under_the_requests_id() {
    let house = House::new();
    let mut command = house.program();
    command.args(["serve", "--listen", "127.0.0.1:0", "--rate-limits", "free=2,pro=2,enterprise=100"]);
    let server = Server::start(command);
    let operator = server.first_key();
    for path in ["/mcp", "/mcp/up"] {
        for id in [json!(7), json!("seven")] {
            let request = json!({"jsonrpc": "2.0", "id": id, "method": "tools/list"}).to_string();
            let answer = server.anonymous().post_text(path, &request);
            let body = answer.json();
            assert_eq!((answer.status, &body["id"], &body["jsonrpc"]), (401, &id, &json!("2.0")), "{path}: {body}");
            assert!(text(&body["error"], "message").contains("API key") && body["error"]["code"].is_i64(), "{body}");
            assert_eq!(body["error"]["data"]["code"], "unauthorized");
            assert!(answer.header("www-authenticate").is_some());
            let members: Vec<_> = body.as_object().unwrap().keys().collect();
            assert_eq!(members.len(), 3, "strict clients take no more: {body}");
        }
    }
    let agent = operator.mint(&json!({"role": "agent", "tier": "free"}));
    let limited = (0..5).map(|_| agent.tool_text("getSpend", "{}")).last().unwrap();
    assert_eq!((limited.status, &limited.json()["id"]), (429, &json!(1)), "{}", limited.text);
    assert_eq!(limited.json()["error"]["data"]["code"], "rate_limit_exceeded");
}

#[test]
fn what_the_transport_refuses_at_mcp_is_a_json_rpc_error_that_names_the_request() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let event_stream = [("Accept", "application/json, text/event-stream")];
    for (method, path, headers, body, status) in [
        ("POST", "/mcp", &[("Origin", "https://evil.example")][..], list, 403),
        ("POST", "/mcp/up", &[("Origin", "https://evil.example")], list, 403),
        ("PUT", "/mcp", &[], list, 405),
        ("PUT", "/mcp/up", &[], list, 405),
        ("POST", "/mcp", &[], "[", 400),
        ("POST", "/mcp", &[], r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, 400),
        ("POST", "/mcp", &[("Mcp-Session-Id", "unknown")], list, 404),
        ("GET", "/mcp", &event_stream, "", 400),
    ] {
        let answer = operator.send(method, path, headers, body);
        let told = answer.json();
        assert_eq!((answer.status, &told["jsonrpc"]), (status, &json!("2.0")), "{method} {path} {body}: {told}");
        assert!(told["error"]["code"].is_i64() && !text(&told["error"], "message").is_empty(), "{told}");
        assert_eq!(told["error"]["data"]["request_id"].as_str(), answer.header("x-request-id"), "{told}");
    }
}

#[test]
fn the_end_of_a_protocol_session_has_no_content() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = McpSession::begin(&operator);
    let answer = operator.send("DELETE", "/mcp", &[("Mcp-Session-Id", &session.id)], "");
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
}

#[test]
fn a_client_that_looks_for_an_authorization_server_is_told_to_send_a_key() {
    let house = House::new();
    let server = house.serve();
    for (method, path) in [
        ("POST", "/register"),
        ("GET", "/.well-known/oauth-authorization-server"),
        ("GET", "/.well-known/oauth-protected-resource/mcp"),
        ("GET", "/.well-known/openid-configuration"),
    ] {
        let body = server.anonymous().send(method, path, &[], "").refused(404, "not_found");
        assert!(
            text(&body, "error").contains("Bearer hld_") && !body.to_string().contains("lists what there is"),
            "{body}"
        );
    }
}

#[test]
fn the_server_card_stands_beside_the_endpoint_and_a_catalog_leads_to_it() {
    let house = House::new();
    let mut command = house.serving();
    command.args(["--public-url", "https://haldir.example.com"]);
    let server = Server::start(command);
    let get = |path: &str| {
        raw(&server, &format!("GET {path} HTTP/1.1\r\nHost: haldir.example.com\r\nOrigin: https://any.example\r\n\r\n"))
    };
    let from_page = get("/mcp/server-card");
    assert_eq!(from_page.status, 200, "{}", from_page.text);
    for (path, kind) in [
        ("/mcp/server-card", "application/mcp-server-card+json"),
        ("/.well-known/ai-catalog.json", "application/ai-catalog+json"),
    ] {
        let answer = get(path);
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
        assert_eq!(
            (answer.header("access-control-allow-origin"), answer.header("cache-control")),
            (Some("*"), Some("public, max-age=3600"))
        );
    }
    let card = from_page.ok();
    assert_eq!(text(&card, "$schema"), "https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json");
    assert_eq!(card["remotes"][0]["url"], "https://haldir.example.com/mcp");
    assert!(text(&card, "description").len() <= 100 && text(&card, "name").matches('/').count() == 1);
    let catalog = get("/.well-known/ai-catalog.json").ok();
    assert_eq!(catalog["entries"][0]["url"], "https://haldir.example.com/mcp/server-card");
    assert_eq!(catalog["entries"][0]["type"], "application/mcp-server-card+json");
}

#[test]
fn no_upstream_takes_the_place_of_the_server_card() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let upstream = json!({"name": "Server-Card", "url": "http://127.0.0.1:9/mcp"});
    operator.post("/v1/proxy/upstreams", &upstream).refused_field(400, "invalid_argument", "name");
}

#[test]
fn an_empty_variable_is_as_good_as_none() {
    let house = House::new();
    let mut command = house.serving();
    for name in [
        "HALDIR_MAX_SPEND", "HALDIR_MAX_TTL", "HALDIR_MAX_SCOPES", "HALDIR_CONFIG", "HALDIR_DB", "HALDIR_PUBLIC_URL",
        "HALDIR_WORKERS", "HALDIR_CALL_TIMEOUT", "HALDIR_RATE_LIMITS", "HALDIR_LOG", "PORT", "HALDIR_TOOL_NAMES",
        "HALDIR_BOOTSTRAP_TOKEN", "HALDIR_SECURITY_CONTACT", "HALDIR_MIRRORS", "HALDIR_APPROVE_BY", "HALDIR_LISTEN",
    ] {
        command.env(name, "");
    }
    let server = Server::start(command);
    assert_eq!(server.anonymous().get("/readyz").status, 200);
    let mut terminal = std::process::Command::new(env!("CARGO_BIN_EXE_haldir"));
    let (address, others) = crate::support::on_postgres::address(&house.db());
    terminal.args(["keys", "list"]).arg("--db").arg(address).env_clear().envs(others);
    terminal.env("HALDIR_DB", "").env("HALDIR_TENANT", "").env("HALDIR_MAX_TTL", "");
    let output = terminal.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn figures_are_of_what_was_called_alone() {
    let house = House::new();
    let mut command = house.serving();
    command.env("HALDIR_METRICS_TOKEN", "m");
    let server = Server::start(command);
    let operator = server.first_key();
    operator.get("/v1/sessions").ok();
    let metrics = server.with_key("m").get("/metrics").text;
    let of = |name: &str| metrics.lines().filter(|line| line.contains(&format!("operation=\"{name}\""))).count();
    assert!(of("listSessions") > 3 && of("listSessions") < 20, "{metrics}");
    assert_eq!(of("getEvidence"), 0);
}

fn no_words_as_alternatives(place: &str, value: &Value) {
    match value {
        Value::Object(members) => {
            if let Some(alternatives) = members.get("oneOf").and_then(Value::as_array) {
                let words = alternatives.iter().all(|one| one.get("const").is_some() || one.get("enum").is_some());
                assert!(!words, "{place}: words as alternatives");
            }
            for (name, value) in members {
                no_words_as_alternatives(&format!("{place}/{name}"), value);
            }
        }
        Value::Array(all) => all.iter().for_each(|value| no_words_as_alternatives(place, value)),
        _ => {}
    }
}

#[test]
fn the_document_has_plain_enumerations_and_names_for_its_parts() {
    let house = House::new();
    let (server, _operator) = house.serve_operator();
    let document = server.anonymous().get("/openapi.json").ok();
    let whole = document.to_string();
    for form in ["\"uint\"", "\"oneOf\":[{\"const\"", "[\"string\",\"null\"]"] {
        assert!(!whole.contains(form), "{form} in the document");
    }
    no_words_as_alternatives("", &document);
    let created = &document["paths"]["/v1/sessions"]["post"];
    let body = &created["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    let answer = &created["responses"]["201"]["content"]["application/json"]["schema"]["$ref"];
    assert_eq!(
        (body, answer),
        (&json!("#/components/schemas/CreateSessionRequest"), &json!("#/components/schemas/CreateSessionResponse"))
    );
}
