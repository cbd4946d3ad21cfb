//! `haldir approvals approve` and `haldir approvals deny`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::super::{
    GlobalOptions, Screen, Stop,
    local::Local,
    output::{line, printable},
};

#[derive(Args)]
pub struct DecisionOptions {
    /// The request, as `haldir approvals list` names it.
    #[arg(value_name = "REQUEST")]
    request_id: String,
    /// Who decides, as the agent sees it. Default: operator.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// What there is to say about it; the agent sees it.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

pub fn run(
    operation: &str,
    done: &str,
    options: &DecisionOptions,
    global: &GlobalOptions,
    screen: Screen,
) -> Result<ExitCode, Stop> {
    let input = json!({"request_id": options.request_id, "decided_by": options.by, "note": options.note}).to_string();
    let reply = Local::open_existing(global)?.call_named(operation, &input)?;
    if screen.json {
        line(&reply.body)?;
    } else {
        line(&format!("{done} {}", printable(&options.request_id)))?;
    }
    Ok(ExitCode::SUCCESS)
}
