//! `haldir doctor` and `haldir migrate`.

use std::fs;

use rusqlite::Connection;
use serde_json::json;

use super::{Terminal, set_mode};

fn file(terminal: &Terminal) -> Connection {
    Connection::open(terminal.store()).unwrap()
}

#[test]
fn a_sound_store_passes_the_doctor() {
    let (terminal, _) = Terminal::with_store();
    let found = terminal.done(&["doctor"]);
    assert!(found.stdout.lines().all(|line| line.starts_with("ok ")), "{}", found.stdout);
    assert!(found.finding("audit log").contains("1 entries, all verified"));
    assert!(found.finding("API keys").contains("1, of which 1 live"));
    let report = terminal.done(&["doctor", "--json"]).json();
    assert_eq!(report["healthy"], true);
    assert!(report["checks"].as_array().unwrap().len() >= 9);
}

#[test]
fn looking_makes_no_store() {
    let terminal = Terminal::new();
    let found = terminal.done(&["doctor"]);
    assert!(found.finding("store").starts_with("warn") && found.finding("store").contains("haldir keys create"));
    for looking in [&["keys", "list"][..], &["migrate", "status"], &["migrate", "verify"], &["call", "list-sessions"]] {
        assert!(terminal.refused(looking, 1).stderr.contains("there is no store at"));
    }
    assert_eq!(fs::read_dir(terminal.folder.path()).unwrap().count(), 0);
}

#[test]
fn the_doctor_finds_files_that_others_can_reach() {
    let (terminal, _) = Terminal::with_store();
    set_mode(&terminal.store(), 0o644);
    let found = terminal.refused(&["doctor"], 1);
    let line = found.finding("permissions");
    assert!(line.starts_with("FAIL") && line.contains("chmod 600"), "{line}");
    set_mode(&terminal.store(), 0o600);
    set_mode(&terminal.folder.path().join("data"), 0o755);
    assert!(terminal.done(&["doctor"]).finding("permissions").starts_with("warn"));
    set_mode(&terminal.folder.path().join("data"), 0o777);
    assert!(terminal.refused(&["doctor"], 1).finding("permissions").contains("chmod 700"));
    set_mode(&terminal.folder.path().join("data"), 0o700);
    set_mode(&terminal.key_file(), 0o644);
    assert!(terminal.refused(&["doctor"], 1).finding("encryption key").starts_with("FAIL"));
    // To root it may be one that was mounted for a group.
    set_mode(&terminal.key_file(), 0o640);
    if std::os::unix::fs::MetadataExt::uid(&fs::metadata(terminal.key_file()).unwrap()) == 0 {
        assert!(terminal.done(&["doctor"]).finding("encryption key").starts_with("warn"));
    } else {
        assert!(terminal.refused(&["doctor"], 1).finding("encryption key").starts_with("FAIL"));
    }
    set_mode(&terminal.key_file(), 0o600);
    terminal.done(&["doctor"]);
}

#[test]
fn the_doctor_finds_a_key_of_another_store_and_a_missing_one() {
    let ((terminal, _), (other, _)) = (Terminal::with_store(), Terminal::with_store());
    fs::copy(other.key_file(), terminal.key_file()).unwrap();
    let found = terminal.refused(&["doctor"], 1);
    assert!(found.finding("encryption key").contains("not the one this store was made with"), "{}", found.stdout);
    assert!(found.finding("audit log").starts_with("warn"), "{}", found.stdout);
    fs::remove_file(terminal.key_file()).unwrap();
    assert!(terminal.refused(&["doctor"], 1).finding("encryption key").starts_with("FAIL"));
    assert!(!terminal.key_file().exists());
}

#[test]
fn the_doctor_finds_a_changed_log_a_damaged_file_and_a_bad_config() {
    let (terminal, _) = Terminal::with_store();
    terminal.session();
    file(&terminal).execute("UPDATE audit_entries SET action = 'nothing' WHERE place = 2", []).unwrap();
    let found = terminal.refused(&["doctor"], 1);
    assert!(found.finding("audit log").starts_with("FAIL") && found.stdout.contains("entry 2"), "{}", found.stdout);

    let config = terminal.folder.path().join("haldir.toml");
    fs::write(&config, "anomalies = 3").unwrap();
    let found = terminal.refused(&["doctor", "--config", config.to_str().unwrap()], 1);
    assert!(found.finding("config file").starts_with("FAIL"));

    fs::write(terminal.store(), "this is no database, however long one looks at it").unwrap();
    let found = terminal.refused(&["doctor"], 1);
    assert!(found.finding("database").starts_with("FAIL") && found.stderr.is_empty(), "{found:?}");
}

#[test]
fn migrations_are_shown_applied_and_verified() {
    let terminal = Terminal::new();
    fs::create_dir(terminal.folder.path().join("data")).unwrap();
    file(&terminal).pragma_update(None, "application_id", 0x686c_6472).unwrap();
    let before = fs::read(terminal.store()).unwrap();
    let status = terminal.done(&["migrate", "status", "--json"]).json();
    assert_eq!((&status["schema_version"], &status["migrations"][0]["state"]), (&json!(0), &json!("pending")));
    assert!(terminal.done(&["migrate", "verify"]).stdout.contains("haldir migrate up"));
    assert_eq!(fs::read(terminal.store()).unwrap(), before, "looking changed the database");

    assert!(terminal.done(&["migrate", "up", "--json"]).json()["applied"].as_u64() > Some(0));
    assert_eq!(terminal.done(&["migrate", "up", "--json"]).json()["applied"], 0);
    let status = terminal.done(&["migrate", "status"]).stdout;
    assert!(status.contains("applied") && status.contains("up to date"), "{status}");
    terminal.done(&["migrate", "verify"]);
}

#[test]
fn a_migration_that_was_changed_is_noticed() {
    let (terminal, _) = Terminal::with_store();
    terminal.done(&["migrate", "verify"]);
    file(&terminal).execute("UPDATE schema_migrations SET checksum = zeroblob(32) WHERE version = 1", []).unwrap();
    let found = terminal.refused(&["migrate", "verify"], 1);
    assert!(found.stderr.contains("migration 1 (core) is not the one"), "{found:?}");
    assert_eq!(terminal.refused(&["migrate", "verify", "--json"], 1).json()["verified"], false);
    assert!(terminal.done(&["migrate", "status"]).stdout.contains("changed"));
    assert!(terminal.refused(&["migrate", "up"], 1).stderr.contains("restore the database"));
    assert!(terminal.refused(&["doctor"], 1).finding("migrations").starts_with("FAIL"));

    file(&terminal).execute("DELETE FROM schema_migrations", []).unwrap();
    assert!(terminal.refused(&["migrate", "verify"], 1).stderr.contains("not recorded"));
    file(&terminal).pragma_update(None, "user_version", 9_999).unwrap();
    assert!(terminal.refused(&["migrate", "verify"], 1).stderr.contains("use a newer haldir"));
}

#[test]
fn migrate_up_makes_a_whole_store() {
    let terminal = Terminal::new();
    assert!(terminal.done(&["migrate", "up"]).stdout.contains("up to date"));
    terminal.done(&["doctor"]);
}

#[test]
fn a_file_that_is_no_store_and_a_folder_that_cannot_be_read_are_named_as_such() {
    let terminal = Terminal::new();
    let text = terminal.folder.path().join("notes.txt");
    fs::write(&text, "not a database").unwrap();
    let refused = terminal.refused(&["--db", text.to_str().unwrap(), "keys", "list"], 2);
    assert!(refused.stderr.contains("not a SQLite database"), "{refused:?}");
    assert_eq!(fs::read(&text).unwrap(), b"not a database");
    // A path through a file cannot be read either, whatever user runs the test.
    let below = text.join("haldir.db");
    let refused = terminal.refused(&["--db", below.to_str().unwrap(), "keys", "list"], 1);
    assert!(
        refused.stderr.contains("cannot be opened") && !refused.stderr.contains("there is no store"),
        "{refused:?}"
    );
    let mut command = terminal.command(&["keys", "list"]);
    let refused = super::outcome(command.env("HALDIR_LOG", "verbose"));
    assert!(refused.code == 2 && refused.stderr.contains("`verbose` is no level"), "{refused:?}");
}
