//! Schema migrations: numbered SQL files, applied once each, in order, inside one transaction, and remembered
//! with their digest, so that a database changed by hand or by another build is noticed.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::{
    crypto,
    error::{Code, Error, Result},
    model::{Clock, UnixMicros, time::SystemClock},
};

/// One step of the schema.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its place in the order, from 1.
    pub version: i64,
    /// What it brings.
    pub name: &'static str,
    sql: &'static str,
}

/// Every migration, oldest first. One that was released is never edited.
const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "core", sql: include_str!("migrations/0001_core.sql") },
    Migration { version: 2, name: "approvals", sql: include_str!("migrations/0002_approvals.sql") },
    Migration { version: 3, name: "webhooks", sql: include_str!("migrations/0003_webhooks.sql") },
    Migration { version: 5, name: "audit days and retention", sql: include_str!("migrations/0005_audit_days.sql") },
    Migration { version: 6, name: "usage", sql: include_str!("migrations/0006_usage.sql") },
    Migration { version: 7, name: "proofs", sql: include_str!("migrations/0007_proofs.sql") },
    Migration { version: 8, name: "compliance", sql: include_str!("migrations/0008_compliance.sql") },
    Migration { version: 9, name: "proxy", sql: include_str!("migrations/0009_proxy.sql") },
    Migration { version: 11, name: "decisions", sql: include_str!("migrations/0011_decisions.sql") },
    Migration { version: 13, name: "evidence by batch", sql: include_str!("migrations/0013_evidence_by_batch.sql") },
    Migration { version: 15, name: "dialogs", sql: include_str!("migrations/0015_dialogs.sql") },
    Migration { version: 16, name: "folds", sql: include_str!("migrations/0016_folds.sql") },
    Migration { version: 17, name: "postings", sql: include_str!("migrations/0017_postings.sql") },
    Migration { version: 18, name: "calls", sql: include_str!("migrations/0018_calls.sql") },
    Migration { version: 20, name: "sent secrets", sql: include_str!("migrations/0020_sent_secrets.sql") },
    Migration { version: 21, name: "upstream limits", sql: include_str!("migrations/0021_upstream_limits.sql") },
    Migration { version: 24, name: "kept answers", sql: include_str!("migrations/0024_kept_answers.sql") },
    Migration { version: 25, name: "erasures", sql: include_str!("migrations/0025_erasures.sql") },
    Migration { version: 26, name: "tenants and days", sql: include_str!("migrations/0026_tenants_and_days.sql") },
    Migration { version: 27, name: "former secrets", sql: include_str!("migrations/0027_former_secrets.sql") },
    Migration { version: 28, name: "lists", sql: include_str!("migrations/0028_lists.sql") },
    Migration { version: 29, name: "job leases", sql: include_str!("migrations/0029_job_leases.sql") },
];

/// Where one migration stands in a database.
#[derive(Clone, Debug)]
pub struct MigrationState {
    /// The migration.
    pub migration: Migration,
    /// When it was applied; `None` is pending.
    pub applied_at: Option<UnixMicros>,
    /// Whether what was applied is what this build has.
    pub checksum_matches: bool,
}

impl MigrationState {
    /// Its state in one word, given the schema version that the database says it has.
    pub fn word(&self, version: i64) -> &'static str {
        match self.applied_at {
            Some(_) if self.checksum_matches => "applied",
            Some(_) => "changed",
            None if self.migration.version <= version => "unrecorded",
            None => "pending",
        }
    }
}

/// Applies and checks migrations on one connection.
pub struct Migrator<'c> {
    connection: &'c mut Connection,
}

impl<'c> Migrator<'c> {
    /// The schema version that this build works with.
    pub const LATEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].version;

    /// Works on this connection.
    pub fn new(connection: &'c mut Connection) -> Self {
        Self { connection }
    }

    /// Applies what is pending; answers how many that were. The whole step up is one transaction.
    pub fn up(&mut self) -> Result<usize> {
        self.up_telling(&mut |_, _| {})
    }

    /// The same; `progress` is told how many are applied, of how many.
    pub fn up_telling(&mut self, progress: &mut dyn FnMut(u64, u64)) -> Result<usize> {
        let latest = Self::LATEST;
        // The common case, without a write lock.
        if self.version()? == latest {
            return Ok(0);
        }
        let transaction = Transaction::new(self.connection, TransactionBehavior::Immediate)?;
        // Read again under the lock: another process may have just migrated.
        let current: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if current > latest {
            return Err(Error::new(
                Code::Unavailable,
                format!("the store has schema version {current}, this haldir knows {latest}: use a newer haldir"),
            ));
        }
        transaction.execute_batch(
            "CREATE TABLE IF NOT EXISTS schema_migrations (
                version INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL,
                checksum BLOB NOT NULL, applied_at INTEGER NOT NULL
            ) STRICT",
        )?;
        let pending: Vec<_> = MIGRATIONS.iter().filter(|migration| migration.version > current).collect();
        let mut applied = 0;
        for migration in &pending {
            progress(applied as u64, pending.len() as u64);
            transaction.execute_batch(migration.sql)?;
            transaction.execute(
                "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (?1, ?2, ?3, ?4)",
                params![migration.version, migration.name, migration.checksum(), SystemClock.now().0],
            )?;
            applied += 1;
        }
        transaction.pragma_update(None, "user_version", latest)?;
        transaction.commit()?;
        Ok(applied)
    }

    /// Where every migration stands.
    pub fn status(&mut self) -> Result<Vec<MigrationState>> {
        let version = self.version()?;
        MIGRATIONS
            .iter()
            .map(|migration| {
                let row: Option<(Vec<u8>, i64)> = if version == 0 {
                    None
                } else {
                    self.connection
                        .query_row(
                            "SELECT checksum, applied_at FROM schema_migrations WHERE version = ?1",
                            [migration.version],
                            |row| Ok((row.get(0)?, row.get(1)?)),
                        )
                        .optional()?
                };
                Ok(MigrationState {
                    migration: *migration,
                    applied_at: row.as_ref().map(|(_, at)| UnixMicros(*at)),
                    checksum_matches: row.is_none_or(|(checksum, _)| checksum == migration.checksum()),
                })
            })
            .collect()
    }

    /// The schema version of the database; 0 is an empty one.
    pub fn version(&self) -> Result<i64> {
        Ok(self.connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
    }
}

impl Migration {
    /// The BLAKE3 digest of its SQL, as it is remembered beside what was applied.
    pub fn checksum(&self) -> [u8; 32] {
        crypto::digest(&[self.sql.as_bytes()])
    }
}
