//! The worker thread of a live screen, which calls haldir.

use std::{
    cell::Cell,
    sync::mpsc::{self, Receiver, SyncSender, TryRecvError},
    thread::{self, JoinHandle},
};

use super::super::{output::note, target::Target};
use crate::error::{Error, Result};

/// Calls in the queue.
const MAX_WAITING: usize = 8;

/// A call, and what the view needs of its response.
pub type Job<N> = Box<dyn FnOnce(&Target) -> Result<N> + Send>;

/// The worker thread and its queues.
pub struct Worker<N> {
    jobs: SyncSender<(Job<N>, Trigger)>,
    updates: Receiver<(Result<N>, Trigger)>,
    thread: JoinHandle<()>,
    /// Calls of keys that are not answered yet.
    open: Cell<usize>,
    /// Whether the thread holds a local store, which is closed before the program ends.
    has_store: bool,
}

/// Why haldir is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// To read what is new.
    Timer,
    /// For a key: the call may change something.
    Key,
}

impl<N: Send + 'static> Worker<N> {
    pub fn start(target: Target) -> Result<Self> {
        let has_store = matches!(target, Target::Store(_));
        let (jobs, queue) = mpsc::sync_channel::<(Job<N>, Trigger)>(MAX_WAITING);
        // More than there can be jobs, so that the thread never waits for the screen.
        let (sender, updates) = mpsc::sync_channel(2 * MAX_WAITING);
        let work = move || {
            for (job, kind) in queue {
                if sender.send((job(&target), kind)).is_err() {
                    break;
                }
            }
        };
        let thread = thread::Builder::new().name("calls".to_owned()).spawn(work).map_err(Error::internal)?;
        Ok(Self { jobs, updates, thread, open: Cell::new(0), has_store })
    }

    /// Queues a call; returns whether there was room for it.
    pub fn enqueue(&self, job: Job<N>, kind: Trigger) -> bool {
        let is_queued = self.jobs.try_send((job, kind)).is_ok();
        if is_queued && kind == Trigger::Key {
            self.open.set(self.open.get() + 1);
        }
        is_queued
    }

    /// The next response that is there.
    pub fn next_response(&self) -> Result<Option<(Result<N>, Trigger)>> {
        match self.updates.try_recv() {
            Ok((update, kind)) => {
                if kind == Trigger::Key {
                    self.open.set(self.open.get().saturating_sub(1));
                }
                Ok(Some((update, kind)))
            }
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(Error::internal("the thread that calls haldir has ended")),
        }
    }

    /// Waits for the calls of keys, and closes a local store. A poll of a server is abandoned: it changes nothing. The error is
    /// that of a key's call that failed.
    pub fn finish(self) -> Result<()> {
        let Self { jobs, updates, thread, open, has_store } = self;
        drop(jobs);
        if open.get() == 0 && !has_store {
            return Ok(());
        }
        if open.get() > 0 {
            note("haldir: waiting until what you asked for is done");
        }
        // Only a bug ends the thread early; the terminal has its message already.
        let _ = thread.join();
        let failed = updates.into_iter().filter(|(_, kind)| *kind == Trigger::Key).find_map(|(result, _)| result.err());
        failed.map_or(Ok(()), Err)
    }
}
