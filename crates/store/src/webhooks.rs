//! Webhooks, as a transaction sees them.

use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    model::{Money, SessionId, TenantId, UnixMicros},
};

/// Where a webhook stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookState {
    /// It gets events.
    Active,
    /// Its receiver said that it is gone; what waited is being made dead letters.
    Disabled,
    /// It is being removed, with all that waits.
    Deleted,
}

/// A secret that is valid for a while beside its successor.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct PreviousSecret {
    pub sealed: Vec<u8>,
    pub until: UnixMicros,
}

/// A subscription.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Webhook {
    pub id: i64,
    pub url: String,
    pub name: String,
    /// The words of the events it wants.
    pub events: Vec<String>,
    pub state: WebhookState,
    pub secret: Vec<u8>,
    pub secret_version: i64,
    pub previous: Option<PreviousSecret>,
    /// Attempts that were answered with success.
    pub delivered: i64,
    /// Attempts that were not.
    pub failed: i64,
    /// How many of the latter came last, in a row.
    pub failures: i64,
    /// Events in its outbox.
    pub waiting: i64,
    /// The number of the last event it was given.
    pub last_seq: i64,
    /// When it is to be looked at. A process that is at work on it puts the end of its lease here, so that no other
    /// finds it due, and another does if the process dies.
    pub due_at: Option<UnixMicros>,
    /// The token of the process that is at work on it.
    pub lease: Option<i64>,
    pub created_at: UnixMicros,
}

/// An event on its way to one webhook.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct QueuedEvent {
    pub seq: i64,
    pub event_id: String,
    pub event_type: String,
    /// The body, the same bytes each time.
    pub body: String,
    pub queued_at: UnixMicros,
    pub attempts: i64,
}

/// An event that was given up.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct DeadLetter {
    pub webhook_id: i64,
    pub event: QueuedEvent,
    pub died_at: UnixMicros,
    pub reason: String,
}

/// One attempt to deliver an event.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Attempt {
    /// Given out by the store, per tenant.
    pub seq: i64,
    pub webhook_id: i64,
    pub url: String,
    pub event_id: String,
    pub event_type: String,
    pub attempt: i64,
    /// 0 is no answer.
    pub status: u16,
    pub excerpt: String,
    pub error: String,
    pub duration_ms: i64,
    pub at: UnixMicros,
    pub retry_at: Option<UnixMicros>,
}

#[allow(missing_docs)]
pub trait ReadWebhooks {
    fn webhook(&self, tenant: &TenantId, id: i64) -> Result<Option<Webhook>>;
    /// All of a tenant, by number; their count is bounded when they are made.
    fn webhooks(&self, tenant: &TenantId) -> Result<Vec<Webhook>>;
    /// Webhooks of all tenants that are to be looked at by `now`, the longest due first, at most `limit`.
    fn due_webhooks(&self, now: UnixMicros, limit: usize) -> Result<Vec<(TenantId, i64)>>;
    /// When the next webhook is due.
    fn next_due(&self) -> Result<Option<UnixMicros>>;
    /// What waits for a webhook, oldest first, at most `limit`.
    fn queued_events(&self, tenant: &TenantId, webhook: i64, limit: usize) -> Result<Vec<QueuedEvent>>;
    /// A tenant's dead letters of one webhook, oldest first, after `after_seq`, at most `limit`.
    fn dead_letters(&self, tenant: &TenantId, webhook: i64, after_seq: i64, limit: usize) -> Result<Vec<DeadLetter>>;
    /// Attempts, newest first, of one event or all, before `before_seq`, at most `limit`.
    fn attempts(&self, tenant: &TenantId, event: Option<&str>, before_seq: i64, limit: usize) -> Result<Vec<Attempt>>;
    /// How many attempts were made since the hour of `since`, at most two days ago, and how many succeeded.
    fn attempt_counts(&self, tenant: &TenantId, since: UnixMicros) -> Result<(i64, i64)>;
}

#[allow(missing_docs)]
pub trait WriteWebhooks {
    /// A number for a new webhook.
    fn next_webhook_id(&mut self, tenant: &TenantId) -> Result<i64>;
    /// Inserts or replaces.
    fn put_webhook(&mut self, tenant: &TenantId, webhook: &Webhook) -> Result<()>;
    /// Deletes at most `limit` waiting events and as many dead letters of a webhook, and the webhook once it has none;
    /// whether it is gone.
    fn delete_webhook(&mut self, tenant: &TenantId, id: i64, limit: usize) -> Result<bool>;
    /// Inserts or replaces.
    fn put_event(&mut self, tenant: &TenantId, webhook: i64, event: &QueuedEvent) -> Result<()>;
    /// Whether it was there.
    fn delete_event(&mut self, tenant: &TenantId, webhook: i64, seq: i64) -> Result<bool>;
    /// Puts a dead letter; the oldest ones with numbers below `keep_from`, at most `limit`, make way for it.
    fn put_dead_letter(&mut self, tenant: &TenantId, letter: &DeadLetter, keep_from: i64, limit: usize) -> Result<()>;
    fn delete_dead_letter(&mut self, tenant: &TenantId, webhook: i64, seq: i64) -> Result<()>;
    /// Records an attempt; its number is given out here.
    fn insert_attempt(&mut self, tenant: &TenantId, attempt: &Attempt) -> Result<()>;
    /// Records that the exhaustion of a session's budget is told; `false` if it was told when as much was spent.
    fn record_exhaustion(
        &mut self,
        tenant: &TenantId,
        session: &SessionId,
        spent: Money,
        now: UnixMicros,
    ) -> Result<bool>;
    /// Forgets attempts and dead letters from before `before`, at most `limit` of each; answers how many.
    fn forget_deliveries(&mut self, before: UnixMicros, limit: usize) -> Result<usize>;
}
