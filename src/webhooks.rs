//! Webhooks: who is told when something happens, and how it reaches them.
//!
//! An event enters the outbox in the transaction of what it tells of ([`emit`]), so that a crash neither loses nor
//! invents one. [`delivery`] sends it, at least once, and in order for each webhook.

pub mod delete_webhook;
pub mod delivery;
mod event;
pub mod list_dead_letters;
pub mod list_deliveries;
pub mod list_webhooks;
pub mod ping_webhook;
mod queue;
pub mod register_webhook;
pub mod resend_dead_letters;
mod retry;
pub mod rotate_webhook_secret;
mod secret;
mod send;

pub use event::{EventKind, Happening, budget_refused, emit, send_to};
pub use queue::DEAD_AFTER;

use crate::{
    error::{Code, Error, Result},
    model::TenantId,
    store::{ReadTx, Webhook, WebhookState},
};

/// The webhook of this number, unless it was deleted.
fn require(tx: &dyn ReadTx, tenant: &TenantId, id: i64) -> Result<Webhook> {
    let found = tx.webhook(tenant, id)?.filter(|webhook| webhook.state != WebhookState::Deleted);
    found.ok_or_else(|| Error::not_found(format!("webhook {id}")).field("webhook_id"))
}

/// The webhook of this number, if it gets events.
pub fn require_active(tx: &dyn ReadTx, tenant: &TenantId, id: i64) -> Result<Webhook> {
    let webhook = require(tx, tenant, id)?;
    if webhook.state == WebhookState::Active {
        return Ok(webhook);
    }
    let message = format!("webhook {id} is disabled, since its receiver said that it is gone: ping it");
    Err(Error::new(Code::Conflict, message))
}
