//! The audit entry of a call that was refused.

use serde::Deserialize;
use serde_json::json;

use super::definition::Operation;
use crate::{
    call::WriteContext,
    error::{Code, Error, Result},
    metrics::METRICS,
    model::{Money, SessionId},
    vault::budget,
    watch::{self, Draft, Event},
};

/// The session that an input names.
#[derive(Default, Deserialize)]
struct Subject {
    session_id: Option<SessionId>,
}

/// The amount of a refused payment.
#[derive(Deserialize)]
struct Payment {
    amount: Money,
}

/// Appends the entry of a refused call of `operation`, with the reason.
pub(super) fn record(cx: &mut WriteContext<'_>, operation: &Operation, input: &str, error: &Error) -> Result<()> {
    METRICS.refused_by(error.code as usize).add_one();
    let named = serde_json::from_str::<Subject>(input).unwrap_or_default().session_id;
    // A malformed id may be a secret in the wrong field: it must not enter the log.
    let named = named.filter(SessionId::is_well_formed);
    let session = match &named {
        Some(id) => cx.tx.session(&cx.caller.tenant, id)?,
        None => None,
    };
    let details = json!({
        "operation": operation.name, "code": error.code.name(), "reason": error.message, "field": error.field,
        "session_id": named,
    });
    let action = format!("{}.denied", operation.name);
    let draft = Draft::governance(&action, session.as_deref(), &details)?;
    watch::append(cx, Draft { event: Event::Refusal, ..draft })?;
    if let (Code::BudgetExceeded, Some(session)) = (error.code, &session)
        && let Ok(Payment { amount }) = serde_json::from_str(input)
    {
        budget::emit_exhausted(cx, session, amount)?;
    }
    Ok(())
}
