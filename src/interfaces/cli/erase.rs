//! `haldir erase`.

use clap::Args;
use serde_json::{Value, json};

use super::{
    CommandError, GlobalOptions,
    output::{line, note},
    target::Target,
};
use crate::error::Error;

#[derive(Args)]
pub struct EraseOptions {
    /// The agent whose records are erased, by its name.
    #[arg(long, value_name = "NAME", required_unless_present = "session", conflicts_with = "session")]
    agent: Option<String>,
    /// The session whose records are erased.
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Say what there is, and erase nothing.
    #[arg(long)]
    dry_run: bool,
    /// Erase: what is erased cannot be brought back.
    #[arg(long)]
    yes: bool,
}

pub fn run(options: &EraseOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    if !options.dry_run && !options.yes {
        let message = "what is erased cannot be brought back: say --yes, or --dry-run to see what there is";
        return Err(Error::invalid("yes", message).into());
    }
    let (operation, input) = match (&options.agent, &options.session) {
        (Some(agent), _) => ("eraseAgent", json!({"agent_id": agent, "dry_run": options.dry_run})),
        (None, session) => ("eraseSession", json!({"session_id": session, "dry_run": options.dry_run})),
    };
    let target = Target::open(global)?;
    let answer: Value = loop {
        let answer: Value = target.read(operation, &input)?;
        if answer["complete"] == json!(true) || options.dry_run {
            break answer;
        }
        if !global.json {
            note(&format!("{}, and goes on", counts(&answer)));
        }
    };
    if global.json {
        line(&answer.to_string())
    } else if options.dry_run {
        line(&format!("there are {} sessions and {} entries of its own", answer["sessions"], answer["entries"]))
    } else {
        line(&format!("erased: {}", counts(&answer)))
    }
}

fn counts(answer: &Value) -> String {
    format!(
        "{} entries, the details of {} others, {} sessions, {} other records",
        answer["entries"], answer["details"], answer["sessions"], answer["records"]
    )
}
