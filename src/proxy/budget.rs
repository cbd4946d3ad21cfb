//! The budget step: what a call costs is taken out of the session's budget before it leaves.

use std::sync::Arc;

use serde_json::json;

use super::{policy::amount, trace::Trace};
use crate::{
    call::WriteContext,
    error::{Code, Error, Result},
    gate::session,
    model::{Money, PinnedTool, Scope, Session, scope},
    vault::budget,
};

const STEP: &str = "budget";

/// What the call costs, if the budget has it.
pub(super) fn affordable(
    cx: &WriteContext<'_>,
    session: &Arc<Session>,
    tool: &PinnedTool,
    arguments: &str,
    trace: &mut Trace,
) -> Result<Money> {
    let cost = cost(tool, arguments).inspect_err(|_| trace.stop(STEP, "cost", json!(tool.marks)))?;
    if cost == Money::ZERO {
        return Ok(cost);
    }
    let spend = Scope::parse(scope::SPEND).map_err(Error::internal)?;
    session::require_scope(session, &spend).inspect_err(|_| trace.stop(STEP, "scope", json!({"cost": cost})))?;
    budget::require_left(cx, session, cost).inspect_err(|_| {
        trace.stop(STEP, "budget", json!({"cost": cost, "left": session.remaining()}));
    })?;
    trace.pass(STEP, json!({"cost": cost}));
    Ok(cost)
}

/// What the operator said that one call costs.
pub(super) fn cost(tool: &PinnedTool, arguments: &str) -> Result<Money> {
    let fixed = tool.marks.cost.unwrap_or_default();
    let Some(pointer) = &tool.marks.cost_argument else { return Ok(fixed) };
    let stated = amount::amount_at(arguments, pointer)?.ok_or_else(|| {
        Error::new(
            Code::BudgetExceeded,
            format!("the cost of {} is at {pointer}, where no amount stands", tool.qualified()),
        )
    })?;
    fixed.checked_add(stated).ok_or_else(|| Error::new(Code::BudgetExceeded, "the cost is out of range"))
}
