//! `listDeliveries`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    call::{ReadContext, ReadOperation, page_size},
    error::Result,
    model::{DeliveryCursor, UnixMicros, text::Text},
    store::Attempt,
};

const MAX_PAGE: i64 = 1_000;
const ID_PREFIX: &str = "dlv_";

/// List attempts to deliver events, newest first: when each was made, how the receiver responded, and when it is retried.
/// Attempts are kept for 30 days.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListDeliveries {
    /// Only attempts of this event.
    event_id: Option<Text<1, 64>>,
    /// Only attempts before this one, by its `delivery_id`.
    before: Option<DeliveryCursor>,
    /// How many, at most 1000. Default: 100.
    #[schemars(extend("minimum" = 1, "maximum" = 1000, "default" = 100))]
    limit: Option<i64>,
}

/// The attempts.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryList {
    /// How many are in this response.
    pub count: usize,
    /// Newest first.
    pub deliveries: Vec<DeliveryDetail>,
}

/// An attempt. Times are Unix seconds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryDetail {
    /// Its name.
    pub delivery_id: String,
    /// The event.
    pub event_id: String,
    /// Its kind.
    pub event_type: String,
    /// The webhook's number.
    pub webhook_id: i64,
    /// Where it was sent.
    pub webhook_url: String,
    /// 1 for the first of an event, one more each time.
    pub attempt: i64,
    /// The receiver's HTTP status; 0 if there was none.
    pub status_code: u16,
    /// The beginning of the response's body.
    pub response_excerpt: String,
    /// The error; empty if the receiver responded.
    pub error: String,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// When it was made.
    pub created_at: UnixMicros,
    /// When the event is tried again; null if it is not.
    pub next_retry_at: Option<UnixMicros>,
}

impl From<Attempt> for DeliveryDetail {
    fn from(attempt: Attempt) -> Self {
        Self {
            delivery_id: format!("{ID_PREFIX}{}", attempt.seq),
            event_id: attempt.event_id,
            event_type: attempt.event_type,
            webhook_id: attempt.webhook_id,
            webhook_url: attempt.url,
            attempt: attempt.attempt,
            status_code: attempt.status,
            response_excerpt: attempt.excerpt,
            error: attempt.error,
            duration_ms: attempt.duration_ms,
            created_at: attempt.at,
            next_retry_at: attempt.retry_at,
        }
    }
}

impl ReadOperation for ListDeliveries {
    type Output = DeliveryList;

    fn run(self, cx: &ReadContext<'_>) -> Result<DeliveryList> {
        let limit = page_size(self.limit, MAX_PAGE)?;
        let before = self.before.map_or(i64::MAX, |DeliveryCursor(number)| number);
        let event = self.event_id.as_ref().map(Text::as_str);
        let attempts = cx.tx.attempts(&cx.caller.tenant, event, before, limit)?;
        let deliveries: Vec<_> = attempts.into_iter().map(DeliveryDetail::from).collect();
        Ok(DeliveryList { count: deliveries.len(), deliveries })
    }
}
