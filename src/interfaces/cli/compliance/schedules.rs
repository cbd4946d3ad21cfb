//! `haldir compliance schedules`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::json;

use super::super::{
    GlobalOptions, Screen, Stop,
    output::{line, note, printable, table, when},
    target::Target,
};
use crate::{error::Error, model::UnixMicros};

#[derive(Subcommand)]
pub enum SchedulesCommand {
    /// List the schedules, and how their last runs went.
    #[command(after_help = "Example:\n  haldir compliance schedules list --json | jq '.schedules[].last_status'")]
    List,
    /// Have a pack made of each period once it is over, and delivered to a webhook. A server has to run for it.
    #[command(
        override_usage = "haldir compliance schedules create [OPTIONS] --name NAME\n       --cadence CADENCE --delivery WHERE",
        after_help = "Example:\n  haldir compliance schedules create --name board --cadence quarterly \\\n    --delivery \
                            webhook:1"
    )]
    Create(CreateOptions),
    /// Delete a schedule.
    #[command(visible_aliases = ["rm", "remove"], after_help = "Example:\n  haldir compliance schedules delete sched_3kHhR1oEwJrN8qT0vYb6Zg")]
    Delete(DeleteOptions),
}

#[derive(Args)]
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

#[derive(Args)]
pub struct DeleteOptions {
    /// Its id.
    #[arg(value_name = "SCHEDULE")]
    schedule_id: String,
}

#[derive(Deserialize)]
struct Listed {
    schedules: Vec<Schedule>,
}

#[derive(Deserialize)]
struct Schedule {
    #[serde(rename = "schedule_id")]
    id: String,
    name: String,
    cadence: String,
    delivery: String,
    next_due: UnixMicros,
    last_status: String,
    last_error: String,
    run_count: i64,
    fail_count: i64,
}

pub fn run(command: &SchedulesCommand, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let store = Target::open(global)?;
    match command {
        SchedulesCommand::List => list(&store, screen)?,
        SchedulesCommand::Create(options) => {
            let CreateOptions { name, cadence, delivery } = options;
            let input = json!({"name": name, "cadence": cadence, "delivery": delivery}).to_string();
            let reply = store.call("createComplianceSchedule", &input)?;
            if screen.json {
                line(&reply.body)?;
            } else {
                let made: Schedule = serde_json::from_str(&reply.body).map_err(Error::internal)?;
                line(&format!("created {}, next due {}", made.id, when(made.next_due)))?;
            }
        }
        SchedulesCommand::Delete(options) => {
            let input = json!({"schedule_id": options.schedule_id}).to_string();
            store.call("deleteComplianceSchedule", &input)?;
            if screen.json {
                line(&json!({"deleted": true, "schedule_id": options.schedule_id}).to_string())?;
            } else {
                line(&format!("deleted {}", printable(&options.schedule_id)))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(store: &Target, screen: Screen) -> Result<(), Stop> {
    let reply = store.call("listComplianceSchedules", "{}")?;
    if screen.json {
        return line(&reply.body);
    }
    let listed: Listed = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    if listed.schedules.is_empty() {
        note("no schedules");
        return Ok(());
    }
    let row = |schedule: Schedule| {
        let last = if schedule.last_error.is_empty() { schedule.last_status } else { schedule.last_error };
        let runs = format!("{} ({} failed)", schedule.run_count, schedule.fail_count);
        let due = when(schedule.next_due);
        vec![schedule.id, schedule.name, schedule.cadence, schedule.delivery, due, runs, last]
    };
    let rows: Vec<_> = listed.schedules.into_iter().map(row).collect();
    table(&["SCHEDULE", "NAME", "CADENCE", "DELIVERY", "NEXT DUE", "RUNS", "LAST"], &rows)
}
