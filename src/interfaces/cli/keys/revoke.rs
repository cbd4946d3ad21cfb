//! `haldir keys revoke`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::super::{GlobalOptions, Screen, Stop, output::line, target::Target};
use crate::{
    error::{Error, Result as Checked},
    gate::authenticate::PUBLIC_CHARS,
};

/// Keys that are looked at for one that was revoked before.
const MAX_KEYS: usize = 1_000;

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
    let target = Target::open(global)?;
    let was_revoked = !screen.json && is_revoked(&target, &options.prefix);
    let input = json!({"prefix": options.prefix}).to_string();
    let reply = target.call("revokeApiKey", &input)?;
    if screen.json {
        line(&reply.body)?;
    } else if was_revoked {
        line(&format!("{} was revoked already", options.prefix))?;
    } else {
        line(&format!("revoked {}", options.prefix))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether all keys of this name are revoked. A caller that may not list keys is not told.
fn is_revoked(target: &Target, prefix: &str) -> bool {
    let Ok(answer) = target.call_value("listApiKeys", &json!({"limit": MAX_KEYS})) else { return false };
    let keys = answer["keys"].as_array().into_iter().flatten().filter(|key| key["prefix"] == prefix);
    let mut revoked = keys.map(|key| key["revoked"] == true).peekable();
    revoked.peek().is_some() && revoked.all(|revoked| revoked)
}
