//! Keys that are rotated, listed page by page, and revoked in another process.

use haldir::{error::Code, model::Credential};

use crate::support::{House, InProcess, integer, json, text};

#[test]
fn a_rotated_key_and_its_successor_are_both_good_for_the_overlap() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let agent = operator.mint(&json!({"name": "worker", "tier": "pro", "max_spend": 5, "scopes": ["sessions:*"]}));
    let prefix = &agent.key()[..12];
    let made = operator.post(&format!("/v1/keys/{prefix}/rotate"), &json!({"grace_seconds": 3_600})).ok();
    assert_eq!((&made["name"], &made["tier"], &made["role"]), (&json!("worker"), &json!("pro"), &json!("agent")));
    assert_eq!((&made["scopes"], &made["previous_prefix"]), (&json!(["sessions:*"]), &json!(prefix)));
    let successor = server.with_key(&text(&made, "key"));
    agent.get("/v1/sessions").ok();
    successor.get("/v1/sessions").ok();
    let beyond = json!({"agent_id": "a", "spend_limit": 6});
    successor.post("/v1/sessions", &beyond).refused_field(403, "ceiling_exceeded", "spend_limit");
    let listed = operator.get("/v1/keys").ok();
    let old = listed["keys"].as_array().unwrap().iter().find(|key| key["prefix"] == prefix).unwrap().clone();
    assert_eq!(old["expires_at"], made["previous_expires_at"]);
    operator.post("/v1/keys/hld_nowhere0/rotate", &json!({})).refused(404, "not_found");
    // At once, if asked to.
    let made = operator.post(&format!("/v1/keys/{}/rotate", &successor.key()[..12]), &json!({"grace_seconds": 0})).ok();
    successor.get("/v1/sessions").refused(401, "unauthorized");
    operator.post(&format!("/v1/keys/{}/rotate", &successor.key()[..12]), &json!({})).refused(409, "conflict");
    server.with_key(&text(&made, "key")).get("/v1/sessions").ok();
    operator.verified();
}

#[test]
fn a_rotated_key_is_good_until_the_overlap_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let house = InProcess::open(&folder.path().join("h.db"));
    let key = text(&house.ok("createApiKey", &json!({"name": "worker"})), "key");
    let rotate = json!({"prefix": &key[..12], "grace_seconds": 2});
    let successor = text(&house.ok("rotateApiKey", &rotate), "key");
    let list = |key: &str| {
        let answer = house.call_as(&Credential::ApiKey(key.to_owned().into()), "listSessions", &json!({}));
        answer.map(drop).map_err(|error| error.code)
    };
    assert_eq!([list(&key), list(&successor)], [Ok(()), Ok(())]);
    house.clock.advance_seconds(3);
    assert_eq!([list(&key), list(&successor)], [Err(Code::Unauthorized), Ok(())]);
    assert_eq!(house.refused("rotateApiKey", &rotate).code, Code::Conflict);
}

#[test]
fn no_operator_rotates_a_key_that_reaches_further_than_their_own() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let helper = operator.mint(&json!({"role": "operator", "scopes": ["admin:*"], "max_spend": 5}));
    let agent = operator.mint(&json!({"name": "agent"}));
    let rotate = |prefix: &str| helper.post(&format!("/v1/keys/{prefix}/rotate"), &json!({}));
    rotate(&operator.key()[..12]).refused_field(403, "insufficient_scope", "prefix");
    rotate(&agent.key()[..12]).refused_field(403, "insufficient_scope", "prefix");
    let unbounded = operator.mint(&json!({"role": "operator", "scopes": ["admin:read"]}));
    rotate(&unbounded.key()[..12]).refused_field(403, "ceiling_exceeded", "prefix");
    rotate(&helper.key()[..12]).ok();
    agent.post(&format!("/v1/keys/{}/rotate", &agent.key()[..12]), &json!({})).refused(403, "operator_required");
    operator.get("/v1/keys").ok();
}

#[test]
fn keys_are_listed_page_by_page() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    for number in 0..7 {
        operator.mint(&json!({"name": format!("key {number}")}));
    }
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = operator.get(&format!("/v1/keys?limit=3{cursor}")).ok();
        assert!(integer(&page, "count") <= 3);
        names.extend(page["keys"].as_array().unwrap().iter().map(|key| text(key, "name")));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let expected: Vec<_> = (0..7).rev().map(|n| format!("key {n}")).chain(["first".to_owned()]).collect();
    assert_eq!(names, expected);
    operator.get("/v1/keys?cursor=nonsense").refused_field(400, "invalid_argument", "cursor");
}
