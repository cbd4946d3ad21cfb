//! Makes commits durable before they are answered: the write-ahead log goes to the disk on a thread of its own, while
//! the writer is at the next batch already.
//!
//! A commit at `synchronous=NORMAL` is whole and in its place, and safe from a crash of this process; a power failure
//! may take it back, together with every commit after it, for the log is one file that is read to its first torn
//! frame (<https://sqlite.org/wal.html>). Syncing that file makes everything in it durable, also what other processes
//! wrote. So nobody gets an answer that power failure can take back, and a later answer vouches for all earlier ones.

use std::{
    ops::Range,
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{JoinHandle, Thread},
    time::{Duration, Instant},
};

use tokio::runtime::Handle;

use super::{
    log_file::Log,
    queue::{Answer, Told, tell},
};
use crate::error::{Error, Result};

/// Batches that may wait for the disk; the writer waits before it commits one more.
const MAX_WAITING: usize = 8;

/// Pages that the disk is told to begin with.
const MAX_BEGUN: u64 = 64;

/// Until when a commit is durable that nobody waits for.
const SOON: Duration = Duration::from_millis(10);

/// What the disk has to do for us.
#[derive(Default)]
struct InHand {
    batches: AtomicUsize,
    /// Those that their callers sync themselves.
    left: AtomicUsize,
    writer: OnceLock<Thread>,
}

/// An answer, and the runtime in which somebody waits for it.
pub(super) struct Awaited {
    pub(super) answer: Answer,
    pub(super) caller: Option<Handle>,
    /// See [`super::queue::Queued::acts`].
    pub(super) acts: bool,
}

/// A committed batch, waiting to be durable. Where nobody waits for it, it may wait for the next one.
struct Committed {
    answers: Vec<Awaited>,
    /// The last sync that had begun before it was committed.
    behind: u64,
}

/// Answers that can be given now.
#[derive(Default)]
pub(super) struct Due(Option<(Committed, Result<()>)>);

impl Due {
    pub(super) fn give(self) {
        if let Some((batch, outcome)) = self.0 {
            give(batch, &outcome);
        }
    }
}

/// A committed batch that whoever has this is to sync. Nobody who holds a lock waits for that.
#[must_use]
pub(super) struct Unsynced {
    batch: Option<Committed>,
    log: Arc<Log>,
    in_hand: Arc<InHand>,
}

impl Unsynced {
    /// Waits for the disk.
    pub(super) fn sync(mut self) -> Due {
        self.synced()
    }

    fn synced(&mut self) -> Due {
        let Some(batch) = self.batch.take() else { return Due::default() };
        let outcome = self.log.sync();
        self.in_hand.left.fetch_sub(1, Ordering::Relaxed);
        Due(Some((batch, outcome)))
    }
}

impl Drop for Unsynced {
    fn drop(&mut self) {
        self.synced().give();
    }
}

/// The thread that syncs, and what it works on.
pub(super) struct Durability {
    log: Arc<Log>,
    /// Batches handed over and not yet answered.
    in_hand: Arc<InHand>,
    waiting: Option<SyncSender<Committed>>,
    thread: Option<JoinHandle<()>>,
}

impl Durability {
    pub(super) fn start(database: &Path) -> Result<Self> {
        // SQLite puts its log beside the file itself, not beside a link to it.
        let mut path = database.canonicalize().map_err(Error::internal)?.into_os_string();
        path.push("-wal");
        let log = Arc::new(Log::new(path.into()));
        let in_hand = Arc::<InHand>::default();
        let (waiting, batches) = sync_channel(MAX_WAITING);
        let thread = std::thread::Builder::new()
            .name("haldir-sync".into())
            .spawn({
                let (log, in_hand) = (Arc::clone(&log), Arc::clone(&in_hand));
                move || run(&log, &batches, &in_hand)
            })
            .map_err(Error::internal)?;
        Ok(Self { log, in_hand, waiting: Some(waiting), thread: Some(thread) })
    }

    /// Whether nobody waits for the disk, callers who sync by themselves included.
    pub(super) fn is_unused(&self) -> bool {
        self.in_hand.left.load(Ordering::Relaxed) == 0 && self.is_idle()
    }

    /// Whether the disk has nothing to do for the thread.
    pub(super) fn is_idle(&self) -> bool {
        // A thread that is gone takes nothing off: waiting for it would hold the write lock for ever.
        self.in_hand.batches.load(Ordering::Relaxed) == 0 || self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Whom to wake when the disk has nothing more to do.
    pub(super) fn wake_when_idle(&self, writer: Thread) {
        self.in_hand.writer.get_or_init(|| writer);
    }

    /// Refuses once the disk has failed.
    pub(super) fn check(&self) -> Result<()> {
        self.log.check()
    }

    /// Has the disk begin to write these pages of the log, which were put there just now. They are still to be synced, which
    /// waits the less for it the later it comes.
    pub(super) fn begin(&self, pages: Range<u64>) {
        // Those of other processes may be among them, which are written already, and would be forgotten.
        self.log.begin(pages.start.max(pages.end.saturating_sub(MAX_BEGUN))..pages.end);
    }

    /// Leaves a committed batch to the caller, who syncs it and answers it.
    pub(super) fn leave(&self, answers: Vec<Awaited>) -> Unsynced {
        let batch = Committed { answers, behind: self.log.begun() };
        self.in_hand.left.fetch_add(1, Ordering::Relaxed);
        Unsynced { batch: Some(batch), log: Arc::clone(&self.log), in_hand: Arc::clone(&self.in_hand) }
    }

    /// Answers a committed batch once it is durable. A write that came alone is synced on this thread: it is spared
    /// the way to another one, and most probably nobody waits behind it. Then the answer is due.
    #[must_use]
    pub(super) fn answer(&self, answers: Vec<Awaited>) -> Due {
        let batch = Committed { answers, behind: self.log.begun() };
        match &self.waiting {
            Some(waiting) if batch.answers.len() != 1 => {
                if !batch.answers.is_empty() {
                    self.in_hand.batches.fetch_add(1, Ordering::Relaxed);
                }
                let unsent = waiting.send(batch).err();
                Due(unsent.map(|unsent| (unsent.0, self.log.sync())))
            }
            _ => Due(Some((batch, self.log.sync()))),
        }
    }

    /// Answers what is waiting, and ends the thread.
    pub(super) fn finish(&mut self) {
        drop(self.waiting.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the sync thread had panicked");
        }
    }
}

fn run(log: &Log, batches: &Receiver<Committed>, in_hand: &InHand) {
    while let Ok(first) = batches.recv() {
        let mut waiting = vec![first];
        let until = Instant::now() + SOON;
        while waiting.iter().all(|batch| batch.answers.is_empty()) {
            match batches.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(batch) => waiting.push(batch),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        waiting.extend(batches.try_iter());
        if waiting.iter().all(|batch| batch.answers.is_empty() && log.has_synced_since(batch.behind)) {
            continue;
        }
        // All that was committed before this sync is durable after it.
        let outcome = log.sync();
        let done = waiting.iter().filter(|batch| !batch.answers.is_empty()).count();
        if done > 0
            && in_hand.batches.fetch_sub(done, Ordering::Relaxed) == done
            && let Some(writer) = in_hand.writer.get()
        {
            writer.unpark();
        }
        for batch in waiting {
            give(batch, &outcome);
        }
    }
}

/// Answers everyone. Many at once are woken from where they wait: waking each from outside costs more. What is done at once
/// comes after the others are on their way, and before those are woken that it is done for.
fn give(Committed { answers, .. }: Committed, outcome: &Result<()>) {
    let at_once = answers.len() == 1;
    let (mut telling, mut acting) = (ByCaller::default(), Vec::new());
    for Awaited { answer, caller, acts } in answers {
        match caller.filter(|_| !at_once) {
            None => tell(answer, outcome.clone()),
            Some(caller) if acts => acting.push((caller, answer)),
            Some(caller) => telling.add(caller, answer),
        }
    }
    telling.spawn({
        let outcome = outcome.clone();
        move |answer: Answer| tell(answer, outcome.clone())
    });
    let mut acted = ByCaller::default();
    for (caller, answer) in acting {
        if let Some(told) = answer(outcome.clone()) {
            acted.add(caller, told);
        }
    }
    acted.spawn(|told: Told| told());
}

/// What is to be done in the runtimes of callers.
struct ByCaller<T>(Vec<(Handle, Vec<T>)>);

impl<T> Default for ByCaller<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Send + 'static> ByCaller<T> {
    fn add(&mut self, caller: Handle, one: T) {
        match self.0.iter_mut().find(|(known, _)| known.id() == caller.id()) {
            Some((_, all)) => all.push(one),
            None => self.0.push((caller, vec![one])),
        }
    }

    fn spawn(self, with: impl Fn(T) + Clone + Send + 'static) {
        for (caller, all) in self.0 {
            let with = with.clone();
            caller.spawn(async move { all.into_iter().for_each(with) });
        }
    }
}
