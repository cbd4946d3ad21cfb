//! The writer: one thread drains a queue, runs each job, in a savepoint once it changes a row, in one
//! `BEGIN IMMEDIATE` transaction, and commits once for the whole batch. Everyone is answered once that is durable.
//!
//! There is no waiting window: a batch is committed when the disk is idle, and grows while it is busy with the last.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::{runtime::Handle, sync::oneshot};

use super::{SqliteTx, checkpoint::Checkpointer, durability::Durability, memo::Memo, pending::Pending};
use crate::{
    error::{Code, Error, Result},
    measure::MEASURES,
    store::Tx,
};

/// Writes that may wait; one more is answered with `unavailable`.
const MAX_QUEUED: usize = 8_192;
/// Writes in one commit: bounds how long the first of them waits for the last.
const MAX_BATCH: usize = 512;

/// Writes that are worth a commit of their own as soon as the disk is idle: with 32 waiting clients, so many that the
/// writer and the disk take turns with two or three batches on their way (measured: 8 and 16 are 5 % slower).
const FULL_BATCH: usize = 12;
/// How long a batch that nobody waits for stays open for a write that somebody does, and so costs no commit of its own.
/// Other processes wait that long for the write lock.
const COMPANY: Duration = Duration::from_millis(1);
/// How long the writer waits for more, unless the disk becomes idle. New writes do not wake it: that would cost each
/// of them a system call.
const LOOK_AGAIN: Duration = Duration::from_micros(20);

/// Runs on the writer's thread, and gives back what to do once the batch is committed, or is not.
type Job = Box<dyn FnOnce(&Batch) -> Answer + Send>;
pub(super) type Answer = Box<dyn FnOnce(Result<()>) + Send>;

/// A job in the queue, and whether its answer has to be durable.
type Queued = (Job, Durable);

/// When a write is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Durable {
    /// Once no power failure can take it back.
    First,
    /// Once it is committed, which may wait for company: nobody waits for this. It is durable soon after, and before
    /// anything that is written later.
    Soon,
}

pub(super) struct Writer {
    // None once closed. A std mutex: it is held to clone or drop the sender.
    queue: Mutex<Option<Sender<Queued>>>,
    /// How many are in it, or in the running batch. A channel that counts by itself has its places made beforehand.
    queued: Arc<AtomicUsize>,
    /// How many of them nobody waits for.
    behind: Arc<AtomicUsize>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Where callers wait: the runtime of the first write, which outlives the writer's use.
    runtime: Arc<OnceLock<Handle>>,
}

impl Writer {
    pub(super) fn start(path: &Path, mut connection: Connection, memo: Arc<Memo>) -> Result<Self> {
        let checkpointer = Checkpointer::attach(path, &mut connection)?;
        let (sender, receiver) = channel();
        let (queued, behind) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let batch = Batch { connection, pending: Pending::default(), memo, broken: Cell::default() };
        let mut durability = Durability::start(path)?;
        // The sync is [`Durability`]'s.
        batch.connection.pragma_update(None, "synchronous", "NORMAL")?;
        let runtime = Arc::new(OnceLock::new());
        let callers = Arc::clone(&runtime);
        let taken = (Arc::clone(&queued), Arc::clone(&behind));
        let thread = std::thread::Builder::new()
            .name("haldir-writer".into())
            .spawn(move || run(&batch, &receiver, (&taken.0, &taken.1), &checkpointer, &mut durability, &callers))
            .map_err(Error::internal)?;
        Ok(Self { queue: Mutex::new(Some(sender)), queued, behind, thread: Mutex::new(Some(thread)), runtime })
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        durable: Durable,
        work: impl FnOnce(&mut dyn Tx) -> Result<T> + Send + 'static,
        then: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |batch| {
            let outcome = batch.run_job(work);
            // The receiver is gone when the caller hung up; the write stands all the same.
            Box::new(move |committed| {
                let outcome = committed.and(outcome);
                if let Ok(found) = &outcome
                    && !sender.is_closed()
                    && catch_unwind(AssertUnwindSafe(|| then(found))).is_err()
                {
                    tracing::error!("what follows a write panicked");
                }
                drop(sender.send(outcome));
            })
        });
        if self.runtime.get().is_none()
            && let Ok(runtime) = Handle::try_current()
        {
            self.runtime.get_or_init(|| runtime);
        }
        self.enqueue((job, durable))?;
        receiver.await.unwrap_or_else(|_| Err(closed()))
    }

    /// A write that nobody waits for, see [`Durable::Soon`]; `failed` hears if it was not written.
    pub(super) fn write_behind(
        &self,
        work: impl FnOnce(&mut dyn Tx) -> Result<()> + Send + 'static,
        failed: fn(Error),
    ) {
        let job: Job = Box::new(move |batch| {
            let outcome = batch.run_job(work);
            Box::new(move |committed| committed.and(outcome).unwrap_or_else(failed))
        });
        self.enqueue((job, Durable::Soon)).unwrap_or_else(failed);
    }

    fn enqueue(&self, job: Queued) -> Result<()> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queue.as_ref().ok_or_else(closed)?;
        // Added to under the lock of the queue.
        if self.queued.load(Ordering::Relaxed) >= MAX_QUEUED {
            return Err(Error::new(Code::Unavailable, format!("{MAX_QUEUED} writes are waiting already; try again")));
        }
        self.queued.fetch_add(1, Ordering::Relaxed);
        if job.1 == Durable::Soon {
            self.behind.fetch_add(1, Ordering::Relaxed);
        }
        queue.send(job).map_err(|_| closed())?;
        MEASURES.queued_writes.add(1);
        Ok(())
    }

    /// Whether something is to be written that nobody waits for.
    pub(super) fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed) > 0
    }

    /// Finishes what is queued and ends the thread.
    pub(super) fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writer thread had panicked");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn closed() -> Error {
    Error::new(Code::Unavailable, "haldir is shutting down; try again")
}

fn run(
    batch: &Batch,
    queue: &Receiver<Queued>,
    (queued, behind): (&AtomicUsize, &AtomicUsize),
    checkpointer: &Checkpointer,
    durability: &mut Durability,
    callers: &OnceLock<Handle>,
) {
    durability.wake_when_idle(thread::current());
    while let Ok(first) = queue.recv() {
        let mut answers = Answers::default();
        let outcome = batch.commit(durability, first, queue, &mut answers);
        queued.fetch_sub(answers.len(), Ordering::Relaxed);
        behind.fetch_sub(answers.soon.len(), Ordering::Relaxed);
        MEASURES.queued_writes.add(-i64::try_from(answers.len()).unwrap_or(0));
        MEASURES.batch_size.observe(answers.len() as u64);
        batch.pending.clear();
        match outcome {
            Ok(()) => {
                answers.soon.into_iter().for_each(|answer| answer(Ok(())));
                durability.answer(answers.first, callers.get());
            }
            Err(error) => answers.all().for_each(|answer| answer(Err(error.clone()))),
        }
        checkpointer.after_commit(&batch.connection);
    }
    durability.finish();
    checkpointer.finish(&batch.connection);
}

/// What is to be answered once a batch is committed.
#[derive(Default)]
struct Answers {
    first: Vec<Answer>,
    soon: Vec<Answer>,
}

impl Answers {
    fn len(&self) -> usize {
        self.first.len() + self.soon.len()
    }

    fn all(self) -> impl Iterator<Item = Answer> {
        self.first.into_iter().chain(self.soon)
    }

    fn run(&mut self, (job, durable): Queued, batch: &Batch) {
        let answer = job(batch);
        match durable {
            Durable::First => self.first.push(answer),
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
    /// Runs `first` and what else is waiting, and commits it.
    fn commit(
        &self,
        durability: &Durability,
        first: Queued,
        queue: &Receiver<Queued>,
        answers: &mut Answers,
    ) -> Result<()> {
        if self.broken.get() && execute(&self.connection, "ROLLBACK").is_ok() {
            self.broken.set(false);
        }
        if let Err(error) = durability.check().and_then(|()| execute(&self.connection, "BEGIN IMMEDIATE")) {
            // Whatever queued up meanwhile has waited as well: it is answered now, not after another such wait each.
            std::iter::once(first).chain(queue.try_iter().take(MAX_QUEUED)).for_each(|job| answers.run(job, self));
            return Err(error);
        }
        self.pending.begin(self.memo.state());
        answers.run(first, self);
        self.run_waiting(durability, queue, answers);
        if !self.is_open() {
            self.pending.take_back();
            return Err(not_written());
        }
        let written = catch_unwind(AssertUnwindSafe(|| self.pending.write(&self.connection)))
            .unwrap_or_else(|_| Err(Error::internal("writing a batch panicked")));
        let committed = written.and_then(|()| execute(&self.connection, "COMMIT"));
        committed.inspect_err(|_| {
            self.pending.take_back();
            drop(execute(&self.connection, "ROLLBACK"));
        })?;
        let carried = self.pending.state.get().and_then(|before| {
            let logged = self.pending.logged.values();
            self.memo.carry(before, logged.iter().map(|(key, added)| (&key.1, *added)))
        });
        carried.map_or_else(|| self.pending.forget(), |after| self.pending.learn(after));
        Ok(())
    }

    /// Runs what is waiting, until the batch is worth its commit.
    fn run_waiting(&self, durability: &Durability, queue: &Receiver<Queued>, answers: &mut Answers) {
        let until = Instant::now() + COMPANY;
        while answers.first.is_empty() && answers.len() < MAX_BATCH && self.is_open() {
            match queue.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(job) => answers.run(job, self),
                Err(_) => break,
            }
        }
        while answers.len() < MAX_BATCH && self.is_open() {
            let is_full = answers.len() >= FULL_BATCH;
            if is_full && durability.is_idle() {
                break;
            }
            match queue.try_recv() {
                Ok(job) => answers.run(job, self),
                Err(_) if is_full || durability.is_idle() => break,
                // The disk is busy with the batch before: until it is done, this one loses nothing by growing.
                Err(_) => thread::park_timeout(LOOK_AGAIN),
            }
        }
    }

    /// SQLite ends a transaction by itself when the disk is full or fails: then nothing of the batch stands.
    fn is_open(&self) -> bool {
        !self.connection.is_autocommit() && !self.broken.get()
    }

    /// Runs one job so that neither its error nor its panic touches the rest of the batch.
    fn run_job<T>(&self, work: impl FnOnce(&mut dyn Tx) -> Result<T>) -> Result<T> {
        if !self.is_open() {
            return Err(not_written());
        }
        let Self { connection, pending, .. } = self;
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut SqliteTx::Writer(self))))
            .unwrap_or_else(|_| Err(Error::internal("a write panicked")));
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
                return Err(not_written());
            }
        }
        outcome
    }

    /// Ends the transaction: what was done in it does not stand.
    fn give_up(&self) {
        if let Err(error) = execute(&self.connection, "ROLLBACK") {
            // Still open, it cannot be committed: see `is_open`.
            tracing::error!(%error, "a transaction could not be rolled back");
            self.broken.set(true);
        }
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
        let memo = Arc::new(Memo::new(&path));
        let batch = Batch { connection, pending: Pending::default(), memo, broken: Cell::default() };
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
            Err::<(), _>(Error::internal("no"))
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
