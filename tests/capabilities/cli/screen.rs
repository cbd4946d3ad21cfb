//! What the programs show at a terminal, and what they leave there.

use std::{
    fs::OpenOptions,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::json;

use super::Terminal;
use crate::support::{House, InProcess, Pty, on_postgres, program::upstream_program, pty::Streams};

fn at_terminal(terminal: &Terminal, arguments: &[&str], variables: &[(&str, &str)], columns: u16) -> String {
    let mut command = terminal.command(arguments);
    command.envs(variables.iter().copied());
    Pty::start(command, columns).finish().1.replace("\r\n", "\n")
}

#[test]
fn colours_are_for_terminals_and_for_who_wants_them() {
    let (terminal, _) = Terminal::with_store();
    let green = "\u{1b}[32m";
    for (command, says) in [("status", "haldir is ok"), ("doctor", "ok  ")] {
        // Of a store on Postgres there is no doctor.
        if command == "doctor" && on_postgres::is_used() {
            continue;
        }
        assert!(at_terminal(&terminal, &[command], &[], 80).contains(green));
        let plain = at_terminal(&terminal, &[command], &[("NO_COLOR", "1")], 80);
        assert!(plain.contains(says) && !plain.contains('\u{1b}'), "{plain:?}");
        assert!(!terminal.done(&[command]).stdout.contains('\u{1b}'));
    }
    // The log of a program is no different.
    let logged = |variables: &[(&str, &str)]| {
        at_terminal(&terminal, &["keys", "list"], &[&[("HALDIR_LOG", "trace")], variables].concat(), 80)
    };
    assert!(logged(&[]).contains('\u{1b}'));
    assert!(!logged(&[("NO_COLOR", "1")]).contains('\u{1b}'));
}

#[test]
fn tables_fit_the_terminal_and_are_whole_elsewhere() {
    let (terminal, _) = Terminal::with_store();
    let scopes = "sessions:read,sessions:write,vault:read,vault:write,audit:read,audit:write";
    terminal.done(&["keys", "create", "--name", "a key with a long name", "--scopes", scopes, "--max-ttl", "1h"]);
    let whole = terminal.done(&["keys", "list"]).stdout;
    assert_eq!(whole.lines().count(), 3, "{whole}");
    for columns in [60, 80, 100] {
        let width = columns.to_string();
        for shown in [
            at_terminal(&terminal, &["keys", "list"], &[], columns),
            super::outcome(terminal.command(&["keys", "list"]).env("COLUMNS", &width)).stdout,
        ] {
            let shown = shown.lines().filter(|line| !line.starts_with("haldir: on the store")).collect::<Vec<_>>();
            let long =
                |line: &&&str| line.chars().count() > usize::from(columns) && (columns > 80 || !line.contains(scopes));
            assert_eq!(shown.iter().find(long), None, "{columns}: {shown:#?}");
            // Cells are broken, behind commas, where the columns have about 8 characters each; else each row is a list.
            let is_table = shown[0].starts_with("PREFIX  ") && shown[0].contains("NAME  ");
            assert!(columns == 80 || is_table == (columns > 80), "{columns}: {shown:#?}");
            for scope in scopes.split(',').filter(|_| columns > 80) {
                assert!(shown.iter().any(|line| line.contains(scope)), "{scope} in {shown:#?}");
            }
        }
    }
    // Where there is room, one line each; times of today are short at a terminal alone.
    let wide = at_terminal(&terminal, &["keys", "list"], &[], 400);
    let has_whole_time = |text: &str| {
        text.split_whitespace().any(|word| word.len() == "2026-11-21T09:30:00Z".len() && word.ends_with('Z'))
    };
    assert!(wide.contains(scopes) && !has_whole_time(&wide), "{wide}");
    assert!(whole.contains(scopes) && has_whole_time(&whole), "{whole}");
}

/// A bundle of a log with so many entries, in text.
fn bundle(folder: &Path, entries: usize) -> Vec<u8> {
    let db = folder.join("log.db");
    let house = InProcess::open(&db);
    let session = house.session(&json!({"agent_id": "a"}));
    for _ in 0..entries {
        let details = "x".repeat(4_000);
        house.ok("logAction", &json!({"session_id": session, "action": "x", "details": {"text": details}}));
    }
    house.streamed_bytes("exportBundle", &json!({})).unwrap()
}

/// A named pipe, so that a test decides when the program can read on.
fn pipe(folder: &Path) -> PathBuf {
    let path = folder.join("bundle");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

#[test]
fn long_work_shows_how_much_is_left_and_an_interruption_leaves_nothing_on_the_line() {
    let terminal = Terminal::new();
    let bundle = bundle(terminal.folder.path(), 300);
    let path = pipe(terminal.folder.path());
    let verify = ["audit", "verify", path.to_str().unwrap(), "--threads", "1"];
    for is_interrupted in [true, false] {
        let mut working = Pty::start(terminal.command(&verify), 80);
        let mut pipe = OpenOptions::new().write(true).open(&path).unwrap();
        pipe.write_all(&bundle[..bundle.len() * 2 / 3]).unwrap();
        // The bar, with the rate and the time that is left.
        for part in ["verifying [", "of 30", "/s", " left"] {
            working.wait_for(part);
        }
        if is_interrupted {
            working.interrupt();
        } else {
            pipe.write_all(&bundle[bundle.len() * 2 / 3..]).unwrap();
            drop(pipe);
        }
        let (code, seen) = working.finish();
        // Behind the last bar the line is empty again: it was cleared (ECMA-48, 8.3.41), and the cursor is at its beginning.
        let (_, after) = seen.rsplit_once(" left").unwrap();
        let (_, rest) = after.rsplit_once("\u{1b}[2K").unwrap_or_else(|| panic!("{after:?}"));
        if is_interrupted {
            assert_eq!((code, rest), (Some(130), ""), "{after:?}");
        } else {
            assert!(code == Some(3) && rest.starts_with("consistent with itself"), "{code:?} {after:?}");
        }
    }
    // Where standard error is no terminal, no bar is shown.
    let mut command = terminal.command(&verify);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    OpenOptions::new().write(true).open(&path).unwrap().write_all(&bundle).unwrap();
    let outcome = super::finished(child);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (3, ""), "{outcome:?}");
}

#[test]
fn the_server_says_at_a_terminal_what_it_waits_for_and_nothing_elsewhere() {
    let house = House::new();
    let wrap = |mut command: Command| {
        command.args(["wrap", "--name", "test", "--"]).arg(upstream_program()).arg("--stdio");
        command
    };
    for (command, says) in [(house.program(), "mcpServers"), (wrap(house.program()), "in front of the server")] {
        let mut waiting = Pty::with(command, 80, Streams::AllButOutput);
        waiting.wait_for("waits for an MCP client");
        waiting.wait_for(says);
        waiting.wait_for("Ctrl-C");
        let mut output = waiting.child().stdout.take().unwrap();
        waiting.interrupt();
        let (_, seen) = waiting.finish();
        let mut said = String::new();
        output.read_to_string(&mut said).unwrap();
        assert_eq!(said, "", "standard output is the protocol's");
        let config = seen.lines().find(|line| line.contains("mcpServers")).map(str::trim);
        if let Some(config) = config {
            let config: serde_json::Value = serde_json::from_str(config).unwrap();
            assert_eq!(config["mcpServers"]["haldir"]["command"], env!("CARGO_BIN_EXE_haldir-mcp"));
        }
    }
    let (well, errors) = crate::support::Process::spawn(house.program()).finish();
    assert!(well && errors.is_empty(), "{errors}");
}
