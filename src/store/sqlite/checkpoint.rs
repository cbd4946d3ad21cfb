//! Moves committed pages from the write-ahead log into the database file, off the commit path: doing it inside
//! a commit, as SQLite does by itself, makes that commit's callers wait for megabytes of random writes.

use std::{
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

/// Pages in the log (4 KiB each) at which the background thread starts moving them.
const START_PAGES: i32 = 1_000;
/// Pages at which the writer stops to empty the log: under a load without pauses the background thread never
/// catches up to the very end, so that the log would grow for ever.
const MAX_PAGES: i32 = 16_000;

pub(super) struct Checkpointer {
    pages: Arc<AtomicI32>,
    wake: SyncSender<()>,
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
                        checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)");
                    }
                }
            })
            .map_err(Error::internal)?;
        Ok(Self { pages, wake })
    }

    /// Called by the writer when its batch is committed and answered.
    pub(super) fn after_commit(&self, writer: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages >= MAX_PAGES {
            checkpoint(writer, "PRAGMA wal_checkpoint(RESTART)");
        } else if pages >= START_PAGES {
            // Full means that the thread has been woken already.
            let (Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(()))) = self.wake.try_send(());
        }
    }

    /// Called when the writer ends.
    #[allow(clippy::unused_self)]
    pub(super) fn finish(&self, writer: &Connection) {
        checkpoint(writer, "PRAGMA wal_checkpoint(PASSIVE)");
    }
}

fn checkpoint(connection: &Connection, pragma: &str) {
    // A log that could not be moved now stays valid and is moved later.
    if let Err(error) = connection.query_row(pragma, [], |_| Ok(())) {
        tracing::warn!(%error, "the write-ahead log was not checkpointed");
    }
}
