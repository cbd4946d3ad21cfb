//! How a connection is opened, and how it waits for other processes.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, config::DbConfig};

use crate::error::{Code, Error, Result};

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

/// Does `work` so that pages that become free are overwritten as well.
pub(super) fn overwriting<T>(connection: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    connection.pragma_update(None, "secure_delete", true)?;
    let done = work();
    overwrite_deleted(connection)?;
    done
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
