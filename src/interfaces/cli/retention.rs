//! `haldir retention`: after how many days the details of log entries are erased. The entries themselves stay for ever.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::json;

use super::{
    GlobalOptions, Screen, Stop,
    output::{line, note, printable, sentence, table, when},
    target::Target,
};
use crate::{
    config::duration::parse_seconds,
    error::{Error, Result},
    model::UnixMicros,
};

const SECONDS_PER_DAY: i64 = 86_400;

#[derive(Args)]
pub struct RetentionOptions {
    #[command(subcommand)]
    command: Option<RetentionCommand>,
}

#[derive(Subcommand)]
pub enum RetentionCommand {
    /// Show how long details are kept, and what is due.
    #[command(after_help = "Example:\n  haldir retention show")]
    Show,
    /// Set how long details are kept. Nothing is erased at once: the server looks once a day.
    #[command(after_help = "Examples:\n  haldir retention set 90d\n  haldir retention set never")]
    Set {
        /// Whole days, such as 90d, or never.
        #[arg(value_name = "DURATION", value_parser = parse_days)]
        days: i64,
    },
    /// List the runs that erased details, newest first.
    #[command(after_help = "Example:\n  haldir retention runs --limit 10")]
    Runs {
        /// How many at most, from 1 to 1000. Default: 100.
        #[arg(long, value_name = "N")]
        limit: Option<i64>,
    },
    /// Erase what is due now, instead of waiting for the daily run.
    #[command(after_help = "Example:\n  haldir retention prune --yes")]
    Prune {
        /// Erase: what is erased cannot be brought back.
        #[arg(long)]
        yes: bool,
    },
}

/// Whole days; 0 is never.
fn parse_days(text: &str) -> std::result::Result<i64, String> {
    if text == "never" {
        return Ok(0);
    }
    let expected = || format!("`{text}` is not a number of whole days: expected such as 90d, or never");
    let seconds = parse_seconds(text).map_err(|_| expected())?;
    // A bare number would be seconds: too easily meant as days.
    let has_unit = text.ends_with(|c: char| c.is_ascii_alphabetic());
    if !has_unit || seconds <= 0 || seconds % SECONDS_PER_DAY != 0 {
        return Err(expected());
    }
    Ok(seconds / SECONDS_PER_DAY)
}

#[derive(Deserialize)]
struct Policy {
    retain_days: i64,
    configured: bool,
    updated_at: Option<UnixMicros>,
    updated_by: String,
    preview: Preview,
}

#[derive(Deserialize)]
struct Preview {
    note: String,
}

#[derive(Deserialize)]
struct Runs {
    checkpoints: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    checkpoint_id: String,
    created_at: UnixMicros,
    pruned_before: UnixMicros,
    entries_deleted: i64,
    entries_left: i64,
    actor: String,
}

#[derive(Deserialize)]
struct Pruned {
    entries_deleted: i64,
    entries_left: i64,
    reason: String,
}

pub fn run(options: &RetentionOptions, global: &GlobalOptions, screen: Screen) -> std::result::Result<ExitCode, Stop> {
    match &options.command {
        None | Some(RetentionCommand::Show) => policy("getAuditRetention", "{}", global, screen),
        Some(RetentionCommand::Set { days }) => {
            policy("setAuditRetention", &json!({"retain_days": days}).to_string(), global, screen)
        }
        Some(RetentionCommand::Runs { limit }) => runs(*limit, global, screen),
        Some(RetentionCommand::Prune { yes }) => prune(*yes, global, screen),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn policy(operation: &str, input: &str, global: &GlobalOptions, screen: Screen) -> std::result::Result<(), Stop> {
    let reply = Target::open(global)?.call(operation, input)?;
    if screen.json {
        return line(&reply.body);
    }
    let Policy { retain_days, configured, updated_at, updated_by, preview } =
        serde_json::from_str(&reply.body).map_err(Error::internal)?;
    let kept = match retain_days {
        0 => "for ever".to_owned(),
        1 => "for 1 day".to_owned(),
        days => format!("for {days} days"),
    };
    let set = match updated_at {
        Some(at) if configured => format!("set by {updated_by} at {}", when(at)),
        _ => "never set".to_owned(),
    };
    sentence(&printable(&format!("details are kept {kept}; {set}")))?;
    // Of details that are kept for ever there is nothing more to say.
    if retain_days == 0 { Ok(()) } else { sentence(&printable(&preview.note)) }
}

fn runs(limit: Option<i64>, global: &GlobalOptions, screen: Screen) -> std::result::Result<(), Stop> {
    let reply = Target::open(global)?.call("listRetentionCheckpoints", &json!({"limit": limit}).to_string())?;
    if screen.json {
        return line(&reply.body);
    }
    let runs: Runs = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    if runs.checkpoints.is_empty() {
        return line("no run has erased anything");
    }
    let row = |run: Run| {
        let (erased, left) = (run.entries_deleted.to_string(), run.entries_left.to_string());
        vec![run.checkpoint_id, when(run.created_at), when(run.pruned_before), erased, left, run.actor]
    };
    let rows: Vec<_> = runs.checkpoints.into_iter().map(row).collect();
    table(&["RUN", "BEGUN", "ENTRIES BEFORE", "ERASED", "LEFT", "BY"], &rows)
}

/// One call goes through some of the entries: it is repeated until none is left.
fn prune(yes: bool, global: &GlobalOptions, screen: Screen) -> std::result::Result<(), Stop> {
    if !yes {
        let message = "what is erased cannot be brought back: say --yes, or look at haldir retention show first";
        return Err(Error::invalid("yes", message).into());
    }
    let target = Target::open(global)?;
    let call = || -> Result<Pruned> {
        let reply = target.call("pruneAuditDetails", &json!({"confirm": true}).to_string())?;
        serde_json::from_str(&reply.body).map_err(Error::internal)
    };
    let mut pruned = call()?;
    let mut erased = pruned.entries_deleted;
    while pruned.entries_left > 0 {
        if !screen.json {
            note(&format!("erased the details of {erased} entries; {} are left", pruned.entries_left));
        }
        let before = pruned.entries_left;
        pruned = call()?;
        erased += pruned.entries_deleted;
        if pruned.entries_left >= before {
            // Another process does the same: it goes on there.
            break;
        }
    }
    if screen.json {
        let (left, reason) = (pruned.entries_left, pruned.reason);
        let answer = json!({"entries_deleted": erased, "entries_left": left, "reason": reason});
        return line(&answer.to_string());
    }
    line(&printable(&if erased == 0 && !pruned.reason.is_empty() {
        format!("nothing was erased: {}", pruned.reason)
    } else {
        format!("erased the details of {erased} entries")
    }))
}
