//! `listDeadLetters`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    call::{ReadContext, ReadOperation, page_size},
    error::Result,
    model::UnixMicros,
    outbox,
    store::{DeadLetter, WebhookState},
};

const MAX_PAGE: i64 = 1_000;

/// List events that were not delivered: after a day of attempts, or because the receiver answered 410. They are kept for
/// 30 days; resendDeadLetters sends them again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListDeadLetters {
    /// Only those of this webhook.
    webhook_id: Option<i64>,
    /// How many, at most 1000. Default: 100.
    #[schemars(extend("minimum" = 1, "maximum" = 1000, "default" = 100))]
    limit: Option<i64>,
}

/// The dead letters.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetterList {
    /// How many are in this response.
    pub count: usize,
    /// By webhook, oldest first.
    pub dead_letters: Vec<DeadLetterDetail>,
}

/// An event that was given up. Times are Unix seconds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetterDetail {
    /// The webhook's number.
    pub webhook_id: i64,
    /// The event.
    pub event_id: String,
    /// Its kind.
    pub event_type: String,
    /// How often it was tried.
    pub attempts: i64,
    /// Why it was given up.
    pub reason: String,
    /// When it happened.
    pub created_at: UnixMicros,
    /// When it was given up.
    pub died_at: UnixMicros,
    /// The body that was sent, as text.
    pub body: String,
}

impl From<DeadLetter> for DeadLetterDetail {
    fn from(letter: DeadLetter) -> Self {
        Self {
            webhook_id: letter.webhook_id,
            event_id: letter.event.event_id,
            event_type: letter.event.event_type,
            attempts: letter.event.attempts,
            reason: letter.reason,
            created_at: letter.event.queued_at,
            died_at: letter.died_at,
            body: letter.event.body,
        }
    }
}

impl ReadOperation for ListDeadLetters {
    type Output = DeadLetterList;

    fn run(self, cx: &ReadContext<'_>) -> Result<DeadLetterList> {
        let limit = page_size(self.limit, MAX_PAGE)?;
        let tenant = &cx.caller.tenant;
        let webhooks = match self.webhook_id {
            Some(id) => vec![outbox::require(cx.tx, tenant, id)?],
            None => cx.tx.webhooks(tenant)?,
        };
        let mut dead_letters: Vec<DeadLetterDetail> = Vec::new();
        for webhook in webhooks.iter().filter(|webhook| webhook.state != WebhookState::Deleted) {
            let left = limit - dead_letters.len();
            dead_letters
                .extend(cx.tx.dead_letters(tenant, webhook.id, 0, left)?.into_iter().map(DeadLetterDetail::from));
        }
        Ok(DeadLetterList { count: dead_letters.len(), dead_letters })
    }
}
