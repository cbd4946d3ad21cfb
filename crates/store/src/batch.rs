//! A batch: jobs that run one after the other in one transaction, each so that neither its error nor its panic touches
//! the others, and are committed together.

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, LazyLock},
    time::Instant,
};

use crate::{
    Tx,
    database::{Connection, Retry},
    error::{Code, CoreError, CoreResult, Error, Result},
    metrics::METRICS,
    model::TenantId,
    row_cache::RowCache,
};

/// Where jobs run.
pub(crate) struct Batch {
    tx: Tx,
    row_cache: Arc<RowCache>,
    /// Whether a transaction that must not be committed is still open.
    broken: bool,
}

impl Batch {
    pub(crate) fn new(connection: Box<dyn Connection>, row_cache: Arc<RowCache>) -> Self {
        Self { tx: Tx::new(connection, Arc::clone(&row_cache)), row_cache, broken: false }
    }

    /// The connection that the batches are written on.
    pub(crate) fn connection(&self) -> Result<&dyn Connection> {
        self.tx.connection()
    }

    /// Begins a transaction for writes of these tenants, once other processes let it.
    pub(crate) fn begin(&mut self, tenants: &[TenantId]) -> Result<()> {
        if self.broken && self.tx.control("ROLLBACK").is_ok() {
            self.broken = false;
        }
        self.tx.begin_batch(tenants)
    }

    /// Commits what jobs have done. If this fails, nothing of it stands.
    pub(crate) fn commit(&self) -> Result<()> {
        let buffer = self.tx.buffer();
        if !self.is_open() {
            buffer.take_back();
            return Err(not_written());
        }
        let written = catch_unwind(AssertUnwindSafe(|| buffer.write(self.connection()?)))
            .unwrap_or_else(|_| Err(Error::internal("writing a batch panicked")));
        let begun = Instant::now();
        let committed = written.and_then(|()| self.connection()?.commit());
        METRICS.sync_time.observe_time(begun.elapsed());
        if committed.is_ok() {
            self.cache();
        } else {
            buffer.take_back();
            self.roll_back();
        }
        committed
    }

    /// What may be done about a batch that was not committed.
    pub(crate) fn retry(&self) -> Retry {
        self.connection().map_or(Retry::Never, Connection::retry)
    }

    /// Whether a batch writes for those tenants only for which it began.
    pub(crate) fn locks_tenants(&self) -> bool {
        self.connection().is_ok_and(Connection::locks_tenants)
    }

    /// Forgets what jobs have put, after the batch.
    pub(crate) fn clear(&self) {
        self.tx.end_batch();
    }

    /// What the committed batch has left in its rows is cached from now on.
    fn cache(&self) {
        let buffer = self.tx.buffer();
        let carried = self.tx.version().and_then(|before| {
            let (logged, spent) = (buffer.logged.values(), buffer.spent.values());
            let logged = logged.iter().map(|(key, added)| (&key.1, *added));
            self.row_cache.carry(before, logged, spent.iter().map(|(key, spent)| (&key.1, *spent)))
        });
        carried.map_or_else(|| buffer.forget(), |after| buffer.cache(after));
    }

    /// A database ends a transaction by itself when its disk is full or fails: then nothing of the batch stands.
    pub(crate) fn is_open(&self) -> bool {
        !self.broken
            && self.connection().is_ok_and(|connection| connection.in_transaction() && !connection.has_failed())
    }

    /// Runs one job so that neither its error nor its panic touches the rest of the batch.
    pub(crate) fn run_job<T>(
        &mut self,
        tenant: Option<TenantId>,
        mut work: impl FnMut(&mut Tx) -> CoreResult<T>,
    ) -> CoreResult<T> {
        if !self.is_open() {
            return Err(not_written().into());
        }
        let tx = &mut self.tx;
        tx.begin_job(tenant);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            if runs_twice() {
                let _ = work(tx);
                tx.start_over()?;
            }
            work(tx)
        }));
        let outcome = outcome.unwrap_or_else(|_| Err(CoreError::internal("a write panicked")));
        if outcome.is_ok() {
            self.tx.buffer().keep_job();
        } else {
            self.tx.buffer().take_back_job();
        }
        if self.tx.take_savepoint() && !self.broken && self.connection().is_ok_and(Connection::in_transaction) {
            let undone = if outcome.is_err() { self.tx.control("ROLLBACK TO job") } else { Ok(()) };
            if let Err(error) = undone.and_then(|()| self.connection()?.send("RELEASE job", &[])) {
                // What of this job stands is unknown: nothing of the whole batch may.
                tracing::error!(%error, "a savepoint failed; nothing of its batch is written");
                // A transaction that is still open cannot be committed: see `is_open`.
                self.broken = !self.roll_back();
                return Err(not_written().into());
            }
        }
        outcome
    }

    /// Whether no transaction is open any more. The database may have ended it already: that is no fault to be told of.
    fn roll_back(&self) -> bool {
        if !self.connection().is_ok_and(Connection::in_transaction) {
            return true;
        }
        let undone = self.tx.control("ROLLBACK");
        undone.inspect_err(|error| tracing::error!(%error, "a transaction could not be rolled back")).is_ok()
    }
}

/// Whether each job runs twice, as it would after a failed commit, so that tests find a job that cannot.
fn runs_twice() -> bool {
    static TWICE: LazyLock<bool> = LazyLock::new(|| env::var_os("HALDIR_TEST_RUN_JOBS_TWICE").is_some());
    cfg!(debug_assertions) && *TWICE
}

fn not_written() -> Error {
    Error::new(Code::Unavailable, "the store could not write; nothing was changed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        database::params,
        sqlite::{self, testing},
    };

    #[test]
    fn a_job_that_cannot_be_taken_back_takes_its_whole_batch_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("h.db");
        let mut batch = Batch::new(
            testing::wrap(rusqlite::Connection::open(&path).unwrap()),
            Arc::new(RowCache::new(sqlite::version_of(&path))),
        );
        batch.tx.control("CREATE TABLE t (n INTEGER)").unwrap();
        let insert = |tx: &Tx, n: i64| tx.change("INSERT INTO t VALUES (?1)", params![n]).map(drop);
        batch.begin(&[]).unwrap();
        batch.run_job(None, |tx| Ok(insert(tx, 1)?)).unwrap();
        // It fails, and its savepoint is not there any more.
        let lost = batch.run_job(None, |tx| {
            insert(tx, 2)?;
            tx.control("RELEASE job")?;
            Err::<(), _>(CoreError::internal("no"))
        });
        assert_eq!(lost.unwrap_err().code, Code::Unavailable);
        let rows: i64 = batch.tx.one("SELECT count(*) FROM t", &[]).unwrap();
        assert!(!batch.is_open() && rows == 0, "what was half done stands");
        assert_eq!(batch.run_job(None, |_| Ok(())).unwrap_err().code, Code::Unavailable, "the batch goes on");
        // One that even cannot be rolled back is never committed.
        batch.begin(&[]).unwrap();
        batch.broken = true;
        assert!(!batch.is_open());
    }
}
