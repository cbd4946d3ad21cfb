//! Settings and durations: both programs read them alike, and what is wrong with one is said before anything is done.

use std::{fs, process::Command};

use serde_json::{Value, json};

use super::{Outcome, Terminal, outcome};
use crate::support::{House, Server, integer, on_postgres, program::upstream_program, refuses_to_start};

/// Both programs, each with a command that opens the store.
fn both(terminal: &Terminal) -> [Command; 2] {
    [terminal.command(&["keys", "list"]), terminal.server(&["serve", "--listen", "127.0.0.1:0"])]
}

#[track_caller]
fn refused(command: &mut Command, says: &[&str]) {
    let Outcome { code, stdout, stderr } = outcome(command);
    assert_eq!((code, stdout.as_str()), (2, ""), "{command:?}: {stderr}");
    assert!(says.iter().all(|part| stderr.contains(part)), "{says:?} in {stderr}");
}

#[test]
fn a_bad_setting_ends_both_programs_with_2_and_says_what_is_right() {
    let (terminal, _) = Terminal::with_store();
    let text = terminal.folder.path().join("text");
    fs::write(&text, "this is no database\n").unwrap();
    for command in &mut both(&terminal) {
        refused(command.env("HALDIR_DB", &text), &["HALDIR_DB", "is not a SQLite database"]);
        on_postgres::set_store(command, &terminal.store());
        refused(command.env("HALDIR_LOG", "verbose"), &["HALDIR_LOG", "`verbose` is no level", "debug"]);
        command.env_remove("HALDIR_LOG");
        refused(command.env("HALDIR_CONFIG", &text), &["HALDIR_CONFIG", "expected"]);
        command.env_remove("HALDIR_CONFIG");
        refused(command.env("HALDIR_TOOL_NAMES", "odd"), &["plain", "dotted"]);
    }
    // One that another user's folder hides is no store that is missing.
    let hidden = text.join("haldir.db");
    for mut command in both(&terminal) {
        let outcome = outcome(command.env("HALDIR_DB", &hidden));
        assert!(outcome.code == 1 && !outcome.stderr.contains("there is no store"), "{outcome:?}");
    }
    let seen = outcome(terminal.command(&["keys", "list"]).env("HALDIR_DB", &hidden));
    assert!(seen.stderr.contains("cannot be opened") && seen.stderr.contains("as the user"), "{seen:?}");
}

#[test]
fn where_to_listen_and_where_clients_reach_the_server_are_read_with_care() {
    let terminal = Terminal::new();
    let serve = |arguments: &[&str]| terminal.server(&[&["serve"], arguments].concat());
    for bad in ["8000", ":8000", "localhost", "http://127.0.0.1:8000"] {
        refused(&mut serve(&["--listen", bad]), &[bad, "127.0.0.1:8000", "0.0.0.0:8000"]);
        refused(serve(&[]).env("HALDIR_LISTEN", bad), &[bad, "127.0.0.1:8000"]);
    }
    let witness = ["audit", "witness", "--listen", "8765", "--name", "w.example", "--folder", "w", "--log", "x"];
    refused(&mut terminal.command(&witness), &["8765", "127.0.0.1:8000"]);
    refused(serve(&[]).env("PORT", "http"), &["PORT", "65535"]);
    for bad in ["foo", "haldir.example.com", "ftp://haldir.example.com", "https://a.example/?b"] {
        refused(&mut serve(&["--public-url", bad]), &["https://haldir.example.com"]);
        refused(serve(&[]).env("HALDIR_PUBLIC_URL", bad), &["https://haldir.example.com"]);
    }
    refused(&mut serve(&["--allow-origin", "app.example.com"]), &["https://app.example.com"]);
    refused(&mut serve(&["--allow-host", "https://a.example"]), &["without scheme and port"]);
    refused(&mut serve(&["--workers", "0"]), &["HALDIR_WORKERS", "at least 1"]);
    assert!(!terminal.store().exists(), "nothing is done with a bad setting");
}

#[test]
fn a_slash_behind_the_public_url_is_in_no_address() {
    let house = House::new();
    let mut command = house.serving();
    command.args(["--public-url", "https://haldir.example.com/gate/"]);
    let server = Server::start(command);
    let client = server.anonymous();
    for path in ["/openapi.json", "/llms.txt", "/.well-known/ai-plugin.json", "/.well-known/mcp/mcp.json", "/v1"] {
        let text = client.get(path).text;
        assert!(text.contains("https://haldir.example.com/gate") && !text.contains("/gate//"), "{path}: {text}");
    }
    let openapi: Value = serde_json::from_str(&client.get("/openapi.json").text).unwrap();
    assert_eq!(openapi["servers"][0]["url"], "https://haldir.example.com/gate");
}

#[test]
fn what_is_no_evidence_pack_is_said_to_be_none() {
    let (terminal, _) = Terminal::with_store();
    let pack = terminal.folder.path().join("pack.md");
    let path = pack.to_str().unwrap();
    terminal.done(&["compliance", "evidence", "--out", path]);
    let outcome = terminal.refused(&["compliance", "verify", path], 1);
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(said.contains("pack.md") && said.contains("JSON") && !said.contains("could not complete"), "{said}");
}

#[test]
fn a_second_server_and_a_second_first_key_are_refused_with_what_to_do() {
    let house = House::new();
    let (server, _) = house.serve_operator();
    let again = server.anonymous().post("/v1/keys", &json!({"name": "operator"})).refused(401, "unauthorized");
    let message = again["error"].as_str().unwrap();
    assert!(message.contains("already") && message.contains("haldir keys create --role operator"), "{message}");
    let mut second = house.program();
    second.args(["serve", "--listen", &server.address.to_string()]);
    let errors = refuses_to_start(second);
    assert!(errors.contains("another process listens there") && errors.contains("--listen"), "{errors}");
}

#[test]
fn durations_are_written_with_units_everywhere_and_numbers_are_seconds() {
    let (terminal, _) = Terminal::with_store();
    let session = |ttl: &str| terminal.done(&["call", "create-session", "--agent-id", "a", "--ttl", ttl]).json();
    for (ttl, seconds) in [("90", 90), ("15m", 900), ("1h 30m", 5_400), ("30d", 2_592_000)] {
        assert_eq!(integer(&session(ttl), "ttl"), seconds, "{ttl}");
    }
    let soon = terminal.refused(&["call", "create-session", "--agent-id", "a", "--ttl", "soon"], 2).stderr;
    assert!(soon.contains("30d"), "{soon}");
    let serve = |option: &str, value: &str| terminal.server(&["serve", option, value]);
    for option in ["--call-timeout", "--start-timeout", "--queue-timeout", "--approve-within", "--mirror-every"] {
        refused(&mut serve(option, "soon"), &[option, "15m"]);
        refused(&mut serve(option, "31d"), &["`31d` is not from"]);
    }
    refused(&mut serve("--max-ttl", "soon"), &["--max-ttl", "30d"]);
    refused(serve("--max-ttl", "0").args(["--listen", "127.0.0.1:0"]), &["HALDIR_MAX_TTL"]);
    for bad in
        [&["audit", "mirror", "--to", "m", "--every", "soon"][..], &["approvals", "show", "apr_x", "--wait", "soon"]]
    {
        assert!(terminal.refused(bad, 2).stderr.contains("15m"), "{bad:?}");
    }
    // Those of a server that wraps: the session's own life, within the ceiling.
    let house = House::new();
    let mut command = house.program();
    command.env("HALDIR_MAX_TTL", "2h").args(["wrap", "--name", "test", "--ttl", "90m", "--call-timeout", "2m"]);
    command.arg("--").arg(upstream_program()).arg("--stdio");
    let mut wrapped = crate::support::program::Lines::begun(command);
    wrapped.call("test_simple_text", &json!({}));
    let listed = house.terminal(&["call", "list-sessions"]).1;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let (made, ends) = (&listed["sessions"][0]["created_at"], &listed["sessions"][0]["expires_at"]);
    let life = ends.as_f64().unwrap() - made.as_f64().unwrap();
    assert!((life - 5_400.0).abs() < 1.0, "{listed}");
    assert!(wrapped.leave().0);
}
