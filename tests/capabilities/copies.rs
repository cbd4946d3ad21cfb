//! Backup, restore and rekeying, by the terminal client, and what a copy that was tampered with says of itself.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio as Pipe},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde_json::Value;

use crate::support::{Client, Folder, House, Process, json, lock, text, until};

/// The terminal client on a store at this path.
fn terminal(db: &PathBuf, variables: &[(&str, &str)], arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haldir"));
    command.args(arguments).env_clear().env("HALDIR_DB", db).envs(variables.iter().copied()).stdin(Pipe::null());
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn path(folder: &Folder, name: &str) -> String {
    folder.folder().join(name).display().to_string()
}

#[track_caller]
fn done((code, output, errors): (i32, String, String)) -> String {
    assert_eq!(code, 0, "{output}{errors}");
    output
}

#[track_caller]
fn refused((code, output, errors): (i32, String, String), why: &str) {
    assert!(code != 0 && errors.contains(why), "{code} {output}{errors}");
}

/// A store elsewhere that holds what a backup restored, with its key file.
fn restored(backup: &str) -> House {
    let house = House::new();
    done(terminal(&house.db(), &[], &["restore", backup]));
    house
}

#[test]
fn a_backup_under_write_load_holds_every_write_that_was_acknowledged_before_it_began() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    operator.post("/v1/secrets", &json!({"name": "s", "value": "hidden"})).ok();
    let session = operator.session(&json!({"scopes": ["read", "spend"], "ttl": 0}));
    let acknowledged = std::sync::Mutex::new(Vec::new());
    let stop = AtomicBool::new(false);
    let backups = Folder::new();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let client = server.with_key(operator.key());
                while !stop.load(Ordering::Relaxed) {
                    let id = text(&client.log(&session, "work").ok(), "entry_id");
                    lock(&acknowledged).push(id);
                }
            });
        }
        for number in 0..3 {
            until("there is more", || lock(&acknowledged).len() > number * 40 + 20);
            let before = lock(&acknowledged).clone();
            let folder = path(&backups, &format!("backup {number}"));
            let said = done(terminal(&house.db(), &[], &["backup", &folder, "--with-key", "--json"]));
            let said: Value = serde_json::from_str(&said).unwrap();
            assert_eq!(said["verified"], true, "{said}");
            let copy = restored(&folder);
            let server = copy.serve();
            let reader = server.with_key(operator.key());
            for id in &before {
                reader.get(&format!("/v1/audit/entries/{id}")).ok();
            }
            reader.verified();
            assert_eq!(reader.get(&format!("/v1/secrets/s?session_id={session}")).ok()["value"], "hidden");
        }
        stop.store(true, Ordering::Relaxed);
    });
    let mode = |name: &str| fs::metadata(path(&backups, name)).unwrap().permissions().mode() & 0o777;
    let private = |name: &str| [0o600, 0o700].contains(&mode(name));
    assert!(private("backup 0") && private("backup 0/haldir.db") && private("backup 0/haldir.db.key"));
    assert!(private("backup 0/manifest.json"));
    refused(terminal(&house.db(), &[], &["backup", &path(&backups, "backup 0")]), "exists already");
    operator.verified();
}

#[test]
fn a_backup_without_its_key_needs_the_key_and_one_that_was_altered_is_refused() {
    let (house, backups) = (House::new(), Folder::new());
    let (server, operator) = house.serve_operator();
    let session = operator.session(&json!({}));
    operator.log(&session, "x").ok();
    let folder = path(&backups, "b");
    let said = done(terminal(&house.db(), &[], &["backup", &folder]));
    assert!(said.contains("key is not in it"), "{said}");
    assert!(!fs::exists(path(&backups, "b/haldir.db.key")).unwrap());
    drop(server);
    let elsewhere = House::new();
    refused(terminal(&elsewhere.db(), &[], &["restore", &folder]), "holds no encryption key");
    assert!(!elsewhere.db().exists());
    let key = fs::read_to_string(format!("{}.key", house.db().display())).unwrap();
    let with_key = [("HALDIR_ENCRYPTION_KEY", key.trim())];
    let wrong = [("HALDIR_ENCRYPTION_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")];
    refused(terminal(&elsewhere.db(), &wrong, &["restore", &folder]), "not the one this store was made with");
    assert!(!elsewhere.db().exists(), "something was left behind");
    done(terminal(&elsewhere.db(), &with_key, &["restore", &folder]));
    done(terminal(&elsewhere.db(), &with_key, &["audit", "verify"]));
    // One byte in the middle, with and without the digest that fits.
    let database = PathBuf::from(path(&backups, "b/haldir.db"));
    let mut bytes = fs::read(&database).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&database, bytes).unwrap();
    refused(terminal(&House::new().db(), &with_key, &["restore", &folder]), "digest differs");
}

#[test]
fn a_store_that_is_newer_in_use_or_another_is_not_restored_over() {
    let (house, backups) = (House::new(), Folder::new());
    let (server, operator) = house.serve_operator();
    let session = operator.session(&json!({"ttl": 0}));
    let (old, new) = (path(&backups, "old"), path(&backups, "new"));
    let db = house.db();
    done(terminal(&db, &[], &["backup", &old, "--with-key"]));
    let pin = path(&backups, "pin.json");
    operator.log(&session, "later").ok();
    done(terminal(&db, &[], &["audit", "pin", "--file", &pin]));
    done(terminal(&db, &[], &["backup", &new, "--with-key"]));
    refused(terminal(&db, &[], &["restore", &new]), "another process has the store");
    drop(server);
    refused(terminal(&db, &[], &["restore", &old]), "is newer than the backup");
    // The same store: nothing is lost, and what was there is moved aside.
    let said = done(terminal(&db, &[], &["restore", &new]));
    assert!(said.contains("before-restore"), "{said}");
    let operator = {
        let server = house.serve();
        let operator = server.with_key(operator.key());
        operator.log(&session, "goes on").ok();
        operator.verified();
        operator.key().to_owned()
    };
    // One with another history.
    let other = House::new();
    drop(other.serve_operator());
    refused(terminal(&other.db(), &[], &["restore", &new]), "the store at");
    // A copy that is older than a pinned checkpoint is detected, also without a store.
    let empty = House::new();
    refused(terminal(&empty.db(), &[], &["restore", &old, "--pin", &pin]), "older than what was pinned");
    done(terminal(&empty.db(), &[], &["restore", &new, "--pin", &pin]));
    let server = empty.serve();
    server.with_key(&operator).log(&session, "x").ok();
    drop(server);
    // One that was put in place by hand is found out by the pin.
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", db.display()));
    }
    fs::copy(format!("{old}/haldir.db"), &db).unwrap();
    refused(terminal(&db, &[], &["audit", "pin", "--file", &pin]), "cut off");
}

fn secret(client: &Client, session: &str) -> Value {
    client.get(&format!("/v1/secrets/s?session_id={session}")).ok()["value"].clone()
}

#[test]
fn a_new_master_key_opens_all_that_the_old_one_did_and_the_old_one_opens_nothing() {
    let (house, backups) = (House::new(), Folder::new());
    let (server, operator) = house.serve_operator();
    let session = operator.session(&json!({"scopes": ["read"], "ttl": 0}));
    operator.post("/v1/secrets", &json!({"name": "s", "value": "kept"})).ok();
    let db = house.db();
    let pin = path(&backups, "pin.json");
    done(terminal(&db, &[], &["audit", "pin", "--file", &pin]));
    refused(terminal(&db, &[], &["rekey"]), "another process has the store");
    drop(server);
    let key_file = format!("{}.key", db.display());
    let old = fs::read_to_string(&key_file).unwrap();
    let said = done(terminal(&db, &[], &["rekey"]));
    assert!(said.contains("1 data keys"), "{said}");
    let new = fs::read_to_string(&key_file).unwrap();
    assert!(old != new && !fs::exists(format!("{key_file}.next")).unwrap());
    assert_eq!(fs::metadata(&key_file).unwrap().permissions().mode() & 0o777, 0o600);
    let works = || {
        let server = house.serve();
        let operator = server.with_key(operator.key());
        assert_eq!(secret(&operator, &session), "kept");
        operator.verified();
        operator.session(&json!({}));
    };
    works();
    // The log goes on under the same name and keys.
    done(terminal(&db, &[], &["audit", "pin", "--file", &pin]));
    let with = |key: &str| [("HALDIR_ENCRYPTION_KEY".to_owned(), key.trim().to_owned())];
    let run = |variables: &[(String, String)], arguments: &[&str]| {
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        terminal(&db, &variables, arguments)
    };
    refused(run(&with(&old), &["audit", "verify"]), "not the one this store was made with");
    // A process that ended after the store was rekeyed, and before the key file was replaced.
    fs::rename(&key_file, format!("{key_file}.next")).unwrap();
    fs::write(&key_file, &old).unwrap();
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
    works();
    assert_eq!(fs::read_to_string(&key_file).unwrap(), new);
    // One that ended before the store was rekeyed.
    fs::write(format!("{key_file}.next"), &old).unwrap();
    fs::set_permissions(format!("{key_file}.next"), fs::Permissions::from_mode(0o600)).unwrap();
    works();
    assert!(!fs::exists(format!("{key_file}.next")).unwrap());
    // A key that is kept in the environment.
    refused(run(&with(&new), &["rekey"]), "HALDIR_NEW_ENCRYPTION_KEY");
    let mut both = with(&new).to_vec();
    both.push(("HALDIR_NEW_ENCRYPTION_KEY".to_owned(), old.trim().to_owned()));
    done(run(&both, &["rekey"]));
    done(run(&with(&old), &["audit", "verify"]));
    refused(run(&with(&new), &["audit", "verify"]), "not the one this store was made with");
}

#[test]
fn what_was_added_to_the_schema_and_what_hides_tiles_is_found() {
    let house = House::new();
    let (server, operator) = house.serve_operator();
    let session = operator.session(&json!({}));
    (0..300).for_each(|_| drop(operator.log(&session, "x")));
    drop(server);
    done(house.terminal(&["doctor"]));
    house
        .file()
        .execute_batch("CREATE TRIGGER quiet AFTER INSERT ON sessions BEGIN UPDATE sessions SET spent = 0; END")
        .unwrap();
    let (code, said, _) = house.terminal(&["doctor"]);
    assert!(code == 1 && said.contains("the trigger quiet was added"), "{said}");
    house.file().execute_batch("DROP TRIGGER quiet; DROP INDEX sessions_by_parent").unwrap();
    let (code, said, _) = house.terminal(&["doctor"]);
    assert!(code == 1 && said.contains("the index sessions_by_parent is missing"), "{said}");
    house.file().execute_batch("CREATE INDEX sessions_by_parent ON sessions (tenant, parent, id)").unwrap();
    // An altered tile, and a row that says that the tree is still being built.
    house
        .file()
        .execute_batch(
            "UPDATE tree_tiles SET hashes = zeroblob(length(hashes));
             INSERT INTO audit_tree_builds SELECT tenant, seq, seq, x'' FROM audit_heads",
        )
        .unwrap();
    let (code, said, _) = house.terminal(&["doctor"]);
    assert!(code == 1 && said.contains("being built"), "{said}");
    let (code, said, errors) = house.terminal(&["audit", "verify"]);
    assert!(code != 0, "{said}{errors}");
}

#[test]
fn a_key_file_that_is_no_file_is_refused_and_one_that_was_mounted_is_read() {
    let house = House::new();
    drop(house.serve_operator());
    let key_file = format!("{}.key", house.db().display());
    let key = fs::read_to_string(&key_file).unwrap();
    fs::remove_file(&key_file).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &key_file).unwrap();
    refused(house.terminal(&["audit", "verify"]), "is no regular file");
    fs::remove_file(&key_file).unwrap();
    fs::write(&key_file, "A".repeat(1 << 20)).unwrap();
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
    refused(house.terminal(&["audit", "verify"]), "holds no key");
    fs::write(&key_file, &key).unwrap();
    // As Kubernetes mounts a secret for a group: root owns the file. Tests that run as another user own it themselves.
    let is_root = fs::metadata(&key_file).map(|file| std::os::unix::fs::MetadataExt::uid(&file)).unwrap() == 0;
    for mode in [0o640, 0o660] {
        fs::set_permissions(&key_file, fs::Permissions::from_mode(mode)).unwrap();
        let outcome = house.terminal(&["audit", "verify"]);
        if is_root { drop(done(outcome)) } else { refused(outcome, "chmod 600") }
    }
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o644)).unwrap();
    refused(house.terminal(&["audit", "verify"]), "chmod 600");
}

#[test]
fn a_variable_that_is_no_text_does_not_keep_a_server_from_being_wrapped() {
    use std::os::unix::ffi::OsStrExt;

    let house = House::new();
    let mut command = house.program();
    command.args(["wrap", "--name", "odd", "--", "cat"]).env("PATH", "/usr/bin:/bin");
    command.env("ODD", std::ffi::OsStr::from_bytes(b"\xff\xfe"));
    let (_, errors) = Process::spawn(command).finish();
    assert!(!errors.contains("panicked"), "{errors}");
}

#[test]
fn an_export_that_is_interrupted_leaves_nothing_and_a_file_that_is_there_stays() {
    let house = House::new();
    let (_server, operator) = house.serve_operator();
    let session = operator.session(&json!({}));
    operator.log(&session, "x").ok();
    let bundle = house.folder().join("log.bundle");
    fs::write(&bundle, "mine").unwrap();
    let name = bundle.display().to_string();
    refused(house.terminal(&["audit", "export", "--bundle", &name]), "exists already");
    assert_eq!(fs::read_to_string(&bundle).unwrap(), "mine");
    done(house.terminal(&["audit", "export", "--bundle", &name, "--force"]));
    done(house.terminal(&["audit", "verify", &name, "--help"]));
    fs::remove_file(&bundle).unwrap();
    // A server that begins to answer, and then says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_haldir"));
    command.args(["--url", &address, "audit", "export", "--bundle", &name]).env_clear().env("HALDIR_API_KEY", "hld_x");
    command.stdin(Pipe::null()).stdout(Pipe::piped()).stderr(Pipe::piped());
    let process = Process::spawn(command);
    let (mut stream, _) = listener.accept().unwrap();
    let mut request = [0; 1_024];
    let _ = std::io::Read::read(&mut stream, &mut request).unwrap();
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    let part = format!("{name}.part");
    until("a part is there", || fs::exists(&part).unwrap());
    process.terminate();
    let (well, errors) = process.finish();
    assert!(!well, "{errors}");
    assert!(!fs::exists(&part).unwrap() && !bundle.exists(), "a part was left behind");
}

#[test]
fn a_backup_that_is_interrupted_at_any_moment_leaves_all_of_it_or_nothing() {
    let house = House::new();
    {
        let (_server, operator) = house.serve_operator();
        let session = operator.session(&json!({}));
        for _ in 0..200 {
            operator.log(&session, &"x".repeat(1_000)).ok();
        }
    }
    let mut interrupted = 0;
    for attempt in 0..100 {
        let folder = path(&house, &format!("backup-{attempt}"));
        let part = format!("{folder}.part");
        let mut command = Command::new(env!("CARGO_BIN_EXE_haldir"));
        command.args(["backup", &folder]).env_clear().env("HALDIR_DB", house.db());
        command.stdin(Pipe::null()).stdout(Pipe::null()).stderr(Pipe::piped());
        let process = Process::spawn(command);
        until("the backup has begun", || fs::exists(&part).unwrap() || fs::exists(&folder).unwrap());
        process.terminate();
        let (_, errors) = process.finish();
        assert_eq!(errors, "");
        assert!(!fs::exists(&part).unwrap(), "a part was left behind");
        if fs::exists(&folder).unwrap() {
            restored(&folder);
        } else {
            interrupted += 1;
        }
        if interrupted == 3 {
            return;
        }
    }
    panic!("no backup was interrupted {interrupted}");
}
