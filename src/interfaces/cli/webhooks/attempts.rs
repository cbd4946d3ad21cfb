//! `haldir webhooks deliveries` and `haldir webhooks dead-letters`.

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::super::{
    GlobalOptions, Screen, Stop,
    output::{line, note, table, when, when_any},
    target::Target,
};
use crate::{error::Error, model::UnixMicros};

#[derive(Args)]
pub struct DeliveriesOptions {
    /// Only attempts of this event.
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
    /// Only attempts before this one.
    #[arg(long, value_name = "DELIVERY")]
    before: Option<String>,
    /// How many at most, from 1 to 1000. Default: 100.
    #[arg(long, value_name = "N")]
    limit: Option<i64>,
}

#[derive(Args)]
pub struct DeadLettersOptions {
    /// Only those of this webhook.
    #[arg(long, value_name = "WEBHOOK")]
    webhook: Option<i64>,
    /// How many at most, from 1 to 1000. Default: 100.
    #[arg(long, value_name = "N")]
    limit: Option<i64>,
}

#[derive(Deserialize)]
struct Attempts {
    deliveries: Vec<Attempt>,
}

#[derive(Deserialize)]
struct Attempt {
    delivery_id: String,
    event_id: String,
    event_type: String,
    webhook_id: i64,
    #[serde(rename = "attempt")]
    number: i64,
    status_code: u16,
    error: String,
    duration_ms: i64,
    created_at: UnixMicros,
    next_retry_at: Option<UnixMicros>,
}

const ATTEMPT_HEADER: [&str; 9] = ["DELIVERY", "WEBHOOK", "EVENT", "KIND", "ATTEMPT", "ANSWER", "MS", "AT", "AGAIN"];

pub fn deliveries(options: &DeliveriesOptions, global: &GlobalOptions, screen: Screen) -> Result<(), Stop> {
    let input = json!({"event_id": options.event, "before": options.before, "limit": options.limit}).to_string();
    let reply = Target::open(global)?.call("listDeliveries", &input)?;
    if screen.json {
        return line(&reply.body);
    }
    let listed: Attempts = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    let Some(last) = listed.deliveries.last().map(|attempt| attempt.delivery_id.clone()) else {
        return line("nothing was sent");
    };
    let rows: Vec<_> = listed.deliveries.into_iter().map(attempt_row).collect();
    let is_full = i64::try_from(rows.len()).is_ok_and(|count| count >= options.limit.unwrap_or(100));
    table(&ATTEMPT_HEADER, &rows)?;
    if is_full {
        note(&format!("there may be more: --before {last}"));
    }
    Ok(())
}

fn attempt_row(attempt: Attempt) -> Vec<String> {
    let answer = if attempt.status_code == 0 { attempt.error } else { attempt.status_code.to_string() };
    let (number, count) = (attempt.webhook_id.to_string(), attempt.number.to_string());
    let again = when_any(attempt.next_retry_at, "");
    let (took, at) = (attempt.duration_ms.to_string(), when(attempt.created_at));
    vec![attempt.delivery_id, number, attempt.event_id, attempt.event_type, count, answer, took, at, again]
}

#[derive(Deserialize)]
struct Letters {
    dead_letters: Vec<Letter>,
}

#[derive(Deserialize)]
struct Letter {
    webhook_id: i64,
    event_id: String,
    event_type: String,
    attempts: i64,
    reason: String,
    created_at: UnixMicros,
    died_at: UnixMicros,
}

const LETTER_HEADER: [&str; 7] = ["WEBHOOK", "EVENT", "KIND", "ATTEMPTS", "REASON", "HAPPENED", "GIVEN UP"];

pub fn dead_letters(options: &DeadLettersOptions, global: &GlobalOptions, screen: Screen) -> Result<(), Stop> {
    let input = json!({"webhook_id": options.webhook, "limit": options.limit}).to_string();
    let reply = Target::open(global)?.call("listDeadLetters", &input)?;
    if screen.json {
        return line(&reply.body);
    }
    let listed: Letters = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    if listed.dead_letters.is_empty() {
        return line("no event was given up");
    }
    table(&LETTER_HEADER, &listed.dead_letters.into_iter().map(letter_row).collect::<Vec<_>>())
}

fn letter_row(letter: Letter) -> Vec<String> {
    let (number, attempts) = (letter.webhook_id.to_string(), letter.attempts.to_string());
    let (happened, died) = (when(letter.created_at), when(letter.died_at));
    vec![number, letter.event_id, letter.event_type, attempts, letter.reason, happened, died]
}
