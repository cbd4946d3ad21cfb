//! `haldir webhooks`, `haldir usage` and `haldir overview`.

use serde_json::json;

use super::Terminal;
use crate::support::Receiver;

const ALLOWED: [&str; 2] = ["--allow-private", "127.0.0.1"];

#[test]
fn a_webhook_is_added_pinged_rotated_and_deleted_from_the_terminal() {
    let (terminal, _) = Terminal::with_store();
    let receiver = Receiver::new();
    assert_eq!(terminal.done(&["webhooks", "list"]).stdout, "there is no webhook\n");
    let url = receiver.url();
    let refused = terminal.refused(&["webhooks", "add", &url], 1);
    assert!(refused.stderr.contains("--allow-private"), "{refused:?}");
    let add =
        [&["webhooks", "add", &url, "--name", "mine", "--events", "anomaly,session_revoked"][..], &ALLOWED].concat();
    let added = terminal.done(&add);
    let secret = added.stdout.trim_end().to_owned();
    assert!(secret.lines().count() == 1 && secret.len() > 30 && added.stderr.contains("webhook 1"), "{added:?}");
    let table = terminal.done(&["webhooks", "list"]).stdout;
    let lines: Vec<_> = table.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("WEBHOOK") && lines[1].contains(&url), "{table}");
    assert!(lines[1].contains("anomaly,session_revoked") && lines[1].contains("active"), "{table}");
    assert!(!table.contains(&secret));

    let rotated = terminal.done(&["webhooks", "rotate", "1", "--grace", "60"]);
    assert!(rotated.stdout.trim_end() != secret && rotated.stderr.contains("60 s"), "{rotated:?}");
    terminal.refused(&["webhooks", "rotate", "1", "--grace", "1"], 2);
    assert_eq!(terminal.done(&["webhooks", "deliveries"]).stdout, "nothing was sent\n");
    assert_eq!(terminal.done(&["webhooks", "dead-letters"]).stdout, "no event was given up\n");
    let pinged = terminal.done(&["webhooks", "ping", "1", "--json"]).json();
    assert_eq!((&pinged["queued"], &pinged["webhook_id"]), (&json!(true), &json!(1)), "{pinged}");
    assert!(terminal.done(&["webhooks", "ping", "1"]).stdout.starts_with("queued "));
    assert!(terminal.done(&["webhooks", "resend", "1"]).stdout.starts_with("queued 0"));
    assert_eq!(terminal.done(&["webhooks", "list", "--json"]).json()["webhooks"][0]["waiting"], 2);
    let deleted = terminal.done(&["webhooks", "delete", "1"]).stdout;
    assert!(deleted.starts_with("deleted 1; 2 events"), "{deleted}");
    assert_eq!(terminal.refused(&["webhooks", "delete", "1", "--json"], 1).json()["code"], "not_found");
    assert!(receiver.got().is_empty(), "the terminal sends nothing by itself");
    for command in ["list", "add", "delete", "rotate", "ping", "deliveries", "dead-letters", "resend"] {
        assert!(terminal.done(&["webhooks", command, "--help"]).stdout.contains("Example"), "{command}");
    }
}

#[test]
fn attempts_are_listed_from_the_terminal() {
    let (terminal, _) = Terminal::with_store();
    let receiver = Receiver::new();
    terminal.done(&[&["webhooks", "add", &receiver.url()][..], &ALLOWED].concat());
    let event = terminal.done(&["webhooks", "ping", "1", "--json"]).json()["event_id"].as_str().unwrap().to_owned();
    let program = terminal.server(&[&["serve", "--listen", "127.0.0.1:0"][..], &ALLOWED].concat());
    let server = crate::support::Server::start(program);
    receiver.wait_for(1);
    // An attempt whose answer the server has not read when it stops is taken back, so the answer is waited for.
    let is_listed = || terminal.done(&["webhooks", "deliveries", "--event", &event]).stdout.contains("dlv_");
    crate::support::until("the attempt is listed", is_listed);
    server.process.terminate();
    assert!(server.process.finish().0);
    let table = terminal.done(&["webhooks", "deliveries", "--event", &event]).stdout;
    let lines: Vec<_> = table.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("DELIVERY"), "{table}");
    assert!(lines[1].starts_with("dlv_") && lines[1].contains(&event) && lines[1].contains("200"), "{table}");
}

#[test]
fn figures_are_shown_in_the_terminal() {
    let (terminal, _) = Terminal::with_store();
    terminal.session();
    let usage = terminal.done(&["usage", "--month", "2026-01"]).stdout;
    assert_eq!(usage, "0 calls in 2026-01\n");
    terminal.refused(&["usage", "--month", "x"], 2);
    assert_eq!(terminal.done(&["overview", "--json"]).json()["sessions"]["active_count"], 1);
}
