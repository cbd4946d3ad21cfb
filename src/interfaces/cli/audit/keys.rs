//! `haldir audit keys` and `haldir audit rotate-key`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::{
    error::Result,
    interfaces::cli::{
        GlobalOptions, Screen, Stop,
        local::Local,
        output::{line, sentence},
        target::{Target, require_no_key_of_environment},
    },
};

#[derive(Args)]
pub struct RotateOptions {
    /// For how many days the key before signs checkpoints as well.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    overlap_days: u16,
}

pub fn list(global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let target = Target::open(global)?;
    if screen.json {
        line(&target.call("listLogKeys", "{}")?.body)?;
    } else {
        target.keys()?.iter().try_for_each(|key| line(key))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub fn run(options: &RotateOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    global.require_no_server()?;
    require_no_key_of_environment()?;
    let local = Local::open_existing(global)?;
    let key = local.rotate_signing_key(i64::from(options.overlap_days))?;
    if screen.json {
        line(&json!({"key_id": key.id(), "overlap_days": options.overlap_days}).to_string())?;
    } else {
        let days = options.overlap_days;
        sentence(&format!("key {} signs now; the one before signs checkpoints as well for {days} days", key.id()))?;
    }
    Ok(ExitCode::SUCCESS)
}
