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
use crate::{error::Error, model::UnixMicros};

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

/// The newest entries of agents that are shown below the figures.
const SHOWN: usize = 10;

/// What the overview says of the log.
#[derive(Deserialize)]
struct Recent {
    recent: Vec<RecentEntry>,
}

#[derive(Deserialize)]
struct RecentEntry {
    agent_id: String,
    tool: String,
    action: String,
    timestamp: UnixMicros,
}

/// The overview: a row for each figure, and what agents did last; its other lists are left to `--json`.
pub fn overview(global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let reply = Target::open(global)?.call("getOverview", "{}")?;
    if screen.json {
        line(&reply.body)?;
        return Ok(ExitCode::SUCCESS);
    }
    // As JSON text, so that amounts stay as they were written.
    let sections: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    let mut rows = Vec::new();
    for (section, value) in &sections {
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
    let Some(audit) = sections.get("audit") else { return Ok(ExitCode::SUCCESS) };
    let audit: Recent = serde_json::from_str(audit.get()).map_err(Error::internal)?;
    let newest = audit.recent.into_iter().filter(|entry| !entry.agent_id.is_empty()).take(SHOWN);
    let rows: Vec<_> =
        newest.map(|entry| vec![entry.timestamp.to_rfc3339(), entry.agent_id, entry.tool, entry.action]).collect();
    if !rows.is_empty() {
        line("")?;
        table(&["NEWEST", "AGENT", "TOOL", "ACTION"], &rows)?;
    }
    Ok(ExitCode::SUCCESS)
}
