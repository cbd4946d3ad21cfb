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
