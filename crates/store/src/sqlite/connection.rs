//! A connection: how it is opened, how it waits for other processes, and how statements run on it.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rusqlite::{
    CachedStatement, Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, config::DbConfig,
    types::ValueRef,
};

use super::checkpoint::Checkpointer;
use crate::{
    database::{self, Params, Row, Value},
    error::{Code, Error, Result},
    model::TenantId,
};

/// Marks the file as ours (`PRAGMA application_id`): "hldr".
pub(super) const APPLICATION_ID: i32 = 0x686c_6472;

/// How long a transaction waits for another process's.
const BUSY_LIMIT: Duration = Duration::from_secs(30);
/// The pause between two tries grows from the first to the second: short enough that several busy processes
/// take turns, long enough not to spin.
const BUSY_PAUSE_MIN: Duration = Duration::from_micros(100);
const BUSY_PAUSE_MAX: Duration = Duration::from_millis(2);
/// What is kept of a write-ahead log that had grown, once it begins anew.
const LOG_KEPT_BYTES: i64 = 64 * 1024 * 1024;
/// Prepared statements that a connection keeps: more than there are.
pub(super) const STATEMENT_CACHE: usize = 320;

/// Opens the database for writing; creates it, and its folder, readable by their owner alone.
pub(super) fn open(path: &Path) -> Result<Connection> {
    create_private(path).map_err(|error| {
        Error::new(Code::Unavailable, format!("cannot create the store {}: {error}", path.display()))
    })?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    if !mark(&mut connection)
        .map_err(|error| Error::new(Code::Unavailable, format!("{} is no haldir store: {error}", path.display())))?
    {
        let message = format!("{} is a database of another program; choose another path", path.display());
        return Err(Error::new(Code::Unavailable, message));
    }
    use_log(&connection)?;
    Ok(connection)
}

/// Marks an empty database as ours; answers whether it is ours.
fn mark(connection: &mut Connection) -> rusqlite::Result<bool> {
    let is_ours = |connection: &Connection| {
        connection.pragma_query_value(None, "application_id", |row| Ok(row.get::<_, i32>(0)? == APPLICATION_ID))
    };
    // The common case, without a write lock.
    if is_ours(connection)? {
        return Ok(true);
    }
    // Several processes may make one store at once: what is looked at here stays as it is until it is marked.
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    if !is_ours(&transaction)? {
        let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables > 0 {
            return Ok(false);
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    transaction.commit()?;
    Ok(true)
}

/// Turns the write-ahead log on. While another process does that too, SQLite says busy without asking the busy
/// handler, so the waiting is done here.
fn use_log(connection: &Connection) -> Result<()> {
    let begun = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && begun.elapsed() < BUSY_LIMIT =>
            {
                thread::sleep(BUSY_PAUSE_MAX);
            }
            outcome => return Ok(outcome?),
        }
    }
}

/// Opens one more connection to a database that exists.
pub(super) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let mut connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| Error::new(Code::Unavailable, format!("cannot open the store {}: {error}", path.display())))?;
    wait_when_busy(&mut connection)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    // Otherwise SQLite looks at values while it plans, such as that of a LIMIT, and plans anew for each new value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // On macOS a plain sync does not reach the disk.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "journal_size_limit", LOG_KEPT_BYTES)?;
    Ok(connection)
}

/// What is deleted is overwritten where it stood, so that no old copy of a name outlives what is erased later. Pages that
/// become free are not: that would be writing for nothing, but where something is erased.
pub(super) fn overwrite_deleted(connection: &Connection) -> Result<()> {
    Ok(connection.pragma_update(None, "secure_delete", "FAST")?)
}

/// A connection to which statements are sent.
pub(super) struct SqliteConnection {
    connection: Connection,
    /// Of the connection that writes.
    checkpointer: Option<Checkpointer>,
}

impl SqliteConnection {
    /// A connection that reads.
    pub(super) fn reader(connection: Connection) -> Self {
        Self { connection, checkpointer: None }
    }

    /// The connection that writes to the database at `path`.
    pub(super) fn writer(path: &Path, mut connection: Connection) -> Result<Self> {
        let checkpointer = Checkpointer::attach(path, &mut connection)?;
        Ok(Self { connection, checkpointer: Some(checkpointer) })
    }

    fn prepare(&self, sql: &str, params: Params<'_>) -> Result<CachedStatement<'_>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        for (index, param) in (1..).zip(params) {
            param.to_value(&mut |value| {
                match value {
                    Value::Null => statement.raw_bind_parameter(index, rusqlite::types::Null),
                    Value::Integer(integer) => statement.raw_bind_parameter(index, integer),
                    Value::Text(text) => statement.raw_bind_parameter(index, text),
                    Value::Blob(bytes) => statement.raw_bind_parameter(index, bytes),
                    Value::Foreign => return Err(Error::internal("a value that no column holds")),
                }?;
                Ok(())
            })?;
        }
        Ok(statement)
    }
}

impl database::Connection for SqliteConnection {
    fn execute(&self, sql: &str, params: Params<'_>) -> Result<usize> {
        Ok(self.prepare(sql, params)?.raw_execute()?)
    }

    fn query(&self, sql: &str, params: Params<'_>, each: &mut dyn FnMut(&dyn Row) -> Result<bool>) -> Result<()> {
        let mut statement = self.prepare(sql, params)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            if !each(row)? {
                break;
            }
        }
        Ok(())
    }

    fn begin_read(&self) -> Result<()> {
        self.execute("BEGIN", &[]).map(drop)
    }

    fn end_read(&self) -> Result<()> {
        self.execute("COMMIT", &[]).map(drop)
    }

    /// One process writes at a time, for all tenants.
    fn begin_write(&self, _tenants: &[TenantId]) -> Result<()> {
        self.execute("BEGIN IMMEDIATE", &[]).map(drop)
    }

    fn commit(&self) -> Result<()> {
        self.execute("COMMIT", &[]).map(drop)
    }

    fn in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    fn overwrite_freed(&self, on: bool) -> Result<()> {
        if on {
            return Ok(self.connection.pragma_update(None, "secure_delete", true)?);
        }
        overwrite_deleted(&self.connection)
    }

    fn after_commit(&self) {
        if let Some(checkpointer) = &self.checkpointer {
            checkpointer.after_commit(&self.connection);
        }
    }

    fn before_close(&self) {
        if let Some(checkpointer) = &self.checkpointer {
            checkpointer.finish(&self.connection);
        }
    }
}

impl Row for rusqlite::Row<'_> {
    fn value(&self, index: usize) -> Value<'_> {
        match self.get_ref(index) {
            Ok(ValueRef::Null) => Value::Null,
            Ok(ValueRef::Integer(integer)) => Value::Integer(integer),
            Ok(ValueRef::Text(text)) => std::str::from_utf8(text).map_or(Value::Foreign, Value::Text),
            Ok(ValueRef::Blob(bytes)) => Value::Blob(bytes),
            Ok(ValueRef::Real(_)) | Err(_) => Value::Foreign,
        }
    }

    fn column(&self, index: usize) -> String {
        self.as_ref().column_name(index).unwrap_or("a column").to_owned()
    }
}

fn wait_when_busy(connection: &mut Connection) -> Result<()> {
    let mut waited = Duration::ZERO;
    connection.busy_handler(Some(move |tries: i32| {
        if tries == 0 {
            waited = Duration::ZERO;
        }
        let pause = (BUSY_PAUSE_MIN * (tries.unsigned_abs() + 1)).min(BUSY_PAUSE_MAX);
        thread::sleep(pause);
        waited += pause;
        waited < BUSY_LIMIT
    }))?;
    Ok(())
}

fn create_private(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}
