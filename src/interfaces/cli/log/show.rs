//! `haldir log show`: all of an entry, with the decision in words.

use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{
    GlobalOptions, Screen, Stop,
    output::{amounts::dollars, indented, line, paragraph, printable, table, when},
    target::Target,
};
use crate::{
    error::Error,
    interfaces::history,
    model::{Money, UnixMicros},
};

#[derive(Args)]
pub struct ShowOptions {
    /// The entry, as `haldir log --ids` names it.
    #[arg(value_name = "ENTRY")]
    entry_id: String,
}

/// An entry with what is hashed of it.
#[derive(Deserialize)]
struct Whole {
    entry_id: String,
    seq: i64,
    session_id: String,
    agent_id: String,
    tool: String,
    action: String,
    cost_usd: Money,
    flag_reason: String,
    timestamp: UnixMicros,
    details: Value,
    actor: String,
    details_digest: Option<String>,
    prev_hash: String,
    entry_hash: String,
    #[serde(default)]
    erased: bool,
    unreadable: Option<String>,
    #[serde(default)]
    altered: bool,
}

pub fn run(options: &ShowOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let input = json!({"entry_id": options.entry_id}).to_string();
    let reply = Target::open(global)?.call("getAuditEntry", &input)?;
    if screen.json {
        line(&reply.body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let entry: Whole = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    show(&entry)?;
    Ok(ExitCode::SUCCESS)
}

fn show(entry: &Whole) -> Result<(), Stop> {
    if let Some(problem) = &entry.unreadable {
        return line(&printable(&format!("The entry was altered outside haldir and cannot be read: {problem}.")));
    }
    if entry.altered {
        line(&paragraph(history::ALTERED, (0, 0)))?;
    }
    let cost = if entry.cost_usd == Money::ZERO { String::new() } else { dollars(entry.cost_usd) };
    facts(
        "entry",
        &entry.entry_id,
        &[
            ("recorded", when(entry.timestamp)),
            ("agent", entry.agent_id.clone()),
            ("session", entry.session_id.clone()),
            ("tool", entry.tool.clone()),
            ("action", entry.action.clone()),
            ("caused by", entry.actor.clone()),
            ("cost", cost),
            ("flagged", entry.flag_reason.clone()),
        ],
    )?;
    details(entry)?;
    line("")?;
    facts(
        "place in the log",
        &entry.seq.to_string(),
        &[
            ("hash", entry.entry_hash.clone()),
            ("hash of the entry before", entry.prev_hash.clone()),
            ("digest of the details", entry.details_digest.clone().unwrap_or_default()),
        ],
    )
}

/// Facts by name, without those that are empty.
fn facts(title: &str, what: &str, facts: &[(&str, String)]) -> Result<(), Stop> {
    let rows: Vec<_> = facts.iter().filter(|(_, value)| !value.is_empty()).collect();
    let rows: Vec<_> = rows.into_iter().map(|(name, value)| vec![(*name).to_owned(), value.clone()]).collect();
    table(&[title, what], &rows)
}

fn details(entry: &Whole) -> Result<(), Stop> {
    if entry.erased {
        return line(&format!("\n{}", paragraph(history::ERASED, (0, 0))));
    }
    let mut rest = entry.details.clone();
    let steps = history::steps(&entry.details);
    if let (Some(_), Some(members)) = (&steps, rest.as_object_mut()) {
        members.retain(|name, _| !matches!(name.as_str(), "trace" | "steps" | "reason"));
    }
    if let Some(steps) = steps {
        line(&format!("\n{}", history::DECISION.to_uppercase()))?;
        if let Some(reason) = entry.details["reason"].as_str() {
            line(&paragraph(&printable(reason), (0, 0)))?;
        }
        let row = |step: &history::Step<'_>| {
            let saw = if step.saw.is_null() { String::new() } else { step.saw.to_string() };
            vec![step.name.to_owned(), step.result().to_owned(), step.rule.to_owned(), saw]
        };
        let header = history::STEPS.map(str::to_uppercase);
        table(&header.each_ref().map(String::as_str), &steps.iter().map(row).collect::<Vec<_>>())?;
    }
    if !rest.is_null() {
        line("\nDETAILS")?;
        for text in indented(&rest.to_string()).lines() {
            line(&printable(text))?;
        }
    }
    Ok(())
}
