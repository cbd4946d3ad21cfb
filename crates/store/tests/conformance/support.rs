//! Databases to test with, and records to put into them.

use std::{
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use haldir_core::model::{AgentId, Money, Scopes, Session, SessionId, UnixMicros};
use haldir_store::Store;

/// The variable that names a Postgres server to test: `postgres://USER@HOST:PORT/DATABASE`. Without it, the embedded database is.
const SERVER: &str = "HALDIR_TEST_POSTGRES";

/// An empty database of the backend under test.
pub enum Database {
    Embedded { _folder: tempfile::TempDir, path: PathBuf },
    OnServer { server: String, name: String },
}

impl Database {
    pub fn new() -> Self {
        if let Ok(server) = std::env::var(SERVER) {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("haldir_conformance_{}_{number}", std::process::id());
            run_client("createdb", &["--maintenance-db", &server, &name]);
            return Self::OnServer { server, name };
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("h.db");
        Self::Embedded { _folder: folder, path }
    }

    /// A handle, as another process has one.
    pub fn open(&self) -> Store {
        match self {
            Self::Embedded { path, .. } => Store::open(path).unwrap(),
            Self::OnServer { server, name } => open_on_server(server, name),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Self::OnServer { server, name } = self {
            run_client("dropdb", &["--force", "--maintenance-db", server, name]);
        }
    }
}

#[cfg(feature = "postgres")]
fn open_on_server(server: &str, name: &str) -> Store {
    use haldir_store::postgres::PostgresSettings;

    let (address, _) = server.rsplit_once('/').unwrap();
    Store::open_postgres(PostgresSettings::parse(&format!("{address}/{name}")).unwrap()).unwrap()
}

#[cfg(not(feature = "postgres"))]
fn open_on_server(_: &str, _: &str) -> Store {
    panic!("{SERVER} is set, but this is built without the feature `postgres`")
}

/// Runs one of the programs that come with Postgres.
fn run_client(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(status.success(), "{program} {arguments:?}: {status}");
}

/// Runs `work` `times` times on each of two handles, all at once; returns what came of each.
pub async fn in_parallel<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    database: &Database,
    times: i64,
    work: impl Fn(Store, i64) -> F,
) -> Vec<T> {
    let stores = [database.open(), database.open()];
    let numbered = (0..times * 2).zip(stores.iter().cycle());
    let tasks: Vec<_> = numbered.map(|(number, store)| tokio::spawn(work(store.clone(), number))).collect();
    let outcomes = futures::future::join_all(tasks).await;
    outcomes.into_iter().map(|outcome| outcome.unwrap()).collect()
}

pub fn id(name: &str) -> SessionId {
    SessionId::parse(format!("ses_{name}")).unwrap()
}

pub fn dollars(amount: i32) -> Money {
    Money::from_units(amount)
}

/// A session that begins.
pub fn begun(name: &str, parent: Option<&str>) -> Arc<Session> {
    let agent = AgentId::parse("agent").unwrap();
    let session = Session::new(id(name), agent, Scopes::new([]), UnixMicros(1), "test".to_owned());
    Arc::new(Session { parent: parent.map(id), ..session })
}
