//! `haldir approvals`.

use serde_json::json;

use super::Terminal;

/// A session, and the id of a request that it raised.
fn asked(terminal: &Terminal, action: &str) -> String {
    let session = terminal.session();
    let asked = ["call", "request-approval", "--session-id", &session, "--action", action, "--amount", "2.50"];
    terminal.done(&asked).json()["request_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_request_is_listed_shown_and_decided_from_the_terminal() {
    let (terminal, _) = Terminal::with_store();
    assert_eq!(terminal.done(&["approvals", "list"]).stdout, "no request waits for a decision\n");
    let id = asked(&terminal, "rent a \u{202e}server");
    let table = terminal.done(&["approvals", "list"]).stdout;
    let lines: Vec<_> = table.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("REQUEST") && lines[1].starts_with(&id), "{table}");
    assert!(lines[1].contains("2.5"), "{table}");
    let shown = terminal.done(&["approvals", "show", &id]).stdout;
    assert!(shown.contains("pending") && shown.contains("2.5 USD"), "{shown}");

    let approved = terminal.done(&["approvals", "approve", &id, "--by", "ann", "--note", "once"]);
    assert_eq!(approved.stdout, format!("approved {id}\n"));
    let shown = terminal.done(&["approvals", "show", &id, "--wait", "30", "--json"]).json();
    assert_eq!((&shown["status"], &shown["decided_by"]), (&json!("approved"), &json!("ann")), "{shown}");
    let again = terminal.refused(&["approvals", "deny", &id], 1);
    assert!(again.stderr.contains("approved by ann already"), "{again:?}");

    let id = asked(&terminal, "x");
    assert_eq!(terminal.done(&["approvals", "list", "--json", "--agent", "bot"]).json()["count"], 1);
    let denied = terminal.done(&["approvals", "deny", &id, "--json"]).json();
    assert_eq!(denied, json!({"denied": true, "request_id": id}));
    assert_eq!(terminal.refused(&["approvals", "approve", "apr_x", "--json"], 1).json()["code"], "not_found");
    terminal.refused(&["approvals", "list", "--limit", "0"], 2);
    for command in ["list", "show", "approve", "deny"] {
        assert!(terminal.done(&["approvals", command, "--help"]).stdout.contains("Example"), "{command}");
    }
}
