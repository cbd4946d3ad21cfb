//! `haldir keys`.

use std::process::Stdio;

use serde_json::json;

use super::{Terminal, finished, outcome};
use crate::support::stored_bytes;

#[test]
fn a_key_stands_alone_on_standard_output_and_nowhere_in_the_store() {
    let (terminal, key) = Terminal::with_store();
    assert!(key.starts_with("hld_") && key.len() == 47 && !key.contains('\n'), "{key}");
    let mut bytes_of_all = 0;
    for (name, bytes) in stored_bytes(&terminal.store()) {
        assert!(!bytes.windows(key.len()).any(|window| window == key.as_bytes()), "{name}");
        bytes_of_all += bytes.len();
    }
    assert!(bytes_of_all > 1_000);

    let created = terminal.done(&["keys", "create", "--name", "ci"]);
    assert!(created.stderr.contains("will not be shown again"), "{created:?}");
    let quiet = terminal.done(&["keys", "create", "--quiet"]);
    assert!(quiet.stderr.is_empty() && quiet.stdout.starts_with("hld_"), "{quiet:?}");
}

#[test]
fn the_first_key_is_an_operators_and_later_ones_are_agents_within_bounds() {
    let (terminal, _) = Terminal::with_store();
    let bounds = ["--max-spend", "9223372036.854775807", "--max-ttl", "60", "--max-scopes", "read,spend"];
    terminal
        .done(&[&["keys", "create", "--name", "bot", "--tier", "pro", "--expires-in", "900"], &bounds[..]].concat());
    let listed = terminal.done(&["keys", "list", "--json"]);
    assert!(listed.stdout.contains("\"max_spend\":9223372036.854775807"), "{listed:?}");
    let keys = listed.json()["keys"].as_array().unwrap().clone();
    assert_eq!([&keys[0]["role"], &keys[1]["role"]], ["agent", "operator"]);
    assert_eq!((&keys[0]["tier"], &keys[0]["max_ttl"]), (&json!("pro"), &json!(60)));
    assert_eq!(keys[0]["max_scopes"], json!(["read", "spend"]));

    let table = terminal.done(&["keys", "list"]).stdout;
    let lines: Vec<_> = table.lines().collect();
    assert!(
        lines.len() == 3 && lines[0].starts_with("PREFIX") && lines[1].contains("$ 9,223,372,036.854775807"),
        "{table}"
    );
}

#[test]
fn a_key_for_looking_only_changes_nothing() {
    let (terminal, _) = Terminal::with_store();
    let key = terminal.done(&["keys", "create", "--name", "look", "--read-only"]).stdout;
    let run = |arguments: &[&str]| outcome(&mut terminal.command(&[&["--key", key.trim_end()], arguments].concat()));
    for arguments in [&["keys", "list"][..], &["overview"], &["log"], &["secrets", "list"], &["policy", "list"]] {
        assert_eq!(run(arguments).code, 0, "{arguments:?}");
    }
    let refused = run(&["retention", "set", "90d"]);
    assert!(refused.code == 1 && refused.stderr.contains("audit:write"), "{refused:?}");
    assert_eq!(run(&["keys", "create", "--name", "more"]).code, 1);
    for more in [["--role", "agent"], ["--scopes", "*"]] {
        terminal.refused(&[&["keys", "create", "--read-only"], &more[..]].concat(), 2);
    }
}

#[test]
fn a_revoked_key_is_refused() {
    let (terminal, key) = Terminal::with_store();
    let call = |key: &str| outcome(terminal.command(&["call", "list-api-keys"]).env("HALDIR_API_KEY", key));
    assert_eq!(call(&key).code, 0);
    let agent = terminal.done(&["keys", "create"]).stdout;
    let refused = call(agent.trim_end());
    assert!(refused.code == 1 && refused.stderr.contains("for operators"), "{refused:?}");

    assert_eq!(terminal.done(&["keys", "revoke", &key[..12]]).stdout, format!("revoked {}\n", &key[..12]));
    let refused = call(&key);
    assert!(refused.code == 1 && refused.stderr.contains("haldir keys create"), "{refused:?}");
    // Elsewhere the same words: a terminal has no headers to set.
    let refused = outcome(&mut terminal.command(&["--key", &key, "keys", "list"]));
    assert!(refused.code == 1 && refused.stderr.contains("was revoked"), "{refused:?}");
    assert!(!refused.stderr.contains("Bearer"), "{refused:?}");
    let again = terminal.done(&["keys", "revoke", &key[..12]]).stdout;
    assert_eq!(again, format!("{} was revoked already\n", &key[..12]));
    assert!(terminal.done(&["keys", "list"]).stdout.contains("revoked"));
    terminal.refused(&["keys", "revoke", "hld_unknown1"], 1);
    let whole = terminal.refused(&["keys", "revoke", &key], 2);
    assert!(!whole.stderr.contains(&key), "the key was repeated: {whole:?}");
}

#[test]
fn a_key_that_could_not_be_printed_is_named_for_revoking() {
    let (terminal, _) = Terminal::with_store();
    let create = &mut terminal.command(&["keys", "create", "--name", "lost"]);
    let mut child = create.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let lost = finished(child);
    assert_eq!(lost.code, 1, "{lost:?}");
    let prefix = terminal.done(&["keys", "list", "--json"]).json()["keys"][0]["prefix"].as_str().unwrap().to_owned();
    assert!(lost.stderr.contains(&format!("haldir keys revoke {prefix}")), "{lost:?}");
}

#[test]
fn a_key_of_the_environment_bounds_every_command_on_the_local_store() {
    let (terminal, _) = Terminal::with_store();
    let key = terminal.done(&["keys", "create", "--name", "looker", "--read-only", "-q"]).stdout.trim().to_owned();
    let with_key = |arguments: &[&str]| outcome(terminal.command(arguments).env("HALDIR_API_KEY", &key));
    assert_eq!(with_key(&["keys", "list"]).code, 0);
    for arguments in
        [&["keys", "create"] as &[&str], &["stop", "bot"], &["retention", "set", "1d"], &["secrets", "rm", "x"]]
    {
        let refused = with_key(arguments);
        assert!(refused.code != 0 && refused.stderr.contains("lacks the scope"), "{arguments:?}: {refused:?}");
    }
    // What no key may do is not done in its name.
    let copy = terminal.folder.path().join("copy").display().to_string();
    for arguments in [&["audit", "rotate-key"] as &[&str], &["rekey"], &["backup", &copy], &["migrate", "up"]] {
        let refused = with_key(arguments);
        assert!(refused.code == 2 && refused.stderr.contains("HALDIR_API_KEY is set"), "{arguments:?}: {refused:?}");
    }
    let unknown = outcome(terminal.command(&["dashboard", "--no-open"]).env("HALDIR_API_KEY", "hld_nonsense"));
    assert!(unknown.code != 0 && unknown.stdout.is_empty(), "{unknown:?}");
    // An empty one stands for none.
    terminal.done(&["--key", "", "retention", "set", "90d"]);
    terminal.done(&["audit", "rotate-key"]);
}
