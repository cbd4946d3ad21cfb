//! How the server behaves on the wire, for every client.

use std::{
    io::{BufReader, Read, Write},
    net::TcpStream,
};

use crate::support::{
    House, McpSession, Server, integer, json, long, raw_exchange, read_answer, refuses_to_start, text, until,
};

#[test]
fn a_request_id_is_echoed_or_made_and_stands_in_header_and_error() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let longest = "x".repeat(64);
    for id in ["abc-1.2_3", &longest] {
        let answer = operator.send("GET", "/v1/sessions/none", &[("X-Request-ID", id)], "");
        assert_eq!(answer.header("x-request-id"), Some(id));
        assert_eq!(answer.refused(404, "not_found")["request_id"], id);
    }
    let mut ids = Vec::new();
    for unsafe_id in ["", "a b", "x<script>", "ä", &"x".repeat(65)] {
        let answer = operator.send("GET", "/v1/sessions/none", &[("X-Request-ID", unsafe_id)], "");
        let id = answer.header("x-request-id").unwrap().to_owned();
        assert!(id.len() > 5 && id != unsafe_id);
        assert_eq!(answer.refused(404, "not_found")["request_id"], json!(id));
        ids.push(id);
    }
    for path in ["/healthz", "/v1", "/openapi.json", "/nothing", "/v1/sessions"] {
        ids.push(server.anonymous().get(path).header("x-request-id").unwrap().to_owned());
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id was used twice");
}

#[test]
fn a_caller_of_mcp_without_a_key_is_the_local_agent_only_where_the_operator_says_so() {
    let house = House::new();
    let mut command = house.serving();
    command.arg("--local-agent");
    let server = Server::start(command);
    let keyless = server.anonymous();
    let made = keyless.tool("createSession", &json!({"agent_id": "a", "scopes": ["read"]}));
    assert!(made["isError"] != json!(true), "{made}");
    // Within the local ceilings, as on stdio, and with no other way in.
    assert_eq!(keyless.tool("createSession", &json!({"agent_id": "a", "scopes": ["admin"]}))["isError"], json!(true));
    keyless.get("/v1/sessions").refused(401, "unauthorized");
    server
        .with_key("hld_0123456789012345678901234567890123456789")
        .tool_text("getSpend", "{}")
        .refused(401, "unauthorized");
    drop(server);
    let strict = house.serve();
    strict.anonymous().tool_text("getSpend", "{}").refused(401, "unauthorized");
    let mut open = house.program();
    open.args(["serve", "--local-agent", "--listen", "0.0.0.0:0"]);
    assert!(refuses_to_start(open).contains("loopback"));
}

#[test]
fn a_foreign_host_or_origin_is_refused_on_loopback() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let request = |headers: &str| {
        let key = operator.key();
        let request = format!("GET /v1/sessions HTTP/1.1\r\nAuthorization: Bearer {key}\r\n{headers}\r\n");
        raw_exchange(server.address, request.as_bytes()).unwrap()
    };
    for good in [
        "Host: localhost\r\n",
        "Host: LOCALHOST:8000\r\n",
        "Host: 127.0.0.1\r\n",
        "Host: [::1]:80\r\n",
        "Host: localhost\r\nOrigin: http://localhost:3000\r\n",
        "Host: localhost\r\nOrigin: http://127.0.0.1\r\n",
    ] {
        request(good).ok();
    }
    for bad in [
        "Host: evil.example\r\n",
        "Host: localhost.evil.example\r\n",
        "Host: 127.0.0.1.evil.example:80\r\n",
        "Host: localhost\r\nOrigin: https://evil.example\r\n",
        "Host: localhost\r\nOrigin: http://localhost.evil.example\r\n",
        "Host: localhost\r\nOrigin: null\r\n",
        "Host: localhost\r\nOrigin: \r\n",
        "Host: localhost\r\nOrigin: http://evil.example@localhost\r\n",
    ] {
        request(bad).refused(403, "forbidden_origin");
    }
    assert!(request("").status >= 400, "a request without Host was served");
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    operator.send("POST", "/mcp", &[("Origin", "https://evil.example")], list).refused(403, "forbidden_origin");
}

#[test]
fn an_operator_allows_further_hosts_and_origins() {
    let house = House::new();
    let mut command = house.serving();
    command.args(["--allow-host", "haldir.example", "--allow-origin", "https://app.example"]);
    let server = Server::start(command);
    let operator = server.first_key();
    let request = |host: &str, origin: &str| {
        let key = operator.key();
        let request =
            format!("GET /v1/sessions HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nX-API-Key: {key}\r\n\r\n");
        raw_exchange(server.address, request.as_bytes()).unwrap().status
    };
    assert_eq!(request("haldir.example", "https://app.example"), 200);
    assert_eq!(request("haldir.example:443", "HTTPS://APP.example"), 200);
    assert_eq!(request("haldir.example", "http://app.example"), 403);
    assert_eq!(request("other.example", "https://app.example"), 403);
}

#[test]
fn unknown_paths_and_methods_are_answered_in_json() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    for client in [&operator, &server.anonymous()] {
        for path in ["/nothing", "/v1/nothing", "/v1/sessions/a/b/c", "/v1/sessions/..%2fkeys/x"] {
            client.get(path).refused(404, "not_found");
        }
        client.send("PUT", "/v1/sessions", &[], "{}").refused(405, "method_not_allowed");
        client.send("BREW", "/v1/sessions", &[], "").refused(405, "method_not_allowed");
        client.delete("/healthz").refused(405, "method_not_allowed");
    }
}

#[test]
fn identifiers_in_paths_are_never_paths() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    operator.post("/v1/secrets", &json!({"name": "q", "value": "v"})).ok();
    operator.delete("/v1/sessions/..%2Fsecrets%2Fq").refused(404, "not_found");
    operator.get("/v1/sessions/..%2Fkeys").refused(404, "not_found");
    assert_eq!(operator.send("DELETE", "/v1/sessions/../secrets/q", &[], "").status, 404);
    assert_eq!(operator.get("/v1/secrets").ok()["count"], 1);
}

#[test]
fn a_bad_query_is_a_400_that_names_the_field() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    for (path, field) in [
        ("/v1/audit?limit=abc", "limit"),
        ("/v1/audit?limit=0", "limit"),
        ("/v1/audit?limit=1001", "limit"),
        ("/v1/audit?limit=1.5", "limit"),
        ("/v1/audit?limit=-1", "limit"),
        ("/v1/audit?limit=99999999999999999999", "limit"),
        ("/v1/audit?limit=", "limit"),
        ("/v1/audit?flagged=maybe", "flagged"),
        ("/v1/audit?since=yesterday", "since"),
        ("/v1/audit?since=-5", "since"),
        ("/v1/audit?since=2026-11-21T09:30:00", "since"),
        ("/v1/audit?until=2026-13-01", "until"),
        ("/v1/audit?until=1e300", "until"),
        ("/v1/audit?cursor=x", "cursor"),
        ("/v1/audit?colour=red", "colour"),
        ("/v1/sessions?limit=abc", "limit"),
        ("/v1/sessions?cursor=x", "cursor"),
        ("/v1/secrets?limit=0", "limit"),
    ] {
        operator.get(path).refused_field(400, "invalid_argument", field);
    }
    assert_eq!(operator.get("/v1/audit?agent_id=%ff").status, 400);
    assert_eq!(operator.get("/v1/audit?limit=1&limit=2").status, 400);
    operator.get("/v1/audit?limit=1000&flagged=false&since=0").ok();
}

#[test]
fn health_needs_no_key() {
    let house = House::new();
    let server = house.serve();
    assert_eq!(server.anonymous().get("/healthz").ok()["status"], "ok");
    assert_eq!(server.anonymous().get("/readyz").ok()["ready"], true);
    server.anonymous().get("/v1").ok();
}

#[test]
fn a_server_told_to_stop_finishes_what_it_took_and_ends_well() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let session = operator.session(&json!({}));
    let body = json!({"session_id": session, "action": "the last"}).to_string();
    let mut stream = TcpStream::connect(server.address).unwrap();
    let head = format!(
        "POST /v1/audit HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        operator.key(),
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut stream = BufReader::new(stream);
    // Asked to go on: the request is in the server's hands.
    assert_eq!(read_answer(&mut stream).unwrap().status, 100);
    server.process.terminate();
    until("the server takes no more connections", || TcpStream::connect(server.address).is_err());
    stream.get_mut().write_all(body.as_bytes()).unwrap();
    let logged = read_answer(&mut stream).unwrap().ok();
    let Server { process, .. } = server;
    let (well, errors) = process.finish();
    assert!(well, "{errors}");
    let again = house.serve();
    again.with_key(operator.key()).get(&format!("/v1/audit/entries/{}", text(&logged, "entry_id"))).ok();
}

#[test]
fn an_open_event_stream_does_not_keep_a_server_from_stopping() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let session = McpSession::begin(&operator);
    let mut stream = TcpStream::connect(server.address).unwrap();
    let request = format!(
        "GET /mcp HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {}\r\nAccept: text/event-stream\r\nMcp-Session-Id: {}\r\n\r\n",
        operator.key(),
        session.id
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut first = [0; 15];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    server.process.terminate();
    let Server { process, .. } = server;
    let (well, errors) = process.finish();
    assert!(well && !errors.contains("still in flight"), "{errors}");
}

#[test]
fn a_server_told_to_stop_as_soon_as_it_listens_ends_well() {
    for _ in 0..long(5, 20) {
        let house = House::new();
        let Server { process, .. } = house.serve();
        process.terminate();
        let (well, errors) = process.finish();
        assert!(well, "{errors}");
    }
}

#[test]
fn a_stdio_server_ends_well_when_its_client_leaves_or_the_system_stops_it() {
    let house = House::new();
    let stdio = house.stdio();
    stdio.session(&json!({}));
    stdio.process.terminate();
    let (well, errors) = stdio.leave();
    assert!(well, "{errors}");
    let (well, errors) = house.stdio().leave();
    assert!(well, "{errors}");
    assert_eq!(integer(&house.stdio().ok("getAuditTrail", &json!({})), "count"), 1);
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let house = House::new();
    house.file().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let errors = crate::support::refuses_to_start({
        let mut command = house.serving();
        command.env("HALDIR_ENCRYPTION_KEY", haldir::crypto::Key::generate().unwrap().to_base64().as_str());
        command
    });
    assert!(errors.contains("another program"), "{errors}");
    assert_eq!(house.sql_value::<i64>("SELECT count(*) FROM sqlite_schema"), 1);
}

#[test]
fn fields_may_stand_in_the_query_of_a_post_but_not_say_two_things() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = operator.session(&json!({}));
    let check = |query: &str, body: &str| operator.post_text(&format!("/v1/sessions/{session}/check{query}"), body);
    assert_eq!(check("?scope=read", "").ok()["allowed"], true);
    assert_eq!(check("?scope=read", r#"{"scope":"read"}"#).ok()["allowed"], true);
    assert_eq!(check("", &json!({"scope": "read", "session_id": session}).to_string()).ok()["allowed"], true);
    check("?scope=read", r#"{"scope":"admin"}"#).refused_field(400, "invalid_argument", "scope");
    check("?scope=read&scope=admin", "").refused_field(400, "invalid_argument", "scope");
    check("?session_id=ses_other", r#"{"scope":"read"}"#).refused_field(400, "invalid_argument", "session_id");
    check("?colour=red", r#"{"scope":"read"}"#).refused_field(400, "invalid_argument", "colour");
    operator.get("/v1/audit?limit=5&limit=5").ok();
    operator.get("/v1/audit?limit=5&limit=6").refused_field(400, "invalid_argument", "limit");
}

#[test]
fn times_are_taken_as_seconds_date_times_and_dates() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = operator.session(&json!({}));
    operator.log(&session, "x").ok();
    let count = |query: &str| integer(&operator.get(&format!("/v1/audit?{query}")).ok(), "count");
    let all = count("limit=100");
    for past in
        ["0", "1.5", "2020-01-01", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00%2B02:00", "2020-01-01T00:00:00+02:00"]
    {
        assert_eq!((count(&format!("since={past}")), count(&format!("until={past}"))), (all, 0), "{past}");
    }
    let refused = operator.get("/v1/audit?since=yesterday").refused(400, "invalid_argument");
    assert!(text(&refused, "error").contains("2026-11-21T09:30:00Z"), "{refused}");
}

#[test]
fn readiness_says_how_long_each_check_took_and_liveness_when_it_looked() {
    let house = House::new();
    let server = house.serve();
    let ready = server.anonymous().get("/readyz").ok();
    for check in ready["checks"].as_array().unwrap() {
        assert!(check["duration_ms"].as_f64().unwrap() >= 0.0, "{ready}");
    }
    let live = server.anonymous().get("/livez").ok();
    assert_eq!(live["alive"], true);
    assert!(live["checked_at"].as_f64().unwrap() > 1e9);
    assert!(server.anonymous().get("/healthz").ok()["checked_at"].as_f64().unwrap() > 1e9);
}

#[test]
fn what_is_wrong_with_a_field_is_said_in_the_callers_words() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let twice = operator.post_text("/v1/sessions", r#"{"agent_id":"a","ttl":1,"ttl":2}"#);
    assert_eq!(twice.refused(400, "invalid_argument")["field"], "ttl");
    let body = operator.get("/v1/audit?limit=9223372036854775808").refused(400, "invalid_argument");
    assert_eq!(body["error"], "limit: expected an integer of at most 64 bits");
    let body = operator.get("/v1/usage?year=2026").refused(400, "invalid_argument");
    assert_eq!(body["error"], "year: unknown field; expected month");
    let body = operator.get("/v1/metrics?x=1").refused(400, "invalid_argument");
    assert_eq!(body["error"], "x: unknown field; expected no fields");
}
