//! `deleteWebhook`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    call::{WriteContext, WriteOperation},
    error::Result,
    outbox,
    store::WebhookState,
    watch::{self, Draft},
};

/// Delete a webhook, its secret, its dead letters and its queued events.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteWebhook {
    /// Its number.
    webhook_id: i64,
}

/// What was deleted.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct WebhookDeleted {
    /// Always true.
    pub deleted: bool,
    /// Its number.
    pub webhook_id: i64,
    /// Queued events that will not be sent.
    pub discarded: i64,
}

impl WriteOperation for DeleteWebhook {
    type Output = WebhookDeleted;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<WebhookDeleted> {
        let tenant = &cx.caller.tenant;
        let mut webhook = outbox::require(cx.tx, tenant, self.webhook_id)?;
        // The rest is removed in steps, since a hundred thousand events may be queued.
        webhook.state = WebhookState::Deleted;
        (webhook.secret, webhook.previous, webhook.lease, webhook.due_at) = (Vec::new(), None, None, Some(cx.now));
        cx.tx.put_webhook(tenant, &webhook)?;
        cx.services.webhook_bell.notify_one();
        let details = json!({"webhook_id": webhook.id, "discarded": webhook.waiting});
        watch::append(cx, Draft::governance("webhook.delete", None, &details)?)?;
        Ok(WebhookDeleted { deleted: true, webhook_id: webhook.id, discarded: webhook.waiting })
    }
}
