//! `listWebhooks`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    call::{ReadContext, ReadOperation},
    error::Result,
    model::UnixMicros,
    store::{Webhook, WebhookState},
};

/// List the webhooks of this tenant, with their delivery counts and queued events; never their secrets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListWebhooks {}

/// The webhooks.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct WebhookList {
    /// How many there are.
    pub count: usize,
    /// In the order of their registration.
    pub webhooks: Vec<WebhookDetail>,
}

/// A webhook as it is listed. Times are Unix seconds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct WebhookDetail {
    /// Its number.
    pub webhook_id: i64,
    /// Where events go.
    pub url: String,
    /// Its name.
    pub name: String,
    /// Which events.
    pub events: Vec<String>,
    /// Whether it receives events; false after its receiver answered 410.
    pub active: bool,
    /// Deliveries that succeeded.
    pub fire_count: i64,
    /// Attempts that failed.
    pub fail_count: i64,
    /// Always true: every delivery is signed.
    pub signed: bool,
    /// Queued events.
    pub waiting: i64,
    /// When the next of them is sent; null if none is queued.
    pub next_attempt_at: Option<UnixMicros>,
    /// Until when the secret before the last rotation is valid; null if it is not.
    pub secret_prev_expires_at: Option<UnixMicros>,
    /// When it was registered.
    pub created_at: UnixMicros,
}

impl WebhookDetail {
    fn of(webhook: Webhook, now: UnixMicros) -> Self {
        let until = webhook.previous.map(|previous| previous.until);
        Self {
            webhook_id: webhook.id,
            url: webhook.url,
            name: webhook.name,
            events: webhook.events,
            active: webhook.state == WebhookState::Active,
            fire_count: webhook.delivered,
            fail_count: webhook.failed,
            signed: true,
            waiting: webhook.waiting,
            next_attempt_at: if webhook.waiting > 0 { webhook.due_at } else { None },
            secret_prev_expires_at: until.filter(|until| now < *until),
            created_at: webhook.created_at,
        }
    }
}

impl ReadOperation for ListWebhooks {
    type Output = WebhookList;

    fn run(self, cx: &ReadContext<'_>) -> Result<WebhookList> {
        let mut webhooks = cx.tx.webhooks(&cx.caller.tenant)?;
        webhooks.retain(|webhook| webhook.state != WebhookState::Deleted);
        let webhooks: Vec<_> = webhooks.into_iter().map(|webhook| WebhookDetail::of(webhook, cx.now)).collect();
        Ok(WebhookList { count: webhooks.len(), webhooks })
    }
}
