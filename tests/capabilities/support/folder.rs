//! A folder with a store.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

/// A folder with a store, removed when dropped.
pub struct Folder(tempfile::TempDir);

impl Drop for Folder {
    fn drop(&mut self) {
        super::on_postgres::drop_database(&self.db());
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

    /// The database as a file, opened beside the server. What a test changes in it need not survive a power cut.
    pub fn sql(&self) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(self.db()).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
        connection.pragma_update(None, "synchronous", "OFF").unwrap();
        connection
    }

    /// One value from the database, wherever it is.
    #[track_caller]
    pub fn sql_value<T: rusqlite::types::FromSql + FromStr>(&self, query: &str) -> T {
        if let Some(answer) = super::on_postgres::ask(&self.db(), query) {
            return answer.parse().unwrap_or_else(|_| panic!("{query}: {answer}"));
        }
        self.sql().query_row(query, [], |row| row.get(0)).unwrap()
    }

    /// Changes rows of the database, wherever it is, and returns how many.
    #[track_caller]
    pub fn change(&self, statement: &str) -> usize {
        match super::on_postgres::ask(&self.db(), statement) {
            // The name of the command, and the number.
            Some(answer) => answer.rsplit(' ').next().unwrap().parse().unwrap(),
            None => self.sql().execute(statement, []).unwrap(),
        }
    }

    /// The bytes of the database and its companions.
    pub fn stored_bytes(&self) -> Vec<(String, Vec<u8>)> {
        let files = std::fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap());
        files
            .map(|file| (file.file_name().to_string_lossy().into_owned(), std::fs::read(file.path()).unwrap()))
            .collect()
    }
}
