//! `haldir audit`: check the log, and let others check it.

mod demo;
mod export;
mod pin;
mod verify;
mod witness;

use std::process::ExitCode;

use clap::{Args, Subcommand};
pub use demo::{DemoCommand, run as run_demo};
use serde_json::json;

use super::{
    CommandError, GlobalOptions,
    local::Local,
    log::{self, LogOptions},
    output::line,
    target::require_no_key_of_environment,
};
use crate::watch::list_log_keys::LogKeys;

#[derive(Subcommand)]
pub enum AuditCommand {
    /// Check the whole log of the local store, on all cores; or a bundle, without a store and without a server.
    Verify(verify::VerifyOptions),
    /// Show the last lines of what happened, and with --follow each new one: the same as haldir log.
    Tail(LogOptions),
    /// Write the log's entries as JSONL or CSV; or, as a bundle, with proofs, a checkpoint and the public keys, which
    /// `verify` checks anywhere.
    Export(export::ExportOptions),
    /// Keep a checkpoint in a file, and say whether the log still begins with the one that was kept there.
    Pin(pin::PinOptions),
    /// Append each new checkpoint to a file, on a schedule, cosigned by witnesses; stop where the log was rewritten.
    Mirror(pin::MirrorOptions),
    /// Run a witness for another haldir: it signs what it sees of a log, and never two histories of one.
    #[command(override_usage = "haldir audit witness [OPTIONS] --name NAME --folder FOLDER --log KEY")]
    Witness(witness::WitnessOptions),
    /// Print the log's public keys, the one that signs first, for `haldir audit verify BUNDLE --key`.
    Keys,
    /// Put a new signing key into use. The one before signs checkpoints as well for a while.
    RotateKey(RotateOptions),
}

#[derive(Args)]
pub struct RotateOptions {
    /// For how many days the key before signs checkpoints as well.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    overlap_days: u16,
}

pub fn run(command: AuditCommand, global: &GlobalOptions) -> Result<ExitCode, CommandError> {
    match command {
        AuditCommand::Verify(options) => return verify::run(&options, global),
        AuditCommand::Tail(options) => return log::run(&options, global),
        AuditCommand::Export(options) => export::run(&options, global),
        AuditCommand::Pin(options) => pin::run(&options, global),
        AuditCommand::Mirror(options) => pin::mirror(&options, global),
        AuditCommand::Witness(options) => witness::run(&options, global),
        AuditCommand::Keys => global.show("listLogKeys", json!({}), |LogKeys { keys, .. }| {
            keys.iter().try_for_each(|key| line(&key.verifier_key))
        }),
        AuditCommand::RotateKey(options) => rotate_key(options.overlap_days, global),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn rotate_key(days: u16, global: &GlobalOptions) -> Result<(), CommandError> {
    global.require_no_server()?;
    require_no_key_of_environment()?;
    let key = Local::open_existing(global)?.rotate_signing_key(i64::from(days))?.id();
    let text = format!("key {key} signs now; the one before signs checkpoints as well for {days} days");
    global.report(&json!({"key_id": key, "overlap_days": days}), &text)
}
