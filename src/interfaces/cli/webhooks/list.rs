//! `haldir webhooks list`.

use serde::Deserialize;

use super::super::{
    GlobalOptions, Screen, Stop,
    output::{line, table, when_any},
    target::Target,
};
use crate::{error::Error, model::UnixMicros};

#[derive(Deserialize)]
struct Listed {
    webhooks: Vec<Listing>,
}

#[derive(Deserialize)]
struct Listing {
    webhook_id: i64,
    url: String,
    name: String,
    events: Vec<String>,
    active: bool,
    fire_count: i64,
    fail_count: i64,
    waiting: i64,
    next_attempt_at: Option<UnixMicros>,
}

const HEADER: [&str; 9] = ["WEBHOOK", "URL", "NAME", "EVENTS", "STATE", "SENT", "FAILED", "WAITING", "NEXT"];

pub fn run(global: &GlobalOptions, screen: Screen) -> Result<(), Stop> {
    let reply = Target::open(global)?.call("listWebhooks", "{}")?;
    if screen.json {
        return line(&reply.body);
    }
    let listed: Listed = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    if listed.webhooks.is_empty() {
        return line("there is no webhook");
    }
    table(&HEADER, &listed.webhooks.into_iter().map(row).collect::<Vec<_>>())
}

fn row(webhook: Listing) -> Vec<String> {
    let state = if webhook.active { "active" } else { "gone (410)" };
    let [sent, failed, waiting] =
        [webhook.fire_count, webhook.fail_count, webhook.waiting].map(|count| count.to_string());
    let next = when_any(webhook.next_attempt_at, "");
    let (number, events) = (webhook.webhook_id.to_string(), webhook.events.join(","));
    vec![number, webhook.url, webhook.name, events, state.to_owned(), sent, failed, waiting, next]
}
