//! The events that webhooks receive, and their bodies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Money, SessionId, UnixMicros};

/// The kinds of events that a webhook can subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Every event.
    All,
    /// An entry of the audit log was flagged.
    Anomaly,
    /// An agent waits for a decision.
    ApprovalRequested,
    /// A payment was refused for want of budget.
    BudgetExhausted,
    /// A session was ended.
    SessionRevoked,
    /// A call of an upstream's tool was refused.
    PolicyDenied,
}

impl EventKind {
    /// The kind's name in a subscription and in an event's body.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Anomaly => "anomaly",
            Self::ApprovalRequested => "approval_requested",
            Self::BudgetExhausted => "budget_exhausted",
            Self::SessionRevoked => "session_revoked",
            Self::PolicyDenied => "policy_denied",
        }
    }
}

/// An event; its fields are those of the body.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
#[allow(missing_docs)]
pub enum WebhookEvent<'a> {
    /// An entry was flagged.
    Anomaly {
        agent_id: &'a str,
        session_id: &'a str,
        entry_id: &'a str,
        tool: &'a str,
        action: &'a str,
        reason: &'a str,
        cost_usd: Money,
    },
    /// An agent waits for a decision.
    ApprovalRequested {
        request_id: &'a str,
        session_id: &'a str,
        agent_id: &'a str,
        tool: &'a str,
        action: &'a str,
        amount: Money,
        reason: &'a str,
    },
    /// A payment was refused because this session, or one above it, has too little left.
    BudgetExhausted { session_id: &'a SessionId, agent_id: &'a str, spent: Money, limit: Option<Money> },
    /// A session was ended, and `cascade_revoked` sessions below it.
    SessionRevoked { session_id: &'a str, agent_id: &'a str, cascade_revoked: usize },
    /// A call of an upstream's tool was refused.
    PolicyDenied {
        session_id: &'a str,
        agent_id: &'a str,
        tool: &'a str,
        code: &'a str,
        step: &'a str,
        rule: &'a str,
        reason: &'a str,
    },
}

impl WebhookEvent<'_> {
    pub(super) fn kind(&self) -> EventKind {
        match self {
            Self::Anomaly { .. } => EventKind::Anomaly,
            Self::ApprovalRequested { .. } => EventKind::ApprovalRequested,
            Self::BudgetExhausted { .. } => EventKind::BudgetExhausted,
            Self::SessionRevoked { .. } => EventKind::SessionRevoked,
            Self::PolicyDenied { .. } => EventKind::PolicyDenied,
        }
    }
}

/// The body of an event.
#[derive(Serialize)]
pub(super) struct Body<'a, F> {
    pub(super) event: &'a str,
    /// The same for every webhook and every attempt, so that a receiver recognises a repetition.
    pub(super) event_id: &'a str,
    pub(super) timestamp: UnixMicros,
    pub(super) source: &'static str,
    #[serde(flatten)]
    pub(super) fields: F,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_says_what_happened_with_amounts_as_they_are() {
        let fields = WebhookEvent::ApprovalRequested {
            request_id: "apr_1",
            session_id: "ses_1",
            agent_id: "a",
            tool: "bank",
            action: "transfer",
            amount: "7.100000001".parse().unwrap(),
            reason: "rent \"now\"",
        };
        let timestamp = UnixMicros(1_500_000);
        let body = Body { event: fields.kind().as_str(), event_id: "evt_1", timestamp, source: "haldir", fields };
        assert_eq!(
            serde_json::to_string(&body).unwrap(),
            r#"{"event":"approval_requested","event_id":"evt_1","timestamp":1.5,"source":"haldir","request_id":"apr_1","#
                .to_owned()
                + r#""session_id":"ses_1","agent_id":"a","tool":"bank","action":"transfer","amount":7.100000001,"#
                + r#""reason":"rent \"now\""}"#
        );
    }

    #[test]
    fn every_kind_is_written_as_it_is_read() {
        for kind in [
            EventKind::All,
            EventKind::Anomaly,
            EventKind::ApprovalRequested,
            EventKind::BudgetExhausted,
            EventKind::SessionRevoked,
            EventKind::PolicyDenied,
        ] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
