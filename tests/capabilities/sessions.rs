//! What a session may do, and that nothing widens it.

use haldir::model::Credential;

use crate::support::{House, InProcess, Stdio, integer, json, start_of_time, text};

fn haldir() -> (House, InProcess) {
    let house = House::new();
    let haldir = InProcess::open(&house.db());
    (house, haldir)
}

impl InProcess {
    fn allows(&self, session: &str, scope: &str) -> bool {
        let answer = self.ok("checkPermission", &json!({"session_id": session, "scope": scope}));
        answer["allowed"].as_bool().unwrap()
    }

    fn is_valid(&self, session: &str) -> bool {
        self.ok("getSession", &json!({"session_id": session}))["is_valid"].as_bool().unwrap()
    }
}

#[track_caller]
fn refuses(haldir: &InProcess, fields: &serde_json::Value, code: &str, field: &str) {
    let mut input = json!({"agent_id": "a"});
    input.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let error = haldir.refused("createSession", &input);
    assert_eq!((error.code.name(), error.field.as_deref()), (code, Some(field)), "{fields}: {error}");
}

#[test]
fn a_session_has_the_defaults_of_the_contract() {
    let (_house, haldir) = haldir();
    let made = haldir.ok("createSession", &json!({"agent_id": "a"}));
    assert_eq!((&made["scopes"], &made["ttl"]), (&json!(["read", "browse"]), &json!(3600)));
    assert_eq!((&made["spend_limit"], &made["parent_session_id"]), (&json!(null), &json!("")));
    assert_eq!(made["delegation_depth"], 0);
    let end = start_of_time().plus_seconds(3600).as_seconds();
    assert_eq!(made["expires_at"].as_f64(), Some(f64::from(u32::try_from(end).unwrap())));
    let session = haldir.ok("getSession", &json!({"session_id": made["session_id"]}));
    assert_eq!(
        (&session["is_valid"], &session["spent"], &session["remaining_budget"]),
        (&json!(true), &json!(0), &json!(null))
    );
}

#[test]
fn a_narrower_scope_never_gives_a_wider_one() {
    let (_house, haldir) = haldir();
    let session = haldir.session(&json!({"scopes": ["admin:readonly", "files:read", "mail:*", "browse"]}));
    for held in
        ["admin:readonly", "admin:readonly:x", "files:read", "files:read:a", "mail:send", "browse", "browse:web"]
    {
        assert!(haldir.allows(&session, held), "{held} should be held");
    }
    for not_held in
        ["admin", "*", "files", "files:write", "mail", "brows", "browser", "spend", "read", "", " ", "files:", ":"]
    {
        let input = json!({"session_id": session, "scope": not_held});
        let allowed = haldir.call("checkPermission", &input).is_ok_and(|answer| answer["allowed"] == true);
        assert!(!allowed, "{not_held:?} should not be held");
    }
    for (name, scope) in [("storeSecret", "admin"), ("storeSecret", "files")] {
        haldir.ok(name, &json!({"name": scope, "value": "v", "scope_required": scope}));
        haldir.refused("getSecret", &json!({"name": scope, "session_id": session}));
    }
}

#[test]
fn admin_and_the_star_hold_every_scope() {
    let (_house, haldir) = haldir();
    for all in ["admin", "*"] {
        let session = haldir.session(&json!({"scopes": [all]}));
        assert!(["read", "spend", "x:y", "admin", "*"].iter().all(|scope| haldir.allows(&session, scope)));
    }
}

#[test]
fn spend_50_grants_spend_and_sets_the_budget_unless_one_is_given() {
    let (_house, haldir) = haldir();
    let made = haldir.ok("createSession", &json!({"agent_id": "a", "scopes": ["spend:50"]}));
    assert_eq!((&made["scopes"], &made["spend_limit"]), (&json!(["spend"]), &json!(50)));
    let made = haldir.ok("createSession", &json!({"agent_id": "a", "scopes": ["spend:50", "spend:20.5"]}));
    assert_eq!(made["spend_limit"], 20.5);
    let made = haldir.ok("createSession", &json!({"agent_id": "a", "scopes": ["spend:50"], "spend_limit": 7}));
    assert_eq!(made["spend_limit"], 7);
    for bad in ["spend:-5", "spend:x", "spend:1e300", "spend:NaN", "spend:"] {
        let error = haldir.refused("createSession", &json!({"agent_id": "a", "scopes": [bad]}));
        assert_eq!(error.code.name(), "invalid_argument", "{bad}");
        assert!(error.field.is_some_and(|field| field.starts_with("scopes")), "{bad}");
    }
}

#[test]
fn bad_bounds_are_refused_by_name() {
    let (_house, haldir) = haldir();
    for ttl in [-1, 2_592_001, i64::MIN, i64::MAX] {
        refuses(&haldir, &json!({"ttl": ttl}), "invalid_argument", "ttl");
    }
    refuses(&haldir, &json!({"spend_limit": -0.01}), "invalid_argument", "spend_limit");
    refuses(&haldir, &json!({"agent_id": ""}), "invalid_argument", "agent_id");
    refuses(&haldir, &json!({"agent_id": "x".repeat(129)}), "invalid_argument", "agent_id");
    refuses(&haldir, &json!({"scopes": ["a b"]}), "invalid_argument", "scopes[0]");
    let most = haldir.ok("createSession", &json!({"agent_id": "x".repeat(128), "ttl": 2_592_000}));
    assert_eq!(most["ttl"], 2_592_000);
}

#[test]
fn a_session_with_ttl_0_never_expires() {
    let (_house, haldir) = haldir();
    let made = haldir.ok("createSession", &json!({"agent_id": "a", "ttl": 0}));
    assert_eq!(made["expires_at"], json!(0.0));
    haldir.clock.advance_seconds(100 * 365 * 86_400);
    assert!(haldir.is_valid(&text(&made, "session_id")));
}

#[test]
fn an_expired_session_can_be_looked_at_and_do_nothing() {
    let (_house, haldir) = haldir();
    let session = haldir.session(&json!({"scopes": ["read", "spend"], "ttl": 30, "spend_limit": 5}));
    haldir.ok("storeSecret", &json!({"name": "s", "value": "v"}));
    haldir.clock.advance_seconds(29);
    assert!(haldir.is_valid(&session) && haldir.allows(&session, "read"));
    haldir.clock.advance_seconds(1);
    assert!(!haldir.is_valid(&session) && !haldir.allows(&session, "read"));
    for (name, input) in [
        ("authorizePayment", json!({"session_id": session, "amount": 1})),
        ("logAction", json!({"session_id": session, "action": "x"})),
        ("getSecret", json!({"session_id": session, "name": "s"})),
        ("createSession", json!({"agent_id": "a", "parent_session_id": session})),
    ] {
        assert_eq!(haldir.refused(name, &input).code.name(), "session_invalid", "{name}");
    }
    assert_eq!(haldir.ok("getSession", &json!({"session_id": session}))["revoked"], false);
}

#[test]
fn revoking_twice_is_no_error_and_adds_no_second_entry() {
    let (_house, haldir) = haldir();
    let session = haldir.session(&json!({}));
    let first = haldir.ok("revokeSession", &json!({"session_id": session}));
    let size = integer(&haldir.ok("getTreeHead", &json!({})), "tree_size");
    assert_eq!(haldir.ok("revokeSession", &json!({"session_id": session})), first);
    assert_eq!(integer(&haldir.ok("getTreeHead", &json!({})), "tree_size"), size);
    let session = haldir.ok("getSession", &json!({"session_id": session}));
    assert_eq!((&session["is_valid"], &session["revoked"]), (&json!(false), &json!(true)));
    assert_eq!(haldir.refused("revokeSession", &json!({"session_id": "ses_none"})).code.name(), "not_found");
}

#[test]
fn permission_of_an_unknown_session_is_denied_without_an_error() {
    let (_house, haldir) = haldir();
    for unknown in ["ses_none", "../secrets/q", "x", "ses_%00"] {
        assert!(!haldir.allows(unknown, "read"));
    }
}

#[test]
fn a_child_lies_within_its_parent() {
    let (_house, haldir) = haldir();
    let parent = haldir.session(&json!({"scopes": ["read"], "spend_limit": 5, "ttl": 30}));
    let within = |fields: serde_json::Value| {
        let mut fields = fields;
        fields["parent_session_id"] = json!(parent);
        fields
    };
    for scope in ["admin", "*", "spend", "read2", "browse"] {
        refuses(&haldir, &within(json!({"scopes": [scope]})), "exceeds_parent", "scopes");
    }
    refuses(&haldir, &within(json!({"scopes": ["spend:1"]})), "exceeds_parent", "scopes");
    refuses(&haldir, &within(json!({"spend_limit": 100_000})), "exceeds_parent", "spend_limit");
    refuses(&haldir, &within(json!({"spend_limit": 5.000_000_001})), "exceeds_parent", "spend_limit");
    for ttl in [31, 86_400, 0] {
        refuses(&haldir, &within(json!({"ttl": ttl})), "exceeds_parent", "ttl");
    }
    refuses(&haldir, &json!({"parent_session_id": "ses_none"}), "session_invalid", "parent_session_id");
    let child = haldir.ok("createSession", &within(json!({"agent_id": "c"})));
    assert_eq!(
        (&child["scopes"], &child["ttl"], &child["delegation_depth"]),
        (&json!(["read"]), &json!(30), &json!(1))
    );
    assert_eq!(child["parent_session_id"], json!(parent));
    haldir.clock.advance_seconds(30);
    assert!(!haldir.is_valid(&text(&child, "session_id")), "the child outlived its parent");
}

#[test]
fn revoking_a_parent_revokes_its_descendants() {
    let (_house, haldir) = haldir();
    let root = haldir.session(&json!({"scopes": ["read", "spend"]}));
    let child = haldir.session(&json!({"parent_session_id": root, "scopes": ["spend"]}));
    let grandchildren: Vec<_> =
        (0..3).map(|_| haldir.session(&json!({"parent_session_id": child, "scopes": ["spend"]}))).collect();
    let bystander = haldir.session(&json!({}));
    let below = haldir.ok("listDescendants", &json!({"session_id": root}));
    assert_eq!((&below["count"], &below["truncated"]), (&json!(4), &json!(false)));
    let revoked = haldir.ok("revokeSession", &json!({"session_id": root}));
    assert_eq!(revoked["cascade_revoked_count"], 4);
    let ended: std::collections::BTreeSet<_> =
        revoked["cascade_revoked"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    assert_eq!(ended, grandchildren.iter().chain([&child]).map(String::as_str).collect());
    for session in grandchildren.iter().chain([&child, &root]) {
        assert!(!haldir.is_valid(session));
        haldir.refused("authorizePayment", &json!({"session_id": session, "amount": 1}));
        refuses(&haldir, &json!({"parent_session_id": session}), "session_invalid", "parent_session_id");
    }
    assert!(haldir.is_valid(&bystander));
}

#[test]
fn delegation_ends_somewhere() {
    let (_house, haldir) = haldir();
    let mut session = haldir.session(&json!({}));
    let mut depth = 0;
    while let Ok(child) = haldir.call("createSession", &json!({"agent_id": "a", "parent_session_id": session})) {
        session = text(&child, "session_id");
        depth += 1;
        assert!(depth <= 100, "delegation goes on for ever");
    }
    assert_eq!(depth, 16);
    haldir.ok("revokeSession", &json!({"session_id": session}));
}

#[test]
fn an_agent_list_shows_its_own_sessions_newest_first_in_pages() {
    let (_house, haldir) = haldir();
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(haldir.session(&json!({"agent_id": if number == 2 { "other" } else { "one" }})));
        haldir.clock.advance_seconds(1);
    }
    let other = made.remove(2);
    made.reverse();
    let first = haldir.ok("listSessions", &json!({"agent_id": "one", "limit": 3}));
    let second = haldir.ok("listSessions", &json!({"agent_id": "one", "limit": 3, "cursor": first["next_cursor"]}));
    let ids = |page: &serde_json::Value| -> Vec<String> {
        page["sessions"].as_array().unwrap().iter().map(|session| text(session, "session_id")).collect()
    };
    assert_eq!([ids(&first), ids(&second)].concat(), made);
    assert_eq!(second["next_cursor"], json!(null));
    assert_eq!(ids(&haldir.ok("listSessions", &json!({"id_prefix": other}))), [other]);
}

#[test]
fn sessions_of_a_tenant_are_unknown_to_another() {
    let (_house, haldir) = haldir();
    let ours = haldir.session(&json!({"scopes": ["spend"]}));
    let them = Credential::LocalOperator(haldir.another_tenant());
    for (name, input) in [
        ("getSession", json!({"session_id": ours})),
        ("revokeSession", json!({"session_id": ours})),
        ("listDescendants", json!({"session_id": ours})),
        ("logAction", json!({"session_id": ours, "action": "x"})),
        ("authorizePayment", json!({"session_id": ours, "amount": 1})),
        ("createSession", json!({"agent_id": "a", "parent_session_id": ours})),
    ] {
        assert!(haldir.call_as(&them, name, &input).is_err(), "{name} reached another tenant's session");
    }
    assert_eq!(haldir.call_as(&them, "listSessions", &json!({})).unwrap()["count"], 0);
    let asked = haldir.call_as(&them, "checkPermission", &json!({"session_id": ours, "scope": "spend"})).unwrap();
    assert_eq!(asked["allowed"], false);
    assert!(haldir.is_valid(&ours));
}

#[test]
fn the_local_agent_has_ceilings_and_its_refusals_name_them_and_the_setting() {
    let house = House::new();
    let stdio = house.stdio();
    for (fields, field, figure, setting) in [
        (json!({"scopes": ["admin"]}), "scopes", "admin", "HALDIR_MAX_SCOPES"),
        (json!({"scopes": ["read", "*"]}), "scopes", "*", "HALDIR_MAX_SCOPES"),
        (json!({"spend_limit": 100.01}), "spend_limit", "100 USD", "HALDIR_MAX_SPEND"),
        (json!({"scopes": ["spend:101"]}), "spend_limit", "100 USD", "HALDIR_MAX_SPEND"),
        (json!({"ttl": 86_401}), "ttl", "86400 s", "HALDIR_MAX_TTL"),
        (json!({"ttl": 0}), "ttl", "86400 s", "HALDIR_MAX_TTL"),
    ] {
        let mut arguments = fields;
        arguments["agent_id"] = json!("a");
        let refusal = stdio.refused("createSession", &arguments, "ceiling_exceeded");
        let message = text(&refusal, "error");
        assert_eq!(refusal["field"], field, "{refusal}");
        assert!(message.contains(figure) && message.contains(setting), "{message}");
    }
    // Without a limit of its own the ceiling still holds.
    let session = stdio.session(&json!({"scopes": ["spend"], "ttl": 86_400}));
    stdio.ok("authorizePayment", &json!({"session_id": session, "amount": 99.5}));
    stdio.refused("authorizePayment", &json!({"session_id": session, "amount": 0.51}), "budget_exceeded");
    stdio.ok("authorizePayment", &json!({"session_id": session, "amount": 0.5}));
}

#[test]
fn an_operator_raises_the_ceilings_of_the_local_agent() {
    let house = House::new();
    let mut program = house.program();
    program
        .env("HALDIR_MAX_SPEND", "250.5")
        .env("HALDIR_MAX_TTL", "90000")
        .env("HALDIR_MAX_SCOPES", "read,spend,admin");
    let stdio = Stdio::start(program);
    stdio.session(&json!({"scopes": ["admin"], "spend_limit": 250.5, "ttl": 90_000}));
    stdio.session(&json!({"scopes": ["read:x", "spend"]}));
    stdio.refused("createSession", &json!({"agent_id": "a", "spend_limit": 250.51}), "ceiling_exceeded");
    stdio.refused("createSession", &json!({"agent_id": "a", "ttl": 90_001}), "ceiling_exceeded");
}
