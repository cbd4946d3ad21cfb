//! Budgets: spending of a session counts against it and all its ancestors, in one transaction.

use std::sync::Arc;

use super::daily;
use crate::{
    call::{WriteContext, session},
    error::{Code, Error, Result},
    model::{Money, Session, SessionId, UnixMicros, caller::tighter},
    outbox::{self, WebhookEvent},
};

/// The currency of all budgets.
pub const BUDGET_CURRENCY: &str = "USD";

/// The session and its ancestors, itself first.
fn lineage(cx: &WriteContext<'_>, session: &Arc<Session>) -> Result<Vec<Arc<Session>>> {
    let mut line = vec![Arc::clone(session)];
    line.extend(session::above(cx.tx, &cx.caller.tenant, session)?);
    Ok(line)
}

/// Refuses unless the session, all its ancestors and the daily limits have `amount` left.
pub fn require_left(cx: &WriteContext<'_>, session: &Arc<Session>, amount: Money) -> Result<()> {
    let line = lineage(cx, session)?;
    check(&line, amount)?;
    daily::check(cx, &line, amount).map(drop)
}

/// Whether the session's spending has a limit.
pub fn is_bounded(cx: &WriteContext<'_>, session: &Arc<Session>) -> Result<bool> {
    let is_bounded = |level: &Arc<Session>| {
        level.remaining().is_some() || level.daily_limit.is_some() || level.daily_ceiling.is_some()
    };
    Ok(lineage(cx, session)?.iter().any(is_bounded))
}

/// The first session without `amount` left, and what it has left.
fn first_without(line: &[Arc<Session>], amount: Money) -> Option<(&Arc<Session>, Money)> {
    let short = |level: &Arc<Session>| level.remaining().filter(|left| amount > *left);
    line.iter().find_map(|level| short(level).map(|left| (level, left)))
}

fn check(line: &[Arc<Session>], amount: Money) -> Result<()> {
    let Some((level, left)) = first_without(line, amount) else { return Ok(()) };
    let whose =
        if line.first().is_some_and(|first| first.id == level.id) { "the session's" } else { "the parent session's" };
    let message = format!("{amount} USD is more than the {left} USD that are left of {whose} budget");
    Err(Error::new(Code::BudgetExceeded, message).field("amount").with("remaining_budget", left))
}

/// Emits the event of a payment that was refused because this session, or one above it, has too little left.
pub fn emit_exhausted(cx: &mut WriteContext<'_>, session: &Arc<Session>, amount: Money) -> Result<()> {
    let line = lineage(cx, session)?;
    match first_without(&line, amount) {
        Some((level, _)) => {
            let event = WebhookEvent::BudgetExhausted {
                session_id: &level.id,
                agent_id: level.agent_id.as_str(),
                spent: level.spent,
                limit: tighter(level.spend_limit, level.spend_ceiling),
            };
            outbox::emit(cx, &event)
        }
        None => Ok(()),
    }
}

/// Deducts `amount` from the session, all its ancestors and the daily limits, if each has it left.
pub fn deduct(cx: &mut WriteContext<'_>, session: &Arc<Session>, amount: Money) -> Result<()> {
    let line = lineage(cx, session)?;
    check(&line, amount)?;
    let bounds = daily::check(cx, &line, amount)?;
    daily::deduct(cx, &bounds, amount)?;
    let out_of_range = || Error::invalid("amount", "the session's total would be out of range");
    for level in &line {
        let spent = level.spent.checked_add(amount).ok_or_else(out_of_range)?;
        cx.tx.set_spent(&cx.caller.tenant, &level.id, spent)?;
    }
    count(cx, session, amount)
}

/// Gives `amount`, which was spent at `spent_at`, back to the session, all its ancestors and the limits of that day.
pub fn give_back(cx: &mut WriteContext<'_>, session_id: &SessionId, amount: Money, spent_at: UnixMicros) -> Result<()> {
    let session = cx.tx.session(&cx.caller.tenant, session_id)?;
    let session = session.ok_or_else(|| Error::internal(format!("session {session_id} is gone")))?;
    let line = lineage(cx, &session)?;
    daily::give_back(cx, &line, amount, spent_at)?;
    for level in line {
        cx.tx.set_spent(&cx.caller.tenant, &level.id, level.spent.minus_floor_zero(amount))?;
    }
    count(cx, &session, Money::from_nanos(-amount.nanos()))
}

/// Updates the totals of the agent and the tenant.
fn count(cx: &mut WriteContext<'_>, session: &Session, amount: Money) -> Result<()> {
    Ok(cx.tx.add_authorized(&cx.caller.tenant, session.agent_id.as_str(), amount)?)
}
