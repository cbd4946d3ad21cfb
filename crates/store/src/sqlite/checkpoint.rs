//! Moves committed pages from the write-ahead log into the database file, off the commit path: doing it inside
//! a commit, as SQLite does by itself, makes that commit's callers wait for megabytes of random writes.
//!
//! Only passive checkpoints are used: the others wait for readers, and a verification may read for minutes.

use std::{
    cell::Cell,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
};

use rusqlite::{Connection, OpenFlags};

use super::connection;
use crate::error::{Error, Result};

/// Pages (4 KiB each) that the log grows by between two moves on the background thread. A move writes every page
/// once, however often it was changed, and syncs twice, beside the commits: so not too often.
const STEP_PAGES: i32 = 4_000;
/// Pages at which the writer pauses to move the rest itself: under a load without pauses the background thread
/// never catches up to the very end, where the log can begin anew, so that it would grow for ever.
const MAX_PAGES: i32 = 16_000;

pub(super) struct Checkpointer {
    pages: Arc<AtomicI32>,
    wake: SyncSender<()>,
    /// Pages at which the background thread moves next.
    wake_at: Cell<i32>,
    /// Pages at which the writer tries next: a long reader can keep the log from beginning anew.
    pause_at: Cell<i32>,
}

impl Checkpointer {
    pub(super) fn attach(path: &Path, writer: &mut Connection) -> Result<Self> {
        let pages = Arc::new(AtomicI32::new(0));
        let count = Arc::clone(&pages);
        // Replaces SQLite's own hook, which would checkpoint inside the commit.
        writer.wal_hook(Some(move |_: &mut _, pages| {
            count.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        let (wake, woken) = sync_channel::<()>(1);
        let path = path.to_owned();
        std::thread::Builder::new()
            .name("haldir-checkpoint".into())
            .spawn(move || {
                let mut connection = None;
                while woken.recv().is_ok() {
                    if connection.is_none() {
                        connection = connection::connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).ok();
                    }
                    if let Some(connection) = &connection {
                        checkpoint(connection);
                    }
                }
            })
            .map_err(Error::internal)?;
        Ok(Self { pages, wake, wake_at: Cell::new(STEP_PAGES), pause_at: Cell::new(MAX_PAGES) })
    }

    /// Called by the writer when its batch is committed and answered.
    pub(super) fn after_commit(&self, writer: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < STEP_PAGES {
            self.wake_at.set(STEP_PAGES);
            self.pause_at.set(MAX_PAGES);
        } else if pages >= self.pause_at.get() {
            checkpoint(writer);
            self.pause_at.set(pages + STEP_PAGES);
        } else if pages >= self.wake_at.get() {
            self.wake_at.set(pages + STEP_PAGES);
            // Full means that the thread has been woken already.
            let (Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(()))) = self.wake.try_send(());
        }
    }

    /// Called when the writer ends.
    #[allow(clippy::unused_self)]
    pub(super) fn finish(&self, writer: &Connection) {
        checkpoint(writer);
    }
}

fn checkpoint(connection: &Connection) {
    // A log that could not be moved now stays valid and is moved later.
    if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
        tracing::warn!(%error, "the write-ahead log was not checkpointed");
    }
}
