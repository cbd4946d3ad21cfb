//! Calls to haldir from a live screen, one after the other on a thread of their own.

use std::{
    cell::Cell,
    sync::mpsc::{self, Receiver, SyncSender, TryRecvError},
    thread::{self, JoinHandle},
};

use super::super::{output::note, target::Target};
use crate::error::{Error, Result};

/// Calls that wait for their turn: what a person can have asked for meanwhile.
const MAX_WAITING: usize = 8;

/// A call, and what is made of its answer.
pub type Job<N> = Box<dyn FnOnce(&Target) -> Result<N> + Send>;

/// The thread.
pub struct Worker<N> {
    jobs: SyncSender<(Job<N>, Kind)>,
    news: Receiver<(Result<N>, Kind)>,
    thread: JoinHandle<()>,
    /// What was ordered by a person, and not answered yet.
    open: Cell<usize>,
    /// Whether a store is open on it, which is closed before the program ends.
    has_store: bool,
}

/// Why haldir is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To see what is new.
    Question,
    /// By a person's key: it may change something.
    Order,
}

impl<N: Send + 'static> Worker<N> {
    pub fn start(target: Target) -> Result<Self> {
        let has_store = matches!(target, Target::Store(_));
        let (jobs, orders) = mpsc::sync_channel::<(Job<N>, Kind)>(MAX_WAITING);
        // More than there can be jobs, so that the thread never waits for the screen.
        let (tell, news) = mpsc::sync_channel(2 * MAX_WAITING);
        let work = move || {
            for (job, kind) in orders {
                if tell.send((job(&target), kind)).is_err() {
                    break;
                }
            }
        };
        let thread = thread::Builder::new().name("calls".to_owned()).spawn(work).map_err(Error::internal)?;
        Ok(Self { jobs, news, thread, open: Cell::new(0), has_store })
    }

    /// Has a call made; answers whether there was room for it.
    pub fn order(&self, job: Job<N>, kind: Kind) -> bool {
        let is_taken = self.jobs.try_send((job, kind)).is_ok();
        if is_taken && kind == Kind::Order {
            self.open.set(self.open.get() + 1);
        }
        is_taken
    }

    /// The next answer that is there.
    pub fn heard(&self) -> Result<Option<(Result<N>, Kind)>> {
        match self.news.try_recv() {
            Ok((news, kind)) => {
                if kind == Kind::Order {
                    self.open.set(self.open.get().saturating_sub(1));
                }
                Ok(Some((news, kind)))
            }
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(Error::internal("the thread that calls haldir has ended")),
        }
    }

    /// Waits for what a person has ordered, and closes a local store. A question to a server is left alone: nothing
    /// changes by it. An order that failed is the error.
    pub fn finish(self) -> Result<()> {
        let Self { jobs, news, thread, open, has_store } = self;
        drop(jobs);
        if open.get() == 0 && !has_store {
            return Ok(());
        }
        if open.get() > 0 {
            note("haldir: waiting until what you asked for is done");
        }
        // Only a bug ends the thread early; the terminal has its message already.
        let _ = thread.join();
        let failed = news.into_iter().filter(|(_, kind)| *kind == Kind::Order).find_map(|(outcome, _)| outcome.err());
        failed.map_or(Ok(()), Err)
    }
}
