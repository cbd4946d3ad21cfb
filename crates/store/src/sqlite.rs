//! The embedded database: one writer thread with group commit, readers with their own connections.
//!
//! WAL with `synchronous=FULL`: what is acknowledged survives power loss. Connections live long, and the database is never
//! memory-mapped: with a connection per write and a large map, SQLite was seen to lose acknowledged writes between
//! processes.

mod appending;
mod approvals;
mod audit;
mod batch;
mod checkpoint;
mod compliance;
mod connection;
pub mod copying;
mod counters;
mod erasing;
mod flagged;
mod fold;
mod in_flight_calls;
mod inspection;
mod keys;
mod migrations;
mod payments;
mod policy_cache;
mod posting_lists;
mod proxy;
mod readers;
mod retention;
mod row_cache;
mod rows;
mod secrets;
mod sessions;
mod signing;
mod statements;
mod stats;
mod strict;
pub mod tampering;
mod tree;
mod usage;
mod webhooks;
mod write_buffer;
mod writer;

use std::{path::Path, sync::Arc};

use batch::Batch;
pub use inspection::Inspection;
pub use migrations::{Migration, MigrationState, Migrator};
use readers::{Readers, Snapshot};
use row_cache::{DatabaseVersion, RowCache};
use rusqlite::{CachedStatement, Connection};
use write_buffer::WriteBuffer;
use writer::Writer;

use super::{ReadTx, Tx};
use crate::error::{CoreError, CoreResult, Error, Result};

/// The embedded store.
#[derive(Clone)]
pub struct Sqlite {
    inner: Arc<Inner>,
}

struct Inner {
    readers: Readers,
    writer: Writer,
    row_cache: Arc<RowCache>,
}

/// The version of the SQLite library in this program.
pub fn version() -> &'static str {
    rusqlite::version()
}

/// Brings the schema of the database at `path` up to date; answers how many migrations that took. `progress` is told how many
/// are applied, of how many.
pub fn migrate(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<usize> {
    Migrator::new(&mut connection::open(path)?).up_telling(progress)
}

impl Sqlite {
    /// Opens or creates the database and brings its schema up to date.
    pub fn open(path: &Path) -> Result<Self> {
        let mut connection = connection::open(path)?;
        Migrator::new(&mut connection).up()?;
        connection::overwrite_deleted(&connection)?;
        let row_cache = Arc::new(RowCache::new(path));
        let writer = Writer::start(path, connection, Arc::clone(&row_cache))?;
        Ok(Self { inner: Arc::new(Inner { readers: Readers::new(path), writer, row_cache }) })
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Tx) -> CoreResult<T> + Send + 'static,
    ) -> CoreResult<T> {
        self.inner.writer.write(work).await
    }

    pub(super) fn write_behind(
        &self,
        work: impl FnOnce(&mut dyn Tx) -> CoreResult<()> + Send + 'static,
        failed: impl Fn(CoreError) + Send + Sync + 'static,
    ) {
        self.inner.writer.write_behind(work, failed);
    }

    pub(super) fn is_behind(&self) -> bool {
        self.inner.writer.is_behind()
    }

    pub(super) fn read<T>(&self, work: impl FnOnce(&dyn ReadTx) -> CoreResult<T>) -> CoreResult<T> {
        self.inner.readers.read(&self.inner.row_cache, work)
    }

    pub(super) fn close(&self) {
        self.inner.writer.close();
    }
}

/// A transaction on one connection. Reading and writing methods stand in the files named after their rooms.
#[derive(Clone, Copy)]
enum SqliteTx<'c> {
    Reader(&'c Snapshot<'c>),
    /// A connection that is in a read transaction already.
    Inspection(&'c Connection),
    Writer(&'c Batch),
}

impl SqliteTx<'_> {
    fn connection(&self) -> Result<&Connection> {
        match self {
            Self::Reader(snapshot) => snapshot.connection(),
            Self::Inspection(connection) => Ok(connection),
            Self::Writer(batch) => Ok(&batch.connection),
        }
    }

    /// The row cache, and the database version that this transaction may use it for.
    fn row_cache(&self) -> Option<(&RowCache, DatabaseVersion)> {
        match self {
            Self::Reader(snapshot) => snapshot.version.map(|version| (snapshot.row_cache, version)),
            Self::Inspection(_) => None,
            Self::Writer(batch) => batch.buffer.version.get().map(|version| (&*batch.row_cache, version)),
        }
    }

    /// The batch's write buffer; a reader has none.
    fn buffer_if_writer(&self) -> Option<&WriteBuffer> {
        if let Self::Writer(batch) = self { Some(&batch.buffer) } else { None }
    }

    /// The batch's write buffer. Only the writer hands out a transaction that can be written to.
    fn buffer(&self) -> Result<&WriteBuffer> {
        self.buffer_if_writer().ok_or_else(|| Error::internal("a reader cannot write"))
    }

    /// A statement that changes rows at once, not through the write buffer. Whether that clears the caches follows from
    /// its table ([`statements::changes_cached_table`]).
    fn change(&self, sql: &str) -> Result<CachedStatement<'_>> {
        let connection = if statements::changes_cached_table(sql) { self.any_change()? } else { self.savepoint()? };
        Ok(connection.prepare_cached(sql)?)
    }

    /// The connection, to change rows of any table at once: it clears all caches.
    fn any_change(&self) -> Result<&Connection> {
        let buffer = self.buffer()?;
        buffer.version.set(None);
        buffer.forget();
        self.savepoint()
    }

    /// The connection, with a savepoint that the job can go back to. A job that only puts rows into the write buffer needs
    /// none, and is spared the copies that SQLite makes of every page behind a savepoint.
    fn savepoint(&self) -> Result<&Connection> {
        let buffer = self.buffer()?;
        if !buffer.savepoint.get() {
            batch::execute(self.connection()?, "SAVEPOINT job")?;
            buffer.savepoint.set(true);
        }
        self.connection()
    }

    /// Lists are for readers: in the middle of a batch they would miss rows in the write buffer.
    fn require_reader(&self) -> Result<()> {
        if self.buffer_if_writer().is_none() {
            Ok(())
        } else {
            Err(Error::internal("rows of the write buffer are listed by readers only"))
        }
    }
}

impl Tx for SqliteTx<'_> {
    fn start_over(&mut self) -> Result<()> {
        let buffer = self.buffer()?;
        buffer.take_back_job();
        if buffer.savepoint.get() { batch::execute(self.connection()?, "ROLLBACK TO job") } else { Ok(()) }
    }

    fn as_read(&self) -> &dyn ReadTx {
        self
    }
}
