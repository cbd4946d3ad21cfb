//! Approving a call with other arguments than were asked for, from the operator's own editor.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use super::{Terminal, set_mode};
use crate::support::{
    Pty,
    upstream::{Upstream, tool},
};

/// A store with an upstream whose tool needs an approval, and an editor.
struct Desk {
    terminal: Terminal,
    session: String,
    _upstream: Upstream,
}

impl Desk {
    fn new() -> Self {
        let (terminal, _) = Terminal::with_store();
        let upstream = Upstream::new([tool("write")]);
        terminal.done(&["upstreams", "add", "files", &upstream.url(), "--allow-private", "127.0.0.1"]);
        terminal.done(&["approvals", "rules", "add", "tool_blocked", "--tool", "files.write"]);
        let created = ["call", "create-session", "--agent-id", "bot", "--scopes", "read,execute:files"];
        let session = terminal.done(&created).json()["session_id"].as_str().unwrap().to_owned();
        let this = Self { terminal, session, _upstream: upstream };
        fs::create_dir(this.path("tmp")).unwrap();
        let script = "#!/bin/sh\nstat -c %a \"$2\" >\"$1/mode\"\ncp \"$2\" \"$1/given\"\ncat \"$1/typed\" >\"$2\"\n";
        fs::write(this.path("editor"), script).unwrap();
        set_mode(&this.path("editor"), 0o755);
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.terminal.folder.path().join(name)
    }

    /// The agent calls the tool, and waits; answers the request.
    fn ask(&self, arguments: &str) -> String {
        let call =
            ["call", "proxy-call", "--tool", "files.write", "--session-id", &self.session, "--arguments", arguments];
        self.terminal.run(&call);
        let listed = self.terminal.done(&["approvals", "list", "--json"]).json();
        listed["requests"][0]["request_id"].as_str().unwrap().to_owned()
    }

    /// What the editor leaves.
    fn types(&self, text: &str) {
        fs::write(self.path("typed"), text).unwrap();
    }

    fn at_terminal(&self, arguments: &[&str]) -> Pty {
        let mut command = self.terminal.command(arguments);
        let folder = self.terminal.folder.path().display();
        command.env("PATH", std::env::var("PATH").unwrap()).env("VISUAL", format!("{folder}/editor '{folder}'"));
        command.env("EDITOR", "false").env("TMPDIR", self.path("tmp")).env("HALDIR_ALLOW_PRIVATE", "127.0.0.1");
        Pty::start(command, 120)
    }

    fn shown(&self, id: &str) -> Value {
        self.terminal.done(&["approvals", "show", id, "--json"]).json()
    }

    /// The editor got the arguments, in a file of this user's alone, which is gone.
    fn was_given(&self, text: &str) {
        assert_eq!(fs::read_to_string(self.path("given")).unwrap(), text);
        assert_eq!(fs::read_to_string(self.path("mode")).unwrap(), "600\n");
        assert_eq!(fs::read_dir(self.path("tmp")).unwrap().count(), 0, "the file is left behind");
    }
}

#[test]
fn a_call_is_approved_with_arguments_that_were_changed_in_an_editor() {
    let desk = Desk::new();
    let id = desk.ask(r#"{"path":"/a","mode":1}"#);
    let mut view = desk.at_terminal(&["approvals", "watch", "--by", "ann", "--every", "1s"]);
    view.resize(45, 120);
    view.wait_for_screen("e change arguments");
    desk.types("{\"path\": ");
    view.press("e");
    view.wait_for_screen("this is no JSON");
    desk.was_given("{\n  \"mode\": 1,\n  \"path\": \"/a\"\n}\n");
    assert!(view.screen().alternate_screen() && view.screen().hide_cursor());
    // What was typed is there again; undone, it is the agent's own.
    desk.types(r#"{"mode": 1, "path": "/b"}"#);
    view.press("e");
    view.wait_for_screen(r#"[-"/a"-]{+"/b"+}"#);
    desk.was_given("{\"path\": ");
    view.wait_for_screen("bot may call files.write once, with the arguments that you changed");
    view.press("u");
    view.wait_for_screen("with exactly these arguments");
    view.press("e");
    view.wait_for_screen("a approves the call with these arguments");
    desk.was_given("{\n  \"mode\": 1,\n  \"path\": \"/a\"\n}\n");
    view.press("a");
    view.wait_for_screen("This request was approved.");
    let shown = desk.shown(&id);
    assert_eq!((&shown["status"], &shown["decided_by"]), (&json!("approved"), &json!("ann")), "{shown}");
    assert_eq!(
        (&shown["arguments"], &shown["changed"]),
        (&json!({"path": "/b", "mode": 1}), &json!(["path"])),
        "{shown}"
    );
    view.press("q");
    assert_eq!(view.finish_clean(), Some(0));
}

#[test]
fn an_editor_that_fails_decides_nothing_and_the_screen_is_back() {
    let desk = Desk::new();
    let id = desk.ask("{}");
    let mut view = desk.at_terminal(&["approvals", "watch"]);
    view.wait_for_screen("e change arguments");
    // There is nothing that it could read.
    view.press("e");
    view.wait_for_screen("nothing was taken over");
    assert_eq!(desk.shown(&id)["status"], "pending");
    // What is no call has no arguments to change.
    let ask = ["call", "request-approval", "--session-id", &desk.session, "--action", "rent"];
    desk.terminal.done(&ask);
    view.wait_for_screen("2 requests wait");
    view.press("n");
    view.wait_for_screen("rent");
    view.press("e");
    view.wait_for_screen("only the arguments of a call can be changed");
    view.press("q");
    assert_eq!(view.finish_clean(), Some(0));
}

#[test]
fn one_request_is_approved_as_it_was_changed() {
    let desk = Desk::new();
    let id = desk.ask(r#"{"path":"/a"}"#);
    let approve = ["approvals", "approve", &id, "--edit"];
    assert!(desk.terminal.refused(&approve, 2).stderr.contains("--arguments instead"));
    for (typed, code, says) in [
        ("{\"path\":   \"/a\"}", 2, "nothing was changed"),
        ("[]", 2, "arguments are a JSON object"),
        ("{\"path\": \"/b\"}", 0, "approved apr_"),
    ] {
        desk.types(typed);
        let (ended, seen) = desk.at_terminal(&approve).finish();
        assert!(ended == Some(code) && seen.contains(says), "{typed}: {ended:?} {seen}");
    }
    desk.was_given("{\n  \"path\": \"/a\"\n}\n");
    let shown = desk.shown(&id);
    assert_eq!((&shown["arguments"], &shown["changed"]), (&json!({"path": "/b"}), &json!(["path"])), "{shown}");
}

#[test]
fn a_request_stands_beside_the_last_one_like_it_that_was_approved() {
    let desk = Desk::new();
    let first = desk.ask(r#"{"path":"/a","text":"same"}"#);
    desk.terminal.done(&["approvals", "approve", &first, "--by", "ann"]);
    let second = desk.ask(r#"{"path":"/b","text":"same"}"#);
    assert_ne!(first, second);
    let shown = desk.terminal.done(&["approvals", "show", &second]).stdout;
    for text in [&format!("the last one like it that was approved: {first} by ann at "), r#"[-"/a",-]{+"/b",+}"#, "  …"]
    {
        assert!(shown.contains(text), "{text} is not in {shown}");
    }
    let mut view = desk.at_terminal(&["approvals", "watch"]);
    view.resize(45, 120);
    // Another request is compared as soon as it is selected.
    view.wait_for_screen(&format!("the last one like it that was approved: {first}"));
    view.wait_for_screen(r#"[-"/a",-]{+"/b",+}"#);
    view.press("q");
    assert_eq!(view.finish_clean(), Some(0));
    // The first one had none before it.
    assert!(!desk.terminal.done(&["approvals", "show", &first]).stdout.contains("the last one like it"));
}
