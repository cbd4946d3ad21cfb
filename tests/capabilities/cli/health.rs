//! `haldir status` and `haldir ready`, of the local store and of a server; and `haldir-mcp health`.

use std::fs;

use super::{Outcome, Terminal, outcome};
use crate::support::{HeldPort, House, Pty, health};

fn at(terminal: &Terminal, url: &str, arguments: &[&str]) -> Outcome {
    outcome(&mut terminal.command(&[&["--url", url], arguments].concat()))
}

#[test]
fn status_names_the_parts_of_a_store_and_of_a_server() {
    let (terminal, _) = Terminal::with_store();
    let status = terminal.done(&["status"]).stdout;
    assert!(status.starts_with("● haldir is ok\n● api") && status.contains("○ proxy"), "{status}");
    assert!(!status.contains("billing"), "{status}");
    let json = terminal.done(&["status", "--json"]).json();
    assert_eq!((&json["status"], &json["components"][1]["name"]), (&"ok".into(), &"database".into()), "{json}");
    let coloured = Pty::start(terminal.command(&["status"]), 80).finish().1;
    assert!(coloured.contains("\u{1b}[32m●\u{1b}[0m haldir is ok"), "{coloured:?}");

    let house = House::new();
    let server = house.serve();
    let url = format!("http://{}", server.address);
    let status = at(&terminal, &url, &["status"]);
    assert!(status.code == 0 && status.stdout.contains("● webhooks"), "no key is needed: {status:?}");
    // An altered log shows.
    terminal.session();
    terminal.database().batch("UPDATE audit_heads SET mac = zeroblob(32)");
    let altered = terminal.done(&["status", "--json"]).json();
    assert_eq!(altered["status"], "degraded", "{altered}");
}

#[test]
fn ready_says_by_its_exit_code_whether_haldir_can_work() {
    let (terminal, _) = Terminal::with_store();
    assert_eq!(terminal.done(&["ready"]).stdout, "● ready\n");
    let house = House::new();
    let server = house.serve();
    let url = format!("http://{}", server.address);
    let ready = at(&terminal, &url, &["ready", "--json"]);
    assert_eq!((ready.code, &ready.json()["ready"]), (0, &true.into()), "{ready:?}");

    let none = Terminal::new();
    let missing = none.without_store(&["ready"]);
    assert!(
        missing.code == 1 && missing.stdout.contains("not ready") && missing.stdout.contains("there is no store"),
        "{missing:?}"
    );
    assert_eq!(fs::read_dir(none.folder.path()).unwrap().count(), 0, "looking makes none");
    let unused_port = HeldPort::new();
    let url = format!("http://{}", unused_port.address());
    let away = at(&terminal, &url, &["ready", "--json"]);
    assert_eq!((away.code, &away.json()["checks"][0]["ok"]), (1, &false.into()), "{away:?}");
    assert_eq!(at(&terminal, "ftp://host", &["ready"]).code, 2);
}

#[test]
fn the_health_of_a_server_is_an_exit_code() {
    let house = House::new();
    let server = house.serve();
    let address = server.address.to_string();
    assert_eq!(health(&["--url", &format!("http://{address}")], &[]), (0, String::new()));
    assert_eq!(
        health(&[], &[("HALDIR_LISTEN", &address)]),
        (0, String::new()),
        "where a server of these settings listens"
    );
    assert_eq!(health(&[], &[("PORT", &server.address.port().to_string())]).0, 0, "on all addresses of the machine");

    let unused_port = HeldPort::new();
    let (code, why) = health(&[], &[("HALDIR_LISTEN", &unused_port.address().to_string())]);
    assert!(code == 1 && why.contains(&unused_port.address().to_string()), "{code}: {why}");
    let (code, why) = health(&["--listen", "127.0.0.1:0"], &[]);
    assert!(code == 2 && why.contains("--url"), "{code}: {why}");
}
