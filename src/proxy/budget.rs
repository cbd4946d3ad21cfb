//! The budget step: the cost of a call is taken from the session's budget before it is sent.

use std::sync::Arc;

use serde_json::json;

use super::{pointer, policy::amount, trace::Trace, uncounted};
use crate::{
    call::{WriteContext, session},
    error::{Code, Error, Result},
    model::{Money, PinnedTool, ReportedCost, Scope, Session, scope},
    vault::budget,
};

const STEP: &str = "budget";

/// The amount that is reserved for a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Cost {
    /// The most that the call can cost.
    pub reserved: Money,
    /// The part that the result states.
    pub by_result: Option<ByResult>,
}

/// A part of a cost that only the result states.
#[derive(Clone, Debug)]
pub(super) struct ByResult {
    /// Its JSON pointer.
    place: String,
    /// The amount that is reserved for it.
    max: Money,
}

/// The cost that a result states.
#[derive(Clone, Debug)]
pub(super) enum Stated {
    /// This much of the reserved amount was not needed.
    Unneeded(Money),
    /// No credible cost, and why; the whole reserved amount counts.
    Unclear(String),
}

impl ByResult {
    /// Reads it from a result, as the upstream wrote it.
    pub(super) fn stated(&self, result: &str) -> Stated {
        let Self { place, max } = self;
        let found = match pointer::only_at(result, place) {
            Ok(Some(found)) => found,
            Ok(None) => return Stated::Unclear(format!("the result has no cost at {place}")),
            Err(pointer::Twice) => {
                return Stated::Unclear(format!(
                    "on the way to the cost at {place}, a member stands twice in one object"
                ));
            }
        };
        // An amount is a number, or the same as a string; anything else has no order of magnitude.
        let text = serde_json::from_str::<String>(found).unwrap_or_else(|_| found.to_owned());
        let read = ReportedCost::parse(&text).and_then(|near| Ok((near.amount, ReportedCost::parse_up(&text)?.amount)));
        match read {
            Ok((_, up)) if up.is_negative() => Stated::Unclear(format!("the cost at {place} is negative")),
            Ok((near, _)) if near > *max => Stated::Unclear(format!(
                "the cost at {place} is {near} USD, which is more than the {max} USD set aside"
            )),
            // A cost below the smallest amount is not zero: it would add up.
            Ok((_, up)) => Stated::Unneeded(max.minus_floor_zero(up)),
            Err(_) => Stated::Unclear(format!("the cost at {place} is no amount")),
        }
    }
}

/// The cost to reserve for the call, if the budget covers it.
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

/// The highest cost of one call, by the operator's labels.
pub(super) fn cost(tool: &PinnedTool, arguments: &str) -> Result<Money> {
    let out_of_range = || Error::new(Code::BudgetExceeded, "the cost is out of range");
    let fixed = tool.marks.cost.unwrap_or_default();
    let fixed = fixed.checked_add(tool.marks.cost_max.unwrap_or_default()).ok_or_else(out_of_range)?;
    let Some(pointer) = &tool.marks.cost_argument else { return Ok(fixed) };
    let stated = amount::amount_at(arguments, pointer)?.ok_or_else(|| {
        Error::new(
            Code::BudgetExceeded,
            format!("the cost of {} is at {pointer}, where no amount stands: {}", tool.qualified(), amount::EXPECTED),
        )
    })?;
    fixed.checked_add(stated).ok_or_else(out_of_range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(result: &str) -> std::result::Result<String, String> {
        let by_result = ByResult { place: "/a/price".to_owned(), max: Money::from_units(1) };
        match by_result.stated(result) {
            Stated::Unneeded(amount) => Ok(amount.to_string()),
            Stated::Unclear(why) => Err(why),
        }
    }

    #[test]
    fn the_least_cost_is_not_nothing() {
        for least in ["1e-12", "0.0000000000001", "1e-400", "\"1e-12\"", "0.000000001"] {
            assert_eq!(left(&format!(r#"{{"a":{{"price":{least}}}}}"#)), Ok("0.999999999".to_owned()), "{least}");
        }
        for (cost, unneeded) in
            [("0", "1"), ("0.0e-12", "1"), ("0.30000000000000004", "0.699999999"), ("1.00000000000001", "0")]
        {
            assert_eq!(left(&format!(r#"{{"a":{{"price":{cost}}}}}"#)), Ok(unneeded.to_owned()), "{cost}");
        }
        let why = left(r#"{"a":{"price":-1e-12}}"#).unwrap_err();
        assert!(why.contains("negative"), "{why}");
    }

    #[test]
    fn a_cost_that_can_be_read_in_two_ways_is_not_believed() {
        for result in [
            r#"{"a":{"price":1,"price":0}}"#,
            r#"{"a":{"price":0,"price":1}}"#,
            r#"{"a":{"price":1},"a":{"price":0}}"#,
            r#"{"a":{"price":1,"\u0070rice":0}}"#,
        ] {
            let why = left(result).unwrap_err();
            assert!(why.contains("stands twice"), "{result}: {why}");
        }
        assert_eq!(left(r#"{"x":1,"x":2,"a":{"price":0.25}}"#), Ok("0.75".to_owned()));
    }
}
