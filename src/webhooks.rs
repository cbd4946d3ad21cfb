//! Webhooks: subscriptions, and the delivery of events to them.
//!
//! An event enters the [outbox](crate::outbox) in the transaction that caused it. [`delivery`] sends it at least once, and in
//! order for each webhook.

mod attempts;
pub mod delete_webhook;
pub mod delivery;
pub mod list_dead_letters;
pub mod list_deliveries;
pub mod list_webhooks;
pub mod ping_webhook;
pub mod register_webhook;
pub mod resend_dead_letters;
mod retry;
pub mod rotate_webhook_secret;
mod secret;
mod send;

pub use attempts::DEAD_AFTER;
