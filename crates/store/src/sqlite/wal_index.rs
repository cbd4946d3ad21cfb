//! The version of the database, by which cached rows are known to be current.
//!
//! SQLite keeps a header at the start of the index of its write-ahead log (the `-shm` file;
//! <https://sqlite.org/walformat.html#the_wal_index_file_format>), with a counter, checksums and salts that every commit of every
//! process changes once it is durable. SQLite decides by the same header whether its own page cache is still good. Reading it is one
//! system call without a lock; a transaction takes shared locks that all readers of a process queue for.

use std::{fs::File, path::Path};

use crate::row_cache::{AskVersion, DatabaseVersion};

/// Bytes of the header. Two copies stand in front of the index, written one after the other.
const HEADER_BYTES: usize = 48;

/// Tells the version of the database at `path`, which a connection of this process has open and keeps open.
pub(crate) fn version_of(path: &Path) -> AskVersion {
    // Never closed: closing any handle of a file gives up all of the process's locks on it, SQLite's included (POSIX `fcntl`).
    let index = open_index(path);
    Box::new(move || {
        let mut copies = [[0; HEADER_BYTES]; 2];
        read_at_start(index?, copies.as_flattened_mut())?;
        let [stamp, copy] = copies;
        // `iChange` of the header, in the machine's byte order.
        let commits = stamp[8..].first_chunk().map_or(0, |counter| u32::from_ne_bytes(*counter));
        (stamp == copy).then_some(DatabaseVersion { stamp, commits })
    })
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
