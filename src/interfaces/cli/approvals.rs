//! `haldir approvals`: deciding, by whoever holds the store's files, through the same operations as everyone.

mod comparison;
mod decide;
mod list;
mod rules;
mod show;
mod watch;

use std::process::ExitCode;

use clap::Subcommand;

use super::{GlobalOptions, Screen, Stop};

#[derive(Subcommand)]
pub enum ApprovalsCommand {
    /// List the requests that wait for a decision, newest first.
    #[command(after_help = "Examples:\n  haldir approvals list\n  haldir approvals list --json | jq -r \
                            '.requests[].request_id'")]
    List(list::ListOptions),
    /// Show a request: exactly what an approval would be for.
    #[command(after_help = "Examples:\n  haldir approvals show apr_3kHhR1oEwJrN8qT0vYb6Zg\n  haldir approvals show \
                            apr_3kHhR1oEwJrN8qT0vYb6Zg \\\n    --wait 30s --json | jq -r .status")]
    Show(show::ShowOptions),
    /// Approve a request: it may be done once, exactly as it was asked, or as you changed it. A decision stands.
    #[command(
        after_help = "Examples:\n  haldir approvals approve apr_3kHhR1oEwJrN8qT0vYb6Zg \\\n    --note 'within the \
                            quarter budget'\n  haldir approvals approve apr_3kHhR1oEwJrN8qT0vYb6Zg \\\n    --arguments \
                            '{\"path\": \"/tmp/a\"}'\n  haldir approvals approve apr_3kHhR1oEwJrN8qT0vYb6Zg --edit"
    )]
    Approve(decide::ApproveOptions),
    /// Deny a request. A decision stands.
    #[command(
        after_help = "Example:\n  haldir approvals deny apr_3kHhR1oEwJrN8qT0vYb6Zg \\\n    --note 'use the cheaper plan'"
    )]
    Deny(decide::DecisionOptions),
    /// Say what needs an approval: list, add, delete rules.
    #[command(
        after_help = "What is refused without anyone being asked: haldir policy.\n\nExamples:\n  haldir approvals rules\n  haldir approvals rules add spend_over --threshold 100"
    )]
    Rules(rules::RulesOptions),
    /// Fill the screen with the requests that wait, as they arrive, and decide each with a key; q leaves.
    #[command(after_help = "Examples:\n  haldir approvals watch\n  haldir approvals watch --by ann")]
    Watch(watch::WatchOptions),
}

impl ApprovalsCommand {
    /// Whether it fills the screen.
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Watch(_))
    }
}

pub fn run(command: &ApprovalsCommand, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    match command {
        ApprovalsCommand::List(options) => list::run(options, global, screen),
        ApprovalsCommand::Show(options) => show::run(options, global, screen),
        ApprovalsCommand::Approve(options) => decide::approve(options, global, screen),
        ApprovalsCommand::Deny(options) => decide::deny(options, global, screen),
        ApprovalsCommand::Rules(options) => {
            rules::run(options, global, screen)?;
            Ok(ExitCode::SUCCESS)
        }
        ApprovalsCommand::Watch(options) => watch::run(options, global, screen),
    }
}
