//! A connection of the network: how statements are prepared, sent and waited for.
//!
//! The calling thread waits; the socket is served by the threads of [`super::Server`]. Statements are sent in the order of the calls, and
//! their results arrive in that order.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    future::Future,
    pin::pin,
    sync::Arc,
};

use futures::{FutureExt, executor::block_on, future::BoxFuture};
use tokio_postgres::{
    Client, Statement,
    types::{ToSql, Type},
};

use super::{
    dialect,
    failure::Failure,
    values::{owned, type_of},
};
use crate::database::Params;

/// Statements that may be on their way before the first of them is waited for.
const MAX_SENT: usize = 4_096;

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
}

#[derive(Clone)]
enum Prepared {
    Named(Statement),
    /// Where a pool in front of the database would give the next transaction another connection.
    Unnamed(Arc<str>, Arc<[Type]>),
}

impl Session {
    pub(super) fn new(client: Client, named: bool) -> Self {
        Self { client: Arc::new(client), named, statements: RefCell::default(), sent: RefCell::default() }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs a statement and waits for it; returns how many rows it changed.
    pub(super) fn execute(&self, sql: &str, params: Params<'_>) -> Result<u64> {
        let statement = self.statement(sql, params)?;
        self.wait_for(statement)
    }

    /// Sends a statement; a later one, or [`Self::settle`], waits for it and returns its failure.
    pub(super) fn send(&self, sql: &str, params: Params<'_>) -> Result<()> {
        let mut statement = self.statement(sql, params)?;
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
        self.settle()
    }

    /// The rows of a query.
    pub(super) fn rows(&self, sql: &str, params: Params<'_>) -> Result<Vec<tokio_postgres::Row>> {
        let prepared = self.prepare(sql, params)?;
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
        let sent = self.sent.take();
        let outcomes: Vec<_> = sent.into_iter().map(block_on).collect();
        Ok(outcomes.into_iter().try_for_each(|outcome| outcome.map(drop))?)
    }

    /// Sends a statement behind all that were sent before, and waits for all.
    fn wait_for<T>(&self, work: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>) -> Result<T> {
        let mut work = pin!(work);
        let early = work.as_mut().now_or_never();
        self.settle()?;
        Ok(match early {
            Some(outcome) => outcome?,
            None => block_on(work)?,
        })
    }

    /// A statement that is sent once it is polled.
    fn statement(&self, sql: &str, params: Params<'_>) -> Result<Sent> {
        let client = Arc::clone(&self.client);
        if is_control(sql) {
            let sql = sql.to_owned();
            return Ok(Box::pin(async move { client.batch_execute(&sql).await.map(|()| 0) }));
        }
        let prepared = self.prepare(sql, params)?;
        let params = owned(params)?;
        Ok(Box::pin(async move {
            match prepared {
                Prepared::Named(statement) => client.execute_raw(&statement, &params).await,
                Prepared::Unnamed(text, types) => {
                    let params = params.iter().map(|param| param as &(dyn ToSql + Sync));
                    client.execute_typed(&text, &params.zip(types.iter().cloned()).collect::<Vec<_>>()).await
                }
            }
        }))
    }

    fn prepare(&self, sql: &str, params: Params<'_>) -> Result<Prepared> {
        if let Some(known) = self.statements.borrow().get(sql) {
            return Ok(known.clone());
        }
        let text = dialect::translate(sql);
        let types: Vec<Type> = params.iter().map(|param| type_of(param.column_type())).collect();
        let prepared = if self.named {
            Prepared::Named(self.wait_for(self.client.prepare_typed(&text, &types))?)
        } else {
            Prepared::Unnamed(text.into(), types.into())
        };
        self.statements.borrow_mut().insert(sql.to_owned(), prepared.clone());
        Ok(prepared)
    }
}

/// Statements that control a transaction. They have no parameters and are not prepared.
fn is_control(sql: &str) -> bool {
    ["BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "ROLLBACK"].iter().any(|verb| sql.starts_with(verb))
}
