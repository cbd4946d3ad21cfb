//! What an agent may do to secrets, sessions and keys.

use serde_json::Value;

use crate::support::{Client, House, json, text, until};

fn store(client: &Client, body: &Value) -> u16 {
    client.post("/v1/secrets", body).status
}

#[test]
fn an_agent_replaces_or_deletes_a_secret_only_in_a_session_that_may_read_it() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let agent = operator.mint(&json!({"role": "agent"}));
    let (poor, rich) = (agent.session(&json!({"scopes": ["read"]})), agent.session(&json!({"scopes": ["billing"]})));
    let secret = json!({"name": "s", "value": "the operator's", "scope_required": "billing"});
    assert_eq!(store(&operator, &secret), 201);
    assert_eq!(store(&operator, &json!({"name": "top", "value": "v", "scope_required": "admin"})), 201);
    let with = |name: &str, session: Option<&str>| json!({"name": name, "value": "planted", "scope_required": "read", "session_id": session});
    for (name, session) in [("s", None), ("s", Some(poor.as_str())), ("top", None), ("top", Some(rich.as_str()))] {
        let refused = agent.post("/v1/secrets", &with(name, session)).refused(403, "scope_denied");
        assert!(!refused.to_string().contains("planted"), "{refused}");
        let path = session.map_or_else(String::new, |id| format!("?session_id={id}"));
        agent.delete(&format!("/v1/secrets/{name}{path}")).refused(403, "scope_denied");
        assert_eq!(agent.tool("storeSecret", &with(name, session))["isError"], true);
    }
    agent.post("/v1/secrets", &with("s", Some("ses_none"))).refused(401, "session_invalid");
    let read = |session: &str| agent.get(&format!("/v1/secrets/s?session_id={session}"));
    assert_eq!(read(&rich).ok()["value"], "the operator's");
    // What is new is anybody's to store, and what a session may read it may replace.
    assert_eq!(store(&agent, &json!({"name": "own", "value": "v"})), 201);
    assert_eq!(store(&agent, &with("own", Some(&poor))), 201);
    let replaced = agent.post("/v1/secrets", &with("s", Some(&rich))).ok();
    assert_eq!(replaced["version"], 2);
    assert_eq!(read(&poor).ok()["value"], "planted");
    agent.send("DELETE", "/v1/secrets/s", &[("X-Session-ID", &poor)], "").ok();
    assert_eq!(store(&operator, &json!({"name": "top", "value": "w"})), 201);
    operator.delete("/v1/secrets/top").ok();
    operator.verified();
}

#[test]
fn a_session_ends_no_later_than_the_key_that_makes_it() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let agent = operator.mint(&json!({"role": "agent", "expires_in": 1_000}));
    for ttl in [0, 1_001, 2_592_000] {
        let asked = json!({"agent_id": "a", "ttl": ttl});
        agent.post("/v1/sessions", &asked).refused_field(403, "ceiling_exceeded", "ttl");
    }
    for asked in [json!({"agent_id": "a"}), json!({"agent_id": "a", "ttl": 900})] {
        let made = agent.post("/v1/sessions", &asked).ok();
        assert!((1..=1_000).contains(&made["ttl"].as_i64().unwrap()), "{made}");
    }
    // One that a parent with more time would allow as well.
    let parent = operator.session(&json!({"ttl": 0}));
    let child = agent.post("/v1/sessions", &json!({"agent_id": "a", "parent_session_id": parent})).ok();
    assert!((1..=1_000).contains(&child["ttl"].as_i64().unwrap()), "{child}");
}

#[test]
fn the_sessions_of_a_revoked_key_end_with_it() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let made = operator.post("/v1/keys", &json!({"role": "agent"})).ok();
    let agent = Client::new(server.address, Some(text(&made, "key")));
    let (own, other) = (agent.session(&json!({"scopes": ["read"]})), operator.session(&json!({"scopes": ["read"]})));
    // One below it, made with another key, ends as well.
    let below = operator.session(&json!({"parent_session_id": own, "scopes": ["read"]}));
    let shown = |id: &str| operator.get(&format!("/v1/sessions/{id}")).ok()["is_valid"].clone();
    assert_eq!([shown(&own), shown(&below), shown(&other)], [true, true, true]);
    operator.delete(&format!("/v1/keys/{}", text(&made, "prefix"))).ok();
    assert_eq!([shown(&own), shown(&below), shown(&other)], [false, false, true]);
    for id in [&own, &below] {
        operator.log(id, "x").refused(401, "session_invalid");
        let asked = json!({"scope": "read"});
        assert_eq!(operator.post(&format!("/v1/sessions/{id}/check"), &asked).ok()["allowed"], false);
    }
    operator.log(&other, "x").ok();
}

#[test]
fn a_session_below_a_revoked_one_may_not_act_whatever_its_own_row_says() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let root = operator.session(&json!({}));
    let child = operator.session(&json!({"parent_session_id": root}));
    let grandchild = operator.session(&json!({"parent_session_id": child}));
    operator.delete(&format!("/v1/sessions/{root}")).ok();
    // As a process leaves it that ended between two of the transactions that mark sessions.
    house.change(&format!("UPDATE sessions SET revoked_at = NULL WHERE id <> '{root}'"));
    for id in [&child, &grandchild] {
        operator.log(id, "x").refused(401, "session_invalid");
        assert_eq!(operator.get(&format!("/v1/sessions/{id}")).ok()["is_valid"], false);
    }
    // Revoking once more marks what was left.
    let again = operator.delete(&format!("/v1/sessions/{root}")).ok();
    assert_eq!(again["cascade_revoked_count"], 2, "{again}");
    assert_eq!(operator.get(&format!("/v1/sessions/{grandchild}")).ok()["revoked"], true);
}

#[test]
fn an_agent_is_stopped_in_one_step() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let made = operator.post("/v1/keys", &json!({"role": "agent"})).ok();
    let agent = server.with_key(&text(&made, "key"));
    let ours: Vec<_> = (0..3).map(|_| agent.session(&json!({"agent_id": "rogue / bot"}))).collect();
    let below = agent.session(&json!({"agent_id": "helper", "parent_session_id": ours[0]}));
    let bystander = agent.session(&json!({"agent_id": "other"}));
    agent.post("/v1/agents/rogue%20%2F%20bot/stop", &json!({})).refused(403, "operator_required");
    let stopped = operator.post("/v1/agents/rogue%20%2F%20bot/stop", &json!({})).ok();
    assert_eq!((&stopped["stopped"], &stopped["sessions_ended_count"]), (&json!(true), &json!(4)), "{stopped}");
    assert_eq!((&stopped["made_by"], &stopped["keys_revoked"]), (&json!([made["prefix"]]), &json!([])), "{stopped}");
    for id in ours.iter().chain([&below]) {
        agent.log(id, "x").refused(401, "session_invalid");
    }
    agent.log(&bystander, "x").ok();
    assert_eq!(operator.post("/v1/agents/rogue%20%2F%20bot/stop", &json!({})).ok()["sessions_ended_count"], 0);
    // The keys as well, and with them what else they made.
    agent.session(&json!({"agent_id": "rogue / bot"}));
    let stopped = operator.post("/v1/agents/rogue%20%2F%20bot/stop", &json!({"revoke_keys": true})).ok();
    assert_eq!((&stopped["sessions_ended_count"], &stopped["keys_revoked"]), (&json!(1), &json!([made["prefix"]])));
    assert_eq!(agent.get("/v1/sessions").status, 401);
    operator.log(&bystander, "x").refused(401, "session_invalid");
    let trail = operator.get("/v1/audit?limit=1000").ok();
    let count =
        |action: &str| trail["entries"].as_array().unwrap().iter().filter(|entry| entry["action"] == action).count();
    assert_eq!((count("agent.stop"), count("session.revoke"), count("key.revoke")), (3, 5, 1));
    // From the terminal.
    let again = operator.session(&json!({"agent_id": "rogue / bot"}));
    let (code, output, errors) = house.terminal(&["stop", "rogue / bot"]);
    assert_eq!(code, 0, "{errors}");
    assert!(output.contains("1 session"), "{output}");
    until("the session has ended", || operator.log(&again, "x").status == 401);
    operator.verified();
}

#[test]
fn a_name_that_no_agent_has_is_refused_and_nothing_is_stopped() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    operator.session(&json!({"agent_id": "writer-bot"}));
    let refused = operator.post("/v1/agents/Writer-Bot/stop", &json!({})).refused(404, "not_found");
    assert!(text(&refused, "error").contains("there is an agent writer-bot"), "{refused}");
    operator.post("/v1/agents/no-such-bot/stop", &json!({})).refused_field(404, "not_found", "agent_id");
    let trail = operator.get("/v1/audit?limit=100").ok();
    let stops = trail["entries"].as_array().unwrap().iter().filter(|entry| entry["action"] == "agent.stop").count();
    assert_eq!(stops, 0, "{trail}");
    assert_eq!(operator.post("/v1/agents/writer-bot/stop", &json!({})).ok()["sessions_ended_count"], 1);
}
