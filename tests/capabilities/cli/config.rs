//! `haldir config show`.

use std::fs;

use serde_json::Value;

use super::{Terminal, outcome};
use crate::support::on_postgres;

fn setting<'a>(shown: &'a Value, name: &str) -> &'a Value {
    let all = shown["settings"].as_array().unwrap();
    all.iter().find(|setting| setting["name"] == name).unwrap_or_else(|| panic!("no {name} in {shown}"))
}

#[test]
fn every_setting_is_shown_with_its_value_and_where_it_comes_from() {
    let (terminal, _) = Terminal::with_store();
    let file = terminal.folder.path().join("haldir.toml");
    let text = "[anomalies]\nburst_actions = 7\n[upstreams.files]\ncommand = \"npx\"\nargs = [\"-y\", \"x\"]\n\
                env = { TOKEN = \"hunter2hunter2\" }\n";
    fs::write(&file, text).unwrap();
    let mut command = terminal.command(&["config", "show", "--json", "--tool-names", "dotted"]);
    command.env("HALDIR_CONFIG", &file).env("HALDIR_MAX_SPEND", "20").env("HALDIR_METRICS_TOKEN", "hunter3hunter3");
    command.env("HALDIR_MIRRORS", "https://me:hunter4@archive.example/a,file:/b");
    let outcome = outcome(&mut command);
    assert!(outcome.code == 0 && !outcome.stdout.contains("hunter"), "secrets are masked: {outcome:?}");
    let shown = outcome.json();
    let (db, _) = on_postgres::address(&terminal.store());
    let db = db.into_string().unwrap();
    let (key, from) = if on_postgres::is_used() {
        ("(set, not shown)", "environment")
    } else {
        ("the key file beside the database", "default")
    };
    for (name, value, from) in [
        ("HALDIR_DB", db.as_str(), "environment"),
        ("commands go to", "the local store", "environment"),
        ("HALDIR_TOOL_NAMES", "dotted", "flag"),
        ("HALDIR_MAX_SPEND", "20", "environment"),
        ("HALDIR_MAX_TTL", "1d, for the local tenant", "default"),
        ("HALDIR_CALL_TIMEOUT", "10m", "default"),
        ("HALDIR_METRICS_TOKEN", "(set, not shown)", "environment"),
        ("HALDIR_ENCRYPTION_KEY", key, from),
        ("HALDIR_MIRRORS", "https://me:***@archive.example/a,file:/b", "environment"),
        ("--local-agent", "off", "default"),
        ("anomalies.burst_actions", "7", "file"),
        ("anomalies.burst_seconds", "60", "default"),
        ("upstreams.files.command", "npx", "file"),
        ("upstreams.files.env.TOKEN", "(set, not shown)", "file"),
    ] {
        let setting = setting(&shown, name);
        assert_eq!(
            (setting["value"].as_str(), setting["from"].as_str()),
            (Some(value), Some(from)),
            "{name}: {setting}"
        );
    }
    // The tables of docs/settings.md name no setting that is not shown.
    let settings = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/settings.md")).unwrap();
    let rows = settings.lines().filter_map(|line| line.strip_prefix("| `"));
    let names: Vec<_> = rows.filter_map(|row| row.split('`').next()).collect();
    assert!(names.len() > 25, "{names:?}");
    for name in names {
        setting(&shown, name);
    }

    let mut command = terminal.command(&["config", "show", "--json"]);
    command.env("HALDIR_DB", "postgres://me:hunter5@db.example.com/haldir?password=hunter6");
    let shown = super::outcome(&mut command);
    assert_eq!(setting(&shown.json(), "HALDIR_DB")["value"], "postgres://me@db.example.com/haldir");
    assert!(!shown.stdout.contains("hunter"), "{shown:?}");

    let table = terminal.done(&["config", "show", "--set"]).stdout;
    assert!(table.contains(&db) && !table.contains("HALDIR_CALL_TIMEOUT"), "{table}");
    fs::write(&file, "[anomalies]\nburst_action = 7\n").unwrap();
    let broken = terminal.refused(&["--config", file.to_str().unwrap(), "config", "show"], 2);
    assert!(broken.stderr.contains("burst_action"), "{broken:?}");
}
