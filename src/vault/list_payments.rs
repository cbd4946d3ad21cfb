//! `listPayments`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    call::{ReadContext, ReadOperation, cut, page_size},
    error::Result,
    model::{
        AgentId, Authorization, AuthorizationId, AuthorizationStatus, Money, SessionId, TimeCursor, TimePoint,
        UnixMicros,
    },
    store::PaymentQuery,
};

/// Payments in one answer.
const MAX_LIMIT: i64 = 1_000;

/// List payments that were authorized, newest first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListPayments {
    /// Only this agent's.
    agent_id: Option<AgentId>,
    /// Only this session's.
    session_id: Option<SessionId>,
    /// Only those that are neither captured nor voided yet. Default: false.
    #[serde(default)]
    open: bool,
    /// Only those authorized at this time or later, in Unix seconds.
    since: Option<TimePoint>,
    /// Only those authorized before this time, in Unix seconds.
    until: Option<TimePoint>,
    /// How many at most. Default 100.
    #[schemars(range(min = 1, max = 1_000), extend("default" = 100))]
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<TimeCursor>,
}

/// A page of payments.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PaymentList {
    /// How many are in this answer.
    pub count: usize,
    /// Newest first.
    pub payments: Vec<PaymentDetail>,
    /// The cursor of the next page; null on the last page.
    pub next_cursor: Option<String>,
}

/// A payment, and what became of it. Times are Unix seconds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PaymentDetail {
    /// Names the payment.
    pub authorization_id: AuthorizationId,
    /// The session that pays.
    pub session_id: SessionId,
    /// Its agent.
    pub agent_id: AgentId,
    /// Its status.
    pub status: AuthorizationStatus,
    /// What was authorized.
    pub amount: Money,
    /// What was paid of it; null until it is settled.
    pub captured: Option<Money>,
    /// The currency of both.
    pub currency: String,
    /// What it is for, in the agent's words.
    pub description: String,
    /// When it was authorized.
    pub created_at: UnixMicros,
    /// When it was captured or voided; null until then.
    pub settled_at: Option<UnixMicros>,
}

impl From<Authorization> for PaymentDetail {
    fn from(payment: Authorization) -> Self {
        Self {
            authorization_id: payment.id,
            session_id: payment.session_id,
            agent_id: payment.agent_id,
            status: payment.status,
            amount: payment.amount,
            captured: payment.settled_at.map(|_| payment.captured),
            currency: payment.currency,
            description: payment.description,
            created_at: payment.created_at,
            settled_at: payment.settled_at,
        }
    }
}

impl ReadOperation for ListPayments {
    type Output = PaymentList;

    fn run(self, cx: &ReadContext<'_>) -> Result<PaymentList> {
        let limit = page_size(self.limit, MAX_LIMIT)?;
        let query = PaymentQuery {
            agent_id: self.agent_id,
            session_id: self.session_id,
            open: self.open,
            since: self.since.map(TimePoint::micros),
            until: self.until.map(TimePoint::micros),
            before: self.cursor.map(|TimeCursor(at, id)| (at, id)),
            limit: limit + 1,
        };
        let mut payments = cx.tx.authorizations(&cx.caller.tenant, &query)?;
        let next_cursor = cut(&mut payments, limit, |last| format!("{}.{}", last.created_at.0, last.id));
        // A session belongs to one agent, so payments of another agent's session cannot match.
        let is_wanted =
            |payment: &Authorization| query.agent_id.as_ref().is_none_or(|agent| *agent == payment.agent_id);
        let payments: Vec<_> = payments.into_iter().filter(is_wanted).map(PaymentDetail::from).collect();
        Ok(PaymentList { count: payments.len(), payments, next_cursor })
    }
}
