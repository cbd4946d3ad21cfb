//! What each command shows at a terminal of 80 and of 140 columns, with colours and without: `tests/snapshots` has it.
//! `HALDIR_UPDATE=1` writes the files anew.

use std::{collections::BTreeSet, fmt::Write, fs, path::PathBuf};

use super::{Outcome, Terminal, outcome};
use crate::support::{
    Pty, at_once,
    upstream::{Upstream, described, tool},
};

/// Threads that run commands.
const THREADS: usize = 3;

/// What begins the ids of haldir; what follows is random.
const IDS: [&str; 11] = ["hld_", "ses_", "auth_", "apr_", "rule_", "pol_", "sched_", "ten_", "aud_", "evt_", "whsec_"];

/// The commands that change nothing.
const READING: [&str; 45] = [
    "agents",
    "approvals list",
    "approvals list --decided",
    "approvals rules",
    "approvals rules list",
    "approvals show REQUEST",
    "audit keys",
    "audit tail --agent bot",
    "audit verify",
    "audit verify FOLDER/log.bundle",
    "call get-usage",
    "compliance schedules list",
    "compliance score",
    "compliance verify FOLDER/pack.json",
    "config show",
    "demo tamper",
    "doctor",
    "erase --agent done --dry-run",
    "keys list",
    "log --agent bot",
    "log --ids --agent bot",
    "log --refused",
    "overview",
    "payments list",
    "policy list",
    "policy test rate_limit --max-per-minute 30",
    "ready",
    "retention",
    "retention runs",
    "retention show",
    "secrets list",
    "sessions list",
    "sessions show SESSION",
    "sessions tree SESSION",
    "spend",
    "spend --by tool",
    "status",
    "tenants list",
    "upstreams list",
    "upstreams tools",
    "usage",
    "webhooks dead-letters",
    "webhooks deliveries",
    "webhooks list",
    "whoami",
];

/// Those that change something: each on a store of its own.
const CHANGING: [&str; 40] = [
    "approvals approve REQUEST --note once",
    "approvals deny REQUEST",
    "approvals rules add spend_over --threshold 100",
    "approvals rules delete RULE",
    "audit export --out FOLDER/log.jsonl",
    "audit export --bundle FOLDER/new.bundle",
    "audit pin --file FOLDER/pin",
    "audit rotate-key",
    "backup FOLDER/backup",
    "compliance evidence --out FOLDER/pack.md",
    "compliance schedules create --name board --cadence quarterly --delivery webhook:1",
    "compliance schedules delete SCHEDULE",
    "erase --agent done --yes",
    "init FOLDER/server",
    "keys create --name new --role agent --max-spend 20",
    "keys revoke KEY",
    "keys tier KEY pro",
    "logout --all",
    "payments settle PAYMENT",
    "payments settle PAYMENT --void",
    "policy add rate_limit --max-per-minute 30",
    "policy remove POLICY",
    "rekey",
    "restore FOLDER/kept",
    "retention prune --yes",
    "retention set 90d",
    "secrets rm stripe_key",
    "secrets set token --file FOLDER/client.json",
    "sessions create intern --spend 5 --for 1h",
    "sessions revoke SESSION",
    "stop bot",
    "tenants name local acme",
    "upstreams accept github --yes",
    "upstreams add other UPSTREAM --allow-private 127.0.0.1",
    "upstreams remove github",
    "webhooks add https://hooks.example.com/other --allow-private hooks.example.com",
    "webhooks delete 1",
    "webhooks ping 1",
    "webhooks resend 1",
    "webhooks rotate 1",
];

/// Those that have no snapshot, and why.
const WITHOUT: [(&str, &str); 18] = [
    ("approvals watch", "a live view: see live.rs"),
    ("audit mirror", "goes on until it is ended: see audit.rs"),
    ("audit witness", "goes on until it is ended: see audit.rs"),
    ("call", "the answer of the operation; one of them is here"),
    ("completions", "for a shell"),
    ("dashboard", "goes on until it is ended"),
    ("install", "names the folder of the programs: see install.rs"),
    ("log show", "shows hashes of times: see history.rs"),
    ("login", "asks a server: see profiles.rs"),
    ("man", "a page for man"),
    ("migrate copy", "needs a second database: see moving.rs"),
    ("migrate status", "names the newest migration: see store.rs"),
    ("migrate up", "names the newest migration: see store.rs"),
    ("migrate verify", "names the newest migration: see store.rs"),
    ("policy schema", "a text of Cedar's, of published builds"),
    ("top", "a live view: see live.rs"),
    ("upstreams logs", "of a server that was started: see upstreams.rs"),
    ("wrap-config", "names the folder of the programs: see wrap_config.rs"),
];

/// A store with something of each kind, texts that terminals would obey among it; and what words in upper case mean in it.
struct Stage {
    terminal: Terminal,
    meant: Vec<(&'static str, String)>,
    _upstream: Upstream,
}

impl Stage {
    fn new() -> Self {
        let (terminal, _) = Terminal::with_store();
        // It ends on another day, whatever the time of day is.
        let session = ["call", "create-session", "--agent-id", "bot", "--scopes", "read,spend:5", "--ttl", "30d"];
        let session = terminal.done(&session).json()["session_id"].as_str().unwrap().to_owned();
        let ended = ["call", "create-session", "--agent-id", "done", "--scopes", "read"];
        let ended = terminal.done(&ended).json()["session_id"].as_str().unwrap().to_owned();
        let folder = terminal.folder.path().display().to_string();
        let upstream = Upstream::new([tool("create_issue"), tool("search")]);
        let hostile = "Zahlung \u{202e}gnp.exe für <b>取消</b>";
        fs::write(terminal.folder.path().join("client.json"), "{}").unwrap();
        for arguments in [
            &["keys", "create", "--name", "ci", "--role", "agent", "--max-spend", "20", "--max-ttl", "1h"][..],
            &["approvals", "rules", "add", "spend_over", "--threshold", "3"],
            &["approvals", "rules", "add", "tool_blocked", "--tool", "github.delete_repo", "--operator-only"],
            &["policy", "add", "block_tool", "--tool", "github.delete_repo"],
            &["retention", "set", "90d"],
            &["webhooks", "add", "https://hooks.example.com/haldir", "--name", hostile],
            &[
                "call", "log-action", "--session-id", &session, "--tool", "search", "--action", hostile, "--cost-usd",
                "0.125",
            ],
            &["call", "log-action", "--session-id", &session, "--tool", hostile, "--action", "send", "--cost-usd", "1"],
            &["call", "authorize-payment", "--session-id", &session, "--amount", "1.10", "--description", hostile],
            &[
                "call", "request-approval", "--session-id", &session, "--action", hostile, "--amount", "2.50", "--ttl",
                "7d",
            ],
            &[
                "call", "create-session", "--agent-id", "helper", "--scopes", "read", "--ttl", "20d",
                "--parent-session-id", &session,
            ],
            &["upstreams", "add", "github", &upstream.url()],
            &["sessions", "revoke", &ended],
            &[
                "compliance", "schedules", "create", "--name", "weekly", "--cadence", "weekly", "--delivery",
                "webhook:1",
            ],
            &["secrets", "set", "stripe_key", "--file", &format!("{folder}/client.json")],
        ] {
            let outcome = terminal.with_allowed(arguments);
            assert_eq!(outcome.code, 0, "{arguments:?}: {outcome:?}");
        }
        terminal.run(&["call", "authorize-payment", "--session-id", &session, "--amount", "100"]);
        upstream.offer([described("create_issue", "does something else")]);
        terminal.with_allowed(&["upstreams", "add", "github", &upstream.url()]);
        let first = |arguments: &[&str], list: &str, id: &str| {
            terminal.done(&[arguments, &["--json"]].concat()).json()[list][0][id].as_str().unwrap().to_owned()
        };
        let meant = vec![
            ("REQUEST", first(&["approvals", "list"], "requests", "request_id")),
            ("RULE", first(&["approvals", "rules"], "rules", "rule_id")),
            ("SCHEDULE", first(&["compliance", "schedules", "list"], "schedules", "schedule_id")),
            ("KEY", first(&["keys", "list"], "keys", "prefix")),
            ("PAYMENT", first(&["payments", "list"], "payments", "authorization_id")),
            ("POLICY", first(&["policy", "list"], "policies", "policy_id")),
            ("SESSION", session),
            ("UPSTREAM", upstream.url()),
        ];
        for arguments in [
            &["audit", "export", "--bundle", &format!("{folder}/log.bundle")][..],
            &["compliance", "evidence", "--out", &format!("{folder}/pack.json")],
            &["backup", &format!("{folder}/kept")],
        ] {
            terminal.done(arguments);
        }
        Self { terminal, meant, _upstream: upstream }
    }

    /// What the command shows, at a terminal of this many columns.
    fn shown(&self, terminal: &Terminal, command: &str, columns: u16, colours: bool) -> String {
        let folder = terminal.folder.path().display().to_string();
        let meant = |word: &str| {
            let known = self.meant.iter().find(|(known, _)| *known == word).map(|(_, meant)| meant.clone());
            known.unwrap_or_else(|| word.replace("FOLDER", &folder))
        };
        let words: Vec<_> = command.split(' ').map(meant).collect();
        let mut run = terminal.command(&words);
        run.env("HOME", &folder).env("HALDIR_ALLOW_PRIVATE", ALLOWED);
        if !colours {
            run.env("NO_COLOR", "1");
        }
        let (code, text) = Pty::start(run, columns).finish();
        let text = settled(&text, &folder);
        assert!(colours || !text.contains('\u{1b}'), "{command}: {text:?}");
        // It stays whole, so that it can be copied.
        let is_key = |line: &str| line.contains("haldir/local/");
        let long = text.lines().find(|line| !colours && line.chars().count() > usize::from(columns) && !is_key(line));
        assert_eq!(long, None, "{command} at {columns} columns");
        let colours = if colours { "with colours" } else { "without colours" };
        // The escape character as people write it, so that the files are plain text.
        let ended = if code == Some(0) { String::new() } else { format!(", exit code {}", code.unwrap()) };
        format!("--- haldir {command}, {columns} columns, {colours}{ended}\n{}", text.replace('\u{1b}', "␛"))
    }
}

/// Hosts of webhooks and upstreams, which are not asked for their addresses.
const ALLOWED: &str = "127.0.0.1,hooks.example.com";

impl Terminal {
    fn with_allowed(&self, arguments: &[&str]) -> Outcome {
        outcome(self.command(arguments).env("HALDIR_ALLOW_PRIVATE", ALLOWED))
    }
}

/// The same text whenever it is run: ids and digits of times become others of the same width.
fn settled(text: &str, folder: &str) -> String {
    let same_width: String = "/tmp/store".chars().chain(std::iter::repeat('_')).take(folder.len()).collect();
    let mut text = settled_amounts(&text.replace("\r\n", "\n").replace(folder, &same_width));
    for id in IDS {
        let mut rest = std::mem::take(&mut text);
        while let Some(at) = rest.find(id) {
            let random =
                rest[at + id.len()..].chars().take_while(|c| c.is_ascii_alphanumeric() || "-_+/=".contains(*c)).count();
            write!(text, "{}{}", &rest[..at + id.len()], "x".repeat(random)).unwrap();
            rest = rest.split_off(at + id.len() + random);
        }
        text.push_str(&rest);
    }
    let mut bytes = text.into_bytes();
    settle_random(&mut bytes);
    for like in [&b"2000-00-00T00:00:00"[..], b"2000-00-00", b"2000-00", b"127.0.0.1:00000", b"00:00:00", b"0000000000"]
    {
        let fits = |shown: &[u8]| {
            shown.iter().zip(like).all(|(c, like)| if like.is_ascii_digit() { c.is_ascii_digit() } else { c == like })
        };
        for at in 0..=bytes.len().saturating_sub(like.len()) {
            let place = &mut bytes[at..at + like.len()];
            if fits(place) {
                place.iter_mut().filter(|byte| byte.is_ascii_digit()).for_each(|byte| *byte = b'0');
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Sizes of files and disks: another number of digits would lay the text out anew.
fn settled_amounts(text: &str) -> String {
    let mut text = text.to_owned();
    for unit in [" bytes", " MiB free"] {
        let mut rest = std::mem::take(&mut text);
        while let Some(at) = rest.find(unit) {
            let before = rest[..at].trim_end_matches(|c: char| c.is_ascii_digit());
            write!(text, "{before}{}{unit}", if before.len() < at { "00000" } else { "" }).unwrap();
            rest = rest.split_off(at + unit.len());
        }
        text.push_str(&rest);
    }
    text
}

/// Characters from which on a word of hexadecimal digits is random.
const RANDOM: usize = 16;

/// Digests and keys: words of hexadecimal digits, and what stands behind a plus sign after one.
fn settle_random(bytes: &mut [u8]) {
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|c| c.is_ascii_hexdigit() && !c.is_ascii_uppercase()).count();
        let is_word = at == 0 || !(bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        if is_word && length >= RANDOM {
            let is_base64 = |c: &u8| c.is_ascii_alphanumeric() || b"+/=".contains(c);
            let key = if bytes.get(at + length) == Some(&b'+') {
                bytes[at + length..].iter().take_while(|c| is_base64(c)).count()
            } else {
                0
            };
            bytes[at..at + length + key].fill(b'x');
            at += key;
        }
        at += length.max(1);
    }
}

/// The name of the file of a command: its words.
fn file(command: &str) -> String {
    let words = command.split(' ').map(|word| word.trim_start_matches("FOLDER/").trim_start_matches('-'));
    let words = words.filter(|word| word.chars().any(|c| c.is_ascii_lowercase()) && !word.contains(['/', ':']));
    words.collect::<Vec<_>>().join("-") + ".txt"
}

/// The commands without commands below them.
fn leaves(name: &str, command: &clap::Command) -> Vec<String> {
    let below: Vec<_> = command.get_subcommands().collect();
    let full = |below: &clap::Command| format!("{name} {}", below.get_name()).trim().to_owned();
    if below.is_empty() || name == "call" {
        return vec![name.to_owned()];
    }
    below.into_iter().flat_map(|below| leaves(&full(below), below)).collect()
}

#[test]
fn every_command_has_a_snapshot_or_a_reason() {
    let all: Vec<_> = READING.into_iter().chain(CHANGING).collect();
    let is_of = |command: &str, line: &str| line == command || line.starts_with(&format!("{command} "));
    for command in leaves("", &haldir::interfaces::cli::command()) {
        let has_reason = WITHOUT.iter().any(|(without, _)| *without == command);
        let has_snapshot = all.iter().any(|line| is_of(&command, line));
        assert!(has_snapshot || has_reason, "no snapshot of {command}, and no reason in WITHOUT");
    }
    let known: BTreeSet<_> = all.iter().map(|command| file(command)).collect();
    assert_eq!(known.len(), all.len(), "two commands have the same file");
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&name), "{name} is of no command");
    }
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/snapshots"].iter().collect()
}

#[test]
fn every_command_shows_what_its_snapshot_has() {
    let stage = Stage::new();
    let all: Vec<_> =
        READING.into_iter().map(|command| (command, false)).chain(CHANGING.map(|command| (command, true))).collect();
    // Copied before commands use the store: files of SQLite's come and go while they do.
    let untouched = stage.terminal.copy();
    let problems = at_once(THREADS, |thread| {
        let mut problems = Vec::new();
        for (command, changes) in all.iter().skip(thread).step_by(THREADS) {
            // What changes something is seen once in each width, and once in each colour.
            let shots: &[_] = if *changes {
                &[(80, false), (140, true)]
            } else {
                &[(80, false), (80, true), (140, false), (140, true)]
            };
            let shown: String = shots
                .iter()
                .map(|(columns, colours)| {
                    let copy = changes.then(|| untouched.copy());
                    stage.shown(copy.as_ref().unwrap_or(&stage.terminal), command, *columns, *colours)
                })
                .collect();
            let path = folder().join(file(command));
            if std::env::var_os("HALDIR_UPDATE").is_some() {
                fs::write(&path, &shown).unwrap();
            }
            if fs::read_to_string(&path).unwrap_or_default() != shown {
                problems.push(format!("{} differs; it shows now:\n{shown}", path.display()));
            }
        }
        problems
    });
    let problems = problems.concat();
    assert!(problems.is_empty(), "HALDIR_UPDATE=1 writes them anew:\n{}", problems.join("\n"));
}
