//! Daily limits: what may be spent in a UTC day, across sessions and processes. A session's budget alone is not enough, since a
//! client may start a process, and so a session, for every call.
//!
//! An agent's limit counts the sessions of that agent that have one; the operator who sets it also names the agent. A creator's
//! ceiling counts all sessions that one key or the keyless local agent has created, whatever agent names they give. Both are
//! checked and counted in the transaction that spends.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    call::WriteContext,
    crypto,
    error::{Code, Error, Result},
    model::{Day, Money, Session, UnixMicros},
};

/// Days that are kept besides today: the unused part of a reservation goes back to the day on which it was made.
const KEPT_DAYS: i64 = 2;

/// By a keyed hash of the agent or creator: the lowest limit that applies, and a description for messages.
pub(super) type DailyLimits = BTreeMap<[u8; 32], (Money, String)>;

fn bounds(cx: &WriteContext<'_>, line: &[Arc<Session>]) -> Result<DailyLimits> {
    let mut bounds = DailyLimits::new();
    if line.iter().all(|level| level.daily_limit.is_none() && level.daily_ceiling.is_none()) {
        return Ok(bounds);
    }
    let keys = cx.keys()?;
    let tenant = cx.caller.tenant.as_str().as_bytes();
    let mut add = |limit: Option<Money>, kind: &str, name: &str, whose: String| {
        let Some(limit) = limit else { return };
        let of = crypto::mac(&keys.erasures, &[b"daily", tenant, kind.as_bytes(), name.as_bytes()]);
        let bound = bounds.entry(of).or_insert((limit, whose));
        bound.0 = bound.0.min(limit);
    };
    for level in line {
        let (agent, maker) = (level.agent_id.as_str(), level.created_by.as_str());
        add(level.daily_limit, "agent", agent, format!("the agent {agent}"));
        add(level.daily_ceiling, "maker", maker, format!("sessions made by {maker}"));
    }
    Ok(bounds)
}

/// Refuses unless every limit has `amount` left today.
pub(super) fn check(cx: &WriteContext<'_>, line: &[Arc<Session>], amount: Money) -> Result<DailyLimits> {
    let bounds = bounds(cx, line)?;
    let today = Day::of(cx.now).0;
    for (of, (limit, whose)) in &bounds {
        let spent = cx.tx.daily_spent(&cx.caller.tenant, today, of)?;
        let left = limit.minus_floor_zero(spent);
        if amount > left {
            let message = format!(
                "{amount} USD is more than the {left} USD that are left of the {limit} USD that {whose} may spend today; the \
                 day ends at 00:00 UTC"
            );
            return Err(Error::new(Code::BudgetExceeded, message).field("amount").with("remaining_budget", left));
        }
    }
    Ok(bounds)
}

/// Counts `amount` as spent today.
pub(super) fn deduct(cx: &mut WriteContext<'_>, bounds: &DailyLimits, amount: Money) -> Result<()> {
    let today = Day::of(cx.now).0;
    for of in bounds.keys() {
        cx.tx.add_daily_spent(&cx.caller.tenant, today, of, amount, today - KEPT_DAYS)?;
    }
    Ok(())
}

/// Gives `amount` back to the day on which it was spent, if that is still counted.
pub(super) fn give_back(
    cx: &mut WriteContext<'_>,
    line: &[Arc<Session>],
    amount: Money,
    spent_at: UnixMicros,
) -> Result<()> {
    let (day, today) = (Day::of(spent_at).0, Day::of(cx.now).0);
    if day < today - KEPT_DAYS {
        return Ok(());
    }
    for of in bounds(cx, line)?.into_keys() {
        let given_back = Money::from_nanos(-amount.nanos());
        cx.tx.add_daily_spent(&cx.caller.tenant, day, &of, given_back, today - KEPT_DAYS)?;
    }
    Ok(())
}
