//! Webhooks: subscriptions, deliveries, and events that were given up.

use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::{
    view::{Field, Form, Inline, Input, Page, Part, Section, Table, Tone, code, pill, text, time},
    viewer::Viewer,
};
use crate::{error::Result, model::UnixMicros};

/// Deliveries that are shown.
const DELIVERIES: usize = 50;
/// The kinds of events, as `registerWebhook` takes them.
const EVENTS: &str = "empty is all; or some of anomaly, approval_requested, budget_exhausted, policy_denied, session_revoked, \
                      separated by commas";
const HERE: &str = "/dashboard/webhooks";

#[derive(Deserialize)]
struct Webhooks {
    webhooks: Vec<Webhook>,
}

#[derive(Deserialize)]
struct Webhook {
    #[serde(rename = "webhook_id")]
    id: i64,
    name: String,
    url: String,
    events: Vec<String>,
    active: bool,
    fire_count: i64,
    fail_count: i64,
    waiting: i64,
    #[serde(default)]
    next_attempt_at: Option<UnixMicros>,
}

#[derive(Deserialize)]
struct Deliveries {
    deliveries: Vec<Delivery>,
}

#[derive(Deserialize)]
struct Delivery {
    created_at: UnixMicros,
    event_type: String,
    webhook_url: String,
    attempt: i64,
    status_code: i64,
    duration_ms: i64,
    error: String,
}

#[derive(Deserialize)]
struct DeadLetters {
    dead_letters: Vec<DeadLetter>,
}

#[derive(Deserialize)]
struct DeadLetter {
    webhook_id: i64,
    event_id: String,
    event_type: String,
    died_at: UnixMicros,
    attempts: i64,
    reason: String,
}

/// The page.
pub async fn page(viewer: Viewer) -> Response {
    let page = sections(&viewer).await.map(|sections| Page::new("Webhooks", sections));
    viewer.answer("/webhooks", page)
}

async fn sections(viewer: &Viewer) -> Result<Vec<Section>> {
    let Some(found) = viewer.read_if_open::<Webhooks>("listWebhooks", json!({})).await? else {
        return Ok(vec![viewer.closed("webhooks", "Webhooks", "listWebhooks")]);
    };
    let latest = viewer.read_if_open::<Deliveries>("listDeliveries", json!({"limit": DELIVERIES})).await?;
    let latest = latest.map(|found| found.deliveries);
    let mut sections = vec![subscriptions(&found.webhooks, latest.as_deref().unwrap_or_default())];
    sections.extend(latest.as_deref().map(deliveries));
    if let Some(found) = viewer.read_if_open::<DeadLetters>("listDeadLetters", json!({})).await? {
        sections.push(dead_letters(viewer, &found.dead_letters));
    }
    Ok(sections)
}

/// Whether a webhook works: it does not if none of its latest deliveries was accepted.
fn state(webhook: &Webhook, latest: &[Delivery]) -> Vec<Inline> {
    let mut latest = latest.iter().filter(|delivery| delivery.webhook_url == webhook.url).peekable();
    if !webhook.active {
        pill(Tone::Bad, "off: its receiver answered 410")
    } else if latest.peek().is_some() && !latest.any(Delivery::was_taken) {
        pill(Tone::Bad, "no delivery was accepted")
    } else {
        pill(Tone::Good, "active")
    }
}

fn counts(webhook: &Webhook) -> Vec<Inline> {
    let many = |count: i64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let mut says = many(webhook.fire_count, "event");
    says.push_str(" delivered");
    if webhook.fail_count > 0 {
        says = format!("{says}; {} failed", many(webhook.fail_count, "attempt"));
    }
    if webhook.waiting == 0 {
        return text(says);
    }
    let verb = if webhook.waiting == 1 { "waits" } else { "wait" };
    says = format!("{says}; {} {verb}", many(webhook.waiting, "event"));
    match webhook.next_attempt_at {
        Some(at) => [text(says + ", next attempt "), time(at)].concat(),
        None => text(says),
    }
}

impl Delivery {
    fn was_taken(&self) -> bool {
        (200..300).contains(&self.status_code)
    }
}

fn subscriptions(webhooks: &[Webhook], latest: &[Delivery]) -> Section {
    let row = |webhook: &Webhook| {
        let id = webhook.id.to_string();
        let form = |operation, word| Form::button(operation, word, &[("webhook_id", &id)], HERE);
        let rotate = form("rotateWebhookSecret", "New secret").after(
            "Events are signed with a new secret, which is shown once. The old one is valid beside it for a while.",
        );
        let delete = form("deleteWebhook", "Delete").after("Events that still wait for this receiver are dropped.");
        let forms = [form("pingWebhook", "Ping"), rotate, delete].map(Inline::Form).into();
        vec![
            text(&webhook.name),
            code(&webhook.url),
            text(if webhook.events.is_empty() { "all".to_owned() } else { webhook.events.join(", ") }),
            state(webhook, latest),
            counts(webhook),
            forms,
        ]
    };
    let header = ["Name", "Address", "Events", "State", "Deliveries", ""];
    let table = Table::part(&header, webhooks.iter().map(row).collect(), "No webhook is registered.");
    let add = Form::button("registerWebhook", "Add webhook", &[], HERE).with(vec![
        Field::new("url", "Address", Input::Line, "https://example.com/haldir").required(),
        Field::new("name", "Name", Input::Line, ""),
        Field::new("events", "Events", Input::Line, EVENTS),
    ]);
    Section::new("webhooks", "", vec![table, Part::Form(add)])
}

fn deliveries(deliveries: &[Delivery]) -> Section {
    let row = |delivery: &Delivery| {
        let tone = if delivery.was_taken() { Tone::Good } else { Tone::Bad };
        let outcome = if delivery.status_code == 0 {
            pill(tone, &delivery.error)
        } else {
            pill(tone, delivery.status_code.to_string())
        };
        vec![
            time(delivery.created_at),
            text(&delivery.event_type),
            code(&delivery.webhook_url),
            text(delivery.attempt.to_string()),
            outcome,
            text(format!("{} ms", delivery.duration_ms)),
        ]
    };
    let header = ["Time", "Event", "Address", "Attempt", "Answer", "Took"];
    let rows = deliveries.iter().map(row).collect();
    Section::live(
        "deliveries",
        "Latest deliveries",
        vec![Table::part(&header, rows, "Nothing has been delivered yet.")],
    )
}

fn dead_letters(viewer: &Viewer, letters: &[DeadLetter]) -> Section {
    let row = |letter: &DeadLetter| {
        let id = letter.webhook_id.to_string();
        let values = [("webhook_id", id.as_str()), ("event_id", letter.event_id.as_str())];
        let one = Form::button("resendDeadLetters", "Resend", &values, HERE);
        let all = Form::button("resendDeadLetters", "Resend all", &[("webhook_id", &id)], HERE)
            .after("All events that were given up for this webhook are sent again, 500 at a time.");
        vec![
            time(letter.died_at),
            text(&letter.event_type),
            text(&id),
            text(letter.attempts.to_string()),
            text(&letter.reason),
            if viewer.may("resendDeadLetters") { [one, all].map(Inline::Form).into() } else { text("") },
        ]
    };
    let header = ["Given up", "Event", "Webhook", "Attempts", "Why", ""];
    let rows = letters.iter().map(row).collect();
    Section::live("dead-letters", "Given up", vec![Table::part(&header, rows, "No event was given up.")])
}
