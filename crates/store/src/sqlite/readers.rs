//! Connections for reading. A read is a snapshot: it sees one state of the database from its first look to its
//! last. Its transaction begins at the first row that is not remembered ([`super::row_cache`]), if there is one.

use std::{
    cell::OnceCell,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, OpenFlags};

use super::{
    SqliteTx,
    batch::execute,
    connection,
    row_cache::{DatabaseVersion, RowCache},
};
use crate::{
    ReadTx,
    error::{CoreResult, Result},
};

/// Connections kept open between reads; a burst beyond it opens more and closes them again.
const MAX_IDLE: usize = 32;
/// KiB of pages that each of them keeps at most: of a log that is verified, 4,096 entries and what is said of them.
const CACHE_KIB: i64 = 4_096;

pub(super) struct Readers {
    path: PathBuf,
    // A std mutex: it is held for a push or a pop, never across a query.
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), idle: Mutex::default() }
    }

    pub(super) fn read<T>(
        &self,
        row_cache: &RowCache,
        work: impl FnOnce(&dyn ReadTx) -> CoreResult<T>,
    ) -> CoreResult<T> {
        let snapshot = Snapshot { readers: self, connection: OnceCell::new(), row_cache, version: row_cache.version() };
        let outcome = work(&SqliteTx::Reader(&snapshot));
        if let Some(connection) = snapshot.connection.into_inner() {
            // A connection whose transaction does not end is dropped, not kept: its lock would hold back the log.
            execute(&connection, "COMMIT")?;
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < MAX_IDLE {
                idle.push(connection);
            }
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
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        Ok(connection)
    }
}

/// A read: its connection, once it needs one.
pub(super) struct Snapshot<'r> {
    readers: &'r Readers,
    connection: OnceCell<Connection>,
    pub(super) row_cache: &'r RowCache,
    /// As it was before the transaction began.
    pub(super) version: Option<DatabaseVersion>,
}

impl Snapshot<'_> {
    /// The connection, in its transaction.
    pub(super) fn connection(&self) -> Result<&Connection> {
        if let Some(connection) = self.connection.get() {
            return Ok(connection);
        }
        let connection = self.readers.take()?;
        execute(&connection, "BEGIN")?;
        Ok(self.connection.get_or_init(|| connection))
    }
}
