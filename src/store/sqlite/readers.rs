//! Connections for reading. A read is a snapshot: it sees one state of the database from its first look to its last.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, OpenFlags};

use super::{SqliteTx, connection};
use crate::{error::Result, store::ReadTx};

/// Connections kept open between reads; a burst beyond it opens more and closes them again.
const MAX_IDLE: usize = 32;

pub(super) struct Readers {
    path: PathBuf,
    // A std mutex: it is held for a push or a pop, never across a query.
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), idle: Mutex::default() }
    }

    pub(super) fn read<T>(&self, work: impl FnOnce(&dyn ReadTx) -> Result<T>) -> Result<T> {
        let connection = self.take()?;
        connection.prepare_cached("BEGIN")?.execute([])?;
        let outcome = work(&SqliteTx { connection: &connection, pending: None });
        // A connection whose transaction does not end is dropped, not kept: its lock would hold back the log.
        connection.prepare_cached("COMMIT")?.execute([])?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
        outcome
    }

    fn take(&self) -> Result<Connection> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(connection) = idle {
            return Ok(connection);
        }
        // Readers of a write-ahead log write its index of marks, so the file cannot be opened read-only.
        let connection = connection::connect(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }
}
