//! Rows that nearly every call looks at, its key and its session, remembered as parsed while nobody commits.
//!
//! Whether anybody has is asked of the database each time: SQLite keeps a header at the start of the index of its
//! write-ahead log (the `-shm` file; <https://sqlite.org/walformat.html#the_wal_index_file_format>), with a counter,
//! checksums and salts that every commit of every process changes once it is durable. SQLite decides by the same
//! header whether its own page cache is still good. Reading it is one system call without a lock; a transaction
//! takes shared locks that all readers of a process queue for.

use std::{
    collections::HashMap,
    fs::File,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use crate::model::{ApiKey, Session, SessionId, TenantId};

/// Rows of each kind that are remembered; one more, and all are forgotten.
const MAX_ROWS: usize = 4_096;
/// Bytes of the header. Two copies stand in front of the index, written one after the other.
const HEADER_BYTES: usize = 48;

/// A state of the database: equal headers, equal content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State([u8; HEADER_BYTES]);

pub(super) struct Memo {
    /// Never closed: closing any handle of a file gives up all of the process's locks on it, SQLite's included
    /// (POSIX `fcntl`). `None` where there is none to read: then nothing is remembered.
    index: Option<&'static File>,
    rows: RwLock<Rows>,
}

#[derive(Default)]
struct Rows {
    /// What they were read in, or later.
    state: Option<State>,
    keys: HashMap<String, Arc<[Arc<ApiKey>]>>,
    sessions: HashMap<SessionId, (TenantId, Arc<Session>)>,
}

impl Memo {
    /// For the database at `path`, which a connection of this process has open and keeps open.
    pub(super) fn new(path: &Path) -> Self {
        Self { index: open_index(path), rows: RwLock::default() }
    }

    /// The state as of now; `None` in the middle of a change, and where it cannot be known.
    pub(super) fn state(&self) -> Option<State> {
        let mut copies = [[0; HEADER_BYTES]; 2];
        read_at_start(self.index?, copies.as_flattened_mut())?;
        (copies[0] == copies[1]).then_some(State(copies[0]))
    }

    pub(super) fn keys(&self, state: State, prefix: &str) -> Option<Arc<[Arc<ApiKey>]>> {
        self.look_up(state, |rows| rows.keys.get(prefix).cloned())
    }

    pub(super) fn session(&self, state: State, tenant: &TenantId, id: &SessionId) -> Option<Arc<Session>> {
        self.look_up(state, |rows| {
            let (owner, session) = rows.sessions.get(id)?;
            (owner == tenant).then(|| Arc::clone(session))
        })
    }

    /// Remembers keys that were read in `state` or later.
    pub(super) fn keep_keys(&self, state: State, prefix: &str, keys: &Arc<[Arc<ApiKey>]>) {
        self.keep(state, |rows| rows.keys.insert(prefix.to_owned(), Arc::clone(keys)));
    }

    /// Remembers a session that was read in `state` or later.
    pub(super) fn keep_session(&self, state: State, tenant: &TenantId, session: &Arc<Session>) {
        self.keep(state, |rows| rows.sessions.insert(session.id.clone(), (tenant.clone(), Arc::clone(session))));
    }

    fn look_up<T>(&self, state: State, find: impl FnOnce(&Rows) -> Option<T>) -> Option<T> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        if rows.state == Some(state) { find(&rows) } else { None }
    }

    fn keep<T>(&self, state: State, insert: impl FnOnce(&mut Rows) -> T) {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        if rows.state != Some(state) || rows.keys.len() >= MAX_ROWS || rows.sessions.len() >= MAX_ROWS {
            rows.keys.clear();
            rows.sessions.clear();
            rows.state = Some(state);
        }
        insert(&mut rows);
    }
}

#[cfg(unix)]
fn open_index(path: &Path) -> Option<&'static File> {
    // SQLite puts it beside the file itself, not beside a link to it.
    let mut index = path.canonicalize().ok()?.into_os_string();
    index.push("-shm");
    File::open(index).ok().map(|file| &*Box::leak(Box::new(file)))
}

#[cfg(unix)]
fn read_at_start(index: &File, buffer: &mut [u8]) -> Option<()> {
    std::os::unix::fs::FileExt::read_exact_at(index, buffer, 0).ok()
}

/// Where mapped memory and reads of the file need not agree, every row is read anew.
#[cfg(not(unix))]
fn open_index(_: &Path) -> Option<&'static File> {
    None
}

#[cfg(not(unix))]
fn read_at_start(_: &File, _: &mut [u8]) -> Option<()> {
    None
}
