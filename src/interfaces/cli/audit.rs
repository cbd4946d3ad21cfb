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
    #[command(
        after_help = "Exit codes: 0 verified; 1 not verified: altered, of another form, or not signed with a key \nthat was \
                            given; 2 an argument is wrong or a file cannot be read; 3 a bundle agrees with\nitself, but no --key \
                            says whose log it is (haldir audit keys prints the key).\n\nExamples:\n  haldir \
                            audit verify\n  haldir audit verify log.bundle \\\n    --key \
                            'haldir/local/5f1c…+b3a1c2d4+AY8…'"
    )]
    Verify(verify::VerifyOptions),
    /// Show the last lines of what happened, and with --follow each new one: the same as haldir log.
    #[command(
        after_help = "Examples:\n  haldir audit tail\n  haldir audit tail --agent research-bot -n 50\n  haldir audit tail --follow"
    )]
    Tail(LogOptions),
    /// Write the log's entries as JSONL or CSV; or, as a bundle, with proofs, a checkpoint and the public keys, which
    /// `verify` checks anywhere.
    #[command(
        after_help = "JSONL ends with a manifest. In CSV a text that a spreadsheet would take for a formula has an \
                            apostrophe in front.\n\nWhat to give an auditor: a bundle is the whole log with its details, for \
                            checking each entry;\nhaldir compliance evidence is a signed report of a period, without the \
                            details.\n\nExamples:\n  haldir audit export --format jsonl --out audit.jsonl\n  \
                            haldir audit export --format csv --agent research-bot --since 30d \\\n    --out bot.csv\n  haldir \
                            audit export --bundle log.bundle"
    )]
    Export(export::ExportOptions),
    /// Keep a checkpoint in a file, and say whether the log still begins with the one that was kept there.
    #[command(after_help = "Run it often, from a machine that the log's operator cannot write to. Exit code 1 if the \
                            log was rewritten; the file then stays as it was.\n\nExamples:\n  haldir audit pin --file \
                            haldir.pin\n  haldir --url https://haldir.example.com audit pin --file haldir.pin")]
    Pin(pin::PinOptions),
    /// Append each new checkpoint to a file, on a schedule, cosigned by witnesses; stop where the log was rewritten.
    #[command(
        after_help = "Example:\n  haldir audit mirror --to /mnt/archive/checkpoints.jsonl --every 5m \\\n    --witness \
                            https://witness.example.org \\\n    --witness-key 'witness.example.org+1a2b3c4d+BJx…'"
    )]
    Mirror(pin::MirrorOptions),
    /// Run a witness for another haldir: it signs what it sees of a log, and never two histories of one.
    #[command(
        override_usage = "haldir audit witness [OPTIONS] --name NAME --folder FOLDER --log KEY",
        after_help = "Example:\n  haldir audit witness --listen 127.0.0.1:8765 --name witness.example.org \\\n    --folder \
                            ./witness --log 'haldir/local/5f1c…+b3a1c2d4+AY8…'"
    )]
    Witness(witness::WitnessOptions),
    /// Print the log's public keys, the one that signs first, for `haldir audit verify BUNDLE --key`.
    #[command(after_help = "Give the key to the auditor by another way than the bundle.\n\nExample:\n  haldir audit \
                            verify log.bundle --key \"$(haldir audit keys | head -n 1)\"")]
    Keys,
    /// Put a new signing key into use. The one before signs checkpoints as well for a while.
    #[command(after_help = "Example:\n  haldir audit rotate-key --overlap-days 30")]
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
