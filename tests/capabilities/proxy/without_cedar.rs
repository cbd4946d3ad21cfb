//! A build without Cedar: it takes no policy in Cedar, and lets no call pass where the store has one.

use rusqlite::params;

use super::{add_policy, blocked, call, caller, carried_out, register};
use crate::support::{
    House, json, text,
    upstream::{Upstream, tool},
};

const ALL: &str = "permit (principal, action, resource);";

#[test]
fn a_policy_in_cedar_is_refused_with_the_way_to_get_it() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    for path in ["/v1/proxy/policies", "/v1/proxy/policies/test"] {
        let told = operator.post(path, &json!({"type": "cedar", "cedar": ALL})).refused(400, "invalid_argument");
        assert!(told["field"] == "cedar" && text(&told, "error").contains("--features cedar"), "{told}");
    }
    assert_eq!(operator.get("/v1/proxy/policies").ok()["count"], 0);
}

#[test]
fn no_call_passes_a_policy_in_cedar_that_another_build_added() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (_server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = caller(&operator);
    let id = add_policy(&operator, &json!({"type": "block_tool", "tool": "other"}));
    carried_out(&call(&operator, &session, "up.echo", &json!({})));
    let definition = json!({"type": "cedar", "cedar": ALL}).to_string();
    let changed = house.sql().change("UPDATE policies SET definition = ?1 WHERE id = ?2", params![definition, id]);
    assert_eq!(changed, 1);
    let told = blocked(&call(&operator, &session, "up.echo", &json!({})), "policy_denied");
    assert!(text(&told, "error").contains("built without Cedar"), "{told}");
    assert_eq!(upstream.calls().len(), 1);
    operator.delete(&format!("/v1/proxy/policies/{id}")).ok();
    carried_out(&call(&operator, &session, "up.echo", &json!({})));
}
