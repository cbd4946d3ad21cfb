//! Applying the approval rules to a call.

use super::{
    consume::{consume, denied, required},
    person,
    raise::{DEFAULT_TTL_SECONDS, raise},
    requested_action::{ApprovalNeed, RequestedAction},
};
use crate::{
    call::WriteContext,
    error::Result,
    model::{ApprovalId, ApprovalRule, ApprovalStatus, ElicitationResponse, Money, RuleType, listed_name, tool_name},
};

/// Rules of a tenant.
pub const MAX_RULES: usize = 100;

/// Why this action needs an approval, by the rules or for `because`; `None` if it does not.
pub fn need(
    cx: &WriteContext<'_>,
    asked: &RequestedAction<'_>,
    because: Option<String>,
) -> Result<Option<ApprovalNeed>> {
    let rules = cx.tx.approval_rules(&cx.caller.tenant, MAX_RULES)?;
    let (mut why, mut operator_only) = (because, false);
    for rule in &rules {
        if why.is_some() && (operator_only || !rule.operator_only) {
            continue;
        }
        if let Some(reason) = reason(rule, asked) {
            operator_only |= rule.operator_only;
            why.get_or_insert(reason);
        }
    }
    Ok(why.map(|why| ApprovalNeed { why: with_secrets(why, asked), operator_only }))
}

/// The reason, and the secrets that would be sent: the operator who decides sees their names in the arguments, never their values.
fn with_secrets(why: String, asked: &RequestedAction<'_>) -> String {
    let names: Vec<_> = asked.secrets.iter().map(|(name, version)| format!("{name} (version {version})")).collect();
    if names.is_empty() { why } else { format!("{why}; it sends the secrets {}", names.join(", ")) }
}

/// Whether the tenant has approval rules.
pub fn has_rules(cx: &WriteContext<'_>) -> Result<bool> {
    Ok(!cx.tx.approval_rules(&cx.caller.tenant, MAX_RULES)?.is_empty())
}

/// Passes a call that no rule requires an approval for, or that was approved; the approval is then used. Otherwise the call
/// is refused, and a request is raised unless one for the same call is pending.
///
/// Call it after every other check and before the first change: the refusal commits the transaction, which holds the request.
pub fn enforce(cx: &mut WriteContext<'_>, asked: &RequestedAction<'_>, named: Option<&ApprovalId>) -> Result<()> {
    if let Some(named) = named {
        return consume(cx, named, &asked.digest()?);
    }
    match need(cx, asked, None)? {
        Some(need) => hold(cx, asked, &need, None),
        None => Ok(()),
    }
}

/// Refuses a call that needs an approval until it has one. `person` approved it at the agent's client just now, if the client
/// was asked: that decision is recorded and used in this transaction.
pub fn hold(
    cx: &mut WriteContext<'_>,
    asked: &RequestedAction<'_>,
    need: &ApprovalNeed,
    person: Option<&ElicitationResponse>,
) -> Result<()> {
    let tenant = &cx.caller.tenant;
    let digest = asked.digest()?;
    if let Some(approval) = cx.tx.approval_of(tenant, &digest, ApprovalStatus::Approved, cx.now)? {
        return consume(cx, &approval.id, &digest);
    }
    if let Some(person) = person
        && !need.operator_only
        && person::approve(cx, person, &digest)?
    {
        return consume(cx, &person.request_id, &digest);
    }
    if let Some(mut approval) = cx.tx.approval_of(tenant, &digest, ApprovalStatus::Pending, cx.now)? {
        if need.operator_only && !approval.operator_only {
            approval.operator_only = true;
            cx.tx.put_approval(tenant, &approval)?;
        }
        return Err(required(&approval, &need.why));
    }
    // A denial holds as long as the request would have: an agent that repeats the call raises no new request.
    if let Some(approval) = cx.tx.approval_of(tenant, &digest, ApprovalStatus::Denied, cx.now)? {
        return Err(denied(&approval));
    }
    let approval = raise(cx, asked, need, DEFAULT_TTL_SECONDS)?;
    Err(required(&approval, &need.why))
}

/// Whether a rule names the tool, also in another case, with look-alike letters, or without its upstream.
fn is_named(rule: &str, tool: &str) -> bool {
    match tool.split_once('.') {
        Some((upstream, name)) => {
            rule == listed_name::plain(upstream, name) || tool_name::forbids(rule, upstream, name)
        }
        None => tool_name::alike(rule, tool),
    }
}

/// The reason why the rule requires an approval for this action; `None` if it does not.
fn reason(rule: &ApprovalRule, asked: &RequestedAction<'_>) -> Option<String> {
    match rule.rule_type {
        RuleType::SpendOver if asked.amount <= rule.threshold => None,
        // Calls with an amount that cannot be parsed have this one.
        RuleType::SpendOver if asked.amount == Money::MOST => Some(format!(
            "an amount that cannot be read exactly may be more than the {} USD that need no approval",
            rule.threshold
        )),
        RuleType::SpendOver => {
            Some(format!("{} USD is more than the {} USD that need no approval", asked.amount, rule.threshold))
        }
        RuleType::ToolBlocked => rule
            .tools
            .iter()
            .any(|tool| is_named(tool, asked.tool))
            .then(|| format!("every call of the tool {} needs an approval", asked.tool)),
        RuleType::Destructive => asked.destructive.then(|| "what destroys something needs an approval".to_owned()),
        RuleType::All => Some("everything needs an approval".to_owned()),
    }
}
