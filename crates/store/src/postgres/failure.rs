//! What has failed, and what may be done about it.

use std::error::Error as StdError;

use tokio_postgres::error::SqlState;

use crate::{
    database::Retry,
    error::{Code, Error},
};

const LOST: &str = "the connection to the database was lost; try again";
const BUSY: &str = "the database is busy with other processes; try again";

/// What the driver says, with the cause: its own message is the kind of the error alone.
pub(super) fn error_text(error: &tokio_postgres::Error) -> String {
    StdError::source(error).map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// What has failed, and what may be done about it.
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) retry: Retry,
    /// Whether the connection cannot be used any more.
    pub(super) is_lost: bool,
}

impl Failure {
    /// There is no connection any more.
    pub(super) fn lost() -> Self {
        Self { error: Error::new(Code::Unavailable, LOST), retry: Retry::Again, is_lost: true }
    }

    /// Nothing of the open transaction stands, unless it was to be committed: then that is not known.
    pub(super) fn of(error: &tokio_postgres::Error) -> Self {
        let unavailable = |what: &str, retry, is_lost| {
            tracing::warn!(error = %error_text(error), "the database refused");
            Self { error: Error::new(Code::Unavailable, what), retry, is_lost }
        };
        let Some(state) = error.code() else {
            if error.as_db_error().is_none() && !error.is_closed() && StdError::source(error).is_none() {
                return Self { error: Error::internal(error_text(error)), retry: Retry::OneByOne, is_lost: false };
            }
            return unavailable(LOST, Retry::Again, true);
        };
        match *state {
            SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => {
                unavailable(BUSY, Retry::Again, false)
            }
            // Another process holds the lock of one of the tenants for long: the others need not wait for it.
            SqlState::LOCK_NOT_AVAILABLE => unavailable(BUSY, Retry::ByTenant, false),
            SqlState::DISK_FULL => unavailable("the database's disk is full; nothing was changed", Retry::Never, false),
            SqlState::ADMIN_SHUTDOWN
            | SqlState::CRASH_SHUTDOWN
            | SqlState::CANNOT_CONNECT_NOW
            | SqlState::TOO_MANY_CONNECTIONS
            | SqlState::READ_ONLY_SQL_TRANSACTION
            | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => {
                unavailable("the database is not available; try again", Retry::Again, true)
            }
            _ if state.code().starts_with("08") => unavailable(LOST, Retry::Again, true),
            // What follows an error in a transaction says nothing of its own.
            SqlState::IN_FAILED_SQL_TRANSACTION => Self {
                error: Error::new(Code::Unavailable, "the database could not write; nothing was changed"),
                retry: Retry::OneByOne,
                is_lost: false,
            },
            _ => Self { error: Error::internal(error_text(error)), retry: Retry::OneByOne, is_lost: false },
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::of(&error)
    }
}

/// A value that cannot be sent.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, retry: Retry::OneByOne, is_lost: false }
    }
}
