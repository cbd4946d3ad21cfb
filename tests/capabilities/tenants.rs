//! Tenants have names, and the operator of the server can list them; a key of one tenant cannot.

use serde_json::Value;

use crate::support::{House, Server, integer, json, text};

const TOKEN: &str = "the operator's word";

fn serve(house: &House) -> Server {
    let mut command = house.serving();
    command.env("HALDIR_BOOTSTRAP_TOKEN", TOKEN);
    Server::start(command)
}

#[test]
fn a_tenant_that_the_bootstrap_token_makes_is_named_and_said_to_be_new() {
    let house = House::new();
    let server = serve(&house);
    let anyone = server.anonymous();
    let make = |fields: Value| {
        let mut body = json!({"bootstrap_token": TOKEN});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        anyone.post("/v1/keys", &body)
    };
    let first = make(json!({})).ok();
    assert_eq!((text(&first, "tenant_id").as_str(), &first["tenant_created"]), ("local", &Value::Null), "{first}");
    let acme = make(json!({"tenant_name": "acme"})).ok();
    let id = text(&acme, "tenant_id");
    assert_eq!(acme["tenant_created"], true);
    assert!(text(&acme, "message").contains(&id), "{acme}");
    // The same name again is a mistake, not another tenant.
    let again = make(json!({"tenant_name": "acme"}));
    again.refused_field(409, "conflict", "tenant_name");
    assert!(again.text.contains(&id), "{}", again.text);
    let nameless = text(&make(json!({})).ok(), "tenant_id");

    let list = |body: Value| anyone.post("/v1/tenants/list", &body);
    let all = list(json!({"bootstrap_token": TOKEN})).ok();
    assert_eq!(integer(&all, "count"), 3, "{all}");
    let named = |id: &str| {
        let all = list(json!({"bootstrap_token": TOKEN})).ok();
        let found = all["tenants"].as_array().unwrap().iter().find(|tenant| tenant["tenant_id"] == id).cloned();
        text(&found.unwrap(), "name")
    };
    assert_eq!((named("local").as_str(), named(&id).as_str()), ("", "acme"));
    let pages = list(json!({"bootstrap_token": TOKEN, "limit": 2})).ok();
    let rest = list(json!({"bootstrap_token": TOKEN, "limit": 2, "cursor": pages["next_cursor"]})).ok();
    assert_eq!((integer(&pages, "count"), integer(&rest, "count")), (2, 1));

    let name = |id: &str, body: Value| {
        let headers = [("Content-Type", "application/json")];
        anyone.send("PUT", &format!("/v1/tenants/{id}/name"), &headers, &body.to_string())
    };
    name(&nameless, json!({"name": "acme", "bootstrap_token": TOKEN})).refused_field(409, "conflict", "name");
    name("ten_none", json!({"name": "x", "bootstrap_token": TOKEN})).refused(404, "not_found");
    name(&nameless, json!({"name": "other", "bootstrap_token": TOKEN})).ok();
    assert_eq!(named(&nameless), "other");

    // No key of a tenant is enough, whatever it may do there.
    let operator = server.with_key(first["key"].as_str().unwrap());
    operator.post("/v1/tenants/list", &json!({})).refused(403, "operator_required");
    list(json!({})).refused(401, "unauthorized");
    list(json!({"bootstrap_token": "a guess"})).refused(401, "unauthorized");
    name(&nameless, json!({"name": "mine"})).refused(401, "unauthorized");
    operator.post("/v1/keys", &json!({"tenant_name": "mine"})).refused_field(409, "conflict", "tenant_name");
    assert_eq!(named(&nameless), "other");
    // The tenant's own log says what it is called now.
    let theirs = server.with_key(acme["key"].as_str().unwrap());
    let trail = theirs.get("/v1/audit").ok();
    let actions: Vec<_> = trail["entries"].as_array().unwrap().iter().map(|entry| text(entry, "action")).collect();
    assert_eq!(actions, ["key.create", "tenant.name"]);
    assert_eq!(theirs.verified(), 2);

    let (code, out, errors) = house.terminal(&["tenants", "list"]);
    assert!(code == 0 && out.contains("acme") && out.contains("other"), "{out}{errors}");
    let (code, _, errors) = house.terminal(&["tenants", "name", "local", "home"]);
    assert_eq!(code, 0, "{errors}");
    assert_eq!(named("local"), "home");
    let url = format!("http://{}", server.address);
    let (code, out, errors) = house.terminal(&["--url", &url, "--key", operator.key(), "tenants", "list"]);
    assert!(code == 1 && (out + &errors).contains("bootstrap_token"), "{errors}");
}
