//! A batch: jobs that run one after the other in one transaction, each so that neither its error nor its panic touches
//! the others, and are committed together.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use rusqlite::Connection;

use super::{SqliteTx, row_cache::RowCache, write_buffer::WriteBuffer};
use crate::{
    Tx,
    error::{Code, CoreError, CoreResult, Error, Result},
    metrics::METRICS,
};

/// Where jobs run.
pub(super) struct Batch {
    pub(super) connection: Connection,
    pub(super) buffer: WriteBuffer,
    pub(super) row_cache: Arc<RowCache>,
    /// Whether a transaction that must not be committed is still open.
    broken: Cell<bool>,
}

impl Batch {
    pub(super) fn new(connection: Connection, row_cache: Arc<RowCache>) -> Self {
        Self { connection, buffer: WriteBuffer::default(), row_cache, broken: Cell::default() }
    }

    /// Begins a transaction, once other processes let it.
    pub(super) fn begin(&self) -> Result<()> {
        if self.broken.get() && execute(&self.connection, "ROLLBACK").is_ok() {
            self.broken.set(false);
        }
        execute(&self.connection, "BEGIN IMMEDIATE")?;
        self.buffer.begin(self.row_cache.version());
        Ok(())
    }

    /// Commits what jobs have done. If this fails, nothing of it stands.
    pub(super) fn commit(&self) -> Result<()> {
        if !self.is_open() {
            self.buffer.take_back();
            return Err(not_written());
        }
        let written = catch_unwind(AssertUnwindSafe(|| self.buffer.write(&self.connection)))
            .unwrap_or_else(|_| Err(Error::internal("writing a batch panicked")));
        let begun = Instant::now();
        let committed = written.and_then(|()| execute(&self.connection, "COMMIT"));
        METRICS.sync_time.observe_time(begun.elapsed());
        if committed.is_ok() {
            self.cache();
        } else {
            self.buffer.take_back();
            self.roll_back();
        }
        committed
    }

    /// Forgets what jobs have put, after the batch.
    pub(super) fn clear(&self) {
        self.buffer.clear();
    }

    /// What the committed batch has left in its rows is cached from now on.
    fn cache(&self) {
        let carried = self.buffer.version.get().and_then(|before| {
            let (logged, spent) = (self.buffer.logged.values(), self.buffer.spent.values());
            let logged = logged.iter().map(|(key, added)| (&key.1, *added));
            self.row_cache.carry(before, logged, spent.iter().map(|(key, spent)| (&key.1, *spent)))
        });
        carried.map_or_else(|| self.buffer.forget(), |after| self.buffer.cache(after));
    }

    /// SQLite ends a transaction by itself when the disk is full or fails: then nothing of the batch stands.
    pub(super) fn is_open(&self) -> bool {
        !self.connection.is_autocommit() && !self.broken.get()
    }

    /// Runs one job so that neither its error nor its panic touches the rest of the batch.
    pub(super) fn run_job<T>(&self, work: impl FnOnce(&mut dyn Tx) -> CoreResult<T>) -> CoreResult<T> {
        if !self.is_open() {
            return Err(not_written().into());
        }
        let Self { connection, buffer, .. } = self;
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut SqliteTx::Writer(self))))
            .unwrap_or_else(|_| Err(CoreError::internal("a write panicked")));
        if outcome.is_ok() {
            buffer.keep_job();
        } else {
            buffer.take_back_job();
        }
        if buffer.savepoint.take() && self.is_open() {
            let undone = if outcome.is_err() { execute(connection, "ROLLBACK TO job") } else { Ok(()) };
            if let Err(error) = undone.and_then(|()| execute(connection, "RELEASE job")) {
                // What of this job stands is unknown: nothing of the whole batch may.
                tracing::error!(%error, "a savepoint failed; nothing of its batch is written");
                self.give_up();
                return Err(not_written().into());
            }
        }
        outcome
    }

    /// Ends the transaction: what was done in it does not stand.
    fn give_up(&self) {
        if !self.roll_back() {
            // Still open, it cannot be committed: see `is_open`.
            self.broken.set(true);
        }
    }

    /// Whether no transaction is open any more. SQLite may have ended it already: that is no fault to be told of.
    fn roll_back(&self) -> bool {
        if self.connection.is_autocommit() {
            return true;
        }
        let undone = execute(&self.connection, "ROLLBACK");
        undone.inspect_err(|error| tracing::error!(%error, "a transaction could not be rolled back")).is_ok()
    }
}

fn not_written() -> Error {
    Error::new(Code::Unavailable, "the store could not write; nothing was changed")
}

pub(super) fn execute(connection: &Connection, sql: &str) -> Result<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_cannot_be_taken_back_takes_its_whole_batch_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("h.db");
        let connection = Connection::open(&path).unwrap();
        execute(&connection, "CREATE TABLE t (n INTEGER)").unwrap();
        let batch = Batch::new(connection, Arc::new(RowCache::new(&path)));
        let insert = |n: i64| {
            execute(&batch.connection, "SAVEPOINT job").unwrap();
            batch.buffer.savepoint.set(true);
            batch.connection.execute("INSERT INTO t VALUES (?1)", [n]).unwrap();
        };
        let rows = || batch.connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap();
        execute(&batch.connection, "BEGIN IMMEDIATE").unwrap();
        batch
            .run_job(|_| {
                insert(1);
                Ok(())
            })
            .unwrap();
        // It fails, and its savepoint is not there any more.
        let lost = batch.run_job(|_| {
            insert(2);
            execute(&batch.connection, "RELEASE job")?;
            Err::<(), _>(CoreError::internal("no"))
        });
        assert_eq!(lost.unwrap_err().code, Code::Unavailable);
        assert!(!batch.is_open() && rows() == 0, "what was half done stands");
        assert_eq!(batch.run_job(|_| Ok(())).unwrap_err().code, Code::Unavailable, "the batch goes on");
        // One that even cannot be rolled back is never committed.
        batch.broken.set(true);
        execute(&batch.connection, "BEGIN IMMEDIATE").unwrap();
        assert!(!batch.is_open());
    }
}
