//! The budget step: what a call costs is taken out of the session's budget before it leaves.

use std::sync::Arc;

use serde_json::json;

use super::{pointer, policy::amount, trace::Trace, uncounted};
use crate::{
    call::WriteContext,
    error::{Code, Error, Result},
    gate::session,
    model::{Money, PinnedTool, ReportedCost, Scope, Session, scope},
    vault::budget,
};

const STEP: &str = "budget";

/// What is set aside for a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Cost {
    /// The most that it can come to.
    pub reserved: Money,
    /// What its result will say of it.
    pub by_result: Option<ByResult>,
}

/// A part of a cost that only the result tells.
#[derive(Clone, Debug)]
pub(super) struct ByResult {
    /// Where it stands, as a JSON pointer.
    place: String,
    /// What is set aside for it.
    max: Money,
}

/// What a result says of a cost.
#[derive(Clone, Debug)]
pub(super) enum Stated {
    /// So much of what was set aside was not needed.
    Unneeded(Money),
    /// Nothing that can be believed, and why; all that was set aside counts.
    Unclear(String),
}

impl ByResult {
    /// Reads it from a result, as the upstream wrote it.
    pub(super) fn stated(&self, result: &str) -> Stated {
        let Self { place, max } = self;
        let Some(found) = pointer::at(&pointer::members(result), place) else {
            return Stated::Unclear(format!("the result has no cost at {place}"));
        };
        // An amount is a number, or the same as a text; anything else has no order of magnitude.
        let text = serde_json::from_str::<String>(found).unwrap_or_else(|_| found.to_owned());
        match ReportedCost::parse(&text).map(|cost| cost.amount) {
            Ok(cost) if cost.is_negative() => Stated::Unclear(format!("the cost at {place} is negative")),
            Ok(cost) if cost > *max => Stated::Unclear(format!(
                "the cost at {place} is {cost} USD, which is more than the {max} USD set aside"
            )),
            Ok(cost) => Stated::Unneeded(max.minus_floor_zero(cost)),
            Err(_) => Stated::Unclear(format!("the cost at {place} is no amount")),
        }
    }
}

/// What the call can cost, if the budget has it.
pub(super) fn affordable(
    cx: &WriteContext<'_>,
    session: &Arc<Session>,
    tool: &PinnedTool,
    arguments: &str,
    trace: &mut Trace,
) -> Result<Cost> {
    let reserved = cost(tool, arguments).inspect_err(|_| trace.stop(STEP, "cost", json!(tool.marks)))?;
    if reserved == Money::ZERO {
        if budget::is_bounded(cx, session)?
            && let Some((place, amount)) = uncounted::amount(tool, arguments)?
        {
            uncounted::warn(tool, &place);
            let not_counted = json!({"argument": place, "amount": amount, "reason": "the tool has no marked cost"});
            trace.pass(STEP, json!({"cost": reserved, "not_counted": not_counted}));
        }
        return Ok(Cost::default());
    }
    let spend = Scope::parse(scope::SPEND).map_err(Error::internal)?;
    session::require_scope(session, &spend).inspect_err(|_| trace.stop(STEP, "scope", json!({"cost": reserved})))?;
    budget::require_left(cx, session, reserved).inspect_err(|_| {
        trace.stop(STEP, "budget", json!({"cost": reserved, "left": session.remaining()}));
    })?;
    let place = tool.marks.cost_result.clone();
    let by_result = place.map(|place| ByResult { place, max: tool.marks.cost_max.unwrap_or_default() });
    match &by_result {
        Some(by_result) => trace.pass(STEP, json!({"cost": reserved, "by_result": by_result.place})),
        None => trace.pass(STEP, json!({"cost": reserved})),
    }
    Ok(Cost { reserved, by_result })
}

/// What the operator said that one call costs, or can cost.
pub(super) fn cost(tool: &PinnedTool, arguments: &str) -> Result<Money> {
    let out_of_range = || Error::new(Code::BudgetExceeded, "the cost is out of range");
    let fixed = tool.marks.cost.unwrap_or_default();
    let fixed = fixed.checked_add(tool.marks.cost_max.unwrap_or_default()).ok_or_else(out_of_range)?;
    let Some(pointer) = &tool.marks.cost_argument else { return Ok(fixed) };
    let stated = amount::amount_at(arguments, pointer)?.ok_or_else(|| {
        Error::new(
            Code::BudgetExceeded,
            format!("the cost of {} is at {pointer}, where no amount stands", tool.qualified()),
        )
    })?;
    fixed.checked_add(stated).ok_or_else(out_of_range)
}
