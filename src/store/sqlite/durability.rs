//! Makes commits durable before they are answered: the write-ahead log goes to the disk on a thread of its own, while
//! the writer is at the next batch already.
//!
//! A commit at `synchronous=NORMAL` is whole and in its place, and safe from a crash of this process; a power failure
//! may take it back, together with every commit after it, for the log is one file that is read to its first torn
//! frame (<https://sqlite.org/wal.html>). Syncing that file makes everything in it durable, also what other processes
//! wrote. So nobody gets an answer that power failure can take back, and a later answer vouches for all earlier ones.

use std::{
    fs::File,
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{JoinHandle, Thread},
    time::{Duration, Instant},
};

use tokio::runtime::Handle;

use super::{
    queue::{Answer, Told, tell},
    room,
};
use crate::{
    error::{Code, Error, Result},
    measure::MEASURES,
};

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

    /// Refuses once the disk has failed: what is in the log then is anybody's guess until it is read anew.
    pub(super) fn check(&self) -> Result<()> {
        self.log.failed.get().map_or(Ok(()), |()| Err(failed()))
    }

    /// Has the disk begin to write these pages of the log, which were put there just now. They are still to be synced, which
    /// waits the less for it the later it comes.
    pub(super) fn begin(&self, pages: Range<u64>) {
        // Those of other processes may be among them, which are written already, and would be forgotten.
        self.log.begin(pages.start.max(pages.end.saturating_sub(MAX_BEGUN))..pages.end);
    }

    /// Leaves a committed batch to the caller, who syncs it and answers it.
    pub(super) fn leave(&self, answers: Vec<Awaited>) -> Unsynced {
        let batch = Committed { answers, behind: self.log.begun.load(Ordering::Acquire) };
        self.in_hand.left.fetch_add(1, Ordering::Relaxed);
        Unsynced { batch: Some(batch), log: Arc::clone(&self.log), in_hand: Arc::clone(&self.in_hand) }
    }

    /// Answers a committed batch once it is durable. A write that came alone is synced on this thread: it is spared
    /// the way to another one, and most probably nobody waits behind it. Then the answer is due.
    #[must_use]
    pub(super) fn answer(&self, answers: Vec<Awaited>) -> Due {
        let batch = Committed { answers, behind: self.log.begun.load(Ordering::Acquire) };
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

/// The write-ahead log as a file.
struct Log {
    path: PathBuf,
    /// Locked while it is synced: the system reports a failed write to one of two who sync at once, and the other one
    /// would take what is lost for durable.
    file: Mutex<Option<File>>,
    failed: OnceLock<()>,
    /// Syncs are numbered from 1: the last one that has begun, and the last one that has succeeded.
    begun: AtomicU64,
    succeeded: AtomicU64,
}

impl Log {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: Mutex::default(),
            failed: OnceLock::new(),
            begun: AtomicU64::default(),
            succeeded: AtomicU64::default(),
        }
    }

    /// Whether one has succeeded that had not begun yet when this was the last that had.
    fn has_synced_since(&self, begun: u64) -> bool {
        self.succeeded.load(Ordering::Acquire) > begun
    }

    /// Begins to write these pages, without waiting for that; where it cannot, nothing is lost but time.
    fn begin(&self, pages: Range<u64>) {
        if let Ok(file) = self.file.try_lock()
            && let Some(file) = &*file
        {
            write_out(file, room::place(pages.start)..room::place(pages.end));
        }
    }

    fn sync(&self) -> Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if self.failed.get().is_some() {
            return Err(failed());
        }
        let number = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let begun = Instant::now();
        let synced = self.current(&mut file).and_then(File::sync_data);
        MEASURES.sync_time.observe_time(begun.elapsed());
        if synced.is_ok() {
            self.succeeded.store(number, Ordering::Release);
        }
        synced.map_err(|error| {
            tracing::error!(%error, "the write-ahead log could not be synced: no more writes until a restart");
            self.failed.get_or_init(|| ());
            failed()
        })
    }

    /// The file that SQLite writes to. It stays the same while a connection is open; if it was removed all the same,
    /// syncing it would prove nothing.
    fn current<'f>(&self, file: &'f mut Option<File>) -> io::Result<&'f File> {
        if let Some(open) = file
            && is_removed(open)?
        {
            *file = None;
        }
        match file {
            Some(open) => Ok(open),
            None => Ok(file.insert(File::options().read(true).write(true).open(&self.path)?)),
        }
    }
}

/// That pages are not needed any more is said of those that are still to be written, and so has them written at once
/// (<https://man7.org/linux/man-pages/man2/posix_fadvise.2.html>). They stay in memory while that lasts.
#[cfg(target_os = "linux")]
fn write_out(file: &File, bytes: Range<u64>) {
    use rustix::fs::{Advice, fadvise};

    if let Some(length) = bytes.end.checked_sub(bytes.start).and_then(std::num::NonZero::new) {
        // A hint: where the file system does not take it, the sync does all.
        let _ = fadvise(file, bytes.start, Some(length), Advice::DontNeed);
    }
}

#[cfg(not(target_os = "linux"))]
fn write_out(_: &File, _: Range<u64>) {}

/// Only the number of its links is asked for: where the times of a file are looked at, the next write notes a finer one,
/// and some file systems write that with the next sync (<https://docs.kernel.org/filesystems/multigrain-ts.html>).
#[cfg(target_os = "linux")]
fn is_removed(file: &File) -> io::Result<bool> {
    use rustix::fs::{AtFlags, StatxFlags, statx};

    Ok(statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::NLINK)?.stx_nlink == 0)
}

#[cfg(all(unix, not(target_os = "linux")))]
fn is_removed(file: &File) -> io::Result<bool> {
    Ok(std::os::unix::fs::MetadataExt::nlink(&file.metadata()?) == 0)
}

#[cfg(not(unix))]
fn is_removed(_: &File) -> io::Result<bool> {
    Ok(false)
}

fn failed() -> Error {
    Error::new(
        Code::Unavailable,
        "the store's disk failed: whether this was written is known after a restart; nothing more is written until then",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_cannot_be_synced_is_never_taken_for_durable_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("h.db-wal");
        let log = Log::new(path.clone());
        assert!(log.sync().is_err(), "there is no log");
        std::fs::write(&path, b"").unwrap();
        assert!(log.sync().is_err(), "what was written before the failure may be lost");
    }

    #[cfg(unix)]
    #[test]
    fn a_log_that_was_replaced_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("h.db-wal");
        let log = Log::new(path.clone());
        std::fs::write(&path, b"old").unwrap();
        log.sync().unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, b"newer").unwrap();
        log.sync().unwrap();
        let file = log.file.lock().unwrap();
        assert_eq!(file.as_ref().unwrap().metadata().unwrap().len(), 5);
    }
}
