//! The writer: runs each job that waits, in a savepoint once it changes a row, in one `BEGIN IMMEDIATE` transaction,
//! and commits once for the whole batch. Everyone is answered once that is durable.
//!
//! It has a thread of its own. A caller who finds nobody else writing takes its place for one batch, and is spared the
//! way to another thread and back, which takes as long as the write itself.
//!
//! There is no waiting window: a batch is committed when the disk is idle, and grows while it is busy with the last.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    task::Poll,
    thread::{self, JoinHandle},
};

use rusqlite::Connection;
use tokio::{runtime::Handle, sync::oneshot};

use super::{
    batch::{Answers, Batch},
    checkpoint::Checkpointer,
    durability::{Awaited, Due, Durability, Unsynced},
    memo::Memo,
    queue::{Durable, Job, MAX_QUEUED, Queue, Queued, closed, tell},
    room::Room,
};
use crate::{
    Tx,
    error::{CoreError, CoreResult, Error, Result},
    measure::MEASURES,
};

/// Batches with a single waiting caller after which the next one may write by itself. A caller who writes keeps its
/// thread from serving others meanwhile: so only where there are none.
const ALONE: u32 = 8;

pub(super) struct Writer {
    queue: Arc<Queue>,
    hands: Arc<Mutex<Hands>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What it takes to write.
struct Hands {
    batch: Batch,
    durability: Durability,
    checkpointer: Checkpointer,
    room: Room,
    /// Batches in a row that only one caller waited for.
    alone: u32,
}

impl Writer {
    pub(super) fn start(path: &Path, mut connection: Connection, memo: Arc<Memo>) -> Result<Self> {
        let checkpointer = Checkpointer::attach(path, &mut connection)?;
        let batch = Batch::new(connection, memo);
        let durability = Durability::start(path)?;
        // The sync is [`Durability`]'s.
        batch.connection.pragma_update(None, "synchronous", "NORMAL")?;
        // SQLite puts its log beside the file itself, not beside a link to it.
        let room = Room::of(&path.canonicalize().map_err(Error::internal)?);
        let hands = Hands { batch, durability, checkpointer, room, alone: 0 };
        let hands = Arc::new(Mutex::new(hands));
        let queue = Arc::<Queue>::default();
        let thread = thread::Builder::new()
            .name("haldir-writer".into())
            .spawn({
                let (queue, hands) = (Arc::clone(&queue), Arc::clone(&hands));
                move || run(&queue, &hands)
            })
            .map_err(Error::internal)?;
        Ok(Self { queue, hands, thread: Mutex::new(Some(thread)) })
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        durable: Durable,
        work: impl FnOnce(&mut dyn Tx) -> CoreResult<T> + Send + 'static,
        then: Option<impl FnOnce(&T) + Send + 'static>,
    ) -> CoreResult<T> {
        let makes_ready = then.is_some();
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |batch| {
            let outcome = batch.run_job(work);
            // The receiver is gone when the caller hung up; the write stands all the same.
            Box::new(move |committed| {
                let outcome = committed.map_err(CoreError::from).and(outcome);
                let Some(then) = then else {
                    drop(sender.send(outcome));
                    return None;
                };
                if let Ok(found) = &outcome
                    && !sender.is_closed()
                    && catch_unwind(AssertUnwindSafe(|| then(found))).is_err()
                {
                    tracing::error!("what follows a write panicked");
                }
                Some(Box::new(move || drop(sender.send(outcome))))
            })
        });
        let caller = Handle::try_current().ok();
        let mut unsynced = self.submit(Queued { job, durable, caller, acts: makes_ready })?;
        // Dropped before that, should this be dropped: then nobody waits for the answer any more.
        let receiver = receiver;
        if makes_ready && unsynced.is_some() {
            // Meanwhile the disk is at it.
            polled_again().await;
        }
        if let Some(unsynced) = unsynced.take() {
            unsynced.sync().give();
        }
        receiver.await.unwrap_or_else(|_| Err(closed().into()))
    }

    /// A write that nobody waits for, see [`Durable::Soon`]; `failed` hears if it was not written.
    pub(super) fn write_behind(
        &self,
        work: impl FnOnce(&mut dyn Tx) -> CoreResult<()> + Send + 'static,
        failed: impl Fn(CoreError) + Send + Sync + 'static,
    ) {
        let failed = Arc::new(failed);
        let refused = Arc::clone(&failed);
        let job: Job = Box::new(move |batch| {
            let outcome = batch.run_job(work);
            Box::new(move |committed| {
                committed.map_err(CoreError::from).and(outcome).unwrap_or_else(|error| failed(error));
                None
            })
        });
        let pushed = self.queue.push(Queued { job, durable: Durable::Soon, caller: None, acts: false });
        pushed.unwrap_or_else(|error| refused(error.into()));
    }

    /// Has a job done by the writer's thread, or by this one, to which it is then left to sync what is written.
    fn submit(&self, job: Queued) -> Result<Option<Unsynced>> {
        let Some(mut hands) = self.free_hands(job.durable) else { return self.queue.push(job).map(|()| None) };
        self.queue.put(job)?;
        // Other processes may be writing: waiting for them is the thread's affair.
        let begins = hands.batch.begins_at_once(&hands.durability);
        let (mut unsynced, mut due) = (None, Due::default());
        if let Some(answers) = if begins { hands.write(&self.queue) } else { None } {
            // What is still in the queue may be this very job.
            if answers.len() == 1 && !self.queue.is_awaited() {
                unsynced = Some(hands.durability.leave(answers));
            } else {
                due = hands.durability.answer(answers);
            }
        }
        drop(hands);
        due.give();
        // What came meanwhile, or could not be done.
        self.queue.wake();
        Ok(unsynced)
    }

    /// What it takes to write, if nobody else wants it.
    fn free_hands(&self, durable: Durable) -> Option<MutexGuard<'_, Hands>> {
        if durable == Durable::Soon {
            return None;
        }
        let hands = self.hands.try_lock().ok()?;
        let are_free = hands.alone >= ALONE && hands.durability.is_unused() && hands.checkpointer.is_idle();
        (are_free && !self.queue.is_awaited()).then_some(hands)
    }

    /// Whether something is to be written that nobody waits for.
    pub(super) fn is_behind(&self) -> bool {
        self.queue.is_behind()
    }

    /// Finishes what is queued and ends the thread.
    pub(super) fn close(&self) {
        self.queue.close();
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

/// Gives the thread back once.
async fn polled_again() {
    let mut is_again = false;
    std::future::poll_fn(|cx| {
        if is_again {
            return Poll::Ready(());
        }
        is_again = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn run(queue: &Queue, hands: &Mutex<Hands>) {
    /// However the thread ends, nobody waits for it after that.
    struct End<'q>(&'q Queue);

    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.abandon();
        }
    }

    let _end = End(queue);
    let hands = || hands.lock().unwrap_or_else(PoisonError::into_inner);
    queue.belong();
    hands().durability.wake_when_idle(thread::current());
    while queue.wait() {
        // Answered without the lock: whoever came alone is at it again then.
        let due = hands().work(queue);
        due.give();
        let hands = hands();
        hands.checkpointer.after_commit(&hands.batch.connection);
    }
    let mut hands = hands();
    hands.durability.finish();
    hands.checkpointer.finish(&hands.batch.connection);
}

impl Hands {
    /// Writes what waits, unless somebody else has done so, and answers it once the lock on this is given back.
    fn work(&mut self, queue: &Queue) -> Due {
        if queue.is_empty() {
            return Due::default();
        }
        match self.batch.begin(&self.durability) {
            Ok(()) => self.write(queue).map_or_else(Due::default, |answers| self.durability.answer(answers)),
            Err(error) => {
                self.refuse(queue, &error);
                Due::default()
            }
        }
    }

    /// Writes what waits, in the transaction that has begun. Answers what is to be answered once that is durable; `None` if
    /// it could not be written.
    fn write(&mut self, queue: &Queue) -> Option<Vec<Awaited>> {
        let pages = self.checkpointer.pages();
        self.room.make(pages);
        let mut answers = Answers::default();
        let outcome = self.batch.commit(&self.durability, queue, &mut answers);
        if outcome.is_ok() {
            if answers.first.len() == 1 {
                // Synced as soon as what is left to do here is done, which the disk need not wait for.
                self.durability.begin(pages..self.checkpointer.pages());
            }
            self.batch.learn();
        }
        self.batch.pending.clear();
        queue.settle(answers.len(), answers.soon.len());
        MEASURES.batch_size.observe(answers.len() as u64);
        match answers.first.len() {
            0 => {}
            1 => self.alone = self.alone.saturating_add(1),
            _ => self.alone = 0,
        }
        match outcome {
            Ok(()) => {
                answers.soon.into_iter().for_each(|answer| tell(answer, Ok(())));
                Some(answers.first)
            }
            Err(error) => {
                answers.all().for_each(|answer| tell(answer, Err(error.clone())));
                None
            }
        }
    }

    /// No transaction could begin. Whatever queued up meanwhile has waited as well: it is answered now, not after
    /// another such wait each.
    fn refuse(&self, queue: &Queue, error: &Error) {
        MEASURES.writes_fail.store(true, Ordering::Relaxed);
        let mut answers = Answers::default();
        let waiting = std::iter::from_fn(|| queue.pop()).take(MAX_QUEUED);
        waiting.for_each(|job| answers.run(job, &self.batch));
        self.batch.pending.clear();
        queue.settle(answers.len(), answers.soon.len());
        answers.all().for_each(|answer| tell(answer, Err(error.clone())));
    }
}

#[cfg(test)]
mod tests;
