//! Stores on Postgres instead of in a file, where [`SERVER`] names a server.

use std::{
    env,
    ffi::OsString,
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::{Mutex, OnceLock},
};

/// The variable that names a server to test with: `postgres://USER@HOST:PORT/DATABASE`. Each store gets a database of its own there.
const SERVER: &str = "HALDIR_TEST_POSTGRES";
/// The encryption key of every store there: 32 bytes as base64.
const KEY: &str = "dGVzdHMga2VlcCBubyBzZWNyZXRzIGluIHN0b3JlcyE=";

/// What `--db` is to be for a store that would be the file `db`, and what else the program needs to open it.
pub fn address(db: &Path) -> (OsString, Option<(&'static str, &'static str)>) {
    match url(db) {
        Some(url) => (url.into(), Some(("HALDIR_ENCRYPTION_KEY", KEY))),
        None => (db.into(), None),
    }
}

/// The address of the database that stands for the file `db`; it is created when it is asked for first.
pub fn url(db: &Path) -> Option<String> {
    static CREATING: Mutex<()> = Mutex::new(());
    let server = env::var(SERVER).ok()?;
    let name = database_name(db);
    // Beside where the file would be: this store's database exists.
    let created = db.with_extension("created");
    let creating = super::lock(&CREATING);
    if !created.exists() {
        fs::create_dir_all(db.parent().unwrap()).unwrap();
        run(Command::new("createdb").args(["--template", template(&server), "--maintenance-db", &server, &name]));
        fs::write(created, "").unwrap();
    }
    drop(creating);
    Some(address_of(&server, &name))
}

/// The variable that names a replica of that server.
const REPLICA: &str = "HALDIR_TEST_POSTGRES_REPLICA";

/// The replica that stands for the file `db`, if there is one: its address, without the database, and the database's name.
pub fn replica(db: &Path) -> Option<(String, String)> {
    let server = env::var(REPLICA).ok()?;
    url(db)?;
    let (address, _) = server.rsplit_once('/')?;
    Some((address.to_owned(), database_name(db)))
}

/// What the replica answers to a statement that is about all of it.
#[track_caller]
pub fn ask_replica(statement: &str) -> String {
    let server = env::var(REPLICA).unwrap();
    run(Command::new("psql").args(["--no-psqlrc", "--tuples-only", "--no-align", &server, "--command", statement]))
        .trim()
        .to_owned()
}

/// What the database that stands for the file `db` answers to a statement: its first value, or its name and a number of rows. An
/// entry's place in the file is its number there, in the log of the first tenant.
#[track_caller]
pub fn ask(db: &Path, statement: &str) -> Option<String> {
    let statement = statement.replace("place", "seq");
    let mut psql = Command::new("psql");
    psql.args([
        "--no-psqlrc",
        "--tuples-only",
        "--no-align",
        "--set=ON_ERROR_STOP=1",
        &url(db)?,
        "--command",
        &statement,
    ]);
    Some(run(psql.env("PGOPTIONS", "-c search_path=haldir")).trim().to_owned())
}

/// Drops the database that stands for the file `db`.
pub fn drop_database(db: &Path) {
    if let Ok(server) = env::var(SERVER)
        && db.with_extension("created").exists()
    {
        run(Command::new("dropdb").args(["--force", "--maintenance-db", &server, &database_name(db)]));
    }
}

/// A database with all tables and nothing in them: to copy it takes a seventh of the time that making them takes.
fn template(server: &str) -> &'static str {
    static TEMPLATE: OnceLock<String> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let name = format!("haldir_template_{}", std::process::id());
        run(Command::new("createdb").args(["--maintenance-db", server, &name]));
        make_tables(&address_of(server, &name));
        // It can be copied once the connection that made the tables is closed.
        super::until("the template is let go", || {
            let copy = format!("{name}_copy");
            let copied =
                Command::new("createdb").args(["--template", &name, "--maintenance-db", server, &copy]).output();
            let is_free = copied.unwrap().status.success();
            if is_free {
                run(Command::new("dropdb").args(["--maintenance-db", server, &copy]));
            }
            is_free
        });
        name
    })
}

#[cfg(feature = "postgres")]
fn make_tables(address: &str) {
    use haldir::store::{Store, postgres::PostgresSettings};

    Store::open_postgres(PostgresSettings::parse(address).unwrap()).unwrap().close();
}

#[cfg(not(feature = "postgres"))]
fn make_tables(_: &str) {
    panic!("{SERVER} is set: these tests need --features postgres");
}

fn address_of(server: &str, database: &str) -> String {
    let (address, _) = server.rsplit_once('/').unwrap();
    format!("{address}/{database}")
}

fn database_name(db: &Path) -> String {
    let digest = haldir::crypto::digest(&[db.as_os_str().as_encoded_bytes()]);
    format!("haldir_test_{}", haldir::watch::canonical::hex(&digest[..12]))
}

/// Runs one of the programs that come with Postgres; returns what it writes.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
