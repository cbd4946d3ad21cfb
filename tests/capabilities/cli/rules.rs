//! `haldir approvals rules` and `haldir retention`.

use serde_json::json;

use super::Terminal;

#[test]
fn rules_of_approvals_are_added_listed_and_deleted() {
    let (terminal, _) = Terminal::with_store();
    assert!(terminal.done(&["approvals", "rules"]).stdout.contains("nothing needs an approval"));
    let add = |arguments: &[&str]| {
        let added = terminal.done(&[&["approvals", "rules", "add"], arguments].concat()).stdout;
        added.trim_end().strip_prefix("added ").unwrap_or_else(|| panic!("{added}")).to_owned()
    };
    let over = add(&["spend_over", "--threshold", "0.10"]);
    let tools = add(&["tool_blocked", "--tool", "github.delete_repo,mail\u{202e}x", "--operator-only"]);
    let table = terminal.done(&["approvals", "rules", "list"]).stdout;
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[1].starts_with(&over) && lines[1].contains("payments over $ 0.10"), "{table}");
    assert!(lines[2].starts_with(&tools) && lines[2].contains("calls of github.delete_repo, mail\u{fffd}x"), "{table}");
    // The rule holds at once.
    let session = terminal.session();
    let pay = ["--json", "call", "authorize-payment", "--session-id", &session, "--amount", "1"];
    assert_eq!(terminal.refused(&pay, 1).json()["code"], "approval_required");
    for bad in [&["tool_blocked"][..], &["spend_over", "--threshold", "x"], &["sometimes"]] {
        terminal.refused(&[&["approvals", "rules", "add"], bad].concat(), 2);
    }
    assert_eq!(terminal.done(&["approvals", "rules", "delete", &over]).stdout, format!("deleted {over}\n"));
    assert_eq!(terminal.done(&["approvals", "rules", "list", "--json"]).json()["count"], 1);
    terminal.refused(&["approvals", "rules", "rm", &over], 1);
}

#[test]
fn retention_is_set_in_days_and_erases_only_when_asked() {
    let (terminal, _) = Terminal::with_store();
    let shown = terminal.done(&["retention"]).stdout;
    assert!(shown.starts_with("details are kept for ever; never set\n"), "{shown}");
    let set = terminal.done(&["retention", "set", "30d"]).stdout;
    assert!(set.starts_with("details are kept for 30 days; set by operator at "), "{set}");
    assert_eq!(terminal.done(&["retention", "show", "--json"]).json()["retain_days"], 30);
    // Days are named as such: 90 alone would be seconds everywhere else.
    for bad in ["90", "12h", "-1d", "0d", "soon"] {
        let refused = terminal.run(&["retention", "set", "--", bad]);
        assert!(refused.code == 2 && refused.stderr.contains("90d"), "{bad}: {refused:?}");
    }
    assert_eq!(terminal.done(&["retention", "runs"]).stdout, "no run has erased anything\n");
    assert!(terminal.refused(&["retention", "prune"], 2).stderr.contains("--yes"));
    assert!(terminal.done(&["retention", "prune", "--yes"]).stdout.starts_with("nothing was erased: "));
    assert_eq!(terminal.done(&["retention", "prune", "--yes", "--json"]).json()["entries_deleted"], json!(0));
    let never = terminal.done(&["retention", "set", "never"]).stdout;
    assert!(never.starts_with("details are kept for ever") && never.lines().count() == 1, "{never}");
}
