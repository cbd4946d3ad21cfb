//! Which keys a stdio server works with, and which one an empty store adopts.

use crate::support::{House, Stdio, integer, json, refuses_to_start};

/// A key that no store knows, in the form of one.
const UNKNOWN_KEY: &str = "hld_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

fn stdio_with_key(house: &House, key: &str) -> std::process::Command {
    let mut command = house.program();
    command.env("HALDIR_API_KEY", key);
    command
}

#[test]
fn an_empty_store_adopts_the_key_of_its_first_stdio_client_as_an_agents() {
    let house = House::new();
    for weak in
        ["hld_short", "sk_0123456789abcdefghijklmnopqrstuvwxyz0123", "hld_0123456789 abcdefghijklmnopqrstuvwxyz0123"]
    {
        let errors = refuses_to_start(stdio_with_key(&house, weak));
        assert!(errors.contains("HALDIR_API_KEY") && !errors.contains(weak), "{errors}");
    }
    let stdio = Stdio::start(stdio_with_key(&house, UNKNOWN_KEY));
    stdio.session(&json!({}));
    stdio.refused("createSession", &json!({"agent_id": "a", "scopes": ["admin"]}), "ceiling_exceeded");
    stdio.refused("createSession", &json!({"agent_id": "a", "spend_limit": 101}), "ceiling_exceeded");
    let again = Stdio::start(stdio_with_key(&house, UNKNOWN_KEY));
    again.session(&json!({}));
    let other = UNKNOWN_KEY.replace('0', "9");
    let errors = refuses_to_start(stdio_with_key(&house, &other));
    assert!(errors.contains("not a live key") && !errors.contains(&other), "{errors}");
    // The window for the first key is closed by it, and it is an agent's.
    let server = house.serve();
    server.anonymous().post("/v1/keys", &json!({})).refused(401, "unauthorized");
    server.with_key(UNKNOWN_KEY).post("/v1/keys", &json!({})).refused(403, "operator_required");
    let trail = server.with_key(UNKNOWN_KEY).get("/v1/audit").ok();
    assert_eq!(trail["entries"].as_array().unwrap().last().unwrap()["action"], "key.create");
    assert_eq!(integer(&trail, "count"), 6);
}

#[test]
fn a_store_with_keys_adopts_no_other() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let agent = operator.mint(&json!({"max_spend": 5}));
    refuses_to_start(stdio_with_key(&house, UNKNOWN_KEY));
    let stdio = Stdio::start(stdio_with_key(&house, agent.key()));
    stdio.refused("createSession", &json!({"agent_id": "a", "spend_limit": 6}), "ceiling_exceeded");
    stdio.session(&json!({"spend_limit": 5}));
    server.with_key(operator.key()).delete(&format!("/v1/keys/{}", &agent.key()[..12])).ok();
    let answer = stdio.tool_text("createSession", r#"{"agent_id":"a"}"#);
    assert!(answer["result"]["isError"] == true || answer["error"].is_object(), "a revoked key goes on: {answer}");
}

#[test]
fn identifiers_are_never_paths_for_a_stdio_client_of_a_server_elsewhere() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    operator.post("/v1/secrets", &json!({"name": "q", "value": "v"})).ok();
    let session = operator.session(&json!({}));
    let here = House::new();
    let mut program = here.program();
    program.env("HALDIR_BASE_URL", format!("http://{}", server.address)).env("HALDIR_API_KEY", operator.key());
    let stdio = Stdio::start(program);
    for name in ["revokeSession", "getSession"] {
        for id in ["../secrets/q", "..%2Fsecrets%2Fq", "../keys", "..", ".", "?limit=1", "#", "/", "x/../../secrets/q"]
        {
            let result = stdio.tool(name, &json!({"session_id": id}));
            assert_eq!(result["isError"], true, "{name} {id}: {result}");
        }
    }
    assert_eq!(
        stdio.tool("getSecret", &json!({"name": "q", "session_id": session}))["structuredContent"]["value"],
        "v"
    );
}
