//! Connections for reading, kept open between reads.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    ReadTx,
    database::Connection,
    error::{CoreResult, Result},
    row_cache::RowCache,
};

/// Connections kept open between reads; a burst beyond it opens more and closes them again.
const MAX_IDLE: usize = 32;

/// Opens a connection that cannot write.
pub(crate) type Open = Box<dyn Fn() -> Result<Box<dyn Connection>> + Send + Sync>;

pub(crate) struct Readers {
    open: Open,
    // A std mutex: it is held for a push or a pop, never across a query.
    idle: Mutex<Vec<Box<dyn Connection>>>,
}

impl Readers {
    pub(crate) fn new(open: Open) -> Self {
        Self { open, idle: Mutex::default() }
    }

    pub(crate) fn read<T>(
        self: &Arc<Self>,
        row_cache: &Arc<RowCache>,
        work: impl FnOnce(&ReadTx) -> CoreResult<T>,
    ) -> CoreResult<T> {
        let tx = ReadTx::reader(Arc::clone(self), Arc::clone(row_cache));
        let outcome = work(&tx);
        if let Some(connection) = tx.into_connection() {
            // A connection whose transaction does not end is dropped, not kept: its lock would hold back the log.
            connection.execute("COMMIT", &[])?;
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < MAX_IDLE {
                idle.push(connection);
            }
        }
        outcome
    }

    /// A connection in a transaction of its own.
    pub(crate) fn begin(&self) -> Result<Box<dyn Connection>> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = idle.map_or_else(&self.open, Ok)?;
        connection.begin(false)?;
        Ok(connection)
    }
}
