//! `haldir login`, `logout` and `whoami`, and which server or store a command works on.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::json;
use tempfile::TempDir;

use super::{Outcome, finished, outcome, set_mode};
use crate::support::{Client, House, Pty, Server, on_postgres};

/// A person with a home of their own.
struct Person {
    home: TempDir,
}

impl Person {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_haldir"));
        command.args(arguments).env_clear().env("HOME", self.home.path()).stdin(Stdio::null());
        command.env("XDG_CONFIG_HOME", self.home.path().join("config"));
        command.env("XDG_DATA_HOME", self.home.path().join("data"));
        command
    }

    fn file(&self) -> PathBuf {
        self.home.path().join("config/haldir/profiles.toml")
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        outcome(&mut self.command(arguments))
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> Outcome {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, 0, "{arguments:?}: {outcome:?}");
        outcome
    }

    fn with_input(&self, arguments: &[&str], input: &str) -> Outcome {
        let mut command = self.command(arguments);
        let file = self.home.path().join("input");
        fs::write(&file, input).unwrap();
        command.stdin(fs::File::open(file).unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
        finished(command.spawn().unwrap())
    }

    #[track_caller]
    fn logs_in(&self, server: &Server, key: &str, options: &[&str]) -> Outcome {
        let outcome = self.with_input(&[&["login", &url(server)], options].concat(), &format!("{key}\n"));
        assert_eq!(outcome.code, 0, "{outcome:?}");
        outcome
    }
}

fn url(server: &Server) -> String {
    format!("http://{}", server.address)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// An agent's name in this server, by which it is told from others.
fn mark(operator: &Client, agent: &str) {
    operator.post("/v1/sessions", &json!({"agent_id": agent, "scopes": ["read"]})).ok();
}

#[test]
fn a_login_is_checked_stored_for_its_owner_alone_and_used_until_the_logout() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    mark(&operator, "far-away");
    let person = Person::new();
    let wrong = person.with_input(&["login", &url(&server)], "hld_wrong");
    assert!(wrong.code == 1 && wrong.stderr.contains("does not accept this key"), "{wrong:?}");
    assert!(!person.file().exists(), "nothing is stored of a key that is none");
    let argument = person.run(&["--key", operator.key(), "login", &url(&server)]);
    assert!(argument.code == 2 && argument.stderr.contains("standard input"), "{argument:?}");
    for bad in ["ftp://host", "haldir.example.com", "http://me:secret@127.0.0.1/", "http://127.0.0.1/?a"] {
        let refused = person.with_input(&["login", bad], operator.key());
        assert_eq!((refused.code, person.file().exists()), (2, false), "{bad}: {refused:?}");
    }

    let stored = person.logs_in(&server, operator.key(), &[]);
    assert!(stored.stdout.contains("role operator") && stored.stderr.contains("profiles.toml"), "{stored:?}");
    assert!(!format!("{stored:?}").contains(operator.key()), "the key is not shown");
    assert_eq!((mode(&person.file()), mode(person.file().parent().unwrap())), (0o600, 0o700));
    let names: Vec<_> =
        fs::read_dir(person.file().parent().unwrap()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names, ["profiles.toml"], "nothing is left beside it");
    let agents = person.done(&["agents"]);
    assert!(agents.stdout.contains("far-away"), "{agents:?}");
    assert!(agents.stderr.contains(&format!("haldir: on the server {} (profile default)", url(&server))), "{agents:?}");
    let me = person.done(&["whoami", "--json"]).json();
    assert_eq!(
        (&me["where"], &me["role"], &me["name"]),
        (&json!("server"), &json!("operator"), &json!("first")),
        "{me}"
    );
    assert_eq!(
        (&me["url"], &me["profile"], &me["key_from"]),
        (&json!(url(&server)), &json!("default"), &json!("profile"))
    );
    let all = person.done(&["whoami", "--all"]).stdout;
    assert!(all.contains("default") && all.contains(&url(&server)) && !all.contains(operator.key()), "{all}");

    // What others may read is not used, and what mends it is said.
    set_mode(&person.file(), 0o640);
    let open = person.run(&["agents"]);
    assert!(open.code == 2 && open.stderr.contains("run chmod 600"), "{open:?}");
    set_mode(&person.file(), 0o600);
    let text = fs::read_to_string(person.file()).unwrap();
    fs::write(person.file(), text.replace("[profiles", "[profile")).unwrap();
    let broken = person.run(&["agents"]);
    assert!(broken.code == 1 && !format!("{broken:?}").contains(operator.key()), "{broken:?}");
    fs::write(person.file(), text).unwrap();

    let out = person.done(&["logout"]).stdout;
    assert!(out.contains("forgot profile default") && !out.contains(operator.key()), "{out}");
    assert!(!person.file().exists(), "no empty file is left");
    let again = person.run(&["logout", "--json"]);
    assert_eq!((again.code, &again.json()["code"]), (1, &json!("not_found")));
    assert!(person.run(&["agents"]).stderr.contains("there is no store at"), "commands work on the local store again");
}

#[test]
fn a_flag_goes_before_the_environment_that_before_a_profile_and_that_before_the_store() {
    let (one, other, local) = (House::new(), House::new(), House::new());
    let ((first, first_key), (second, second_key)) = (one.serve_operator(), other.serve_operator());
    mark(&first_key, "in-first");
    mark(&second_key, "in-second");
    assert_eq!(local.terminal(&["call", "create-session", "--agent-id", "in-store"]).0, 0);
    let person = Person::new();
    person.logs_in(&first, first_key.key(), &[]);
    person.logs_in(&second, second_key.key(), &["--profile", "second"]);
    let (store, others) = on_postgres::address(&local.db());
    let (first_url, store) = (url(&first), store.into_string().unwrap());
    let agents = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = person.command(&[arguments, &["agents"]].concat());
        let outcome = outcome(command.envs(others.clone()).envs(variables.iter().copied()));
        assert_eq!(outcome.code, 0, "{arguments:?} {variables:?}: {outcome:?}");
        outcome.stdout
    };
    let address = ("HALDIR_BASE_URL", first_url.as_str());
    let key = ("HALDIR_API_KEY", first_key.key());
    let database = ("HALDIR_DB", store.as_str());
    let named = ("HALDIR_PROFILE", "second");
    for (arguments, variables, sees) in [
        (&[][..], &[][..], "in-first"),
        (&[], &[named], "in-second"),
        (&["--profile", "second"], &[], "in-second"),
        (&["--profile", "second"], &[address, key, database], "in-second"),
        (&[], &[address, key, named], "in-first"),
        (&[], &[named, database], "in-second"),
        (&[], &[database], "in-store"),
        (&["--db", &store], &[address, key, named], "in-store"),
        (&["--url", &first_url], &[key, named, database], "in-first"),
        (&["--url", ""], &[database, named, address], "in-store"),
    ] {
        assert!(agents(arguments, variables).contains(sees), "{arguments:?} {variables:?} should see {sees}");
    }
    // A profile's key goes to no other server.
    let keyless = person.run(&["--url", &url(&second), "agents"]);
    assert!(keyless.code == 1 && keyless.stdout.is_empty(), "{keyless:?}");
    // The calls of `haldir call` go there as well, and what works on files of this machine does not.
    let called = person.done(&["--profile", "second", "call", "list-sessions"]);
    assert!(called.stdout.contains("in-second"), "{called:?}");
    let files = person.run(&["--profile", "second", "doctor"]);
    assert!(files.code == 2 && files.stderr.contains("files of this machine"), "{files:?}");
    let both = person.run(&["--profile", "second", "--url", &first_url, "agents"]);
    assert!(both.code == 2 && both.stderr.contains("give one of them"), "{both:?}");
    let none = person.run(&["--profile", "none", "agents"]);
    assert!(none.code == 1 && none.stderr.contains("haldir login --profile none"), "{none:?}");
    assert_eq!(person.run(&["--profile", "a/b", "agents"]).code, 2);
    let removed = person.done(&["logout", "--all", "--json"]).json();
    assert_eq!(removed["removed"].as_array().map(Vec::len), Some(2), "{removed}");
    let in_store = outcome(person.command(&["--db", &store, "whoami"]).envs(others));
    assert!(in_store.stdout.contains("operator"), "{in_store:?}");
}

#[test]
fn a_key_is_typed_without_being_seen_and_ctrl_c_brings_the_terminal_back() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let person = Person::new();
    let mut terminal = Pty::start(person.command(&["login"]), 80);
    terminal.wait_for("Address of the server");
    terminal.press(&format!("{}\r", url(&server)));
    terminal.wait_for("API key");
    assert!(!terminal.echoes(), "what is typed now is not shown");
    terminal.press(&format!("{}\r", operator.key()));
    terminal.wait_for("logged in to");
    assert!(terminal.echoes(), "and then it is again");
    let (code, seen) = terminal.finish();
    assert!(code == Some(0) && !seen.contains(operator.key()), "{code:?} {seen}");
    assert_eq!(person.done(&["whoami", "--json"]).json()["role"], "operator");

    let mut terminal = Pty::start(person.command(&["login", &url(&server)]), 80);
    terminal.wait_for("API key");
    terminal.interrupt();
    assert!(terminal.echoes(), "an interruption leaves the terminal as it was");
    let (code, _) = terminal.finish();
    assert_eq!(code, Some(130));
}

#[test]
fn an_agents_key_logs_in_too() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let made = operator.post("/v1/keys", &json!({"name": "bot", "role": "agent", "scopes": ["sessions:read"]})).ok();
    let person = Person::new();
    let stored = person.logs_in(&server, made["key"].as_str().unwrap(), &["--json"]).json();
    assert_eq!((&stored["profile"], &stored["role"]), (&json!("default"), &json!("agent")), "{stored}");
    assert!(!stored.to_string().contains(made["key"].as_str().unwrap()), "the key is not shown");
}
