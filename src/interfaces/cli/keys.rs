//! `haldir keys`: by whoever holds the store's files, through the same operations as everyone.

mod create;
mod list;
mod revoke;
mod tier;

use std::process::ExitCode;

use clap::Subcommand;

use super::{GlobalOptions, Screen, Stop};

#[derive(Subcommand)]
pub enum KeysCommand {
    /// Make an API key. Standard output holds the key alone, once; it cannot be shown again.
    #[command(after_help = create::HELP)]
    Create(create::CreateOptions),
    /// List the API keys, newest first. The keys themselves are not stored.
    #[command(after_help = "Examples:\n  haldir keys list\n  haldir keys list --json | jq '.keys[].prefix'")]
    List,
    /// Revoke an API key: it is refused from the next call on, and the sessions that it made end.
    #[command(after_help = "Example:\n  haldir keys revoke hld_3fQx8aLm")]
    Revoke(revoke::RevokeOptions),
    /// Change an API key's hourly limit. It matters only where the server counts calls.
    #[command(after_help = "Example:\n  haldir keys tier hld_3fQx8aLm pro")]
    Tier(tier::TierOptions),
}

pub fn run(command: &KeysCommand, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    match command {
        KeysCommand::Create(options) => create::run(options, global, screen),
        KeysCommand::List => list::run(global, screen),
        KeysCommand::Revoke(options) => revoke::run(options, global, screen),
        KeysCommand::Tier(options) => tier::run(options, global, screen),
    }
}
