//! Permissions of keys, and that no key reaches beyond its creator or its tenant.

use serde_json::Value;

use crate::support::{Client, House, McpSession, Server, at_once, json, text};

/// A key that no store knows, in the form of one.
const UNKNOWN_KEY: &str = "hld_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

fn with_token(house: &House, listen: &str) -> Server {
    let mut command = house.program();
    command.args(["serve", "--listen", listen, "--rate-limits", "off"]).env("HALDIR_BOOTSTRAP_TOKEN", "the word");
    Server::start(command)
}

/// The operators of two tenants.
fn two_tenants(house: &House) -> (Server, Client, Client) {
    let server = with_token(house, "127.0.0.1:0");
    let mut tenants = Vec::new();
    let keys = [0, 1].map(|_| {
        let made = server.anonymous().post("/v1/keys", &json!({"bootstrap_token": "the word", "tier": "pro"})).ok();
        tenants.push(text(&made, "tenant_id"));
        server.with_key(made["key"].as_str().unwrap())
    });
    assert_ne!(tenants[0], tenants[1]);
    let [ours, theirs] = keys;
    (server, ours, theirs)
}

#[test]
fn the_first_key_of_a_tenant_that_is_asked_for_twice_is_one_key() {
    let house = House::new();
    let server = with_token(&house, "127.0.0.1:0");
    let ask = |word: &str, key: &str| {
        let body = json!({"bootstrap_token": word, "tier": "pro"}).to_string();
        server.anonymous().send("POST", "/v1/keys", &[("Idempotency-Key", key)], &body)
    };
    let refused = ask("another word", "k").status;
    assert!((400..500).contains(&refused), "{refused}");
    let answers = at_once(8, |_| ask("the word", "k").status);
    assert_eq!(answers.iter().filter(|status| **status == 201).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 409).count(), 7, "{answers:?}");
    assert_eq!(ask("the word", "another").status, 201);
}

#[test]
fn an_agent_key_works_in_sessions_and_sets_no_bounds() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let agent = operator.mint(&json!({"name": "agent"}));
    let session = agent.session(&json!({"scopes": ["read", "spend:5"]}));
    let authorization = text(&agent.pay(&session, "1").ok(), "authorization_id");
    let before = operator.log_size();
    for (method, path, body) in [
        ("POST", "/v1/keys".to_owned(), "{}"),
        ("GET", "/v1/keys".to_owned(), ""),
        ("DELETE", format!("/v1/keys/{}", &operator.key()[..12]), ""),
        ("POST", format!("/v1/payments/{authorization}/capture"), "{}"),
        ("POST", format!("/v1/payments/{authorization}/void"), "{}"),
    ] {
        agent.send(method, &path, &[], body).refused(403, "operator_required");
    }
    assert_eq!(operator.log_size(), before + 5, "a refusal left no entry, or more than one");
    let error = agent.post("/v1/sessions", &json!({"agent_id": "a", "scopes": ["admin"]}));
    error.refused_field(403, "ceiling_exceeded", "scopes");
    agent.post("/v1/sessions", &json!({"agent_id": "a", "scopes": ["*"]})).refused(403, "ceiling_exceeded");
}

#[test]
fn a_key_scope_holds_on_every_face() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = operator.session(&json!({"scopes": ["read", "spend"], "spend_limit": 10}));
    let auditor = operator.mint(&json!({"scopes": ["audit:read"], "role": "operator"}));
    auditor.get("/v1/audit").ok();
    auditor.get("/v1/audit/verify").ok();
    let refusal = auditor.pay(&session, "1").refused(403, "insufficient_scope");
    assert_eq!((&refusal["required"], &refusal["granted"]), (&json!("payments:write"), &json!(["audit:read"])));
    auditor.post("/v1/keys", &json!({"scopes": ["*"]})).refused(403, "insufficient_scope");
    auditor.log(&session, "x").refused(403, "insufficient_scope");
    auditor.get("/v1/keys").refused(403, "insufficient_scope");
    auditor.post("/v1/sessions", &json!({"agent_id": "a"})).refused(403, "insufficient_scope");
    auditor.get(&format!("/v1/secrets/s?session_id={session}")).refused(403, "insufficient_scope");
    assert_eq!(auditor.tool("getAuditTrail", &json!({}))["isError"], false);
    for (tool, arguments) in [
        ("authorizePayment", json!({"session_id": session, "amount": 1})),
        ("createSession", json!({"agent_id": "a"})),
        ("getSession", json!({"session_id": session})),
        ("logAction", json!({"session_id": session, "action": "x"})),
        ("storeSecret", json!({"name": "s", "value": "v"})),
    ] {
        let result = auditor.tool(tool, &arguments);
        assert_eq!(result["isError"], true, "{tool}: {result}");
        assert!(result["content"][0]["text"].as_str().unwrap().contains("insufficient_scope"), "{result}");
    }
    assert_eq!(operator.get(&format!("/v1/sessions/{session}")).ok()["spent"], 0);
}

#[test]
fn write_includes_read_and_nothing_else() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let writer = operator.mint(&json!({"scopes": ["sessions:write", "vault:read"]}));
    let session = writer.session(&json!({}));
    writer.get(&format!("/v1/sessions/{session}")).ok();
    writer.get("/v1/secrets").ok();
    writer.post("/v1/secrets", &json!({"name": "s", "value": "v"})).refused(403, "insufficient_scope");
    writer.get("/v1/audit").refused(403, "insufficient_scope");
}

#[test]
fn a_minted_key_never_exceeds_its_maker() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let maker = operator.mint(&json!({"role": "operator", "scopes": ["admin:*", "sessions:write", "payments:*"],
        "max_spend": 50, "max_ttl": 600, "max_scopes": ["read", "spend"]}));
    for scopes in [json!(["*"]), json!(["audit:read"]), json!(["sessions:*"]), json!(["sessions:read", "vault:read"])] {
        maker.post("/v1/keys", &json!({"scopes": scopes})).refused_field(403, "ceiling_exceeded", "scopes");
    }
    for bad in [json!(["everything"]), json!(["audit"]), json!(["audit:delete"]), json!([])] {
        maker.post("/v1/keys", &json!({"scopes": bad})).refused_field(400, "invalid_argument", "scopes");
    }
    let made = maker.mint(&json!({"max_spend": 1_000_000, "max_ttl": 2_592_000, "max_scopes": ["*", "admin", "read"]}));
    for (fields, field) in [
        (json!({"spend_limit": 50.01}), "spend_limit"),
        (json!({"ttl": 601}), "ttl"),
        (json!({"ttl": 0}), "ttl"),
        (json!({"scopes": ["admin"]}), "scopes"),
        (json!({"scopes": ["write"]}), "scopes"),
    ] {
        let mut body = fields;
        body["agent_id"] = json!("a");
        made.post("/v1/sessions", &body).refused_field(403, "ceiling_exceeded", field);
    }
    let session = made.session(&json!({"scopes": ["spend"]}));
    made.pay(&session, "50.01").refused(403, "budget_exceeded");
    made.pay(&session, "50").ok();
    made.get("/v1/audit").refused(403, "insufficient_scope");
}

#[test]
fn a_minted_key_does_not_outlive_its_maker() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let maker = operator.mint(&json!({"role": "operator", "expires_in": 1000}));
    for asked in [json!({}), json!({"expires_in": 100_000}), json!({"expires_in": 10})] {
        maker.mint(&asked);
    }
    let listed = operator.get("/v1/keys").ok();
    let ends: Vec<_> = listed["keys"].as_array().unwrap().iter().map(|key| key["expires_at"].as_f64()).collect();
    let [Some(shorter), Some(longer), Some(endless), Some(maker), None] = ends[..] else { panic!("{listed}") };
    assert!(shorter < maker && longer <= maker && endless <= maker, "{listed}");
}

#[test]
fn an_mcp_session_lends_its_callers_key_to_no_other_client() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let session = McpSession::begin(&operator);
    assert!(session.tool("createSession", &json!({"agent_id": "a", "scopes": ["admin"]})).contains("ses_"));
    let auditor = operator.mint(&json!({"scopes": ["audit:read"]}));
    let said = session.claimed_by(&auditor).tool("createSession", &json!({"agent_id": "a"}));
    assert!(said.contains("the MCP session is unknown"), "{said}");
    let said = session.claimed_by(&server.anonymous()).tool("createSession", &json!({"agent_id": "a"}));
    assert!(said.contains("unauthorized"), "{said}");
    operator.delete(&format!("/v1/keys/{}", &auditor.key()[..12])).ok();
    let said = session.claimed_by(&auditor).tool("getSpend", &json!({}));
    assert!(said.contains("unauthorized"), "{said}");
    assert_eq!(operator.get("/v1/sessions").ok()["count"], 1);
}

#[test]
fn bad_bounds_of_a_key_are_refused_by_name() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    for (field, value) in [
        ("max_spend", json!(-1)),
        ("max_ttl", json!(0)),
        ("max_ttl", json!(2_592_001)),
        ("expires_in", json!(0)),
        ("expires_in", json!(-5)),
        ("name", json!("")),
        ("tier", json!("gold")),
        ("role", json!("root")),
    ] {
        operator.post("/v1/keys", &json!({field: value})).refused_field(400, "invalid_argument", field);
    }
}

#[test]
fn the_window_for_the_first_key_closes_for_good_in_every_process() {
    let house = House::new();
    let first = house.serve();
    let second = house.serve();
    let minted = at_once(8, |index| {
        let server = if index % 2 == 0 { &first } else { &second };
        server.anonymous().post("/v1/keys", &json!({"name": index.to_string()}))
    });
    let made: Vec<_> = minted.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(made.len(), 1, "several first keys were made");
    for answer in minted.iter().filter(|answer| answer.status != 201) {
        answer.refused(401, "unauthorized");
    }
    let operator = first.with_key(&text(&made[0].json(), "key"));
    operator.delete(&format!("/v1/keys/{}", &operator.key()[..12])).ok();
    for server in [&first, &second, &house.serve()] {
        server.anonymous().post("/v1/keys", &json!({})).refused(401, "unauthorized");
    }
}

#[test]
fn the_bootstrap_token_is_needed_wherever_one_is_set() {
    let house = House::new();
    let server = with_token(&house, "127.0.0.1:0");
    let anyone = server.anonymous();
    for wrong in [
        json!({}),
        json!({"bootstrap_token": ""}),
        json!({"bootstrap_token": "the wor"}),
        json!({"bootstrap_token": null}),
    ] {
        anyone.post("/v1/keys", &wrong).refused(401, "unauthorized");
    }
    let made = anyone.post("/v1/keys", &json!({"bootstrap_token": "the word"})).ok();
    assert_eq!((&made["role"], &made["tenant_id"]), (&json!("operator"), &json!("local")));
    anyone.post("/v1/keys", &json!({"bootstrap_token": "the word", "role": "agent"})).refused(400, "invalid_argument");
    assert!(!server.process.errors().contains("the word"));
}

#[test]
fn where_others_can_reach_the_server_the_first_key_needs_a_token() {
    let house = House::new();
    let mut command = house.program();
    command.args(["serve", "--listen", "0.0.0.0:0", "--rate-limits", "off"]);
    let open = Server::start(command);
    open.anonymous().post("/v1/keys", &json!({})).refused(401, "unauthorized");
    open.anonymous().post("/v1/keys", &json!({"bootstrap_token": "guess"})).refused(401, "unauthorized");
    drop(open);
    let told = with_token(&house, "0.0.0.0:0");
    told.anonymous().post("/v1/keys", &json!({})).refused(401, "unauthorized");
    told.anonymous().post("/v1/keys", &json!({"bootstrap_token": "the word"})).ok();
}

#[test]
fn tenants_share_nothing() {
    let house = House::new();
    let (_server, ours, theirs) = two_tenants(&house);
    let session = ours.session(&json!({"scopes": ["read", "spend"], "spend_limit": 10}));
    ours.post("/v1/secrets", &json!({"name": "shared-name", "value": "ours"})).ok();
    theirs.post("/v1/secrets", &json!({"name": "shared-name", "value": "theirs"})).ok();
    let entry = text(&ours.log(&session, "private").ok(), "entry_id");
    let authorization = text(&ours.pay(&session, "1").ok(), "authorization_id");
    let mine = theirs.session(&json!({}));
    for (method, path) in [
        ("GET", format!("/v1/sessions/{session}")),
        ("DELETE", format!("/v1/sessions/{session}")),
        ("GET", format!("/v1/sessions/{session}/descendants")),
        ("GET", format!("/v1/audit/entries/{entry}")),
        ("DELETE", format!("/v1/keys/{}", &ours.key()[..12])),
        ("POST", format!("/v1/payments/{authorization}/void")),
        ("POST", format!("/v1/payments/{authorization}/capture")),
    ] {
        theirs.send(method, &path, &[], "").refused(404, "not_found");
    }
    theirs.pay(&session, "1").refused(401, "session_invalid");
    theirs.log(&session, "x").refused(401, "session_invalid");
    theirs.get(&format!("/v1/secrets/shared-name?session_id={session}")).refused(401, "session_invalid");
    assert_eq!(theirs.get(&format!("/v1/secrets/shared-name?session_id={mine}")).ok()["value"], "theirs");
    assert_eq!(theirs.get("/v1/keys").ok()["count"], 1);
    assert_eq!(theirs.get(&format!("/v1/audit?session_id={session}")).ok()["count"], 0);
    assert_eq!(theirs.get("/v1/audit/spend").ok()["authorized_usd"], 0);
    theirs.delete("/v1/secrets/shared-name").ok();
    assert_eq!(ours.get("/v1/secrets").ok()["secrets"], json!(["shared-name"]));
    ours.verified();
    theirs.verified();
}

#[test]
fn an_idempotency_key_of_one_tenant_says_nothing_to_another() {
    let house = House::new();
    let (_server, ours, theirs) = two_tenants(&house);
    let mint = |client: &Client| client.send("POST", "/v1/keys", &[("Idempotency-Key", "same")], r#"{"name":"n"}"#);
    let made = mint(&ours).ok();
    let theirs_made = mint(&theirs).ok();
    assert_ne!(made["key"], theirs_made["key"]);
    assert_ne!(made["tenant_id"], theirs_made["tenant_id"]);
    // An answer that holds a secret is never given again.
    mint(&ours).refused(409, "conflict");
    let stored: i64 = house.sql_value("SELECT count(*) FROM idempotency WHERE body LIKE '%hld_%'");
    assert_eq!(stored, 0);
    let session = |client: &Client| {
        client.send("POST", "/v1/sessions", &[("Idempotency-Key", "s")], r#"{"agent_id":"a"}"#).ok()["session_id"]
            .clone()
    };
    assert_eq!(session(&ours), session(&ours));
    assert_ne!(session(&ours), session(&theirs));
}

#[test]
fn a_revocation_holds_from_the_next_request_in_every_process() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let other_server = house.serve();
    for _ in 0..10 {
        let agent = operator.mint(&json!({}));
        let elsewhere = other_server.with_key(agent.key());
        let session = elsewhere.session(&json!({"scopes": ["spend"]}));
        elsewhere.pay(&session, "1").ok();
        operator.delete(&format!("/v1/sessions/{session}")).ok();
        elsewhere.pay(&session, "1").refused(401, "session_invalid");
        operator.delete(&format!("/v1/keys/{}", &agent.key()[..12])).ok();
        elsewhere.get("/v1/sessions").refused(401, "unauthorized");
        agent.get("/v1/sessions").refused(401, "unauthorized");
        assert_eq!(elsewhere.tool_text("getSpend", "{}").status, 401);
    }
}

#[test]
fn missing_unknown_and_revoked_keys_are_answered_alike() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let revoked = operator.mint(&json!({}));
    operator.delete(&format!("/v1/keys/{}", &revoked.key()[..12])).ok();
    let long = format!("hld_{}", "x".repeat(5_000));
    let callers = [
        server.anonymous(),
        revoked,
        server.with_key(UNKNOWN_KEY),
        server.with_key("hld_"),
        server.with_key(""),
        server.with_key("nonsense"),
        server.with_key(&long),
        server.with_key(&operator.key()[..operator.key().len() - 1]),
        server.with_key(&format!("{}x", operator.key())),
    ];
    let shapes: Vec<Value> = callers
        .iter()
        .flat_map(|caller| {
            [caller.get("/v1/sessions"), caller.post("/v1/sessions", &json!({})), caller.tool_text("getSpend", "{}")]
        })
        .map(|answer| {
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            let mut body = answer.refused(401, "unauthorized");
            body.as_object_mut().unwrap().remove("request_id");
            body
        })
        .collect();
    assert!(shapes.iter().all(|shape| *shape == shapes[0]), "{shapes:?}");
}

#[test]
fn a_key_is_read_from_every_place_where_clients_put_it() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let anyone = server.anonymous();
    let key = operator.key();
    let bearer = format!("bearer {key}");
    for header in [("Authorization", key), ("Authorization", &bearer), ("X-API-Key", key)] {
        assert_eq!(anyone.send("GET", "/v1/sessions", &[header], "").status, 200, "{header:?}");
    }
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(anyone.post_text(&format!("/mcp?apiKey={key}"), list).status, 200);
    // No key in URLs of our own making.
    anyone.get(&format!("/v1/sessions?apiKey={key}")).refused(401, "unauthorized");
}

#[test]
fn the_raw_key_is_stored_nowhere() {
    let house = House::new();
    let mut command = house.serving();
    command.env("HALDIR_LOG", "trace");
    let server = Server::start(command);
    let operator = server.first_key();
    let agent = operator.mint(&json!({}));
    agent.session(&json!({}));
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(server.anonymous().post_text(&format!("/mcp?apiKey={}", agent.key()), list).status, 200);
    for (name, bytes) in house.stored_bytes() {
        for key in [operator.key(), agent.key()] {
            let secret = &key.as_bytes()[12..];
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "a key stands in {name}");
        }
    }
    for log in [server.process.errors(), operator.get("/v1/audit").text, operator.get("/v1/keys").text] {
        assert!(!log.contains(&operator.key()[12..]) && !log.contains(&agent.key()[12..]));
    }
}

#[test]
fn an_expired_key_is_refused() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let agent = operator.mint(&json!({"expires_in": 1000}));
    agent.get("/v1/sessions").ok();
    let expire = "UPDATE api_keys SET expires_at = 1 WHERE expires_at IS NOT NULL";
    assert_eq!(house.change(expire), 1);
    agent.get("/v1/sessions").refused(401, "unauthorized");
}

#[test]
fn a_whole_key_given_for_its_prefix_is_not_repeated() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let whole = operator.mint(&json!({"name": "agent"})).key().to_owned();
    for answer in
        [operator.delete(&format!("/v1/keys/{whole}")), operator.post(&format!("/v1/keys/{whole}/rotate"), &json!({}))]
    {
        answer.refused(404, "not_found");
        assert!(!answer.text.contains(&whole[..13]), "{}", answer.text);
    }
}
