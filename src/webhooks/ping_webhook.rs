//! `pingWebhook`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    event::{Body, PING, new_event_id},
    queue,
};
use crate::{
    call::{WriteContext, WriteOperation},
    error::{Error, Result},
    store::WebhookState,
    watch::{self, Draft},
};

/// Send a test event, `ping`, to one webhook, and have what waits for it tried now. It is sent like any other event,
/// in its turn; listDeliveries shows how it went. A webhook whose receiver had answered 410 is active again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PingWebhook {
    /// Its number.
    webhook_id: i64,
}

/// What was queued.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct WebhookPinged {
    /// Always true.
    pub queued: bool,
    /// Its number.
    pub webhook_id: i64,
    /// The event, by which its deliveries can be listed.
    pub event_id: String,
}

impl WriteOperation for PingWebhook {
    type Output = WebhookPinged;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<WebhookPinged> {
        let mut webhook = super::require(cx.tx.as_read(), &cx.caller.tenant, self.webhook_id)?;
        webhook.state = WebhookState::Active;
        let event_id = new_event_id()?;
        let body = Body { event: PING, event_id: &event_id, at: cx.now, what: None };
        let body = serde_json::to_string(&body).map_err(Error::internal)?;
        queue::hurry(&mut webhook, cx.now);
        queue::put(cx, &mut webhook, &event_id, PING, &body)?;
        let details = json!({"webhook_id": webhook.id, "event_id": event_id});
        watch::append(cx, Draft::governance("webhook.ping", None, &details)?)?;
        Ok(WebhookPinged { queued: true, webhook_id: webhook.id, event_id })
    }
}
