//! A database looked at from outside, for diagnosis: nothing is created, and nothing is changed.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use super::{
    MigrationState, Migrator,
    connection::{APPLICATION_ID, SqliteConnection},
};
use crate::{
    ReadTx,
    database::Connection as _,
    error::{Code, Error, Result},
};

/// How long a look waits for another process.
const BUSY_LIMIT: Duration = Duration::from_secs(5);
/// Problems that one check names at most.
const MAX_PROBLEMS: usize = 10;

/// Tables, indexes, triggers and views by name: what each is, and the statement that made it.
fn schema(connection: &Connection) -> Result<BTreeMap<String, (String, String)>> {
    let mut statement = connection.prepare(
        "SELECT name, type, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )?;
    let found = statement.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// An existing database, opened for looking only.
pub struct Inspection {
    path: PathBuf,
    connection: Connection,
}

impl Inspection {
    /// Opens the database at `path`, which must exist and be haldir's.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { path: path.to_owned(), connection: open(path)? })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// What stands in the schema that this build's migrations do not make, and what of theirs is missing or otherwise:
    /// a trigger, for instance, that changes rows behind haldir's back. The schema must be up to date.
    pub fn foreign_schema(&self) -> Result<Vec<String>> {
        let mut expected = Connection::open_in_memory()?;
        Migrator::new(&mut expected).up()?;
        let (ours, theirs) = (schema(&expected)?, schema(&self.connection)?);
        let mut found = Vec::new();
        for (name, (kind, sql)) in &theirs {
            match ours.get(name) {
                None => found.push(format!("the {kind} {name} was added")),
                Some((_, expected)) if expected != sql => found.push(format!("the {kind} {name} was changed")),
                Some(_) => {}
            }
        }
        let missing = ours.iter().filter(|(name, _)| !theirs.contains_key(*name));
        found.extend(missing.map(|(name, (kind, _))| format!("the {kind} {name} is missing")));
        found.truncate(MAX_PROBLEMS);
        Ok(found)
    }

    /// What the database's own check (`PRAGMA quick_check`) finds wrong with the file; nothing if it is sound.
    pub fn problems(&self) -> Vec<String> {
        let check = || {
            let mut statement = self.connection.prepare(&format!("PRAGMA quick_check({MAX_PROBLEMS})"))?;
            statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
        };
        // A file that breaks the check itself is damaged as well.
        let found = check().unwrap_or_else(|error| vec![error.to_string()]);
        found.into_iter().filter(|line| line != "ok").collect()
    }

    /// The schema version, and where every migration stands.
    pub fn migrations(&mut self) -> Result<(i64, Vec<MigrationState>)> {
        let mut migrator = Migrator::new(&mut self.connection);
        Ok((migrator.version()?, migrator.status()?))
    }

    /// Runs `work` on a snapshot. The schema must be up to date.
    pub fn read<T>(&self, work: impl FnOnce(&ReadTx) -> Result<T>) -> Result<T> {
        let connection = SqliteConnection::reader(open(&self.path)?);
        connection.begin_read()?;
        work(&ReadTx::on(Box::new(connection)))
    }
}

fn open(path: &Path) -> Result<Connection> {
    let unreadable = |problem: &dyn fmt::Display| {
        Error::new(Code::Unavailable, format!("{} cannot be read as a haldir store: {problem}", path.display()))
    };
    // Readers of a write-ahead log write its index of marks, so the file cannot be opened read-only.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| unreadable(&error))?;
    let look = || {
        connection.busy_timeout(BUSY_LIMIT)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0))
    };
    match look().map_err(|error| unreadable(&error))? {
        APPLICATION_ID => Ok(connection),
        _ => Err(unreadable(&"it is empty, or the database of another program")),
    }
}
