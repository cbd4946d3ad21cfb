//! `haldir compliance score`.

use std::process::ExitCode;

use serde::Deserialize;

use super::super::{
    GlobalOptions, Screen, Stop,
    output::{Level, line, paragraph, printable},
    target::Target,
};
use crate::error::Error;

#[derive(Deserialize)]
struct Score {
    #[serde(rename = "score")]
    of_100: i64,
    passing: i64,
    total: i64,
    criteria: Vec<Criterion>,
}

#[derive(Deserialize)]
struct Criterion {
    key: String,
    control: String,
    state: String,
    reason: String,
    remediation: String,
}

/// The column at which reasons begin: behind their level.
const REASON: usize = 5;

pub fn run(global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let reply = Target::open(global)?.call("getComplianceScore", "{}")?;
    if screen.json {
        line(&reply.body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let score: Score = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    line(&format!("score {} of 100: {} of {} criteria pass", score.of_100, score.passing, score.total))?;
    for criterion in score.criteria {
        let level = match criterion.state.as_str() {
            "pass" => Level::Ok,
            "warn" => Level::Warn,
            _ => Level::Fail,
        };
        let (control, key, reason) = (criterion.control, criterion.key, printable(&criterion.reason));
        let text = |text: &str| paragraph(text, (REASON, REASON));
        line(&format!("{} {}", screen.word(level), text(&format!("{control} {key}: {reason}"))))?;
        if !criterion.remediation.is_empty() {
            line(&format!("{}{}", " ".repeat(REASON), text(&printable(&criterion.remediation))))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
