//! `resendDeadLetters`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::attempts;
use crate::{
    call::{WriteContext, WriteOperation},
    error::{Error, Result},
    model::{TenantId, text::Text},
    outbox,
    store::{DeadLetter, ReadTx, WebhookState},
    watch::{self, Draft},
};

/// Dead letters that one call sends again.
const MAX_RESENT: usize = 500;
/// Dead letters in one read, in the search for an event.
const PAGE: usize = 500;

/// Send dead letters of a webhook again, oldest first, behind its queued events; each is retried for another day. A webhook
/// that a 410 response had disabled is active again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResendDeadLetters {
    /// The webhook's number.
    webhook_id: i64,
    /// Only this event. Default: up to 500 dead letters.
    event_id: Option<Text<1, 64>>,
}

/// What was queued.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeadLettersResent {
    /// The webhook's number.
    pub webhook_id: i64,
    /// How many are on their way again.
    pub resent: usize,
    /// Whether there are more: then call again.
    pub more: bool,
}

impl WriteOperation for ResendDeadLetters {
    type Output = DeadLettersResent;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<DeadLettersResent> {
        let tenant = &cx.caller.tenant;
        let mut webhook = outbox::require(cx.tx, tenant, self.webhook_id)?;
        let mut letters = match &self.event_id {
            Some(event) => vec![find(cx.tx, tenant, webhook.id, event.as_str())?],
            None => cx.tx.dead_letters(tenant, webhook.id, 0, MAX_RESENT + 1)?,
        };
        let more = letters.len() > MAX_RESENT;
        letters.truncate(MAX_RESENT);
        if webhook.state == WebhookState::Disabled {
            webhook.state = WebhookState::Active;
        }
        attempts::hurry(&mut webhook, cx.now);
        cx.tx.put_webhook(tenant, &webhook)?;
        for letter in &letters {
            let event = &letter.event;
            cx.tx.delete_dead_letter(tenant, webhook.id, event.seq)?;
            outbox::put(cx, &mut webhook, &event.event_id, &event.event_type, &event.body)?;
        }
        let details = json!({"webhook_id": webhook.id, "resent": letters.len(), "event_id": self.event_id});
        watch::append(cx, Draft::governance("webhook.resend", None, &details)?)?;
        Ok(DeadLettersResent { webhook_id: webhook.id, resent: letters.len(), more })
    }
}

fn find(tx: &ReadTx, tenant: &TenantId, webhook: i64, event_id: &str) -> Result<DeadLetter> {
    let mut after = 0;
    loop {
        let page = tx.dead_letters(tenant, webhook, after, PAGE)?;
        let is_last = page.len() < PAGE;
        after = page.last().map_or(after, |letter| letter.event.seq);
        match page.into_iter().find(|letter| letter.event.event_id == event_id) {
            Some(letter) => return Ok(letter),
            None if is_last => return Err(Error::not_found("a dead letter of this event").field("event_id")),
            None => {}
        }
    }
}
