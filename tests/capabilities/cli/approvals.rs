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
    assert!(shown.contains("pending") && shown.contains("$ 2.50"), "{shown}");
    assert!(shown.contains("If you approve: bot may do this once") && shown.contains("If you deny: bot is"), "{shown}");

    let approved = terminal.done(&["approvals", "approve", &id, "--by", "ann", "--note", "once"]);
    assert!(approved.stdout.starts_with(&format!("approved {id}\nbot may do this once")), "{approved:?}");
    assert!(approved.stdout.contains(", until 2"), "{approved:?}");
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

#[test]
fn nothing_that_an_agent_wrote_commands_the_terminal_or_orders_it_anew() {
    let (terminal, _) = Terminal::with_store();
    let session = terminal.session();
    let (action, details) = ("rent \u{202e}revres\u{2066}", "{\"to\": \"\u{9b}31mann\u{202e}\u{2028}\"}");
    let asked = [
        "call", "request-approval", "--session-id", &session, "--action", action, "--details", details, "--reason",
        action,
    ];
    let id = terminal.done(&asked).json()["request_id"].as_str().unwrap().to_owned();
    let show = ["approvals", "show", &id];
    for command in [
        &["approvals", "list"][..],
        &["approvals", "list", "--json"],
        &show,
        &["approvals", "show", &id, "--json"],
        &["call", "get-approval", "--request-id", &id],
    ] {
        let shown = terminal.done(command).stdout;
        let hidden = |c: &char| {
            ('\u{7f}'..='\u{9f}').contains(c)
                || ('\u{2028}'..='\u{202e}').contains(c)
                || ('\u{2066}'..='\u{2069}').contains(c)
        };
        assert!(shown.contains("rent") && shown.chars().find(hidden).is_none(), "{command:?}: {shown:?}");
    }
    let read = terminal.done(&["approvals", "show", &id, "--json"]).json();
    assert_eq!((&read["action"], &read["details"]["to"]), (&json!(action), &json!("\u{9b}31mann\u{202e}\u{2028}")));
}
