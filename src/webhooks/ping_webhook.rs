//! `pingWebhook`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::attempts;
use crate::{
    call::{WriteContext, WriteOperation},
    error::Result,
    outbox,
    store::WebhookState,
    watch::{self, Draft},
};

/// The event that a ping sends.
const PING: &str = "ping";

/// Send a test event, `ping`, to one webhook, and make its queued events due now. The ping is sent in order, like any other
/// event; listDeliveries shows the result. A webhook that a 410 response had disabled is active again.
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
        let mut webhook = outbox::require(cx.tx, &cx.caller.tenant, self.webhook_id)?;
        webhook.state = WebhookState::Active;
        attempts::hurry(&mut webhook, cx.now);
        cx.tx.put_webhook(&cx.caller.tenant, &webhook)?;
        let event_id = outbox::send_to(cx, webhook.id, PING, &json!({}))?;
        let details = json!({"webhook_id": webhook.id, "event_id": event_id});
        watch::append(cx, Draft::governance("webhook.ping", None, &details)?)?;
        Ok(WebhookPinged { queued: true, webhook_id: webhook.id, event_id })
    }
}
