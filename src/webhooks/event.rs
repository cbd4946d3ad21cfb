//! What webhooks are told of, and how it enters the outbox.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};

use super::queue;
use crate::{
    call::WriteContext,
    crypto,
    error::{Error, Result},
    model::{Entry, Money, Session, UnixMicros, caller::tighter},
    store::WebhookState,
    vault::budget,
};

/// The kinds of events that a webhook can be for.
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
    /// As written on the wire.
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

/// The event that a test ping sends, to its webhook alone.
pub(super) const PING: &str = "ping";

/// Something that webhooks are told of.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Happening<'a> {
    /// An entry was flagged.
    Anomaly(&'a Entry),
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
    /// A payment was refused since this session, or one above it, has too little left.
    BudgetExhausted(&'a Session),
    /// A session was ended, and with it so many below it.
    SessionRevoked { session: &'a Session, cascade_revoked: usize },
    /// A call of an upstream's tool was refused.
    PolicyDenied {
        session: Option<&'a Session>,
        tool: &'a str,
        code: &'a str,
        step: &'a str,
        rule: &'a str,
        reason: &'a str,
    },
}

impl Happening<'_> {
    fn kind(&self) -> EventKind {
        match self {
            Self::Anomaly(_) => EventKind::Anomaly,
            Self::ApprovalRequested { .. } => EventKind::ApprovalRequested,
            Self::BudgetExhausted(_) => EventKind::BudgetExhausted,
            Self::SessionRevoked { .. } => EventKind::SessionRevoked,
            Self::PolicyDenied { .. } => EventKind::PolicyDenied,
        }
    }
}

/// The body of an event.
pub(super) struct Body<'a> {
    pub(super) event: &'a str,
    pub(super) event_id: &'a str,
    pub(super) at: UnixMicros,
    pub(super) what: Option<&'a Happening<'a>>,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_map(None)?;
        body.serialize_entry("event", self.event)?;
        body.serialize_entry("event_id", self.event_id)?;
        body.serialize_entry("timestamp", &self.at)?;
        body.serialize_entry("source", "haldir")?;
        match self.what {
            None => {}
            Some(Happening::Anomaly(entry)) => {
                body.serialize_entry("agent_id", &entry.agent_id)?;
                body.serialize_entry("session_id", &entry.session_id)?;
                body.serialize_entry("entry_id", &entry.id)?;
                body.serialize_entry("tool", &entry.tool)?;
                body.serialize_entry("action", &entry.action)?;
                body.serialize_entry("reason", &entry.flag_reason)?;
                body.serialize_entry("cost_usd", &entry.cost)?;
            }
            Some(Happening::ApprovalRequested { request_id, session_id, agent_id, tool, action, amount, reason }) => {
                body.serialize_entry("request_id", request_id)?;
                body.serialize_entry("session_id", session_id)?;
                body.serialize_entry("agent_id", agent_id)?;
                body.serialize_entry("tool", tool)?;
                body.serialize_entry("action", action)?;
                body.serialize_entry("amount", amount)?;
                body.serialize_entry("reason", reason)?;
            }
            Some(Happening::BudgetExhausted(session)) => {
                body.serialize_entry("session_id", &session.id)?;
                body.serialize_entry("agent_id", &session.agent_id)?;
                body.serialize_entry("spent", &session.spent)?;
                body.serialize_entry("limit", &tighter(session.spend_limit, session.spend_ceiling))?;
            }
            Some(Happening::SessionRevoked { session, cascade_revoked }) => {
                body.serialize_entry("session_id", &session.id)?;
                body.serialize_entry("agent_id", &session.agent_id)?;
                body.serialize_entry("cascade_revoked", cascade_revoked)?;
            }
            Some(Happening::PolicyDenied { session, tool, code, step, rule, reason }) => {
                body.serialize_entry("session_id", &session.map_or("", |session| session.id.as_str()))?;
                body.serialize_entry("agent_id", &session.map_or("", |session| session.agent_id.as_str()))?;
                body.serialize_entry("tool", tool)?;
                body.serialize_entry("code", code)?;
                body.serialize_entry("step", step)?;
                body.serialize_entry("rule", rule)?;
                body.serialize_entry("reason", reason)?;
            }
        }
        body.end()
    }
}

/// A new event's id: the same for every webhook and every attempt, so that a receiver can tell a repetition.
pub(super) fn new_event_id() -> Result<String> {
    crypto::token::<16>("evt_").map_err(Error::internal)
}

/// Puts what happened into the outbox of every webhook that wants it, in the transaction of the change itself. A
/// tenant without webhooks pays one look-up, and only when something worth telling happens.
pub fn emit(cx: &mut WriteContext<'_>, what: &Happening<'_>) -> Result<()> {
    let kind = what.kind();
    let wants = |word: &String| *word == EventKind::All.as_str() || *word == kind.as_str();
    let mut webhooks = cx.tx.webhooks(&cx.caller.tenant)?;
    webhooks.retain(|webhook| webhook.state == WebhookState::Active && webhook.events.iter().any(wants));
    if webhooks.is_empty() {
        return Ok(());
    }
    if let Happening::BudgetExhausted(session) = what {
        // Once for each exhaustion: not again until something was spent or given back.
        if !cx.tx.record_exhaustion(&cx.caller.tenant, &session.id, session.spent, cx.now)? {
            return Ok(());
        }
    }
    let event_id = new_event_id()?;
    let body = Body { event: kind.as_str(), event_id: &event_id, at: cx.now, what: Some(what) };
    let body = serde_json::to_string(&body).map_err(Error::internal)?;
    for mut webhook in webhooks {
        queue::put(cx, &mut webhook, &event_id, kind.as_str(), &body)?;
    }
    Ok(())
}

/// Puts an event into the outbox of one webhook, whatever events it wants otherwise; answers the event's id.
pub fn send_to(
    cx: &mut WriteContext<'_>,
    webhook_id: i64,
    event: &str,
    mut fields: serde_json::Map<String, serde_json::Value>,
) -> Result<String> {
    let mut webhook = super::require_active(cx.tx.as_read(), &cx.caller.tenant, webhook_id)?;
    let event_id = new_event_id()?;
    fields.insert("event".to_owned(), event.into());
    fields.insert("event_id".to_owned(), event_id.as_str().into());
    fields.insert("timestamp".to_owned(), serde_json::to_value(cx.now).map_err(Error::internal)?);
    fields.insert("source".to_owned(), "haldir".into());
    let body = serde_json::to_string(&fields).map_err(Error::internal)?;
    queue::put(cx, &mut webhook, &event_id, event, &body)?;
    Ok(event_id)
}

/// Tells of a payment of `session` that was refused for want of budget, its own or that of a session above it.
pub fn budget_refused(cx: &mut WriteContext<'_>, session: &std::sync::Arc<Session>, amount: Money) -> Result<()> {
    match budget::refusing(cx, session, amount)? {
        Some(level) => emit(cx, &Happening::BudgetExhausted(&level)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_says_what_happened_with_amounts_as_they_are() {
        let what = Happening::ApprovalRequested {
            request_id: "apr_1",
            session_id: "ses_1",
            agent_id: "a",
            tool: "bank",
            action: "transfer",
            amount: "7.100000001".parse().unwrap(),
            reason: "rent \"now\"",
        };
        let body =
            Body { event: what.kind().as_str(), event_id: "evt_1", at: UnixMicros(1_500_000), what: Some(&what) };
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
