//! A copy of a database that other processes write to meanwhile, and a database that no other process has open.

use std::{fs, io, path::Path};

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};

use super::Inspection;
use crate::error::{Code, CoreError, Error, Result};

/// Copies the database at `from` to `to`, which must not exist: all that was committed when this began, as one snapshot.
///
/// SQLite's online backup reads the write-ahead log as every reader does, so nothing that was acknowledged is missing, and it
/// holds up no writer. It is done in one step: a copy in several begins anew with each write of another process.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let source = Inspection::open(from)?;
    create(to)?;
    let mut target = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // It is thrown away unless it is whole.
    target.pragma_update(None, "synchronous", "OFF")?;
    let backup = Backup::new(source.connection(), &mut target)?;
    match backup.step(-1)? {
        StepResult::Done => {}
        _ => return Err(Error::new(Code::Unavailable, "the store is busy with other processes; try again")),
    }
    drop(backup);
    target.close().map_err(|(_, error)| error)?;
    fs::File::open(to).and_then(|file| file.sync_all()).map_err(|error| unusable(to, &error))
}

/// Makes an empty file that only its owner can read.
fn create(path: &Path) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &io::Error) -> Error {
    Error::new(Code::Unavailable, format!("{} cannot be written: {error}", path.display()))
}

/// Folds the write-ahead log of the database at `path` into its file, and refuses if another process has it open: SQLite
/// leaves the log's mode only for a connection that is alone.
pub fn require_alone(path: &Path) -> Result<()> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let alone = connection.pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get::<_, String>(0));
    let is_alone = match alone {
        Ok(mode) => mode.eq_ignore_ascii_case("delete"),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => false,
        Err(error) => return Err(error.into()),
    };
    if is_alone {
        return Ok(());
    }
    let message =
        format!("another process has the store {} open: stop the servers and clients that use it", path.display());
    Err(CoreError::new(Code::Conflict, message).field("db").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Store,
        model::{TenantId, UnixMicros},
    };

    #[tokio::test]
    async fn a_copy_holds_what_lies_in_the_log_alone_and_an_open_store_is_not_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copied) = (folder.path().join("h.db"), folder.path().join("copy.db"));
        let store = Store::open(&path).unwrap();
        store.write_for_all(|tx| Ok(tx.insert_tenant(&TenantId::local(), b"key", UnixMicros(1))?)).await.unwrap();
        assert_eq!(require_alone(&path).unwrap_err().code, Code::Conflict);
        copy(&path, &copied).unwrap();
        assert!(copy(&path, &copied).is_err(), "a file was overwritten");
        let tenant =
            |path: &Path| Inspection::open(path).unwrap().read(|tx| tx.wrapped_data_key(&TenantId::local())).unwrap();
        assert_eq!(tenant(&copied).as_deref(), Some(&b"key"[..]));
        store.close();
        drop(store);
        require_alone(&path).unwrap();
        assert_eq!(tenant(&path).as_deref(), Some(&b"key"[..]));
    }
}
