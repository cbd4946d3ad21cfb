//! `haldir retention`: after how many days the details of log entries are erased. The entries themselves stay for ever.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    CommandError, GlobalOptions,
    output::{line, note, printable, sentence, table_or, when},
    target::Target,
};
use crate::{
    config::duration::parse_seconds,
    error::{Error, Result},
    watch::{
        get_audit_retention::AuditRetention,
        list_retention_checkpoints::{RetentionCheckpoint, RetentionCheckpoints},
        prune_audit_details::ErasedDetails,
    },
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
    Show,
    /// Set how long details are kept. Nothing is erased at once: the server looks once a day.
    Set {
        /// Whole days, such as 90d, or never.
        #[arg(value_name = "DURATION", value_parser = parse_days)]
        days: i64,
    },
    /// List the runs that erased details, newest first.
    Runs {
        /// How many at most, from 1 to 1000. Default: 100.
        #[arg(long, value_name = "N")]
        limit: Option<i64>,
    },
    /// Erase what is due now, instead of waiting for the daily run.
    Prune {
        /// Erase: what is erased cannot be brought back.
        #[arg(long)]
        yes: bool,
    },
}

/// Whole days; 0 is never.
fn parse_days(text: &str) -> Result<i64, String> {
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

pub fn run(options: &RetentionOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    match &options.command {
        None | Some(RetentionCommand::Show) => {
            global.show("getAuditRetention", json!({}), |retention| show(&retention))
        }
        Some(RetentionCommand::Set { days }) => {
            global.show("setAuditRetention", json!({"retain_days": days}), |retention| show(&retention))
        }
        Some(RetentionCommand::Runs { limit }) => {
            let header = ["RUN", "BEGUN", "ENTRIES BEFORE", "ERASED", "LEFT", "BY"];
            global.show("listRetentionCheckpoints", json!({"limit": limit}), |runs: RetentionCheckpoints| {
                table_or("no run has erased anything", &header, runs.checkpoints.into_iter().map(row))
            })
        }
        Some(RetentionCommand::Prune { yes }) => prune(*yes, global),
    }
}

fn show(retention: &AuditRetention) -> Result<(), CommandError> {
    let kept = match retention.retain_days {
        0 => "for ever".to_owned(),
        1 => "for 1 day".to_owned(),
        days => format!("for {days} days"),
    };
    let set = match retention.updated_at {
        Some(at) if retention.configured => format!("set by {} at {}", retention.updated_by, when(at)),
        _ => "never set".to_owned(),
    };
    sentence(&printable(&format!("details are kept {kept}; {set}")))?;
    if retention.retain_days == 0 { Ok(()) } else { sentence(&printable(&retention.preview.note)) }
}

fn row(run: RetentionCheckpoint) -> Vec<String> {
    let [erased, left] = [run.entries_deleted, run.entries_left].map(|count| count.to_string());
    vec![run.checkpoint_id, when(run.created_at), when(run.pruned_before), erased, left, run.actor]
}

/// Erases what is due. One call covers some of the entries: it is repeated until none is left.
fn prune(yes: bool, global: &GlobalOptions) -> Result<(), CommandError> {
    if !yes {
        let message = "what is erased cannot be brought back: say --yes, or look at haldir retention show first";
        return Err(Error::invalid("yes", message).into());
    }
    let target = Target::open(global)?;
    let call = || target.read::<ErasedDetails>("pruneAuditDetails", json!({"confirm": true}));
    let mut pruned = call()?;
    let mut erased = pruned.entries_deleted;
    while pruned.entries_left > 0 {
        if !global.json {
            note(&format!("erased the details of {erased} entries; {} are left", pruned.entries_left));
        }
        let before = pruned.entries_left;
        pruned = call()?;
        erased += pruned.entries_deleted;
        if pruned.entries_left >= before {
            // Another process prunes at the same time, and finishes the rest.
            break;
        }
    }
    let (left, reason) = (pruned.entries_left, pruned.reason);
    if global.json {
        return line(&json!({"entries_deleted": erased, "entries_left": left, "reason": reason}).to_string());
    }
    line(&printable(&if erased == 0 && !reason.is_empty() {
        format!("nothing was erased: {reason}")
    } else {
        format!("erased the details of {erased} entries")
    }))
}
