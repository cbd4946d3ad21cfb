//! Failures of a database. A type of its own, since only here can the errors of database drivers be converted into it; callers
//! convert it into [`haldir_core::error::Error`] with `?`.

use std::{fmt, ops::Deref};

pub use haldir_core::error::Code;
pub use haldir_core::error::{Error as CoreError, Result as CoreResult};

/// What a method of the store returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of the store: the error that the caller gets.
#[derive(Clone, Debug)]
pub struct Error(CoreError);

impl Error {
    /// An error with a message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(CoreError::new(code, message))
    }

    /// A fault of the program. The detail goes to the log, never to the caller.
    pub fn internal(detail: impl fmt::Display) -> Self {
        Self(CoreError::internal(detail))
    }
}

impl From<CoreError> for Error {
    fn from(error: CoreError) -> Self {
        Self(error)
    }
}

impl From<Error> for CoreError {
    fn from(error: Error) -> Self {
        error.0
    }
}

impl Deref for Error {
    type Target = CoreError;

    fn deref(&self) -> &CoreError {
        &self.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl std::error::Error for Error {}

/// Busy and full can be retried; anything else is a fault of the program.
impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, ReadOnly, SystemIoFailure};
        let unavailable = |what: &str| {
            tracing::error!(%error, "the store refused");
            Self::new(Code::Unavailable, what)
        };
        match error.sqlite_error_code() {
            Some(DatabaseBusy | DatabaseLocked) => unavailable("the store is busy with other processes; try again"),
            Some(DiskFull) => unavailable("the store's disk is full; nothing was changed"),
            Some(ReadOnly | CannotOpen | SystemIoFailure) => {
                unavailable("the store's file cannot be used; nothing was changed")
            }
            _ => Self::internal(error),
        }
    }
}
