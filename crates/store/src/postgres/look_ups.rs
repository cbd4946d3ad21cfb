//! Look-ups of single rows, which every call begins with. All calls of the process send theirs on one connection, without waiting for
//! each other's answers and without a transaction, and no thread waits: with a connection and a thread for each, 32 clients got 0.77
//! to 0.81 of the writes a second.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tokio_postgres::{
    Client, Statement,
    types::{ToSql, Type},
};

use super::{
    dialect,
    failure::Failure,
    server::{Server, UNREACHABLE},
    values::{self, OwnedValue, owned, type_of},
};
use crate::{
    ReadTx,
    database::{Connection, Params, Row},
    error::{Code, CoreError, CoreResult, Error, Result},
    model::TenantId,
};

/// Statements of one look-up, at most.
const MAX_STATEMENTS: usize = 8;

/// The connection that look-ups share; it is opened when it is needed.
pub(crate) struct LookUps {
    server: Arc<Server>,
    shared: Mutex<Option<Arc<Shared>>>,
    /// When the last attempt to connect failed. Held while connecting.
    failed_at: tokio::sync::Mutex<Option<Instant>>,
}

struct Shared {
    client: Client,
    /// Whether statements may be prepared by name.
    named: bool,
    statements: Mutex<HashMap<String, Statement>>,
}

impl LookUps {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server, shared: Mutex::default(), failed_at: tokio::sync::Mutex::default() }
    }

    /// Runs `work`, each of whose statements sees what was committed before it. Where a row is wanted that is not there yet, `work`
    /// runs again once it is.
    pub(crate) async fn run<T: Send>(&self, mut work: impl FnMut(&ReadTx) -> CoreResult<T> + Send) -> CoreResult<T> {
        let notes = Arc::<Mutex<Notes>>::default();
        for _ in 0..=MAX_STATEMENTS {
            let outcome = work(&ReadTx::on(Box::new(LookUp(Arc::clone(&notes)))));
            // Whatever `work` made of the missing row is dropped.
            let Some(query) = notes.lock().unwrap_or_else(PoisonError::into_inner).wanted.take() else {
                return outcome;
            };
            drop(outcome);
            let rows = self.rows(&query).await.map_err(|failure| CoreError::from(failure.error))?;
            notes.lock().unwrap_or_else(PoisonError::into_inner).found.push((query, Arc::new(rows)));
        }
        Err(CoreError::internal("a look-up has too many statements"))
    }

    async fn rows(&self, query: &Query) -> std::result::Result<Vec<tokio_postgres::Row>, Failure> {
        let shared = self.connected().await?;
        let values = query.values.iter().map(|value| value as &(dyn ToSql + Sync));
        if !shared.named {
            let values: Vec<_> = values.zip(query.types.iter().cloned()).collect();
            return Ok(shared.client.query_typed(&dialect::translate(&query.sql), &values).await?);
        }
        let values: Vec<_> = values.collect();
        let statement = shared.prepared(query).await?;
        Ok(shared.client.query(&statement, &values).await?)
    }

    fn open(&self) -> Option<Arc<Shared>> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.as_ref().filter(|shared| !shared.client.is_closed()).cloned()
    }

    async fn connected(&self) -> Result<Arc<Shared>> {
        if let Some(shared) = self.open() {
            return Ok(shared);
        }
        let arrived = Instant::now();
        let mut failed_at = self.failed_at.lock().await;
        if let Some(shared) = self.open() {
            return Ok(shared);
        }
        // Many that wait for the same attempt fail together, not one attempt after the other.
        if failed_at.is_some_and(|at| at >= arrived) {
            return Err(Error::new(Code::Unavailable, UNREACHABLE));
        }
        let server = Arc::clone(&self.server);
        let connected = tokio::task::spawn_blocking(move || server.connect()).await.map_err(Error::internal)?;
        *failed_at = connected.is_err().then(Instant::now);
        let (client, named) = connected.map_err(|failure| failure.error)?;
        let shared = Arc::new(Shared { client, named, statements: Mutex::default() });
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&shared));
        Ok(shared)
    }
}

impl Shared {
    async fn prepared(&self, query: &Query) -> std::result::Result<Statement, Failure> {
        let known = self.statements.lock().unwrap_or_else(PoisonError::into_inner).get(&query.sql).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let statement = self.client.prepare_typed(&dialect::translate(&query.sql), &query.types).await?;
        let mut statements = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(statements.entry(query.sql.clone()).or_insert(statement).clone())
    }
}

/// A statement and its values.
#[derive(PartialEq)]
struct Query {
    sql: String,
    types: Vec<Type>,
    values: Vec<OwnedValue>,
}

/// What a look-up has found so far, and what it wants next.
#[derive(Default)]
struct Notes {
    found: Vec<(Query, Arc<Vec<tokio_postgres::Row>>)>,
    wanted: Option<Query>,
}

/// A connection that has the rows which were found.
struct LookUp(Arc<Mutex<Notes>>);

fn only_looks_up<T>() -> Result<T> {
    Err(Error::internal("a look-up was to do something else than to read rows"))
}

impl Connection for LookUp {
    fn query(&self, sql: &str, params: Params<'_>, each: &mut dyn FnMut(&dyn Row) -> Result<bool>) -> Result<()> {
        let types = params.iter().map(|param| type_of(param.column_type())).collect();
        let query = Query { sql: sql.to_owned(), types, values: owned(params)? };
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = notes.found.iter().find(|(found, _)| *found == query).map(|(_, rows)| Arc::clone(rows));
        let Some(rows) = found else {
            notes.wanted.get_or_insert(query);
            return Err(Error::new(Code::Unavailable, "a row is not there yet"));
        };
        drop(notes);
        for row in &*rows {
            if !each(&values::Columns::of(row))? {
                break;
            }
        }
        Ok(())
    }

    fn in_transaction(&self) -> bool {
        false
    }

    fn execute(&self, _sql: &str, _params: Params<'_>) -> Result<usize> {
        only_looks_up()
    }

    fn begin_read(&self) -> Result<()> {
        only_looks_up()
    }

    fn end_read(&self) -> Result<()> {
        only_looks_up()
    }

    fn begin_write(&self, _tenants: &[TenantId]) -> Result<()> {
        only_looks_up()
    }

    fn commit(&self) -> Result<()> {
        only_looks_up()
    }

    fn overwrite_freed(&self, _on: bool) -> Result<()> {
        only_looks_up()
    }
}
