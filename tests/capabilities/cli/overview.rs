//! `haldir overview`.

use serde_json::json;

use super::Terminal;
use crate::support::Pty;

/// A store with sessions, an entry with hostile text, and a request that waits.
fn busy() -> Terminal {
    let (terminal, _) = Terminal::with_store();
    let session = terminal.session();
    let logged =
        ["call", "log-action", "--session-id", &session, "--action", "sum \u{202e}\u{2066}", "--tool", "sheet"];
    terminal.done(&[&logged[..], &["--cost-usd", "47.3"]].concat());
    terminal.done(&["call", "authorize-payment", "--session-id", &session, "--amount", "4.6"]);
    terminal.done(&["call", "request-approval", "--session-id", &session, "--action", "rent", "--amount", "2"]);
    let free =
        ["call", "create-session", "--agent-id", "a name that is far longer than its column", "--scopes", "read"];
    terminal.done(&free);
    terminal
}

#[test]
fn the_overview_is_a_page_of_aligned_labels_within_80_columns() {
    let terminal = busy();
    let page = terminal.done(&["overview"]).stdout;
    let lines: Vec<_> = page.lines().collect();
    assert_eq!(lines[0], "Haldir tenant overview");
    assert!(lines[1].starts_with("local · tier enterprise · 20") && lines[2].is_empty(), "{page}");
    let labels = ["Status", "Actions", "Spend", "Sessions", "Vault", "Audit", "Webhooks", "Approvals"];
    for (line, label) in lines[3..].iter().zip(labels) {
        let value = line.strip_prefix(label).unwrap_or_else(|| panic!("{label}: {page}"));
        assert_eq!(value.len() - value.trim_start().len(), 11 - label.len(), "{page}");
    }
    let has = |text: &str| assert!(lines.contains(&text), "{text:?} is not in\n{page}");
    has("Status     ● ok");
    has("Spend      $ 47.30 this month");
    has("Sessions   2 active · 2 agents");
    has("Vault      0 secrets · 0 accesses this month");
    has("Webhooks   0 registered");
    has("Approvals  1 pending");
    let budget = lines.iter().find(|line| line.starts_with("bot ")).unwrap();
    assert!(budget.contains("$ 4.60 / $ 5.00") && budget.ends_with("██████████████████░░ 92.0%"), "{page}");
    assert!(lines.iter().any(|line| line.contains("bot") && line.contains("sheet sum")), "{page}");
    // Where there is no limit, none is shown.
    assert!(!page.contains("999") && !page.contains("/ 0"), "{page}");
    assert_eq!(lines.iter().find(|line| line.chars().count() > 80), None, "{page}");
    assert!(!page.contains(['\u{1b}', '\u{202e}', '\u{2066}']), "{page:?}");
    let read = terminal.done(&["overview", "--json"]).json();
    assert_eq!((&read["usage"]["spend_usd_this_month"], &read["sessions"]["active_count"]), (&json!(47.3), &json!(2)));
}

#[test]
fn the_overview_has_colours_on_a_terminal_unless_they_are_unwanted() {
    let terminal = busy();
    let shown = |variables: &[(&str, &str)]| {
        let mut command = terminal.command(&["overview"]);
        command.envs(variables.iter().copied());
        Pty::start(command, 60).finish().1
    };
    let coloured = shown(&[]);
    assert!(coloured.contains("\u{1b}[32m● ok\u{1b}[0m") && coloured.contains("\u{1b}[31m██"), "{coloured:?}");
    let plain = shown(&[("NO_COLOR", "1")]);
    assert!(plain.contains("● ok") && !plain.contains('\u{1b}'), "{plain:?}");
    assert_eq!(plain.lines().skip(1).find(|line| line.trim_end().chars().count() > 60), None, "{plain}");
}

#[test]
fn an_altered_log_and_a_failing_server_are_seen_at_once() {
    let terminal = busy();
    let sql = "UPDATE audit_heads SET actions = actions + 1 WHERE tenant = 'local'";
    terminal.database().batch(sql);
    let page = terminal.done(&["overview"]).stdout;
    for text in ["● degraded", "audit: the head of the log was altered", "chain ✗ altered"] {
        assert!(page.contains(text), "{text} is not in\n{page}");
    }
}
