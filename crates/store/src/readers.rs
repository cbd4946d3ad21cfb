//! Connections for reading, kept open between reads.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    ReadTx,
    database::Connection,
    error::{Code, CoreResult, Error, Result},
    row_cache::RowCache,
};

/// Connections kept open between reads, unless more are open from the start; a burst beyond it opens more and closes them again.
const MAX_IDLE: usize = 32;
/// How long a read waits for a connection where their number is limited.
const CONNECTION_LIMIT: Duration = Duration::from_secs(10);

/// Opens a connection that cannot write.
pub(crate) type Open = Box<dyn Fn() -> Result<Box<dyn Connection>> + Send + Sync>;

pub(crate) struct Readers {
    open: Open,
    most: usize,
    keep: usize,
    // A std mutex: it is held for a push or a pop, never across a query.
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Box<dyn Connection>>,
    in_use: usize,
}

/// One of the connections that may be in use.
pub(crate) struct Lease(Arc<Readers>);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.pool.lock().unwrap_or_else(PoisonError::into_inner).in_use -= 1;
        self.0.returned.notify_one();
    }
}

impl Readers {
    /// With at most `most` connections in use at a time; `None` is as many as there are reads. `least` are open from the start.
    pub(crate) fn new(open: Open, most: Option<usize>, least: usize) -> Self {
        let most = most.unwrap_or(usize::MAX).max(1);
        let (keep, pool) = (MAX_IDLE.max(least), Mutex::default());
        let readers = Self { open, most, keep, pool, returned: Condvar::new() };
        if let Err(error) = readers.open_ahead(least.min(most)) {
            // A read opens its connection itself, if it has to.
            tracing::warn!(%error, least, "fewer connections for reading are open than were to be");
        }
        readers
    }

    /// Opens connections that no read needs yet.
    fn open_ahead(&self, count: usize) -> Result<()> {
        for _ in 0..count {
            let connection = (self.open)()?;
            connection.begin_read()?;
            connection.end_read()?;
            self.pool.lock().unwrap_or_else(PoisonError::into_inner).idle.push(connection);
        }
        Ok(())
    }

    pub(crate) fn read<T>(
        self: &Arc<Self>,
        row_cache: &Arc<RowCache>,
        work: impl FnOnce(&ReadTx) -> CoreResult<T>,
    ) -> CoreResult<T> {
        let tx = ReadTx::reader(Arc::clone(self), Arc::clone(row_cache));
        let outcome = work(&tx);
        if let Some((connection, _lease)) = tx.into_connection() {
            // A connection whose transaction does not end is dropped, not kept: its lock would hold back the log.
            let has_ended = connection.end_read().inspect_err(|error| tracing::warn!(%error, "a read did not end"));
            let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
            if has_ended.is_ok() && pool.idle.len() < self.keep {
                pool.idle.push(connection);
            }
        }
        outcome
    }

    /// A connection in a transaction of its own.
    pub(crate) fn begin(self: &Arc<Self>) -> Result<(Box<dyn Connection>, Lease)> {
        let pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.returned.wait_timeout_while(pool, CONNECTION_LIMIT, |pool| pool.in_use >= self.most);
        let (mut pool, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(Error::new(Code::Unavailable, "all connections to the database are in use; try again"));
        }
        pool.in_use += 1;
        let lease = Lease(Arc::clone(self));
        let idle = pool.idle.pop();
        drop(pool);
        let connection = idle.map_or_else(&self.open, Ok)?;
        connection.begin_read()?;
        Ok((connection, lease))
    }
}
