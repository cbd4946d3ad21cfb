//! A folder with a store.

use std::path::{Path, PathBuf};

use haldir::crypto::Key;
use rusqlite::types::FromSql;

use super::{Database, on_postgres};

/// A folder with a store, removed when dropped.
pub struct Folder(tempfile::TempDir);

impl Drop for Folder {
    fn drop(&mut self) {
        on_postgres::drop_database(&self.db());
    }
}

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    pub fn db(&self) -> PathBuf {
        self.folder().join("h.db")
    }

    /// The database, opened beside the server.
    pub fn sql(&self) -> Database {
        Database::open(&self.db())
    }

    /// The database as a file, for tests of what only a file has.
    pub fn file(&self) -> rusqlite::Connection {
        match self.sql() {
            Database::File(file) => file,
            Database::Postgres(_) => panic!("this test needs a store in a file: see tests/postgres/left-out"),
        }
    }

    /// One value from the database.
    #[track_caller]
    pub fn sql_value<T: FromSql>(&self, query: &str) -> T {
        self.sql().value(query, &[])
    }

    /// Changes rows of the database, and returns how many.
    #[track_caller]
    pub fn change(&self, statement: &str) -> usize {
        self.sql().change(statement, &[])
    }

    /// The store's encryption key.
    pub fn master_key(&self) -> Key {
        on_postgres::master_key(&self.db())
    }

    /// Where programs keep what the servers that they start write to standard error.
    pub fn logs(&self) -> PathBuf {
        on_postgres::logs(&self.db())
    }

    /// Brings the file to where nothing is left in it of what was overwritten or moved, as a person can have SQLite do. A database on
    /// Postgres has that in no row, which is all that is looked at there.
    pub fn compact(&self) {
        if let Database::File(file) = self.sql() {
            file.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        }
    }

    /// The bytes of the database and its companions; of one on Postgres, those of its rows.
    pub fn stored_bytes(&self) -> Vec<(String, Vec<u8>)> {
        stored_bytes(&self.db())
    }
}

/// The same of the store that is the file `db`, which has its folder to itself, or stands for it.
pub fn stored_bytes(db: &Path) -> Vec<(String, Vec<u8>)> {
    if on_postgres::is_used() {
        return vec![("h.db".to_owned(), Database::open(db).bytes_of_rows())];
    }
    let files = std::fs::read_dir(db.parent().unwrap()).unwrap().map(|entry| entry.unwrap());
    files.map(|file| (file.file_name().to_string_lossy().into_owned(), std::fs::read(file.path()).unwrap())).collect()
}
