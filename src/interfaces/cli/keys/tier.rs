//! `haldir keys tier`.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{
    super::{GlobalOptions, Screen, Stop, output::line, target::Target},
    revoke::require_prefix,
};
use crate::model::Tier;

#[derive(Args)]
pub struct TierOptions {
    /// The key's first twelve characters, as `haldir keys list` shows them.
    #[arg(value_name = "PREFIX")]
    prefix: String,
    /// Its hourly limit from now on.
    #[arg(value_name = "TIER")]
    tier: NamedTier,
}

#[derive(Clone, Copy, ValueEnum)]
enum NamedTier {
    /// 100 calls an hour, unless the server has another figure.
    Free,
    /// 5,000 calls an hour.
    Pro,
    /// 50,000 calls an hour.
    Enterprise,
}

impl From<NamedTier> for Tier {
    fn from(tier: NamedTier) -> Self {
        match tier {
            NamedTier::Free => Self::Free,
            NamedTier::Pro => Self::Pro,
            NamedTier::Enterprise => Self::Enterprise,
        }
    }
}

pub fn run(options: &TierOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    require_prefix(&options.prefix)?;
    let tier = Tier::from(options.tier);
    let input = json!({"prefix": options.prefix, "tier": tier}).to_string();
    let reply = Target::open(global)?.call("setApiKeyTier", &input)?;
    if screen.json {
        line(&reply.body)?;
    } else {
        line(&format!("{} is in the tier {} now", options.prefix, tier.as_str()))?;
    }
    Ok(ExitCode::SUCCESS)
}
