//! Whether a process has a database to itself, which a copy asks for.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use futures::executor::block_on;
use tokio_postgres::types::Type;

use super::{PostgresSettings, failure::Failure, migrations, server::Server};
use crate::error::{Code, Error, Result};

/// The application name of a process that copies.
const COPY_NAME: &str = "haldir migrate copy";
/// Whether there is a store, and how many connections servers have.
const OTHERS: &str = "SELECT to_regclass('haldir.schema_migrations') IS NOT NULL, count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = $1 AND pid <> pg_backend_pid()";
/// How long connections of a server that has just ended may be there still.
const OTHERS_LIMIT: Duration = Duration::from_secs(5);
const OTHERS_PAUSE: Duration = Duration::from_millis(100);

/// Prepares a database to be copied from: refuses one without a store, and one that servers are connected to. Nothing is changed.
/// Returns settings by which this process is told from a server.
pub fn require_alone(mut settings: PostgresSettings) -> Result<PostgresSettings> {
    let of_servers = settings.config.get_application_name().unwrap_or_default().to_owned();
    settings.config.application_name(COPY_NAME);
    let server = Server::start(settings.clone(), Some(Arc::default()))?;
    let client = migrations::connect(&server)?;
    let begun = Instant::now();
    loop {
        let found = block_on(client.query_typed_one(OTHERS, &[(&of_servers, Type::TEXT)]));
        let (has_store, others): (bool, i64) =
            found.and_then(|row| Ok((row.try_get(0)?, row.try_get(1)?))).map_err(|error| Failure::of(&error).error)?;
        if !has_store {
            return Err(Error::new(Code::NotFound, format!("there is no store in the database {settings}")));
        }
        if others == 0 {
            return Ok(settings);
        }
        if begun.elapsed() > OTHERS_LIMIT {
            let message =
                format!("{others} connections of servers to the database {settings} are open: stop the servers first");
            return Err(Error::new(Code::Conflict, message));
        }
        thread::sleep(OTHERS_PAUSE);
    }
}
