//! The writer: one thread drains a queue, runs each job, in a savepoint once it changes a row, in one
//! `BEGIN IMMEDIATE` transaction, commits once for the whole batch, then answers everyone.
//!
//! There is no waiting window: whatever queued up while the last batch was being synced is the next batch.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{SqliteTx, checkpoint::Checkpointer, pending::Pending};
use crate::{
    error::{Code, Error, Result},
    store::Tx,
};

/// Writes that may wait; one more is answered with `unavailable`.
const MAX_QUEUED: usize = 8_192;
/// Writes in one commit: bounds how long the first of them waits for the last.
const MAX_BATCH: usize = 512;

/// Runs on the writer's thread, and gives back what to do once the batch is committed, or is not.
type Job = Box<dyn FnOnce(&Connection, &Pending) -> Answer + Send>;
type Answer = Box<dyn FnOnce(Result<()>)>;

pub(super) struct Writer {
    // None once closed. A std mutex: it is held to clone or drop the sender.
    queue: Mutex<Option<SyncSender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(path: &Path, mut connection: Connection) -> Result<Self> {
        let checkpointer = Checkpointer::attach(path, &mut connection)?;
        let (sender, receiver) = sync_channel(MAX_QUEUED);
        let thread = std::thread::Builder::new()
            .name("haldir-writer".into())
            .spawn(move || run(&connection, &receiver, &checkpointer))
            .map_err(Error::internal)?;
        Ok(Self { queue: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)) })
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Tx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |connection, pending| {
            let outcome = run_job(connection, pending, work);
            // The receiver is gone when the caller hung up; the write stands all the same.
            Box::new(move |committed| drop(sender.send(committed.and(outcome))))
        });
        self.enqueue(job)?;
        receiver.await.unwrap_or_else(|_| Err(closed()))
    }

    fn enqueue(&self, job: Job) -> Result<()> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match queue.as_ref().ok_or_else(closed)?.try_send(job) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                Err(Error::new(Code::Unavailable, format!("{MAX_QUEUED} writes are waiting already; try again")))
            }
            Err(TrySendError::Disconnected(_)) => Err(closed()),
        }
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

fn run(connection: &Connection, queue: &Receiver<Job>, checkpointer: &Checkpointer) {
    let mut answers: Vec<Answer> = Vec::with_capacity(MAX_BATCH);
    let pending = Pending::default();
    while let Ok(first) = queue.recv() {
        let outcome = commit_batch(connection, &pending, first, queue, &mut answers);
        pending.clear();
        for answer in answers.drain(..) {
            answer(outcome.clone());
        }
        checkpointer.after_commit(connection);
    }
    checkpointer.finish(connection);
}

fn commit_batch(
    connection: &Connection,
    pending: &Pending,
    first: Job,
    queue: &Receiver<Job>,
    answers: &mut Vec<Answer>,
) -> Result<()> {
    if let Err(error) = execute(connection, "BEGIN IMMEDIATE") {
        // Whatever queued up meanwhile has waited as well: it is answered now, not after another such wait each.
        answers.extend(
            std::iter::once(first).chain(queue.try_iter().take(MAX_QUEUED)).map(|job| job(connection, pending)),
        );
        return Err(error);
    }
    answers.push(first(connection, pending));
    while answers.len() < MAX_BATCH && !connection.is_autocommit() {
        let Ok(job) = queue.try_recv() else { break };
        answers.push(job(connection, pending));
    }
    // SQLite ends a transaction by itself when the disk is full or fails: then nothing of the batch stands.
    if connection.is_autocommit() {
        return Err(Error::new(Code::Unavailable, "the store could not write; nothing was changed"));
    }
    let committed = pending.write(connection).and_then(|()| execute(connection, "COMMIT"));
    committed.inspect_err(|_| drop(execute(connection, "ROLLBACK")))
}

/// Runs one job so that neither its error nor its panic touches the rest of the batch.
fn run_job<T>(connection: &Connection, pending: &Pending, work: impl FnOnce(&mut dyn Tx) -> Result<T>) -> Result<T> {
    if connection.is_autocommit() {
        return Err(Error::new(Code::Unavailable, "the store could not write; nothing was changed"));
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut SqliteTx { connection, pending: Some(pending) })))
        .unwrap_or_else(|_| Err(Error::internal("a write panicked")));
    if outcome.is_ok() {
        pending.keep_job();
    } else {
        pending.take_back_job();
    }
    if pending.savepoint.take() && !connection.is_autocommit() {
        if outcome.is_err() {
            execute(connection, "ROLLBACK TO job")?;
        }
        execute(connection, "RELEASE job")?;
    }
    outcome
}

pub(super) fn execute(connection: &Connection, sql: &str) -> Result<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}
