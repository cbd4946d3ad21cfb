//! What waits to be written, and who is woken for it.

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use tokio::runtime::Handle;

use super::batch::Batch;
use crate::{
    error::{Code, Error, Result},
    measure::MEASURES,
};

/// Writes that may wait; one more is answered with `unavailable`.
pub(super) const MAX_QUEUED: usize = 8_192;
/// How long what nobody waits for is left for somebody who writes, and so costs no commit of its own.
const COMPANY: Duration = Duration::from_millis(1);

/// Runs where the batch is, and gives back what to do once the batch is durable, or is not written.
pub(super) type Job = Box<dyn FnOnce(&Batch) -> Answer + Send>;
/// Does that; whoever waits is woken by what it gives back, if it gives back anything.
pub(super) type Answer = Box<dyn FnOnce(Result<()>) -> Option<Told> + Send>;
pub(super) type Told = Box<dyn FnOnce() + Send>;

/// Answers, and wakes whoever waits.
pub(super) fn tell(answer: Answer, outcome: Result<()>) {
    if let Some(told) = answer(outcome) {
        told();
    }
}

/// A job in the queue.
pub(super) struct Queued {
    pub(super) job: Job,
    /// Whether its answer has to be durable.
    pub(super) durable: Durable,
    /// The runtime in which somebody waits for it.
    pub(super) caller: Option<Handle>,
    /// Whether its answer does something that is done at once, on whatever thread, and wakes its caller after that.
    pub(super) acts: bool,
}

/// When a write is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durable {
    /// Once no power failure can take it back.
    First,
    /// Once it is committed, which may wait for company: nobody waits for this. It is durable soon after, and before
    /// anything that is written later.
    Soon,
}

/// Jobs in the order in which they came.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// How many are in it, or in the running batch.
    queued: AtomicUsize,
    /// How many of them nobody waits for.
    behind: AtomicUsize,
    writer: OnceLock<Thread>,
    /// Whether somebody will look after what nobody waits for.
    is_watched: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Queued>,
    /// How many of them somebody waits for.
    urgent: usize,
    /// Whether the rest has waited long enough.
    is_due: bool,
    /// Whether the writer's thread sleeps until it is woken.
    is_asleep: bool,
    is_closed: bool,
}

impl Waiting {
    fn has_work(&self) -> bool {
        self.urgent > 0 || (!self.jobs.is_empty() && (self.is_due || self.is_closed))
    }
}

impl Queue {
    // A std mutex: it is held to put one job in, or take one out.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose thread is woken: this one.
    pub(super) fn belong(&self) {
        self.writer.get_or_init(thread::current);
    }

    /// Puts one in, and leaves it to the caller to see to it that it is taken out.
    pub(super) fn put(&self, job: Queued) -> Result<()> {
        let mut waiting = self.lock();
        if waiting.is_closed {
            return Err(closed());
        }
        // Added to under the lock.
        if self.queued.load(Ordering::Relaxed) >= MAX_QUEUED {
            return Err(Error::new(Code::Unavailable, format!("{MAX_QUEUED} writes are waiting already; try again")));
        }
        self.queued.fetch_add(1, Ordering::Relaxed);
        match job.durable {
            Durable::First => waiting.urgent += 1,
            Durable::Soon => {
                self.behind.fetch_add(1, Ordering::Relaxed);
            }
        }
        waiting.jobs.push_back(job);
        MEASURES.queued_writes.add(1);
        Ok(())
    }

    /// Puts one in for the writer's thread: at once, or after a while if nobody waits for it.
    pub(super) fn push(self: &Arc<Self>, job: Queued) -> Result<()> {
        let durable = job.durable;
        self.put(job)?;
        match durable {
            Durable::First => self.wake(),
            Durable::Soon => self.watch(),
        }
        Ok(())
    }

    pub(super) fn pop(&self) -> Option<Queued> {
        let mut waiting = self.lock();
        let job = waiting.jobs.pop_front()?;
        waiting.urgent -= usize::from(job.durable == Durable::First);
        waiting.is_due &= !waiting.jobs.is_empty();
        Some(job)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().jobs.is_empty()
    }

    /// Whether somebody waits for one of those that are in it.
    pub(super) fn is_awaited(&self) -> bool {
        self.lock().urgent > 0
    }

    /// Whether something is to be written that nobody waits for.
    pub(super) fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed) > 0
    }

    /// So many are written, or were refused; of them so many that nobody waited for.
    pub(super) fn settle(&self, all: usize, soon: usize) {
        self.queued.fetch_sub(all, Ordering::Relaxed);
        self.behind.fetch_sub(soon, Ordering::Relaxed);
        MEASURES.queued_writes.add(-i64::try_from(all).unwrap_or(0));
    }

    /// Wakes the writer's thread, if it sleeps and there is something for it.
    pub(super) fn wake(&self) {
        let mut waiting = self.lock();
        let wakes = waiting.has_work() && mem::take(&mut waiting.is_asleep);
        drop(waiting);
        if let Some(writer) = self.writer.get().filter(|_| wakes) {
            writer.unpark();
        }
    }

    /// Sees to it that what nobody waits for does not wait for ever. Who answers a call is not held up by this: the
    /// writer is woken later, and hardly ever, since most of it is written with the next call.
    fn watch(self: &Arc<Self>) {
        if self.is_watched.swap(true, Ordering::AcqRel) {
            return;
        }
        let watch = Watch(Arc::clone(self));
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep(COMPANY).await;
                drop(watch);
            });
        }
    }

    /// Waits until there is work for the writer's thread; answers `false` once there never will be.
    pub(super) fn wait(&self) -> bool {
        loop {
            let mut waiting = self.lock();
            if waiting.has_work() {
                return true;
            }
            if waiting.is_closed {
                return false;
            }
            waiting.is_asleep = true;
            drop(waiting);
            thread::park();
        }
    }

    /// Takes no more.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        waiting.is_closed = true;
        waiting.is_asleep = false;
        drop(waiting);
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    /// Nobody is there to write any more: whoever waits hears so.
    pub(super) fn abandon(&self) {
        self.close();
        drop(mem::take(&mut self.lock().jobs));
    }
}

/// Once it is dropped, by whatever becomes of the runtime too, the writer is woken for what is still there.
struct Watch(Arc<Queue>);

impl Drop for Watch {
    fn drop(&mut self) {
        let Self(queue) = self;
        queue.is_watched.store(false, Ordering::Release);
        let mut waiting = queue.lock();
        waiting.is_due = !waiting.jobs.is_empty();
        drop(waiting);
        queue.wake();
    }
}

pub(super) fn closed() -> Error {
    Error::new(Code::Unavailable, "haldir is shutting down; try again")
}
