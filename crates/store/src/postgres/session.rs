//! A connection of the network: how statements are prepared, sent and waited for.
//!
//! The calling thread waits; the socket is served by the threads of [`super::server::Server`]. Statements are sent in the order of the calls, and
//! their results arrive in that order.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    future::Future,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt, executor::block_on, future::BoxFuture};
use tokio::runtime::Handle;
use tokio_postgres::{
    Client, Statement,
    types::{ToSql, Type},
};

use super::{
    dialect,
    failure::Failure,
    values::{OwnedValue, owned, type_of},
};
use crate::database::Params;

/// Statements that may be on their way before the first of them is waited for.
const MAX_SENT: usize = 4_096;

/// Rows that one statement writes, at most: a power of two.
pub(super) const MAX_ROWS: usize = 64;

type Result<T> = std::result::Result<T, Failure>;

/// A statement on its way; what it returns is how many rows it changed.
type Sent = BoxFuture<'static, std::result::Result<u64, tokio_postgres::Error>>;

pub(super) struct Session {
    client: Arc<Client>,
    /// Whether statements may be prepared by name.
    named: bool,
    statements: RefCell<HashMap<String, Prepared>>,
    /// Statements that were sent and not waited for.
    sent: RefCell<VecDeque<Sent>>,
    /// Rows that are to be sent together, before anything else.
    gathered: RefCell<Option<Gathered>>,
    /// How long an answer may take, after which the connection counts as lost, and the runtime that measures it.
    answer_limit: Option<(Handle, Duration)>,
}

/// Rows of one statement.
struct Gathered {
    sql: String,
    types: Vec<Type>,
    count: usize,
    values: Vec<OwnedValue>,
}

#[derive(Clone)]
enum Prepared {
    Named(Statement),
    /// Where a pool in front of the database would give the next transaction another connection.
    Unnamed(Arc<str>, Arc<[Type]>),
}

impl Session {
    pub(super) fn new(client: Client, named: bool, answer_limit: Option<(Handle, Duration)>) -> Self {
        Self {
            client: Arc::new(client),
            named,
            statements: RefCell::default(),
            sent: RefCell::default(),
            gathered: RefCell::default(),
            answer_limit,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs a statement and waits for it; returns how many rows it changed.
    pub(super) fn execute(&self, sql: &str, params: Params<'_>) -> Result<u64> {
        self.flush()?;
        let statement = self.statement(sql, params)?;
        self.wait_for(statement)
    }

    /// Sends a statement; a later one, or [`Self::settle`], waits for it and returns its failure.
    pub(super) fn send(&self, sql: &str, params: Params<'_>) -> Result<()> {
        self.flush()?;
        let statement = self.statement(sql, params)?;
        self.push(statement)
    }

    /// Sends one of several rows that one statement writes: see [`crate::database::Connection::send_row`].
    pub(super) fn send_row(&self, sql: &str, params: Params<'_>) -> Result<()> {
        let values = owned(params)?;
        if let Some(gathered) = self.gathered.borrow_mut().as_mut().filter(|gathered| gathered.sql == sql) {
            gathered.count += 1;
            gathered.values.extend(values);
            return Ok(());
        }
        self.flush()?;
        let types = types_of(params);
        *self.gathered.borrow_mut() = Some(Gathered { sql: sql.to_owned(), types, count: 1, values });
        Ok(())
    }

    /// Sends the rows that are gathered. Their numbers are powers of two, so that few statements are prepared.
    fn flush(&self) -> Result<()> {
        let Some(gathered) = self.gathered.take() else { return Ok(()) };
        let Gathered { sql, types, mut count, values } = gathered;
        let mut values = values.into_iter();
        while count > 0 {
            let power = 1 << count.min(MAX_ROWS).ilog2();
            let several = if power > 1 { self.prepare_many(&sql, &types, power)? } else { None };
            let (prepared, rows) = match several {
                Some(prepared) => (prepared, power),
                None => (self.prepare(&sql, types.clone())?, 1),
            };
            let values = values.by_ref().take(rows * types.len()).collect();
            self.push(self.start(prepared, values))?;
            count -= rows;
        }
        Ok(())
    }

    fn push(&self, mut statement: Sent) -> Result<()> {
        // Polled once, it is sent.
        if let Some(outcome) = statement.as_mut().now_or_never() {
            outcome?;
            return Ok(());
        }
        let mut sent = self.sent.borrow_mut();
        sent.push_back(statement);
        if sent.len() <= MAX_SENT {
            return Ok(());
        }
        drop(sent);
        self.settle_sent()
    }

    /// The rows of a query.
    pub(super) fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<tokio_postgres::Row>> {
        self.flush()?;
        let prepared = self.prepare(sql, types_of(params))?;
        let params = owned(params)?;
        let params: Vec<_> = params.iter().map(|param| param as &(dyn ToSql + Sync)).collect();
        self.wait_for(async {
            match &prepared {
                Prepared::Named(statement) => self.client.query(statement, &params).await,
                Prepared::Unnamed(text, types) => {
                    let params: Vec<_> = params.iter().copied().zip(types.iter().cloned()).collect();
                    self.client.query_typed(text, &params).await
                }
            }
        })
    }

    /// Waits for what was sent; returns the first failure.
    pub(super) fn settle(&self) -> Result<()> {
        let flushed = self.flush();
        self.settle_sent().and(flushed)
    }

    fn settle_sent(&self) -> Result<()> {
        let sent = self.sent.take();
        let outcomes: Vec<_> = sent.into_iter().map(|statement| self.wait(statement)).collect();
        outcomes.into_iter().try_for_each(|outcome| outcome.map(drop))
    }

    fn wait<T>(&self, work: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>) -> Result<T> {
        let Some((runtime, limit)) = &self.answer_limit else { return Ok(block_on(work)?) };
        let _entered = runtime.enter();
        Ok(block_on(tokio::time::timeout(*limit, work)).map_err(|_| Failure::lost())??)
    }

    /// Sends a statement behind all that were sent before, and waits for all.
    fn wait_for<T>(&self, work: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>) -> Result<T> {
        let mut work = pin!(work);
        let early = work.as_mut().now_or_never();
        self.settle_sent()?;
        match early {
            Some(outcome) => Ok(outcome?),
            None => self.wait(work),
        }
    }

    /// A statement that is sent once it is polled.
    fn statement(&self, sql: &str, params: Params<'_>) -> Result<Sent> {
        let client = Arc::clone(&self.client);
        if is_control(sql) {
            let sql = sql.to_owned();
            return Ok(Box::pin(async move { client.batch_execute(&sql).await.map(|()| 0) }));
        }
        let prepared = self.prepare(sql, types_of(params))?;
        Ok(self.start(prepared, owned(params)?))
    }

    fn start(&self, prepared: Prepared, params: Vec<OwnedValue>) -> Sent {
        let client = Arc::clone(&self.client);
        Box::pin(async move {
            match prepared {
                Prepared::Named(statement) => client.execute_raw(&statement, &params).await,
                Prepared::Unnamed(text, types) => {
                    let params = params.iter().map(|param| param as &(dyn ToSql + Sync));
                    client.execute_typed(&text, &params.zip(types.iter().cloned()).collect::<Vec<_>>()).await
                }
            }
        })
    }

    /// A statement for one row, or for what has none.
    fn prepare(&self, sql: &str, types: Vec<Type>) -> Result<Prepared> {
        if let Some(known) = self.statements.borrow().get(sql) {
            return Ok(known.clone());
        }
        self.prepare_as(sql, dialect::translate(sql), types)
    }

    /// A statement for several rows; `None` if there is none.
    fn prepare_many(&self, sql: &str, types: &[Type], count: usize) -> Result<Option<Prepared>> {
        let name = format!("{count} rows: {sql}");
        if let Some(known) = self.statements.borrow().get(&name) {
            return Ok(Some(known.clone()));
        }
        let Some(text) = dialect::translate_many(sql, count, types.len()) else { return Ok(None) };
        let types = types.iter().cycle().take(count * types.len()).cloned().collect();
        self.prepare_as(&name, text, types).map(Some)
    }

    fn prepare_as(&self, name: &str, text: String, types: Vec<Type>) -> Result<Prepared> {
        let prepared = if self.named {
            Prepared::Named(self.wait_for(self.client.prepare_typed(&text, &types))?)
        } else {
            Prepared::Unnamed(text.into(), types.into())
        };
        self.statements.borrow_mut().insert(name.to_owned(), prepared.clone());
        Ok(prepared)
    }
}

fn types_of(params: Params<'_>) -> Vec<Type> {
    params.iter().map(|param| type_of(param.column_type())).collect()
}

/// Statements that control a transaction. They have no parameters and are not prepared.
fn is_control(sql: &str) -> bool {
    ["BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK"].iter().any(|verb| sql.starts_with(verb))
}
