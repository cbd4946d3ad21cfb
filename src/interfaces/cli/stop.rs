//! `haldir stop`.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{
    GlobalOptions, Screen, Stop,
    output::{line, note, printable},
    target::Target,
};
use crate::{error::Error, gate::authenticate::KEY_PREFIX};

pub const HELP: &str = "\
An agent that holds a key can begin a new session with it: --revoke-keys takes \
the keys away as well.

Examples:
  haldir stop research-bot
  haldir stop research-bot --revoke-keys";

#[derive(Args)]
pub struct StopOptions {
    /// The agent's name, as its sessions have it.
    #[arg(value_name = "AGENT")]
    agent: String,
    /// Revoke the agent keys that made its sessions as well. Operators' keys stay.
    #[arg(long)]
    revoke_keys: bool,
}

pub fn run(options: &StopOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let input = json!({"agent_id": options.agent, "revoke_keys": options.revoke_keys}).to_string();
    let reply = Target::open(global)?.call("stopAgent", &input)?;
    if screen.json {
        line(&reply.body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let answer: Value = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    let count = answer["sessions_ended_count"].as_u64().unwrap_or(0);
    let sessions = if count == 1 { "session" } else { "sessions" };
    line(&printable(&format!("{}: {count} {sessions} ended", options.agent)))?;
    if count == 0 {
        note("it had no session that could act: haldir agents lists those that have one");
    }
    let names = |field: &str| {
        let names = answer[field].as_array().into_iter().flatten().filter_map(Value::as_str);
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let (made_by, revoked) = (names("made_by"), names("keys_revoked"));
    if !revoked.is_empty() {
        line(&format!("revoked: {}", revoked.join(", ")))?;
    }
    let left: Vec<_> = made_by.into_iter().filter(|name| !revoked.contains(name)).collect();
    if !left.is_empty() {
        line(&printable(&sentence(&left)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Who made the sessions, and can make new ones: keys, or the operator, who has none.
fn sentence(made_by: &[String]) -> String {
    let (keys, operators): (Vec<_>, Vec<_>) = made_by.iter().partition(|name| name.starts_with(KEY_PREFIX));
    let names = keys.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(", ");
    let by_keys = match keys.len() {
        0 => String::new(),
        1 => format!(
            "The key {names} made sessions for it, and can make new ones: haldir keys revoke {names} ends that."
        ),
        _ => format!("The keys {names} made sessions for it, and can make new ones: haldir keys revoke ends that."),
    };
    let by_operators = "An operator made sessions for it, and can make new ones.";
    match (by_keys.is_empty(), operators.is_empty()) {
        (false, true) => by_keys,
        (false, false) => format!("{by_keys} {by_operators}"),
        (true, _) => by_operators.to_owned(),
    }
}
