//! Webhooks: subscriptions, deliveries, and events that were given up.

use serde_json::json;

use super::{
    view::{Field, Form, Inline, Input, Page, Part, Section, Table, Tone, code, counted, pill, text, time},
    viewer::Viewer,
};
use crate::{
    error::Result,
    webhooks::{
        list_dead_letters::{DeadLetterDetail, DeadLetterList},
        list_deliveries::{DeliveryDetail, DeliveryList},
        list_webhooks::{WebhookDetail, WebhookList},
    },
};

/// Deliveries that are shown.
const DELIVERIES: usize = 50;
/// The kinds of events, as `registerWebhook` takes them.
const EVENTS: &str = "empty is all; or some of anomaly, approval_requested, budget_exhausted, policy_denied, session_revoked, \
                      separated by commas";
const HERE: &str = "/dashboard/webhooks";

/// The page.
pub async fn page(viewer: &Viewer) -> Result<Page> {
    let Some(found) = viewer.read_if_open::<WebhookList>("listWebhooks", json!({})).await? else {
        return Ok(Page::new("Webhooks", vec![viewer.closed("webhooks", "Webhooks", "listWebhooks")]));
    };
    let latest = viewer.read_if_open::<DeliveryList>("listDeliveries", json!({"limit": DELIVERIES})).await?;
    let latest = latest.map(|found| found.deliveries);
    let mut sections = vec![subscriptions(&found.webhooks, latest.as_deref().unwrap_or_default())];
    sections.extend(latest.as_deref().map(deliveries));
    if let Some(found) = viewer.read_if_open::<DeadLetterList>("listDeadLetters", json!({})).await? {
        sections.push(dead_letters(&found.dead_letters));
    }
    Ok(Page::new("Webhooks", sections))
}

/// Whether a webhook works: it does not if none of its latest deliveries was accepted.
fn state(webhook: &WebhookDetail, latest: &[DeliveryDetail]) -> Vec<Inline> {
    let mut latest = latest.iter().filter(|delivery| delivery.webhook_url == webhook.url).peekable();
    if !webhook.active {
        pill(Tone::Bad, "off: its receiver answered 410")
    } else if latest.peek().is_some() && !latest.any(was_accepted) {
        pill(Tone::Bad, "no delivery was accepted")
    } else {
        pill(Tone::Good, "active")
    }
}

fn counts(webhook: &WebhookDetail) -> Vec<Inline> {
    let mut says = counted(webhook.fire_count, "event");
    says.push_str(" delivered");
    if webhook.fail_count > 0 {
        says = format!("{says}; {} failed", counted(webhook.fail_count, "attempt"));
    }
    if webhook.waiting == 0 {
        return text(says);
    }
    let verb = if webhook.waiting == 1 { "waits" } else { "wait" };
    says = format!("{says}; {} {verb}", counted(webhook.waiting, "event"));
    match webhook.next_attempt_at {
        Some(at) => [text(says + ", next attempt "), time(at)].concat(),
        None => text(says),
    }
}

fn was_accepted(delivery: &DeliveryDetail) -> bool {
    (200..300).contains(&delivery.status_code)
}

fn subscriptions(webhooks: &[WebhookDetail], latest: &[DeliveryDetail]) -> Section {
    let row = |webhook: &WebhookDetail| {
        let id = webhook.webhook_id.to_string();
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
    let table = Table::part(&header, webhooks.iter().map(row), "No webhook is registered.");
    let add = Form::button("registerWebhook", "Add webhook", &[], HERE).with(vec![
        Field::new("url", "Address", Input::Line, "https://example.com/haldir").required(),
        Field::new("name", "Name", Input::Line, ""),
        Field::new("events", "Events", Input::Line, EVENTS),
    ]);
    Section::new("webhooks", "", vec![table, Part::Form(add)])
}

fn deliveries(deliveries: &[DeliveryDetail]) -> Section {
    let row = |delivery: &DeliveryDetail| {
        let tone = if was_accepted(delivery) { Tone::Good } else { Tone::Bad };
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
    Section::live(
        "deliveries",
        "Latest deliveries",
        vec![Table::part(&header, deliveries.iter().map(row), "Nothing has been delivered yet.")],
    )
}

fn dead_letters(letters: &[DeadLetterDetail]) -> Section {
    let row = |letter: &DeadLetterDetail| {
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
            [one, all].map(Inline::Form).into(),
        ]
    };
    let header = ["Given up", "Event", "Webhook", "Attempts", "Why", ""];
    let rows = letters.iter().map(row);
    Section::live("dead-letters", "Given up", vec![Table::part(&header, rows, "No event was given up.")])
}
