//! Stores on Postgres instead of in a file, where [`SERVER`] names a server.

use std::{
    env,
    ffi::OsString,
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// The variable that names a server to test with: `postgres://USER@HOST:PORT/DATABASE`. Each store gets a database of its own there.
const SERVER: &str = "HALDIR_TEST_POSTGRES";
/// The encryption key of every store there: 32 bytes as base64.
const KEY: &str = "dGVzdHMga2VlcCBubyBzZWNyZXRzIGluIHN0b3JlcyE=";

/// Whether stores are on Postgres.
pub fn is_used() -> bool {
    env::var_os(SERVER).is_some()
}

/// What `--db` is to be for a store that would be the file `db`, and what else the program needs to open it.
pub fn address(db: &Path) -> (OsString, Option<(&'static str, &'static str)>) {
    match url(db) {
        Some(url) => (url.into(), Some(("HALDIR_ENCRYPTION_KEY", KEY))),
        None => (db.into(), None),
    }
}

/// The address of the database that stands for the file `db`; it is created when it is asked for first.
pub fn url(db: &Path) -> Option<String> {
    let server = env::var(SERVER).ok()?;
    let name = database_name(db);
    // Beside where the file would be: this store's database exists.
    let created = db.with_extension("created");
    if !created.exists() {
        fs::create_dir_all(db.parent().unwrap()).unwrap();
        run("createdb", &server, &name);
        fs::write(created, "").unwrap();
    }
    let (address, _) = server.rsplit_once('/').unwrap();
    Some(format!("{address}/{name}"))
}

/// Drops the database that stands for the file `db`.
pub fn drop_database(db: &Path) {
    if let Ok(server) = env::var(SERVER)
        && db.with_extension("created").exists()
    {
        run("dropdb", &server, &database_name(db));
    }
}

fn database_name(db: &Path) -> String {
    let digest = haldir::crypto::digest(&[db.as_os_str().as_encoded_bytes()]);
    format!("haldir_test_{}", digest[..12].iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// Runs one of the programs that come with Postgres.
fn run(program: &str, server: &str, name: &str) {
    let force: &[&str] = if program == "dropdb" { &["--force"] } else { &[] };
    let mut command = Command::new(program);
    command.args(force).args(["--maintenance-db", server, name]).stdin(Stdio::null());
    let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {name}: {}", String::from_utf8_lossy(&output.stderr));
}
