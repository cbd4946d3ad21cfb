//! A batch: jobs that run one after the other in one transaction, each so that neither its error nor its panic touches
//! the others, and are committed together.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use rusqlite::Connection;

use super::{
    SqliteTx, connection,
    durability::{Awaited, Durability},
    memo::Memo,
    pending::Pending,
    queue::{Answer, Durable, Queue, Queued},
};
use crate::{
    Tx,
    error::{Code, CoreError, CoreResult, Error, Result},
    measure::MEASURES,
};

const BEGIN: &str = "BEGIN IMMEDIATE";

/// Writes in one commit: bounds how long the first of them waits for the last.
const MAX_BATCH: usize = 512;
/// Writes that are worth a commit of their own as soon as the disk is idle: with 32 waiting clients, so many that the
/// writer and the disk take turns with two or three batches on their way (measured: 8 and 16 are 5 % slower).
const FULL_BATCH: usize = 12;
/// How long the writer waits for more, unless the disk becomes idle. New writes do not wake it: that would cost each
/// of them a system call.
const LOOK_AGAIN: Duration = Duration::from_micros(20);

/// What is to be answered once a batch is committed.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) first: Vec<Awaited>,
    pub(super) soon: Vec<Answer>,
}

impl Answers {
    pub(super) fn len(&self) -> usize {
        self.first.len() + self.soon.len()
    }

    pub(super) fn all(self) -> impl Iterator<Item = Answer> {
        self.first.into_iter().map(|awaited| awaited.answer).chain(self.soon)
    }

    pub(super) fn run(&mut self, Queued { job, durable, caller, acts }: Queued, batch: &Batch) {
        let answer = job(batch);
        match durable {
            Durable::First => self.first.push(Awaited { answer, caller, acts }),
            Durable::Soon => self.soon.push(answer),
        }
    }
}

/// Where jobs run.
pub(super) struct Batch {
    pub(super) connection: Connection,
    pub(super) pending: Pending,
    pub(super) memo: Arc<Memo>,
    /// Whether a transaction that must not be committed is still open.
    broken: Cell<bool>,
}

impl Batch {
    pub(super) fn new(connection: Connection, memo: Arc<Memo>) -> Self {
        Self { connection, pending: Pending::default(), memo, broken: Cell::default() }
    }

    /// Begins a transaction, once other processes let it.
    pub(super) fn begin(&self, durability: &Durability) -> Result<()> {
        if self.broken.get() && execute(&self.connection, "ROLLBACK").is_ok() {
            self.broken.set(false);
        }
        durability.check()?;
        execute(&self.connection, BEGIN)
    }

    /// Begins a transaction if that needs no waiting.
    pub(super) fn begins_at_once(&self, durability: &Durability) -> bool {
        let begin = || self.connection.prepare_cached(BEGIN)?.execute([]);
        !self.broken.get() && durability.check().is_ok() && connection::at_once(begin).is_ok()
    }

    /// Runs what is waiting, in the transaction that has begun, and commits it.
    pub(super) fn commit(&self, durability: &Durability, queue: &Queue, answers: &mut Answers) -> Result<()> {
        let outcome = self.write_out(durability, queue, answers);
        if outcome.is_err() {
            // Until a check says otherwise: the next write may be smaller, and find room.
            MEASURES.writes_fail.store(true, Ordering::Relaxed);
        }
        outcome
    }

    fn write_out(&self, durability: &Durability, queue: &Queue, answers: &mut Answers) -> Result<()> {
        self.pending.begin(self.memo.state());
        self.run_waiting(durability, queue, answers);
        if !self.is_open() {
            self.pending.take_back();
            return Err(not_written().into());
        }
        let written = catch_unwind(AssertUnwindSafe(|| self.pending.write(&self.connection)))
            .unwrap_or_else(|_| Err(Error::internal("writing a batch panicked")));
        let committed = written.and_then(|()| execute(&self.connection, "COMMIT"));
        committed.inspect_err(|_| {
            self.pending.take_back();
            self.roll_back();
        })
    }

    /// What the batch that was committed has left in its rows is known from now on.
    pub(super) fn learn(&self) {
        let carried = self.pending.state.get().and_then(|before| {
            let (logged, spent) = (self.pending.logged.values(), self.pending.spent.values());
            let logged = logged.iter().map(|(key, added)| (&key.1, *added));
            self.memo.carry(before, logged, spent.iter().map(|(key, spent)| (&key.1, *spent)))
        });
        carried.map_or_else(|| self.pending.forget(), |after| self.pending.learn(after));
    }

    /// Runs what is waiting, until the batch is worth its commit.
    fn run_waiting(&self, durability: &Durability, queue: &Queue, answers: &mut Answers) {
        while answers.len() < MAX_BATCH && self.is_open() {
            let is_full = answers.len() >= FULL_BATCH;
            if is_full && durability.is_idle() {
                break;
            }
            match queue.pop() {
                Some(job) => answers.run(job, self),
                None if is_full || durability.is_idle() => break,
                // The disk is busy with the batch before: until it is done, this one loses nothing by growing.
                None => thread::park_timeout(LOOK_AGAIN),
            }
        }
    }

    /// SQLite ends a transaction by itself when the disk is full or fails: then nothing of the batch stands.
    fn is_open(&self) -> bool {
        !self.connection.is_autocommit() && !self.broken.get()
    }

    /// Runs one job so that neither its error nor its panic touches the rest of the batch.
    pub(super) fn run_job<T>(&self, work: impl FnOnce(&mut dyn Tx) -> CoreResult<T>) -> CoreResult<T> {
        if !self.is_open() {
            return Err(not_written().into());
        }
        let Self { connection, pending, .. } = self;
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut SqliteTx::Writer(self))))
            .unwrap_or_else(|_| Err(CoreError::internal("a write panicked")));
        if outcome.is_ok() {
            pending.keep_job();
        } else {
            pending.take_back_job();
        }
        if pending.savepoint.take() && self.is_open() {
            let undone = if outcome.is_err() { execute(connection, "ROLLBACK TO job") } else { Ok(()) };
            if let Err(error) = undone.and_then(|()| execute(connection, "RELEASE job")) {
                // Nobody knows what of this job stands: nothing of the whole batch may.
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
        let batch = Batch::new(connection, Arc::new(Memo::new(&path)));
        let insert = |n: i64| {
            execute(&batch.connection, "SAVEPOINT job").unwrap();
            batch.pending.savepoint.set(true);
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
