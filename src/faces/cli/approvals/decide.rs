//! `haldir approvals approve` and `haldir approvals deny`.

use std::{fs, process::ExitCode};

use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;

use super::super::{
    GlobalOptions, Screen, Stop,
    output::{line, printable},
    target::Target,
};
use crate::error::Error;

/// The largest file with arguments, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

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

#[derive(Args)]
pub struct ApproveOptions {
    #[command(flatten)]
    decision: DecisionOptions,
    /// For a call of a tool: call it with these arguments instead, a JSON object, or @FILE that holds one. The agent is
    /// told which were changed.
    #[arg(long, value_name = "JSON|@FILE")]
    arguments: Option<String>,
}

pub fn approve(options: &ApproveOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let arguments = options.arguments.as_deref().map(arguments).transpose()?;
    run("approveRequest", "approved", &options.decision, arguments.as_deref(), global, screen)
}

pub fn deny(options: &DecisionOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    run("denyRequest", "denied", options, None, global, screen)
}

/// The arguments as they were written, be it in a file.
fn arguments(given: &str) -> Result<Box<RawValue>, Error> {
    let text = match given.strip_prefix('@') {
        Some(path) => {
            let problem = |error: String| Error::invalid("arguments", format!("{path}: {error}"));
            let length = fs::metadata(path).map_err(|error| problem(error.to_string()))?.len();
            if length > MAX_FILE_BYTES {
                return Err(problem(format!("more than {MAX_FILE_BYTES} bytes")));
            }
            fs::read_to_string(path).map_err(|error| problem(error.to_string()))?
        }
        None => given.to_owned(),
    };
    serde_json::from_str(text.trim()).map_err(|error| Error::invalid("arguments", format!("this is no JSON: {error}")))
}

fn run(
    operation: &str,
    done: &str,
    options: &DecisionOptions,
    arguments: Option<&RawValue>,
    global: &GlobalOptions,
    screen: Screen,
) -> Result<ExitCode, Stop> {
    #[derive(Serialize)]
    struct Input<'a> {
        request_id: &'a str,
        decided_by: Option<&'a str>,
        note: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        arguments: Option<&'a RawValue>,
    }
    let DecisionOptions { request_id, by, note } = options;
    let input = Input { request_id, decided_by: by.as_deref(), note: note.as_deref(), arguments };
    let input = serde_json::to_string(&input).map_err(Error::internal)?;
    let reply = Target::open(global)?.call(operation, &input)?;
    if screen.json {
        line(&reply.body)?;
    } else {
        line(&format!("{done} {}", printable(&options.request_id)))?;
    }
    Ok(ExitCode::SUCCESS)
}
