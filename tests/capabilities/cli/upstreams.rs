//! Upstream servers and policies from the terminal.

use crate::support::{
    json,
    upstream::{Upstream, described, tool},
};

use super::Terminal;

#[test]
fn upstreams_and_policies_are_managed_from_the_terminal() {
    let (terminal, _) = Terminal::with_store();
    let upstream = Upstream::new([tool("echo")]);
    assert!(terminal.done(&["upstreams", "list"]).stdout.starts_with("no upstream server"));
    assert!(terminal.done(&["policy", "list"]).stdout.starts_with("there is no policy"));
    let private = terminal.refused(&["upstreams", "add", "up", &upstream.url()], 1);
    assert!(private.stderr.contains("--allow-private"), "{private:?}");
    let allow = ["--allow-private", "127.0.0.1"];
    let with =
        |arguments: &[&str]| [arguments, &allow].concat().iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
    let run = |arguments: &[&str]| {
        let all = with(arguments);
        terminal.done(&all.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert!(run(&["upstreams", "add", "up", &upstream.url()]).stdout.contains("1 tools"));
    let table = terminal.done(&["upstreams", "list"]).stdout;
    assert!(table.contains("up ") && table.contains(&upstream.url()), "{table}");
    upstream.offer([described("echo", "something else")]);
    assert_eq!(run(&["upstreams", "add", "up", &upstream.url(), "--json"]).json()["quarantined"], 1);
    assert!(terminal.done(&["upstreams", "tools", "--changed"]).stdout.contains("up.echo"));
    assert!(terminal.refused(&["upstreams", "accept", "up"], 1).stdout.contains("something else"));
    assert_eq!(terminal.done(&["upstreams", "accept", "up", "--yes"]).stdout, "accepted up.echo\n");
    let added = terminal.done(&["policy", "add", "spend_limit", "--max", "10.5", "--json"]).json();
    let listed = terminal.done(&["policy", "list", "--json"]).json();
    assert_eq!((&listed["policies"][0]["max"], &listed["count"]), (&json!(10.5), &json!(1)), "{listed}");
    assert!(terminal.done(&["policy", "test", "block_tool", "--tool", "x"]).stdout.contains("0 of 0 calls"));
    terminal.refused(&["policy", "add", "nonsense"], 2);
    terminal.refused(&["policy", "add", "spend_limit"], 2);
    let id = added["policy_id"].as_str().unwrap();
    assert_eq!(terminal.done(&["policy", "remove", id]).stdout, format!("removed {id}\n"));
    assert_eq!(terminal.done(&["upstreams", "remove", "up"]).stdout, "removed up\n");
    assert_eq!(terminal.refused(&["upstreams", "remove", "up", "--json"], 1).json()["code"], "not_found");
}

#[cfg(feature = "cedar")]
#[test]
fn a_policy_set_in_cedar_is_tried_added_and_listed_from_the_terminal() {
    let (terminal, _) = Terminal::with_store();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let schema = terminal.done(&["policy", "schema"]).stdout;
    assert_eq!(schema, include_str!("../../../schemas/haldir.cedarschema"));
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/policies/reader.cedar");
    assert!(terminal.done(&["policy", "test", "cedar", "--file", example]).stdout.contains("0 of 0 calls"));
    let added = terminal.done(&["policy", "add", "cedar", "--file", example]).stdout;
    assert!(added.starts_with("added pol_") && !added.contains("warning"), "{added}");
    let listed = terminal.done(&["policy", "list"]).stdout;
    assert!(listed.contains("cedar") && listed.contains('…'), "{listed}");
    let strange = file("strange.cedar", "forbid (principal, action, resource) when { context.hour > 25 && false };");
    assert!(terminal.done(&["policy", "add", "cedar", "--file", &strange]).stdout.contains("\nwarning: line 1"));
    for (path, says) in [
        (file("bad.cedar", "permit (principal, action, resource)\n  when { context.nothing };"), "line 2, column 10"),
        (file("large.cedar", &"x".repeat(40_000)), "32768"),
        (folder.path().join("none.cedar").to_str().unwrap().to_owned(), "none.cedar"),
    ] {
        let told = terminal.refused(&["policy", "add", "cedar", "--file", &path], 2);
        assert!(told.stderr.contains(says), "{told:?}");
    }
    assert_eq!(terminal.done(&["policy", "list", "--json"]).json()["count"], 2);
}
