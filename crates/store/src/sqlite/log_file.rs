//! The write-ahead log as a file: brought to the disk by us, and never taken for durable again once that has failed.

use std::{
    fs::File,
    io,
    ops::Range,
    path::PathBuf,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use super::room;
use crate::{
    error::{Code, Error, Result},
    measure::MEASURES,
};

/// The write-ahead log as a file.
pub(super) struct Log {
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
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            file: Mutex::default(),
            failed: OnceLock::new(),
            begun: AtomicU64::default(),
            succeeded: AtomicU64::default(),
        }
    }

    /// Refuses once the disk has failed: what is in the log then is anybody's guess until it is read anew.
    pub(super) fn check(&self) -> Result<()> {
        self.failed.get().map_or(Ok(()), |()| Err(failed()))
    }

    /// The last sync that has begun.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }

    /// Whether one has succeeded that had not begun yet when this was the last that had.
    pub(super) fn has_synced_since(&self, begun: u64) -> bool {
        self.succeeded.load(Ordering::Acquire) > begun
    }

    /// Begins to write these pages, without waiting for that; where it cannot, nothing is lost but time.
    pub(super) fn begin(&self, pages: Range<u64>) {
        if let Ok(file) = self.file.try_lock()
            && let Some(file) = &*file
        {
            write_out(file, room::place(pages.start)..room::place(pages.end));
        }
    }

    pub(super) fn sync(&self) -> Result<()> {
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
