//! `haldir webhooks`: who is told when something happens, by whoever holds the store's files, through the same
//! operations as everyone. What is queued here is sent by a server on the same store.

mod attempts;
mod change;
mod list;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{GlobalOptions, Screen, Stop};

#[derive(Subcommand)]
pub enum WebhooksCommand {
    /// List the webhooks, with what they were sent and what waits for them.
    #[command(
        after_help = "Examples:\n  haldir webhooks list\n  haldir webhooks list --json | jq -r '.webhooks[].url'"
    )]
    List,
    /// Have events sent to an address. The secret that they are signed with stands alone on standard output, this once.
    #[command(
        after_help = "Example:\n  SECRET=$(haldir webhooks add https://hooks.example.com/haldir \\\n    --events \
                            anomaly,budget_exhausted)"
    )]
    Add(change::AddOptions),
    /// Delete a webhook, and what waits for it.
    #[command(visible_aliases = ["rm", "remove"], after_help = "Example:\n  haldir webhooks delete 1")]
    Delete(WebhookArgument),
    /// Make a new secret, which stands alone on standard output, this once; the old one stays valid for a while.
    #[command(after_help = "Example:\n  SECRET=$(haldir webhooks rotate 1 --grace 1h)")]
    Rotate(change::RotateOptions),
    /// Send a test event.
    #[command(after_help = "Example:\n  haldir webhooks ping 1 && haldir webhooks deliveries --limit 1")]
    Ping(WebhookArgument),
    /// List attempts to deliver events, newest first.
    #[command(after_help = "Examples:\n  haldir webhooks deliveries --limit 20\n  haldir webhooks deliveries --event \
                            evt_dJ0w3Vx1bU6nQ8sYk2hCzA --json")]
    Deliveries(attempts::DeliveriesOptions),
    /// List events that were given up.
    #[command(after_help = "Example:\n  haldir webhooks dead-letters --webhook 1")]
    DeadLetters(attempts::DeadLettersOptions),
    /// Send events that were given up again.
    #[command(after_help = "Examples:\n  haldir webhooks resend 1\n  haldir webhooks resend 1 --event \
                            evt_dJ0w3Vx1bU6nQ8sYk2hCzA")]
    Resend(change::ResendOptions),
}

/// One of them.
#[derive(Args)]
pub struct WebhookArgument {
    /// The webhook's number, as `haldir webhooks list` shows it.
    #[arg(value_name = "WEBHOOK", value_parser = number)]
    webhook_id: i64,
}

fn number(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "expected the webhook's number, as `haldir webhooks list` shows it".to_owned())
}

pub fn run(command: &WebhooksCommand, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    match command {
        WebhooksCommand::List => list::run(global, screen),
        WebhooksCommand::Add(options) => change::add(options, global, screen),
        WebhooksCommand::Delete(which) => change::delete(which, global, screen),
        WebhooksCommand::Rotate(options) => change::rotate(options, global, screen),
        WebhooksCommand::Ping(which) => change::ping(which, global, screen),
        WebhooksCommand::Deliveries(options) => attempts::deliveries(options, global, screen),
        WebhooksCommand::DeadLetters(options) => attempts::dead_letters(options, global, screen),
        WebhooksCommand::Resend(options) => change::resend(options, global, screen),
    }?;
    Ok(ExitCode::SUCCESS)
}
