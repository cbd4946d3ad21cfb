//! `haldir webhooks`: where events are sent. What is queued here is sent by a server on the same store.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::{
    CommandError, GlobalOptions,
    output::{line, note, table_or, when, when_any},
};
use crate::{
    config::duration::parse_seconds,
    webhooks::{
        delete_webhook::WebhookDeleted,
        list_dead_letters::{DeadLetterDetail, DeadLetterList},
        list_deliveries::{DeliveryDetail, DeliveryList},
        list_webhooks::{WebhookDetail, WebhookList},
        ping_webhook::WebhookPinged,
        register_webhook::WebhookRegistered,
        resend_dead_letters::DeadLettersResent,
        rotate_webhook_secret::WebhookSecretRotated,
    },
};

/// Attempts in one response, unless the caller asks for another number.
const DELIVERIES: i64 = 100;

#[derive(Subcommand)]
pub enum WebhooksCommand {
    /// List the webhooks, with what they were sent and what waits for them.
    List,
    /// Have events sent to an address. The secret that they are signed with stands alone on standard output, this once.
    Add(AddOptions),
    /// Delete a webhook, and what waits for it.
    #[command(visible_aliases = ["rm", "remove"])]
    Delete(WebhookArgument),
    /// Make a new secret, which stands alone on standard output, this once; the old one stays valid for a while.
    Rotate(RotateOptions),
    /// Send a test event.
    Ping(WebhookArgument),
    /// List attempts to deliver events, newest first.
    Deliveries(DeliveriesOptions),
    /// List events that were given up.
    DeadLetters(DeadLettersOptions),
    /// Send events that were given up again.
    Resend(ResendOptions),
}

#[derive(Args, Serialize)]
pub struct WebhookArgument {
    /// The webhook's number, as `haldir webhooks list` shows it.
    #[arg(value_name = "WEBHOOK", value_parser = number)]
    webhook_id: i64,
}

#[derive(Args, Serialize)]
pub struct AddOptions {
    /// Where to: http or https. The address must be public, unless --allow-private names its host.
    #[arg(value_name = "URL")]
    url: String,
    /// A name for people.
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Which events, separated by commas: anomaly, `approval_requested`, `budget_exhausted`, `session_revoked`, or all.
    /// Default: all.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    events: Option<Vec<String>>,
}

#[derive(Args, Serialize)]
pub struct RotateOptions {
    #[command(flatten)]
    #[serde(flatten)]
    webhook: WebhookArgument,
    /// How long the old secret stays valid: from 1m to 7d; a number is seconds. Default: 1d.
    #[arg(long = "grace", value_name = "DURATION", value_parser = parse_seconds)]
    grace_seconds: Option<i64>,
}

#[derive(Args, Serialize)]
pub struct ResendOptions {
    #[command(flatten)]
    #[serde(flatten)]
    webhook: WebhookArgument,
    /// Only this event. Default: the oldest 500.
    #[arg(long = "event", value_name = "EVENT")]
    event_id: Option<String>,
}

#[derive(Args, Serialize)]
pub struct DeliveriesOptions {
    /// Only attempts of this event.
    #[arg(long = "event", value_name = "EVENT")]
    event_id: Option<String>,
    /// Only attempts before this one.
    #[arg(long, value_name = "DELIVERY")]
    before: Option<String>,
    /// How many at most, from 1 to 1000. Default: 100.
    #[arg(long, value_name = "N")]
    limit: Option<i64>,
}

#[derive(Args, Serialize)]
pub struct DeadLettersOptions {
    /// Only those of this webhook.
    #[arg(long = "webhook", value_name = "WEBHOOK")]
    webhook_id: Option<i64>,
    /// How many at most, from 1 to 1000. Default: 100.
    #[arg(long, value_name = "N")]
    limit: Option<i64>,
}

fn number(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "expected the webhook's number, as `haldir webhooks list` shows it".to_owned())
}

pub fn run(command: &WebhooksCommand, global: &GlobalOptions) -> Result<(), CommandError> {
    match command {
        WebhooksCommand::List => {
            let header = ["WEBHOOK", "URL", "NAME", "EVENTS", "STATE", "SENT", "FAILED", "WAITING", "NEXT"];
            global.show("listWebhooks", json!({}), |list: WebhookList| {
                table_or("there is no webhook", &header, list.webhooks.into_iter().map(webhook_row))
            })
        }
        WebhooksCommand::Add(options) => global.show("registerWebhook", options, |made: WebhookRegistered| {
            // First, so that the number says what to delete where the secret cannot be written.
            note(&format!("webhook {}: keep its secret, it is not shown again", made.webhook_id));
            line(&made.secret)
        }),
        WebhooksCommand::Delete(webhook) => global.show("deleteWebhook", webhook, |deleted: WebhookDeleted| {
            let discarded = match deleted.discarded {
                0 => String::new(),
                count => format!("; {count} events that waited for it will not be sent"),
            };
            line(&format!("deleted {}{discarded}", deleted.webhook_id))
        }),
        WebhooksCommand::Rotate(options) => {
            global.show("rotateWebhookSecret", options, |rotated: WebhookSecretRotated| {
                let seconds = rotated.grace_seconds;
                note(&format!("the old secret stays valid for {seconds} s; this one is not shown again"));
                line(&rotated.secret)
            })
        }
        WebhooksCommand::Ping(webhook) => global.show("pingWebhook", webhook, |pinged: WebhookPinged| {
            line(&format!("queued {}: a server on this store sends it", pinged.event_id))
        }),
        WebhooksCommand::Deliveries(options) => deliveries(options, global),
        WebhooksCommand::DeadLetters(options) => {
            let header = ["WEBHOOK", "EVENT", "KIND", "ATTEMPTS", "REASON", "HAPPENED", "GIVEN UP"];
            global.show("listDeadLetters", options, |list: DeadLetterList| {
                table_or("no event was given up", &header, list.dead_letters.into_iter().map(dead_letter_row))
            })
        }
        WebhooksCommand::Resend(options) => global.show("resendDeadLetters", options, |done: DeadLettersResent| {
            line(&format!("queued {}: a server on this store sends them", done.resent))?;
            if done.more {
                note("there are more: repeat the command");
            }
            Ok(())
        }),
    }
}

fn webhook_row(webhook: WebhookDetail) -> Vec<String> {
    let state = if webhook.active { "active" } else { "gone (410)" };
    let [number, sent, failed, waiting] =
        [webhook.webhook_id, webhook.fire_count, webhook.fail_count, webhook.waiting].map(|count| count.to_string());
    let (events, next) = (webhook.events.join(","), when_any(webhook.next_attempt_at, ""));
    vec![number, webhook.url, webhook.name, events, state.to_owned(), sent, failed, waiting, next]
}

fn deliveries(options: &DeliveriesOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    let header = ["DELIVERY", "WEBHOOK", "EVENT", "KIND", "ATTEMPT", "ANSWER", "MS", "AT", "AGAIN"];
    global.show("listDeliveries", options, |list: DeliveryList| {
        let last = list.deliveries.last().map(|delivery| delivery.delivery_id.clone());
        let limit = options.limit.unwrap_or(DELIVERIES);
        let is_full = i64::try_from(list.deliveries.len()).is_ok_and(|count| count >= limit);
        table_or("nothing was sent", &header, list.deliveries.into_iter().map(delivery_row))?;
        if let Some(last) = last.filter(|_| is_full) {
            note(&format!("there may be more: --before {last}"));
        }
        Ok(())
    })
}

fn delivery_row(delivery: DeliveryDetail) -> Vec<String> {
    let answer = if delivery.status_code == 0 { delivery.error } else { delivery.status_code.to_string() };
    let [webhook, attempt, took] =
        [delivery.webhook_id, delivery.attempt, delivery.duration_ms].map(|count| count.to_string());
    let (at, again) = (when(delivery.created_at), when_any(delivery.next_retry_at, ""));
    vec![delivery.delivery_id, webhook, delivery.event_id, delivery.event_type, attempt, answer, took, at, again]
}

fn dead_letter_row(letter: DeadLetterDetail) -> Vec<String> {
    let [webhook, attempts] = [letter.webhook_id, letter.attempts].map(|count| count.to_string());
    let (happened, died) = (when(letter.created_at), when(letter.died_at));
    vec![webhook, letter.event_id, letter.event_type, attempts, letter.reason, happened, died]
}
