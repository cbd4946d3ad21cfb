//! `haldir compliance`: evidence packs, the score and schedules of a store, and checking a pack offline.

mod evidence;
mod verify;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::{
    CommandError, GlobalOptions,
    output::{Level, line, note, paragraph, printable, table, when, word},
    target::Target,
};
use crate::compliance::{
    get_score::{ComplianceScore, CriterionState},
    list_schedules::{ScheduleDetail, ScheduleList},
};

/// The column at which the reasons of the score begin: behind their level.
const REASON: usize = 5;

#[derive(Subcommand)]
pub enum ComplianceCommand {
    /// Make the evidence pack of a period, signed.
    Evidence(evidence::EvidenceOptions),
    /// Show how this tenant stands against seven criteria, why, and what would mend it.
    Score,
    /// Check a pack in JSON: its digest and its signature, without a server. Exit code 1 if it does not hold or is not signed with a
    /// trusted key, 2 if an argument is wrong or a file cannot be read.
    Verify(verify::VerifyOptions),
    /// List, create and delete schedules of packs.
    #[command(subcommand)]
    Schedules(SchedulesCommand),
}

#[derive(Subcommand)]
pub enum SchedulesCommand {
    /// List the schedules, and how their last runs went.
    List,
    /// Have a pack made of each period once it is over, and delivered to a webhook. A server has to run for it.
    #[command(
        override_usage = "haldir compliance schedules create [OPTIONS] --name NAME\n       --cadence CADENCE --delivery WHERE"
    )]
    Create(CreateOptions),
    /// Delete a schedule.
    #[command(visible_aliases = ["rm", "remove"])]
    Delete {
        /// Its id.
        #[arg(value_name = "SCHEDULE")]
        schedule_id: String,
    },
}

/// The input of `createComplianceSchedule`.
#[derive(Args, Serialize)]
pub struct CreateOptions {
    /// What people call it.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// How often.
    #[arg(long, value_name = "CADENCE", value_parser = ["daily", "weekly", "monthly", "quarterly"])]
    cadence: String,
    /// Where packs go: webhook: and the webhook's number.
    #[arg(long, value_name = "WHERE")]
    delivery: String,
}

pub fn run(command: &ComplianceCommand, global: &GlobalOptions) -> Result<ExitCode, CommandError> {
    match command {
        ComplianceCommand::Evidence(options) => evidence::run(options, global)?,
        ComplianceCommand::Score => score(global)?,
        ComplianceCommand::Verify(options) => return verify::run(options, global),
        ComplianceCommand::Schedules(command) => schedules(command, global)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn score(global: &GlobalOptions) -> Result<(), CommandError> {
    global.show("getComplianceScore", json!({}), |score: ComplianceScore| {
        line(&format!("score {} of 100: {} of {} criteria pass", score.score, score.passing, score.total))?;
        for criterion in score.criteria {
            let level = match criterion.state {
                CriterionState::Pass => Level::Ok,
                CriterionState::Warn => Level::Warn,
                CriterionState::Fail => Level::Fail,
            };
            let text = |text: &str| paragraph(text, (REASON, REASON));
            let why = format!("{} {}: {}", criterion.control, criterion.key, printable(&criterion.reason));
            line(&format!("{} {}", global.screen().word(level), text(&why)))?;
            if !criterion.remediation.is_empty() {
                line(&format!("{}{}", " ".repeat(REASON), text(&printable(&criterion.remediation))))?;
            }
        }
        Ok(())
    })
}

fn schedules(command: &SchedulesCommand, global: &GlobalOptions) -> Result<(), CommandError> {
    match command {
        SchedulesCommand::List => global.show("listComplianceSchedules", json!({}), |list: ScheduleList| {
            if list.schedules.is_empty() {
                note("no schedules");
                return Ok(());
            }
            let rows: Vec<_> = list.schedules.into_iter().map(schedule_row).collect();
            table(&["SCHEDULE", "NAME", "CADENCE", "DELIVERY", "NEXT DUE", "RUNS", "LAST"], &rows)
        }),
        SchedulesCommand::Create(options) => {
            global.show("createComplianceSchedule", options, |made: ScheduleDetail| {
                line(&format!("created {}, next due {}", made.schedule_id, when(made.next_due)))
            })
        }
        SchedulesCommand::Delete { schedule_id } => {
            let input = json!({"schedule_id": schedule_id});
            Target::open(global)?.call("deleteComplianceSchedule", &input.to_string())?;
            let done = json!({"deleted": true, "schedule_id": schedule_id});
            global.report(&done, &format!("deleted {schedule_id}"))
        }
    }
}

fn schedule_row(schedule: ScheduleDetail) -> Vec<String> {
    let last = if schedule.last_error.is_empty() { schedule.last_status.into_owned() } else { schedule.last_error };
    let runs = format!("{} ({} failed)", schedule.run_count, schedule.fail_count);
    let (cadence, due) = (word(schedule.cadence), when(schedule.next_due));
    vec![schedule.schedule_id, schedule.name, cadence, schedule.delivery, due, runs, last]
}
