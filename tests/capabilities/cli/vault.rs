//! `haldir secrets` and `haldir payments`.

use std::fs;

use serde_json::json;

use super::Terminal;
use crate::support::Pty;

const SECRET: &str = "sk_live_4242";

#[test]
fn a_secret_comes_from_the_terminal_standard_input_or_a_file_and_is_never_shown() {
    let (terminal, _) = Terminal::with_store();
    assert!(terminal.done(&["secrets", "list"]).stdout.contains("there is no secret"));
    let set = terminal.with_input(&["secrets", "set", "stripe_key"], &format!("{SECRET}\n"));
    assert_eq!((set.code, set.stdout.as_str()), (0, "stored stripe_key, version 1\n"), "{set:?}");
    let file = terminal.folder.path().join("token");
    fs::write(&file, "line one\nline \"two\"\n").unwrap();
    let path = file.to_str().unwrap();
    let set = ["secrets", "set", "github", "--file", path, "--inject", "--upstream", "github,gitlab", "--json"];
    assert_eq!(terminal.done(&set).json(), json!({"name": "github", "stored": true, "version": 1}));

    let mut typed = Pty::start(terminal.command(&["secrets", "set", "stripe_key", "--scope", "spend"]), 80);
    typed.wait_for("Value of stripe_key");
    assert!(!typed.echoes(), "what is typed now is not shown");
    typed.press("sk_live_typed\r");
    let (code, seen) = typed.finish();
    assert!(code == Some(0) && seen.contains("version 2") && !seen.contains("sk_live_typed"), "{code:?} {seen}");

    assert_eq!(terminal.done(&["secrets", "list"]).stdout, "github\nstripe_key\n");
    assert_eq!(terminal.done(&["secrets", "list", "--json"]).json()["secrets"], json!(["github", "stripe_key"]));
    // What is stored is what was given, without the line break at the end; the scope holds.
    let session = terminal.session();
    let get = |name: &str| terminal.run(&["call", "get-secret", "--name", name, "--session-id", &session]);
    assert_eq!(get("stripe_key").json()["value"], "sk_live_typed");
    assert_eq!(get("github").code, 1, "it is for injection alone");

    for (arguments, input, says) in [
        (&["secrets", "set", "empty"][..], "", "empty"),
        (&["secrets", "set", "none", "--file", "/nowhere/at-all"], "", "/nowhere/at-all"),
        (&["--key", "-", "secrets", "set", "twice"], "x", "standard input"),
    ] {
        let refused = terminal.with_input(arguments, input);
        assert!(refused.code == 2 && refused.stderr.contains(says), "{arguments:?}: {refused:?}");
    }
    assert_eq!(terminal.refused(&["secrets", "set", "a", "argument"], 2).stdout, "", "a value is no argument");
    assert_eq!(terminal.done(&["secrets", "rm", "github"]).stdout, "deleted github\n");
    assert_eq!(terminal.refused(&["secrets", "rm", "github", "--json"], 1).json()["code"], "not_found");
}

#[test]
fn payments_are_listed_with_what_became_of_them_and_settled() {
    let (terminal, _) = Terminal::with_store();
    assert_eq!(terminal.done(&["payments", "list"]).stdout, "no payment was authorized\n");
    let session = terminal.session();
    let pay = |amount: &str, what: &str| {
        let call = ["call", "authorize-payment", "--session-id", &session, "--amount", amount, "--description", what];
        terminal.done(&call).json()["authorization_id"].as_str().unwrap().to_owned()
    };
    let ids = [pay("1.10", "bo\u{202e}oks"), pay("0.000000001", "sand"), pay("2", "ink")];
    terminal.refused(&["call", "authorize-payment", "--session-id", &session, "--amount", "100"], 1);

    let settled = terminal.done(&["payments", "settle", &ids[0], "--amount", "0.60"]).stdout;
    assert_eq!(settled, format!("settled {}: $ 0.60 paid, $ 0.50 returned to the budget\n", ids[0]));
    let voided = terminal.done(&["payments", "settle", &ids[2], "--void"]).stdout;
    assert_eq!(voided, format!("voided {}: $ 2.00 returned to the budget\n", ids[2]));
    terminal.refused(&["payments", "settle", &ids[1], "--void", "--amount", "1"], 2);
    terminal.refused(&["payments", "settle", &ids[2]], 1);

    let table = terminal.done(&["payments", "list"]).stdout;
    let lines: Vec<_> = table.lines().collect();
    let row = |line: usize, parts: &[&str]| assert!(parts.iter().all(|part| lines[line].contains(part)), "{table}");
    assert!(lines.len() == 4 && lines[0].starts_with("AUTHORIZATION"), "the refused one is none: {table}");
    row(1, &[&ids[2], "bot", "$ 2.00", "voided", "ink"]);
    row(2, &[&ids[1], "$ 0.000000001", "open"]);
    row(3, &[&ids[0], "$ 1.10", "paid $ 0.60", "bo\u{fffd}oks"]);
    let open = terminal.done(&["payments", "list", "--open", "--json"]);
    assert!(open.stdout.contains(r#""amount":0.000000001"#), "exact: {open:?}");
    let open = open.json();
    assert_eq!((&open["count"], &open["next_cursor"]), (&json!(1), &json!(null)), "{open}");
    let first = terminal.done(&["payments", "list", "-n", "1", "--agent", "bot", "--json"]).json();
    assert_eq!(first["payments"][0]["authorization_id"], json!(ids[2]), "{first}");
    let more = terminal.done(&["payments", "list", "-n", "1"]);
    let cursor = more.stderr.trim().strip_prefix("there are more: --cursor ").unwrap_or_else(|| panic!("{more:?}"));
    let second = terminal.done(&["payments", "list", "-n", "1", "--cursor", cursor, "--json"]).json();
    assert_eq!(second["payments"][0]["authorization_id"], json!(ids[1]), "{second}");
    assert_eq!(terminal.done(&["payments", "list", "--until", "1h"]).stdout, "no payment was authorized\n");
    assert_eq!(terminal.done(&["payments", "list", "--agent", "other"]).stdout, "no payment was authorized\n");
}
