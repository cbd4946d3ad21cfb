//! Databases to test with, and records to put into them.

use std::{path::PathBuf, sync::Arc};

use haldir_core::model::{AgentId, Money, Scopes, Session, SessionId, UnixMicros};
use haldir_store::Store;

/// An empty database of the backend under test.
pub struct Database {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Database {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("h.db");
        Self { _folder: folder, path }
    }

    /// A handle, as another process has one.
    pub fn open(&self) -> Store {
        Store::open(&self.path).unwrap()
    }
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
