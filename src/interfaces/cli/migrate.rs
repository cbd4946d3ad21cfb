//! `haldir migrate`: the schema of the local store, one numbered migration after the other, each with the digest of
//! what was applied; and a copy of a store in another database.

mod copy;

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    CommandError, GlobalOptions,
    local::{self, Local},
    output::{line, sentence, table, when_any},
    progress::{Progress, Unit},
};
use crate::{
    error::{Code, Error},
    store::sqlite::{self, Inspection, MigrationState, Migrator},
    watch::canonical::hex,
};

#[derive(Subcommand)]
pub enum MigrateCommand {
    /// Show every migration and where it stands. Changes nothing.
    Status,
    /// Apply what is pending, all of it or nothing; makes the store if there is none.
    Up,
    /// Check that what was applied is what this build has. Changes nothing; exit code 1 if it is not.
    Verify,
    /// Copy a whole store between a file and Postgres, and verify the copy. Run again after an interruption, it goes on.
    Copy(copy::CopyOptions),
}

pub fn run(command: &MigrateCommand, global: &GlobalOptions) -> Result<ExitCode, CommandError> {
    match command {
        MigrateCommand::Status => status(global)?,
        MigrateCommand::Up => up(global)?,
        MigrateCommand::Verify => return verify(global),
        MigrateCommand::Copy(options) => copy::run(options, global)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The migrations of a database, compared with those of this build.
pub struct Standing {
    version: i64,
    states: Vec<MigrationState>,
}

impl Standing {
    /// What `inspection` finds.
    pub fn of(inspection: &mut Inspection) -> Result<Self, Error> {
        let (version, states) = inspection.migrations()?;
        Ok(Self { version, states })
    }

    /// How many are still to be applied.
    pub fn pending(&self) -> usize {
        self.states.iter().filter(|state| state.word(self.version) == "pending").count()
    }

    /// The first difference from this build's migrations, and how to mend it.
    pub fn problem(&self) -> Option<(String, &'static str)> {
        let latest = Migrator::LATEST;
        if self.version > latest {
            let detail = format!("the store has schema version {}, this haldir knows {latest}", self.version);
            return Some((detail, "use a newer haldir"));
        }
        let wrong = |state: &&MigrationState| matches!(state.word(self.version), "changed" | "unrecorded");
        let state = self.states.iter().find(wrong)?;
        let what =
            if state.applied_at.is_some() { "is not the one this build has" } else { "is not recorded as applied" };
        let detail = format!("migration {} ({}) {what}", state.migration.version, state.migration.name);
        Some((detail, "restore the database from a backup, or use the build that made it"))
    }

    fn require_sound(&self) -> Result<(), Error> {
        match self.problem() {
            Some((detail, remedy)) => Err(Error::new(Code::Conflict, format!("{detail}: {remedy}"))),
            None => Ok(()),
        }
    }

    fn json(&self) -> Value {
        let migrations: Vec<_> = self
            .states
            .iter()
            .map(|state| {
                json!({
                    "version": state.migration.version, "name": state.migration.name,
                    "state": state.word(self.version), "applied_at": state.applied_at,
                    "checksum": hex(&state.migration.checksum()),
                })
            })
            .collect();
        let problem = self.problem().map(|(detail, remedy)| format!("{detail}: {remedy}"));
        json!({
            "schema_version": self.version, "latest_version": Migrator::LATEST, "pending": self.pending(),
            "verified": problem.is_none(), "problem": problem, "migrations": migrations,
        })
    }

    fn sentence(&self) -> String {
        match (self.problem(), self.pending()) {
            (Some((detail, remedy)), _) => format!("{detail}: {remedy}"),
            (None, 0) => format!("the store is up to date with schema version {}", self.version),
            (None, pending) => format!("{pending} pending: apply with `haldir migrate up`"),
        }
    }
}

fn standing(global: &GlobalOptions) -> Result<Standing, Error> {
    let path = global.store.path()?;
    local::require(&path)?;
    Standing::of(&mut Inspection::open(&path)?)
}

fn status(global: &GlobalOptions) -> Result<(), CommandError> {
    let standing = standing(global)?;
    if global.json {
        return line(&standing.json().to_string());
    }
    let rows: Vec<_> = standing
        .states
        .iter()
        .map(|state| {
            vec![
                state.migration.version.to_string(),
                state.migration.name.to_owned(),
                state.word(standing.version).to_owned(),
                when_any(state.applied_at, ""),
                hex(&state.migration.checksum()),
            ]
        })
        .collect();
    table(&["VERSION", "NAME", "STATE", "APPLIED", "CHECKSUM"], &rows)?;
    sentence(&standing.sentence())
}

fn up(global: &GlobalOptions) -> Result<(), CommandError> {
    let path = global.store.path()?;
    let applied = if path.metadata().is_ok_and(|file| file.len() > 0) {
        // Refuses to migrate a schema that was changed.
        standing(global)?.require_sound()?;
        let progress = Progress::new(global, "migrating", Unit::Count);
        sqlite::migrate(&path, &mut |done, total| progress.at(done, total))?
    } else {
        // A new store is made with its key: a database without one could not be opened again.
        drop(Local::open(global)?);
        standing(global)?.states.len()
    };
    let standing = standing(global)?;
    let mut document = standing.json();
    document["applied"] = applied.into();
    global.report(&document, &format!("{applied} applied; {}", standing.sentence()))
}

fn verify(global: &GlobalOptions) -> Result<ExitCode, CommandError> {
    let standing = standing(global)?;
    if global.json {
        line(&standing.json().to_string())?;
        return Ok(if standing.problem().is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    standing.require_sound()?;
    let applied = standing.states.len() - standing.pending();
    sentence(&format!("{applied} applied, every checksum matches; {}", standing.sentence()))?;
    Ok(ExitCode::SUCCESS)
}
