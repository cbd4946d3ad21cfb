//! A store from before calls under way and the counts of upstreams lay in one table.

use crate::{
    proxy::{call, caller, carried_out, register, wait_for},
    support::{
        House, json,
        tables::as_version_17,
        upstream::{Upstream, tool},
    },
};

#[test]
fn what_was_counted_stays_and_what_was_under_way_is_closed() {
    let (house, upstream) = (House::new(), Upstream::new([tool("echo")]));
    let (server, operator) = house.serve_operator();
    register(&operator, "up", &upstream);
    let session = caller(&operator);
    (1..=2).for_each(|_| drop(carried_out(&call(&operator, &session, "up.echo", &json!({})))));
    wait_for(&operator, "proxyCall.ok", 2);
    drop(server);
    as_version_17(&house.file());
    let counted = "SELECT calls FROM upstreams WHERE name = 'up'";
    assert_eq!(house.sql_value::<i64>(counted), 2);
    // Its process has ended in the middle of it.
    let open = "INSERT INTO proxy_calls VALUES ('local', 'call_x', 'up', 'echo', ?1, 0, '[]', 1, 2)";
    house.file().execute(open, [&session]).unwrap();
    let server = house.serve();
    let operator = server.with_key(operator.key());
    let closed = wait_for(&operator, "proxyCall.unknown", 1);
    assert_eq!(closed[0]["details"]["call_id"], "call_x", "{closed:?}");
    carried_out(&call(&operator, &session, "up.echo", &json!({})));
    wait_for(&operator, "proxyCall.ok", 3);
    let stats = &operator.get("/v1/proxy/upstreams").ok()["upstreams"]["up"];
    assert_eq!((&stats["total_calls"], &stats["total_errors"]), (&json!(4), &json!(1)), "{stats}");
    assert_eq!(house.sql_value::<i64>("SELECT count(*) FROM calls WHERE lease IS NOT NULL"), 0);
    // Registered anew it goes on counting, forgotten it does not.
    register(&operator, "up", &upstream);
    assert_eq!(operator.get("/v1/proxy/upstreams").ok()["upstreams"]["up"]["total_calls"], 4);
    operator.delete("/v1/proxy/upstreams/up").ok();
    register(&operator, "up", &upstream);
    assert_eq!(operator.get("/v1/proxy/upstreams").ok()["upstreams"]["up"]["total_calls"], 0);
    operator.verified();
}
