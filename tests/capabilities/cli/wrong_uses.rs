//! Commands that were called in a way that cannot work: each error says what is wrong, and what to do next.

use super::{Terminal, outcome};
use crate::support::on_postgres;

/// The command, its exit code, and what the error says.
const USES: &[(&str, i32, &[&str])] = &[
    ("approvals approve", 2, &["<REQUEST>", "Usage: haldir approvals approve <REQUEST>"]),
    ("approvals deny apr_x", 1, &["was not found", "haldir approvals list"]),
    ("approvals show apr_x", 1, &["was not found", "haldir approvals list"]),
    ("approvals rules delete rule_x", 1, &["haldir approvals rules list"]),
    ("audit export --out NOWHERE/x.jsonl", 2, &["there is no folder", "make it first"]),
    ("backup NOWHERE/x", 1, &["there is no folder", "make it first"]),
    ("compliance evidence --since tomorrow", 2, &["--since", "such as 2026-11-21", "7d"]),
    ("compliance evidence --out NOWHERE/x.json", 2, &["there is no folder", "make it first"]),
    ("--db NOWHERE/x.db overview", 1, &["there is no store", "haldir keys create", "--db"]),
    ("keys create --max-spend abc", 2, &["--max-spend", "such as 29.99"]),
    ("keys create --role boss", 2, &["agent, operator"]),
    ("keys revoke x", 1, &["the key x was not found", "haldir keys list"]),
    ("keys tier hld_x pro", 1, &["haldir keys list"]),
    ("log --since someday", 2, &["--since", "such as 2026-11-21", "1h or 7d"]),
    ("log --until 3x", 2, &["--until", "such as 2026-11-21", "1h or 7d"]),
    ("overviw", 2, &["similar subcommand", "overview"]),
    ("payments settle auth_x", 1, &["was not found", "haldir payments list"]),
    ("payments settle auth_x --amount ten", 2, &["--amount", "such as 29.99"]),
    ("policy remove pol_x", 1, &["haldir policy list"]),
    ("--profile nope status", 1, &["haldir login --profile nope", "haldir whoami --all"]),
    ("restore .", 2, &["manifest.json", "the folder that `haldir backup` made"]),
    ("retention prune", 2, &["--yes"]),
    ("retention set 5", 2, &["such as 90d, or never"]),
    ("secrets rm x", 1, &["haldir secrets list"]),
    ("sessions show ses_x", 1, &["no session has an id that begins with ses_x", "haldir sessions list --all"]),
    ("spend --by hour", 2, &["agent, tool, session, day, month"]),
    ("stop", 2, &["<AGENT>", "Usage: haldir stop <AGENT>"]),
    ("stop nobody", 1, &["no session was ever made for an agent nobody", "nothing was stopped"]),
    ("tenants name nope acme", 1, &["haldir tenants list"]),
    ("upstreams remove nope", 1, &["haldir upstreams list"]),
    ("--url localhost:8000 status", 2, &["--url", "must begin with http:// or https://"]),
    ("--url http://127.0.0.1:1 status", 1, &["127.0.0.1:1 was not reached", "nothing listens there"]),
    ("usage --month 2026", 2, &["such as 2026-11"]),
    ("webhooks delete abc", 2, &["the webhook's number", "haldir webhooks list"]),
    ("webhooks ping 9", 1, &["webhook 9 was not found", "haldir webhooks list"]),
    ("install nope", 2, &["claude-code, cline", "lm-studio"]),
    ("wrap-config nope", 2, &["claude-code, cline", "or the path of the file"]),
];

#[test]
fn an_error_says_what_is_wrong_and_what_to_do_next() {
    let (terminal, _) = Terminal::with_store();
    let nowhere = terminal.folder.path().join("nowhere").display().to_string();
    let mut problems = Vec::new();
    for (line, code, says) in USES {
        // That is of a store in a file.
        if line.starts_with("backup ") && on_postgres::is_used() {
            continue;
        }
        let words: Vec<_> = line.split(' ').map(|word| word.replace("NOWHERE", &nowhere)).collect();
        let told = outcome(terminal.command(&words).env("HOME", terminal.folder.path()));
        let lacks: Vec<_> = says.iter().filter(|text| !told.stderr.contains(**text)).collect();
        // A setting of the environment is no part of the command.
        if told.code != *code || !lacks.is_empty() || told.stderr.contains("--db <PATH>") {
            problems.push(format!("haldir {line}: not {code} with {lacks:?}: {told:?}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(!terminal.folder.path().join("nowhere").exists());
}
