//! The terminal client, as a person or a script runs it.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder of one's own with a store in it, or a place for one.
struct Terminal {
    folder: TempDir,
}

/// What a command did.
#[derive(Debug)]
struct Outcome {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Outcome {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The one line of `doctor` about this.
    #[track_caller]
    fn finding(&self, name: &str) -> &str {
        let about = |line: &&str| line.get(6..).is_some_and(|rest| rest.starts_with(name));
        self.stdout.lines().find(about).unwrap_or_else(|| panic!("nothing about {name} in {}", self.stdout))
    }
}

impl Terminal {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// With a store that has an operator's key, which is given back.
    fn with_store() -> (Self, String) {
        let terminal = Self::new();
        let created = terminal.done(&["keys", "create", "--name", "first"]);
        let key = created.stdout.trim_end().to_owned();
        (terminal, key)
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("data/haldir.db")
    }

    fn key_file(&self) -> PathBuf {
        self.folder.path().join("data/haldir.db.key")
    }

    fn database(&self) -> Connection {
        Connection::open(self.store()).unwrap()
    }

    fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_haldir"));
        command.args(arguments).env_clear().env("HALDIR_DB", self.store()).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[impl AsRef<OsStr>]) -> Outcome {
        outcome(&mut self.command(arguments))
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> Outcome {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, 0, "{arguments:?}: {outcome:?}");
        outcome
    }

    #[track_caller]
    fn refused(&self, arguments: &[&str], code: i32) -> Outcome {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, code, "{arguments:?}: {outcome:?}");
        outcome
    }

    fn with_input(&self, arguments: &[&str], input: &str) -> Outcome {
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A command that refuses before it reads closes its end.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        finished(child)
    }

    fn session(&self) -> String {
        let created = self.done(&["call", "create-session", "--agent-id", "bot", "--scopes", "read,spend:5"]);
        created.json()["session_id"].as_str().unwrap().to_owned()
    }
}

fn outcome(command: &mut Command) -> Outcome {
    finished(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

fn finished(child: Child) -> Outcome {
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_key_stands_alone_on_standard_output_and_nowhere_in_the_store() {
    let (terminal, key) = Terminal::with_store();
    assert!(key.starts_with("hld_") && key.len() == 47 && !key.contains('\n'), "{key}");
    let mut files = 0;
    for file in fs::read_dir(terminal.folder.path().join("data")).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(key.len()).any(|window| window == key.as_bytes()));
        files += 1;
    }
    assert!(files >= 2);

    let created = terminal.done(&["keys", "create", "--name", "ci"]);
    assert!(created.stderr.contains("will not be shown again"), "{created:?}");
    let quiet = terminal.done(&["keys", "create", "--quiet"]);
    assert!(quiet.stderr.is_empty() && quiet.stdout.starts_with("hld_"), "{quiet:?}");
}

#[test]
fn the_first_key_is_an_operators_and_later_ones_are_agents_within_bounds() {
    let (terminal, _) = Terminal::with_store();
    let bounds = ["--max-spend", "9223372036.854775807", "--max-ttl", "60", "--max-scopes", "read,spend"];
    terminal.done(&[&["keys", "create", "--name", "bot", "--tier", "pro", "--expires-in", "900"], &bounds[..]].concat());
    let listed = terminal.done(&["keys", "list", "--json"]);
    assert!(listed.stdout.contains("\"max_spend\":9223372036.854775807"), "{listed:?}");
    let keys = listed.json()["keys"].as_array().unwrap().clone();
    assert_eq!([&keys[0]["role"], &keys[1]["role"]], ["agent", "operator"]);
    assert_eq!((&keys[0]["tier"], &keys[0]["max_ttl"]), (&json!("pro"), &json!(60)));
    assert_eq!(keys[0]["max_scopes"], json!(["read", "spend"]));

    let table = terminal.done(&["keys", "list"]).stdout;
    let lines: Vec<_> = table.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("PREFIX") && lines[1].contains("9223372036.854775807 USD"), "{table}");
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
    assert!(terminal.done(&["keys", "list"]).stdout.contains("revoked"));
    terminal.refused(&["keys", "revoke", "hld_unknown1"], 1);
    let whole = terminal.refused(&["keys", "revoke", &key], 2);
    assert!(!whole.stderr.contains(&key), "the key was repeated: {whole:?}");
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
    set_mode(&terminal.key_file(), 0o640);
    assert!(terminal.refused(&["doctor"], 1).finding("encryption key").starts_with("FAIL"));
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
    terminal.database().execute("UPDATE audit_entries SET action = 'nothing' WHERE seq = 2", []).unwrap();
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
    terminal.database().pragma_update(None, "application_id", 0x686c_6472).unwrap();
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
    terminal.database().execute("UPDATE schema_migrations SET checksum = zeroblob(32) WHERE version = 1", []).unwrap();
    let found = terminal.refused(&["migrate", "verify"], 1);
    assert!(found.stderr.contains("migration 1 (core) is not the one"), "{found:?}");
    assert_eq!(terminal.refused(&["migrate", "verify", "--json"], 1).json()["verified"], false);
    assert!(terminal.done(&["migrate", "status"]).stdout.contains("changed"));
    assert!(terminal.refused(&["doctor"], 1).finding("migrations").starts_with("FAIL"));

    terminal.database().execute("DELETE FROM schema_migrations", []).unwrap();
    assert!(terminal.refused(&["migrate", "verify"], 1).stderr.contains("not recorded"));
    terminal.database().pragma_update(None, "user_version", 9_999).unwrap();
    assert!(terminal.refused(&["migrate", "verify"], 1).stderr.contains("use a newer haldir"));
}

#[test]
fn migrate_up_makes_a_whole_store() {
    let terminal = Terminal::new();
    assert!(terminal.done(&["migrate", "up"]).stdout.contains("up to date"));
    terminal.done(&["doctor"]);
}

#[test]
fn every_operation_is_a_command_with_a_flag_for_every_field() {
    let terminal = Terminal::new();
    for operation in haldir::operations::all() {
        let mut name = String::new();
        for c in operation.name.chars() {
            name.extend(c.is_ascii_uppercase().then_some('-'));
            name.push(c.to_ascii_lowercase());
        }
        let help = terminal.done(&["call", &name, "--help"]).stdout;
        let schema = operation.input_schema().to_value();
        for field in schema["properties"].as_object().into_iter().flatten().map(|(field, _)| field.replace('_', "-")) {
            let flags = [format!(" --{field} "), format!(" --input-{field} "), format!(" --{field}\n"), format!(" --{field}[")];
            assert!(flags.iter().any(|flag| help.contains(flag.as_str())), "{name} has no --{field}: {help}");
        }
        let words: Vec<_> = operation.description().split_whitespace().take(3).map(str::to_owned).collect();
        assert!(help.starts_with(&words.join(" ")), "{help}");
        assert!(help.contains(&format!("Example:\n  haldir call {name}")), "{help}");
    }
}

#[test]
fn calls_keep_numbers_exact_and_read_lists_booleans_and_details() {
    let terminal = Terminal::new();
    let session = terminal.session();
    let paid = terminal.done(&["call", "authorize-payment", "--session-id", &session, "--amount", "0.100000001"]);
    assert!(paid.stdout.contains("4.899999999"), "{paid:?}");
    let held = terminal.done(&["call", "get-session", "--session-id", &session]).json();
    assert_eq!(held["scopes"], json!(["read", "spend"]));

    let log = ["call", "log-action", "--session-id", &session, "--action", "read", "--cost-usd", "0.000000001"];
    for (written, expected) in [(r#"{"rows":1.10}"#, r#""details":{"rows":1.1"#), ("as text", r#""details":"as text""#)] {
        terminal.done(&[&log[..], &["--details", written]].concat());
        let trail = terminal.done(&["call", "get-audit-trail", "--limit", "1", "--flagged", "false"]);
        assert!(trail.stdout.contains(expected) && trail.stdout.contains("\"cost_usd\":0.000000001"), "{trail:?}");
    }
    let repeated = ["call", "create-session", "--agent-id", "a", "--scopes", "read", "--scopes", "files:write, browse"];
    assert_eq!(terminal.done(&repeated).json()["scopes"], json!(["read", "files:write", "browse"]));
}

#[test]
fn an_idempotency_key_makes_a_retry_the_same_call() {
    let terminal = Terminal::new();
    let call = ["call", "create-session", "--agent-id", "bot", "--idempotency-key", "order-17"];
    assert_eq!(terminal.done(&call).stdout, terminal.done(&call).stdout);
}

#[test]
fn a_secret_comes_from_standard_input() {
    let terminal = Terminal::new();
    let session = terminal.session();
    let stored = terminal.with_input(&["call", "store-secret", "--name", "stripe", "--value", "-"], "sk_live_\"1\"\n");
    assert_eq!(stored.code, 0, "{stored:?}");
    let read = terminal.done(&["call", "get-secret", "--name", "stripe", "--session-id", &session]).json();
    assert_eq!(read["value"], "sk_live_\"1\"");
    let whole = terminal.with_input(&["call", "store-secret", "--json-input", "-", "--name", "b"], r#" {"value": "x"} "#);
    assert_eq!(whole.code, 0, "{whole:?}");
    let both = terminal.with_input(&["call", "store-secret", "--name", "-", "--value", "-"], "x");
    assert!(both.code == 2 && both.stderr.contains("cannot both"), "{both:?}");
}

#[test]
fn what_cannot_work_is_said_in_one_line_with_its_exit_code() {
    let terminal = Terminal::new();
    let session = terminal.session();
    let pay = |amount| ["call", "authorize-payment", "--session-id", &session, "--amount", amount].map(str::to_owned);
    for (arguments, code, said) in [
        (vec!["call", "make-coffee"], 2, "unrecognized subcommand"),
        (vec!["call", "get-session"], 2, "--session-id"),
        (vec!["call", "get-session", "--json-input", "[1]"], 2, "expected a JSON object"),
        (vec!["call", "get-session", "--json-input", "{}"], 2, "session_id is required"),
        (vec!["call", "create-session", "--agent-id", "a", "--json-input", r#"{"agent_id": "b"}"#], 2, "give it once"),
        (vec!["call", "get-audit-entry", "--entry-id", "aud_x"], 1, "not found"),
        (vec!["keys", "create", "--tier", "gold"], 2, "possible values"),
        (vec!["keys", "create", "--scopes", "nonsense"], 2, "key scope"),
        (vec!["keys", "create", "--max-spend", "0.0000000001"], 2, "at most 9 decimals"),
        (vec!["--url", "http://127.0.0.1:1", "keys", "list"], 2, "haldir call"),
        (vec!["--tenant", "nobody", "keys", "create"], 1, "no tenant nobody"),
        (vec!["--url", "http://127.0.0.1:1", "call", "get-spend"], 1, "not reached"),
        (pay("five").iter().map(String::as_str).collect(), 2, "expected a number"),
        (pay("5.01").iter().map(String::as_str).collect(), 1, "budget"),
        (vec![], 2, "Usage: haldir"),
    ] {
        let refused = terminal.refused(&arguments, code);
        assert!(refused.stderr.contains(said) && refused.stdout.is_empty(), "{arguments:?}: {refused:?}");
        if code == 1 {
            assert!(refused.stderr.starts_with("haldir: ") && refused.stderr.lines().count() == 1, "{refused:?}");
        }
        let error = terminal.refused(&[&["--json"], &arguments[..]].concat(), code).json();
        assert!(error["error"].as_str().is_some_and(|text| !text.is_empty()) && error["code"].is_string(), "{error}");
    }
}

#[test]
fn an_output_that_nobody_reads_ends_quietly() {
    let (terminal, _) = Terminal::with_store();
    for arguments in [&["keys", "list"][..], &["doctor"], &["call", "--help"]] {
        let mut child = terminal.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let outcome = finished(child);
        assert!(outcome.code == 0 && outcome.stderr.is_empty(), "{arguments:?}: {outcome:?}");
    }
}

/// A running server; it ends with the test.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(terminal: &Terminal) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_haldir-mcp"));
        command.args(["serve", "--listen", "127.0.0.1:0"]).env_clear().env("HALDIR_DB", terminal.store());
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("haldir listening on ").unwrap().to_owned();
        Self { process, url }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn calls_reach_a_haldir_elsewhere() {
    let (there, key) = Terminal::with_store();
    let server = Server::start(&there);
    let here = Terminal::new();
    let call = |arguments: &[&str]| {
        outcome(here.command(arguments).env("HALDIR_BASE_URL", &server.url).env("HALDIR_API_KEY", &key))
    };
    let created = call(&["call", "create-session", "--agent-id", "far", "--spend-limit", "0.30"]);
    let session = created.json()["session_id"].as_str().unwrap().to_owned();
    let seen = there.done(&["call", "get-session", "--session-id", &session]);
    assert_eq!(seen.json()["agent_id"], "far");

    let global = ["--url", &server.url, "--key", "-", "call", "get-session", "--session-id", &session];
    let after = ["call", "get-session", "--session-id", &session, "--url", &server.url, "--key", "-"];
    for arguments in [global, after] {
        assert_eq!(here.with_input(&arguments, &key).json()["agent_id"], "far");
    }
    let without_key = here.refused(&["--url", &server.url, "call", "get-spend"], 1);
    assert!(without_key.stderr.contains("API key is missing or not valid"), "{without_key:?}");
    let refused = call(&["call", "authorize-payment", "--session-id", &session, "--amount", "1"]);
    assert!(refused.code == 1 && refused.stdout.is_empty(), "{refused:?}");
    assert!(!here.store().exists(), "a call elsewhere made a store here");
}
