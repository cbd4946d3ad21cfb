//! Schema migrations of the schema `haldir`, so that the database may serve other programs too: numbered SQL files, applied once each, in order, in one transaction under a lock, and remembered with their
//! digest.

use std::{
    thread,
    time::{Duration, Instant},
};

use futures::executor::block_on;
use tokio_postgres::{Client, Error as PgError, types::Type};

use super::{Server, failure::Failure};
use crate::{
    crypto,
    database::Retry,
    error::{Code, Error, Result},
    model::{Clock, time::SystemClock},
};

/// A step of the schema.
struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

/// Every migration, oldest first. One that was released is never edited.
const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "schema", sql: include_str!("migrations/0001_schema.sql") },
    Migration { version: 2, name: "nodes", sql: include_str!("migrations/0002_nodes.sql") },
    Migration { version: 3, name: "long_logs", sql: include_str!("migrations/0003_long_logs.sql") },
];

/// How long a process that starts waits for a database that cannot be reached: they may start, or fail over, together.
const START_LIMIT: Duration = Duration::from_secs(30);
const START_PAUSE: Duration = Duration::from_millis(250);
/// What processes that migrate lock: "haldir" in ASCII.
const LOCK: &str = "SELECT pg_advisory_xact_lock(114784820031858)";

/// Applies what is pending. Several processes may do this at once: one does, and the others find it done.
pub(super) fn up(server: &Server) -> Result<()> {
    block_on(migrate(&connect(server)?)).map_err(|error| Failure::of(&error).error)?
}

/// Connects to a database that may just be starting.
pub(super) fn connect(server: &Server) -> Result<Client> {
    let until = Instant::now() + START_LIMIT;
    loop {
        match server.connect() {
            Ok((client, _)) => return Ok(client),
            Err(failure) if failure.retry == Retry::Again && Instant::now() < until => thread::sleep(START_PAUSE),
            Err(failure) => {
                let outage = server.outage.as_ref().and_then(|outage| outage.current());
                let cause = outage.map(|(_, cause)| format!("the database cannot be reached: {cause}"));
                return Err(cause.map_or(failure.error, |cause| Error::new(Code::Unavailable, cause)));
            }
        }
    }
}

async fn migrate(client: &Client) -> Result<Result<()>, PgError> {
    let latest = MIGRATIONS.last().map_or(0, |migration| migration.version);
    // The common case, without a lock.
    let is_begun =
        client.query_typed_one("SELECT to_regclass('haldir.schema_migrations') IS NOT NULL", &[]).await?.try_get(0)?;
    if is_begun {
        let applied = applied(client).await?;
        if applied.len() == MIGRATIONS.len() {
            return Ok(check(&applied));
        }
    }
    client.batch_execute("BEGIN").await?;
    client.batch_execute(LOCK).await?;
    client
        .batch_execute(
            "CREATE SCHEMA IF NOT EXISTS haldir;
            SET LOCAL search_path TO haldir;
            CREATE TABLE IF NOT EXISTS schema_migrations (
                version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum BYTEA NOT NULL, applied_at BIGINT NOT NULL
            )",
        )
        .await?;
    let applied = applied(client).await?;
    if let Err(error) = check(&applied) {
        client.batch_execute("ROLLBACK").await?;
        return Ok(Err(error));
    }
    let current = applied.last().map_or(0, |(version, _)| *version);
    if current < latest {
        tracing::info!(from = current, to = latest, "bringing the schema of the database up to date");
    }
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > current) {
        client.batch_execute(migration.sql).await?;
        client
            .execute_typed(
                "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)",
                &[
                    (&migration.version, Type::INT8),
                    (&migration.name, Type::TEXT),
                    (&migration.checksum(), Type::BYTEA),
                    (&SystemClock.now().0, Type::INT8),
                ],
            )
            .await?;
    }
    client.batch_execute("COMMIT").await?;
    Ok(Ok(()))
}

async fn applied(client: &Client) -> Result<Vec<(i64, Vec<u8>)>, PgError> {
    let rows =
        client.query_typed("SELECT version, checksum FROM haldir.schema_migrations ORDER BY version", &[]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Refuses a schema that this build does not know, or that differs from what it would have made.
fn check(applied: &[(i64, Vec<u8>)]) -> Result<()> {
    for (version, checksum) in applied {
        let Some(migration) = MIGRATIONS.iter().find(|migration| migration.version == *version) else {
            let latest = MIGRATIONS.last().map_or(0, |migration| migration.version);
            let message =
                format!("the database has schema version {version}, this haldir knows {latest}: use a newer haldir");
            return Err(Error::new(Code::Unavailable, message));
        };
        if *checksum != migration.checksum() {
            let message = format!(
                "migration {version} of the database is another than this haldir has: it was changed by hand, or \
                made by a build that was never released"
            );
            return Err(Error::new(Code::Unavailable, message));
        }
    }
    Ok(())
}

impl Migration {
    fn checksum(&self) -> Vec<u8> {
        crypto::digest(&[self.sql.as_bytes()]).to_vec()
    }
}
