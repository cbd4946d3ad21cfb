//! The outbox: events that webhooks receive.
//!
//! [`emit`] stores an event in the transaction of the change that caused it, so that a crash neither loses nor invents one.
//! [`crate::webhooks`] delivers it afterwards.

mod event;

use event::Body;
pub use event::{EventKind, WebhookEvent};
use serde::Serialize;

use crate::{
    call::WriteContext,
    crypto,
    error::{Code, Error, Result},
    model::{TenantId, UnixMicros},
    store::{DeadLetter, QueuedEvent, ReadTx, Webhook, WebhookState},
};

/// Events that may wait for one webhook. The next one becomes a dead letter at once.
const MAX_QUEUED: i64 = 100_000;
/// A webhook keeps the dead letters among its last events, up to this many events back.
const MAX_DEAD_LETTER_AGE: i64 = 100_000;
/// Old dead letters that one new dead letter removes: more than one, so that their number falls.
const REMOVED_PER_DEAD_LETTER: usize = 2;

/// The webhook of this number, unless it was deleted.
pub fn require(tx: &ReadTx, tenant: &TenantId, id: i64) -> Result<Webhook> {
    let found = tx.webhook(tenant, id)?.filter(|webhook| webhook.state != WebhookState::Deleted);
    found.ok_or_else(|| Error::not_found(format!("webhook {id}")).field("webhook_id"))
}

/// The webhook of this number, if it is active.
pub fn require_active(tx: &ReadTx, tenant: &TenantId, id: i64) -> Result<Webhook> {
    let webhook = require(tx, tenant, id)?;
    if webhook.state == WebhookState::Active {
        return Ok(webhook);
    }
    let message =
        format!("webhook {id} is disabled because its receiver answered 410 Gone: call pingWebhook to enable it");
    Err(Error::new(Code::Conflict, message))
}

/// Puts an event into the outbox of every webhook that subscribes to its kind. A tenant without webhooks pays one look-up.
pub fn emit(cx: &mut WriteContext<'_>, event: &WebhookEvent<'_>) -> Result<()> {
    let kind = event.kind();
    let subscribes = |word: &String| *word == EventKind::All.as_str() || *word == kind.as_str();
    let mut webhooks = cx.tx.webhooks(&cx.caller.tenant)?;
    webhooks.retain(|webhook| webhook.state == WebhookState::Active && webhook.events.iter().any(subscribes));
    if webhooks.is_empty() {
        return Ok(());
    }
    if let WebhookEvent::BudgetExhausted { session_id, spent, .. } = event {
        // One event per exhaustion: the next one only after something was spent or given back.
        if !cx.tx.record_exhaustion(&cx.caller.tenant, session_id, *spent, cx.now)? {
            return Ok(());
        }
    }
    let (event_id, body) = render(kind.as_str(), cx.now, event)?;
    for mut webhook in webhooks {
        put(cx, &mut webhook, &event_id, kind.as_str(), &body)?;
    }
    Ok(())
}

/// Puts an event into the outbox of one webhook, whatever its subscription. Returns the event's id.
pub fn send_to(cx: &mut WriteContext<'_>, webhook_id: i64, event: &str, fields: &impl Serialize) -> Result<String> {
    let mut webhook = require_active(cx.tx, &cx.caller.tenant, webhook_id)?;
    let (event_id, body) = render(event, cx.now, fields)?;
    put(cx, &mut webhook, &event_id, event, &body)?;
    Ok(event_id)
}

/// A new event's id and body.
fn render(event: &str, timestamp: UnixMicros, fields: &impl Serialize) -> Result<(String, String)> {
    let event_id = crypto::token::<16>("evt_").map_err(Error::internal)?;
    let body = Body { event, event_id: &event_id, timestamp, source: "haldir", fields };
    let body = serde_json::to_string(&body).map_err(Error::internal)?;
    Ok((event_id, body))
}

/// Puts an event into a webhook's outbox, and stores the webhook.
pub fn put(
    cx: &mut WriteContext<'_>,
    webhook: &mut Webhook,
    event_id: &str,
    event_type: &str,
    body: &str,
) -> Result<()> {
    let tenant = &cx.caller.tenant;
    webhook.last_seq += 1;
    let event = QueuedEvent {
        seq: webhook.last_seq,
        event_id: event_id.to_owned(),
        event_type: event_type.to_owned(),
        body: body.to_owned(),
        queued_at: cx.now,
        attempts: 0,
    };
    if webhook.waiting >= MAX_QUEUED {
        let reason = format!("{MAX_QUEUED} events were waiting already");
        let letter = DeadLetter { webhook_id: webhook.id, event, died_at: cx.now, reason };
        put_dead_letter(cx, &letter, webhook.last_seq)?;
    } else {
        webhook.waiting += 1;
        // Behind events that wait already, the time of the next attempt stays.
        webhook.due_at = webhook.due_at.or(Some(cx.now));
        cx.tx.put_event(tenant, webhook.id, &event)?;
        cx.services.webhook_bell.notify_one();
    }
    Ok(cx.tx.put_webhook(tenant, webhook)?)
}

/// Keeps a dead letter, and removes old ones.
pub fn put_dead_letter(cx: &mut WriteContext<'_>, letter: &DeadLetter, last_seq: i64) -> Result<()> {
    let tenant = &cx.caller.tenant;
    Ok(cx.tx.put_dead_letter(tenant, letter, last_seq - MAX_DEAD_LETTER_AGE, REMOVED_PER_DEAD_LETTER)?)
}
