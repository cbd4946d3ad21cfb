//! `haldir usage`: what was used.

use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::{GlobalOptions, Screen, Stop, output::line, target::Target};
use crate::error::Error;

#[derive(Args)]
pub struct UsageOptions {
    /// The month in UTC, as YYYY-MM. Default: this one.
    #[arg(long, value_name = "MONTH")]
    month: Option<String>,
}

pub fn usage(options: &UsageOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    #[derive(Deserialize)]
    struct Usage {
        month: String,
        action_count: i64,
    }
    let input = json!({"month": options.month}).to_string();
    let reply = Target::open(global)?.call("getUsage", &input)?;
    if screen.json {
        line(&reply.body)?;
    } else {
        let usage: Usage = serde_json::from_str(&reply.body).map_err(Error::internal)?;
        line(&format!("{} calls in {}", usage.action_count, usage.month))?;
    }
    Ok(ExitCode::SUCCESS)
}
