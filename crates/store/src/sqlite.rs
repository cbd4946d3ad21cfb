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
mod folding;
mod inspection;
mod keys;
mod looked_up;
mod memo;
mod migrations;
mod open_calls;
mod payments;
mod pending;
mod postings;
mod proxy;
mod readers;
mod retention;
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
mod writer;

use std::{path::Path, sync::Arc};

use batch::Batch;
pub use inspection::Inspection;
use memo::{Memo, State};
pub use migrations::{Migration, MigrationState, Migrator};
use pending::Pending;
use readers::{Readers, Snapshot};
use rusqlite::Connection;
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
    memo: Arc<Memo>,
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
        let memo = Arc::new(Memo::new(path));
        let writer = Writer::start(path, connection, Arc::clone(&memo))?;
        Ok(Self { inner: Arc::new(Inner { readers: Readers::new(path), writer, memo }) })
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
        self.inner.readers.read(&self.inner.memo, work)
    }

    pub(super) fn close(&self) {
        self.inner.writer.close();
    }
}

/// A transaction on one connection. Reading and writing methods stand in the files named after their rooms.
#[derive(Clone, Copy)]
enum SqliteTx<'c> {
    Reader(&'c Snapshot<'c>),
    /// A connection that is in a transaction already, to look only.
    Open(&'c Connection),
    Writer(&'c Batch),
}

impl SqliteTx<'_> {
    fn connection(&self) -> Result<&Connection> {
        match self {
            Self::Reader(snapshot) => snapshot.connection(),
            Self::Open(connection) => Ok(connection),
            Self::Writer(batch) => Ok(&batch.connection),
        }
    }

    /// The memo, and the state that this transaction may use it for.
    fn memo(&self) -> Option<(&Memo, State)> {
        match self {
            Self::Reader(snapshot) => snapshot.state.map(|state| (snapshot.memo, state)),
            Self::Open(_) => None,
            Self::Writer(batch) => batch.pending.state.get().map(|state| (&*batch.memo, state)),
        }
    }

    /// The batch's held rows; a reader has none.
    fn held(&self) -> Option<&Pending> {
        if let Self::Writer(batch) = self { Some(&batch.pending) } else { None }
    }

    /// The batch's held rows. Only the writer hands out a transaction that can be written to.
    fn pending(&self) -> Result<&Pending> {
        self.held().ok_or_else(|| Error::internal("a reader cannot write"))
    }

    /// The connection, to change a row at once. The job then has a savepoint to go back to; one that only puts rows
    /// on hold needs none, and is spared the copies that SQLite makes of every page behind a savepoint.
    fn writable(&self) -> Result<&Connection> {
        let pending = self.pending()?;
        pending.state.set(None);
        pending.forget();
        self.aside()
    }

    /// As [`Self::writable`], for rows that are neither held nor remembered: what is known of others stays known.
    fn aside(&self) -> Result<&Connection> {
        let pending = self.pending()?;
        if !pending.savepoint.get() {
            batch::execute(self.connection()?, "SAVEPOINT job")?;
            pending.savepoint.set(true);
        }
        self.connection()
    }

    /// Lists of what is held are for readers: in the middle of a batch they would miss some.
    fn require_reader(&self) -> Result<()> {
        if self.held().is_none() {
            Ok(())
        } else {
            Err(Error::internal("what a batch holds is listed by readers only"))
        }
    }
}

impl Tx for SqliteTx<'_> {
    fn start_over(&mut self) -> Result<()> {
        let pending = self.pending()?;
        pending.take_back_job();
        if pending.savepoint.get() { batch::execute(self.connection()?, "ROLLBACK TO job") } else { Ok(()) }
    }

    fn as_read(&self) -> &dyn ReadTx {
        self
    }
}
