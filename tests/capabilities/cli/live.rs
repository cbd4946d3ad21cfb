//! Live views at a terminal: they appear, follow the window and what happens, react to keys, and leave the terminal as it was.

use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::Terminal;
use crate::support::{House, Pty, on_postgres, until};

fn watching(terminal: &Terminal, arguments: &[&str]) -> Pty {
    Pty::start(terminal.command(arguments), 80)
}

/// What every live view does: it appears with its keys, follows the window's size, and gives the terminal back whether its user
/// leaves it or a signal ends it.
fn behaves(terminal: &Terminal, arguments: &[&str], heading: &str, key: &str) {
    for (leave, code) in [("q", 0), ("\u{3}", 130), ("", 130)] {
        let mut view = watching(terminal, arguments);
        view.wait_for_screen(heading);
        view.wait_for_screen(key);
        assert!(view.screen().alternate_screen() && view.screen().hide_cursor());
        let keys_at = |view: &Pty, row: u16| {
            let columns = view.screen().size().1.get();
            view.screen().rows(0, columns).nth(row.into()).is_some_and(|row| row.contains("q quit"))
        };
        assert!(keys_at(&view, 23), "{}", view.screen().contents());
        view.resize(12, 50);
        until("the view has the window's size", || keys_at(&view, 11));
        let widest = view.screen().rows(0, 50).map(|row| row.trim_end().chars().count()).max();
        assert!(widest <= Some(50), "{}", view.screen().contents());
        view.press(leave);
        if leave.is_empty() {
            kill_process(Pid::from_child(view.child()), Signal::TERM).unwrap();
        }
        assert_eq!(view.finish_clean(), Some(code), "{arguments:?} {leave:?}");
    }
}

#[test]
fn the_overview_follows_what_happens() {
    let (terminal, _) = Terminal::with_store();
    behaves(&terminal, &["overview", "--watch"], "Haldir tenant overview", "↑↓ scroll");
    let mut view = watching(&terminal, &["overview", "--watch", "--every", "1s"]);
    view.wait_for_screen("0 active");
    terminal.session();
    view.wait_for_screen("1 active · 1 agent");
    view.press("q");
    assert_eq!(view.finish_clean(), Some(0));
}

#[test]
fn a_live_view_without_a_terminal_says_what_it_needs() {
    let (terminal, _) = Terminal::with_store();
    let refused = terminal.refused(&["overview", "--watch"], 2);
    assert!(refused.stderr.contains("needs a terminal") && refused.stdout.is_empty(), "{refused:?}");
    let refused = terminal.refused(&["overview", "--watch", "--json"], 2);
    assert!(refused.json()["error"].as_str().unwrap().contains("--json"), "{refused:?}");
    terminal.refused(&["overview", "--every", "5s"], 2);
    terminal.refused(&["overview", "--watch", "--every", "0s"], 2);
}

/// A request of a session, with these details, as JSON text.
fn ask(terminal: &Terminal, session: &str, action: &str, details: &str) -> String {
    let asked = ["call", "request-approval", "--session-id", session, "--action", action, "--details", details];
    terminal.done(&asked).json()["request_id"].as_str().unwrap().to_owned()
}

fn status(terminal: &Terminal, id: &str) -> (String, String) {
    let shown = terminal.done(&["approvals", "show", id, "--json"]).json();
    let text = |name: &str| shown[name].as_str().unwrap().to_owned();
    (text("status"), text("decision_note"))
}

#[test]
fn requests_are_decided_with_a_key_as_they_arrive() {
    let (terminal, _) = Terminal::with_store();
    let session = terminal.session();
    behaves(&terminal, &["approvals", "watch"], "0 requests wait", "a approve");
    let mut view = watching(&terminal, &["approvals", "watch", "--by", "ann", "--every", "1s"]);
    view.wait_for_screen("Requests appear here");
    let first = ask(&terminal, &session, "rent \u{202e}a server\u{2066}", r#"{"to": {"list": [1, 2]}}"#);
    view.wait_for_screen("1 request waits");
    // What it is about, laid out, and what follows from each key.
    for text in [
        r"rent \u{202e}a server\u{2066}",
        r#"    "list": ["#,
        "a approve: bot may do this once, exactly as it is here, until",
        "d deny:    bot is refused, and reads your note. The same stays refused until",
    ] {
        view.wait_for_screen(text);
    }
    assert!(!view.seen().contains(['\u{202e}', '\u{2066}']));
    let second = ask(&terminal, &session, "buy a domain", "{}");
    view.wait_for_screen("2 requests wait");
    view.press("a");
    view.wait_for_screen("This request was approved.");
    assert_eq!(status(&terminal, &first), ("approved".to_owned(), String::new()));
    // The same key again approves nothing else: another request is selected by its user.
    view.press("a");
    view.wait_for_screen("n selects another one");
    assert_eq!(status(&terminal, &second).0, "pending");
    view.press("n");
    view.wait_for_screen("buy a domain");
    view.press("dtoo dear, q\u{7f}q");
    view.wait_for_screen("Deny, note: too dear, q");
    view.resize(20, 100);
    view.wait_for_screen("Deny, note: too dear, q");
    view.press("\r");
    view.wait_for_screen("This request was denied.");
    assert_eq!(status(&terminal, &second), ("denied".to_owned(), "too dear, q".to_owned()));
    // One that is decided elsewhere is not decided here.
    let third = ask(&terminal, &session, "third", "{}");
    view.wait_for_screen("1 request waits");
    view.press("n");
    view.wait_for_screen("a approve: bot");
    terminal.done(&["approvals", "deny", &third]);
    view.wait_for_screen("does not wait any more");
    view.press("q");
    assert_eq!(view.finish_clean(), Some(0));
}

#[test]
fn what_was_not_on_the_screen_is_not_approved() {
    let (terminal, _) = Terminal::with_store();
    let session = terminal.session();
    let (long, name) = ("y".repeat(2_000), "z".repeat(60));
    let id = ask(&terminal, &session, &name, &format!(r#"{{"a": "{long}", "b": "the end"}}"#));
    let mut view = watching(&terminal, &["approvals", "watch"]);
    view.wait_for_screen("more lines: enter");
    view.press("a");
    view.wait_for_screen("not all of it was on the screen");
    view.press("\r");
    view.wait_for_screen("more lines: space");
    view.press("a");
    view.wait_for_screen("not all of it was on the screen");
    // However fast keys come, no line is passed over: many at a time are one page.
    while view.screen().contents().contains("more lines") {
        let before = view.screen().contents();
        view.press(" ");
        until("the next page is on the screen", || view.screen().contents() != before);
    }
    view.wait_for_screen("the end");
    assert_eq!(status(&terminal, &id).0, "pending");
    view.press("a");
    view.wait_for_screen("This request was approved.");
    view.press("\u{1b}");
    view.wait_for_screen("0 requests wait");
    view.press("q");
    assert_eq!(view.finish_clean(), Some(0));
    assert_eq!(status(&terminal, &id).0, "approved");
}

#[test]
fn agents_are_seen_at_work_and_stopped() {
    let (terminal, _) = Terminal::with_store();
    behaves(&terminal, &["top"], "No agent has a session", "x stop the agent");
    let session = terminal.session();
    let other = ["call", "create-session", "--agent-id", "evil\u{202e}\u{2066}", "--scopes", "read"];
    let other = terminal.done(&other).json()["session_id"].as_str().unwrap().to_owned();
    let log = |session: &str| {
        terminal.done(&["call", "log-action", "--session-id", session, "--action", "x", "--cost-usd", "0.25"]);
    };
    log(&session);
    log(&other);
    log(&other);
    let mut view = watching(&terminal, &["top", "--every", "1s"]);
    view.wait_for_screen("Agents  2 · the last 15m · by calls");
    let row_of = |view: &Pty, place: usize| view.screen().rows(0, 80).nth(3 + place).unwrap_or_default();
    assert!(
        row_of(&view, 0).starts_with(r"> evil\u{202e}") && row_of(&view, 1).starts_with("  bot "),
        "{}",
        view.screen().contents()
    );
    let cells: Vec<_> = row_of(&view, 1).split_whitespace().map(str::to_owned).collect();
    assert_eq!(cells[..6], ["bot", "1", "1", "0", "0", "$"], "{cells:?}");
    assert!(!view.seen().contains(['\u{202e}', '\u{2066}']));
    log(&session);
    log(&session);
    until("bot is the first by calls", || row_of(&view, 0).contains("bot"));
    view.press("a");
    view.wait_for_screen("by name");
    until("bot is the first by name", || row_of(&view, 0).contains("bot"));
    // The selection stays with its agent; a no, or any other key, stops nothing.
    view.press("x");
    view.wait_for_screen(r"Stop evil\u{202e}");
    view.press("q");
    until("the question is gone", || !view.screen().contents().contains("Stop evil"));
    view.press("\u{1b}[Ax");
    view.press("\u{1b}[A");
    until("the question is gone", || !view.screen().contents().contains("Stop "));
    view.press("\u{1b}[A");
    until("bot is selected", || row_of(&view, 0).starts_with("> bot"));
    view.press("x");
    view.wait_for_screen("Stop bot? All its sessions (1 session that may act now) end for good");
    view.press("y");
    view.wait_for_screen("bot: 1 session ended");
    view.press("q");
    assert_eq!(view.finish_clean(), Some(0));
    let left = terminal.done(&["sessions", "list", "--json"]).json();
    assert_eq!(left["sessions"].as_array().unwrap().len(), 1, "{left}");
}

#[test]
fn the_log_is_followed_here_and_at_a_server_until_ctrl_c() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let session = operator.session(&json!({"agent_id": "bot"}));
    let other = operator.session(&json!({"agent_id": "other"}));
    let log = |session: &str, action: &str| {
        operator.post("/v1/audit", &json!({"session_id": session, "tool": "sheet", "action": action})).ok();
    };
    log(&session, "before");
    let here = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_haldir"));
        on_postgres::set_store(command.args(arguments).env_clear(), &house.db());
        command
    };
    let key = operator.key.as_deref().unwrap();
    let there = |arguments: &[&str]| {
        let mut command = here(arguments);
        command
            .env_remove("HALDIR_DB")
            .env("HALDIR_BASE_URL", format!("http://{}", server.address))
            .env("HALDIR_API_KEY", key);
        command
    };
    let agent = ["--agent", "bot", "--follow", "--every", "1s"];
    for (count, command) in [
        here(&[&["audit", "tail"], &agent[..]].concat()),
        there(&[&["log"], &agent[..]].concat()),
        here(&[&["log", "--json"], &agent[..]].concat()),
    ]
    .into_iter()
    .enumerate()
    {
        let mut followed = Pty::start(command, 200);
        followed.wait_for("before");
        log(&other, "of another agent");
        let action = format!("after {count} \u{202e}");
        log(&session, &action);
        followed.wait_for(&format!("after {count}"));
        followed.interrupt();
        let (code, seen) = followed.finish();
        assert_eq!(code, Some(130), "{seen}");
        assert!(!seen.contains("of another") && !seen.contains(['\u{202e}', '\u{1b}']), "{seen:?}");
        // Whole lines, and each event once.
        assert!(seen.ends_with('\n') && seen.matches(&format!("after {count}")).count() == 1, "{seen}");
    }
}
