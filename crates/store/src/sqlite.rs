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

use crate::{
    database::{ColumnType, Connection},
    error::{Error, Result},
    readers::Open,
};

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

/// A column of a table that holds a part of a store.
#[derive(Clone, Debug)]
pub(crate) struct SchemaColumn {
    pub(crate) table: String,
    pub(crate) name: String,
    pub(crate) column_type: ColumnType,
    /// Its place in the primary key, from 1; 0 is not in it.
    pub(crate) key_place: i64,
}

const SCHEMA_COLUMNS: &str = "SELECT tables.name, columns.name, columns.type, columns.pk
    FROM pragma_table_list AS tables JOIN pragma_table_info(tables.name) AS columns
    WHERE tables.schema = 'main' AND tables.type = 'table' AND tables.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
        AND tables.name <> 'schema_migrations'
    ORDER BY tables.name, columns.cid";

/// The columns of all tables that the migrations make, but for the record of the migrations themselves.
pub(crate) fn schema_columns() -> Result<Vec<SchemaColumn>> {
    let mut made = rusqlite::Connection::open_in_memory()?;
    Migrator::new(&mut made).up()?;
    let mut statement = made.prepare(SCHEMA_COLUMNS)?;
    let mut rows = statement.query([])?;
    let mut columns = Vec::new();
    while let Some(row) = rows.next()? {
        let column_type = match row.get_ref(2)?.as_str().map_err(Error::internal)? {
            "INTEGER" => ColumnType::Integer,
            "TEXT" => ColumnType::Text,
            "BLOB" => ColumnType::Blob,
            other => return Err(Error::internal(format!("a column of the type {other}"))),
        };
        columns.push(SchemaColumn { table: row.get(0)?, name: row.get(1)?, column_type, key_place: row.get(3)? });
    }
    Ok(columns)
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    pub(crate) fn wrap(connection: rusqlite::Connection) -> Box<dyn Connection> {
        Box::new(SqliteConnection::reader(connection))
    }
}
