//! `haldir call`, and what holds for every command.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
};

use serde_json::json;

use super::{Terminal, finished, outcome};

#[test]
fn every_operation_is_a_command_with_a_flag_for_every_field() {
    let terminal = Terminal::new();
    for operation in haldir::operations::all() {
        let mut name = String::new();
        for c in operation.name.chars() {
            name.extend(c.is_ascii_uppercase().then_some('-'));
            name.push(c.to_ascii_lowercase());
        }
        let help = terminal.done(&["call", &name, "--help"]).stdout;
        let schema = operation.input_schema().to_value();
        for field in schema["properties"].as_object().into_iter().flatten().map(|(field, _)| field.replace('_', "-")) {
            let flags =
                [format!(" --{field} "), format!(" --input-{field} "), format!(" --{field}\n"), format!(" --{field}[")];
            assert!(flags.iter().any(|flag| help.contains(flag.as_str())), "{name} has no --{field}: {help}");
        }
        let words: Vec<_> = operation.description().split_whitespace().take(3).map(str::to_owned).collect();
        assert!(help.starts_with(&words.join(" ")), "{help}");
        assert!(help.contains(&format!("Example:\n  haldir call {name}")), "{help}");
    }
}

#[test]
fn calls_keep_numbers_exact_and_read_lists_booleans_and_details() {
    let terminal = Terminal::new();
    let session = terminal.session();
    let paid = terminal.done(&["call", "authorize-payment", "--session-id", &session, "--amount", "0.100000001"]);
    assert!(paid.stdout.contains("4.899999999"), "{paid:?}");
    let held = terminal.done(&["call", "get-session", "--session-id", &session]).json();
    assert_eq!(held["scopes"], json!(["read", "spend"]));

    let log = ["call", "log-action", "--session-id", &session, "--action", "read", "--cost-usd", "0.000000001"];
    for (written, expected) in [(r#"{"rows":1.10}"#, r#""details":{"rows":1.1"#), ("as text", r#""details":"as text""#)]
    {
        terminal.done(&[&log[..], &["--details", written]].concat());
        let trail = terminal.done(&["call", "get-audit-trail", "--limit", "1", "--flagged", "false"]);
        assert!(trail.stdout.contains(expected) && trail.stdout.contains("\"cost_usd\":0.000000001"), "{trail:?}");
    }
    let repeated = ["call", "create-session", "--agent-id", "a", "--scopes", "read", "--scopes", "files:write, browse"];
    assert_eq!(terminal.done(&repeated).json()["scopes"], json!(["read", "files:write", "browse"]));
}

#[test]
fn an_idempotency_key_makes_a_retry_the_same_call() {
    let terminal = Terminal::new();
    let call = ["call", "create-session", "--agent-id", "bot", "--idempotency-key", "order-17"];
    assert_eq!(terminal.done(&call).stdout, terminal.done(&call).stdout);
}

#[test]
fn a_secret_comes_from_standard_input() {
    let terminal = Terminal::new();
    let session = terminal.session();
    let stored = terminal.with_input(&["call", "store-secret", "--name", "stripe", "--value", "-"], "sk_live_\"1\"\n");
    assert_eq!(stored.code, 0, "{stored:?}");
    let read = terminal.done(&["call", "get-secret", "--name", "stripe", "--session-id", &session]).json();
    assert_eq!(read["value"], "sk_live_\"1\"");
    let whole =
        terminal.with_input(&["call", "store-secret", "--json-input", "-", "--name", "b"], r#" {"value": "x"} "#);
    assert_eq!(whole.code, 0, "{whole:?}");
    let both = terminal.with_input(&["call", "store-secret", "--name", "-", "--value", "-"], "x");
    assert!(both.code == 2 && both.stderr.contains("cannot both"), "{both:?}");
}

#[test]
fn what_cannot_work_is_said_in_one_line_with_its_exit_code() {
    let terminal = Terminal::new();
    let session = terminal.session();
    let pay = |amount| ["call", "authorize-payment", "--session-id", &session, "--amount", amount].map(str::to_owned);
    for (arguments, code, said) in [
        (vec!["call", "make-coffee"], 2, "unrecognized subcommand"),
        (vec!["call", "get-session"], 2, "--session-id"),
        (vec!["call", "get-session", "--json-input", "[1]"], 2, "expected a JSON object"),
        (vec!["call", "get-session", "--json-input", "{}"], 2, "session_id is required"),
        (vec!["call", "create-session", "--agent-id", "a", "--json-input", r#"{"agent_id": "b"}"#], 2, "give it once"),
        (vec!["call", "get-audit-entry", "--entry-id", "aud_x"], 1, "not found"),
        (vec!["keys", "create", "--tier", "gold"], 2, "possible values"),
        (vec!["keys", "create", "--scopes", "nonsense"], 2, "key scope"),
        (vec!["keys", "create", "--max-spend", "0.0000000001"], 2, "at most 9 decimals"),
        (vec!["--url", "http://127.0.0.1:1", "keys", "list"], 1, "not reached"),
        (vec!["--url", "http://127.0.0.1:1", "doctor"], 2, "files of this machine"),
        (vec!["--url", "http://127.0.0.1:1", "audit", "rotate-key"], 2, "files of this machine"),
        (vec!["--tenant", "nobody", "keys", "create"], 1, "no tenant nobody"),
        (vec!["--url", "http://127.0.0.1:1", "call", "get-spend"], 1, "not reached"),
        (pay("five").iter().map(String::as_str).collect(), 2, "expected a number"),
        (pay("5.01").iter().map(String::as_str).collect(), 1, "budget"),
        (vec![], 2, "Usage: haldir"),
    ] {
        let refused = terminal.refused(&arguments, code);
        assert!(refused.stderr.contains(said) && refused.stdout.is_empty(), "{arguments:?}: {refused:?}");
        if code == 1 {
            let lines: Vec<_> =
                refused.stderr.lines().filter(|line| !line.starts_with("haldir: on the server ")).collect();
            assert!(lines.len() == 1 && lines[0].starts_with("haldir: "), "{refused:?}");
        }
        let error = terminal.refused(&[&["--json"], &arguments[..]].concat(), code).json();
        assert!(error["error"].as_str().is_some_and(|text| !text.is_empty()) && error["code"].is_string(), "{error}");
    }
}

#[test]
fn a_closed_output_ends_the_command_quietly() {
    let (terminal, _) = Terminal::with_store();
    for arguments in [&["keys", "list"][..], &["doctor"], &["call", "--help"], &["call", "export-audit"]] {
        let mut child = terminal.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let outcome = finished(child);
        assert!(outcome.code == 0 && outcome.stderr.is_empty(), "{arguments:?}: {outcome:?}");
    }
}

#[test]
fn calls_reach_a_haldir_elsewhere() {
    let (there, key) = Terminal::with_store();
    let server = Server::start(&there);
    let here = Terminal::new();
    let call = |arguments: &[&str]| {
        outcome(here.command(arguments).env("HALDIR_BASE_URL", &server.url).env("HALDIR_API_KEY", &key))
    };
    let created = call(&["call", "create-session", "--agent-id", "far", "--spend-limit", "0.30"]);
    let session = created.json()["session_id"].as_str().unwrap().to_owned();
    let seen = there.done(&["call", "get-session", "--session-id", &session]);
    assert_eq!(seen.json()["agent_id"], "far");

    let global = ["--url", &server.url, "--key", "-", "call", "get-session", "--session-id", &session];
    let after = ["call", "get-session", "--session-id", &session, "--url", &server.url, "--key", "-"];
    for arguments in [global, after] {
        assert_eq!(here.with_input(&arguments, &key).json()["agent_id"], "far");
    }
    let without_key = here.refused(&["--url", &server.url, "call", "get-spend"], 1);
    assert!(without_key.stderr.contains("the API key is unknown there"), "{without_key:?}");
    let refused = call(&["call", "authorize-payment", "--session-id", &session, "--amount", "1"]);
    assert!(refused.code == 1 && refused.stdout.is_empty(), "{refused:?}");
    assert!(!here.store().exists(), "a call elsewhere made a store here");
}

/// Every command about operations goes where `--url` or the variable says, and names that place; one about files refuses.
#[test]
fn every_command_works_on_a_server_elsewhere_and_names_it() {
    let (there, key) = Terminal::with_store();
    let server = Server::start(&there);
    let here = Terminal::new();
    let command = |arguments: &[&str]| {
        outcome(here.command(arguments).env("HALDIR_BASE_URL", &server.url).env("HALDIR_API_KEY", &key))
    };
    for arguments in [
        &["policy", "add", "block_tool", "--tool", "wipe"][..],
        &["policy", "list"],
        &["keys", "create", "--name", "far"],
        &["keys", "list"],
        &["approvals", "list"],
        &["webhooks", "list"],
        &["upstreams", "list"],
        &["upstreams", "tools"],
        &["usage"],
        &["overview"],
        &["compliance", "score"],
        &["compliance", "schedules", "list"],
        &["audit", "verify"],
    ] {
        let done = command(arguments);
        assert_eq!(done.code, 0, "{arguments:?}: {done:?}");
        assert!(done.stderr.contains(&format!("haldir: on the server {}", server.url)), "{arguments:?}: {done:?}");
    }
    assert!(there.done(&["keys", "list"]).stdout.contains("far"), "the key was made elsewhere");
    assert!(there.done(&["policy", "list"]).stdout.contains("wipe"), "the policy was added elsewhere");
    let verified = command(&["audit", "verify", "--json"]);
    assert_eq!(verified.json()["verified"], true);
    assert!(verified.stderr.is_empty(), "{verified:?}");
    assert!(!here.store().exists(), "a command for a server made a store here");
}

/// A running server; it ends with the test.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(terminal: &Terminal) -> Self {
        let mut command = terminal.server(&["serve", "--listen", "127.0.0.1:0"]);
        let mut process = command.stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("haldir listening on ").unwrap().to_owned();
        Self { process, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
