//! The terminal client, as a person or a script runs it.

mod approvals;
mod audit;
mod calls;
mod compliance;
mod config;
mod decisions;
mod examples;
mod health;
mod help;
mod history;
mod init;
mod init_postgres;
mod keys;
mod live;
mod overview;
mod profiles;
mod rules;
mod screen;
mod settings;
mod snapshots;
mod store;
mod upstreams;
mod vault;
mod webhooks;
mod wrong_uses;

use std::{
    ffi::OsStr,
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Database, on_postgres};

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

impl Drop for Terminal {
    fn drop(&mut self) {
        on_postgres::drop_database(&self.store());
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

    fn database(&self) -> Database {
        Database::open(&self.store())
    }

    /// Without the store, and what else is in its folder.
    fn lose_store(&self) {
        on_postgres::drop_database(&self.store());
        let _ = fs::remove_dir_all(self.folder.path().join("data"));
    }

    fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_haldir"));
        on_postgres::set_store(command.args(arguments).env_clear(), &self.store()).stdin(Stdio::null());
        command
    }

    /// Where there is no store: on Postgres there always is one.
    fn without_store(&self, arguments: &[&str]) -> Outcome {
        outcome(self.command(arguments).env("HALDIR_DB", self.folder.path().join("none.db")))
    }

    /// The server's program on this store.
    fn server(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_haldir-mcp"));
        on_postgres::set_store(command.args(arguments).env_clear(), &self.store());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
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

    /// The same folder once more.
    fn copy(&self) -> Self {
        let copy = Self::new();
        copied(self.folder.path(), copy.folder.path());
        on_postgres::copy(&self.store(), &copy.store());
        copy
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

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path()).unwrap(), target).unwrap();
        } else if kind.is_dir() {
            copied(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
