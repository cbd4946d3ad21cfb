//! `haldir stop`.

use clap::Args;
use serde::Serialize;

use super::{
    CommandError, GlobalOptions,
    output::{line, note, printable},
};
use crate::{gate::stop_agent::AgentStopped, model::KEY_PREFIX};

/// The input of `stopAgent`.
#[derive(Args, Serialize)]
pub struct StopOptions {
    /// The agent's name, as its sessions have it.
    #[arg(value_name = "AGENT")]
    agent_id: String,
    /// Revoke the agent keys that made its sessions as well. Operators' keys stay.
    #[arg(long)]
    revoke_keys: bool,
}

pub fn run(options: &StopOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    global.show("stopAgent", options, |stopped: AgentStopped| {
        let count = stopped.sessions_ended_count;
        let sessions = if count == 1 { "session" } else { "sessions" };
        line(&printable(&format!("{}: {count} {sessions} ended", options.agent_id)))?;
        if count == 0 {
            note("it had no session that could act: haldir agents lists those that have one");
        }
        let AgentStopped { mut made_by, keys_revoked, .. } = stopped;
        if !keys_revoked.is_empty() {
            line(&format!("revoked: {}", keys_revoked.join(", ")))?;
        }
        made_by.retain(|name| !keys_revoked.contains(name));
        if made_by.is_empty() { Ok(()) } else { line(&printable(&sentence(&made_by))) }
    })
}

/// Says which keys made the sessions and can make new ones; an operator needs no key for it.
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
