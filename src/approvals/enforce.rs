//! Holding a call to the rules.

use super::{
    asked::Asked,
    consume::{consume, denied, required},
    raise::{DEFAULT_TTL_SECONDS, raise},
};
use crate::{
    call::WriteContext,
    error::Result,
    model::{ApprovalId, ApprovalRule, ApprovalStatus, RuleType, tool_name},
};

/// Rules of a tenant.
pub const MAX_RULES: usize = 100;

/// Lets a call through if no rule is about it, or if it was approved, and uses that approval. Otherwise a request is
/// raised, unless one for the same call waits already, and the call is refused.
///
/// To be asked when everything else is found good, and before anything is changed: the refusal keeps what this
/// transaction has done, since that is the request.
pub fn enforce(cx: &mut WriteContext<'_>, asked: &Asked<'_>, named: Option<&ApprovalId>) -> Result<()> {
    let tenant = &cx.caller.tenant;
    if let Some(named) = named {
        return consume(cx, named, &asked.digest()?);
    }
    let rules = cx.tx.approval_rules(tenant, MAX_RULES)?;
    match rules.iter().find_map(|rule| reason(rule, asked)) {
        Some(why) => enforce_because(cx, asked, &why),
        None => Ok(()),
    }
}

/// The same for a call that needs an approval for this reason, whatever the rules say.
pub fn enforce_because(cx: &mut WriteContext<'_>, asked: &Asked<'_>, why: &str) -> Result<()> {
    let tenant = &cx.caller.tenant;
    let digest = asked.digest()?;
    if let Some(approval) = cx.tx.approval_of(tenant, &digest, ApprovalStatus::Approved, cx.now)? {
        return consume(cx, &approval.id, &digest);
    }
    if let Some(approval) = cx.tx.approval_of(tenant, &digest, ApprovalStatus::Pending, cx.now)? {
        return Err(required(&approval, why));
    }
    // A no stands as long as the question would have: an agent that repeats the call does not ask again.
    if let Some(approval) = cx.tx.approval_of(tenant, &digest, ApprovalStatus::Denied, cx.now)? {
        return Err(denied(&approval));
    }
    let approval = raise(cx, asked, why, DEFAULT_TTL_SECONDS)?;
    Err(required(&approval, why))
}

/// Whether a rule names the tool: in another case, with look-alike letters, or without its upstream all the same.
fn is_named(rule: &str, tool: &str) -> bool {
    match tool.split_once('.') {
        Some((upstream, name)) => tool_name::forbids(rule, upstream, name),
        None => tool_name::alike(rule, tool),
    }
}

/// Why the rule wants an approval for this; `None` if it does not.
fn reason(rule: &ApprovalRule, asked: &Asked<'_>) -> Option<String> {
    match rule.rule_type {
        RuleType::SpendOver => (asked.amount > rule.threshold)
            .then(|| format!("{} USD is more than the {} USD that need no approval", asked.amount, rule.threshold)),
        RuleType::ToolBlocked => rule
            .tools
            .iter()
            .any(|tool| is_named(tool, asked.tool))
            .then(|| format!("every call of the tool {} needs an approval", asked.tool)),
        RuleType::Destructive => asked.destructive.then(|| "what destroys something needs an approval".to_owned()),
        RuleType::All => Some("everything needs an approval".to_owned()),
    }
}
