//! `haldir log show`: all of an entry, with the decision in words.

use clap::Args;
use serde::Serialize;

use super::super::{
    CommandError, GlobalOptions,
    output::{amounts::dollars_or_none, facts, indented, line, paragraph, printable, table, when},
};
use crate::interfaces::history::{self, Entry};

/// The input of `getAuditEntry`.
#[derive(Args, Serialize)]
pub struct ShowOptions {
    /// The entry, as `haldir log --ids` names it.
    #[arg(value_name = "ENTRY")]
    entry_id: String,
}

pub fn run(options: &ShowOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    global.show("getAuditEntry", options, |entry: Entry| show(&entry))
}

fn show(entry: &Entry) -> Result<(), CommandError> {
    if let Some(problem) = &entry.unreadable {
        return line(&printable(&format!("The entry was altered outside haldir and cannot be read: {problem}.")));
    }
    if entry.altered {
        line(&paragraph(history::ALTERED, (0, 0)))?;
    }
    let rows = [
        ("recorded", when(entry.timestamp)),
        ("agent", entry.agent_id.clone()),
        ("session", entry.session_id.clone()),
        ("tool", entry.tool.clone()),
        ("action", entry.action.clone()),
        ("caused by", entry.actor.clone()),
        ("cost", dollars_or_none(entry.cost_usd)),
        ("flagged", entry.flag_reason.clone()),
    ];
    facts(["entry", &entry.id], rows)?;
    details(entry)?;
    line("")?;
    let rows = [
        ("hash", entry.hash.clone()),
        ("hash of the entry before", entry.prev_hash.clone()),
        ("digest of the details", entry.details_digest.clone().unwrap_or_default()),
    ];
    facts(["place in the log", &entry.seq.to_string()], rows)
}

fn details(entry: &Entry) -> Result<(), CommandError> {
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
