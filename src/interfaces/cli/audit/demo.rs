//! `haldir demo`.

use std::{fs, process::ExitCode};

use clap::Subcommand;

use crate::{
    config::CeilingOptions,
    crypto,
    error::Error,
    interfaces::cli::{
        CommandError, GlobalOptions, local,
        output::{Level, Screen, line, paragraph, sentence},
    },
    jobs::tampering_demo::{self, Tampering},
};

#[derive(Subcommand)]
pub enum DemoCommand {
    /// Build a small log, alter it in five ways as an insider with access to the database would, and show which
    /// check catches each.
    Tamper,
}

pub fn run(command: &DemoCommand, global: &GlobalOptions) -> Result<ExitCode, CommandError> {
    let DemoCommand::Tamper = command;
    let name = crypto::token::<9>("haldir-demo-").map_err(Error::internal)?;
    let folder = std::env::temp_dir().join(name);
    fs::create_dir(&folder).map_err(Error::internal)?;
    let settings = || global.store.settings(&CeilingOptions::default());
    let played = local::runtime().and_then(|runtime| runtime.block_on(tampering_demo::tamper(&folder, settings)));
    // Also after an error; the system clears what is left in its folder for temporary files.
    let _ = fs::remove_dir_all(&folder);
    let found = played?;
    // The first is the log as it was: it must be good, and each of the others must be caught.
    let as_expected = found.iter().enumerate().all(|(place, tampering)| tampering.is_caught() == (place > 0));
    if global.json {
        line(&serde_json::to_string(&found).map_err(Error::internal)?)?;
    } else {
        for tampering in &found {
            show(tampering, global.screen())?;
        }
    }
    Ok(if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The column at which findings begin: behind their level.
const FOUND: usize = 7;

fn show(tampering: &Tampering, screen: Screen) -> Result<(), CommandError> {
    sentence(&format!("The insider's work: {}", tampering.what))?;
    for (name, found) in
        [("verify", &tampering.verification), ("pinned checkpoint", &tampering.pin), ("witness", &tampering.witness)]
    {
        let (level, text) = match found {
            Some(found) => (Level::Fail, found.as_str()),
            None => (Level::Ok, "finds nothing"),
        };
        line(&format!("  {} {}", screen.word(level), paragraph(&format!("{name}: {text}"), (FOUND, FOUND))))?;
    }
    line("")
}
