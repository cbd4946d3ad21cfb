//! `haldir migrate copy`: a store moves from a file to Postgres and back, and everything in it goes on.

use std::{
    path::Path,
    process::{Command, Stdio as Pipe},
};

use rusqlite::OpenFlags;
use serde_json::Value;

use crate::support::{Client, Folder, House, Process, Server, json, on_postgres, refuses_to_start, text, until};

const KEY: &str = "HALDIR_ENCRYPTION_KEY";
const WRONG_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// A store on Postgres, and the key of it; `None`, and a word about it, where there is no server.
struct There {
    house: House,
    url: String,
    key: &'static str,
}

impl There {
    fn new() -> Option<Self> {
        let house = House::new();
        let Some(url) = on_postgres::url(&house.db()) else {
            eprintln!("left out: HALDIR_TEST_POSTGRES names no server");
            return None;
        };
        let key = on_postgres::KEY;
        Some(Self { house, url, key })
    }
}

fn copy(key: Option<&str>, from: &str, to: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haldir"));
    command.args(["migrate", "copy", "--from", from, "--to", to]).env_clear().envs(key.map(|key| (KEY, key)));
    command.stdin(Pipe::null()).stdout(Pipe::piped()).stderr(Pipe::piped());
    command
}

fn outcome(mut command: Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[track_caller]
fn done(command: Command) -> String {
    let (code, said, errors) = outcome(command);
    assert_eq!(code, 0, "{said}{errors}");
    said
}

#[track_caller]
fn refused(command: Command, expected: i32, why: &str) {
    let (code, said, errors) = outcome(command);
    assert!(code == expected && errors.contains(why) && !errors.contains("panicked"), "{code}: {said}{errors}");
}

/// A server on a store in a file, with this key from the environment.
fn serving(db: &Path, key: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haldir-mcp"));
    command.env_clear().env(KEY, key).arg("--db").arg(db);
    command.args(["serve", "--listen", "127.0.0.1:0", "--rate-limits", "off", "--allow-private", "receiver.invalid"]);
    command.stdin(Pipe::null()).stdout(Pipe::piped()).stderr(Pipe::piped());
    command
}

fn path(folder: &Folder, name: &str) -> String {
    folder.folder().join(name).display().to_string()
}

/// What clients have in a store, and hold against another one.
struct Left {
    operator: String,
    agent: String,
    session: String,
    authorization: String,
    request: String,
    waiting: Value,
    heads: Value,
    entries: i64,
}

impl Left {
    fn new(operator: &Client) -> Self {
        let agent = operator.mint(&json!({"name": "bot", "role": "agent"}));
        operator.post("/v1/secrets", &json!({"name": "s", "value": "hidden"})).ok();
        let session = operator.session(&json!({"scopes": ["read", "spend"], "spend_limit": 5, "ttl": 0}));
        let authorization = text(&operator.pay(&session, "2").ok(), "authorization_id");
        let asked = json!({"session_id": session, "tool": "stripe", "action": "refund", "amount": 3, "reason": "why"});
        let request = text(&operator.post("/v1/approvals/request", &asked).json(), "request_id");
        operator.post("/v1/webhooks", &json!({"url": "https://receiver.invalid/hook", "name": "w"})).ok();
        operator.post("/v1/webhooks/1/ping", &json!({})).ok();
        for number in 0..40 {
            operator.log(&session, &format!("act {number}")).ok();
        }
        let waiting = operator.get("/v1/webhooks").ok()["webhooks"][0]["waiting"].clone();
        assert_eq!(waiting, 1);
        let (heads, entries) = (operator.tree_head(), operator.verified());
        let (agent, operator) = (agent.key().to_owned(), operator.key().to_owned());
        Self { operator, agent, session, authorization, request, waiting, heads, entries }
    }

    /// Everything is there on this server, and goes on: one more payment is too much, the log grows by what is done here.
    #[track_caller]
    fn goes_on(&mut self, server: &Server) {
        let operator = server.with_key(&self.operator);
        assert_eq!((operator.tree_head(), operator.verified()), (self.heads.clone(), self.entries));
        assert_eq!(operator.get("/v1/webhooks").ok()["webhooks"][0]["waiting"], self.waiting);
        server.with_key(&self.agent).get("/v1/keys").refused(403, "operator_required");
        let secret = operator.get(&format!("/v1/secrets/s?session_id={}", self.session)).ok();
        assert_eq!(secret["value"], "hidden");
        operator.pay(&self.session, "4").refused(403, "budget_exceeded");
        assert_eq!(operator.get(&format!("/v1/approvals/{}", self.request)).ok()["status"], "pending");
        operator.log(&self.session, "here").ok();
        let found = operator.get(&format!("/v1/audit?session_id={}&limit=1000", self.session)).ok();
        assert!(found["entries"].as_array().unwrap().iter().any(|entry| entry["action"] == "act 0"), "{found}");
        let entries = operator.verified();
        assert!(entries > self.entries);
        (self.heads, self.entries) = (operator.tree_head(), entries);
        // The refused payment is an event too.
        self.waiting = operator.get("/v1/webhooks").ok()["webhooks"][0]["waiting"].clone();
    }
}

#[test]
fn a_store_moves_to_a_file_and_back_and_everything_goes_on() {
    let (Some(there), Some(back)) = (There::new(), There::new()) else { return };
    let (server, operator) = there.house.serve_operator();
    let mut left = Left::new(&operator);
    let folder = Folder::new();
    let (file, stored) = (path(&folder, "moved.db"), folder.folder().join("moved.db"));
    let to_file = || copy(Some(there.key), &there.url, &format!("sqlite:{file}"));
    refused(to_file(), 1, "of servers to the database");
    assert!(!stored.exists());
    drop(server);
    // A source with the wrong key is left alone.
    refused(copy(Some(WRONG_KEY), &there.url, &file), 1, "not the one this store was made with");
    assert!(!stored.exists());
    let mut with_json = to_file();
    with_json.arg("--json");
    let said: Value = serde_json::from_str(&done(with_json)).unwrap();
    assert_eq!(
        (&said["verified"], &said["resumed"], &said["logs"]),
        (&json!(true), &json!(false), &json!(1)),
        "{said}"
    );
    assert!(said["entries"].as_i64() >= Some(left.entries), "{said}");
    assert!(!said.to_string().contains("haldir@"), "{said}");
    refused(to_file(), 1, "complete copy of it already");

    let server = Server::start(serving(&stored, there.key));
    left.goes_on(&server);
    refused(copy(Some(there.key), &file, &back.url), 1, "another process has the store");
    drop(server);
    refused(copy(Some(there.key), &file, &there.url), 1, "complete copy of it already");
    refused(copy(None, &file, &back.url), 1, "HALDIR_ENCRYPTION_KEY");
    let said = done(copy(Some(back.key), &file, &back.url));
    assert!(said.contains("verified"), "{said}");
    let server = back.house.serve();
    left.goes_on(&server);
    let operator = server.with_key(&left.operator);
    operator.post(&format!("/v1/payments/{}/capture", left.authorization), &json!({})).ok();
    assert!(operator.verified() > left.entries);
}

#[test]
fn a_copy_that_is_killed_is_used_by_no_program_and_completed_by_the_same_command() {
    let Some(there) = There::new() else { return };
    let (server, operator) = there.house.serve_operator();
    let mut left = Left::new(&operator);
    drop(server);
    let (folder, other) = (Folder::new(), House::new());
    let file = folder.folder().join("moved.db");
    let (target, other_url) = (file.display().to_string(), on_postgres::url(&other.db()).unwrap());
    drop(other.serve_operator());
    let mut is_refused = false;
    for _ in 0..3 {
        let mut running = Process::spawn(copy(Some(there.key), &there.url, &target));
        let is_begun = || {
            let looking = rusqlite::Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_ONLY);
            let note = "SELECT count(*) FROM meta WHERE key = 'copying'";
            looking.and_then(|sql| sql.query_row(note, [], |row| row.get::<_, i64>(0))).is_ok_and(|count| count == 1)
        };
        until("the copy has begun", || is_begun() || running.child().try_wait().unwrap().is_some());
        running.kill();
        drop(running);
        if is_begun() {
            let said = refuses_to_start(serving(&file, there.key));
            assert!(said.contains("run the same `haldir migrate copy` again"), "{said}");
            let foreign = "the target holds a part of another store than the source";
            refused(copy(Some(there.key), &other_url, &target), 1, foreign);
            let mut doctor = Command::new(env!("CARGO_BIN_EXE_haldir"));
            doctor.env_clear().env("HALDIR_DB", &file).env(KEY, there.key).arg("doctor").stdin(Pipe::null());
            let (code, said, _) = outcome(doctor);
            assert!(code == 1 && said.contains("copy that has not ended"), "{said}");
            is_refused = true;
        }
    }
    assert!(is_refused, "it was never killed half-way");
    let (code, said, errors) = outcome(copy(Some(there.key), &there.url, &target));
    assert!(code == 0 && errors.contains("going on with a copy"), "{said}{errors}");
    left.goes_on(&Server::start(serving(&file, there.key)));
}

#[test]
fn what_is_no_store_is_not_copied_and_what_is_one_is_not_overwritten() {
    let folder = Folder::new();
    let (file, missing) = (path(&folder, "a.db"), path(&folder, "missing.db"));
    drop(Server::start(serving(Path::new(&file), WRONG_KEY)));
    let here = |from: &str, to: &str| copy(Some(WRONG_KEY), from, to);
    refused(here("mysql://u:pw@host/db", &file), 2, "--from: a store is sqlite:PATH");
    refused(here(&file, "sqlite:"), 2, "--to: a store is sqlite:PATH");
    refused(here(&file, &format!("sqlite://{file}")), 2, "name the same store");
    refused(here(&file, &missing), 2, "haldir backup");
    assert!(!Path::new(&missing).exists());
    if !cfg!(feature = "postgres") {
        return refused(here(&file, "postgres://localhost/haldir"), 2, "no Postgres");
    }
    refused(here(&file, "postgres://localhost/haldir?sslmode=odd"), 2, "sslmode");
    let Some(there) = There::new() else { return };
    refused(here(&missing, &there.url), 1, "there is no store at");
    let nowhere = format!("{}_none", there.url);
    refused(here(&file, &nowhere), 1, "the database cannot be reached");
    refused(here(&nowhere, &missing), 1, "the database cannot be reached");
    let empty = format!("{}/postgres", there.url.rsplit_once('/').unwrap().0);
    refused(here(&empty, &missing), 1, "there is no store in the database");
    // Not a store, and one of a newer release.
    let text_file = path(&folder, "text");
    std::fs::write(&text_file, "not a database").unwrap();
    refused(here(&text_file, &there.url), 1, "cannot be read as a haldir store");
    refused(copy(Some(there.key), &there.url, &missing), 1, "nothing to copy");
    assert!(!Path::new(&missing).exists());
    let (server, operator) = there.house.serve_operator();
    operator.verified();
    drop(server);
    refused(copy(Some(there.key), &there.url, &text_file), 1, "cannot be read as a haldir store");
    assert_eq!(std::fs::read(&text_file).unwrap(), b"not a database");
    refused(copy(Some(there.key), &there.url, &file), 1, "the target is not empty");
    refused(here(&file, &there.url), 1, "the target is not empty");
    let sql = rusqlite::Connection::open(&file).unwrap();
    sql.pragma_update(None, "user_version", 1_000).unwrap();
    drop(sql);
    refused(here(&file, &there.url), 1, "use a newer haldir");
}
