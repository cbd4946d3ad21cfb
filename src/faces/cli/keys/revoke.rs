//! `haldir keys revoke`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::super::{GlobalOptions, Screen, Stop, output::line, target::Target};
use crate::{
    error::{Error, Result as Checked},
    gate::authenticate::PUBLIC_CHARS,
};

#[derive(Args)]
pub struct RevokeOptions {
    /// The key's first twelve characters, as `haldir keys list` shows them.
    #[arg(value_name = "PREFIX")]
    prefix: String,
}

/// Refuses what is longer, so that a whole key given by mistake is not repeated in an error.
pub fn require_prefix(prefix: &str) -> Checked<()> {
    if prefix.chars().count() > PUBLIC_CHARS {
        let message = format!("PREFIX is the first {PUBLIC_CHARS} characters of a key: see `haldir keys list`");
        return Err(Error::invalid("prefix", message));
    }
    Ok(())
}

pub fn run(options: &RevokeOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    require_prefix(&options.prefix)?;
    let input = json!({"prefix": options.prefix}).to_string();
    let reply = Target::open(global)?.call("revokeApiKey", &input)?;
    if screen.json {
        line(&reply.body)?;
    } else {
        line(&format!("revoked {}", options.prefix))?;
    }
    Ok(ExitCode::SUCCESS)
}
