//! `haldir compliance`: evidence packs, the score and schedules of the local store, and checking a pack offline.

mod evidence;
mod schedules;
mod score;
mod verify;

use std::process::ExitCode;

use clap::Subcommand;

use super::{GlobalOptions, Screen, Stop};

#[derive(Subcommand)]
pub enum ComplianceCommand {
    /// Make the evidence pack of a period, signed.
    #[command(
        after_help = "Examples:\n  haldir compliance evidence --since 2026-01-01 --until 2026-04-01 \\\n    --out q1.json\n  \
                            haldir compliance evidence --format html --out evidence.html\n\nThe pack of a period that is \
                            over is the same whenever it is made, but for the date of making.\n\nWhat to give an auditor: a \
                            pack is a signed report of a period; haldir audit export\n--bundle is the whole log with its details, \
                            for checking each entry."
    )]
    Evidence(evidence::EvidenceOptions),
    /// Show how this tenant stands against seven criteria, why, and what would mend it.
    #[command(after_help = "Examples:\n  haldir compliance score\n  haldir compliance score --json | jq .score")]
    Score,
    /// Check a pack in JSON: its digest and its signature, without a server. Exit code 1 if it does not hold.
    #[command(after_help = "Examples:\n  haldir compliance verify q1.json --public-key 9f86d081…\n  curl -s \
                            https://haldir.example.com/.well-known/jwks.json > keys.json\n  haldir compliance verify q1.json \
                            --jwks keys.json\n\nTake the key from a source that you trust: the one in the pack proves \
                            nothing.")]
    Verify(verify::VerifyOptions),
    /// List, create and delete schedules of packs.
    #[command(subcommand, after_help = "Example:\n  haldir compliance schedules list")]
    Schedules(schedules::SchedulesCommand),
}

pub fn run(command: &ComplianceCommand, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    match command {
        ComplianceCommand::Evidence(options) => evidence::run(options, global, screen),
        ComplianceCommand::Score => score::run(global, screen),
        ComplianceCommand::Verify(options) => verify::run(options, global, screen),
        ComplianceCommand::Schedules(command) => schedules::run(command, global, screen),
    }
}
