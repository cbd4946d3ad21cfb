//! What each command shows at a terminal of 80 and of 140 columns, with colours and without: `tests/snapshots` has it.
//! `HALDIR_UPDATE=1` writes the files anew.

use std::{fmt::Write, fs, path::PathBuf};

use super::Terminal;
use crate::support::Pty;

/// What begins the ids of haldir; what follows is random.
const IDS: [&str; 8] = ["hld_", "ses_", "auth_", "apr_", "rule_", "pol_", "sch_", "ten_"];

/// The commands, by the names of their files.
const COMMANDS: [(&str, &[&str]); 22] = [
    ("agents", &["agents"]),
    ("approvals-list", &["approvals", "list"]),
    ("approvals-rules", &["approvals", "rules"]),
    ("audit-tail", &["audit", "tail", "--agent", "bot"]),
    ("compliance-schedules-list", &["compliance", "schedules", "list"]),
    ("config-show", &["config", "show"]),
    ("keys-list", &["keys", "list"]),
    ("log", &["log", "--agent", "bot"]),
    ("log-refused", &["log", "--refused"]),
    ("payments-list", &["payments", "list"]),
    ("policy-list", &["policy", "list"]),
    ("ready", &["ready"]),
    ("retention", &["retention"]),
    ("secrets-list", &["secrets", "list"]),
    ("sessions-list", &["sessions", "list"]),
    ("spend", &["spend"]),
    ("spend-by-tool", &["spend", "--by", "tool"]),
    ("status", &["status"]),
    ("tenants-list", &["tenants", "list"]),
    ("upstreams-list", &["upstreams", "list"]),
    ("webhooks-list", &["webhooks", "list"]),
    ("whoami", &["whoami"]),
];

/// A store with something of each kind, texts that terminals would obey among it.
fn store() -> Terminal {
    let (terminal, _) = Terminal::with_store();
    let session = terminal.session();
    let hostile = "Zahlung \u{202e}gnp.exe für <b>取消</b>";
    for arguments in [
        &["keys", "create", "--name", "ci", "--role", "agent", "--max-spend", "20", "--max-ttl", "1h"][..],
        &["approvals", "rules", "add", "spend_over", "--threshold", "3"],
        &["approvals", "rules", "add", "tool_blocked", "--tool", "github.delete_repo", "--operator-only"],
        &["policy", "add", "block_tool", "--tool", "github.delete_repo"],
        &["retention", "set", "90d"],
        &[
            "webhooks",
            "add",
            "https://hooks.example.com/haldir",
            "--name",
            hostile,
            "--allow-private",
            "hooks.example.com",
        ],
        &[
            "call",
            "log-action",
            "--session-id",
            &session,
            "--tool",
            "search",
            "--action",
            hostile,
            "--cost-usd",
            "0.125",
        ],
        &["call", "log-action", "--session-id", &session, "--tool", hostile, "--action", "send", "--cost-usd", "1"],
        &["call", "authorize-payment", "--session-id", &session, "--amount", "1.10", "--description", hostile],
    ] {
        terminal.run(arguments);
    }
    terminal.run(&["call", "authorize-payment", "--session-id", &session, "--amount", "100"]);
    terminal.with_input(&["secrets", "set", "stripe_key"], "sk_live_4242");
    terminal
}

/// The same text whenever it is run: ids and digits of times become others of the same width.
fn settled(text: &str, terminal: &Terminal) -> String {
    let folder = terminal.folder.path().display().to_string();
    let same_width: String = "/tmp/store".chars().chain(std::iter::repeat('_')).take(folder.len()).collect();
    let mut text = text.replace("\r\n", "\n").replace(&folder, &same_width);
    for id in IDS {
        let mut rest = std::mem::take(&mut text);
        while let Some(at) = rest.find(id) {
            let random =
                rest[at + id.len()..].chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).count();
            write!(text, "{}{}", &rest[..at + id.len()], "x".repeat(random)).unwrap();
            rest = rest.split_off(at + id.len() + random);
        }
        text.push_str(&rest);
    }
    let mut bytes = text.into_bytes();
    let time = b"2000-00-00T00:00:00";
    for at in 0..bytes.len().saturating_sub(9) {
        let fits = |length: usize| {
            let shown = bytes.get(at..at + length).unwrap_or_default();
            shown.len() == length
                && shown
                    .iter()
                    .zip(time)
                    .all(|(c, like)| if like.is_ascii_digit() { c.is_ascii_digit() } else { c == like })
        };
        let length = if fits(time.len()) {
            time.len()
        } else if fits(10) {
            10
        } else {
            continue;
        };
        for byte in &mut bytes[at..at + length] {
            if byte.is_ascii_digit() {
                *byte = b'0';
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/snapshots", &format!("{name}.txt")].iter().collect()
}

#[test]
fn every_command_shows_what_its_snapshot_has() {
    let terminal = store();
    let mut problems = Vec::new();
    for (name, arguments) in COMMANDS {
        let mut shown = String::new();
        for columns in [80, 140] {
            for colours in [false, true] {
                let mut command = terminal.command(arguments);
                if !colours {
                    command.env("NO_COLOR", "1");
                }
                let (code, text) = Pty::start(command, columns).finish();
                assert_eq!(code, Some(0), "{arguments:?}: {text}");
                let text = settled(&text, &terminal);
                assert!(colours || !text.contains('\u{1b}'), "{arguments:?}: {text:?}");
                let colours = if colours { "with colours" } else { "without colours" };
                // The escape character as people write it, so that the files are plain text.
                write!(
                    shown,
                    "--- haldir {}, {columns} columns, {colours}\n{}",
                    arguments.join(" "),
                    text.replace('\u{1b}', "␛")
                )
                .unwrap();
            }
        }
        if std::env::var_os("HALDIR_UPDATE").is_some() {
            fs::create_dir_all(file(name).parent().unwrap()).unwrap();
            fs::write(file(name), &shown).unwrap();
        }
        if fs::read_to_string(file(name)).unwrap_or_default() != shown {
            problems.push(format!("{} differs; it shows now:\n{shown}", file(name).display()));
        }
    }
    assert!(problems.is_empty(), "HALDIR_UPDATE=1 writes them anew:\n{}", problems.join("\n"));
}
