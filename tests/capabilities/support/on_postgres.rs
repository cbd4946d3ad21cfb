//! Stores on Postgres instead of in a file, where [`SERVER`] names a server.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, OnceLock},
};

use haldir::crypto::Key;

/// The variable that names a server to test with: `postgres://USER@HOST:PORT/DATABASE`. Each store gets a database of its own there.
const SERVER: &str = "HALDIR_TEST_POSTGRES";
/// The encryption key of every store there: 32 bytes as base64.
pub const KEY: &str = "dGVzdHMga2VlcCBubyBzZWNyZXRzIGluIHN0b3JlcyE=";
/// Functions of SQLite's that tests call.
const FUNCTIONS: &str = "CREATE SCHEMA tests; CREATE FUNCTION tests.zeroblob(size BIGINT) RETURNS BYTEA
    LANGUAGE sql IMMUTABLE AS $$ SELECT decode(repeat('00', size::int), 'hex') $$";

/// What `--db` is to be for a store that would be the file `db`, and what else a program needs in its environment: the key, and where
/// its machine's own files are.
pub fn address(db: &Path) -> (OsString, Vec<(&'static str, OsString)>) {
    match url(db) {
        Some(url) => {
            let files = db.parent().unwrap().into();
            (url.into(), vec![("HALDIR_ENCRYPTION_KEY", KEY.into()), ("XDG_DATA_HOME", files)])
        }
        None => (db.into(), Vec::new()),
    }
}

/// Sets in the environment of a program that its store is the one that would be the file `db`.
pub fn set_store<'c>(command: &'c mut Command, db: &Path) -> &'c mut Command {
    let (address, others) = address(db);
    command.env("HALDIR_DB", address).envs(others)
}

/// Whether stores are on Postgres.
pub fn is_used() -> bool {
    env::var_os(SERVER).is_some()
}

/// The encryption key of a store.
pub fn master_key(db: &Path) -> Key {
    let text = if is_used() { KEY.to_owned() } else { fs::read_to_string(format!("{}.key", db.display())).unwrap() };
    Key::parse(&text).unwrap()
}

/// Where programs keep what the servers that they start write to standard error.
pub fn logs(db: &Path) -> PathBuf {
    let folder = db.parent().unwrap();
    if is_used() { folder.join("haldir/logs") } else { folder.join("logs") }
}

/// Copies the database that stands for the file `from`, which no program has open.
pub fn copy(from: &Path, to: &Path) {
    if let Ok(server) = env::var(SERVER) {
        create(&server, &database_name(from), to);
    }
}

/// The address of the database that stands for the file `db`; it is created when it is asked for first.
pub fn url(db: &Path) -> Option<String> {
    static CREATING: Mutex<()> = Mutex::new(());
    let server = env::var(SERVER).ok()?;
    let creating = super::lock(&CREATING);
    if !super::lock(&CREATED).contains(db) {
        create(&server, template(&server), db);
    }
    drop(creating);
    Some(address_of(&server, &database_name(db)))
}

/// Creates the database that stands for the file `db` without tables, as an operator does.
pub fn create_empty(db: &Path) {
    if let Ok(server) = env::var(SERVER) {
        create(&server, "template1", db);
    }
}

/// The files for which there is a database.
static CREATED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn create(server: &str, template: &str, db: &Path) {
    run(Command::new("createdb").args(["--template", template, "--maintenance-db", server, &database_name(db)]));
    super::lock(&CREATED).insert(db.to_owned());
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

/// Drops the database that stands for the file `db`.
pub fn drop_database(db: &Path) {
    if let Ok(server) = env::var(SERVER)
        && super::lock(&CREATED).remove(db)
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
        let psql =
            ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", &address_of(server, &name), "--command", FUNCTIONS];
        run(Command::new("psql").args(psql));
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
