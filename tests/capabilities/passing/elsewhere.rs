//! A call that waits for its client's answers is of the server that it was made at.

use super::{
    paused::{again, answers, needed},
    *,
};
use crate::{proxy::wait_for, support::until};

#[test]
fn a_call_that_waits_at_one_server_is_made_again_at_another_and_closed_as_unknown_when_the_first_has_died() {
    let house = House::new();
    let (mut one, operator) = house.serve_operator();
    let other = house.serve();
    let there = other.with_key(operator.key());
    let _web = registered(&operator, &["--old"]);
    let session = operator.session(&json!({"scopes": ["execute"]}));
    let params = json!({"name": "web.test_elicitation", "arguments": {"message": "Who?"}});
    let asked = needed(&modern(&one, &operator, &session, 6, &params).up_to(6));

    let told = modern(&other, &there, &session, 7, &again(&params, &asked, answers(&asked))).up_to(7);
    let error = &told[0]["error"];
    assert_eq!(error["code"], -32602, "{told:?}");
    assert!(text(error, "message").contains("make the call again, without requestState"), "{told:?}");
    until("the log of the other server says so", || other.process.errors().contains("what=\"paused call\""));

    // Made again it is another call.
    let asked = needed(&modern(&other, &there, &session, 8, &params).up_to(8));
    let told = modern(&other, &there, &session, 9, &again(&params, &asked, answers(&asked))).up_to(9);
    assert!(answered(&told).contains("\"username\":\"u\""), "{told:?}");

    let begun = entries(&there, "proxyCall.begin");
    assert_eq!(begun.len(), 2, "{begun:?}");
    one.process.kill();
    let closed = wait_for(&there, "proxyCall.unknown", 1);
    assert_eq!(closed[0]["details"]["call_id"], begun.last().unwrap()["details"]["call_id"], "{closed:?} {begun:?}");
    wait_for(&there, "proxyCall.ok", 1);
    there.verified();
}
