//! `haldir usage` and `haldir overview`: what was used, and what stands, at a glance.

use std::{collections::BTreeMap, process::ExitCode};

use clap::Args;
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::{
    GlobalOptions, Screen, Stop,
    output::{line, table},
    target::Target,
};
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

/// The overview: a row for each figure; its lists are left to `--json`.
pub fn overview(global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let reply = Target::open(global)?.call("getOverview", "{}")?;
    if screen.json {
        line(&reply.body)?;
        return Ok(ExitCode::SUCCESS);
    }
    // As JSON text, so that amounts stay as they were written.
    let sections: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    let mut rows = Vec::new();
    for (section, value) in sections {
        let Ok(figures) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(value.get()) else {
            continue;
        };
        for (name, figure) in figures.iter().filter(|(_, figure)| !figure.get().starts_with(['[', '{'])) {
            let text = serde_json::from_str::<Option<String>>(figure.get());
            let shown = text.map_or_else(|_| figure.get().to_owned(), Option::unwrap_or_default);
            rows.push(vec![section.clone(), name.replace('_', " "), shown]);
        }
    }
    table(&["OF", "WHAT", "FIGURE"], &rows)?;
    Ok(ExitCode::SUCCESS)
}
