//! The embedded database.
//!
//! WAL with `synchronous=FULL`: what is acknowledged survives power loss. Connections live long, and the database is never
//! memory-mapped: with a connection per write and a large map, SQLite was seen to lose acknowledged writes between
//! processes.

mod checkpoint;
mod connection;
pub mod copying;
mod inspection;
mod migrations;
#[cfg(test)]
mod plans;
pub mod tampering;
mod wal_index;

use std::path::Path;

use connection::SqliteConnection;
pub use inspection::Inspection;
pub use migrations::{Migration, MigrationState, Migrator};
use rusqlite::OpenFlags;
pub(crate) use wal_index::version_of;

use crate::{database::Connection, error::Result, readers::Open};

/// KiB of pages that each reader keeps at most: of a log that is verified, 4,096 entries and what is said of them.
const READER_CACHE_KIB: i64 = 4_096;

/// The version of the SQLite library in this program.
pub fn version() -> &'static str {
    rusqlite::version()
}

/// Brings the schema of the database at `path` up to date; answers how many migrations that took. `progress` is told how many
/// are applied, of how many.
pub fn migrate(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<usize> {
    Migrator::new(&mut connection::open(path)?).up_telling(progress)
}

/// Opens or creates the database and brings its schema up to date. Returns the connection that writes.
pub(crate) fn open(path: &Path) -> Result<Box<dyn Connection>> {
    let mut connection = connection::open(path)?;
    Migrator::new(&mut connection).up()?;
    connection::overwrite_deleted(&connection)?;
    Ok(Box::new(SqliteConnection::writer(path, connection)?))
}

/// Opens connections that read the database at `path`.
pub(crate) fn readers(path: &Path) -> Open {
    let path = path.to_owned();
    Box::new(move || {
        // Readers of a write-ahead log write its index of marks, so the file cannot be opened read-only.
        let connection = connection::connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
        Ok(Box::new(SqliteConnection::reader(connection)))
    })
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    pub(crate) fn wrap(connection: rusqlite::Connection) -> Box<dyn Connection> {
        Box::new(SqliteConnection::reader(connection))
    }
}
