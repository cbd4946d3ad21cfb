//! `haldir usage`.

use clap::Args;
use serde::Serialize;

use super::{CommandError, GlobalOptions, output::line};
use crate::gate::get_usage::MonthlyUsage;

/// The input of `getUsage`.
#[derive(Args, Serialize)]
pub struct UsageOptions {
    /// The month in UTC, as YYYY-MM. Default: this one.
    #[arg(long, value_name = "MONTH")]
    month: Option<String>,
}

pub fn run(options: &UsageOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    global.show("getUsage", options, |usage: MonthlyUsage| {
        line(&format!("{} calls in {}", usage.action_count, usage.month))
    })
}
