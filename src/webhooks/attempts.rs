//! Attempts: which process may send a webhook's next event, and what becomes of the event after the attempt. Everything
//! here is one transaction's part.

use serde_json::json;

use super::{
    retry,
    secret::{self, Secret},
};
use crate::{
    call::WriteContext,
    crypto,
    error::{Error, Result},
    model::{TenantId, UnixMicros},
    outbox,
    store::{Attempt, DeadLetter, QueuedEvent, Webhook, WebhookState},
    watch::{self, Draft},
};

/// Attempts after which an event that its receiver rejects becomes a dead letter, so that the next event can be sent.
const MAX_REFUSALS: i64 = 5;
/// Failed attempts in a row after which a receiver counts as dead.
pub const DEAD_AFTER: i64 = 5;
/// Events of a disabled or deleted webhook that one transaction removes.
const STEP: usize = 200;
/// The status of a receiver that is gone for good.
const GONE: u16 = 410;

/// Resets the failures and makes the first queued event due now, unless a process is sending it: an operator has said that the
/// receiver works again.
pub(super) fn hurry(webhook: &mut Webhook, now: UnixMicros) {
    webhook.failures = 0;
    if webhook.lease.is_none() && webhook.waiting > 0 {
        webhook.due_at = Some(now);
    }
}

/// The next attempt; only the process with the lease may make it.
pub(super) struct Delivery {
    pub(super) tenant: TenantId,
    pub(super) webhook: Webhook,
    pub(super) event: QueuedEvent,
    pub(super) secrets: Vec<Secret>,
    lease: i64,
}

/// The result of an attempt.
#[derive(Debug)]
pub(super) struct AttemptResult {
    pub(super) started: UnixMicros,
    pub(super) duration_ms: i64,
    /// 0 without a response.
    pub(super) status: u16,
    pub(super) excerpt: String,
    pub(super) error: String,
    /// Seconds.
    pub(super) retry_after: Option<i64>,
}

/// Takes the lease of a webhook that is due. Returns its next attempt, if there is one.
pub(super) fn claim(cx: &mut WriteContext<'_>, id: i64) -> Result<Option<Delivery>> {
    let tenant = &cx.caller.tenant;
    let Some(mut webhook) = cx.tx.webhook(tenant, id)? else { return Ok(None) };
    if webhook.due_at.is_none_or(|due| due > cx.now) {
        return Ok(None);
    }
    match webhook.state {
        WebhookState::Active => lease(cx, webhook),
        WebhookState::Disabled => {
            for event in cx.tx.queued_events(tenant, id, STEP)? {
                bury(cx, &mut webhook, event, "the receiver answered 410: gone")?;
            }
            webhook.due_at = (webhook.waiting > 0).then_some(cx.now);
            webhook.lease = None;
            cx.tx.put_webhook(tenant, &webhook)?;
            Ok(None)
        }
        WebhookState::Deleted => remove_step(cx, webhook).map(|()| None),
    }
}

/// Leases the webhook to this process, with its first event.
fn lease(cx: &mut WriteContext<'_>, mut webhook: Webhook) -> Result<Option<Delivery>> {
    let tenant = &cx.caller.tenant;
    let Some(event) = cx.tx.queued_events(tenant, webhook.id, 1)?.pop() else {
        (webhook.due_at, webhook.lease, webhook.waiting) = (None, None, 0);
        cx.tx.put_webhook(tenant, &webhook)?;
        return Ok(None);
    };
    let mut token = [0; 8];
    crypto::nonce(&mut token).map_err(Error::internal)?;
    let lease = i64::from_be_bytes(token);
    webhook.lease = Some(lease);
    webhook.due_at = Some(UnixMicros(cx.now.0.saturating_add(cx.services.settings.webhooks.lease_micros())));
    cx.tx.put_webhook(tenant, &webhook)?;
    let secrets = secret::valid(&*cx.keys()?, tenant, &webhook, cx.now)?;
    Ok(Some(Delivery { tenant: tenant.clone(), webhook, event, secrets, lease }))
}

/// Removes some events and dead letters of a deleted webhook, and in the last step the webhook.
fn remove_step(cx: &mut WriteContext<'_>, mut webhook: Webhook) -> Result<()> {
    let tenant = &cx.caller.tenant;
    if cx.tx.delete_webhook(tenant, webhook.id, STEP)? {
        return Ok(());
    }
    webhook.due_at = Some(cx.now);
    Ok(cx.tx.put_webhook(tenant, &webhook)?)
}

/// Makes a queued event a dead letter.
fn bury(cx: &mut WriteContext<'_>, webhook: &mut Webhook, event: QueuedEvent, reason: &str) -> Result<()> {
    let tenant = &cx.caller.tenant;
    cx.tx.delete_event(tenant, webhook.id, event.seq)?;
    webhook.waiting -= 1;
    let letter = DeadLetter { webhook_id: webhook.id, event, died_at: cx.now, reason: reason.to_owned() };
    outbox::put_dead_letter(cx, &letter, webhook.last_seq)
}

/// Returns a lease without an attempt.
pub(super) fn release(cx: &mut WriteContext<'_>, delivery: &Delivery) -> Result<()> {
    let Some(mut webhook) = cx.tx.webhook(&delivery.tenant, delivery.webhook.id)? else { return Ok(()) };
    if webhook.lease == Some(delivery.lease) {
        (webhook.lease, webhook.due_at) = (None, Some(cx.now));
        cx.tx.put_webhook(&delivery.tenant, &webhook)?;
    }
    Ok(())
}

/// Records an attempt and settles its event. Returns the next attempt, if the webhook has more events and this process still
/// has the lease.
pub(super) fn settle(
    cx: &mut WriteContext<'_>,
    delivery: &Delivery,
    outcome: &AttemptResult,
) -> Result<Option<Delivery>> {
    let mut attempt = Attempt {
        seq: 0,
        webhook_id: delivery.webhook.id,
        url: delivery.webhook.url.clone(),
        event_id: delivery.event.event_id.clone(),
        event_type: delivery.event.event_type.clone(),
        attempt: delivery.event.attempts + 1,
        status: outcome.status,
        excerpt: outcome.excerpt.clone(),
        error: outcome.error.clone(),
        duration_ms: outcome.duration_ms,
        at: outcome.started,
        retry_at: None,
    };
    let is_delivered = (200..300).contains(&outcome.status);
    let mut next = None;
    if let Some(mut webhook) = cx.tx.webhook(&delivery.tenant, delivery.webhook.id)? {
        let is_ours = webhook.lease == Some(delivery.lease);
        if is_delivered {
            webhook.delivered += 1;
            webhook.failures = 0;
            let was_there = cx.tx.delete_event(&delivery.tenant, webhook.id, delivery.event.seq)?;
            webhook.waiting -= i64::from(was_there);
            if is_ours {
                webhook.lease = None;
                webhook.due_at = (webhook.waiting > 0).then_some(cx.now);
            }
        } else {
            webhook.failed += 1;
            webhook.failures += 1;
            if is_ours {
                webhook.lease = None;
                attempt.retry_at = failed(cx, delivery, &mut webhook, outcome)?;
            }
        }
        if webhook.state == WebhookState::Deleted {
            webhook.due_at = Some(cx.now);
        }
        cx.tx.put_webhook(&delivery.tenant, &webhook)?;
        if is_ours && is_delivered && webhook.state == WebhookState::Active && webhook.waiting > 0 {
            next = lease(cx, webhook)?;
        }
    }
    cx.tx.insert_attempt(&delivery.tenant, &attempt)?;
    Ok(next)
}

/// Whether a status rejects the event itself, and is not due to the receiver's state, address or credentials.
fn is_refused(status: u16) -> bool {
    matches!(status, 400 | 405 | 406 | 411..=417 | 421 | 422 | 431 | 451)
}

/// Settles a failed attempt: schedules a retry, or gives the event up. Returns the time of the retry.
fn failed(
    cx: &mut WriteContext<'_>,
    delivery: &Delivery,
    webhook: &mut Webhook,
    outcome: &AttemptResult,
) -> Result<Option<UnixMicros>> {
    let second = cx.services.settings.webhooks.second_micros;
    let mut event = QueuedEvent { attempts: delivery.event.attempts + 1, ..delivery.event.clone() };
    if outcome.status == GONE {
        bury(cx, webhook, event, "the receiver answered 410: gone")?;
        if webhook.state == WebhookState::Active {
            webhook.state = WebhookState::Disabled;
            let details = json!({"webhook_id": webhook.id, "reason": "the receiver answered 410: gone"});
            watch::append(cx, Draft::governance("webhook.disable", None, &details)?)?;
        }
        webhook.due_at = (webhook.waiting > 0).then_some(cx.now);
        return Ok(None);
    }
    if is_refused(outcome.status) && event.attempts >= MAX_REFUSALS {
        let reason =
            format!("the receiver refuses it: {} attempts, the last answered {}", event.attempts, outcome.status);
        bury(cx, webhook, event, &reason)?;
        // The receiver rejects this event only: the next one is due at once.
        webhook.failures = 0;
        webhook.due_at = (webhook.waiting > 0).then_some(cx.now);
        return Ok(None);
    }
    let deadline = UnixMicros(event.queued_at.0.saturating_add(retry::GIVE_UP_AFTER * second));
    let retry_at = retry::next_at(cx.now, webhook.failures, outcome.retry_after, deadline, second)?;
    if cx.now >= deadline {
        let last = if outcome.status == 0 { outcome.error.clone() } else { format!("answered {}", outcome.status) };
        bury(cx, webhook, event, &format!("given up after a day of attempts; the last: {last}"))?;
        // The next event keeps the backoff of the failures so far.
        webhook.due_at = (webhook.waiting > 0).then_some(retry_at);
        return Ok(None);
    }
    event.attempts = delivery.event.attempts + 1;
    cx.tx.put_event(&delivery.tenant, webhook.id, &event)?;
    webhook.due_at = Some(retry_at);
    Ok(Some(retry_at))
}
