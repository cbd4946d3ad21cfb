//! Room in the write-ahead log, made before it is needed.
//!
//! A sync of a file that has grown writes its new length besides what was put into it, which takes a disk about as long
//! once more. So the file is made longer in larger steps, by zeros, which are no frame: a frame has the salts of its
//! log's header and the number of a page, from 1 (<https://sqlite.org/fileformat2.html#the_write_ahead_log>).
//! Whoever reads the log after a crash stops there. Once the log begins anew, its file is long enough.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// Bytes of the log's header, and of a frame, which is a page of 4 KiB and its header.
const HEADER: u64 = 32;
const FRAME: u64 = 4_096 + 24;
/// Pages from which a log is given room: it will grow more.
const MIN_PAGES: u64 = 64;
/// Pages that there is room for when a transaction begins. One that needs more makes it itself.
const AHEAD: u64 = 32;
/// The smallest and the largest step, in bytes; between them a step doubles the file.
const MIN_STEP: u64 = 256 * 1024;
const MAX_STEP: u64 = 1024 * 1024;
/// Zeros that are written at a time.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Where the frame behind so many pages begins.
pub(super) fn place(pages: u64) -> u64 {
    HEADER + pages * FRAME
}

/// Makes room at the end of a database's log.
pub(super) struct Room {
    path: PathBuf,
    file: Option<File>,
    /// Bytes that the file has at least.
    length: u64,
}

impl Room {
    pub(super) fn of(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        Self { path: path.into(), file: None, length: 0 }
    }

    /// Makes room behind so many pages. Only who has the write lock may call this: nobody else puts a frame there then.
    pub(super) fn make(&mut self, pages: u64) {
        let needed = place(pages + AHEAD);
        if pages < MIN_PAGES || needed <= self.length {
            return;
        }
        // One that cannot be had is not asked for again until the log has grown: SQLite does without.
        self.length = self.grow(needed).unwrap_or(needed);
    }

    fn grow(&mut self, needed: u64) -> io::Result<u64> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(File::options().write(true).open(&self.path)?),
        };
        let length = file.metadata()?.len();
        if length >= needed {
            return Ok(length);
        }
        let until = needed.max(length + length.clamp(MIN_STEP, MAX_STEP));
        let mut at = length;
        while at < until {
            let step = usize::try_from(until - at).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
            at += write_at(file, &ZEROS[..step], at)? as u64;
        }
        Ok(until)
    }
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, bytes, at)
}

#[cfg(windows)]
fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, bytes, at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    fn rows(path: &Path) -> i64 {
        Connection::open(path).unwrap().query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_log_with_room_at_its_end_is_read_after_a_crash_to_its_last_commit() {
        let folder = tempfile::tempdir().unwrap();
        let (path, after) = (folder.path().join("a.db"), folder.path().join("b.db"));
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x)")
            .unwrap();
        let mut room = Room::of(&path);
        let log = || folder.path().join("a.db-wal").metadata().unwrap().len();
        for count in 1..=200 {
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            let (length, pages) = (log(), count);
            room.make(pages);
            let has_room = log() >= HEADER + (pages + AHEAD) * FRAME;
            assert_eq!(has_room, pages >= MIN_PAGES, "{pages} pages, {length} bytes before, {} after", log());
            connection.execute_batch("INSERT INTO t VALUES (1); COMMIT").unwrap();
            if count % 40 == 0 {
                // As a crash leaves them.
                std::fs::copy(&path, &after).unwrap();
                std::fs::copy(folder.path().join("a.db-wal"), folder.path().join("b.db-wal")).unwrap();
                drop(std::fs::remove_file(folder.path().join("b.db-shm")));
                assert_eq!(rows(&after), i64::try_from(count).unwrap());
            }
        }
        assert!(log() <= HEADER + (200 + AHEAD) * FRAME + MAX_STEP);
        // It begins anew in the room that it has.
        let length = log();
        connection.execute_batch("PRAGMA wal_checkpoint(PASSIVE); INSERT INTO t VALUES (1)").unwrap();
        room.make(MIN_PAGES);
        assert_eq!(log(), length);
        assert_eq!(rows(&path), 201);
    }

    #[test]
    fn a_log_that_nobody_can_give_room_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        Room::of(&folder.path().join("none.db")).make(MIN_PAGES);
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}
