//! Holding a call to the rules.

use super::{
    asked::Asked,
    consume::{consume, denied, required},
    person,
    raise::{DEFAULT_TTL_SECONDS, raise},
};
use crate::{
    call::WriteContext,
    error::Result,
    model::{ApprovalId, ApprovalRule, ApprovalStatus, Money, Person, RuleType, tool_name},
    proxy::listed_name,
};

/// Rules of a tenant.
pub const MAX_RULES: usize = 100;

/// Why a call waits for somebody's decision, and for whose.
#[derive(Clone, Debug)]
pub struct Need {
    /// For whoever decides.
    pub why: String,
    /// Whether a rule wants an operator, not the person at the agent's client.
    pub operator_only: bool,
}

/// Why this needs an approval, by the rules or for a reason of its own; `None` if it does not.
pub fn need(cx: &WriteContext<'_>, asked: &Asked<'_>, because: Option<String>) -> Result<Option<Need>> {
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
    Ok(why.map(|why| Need { why: with_secrets(why, asked), operator_only }))
}

/// The reason, and the secrets that would be sent: the operator who decides sees their names in the arguments, never their values.
fn with_secrets(why: String, asked: &Asked<'_>) -> String {
    let names: Vec<_> = asked.secrets.iter().map(|(name, version)| format!("{name} (version {version})")).collect();
    if names.is_empty() { why } else { format!("{why}; it sends the secrets {}", names.join(", ")) }
}

/// Whether there is any rule by which a call could need one.
pub fn has_rules(cx: &WriteContext<'_>) -> Result<bool> {
    Ok(!cx.tx.approval_rules(&cx.caller.tenant, MAX_RULES)?.is_empty())
}

/// Lets a call through if no rule is about it, or if it was approved, and uses that approval. Otherwise a request is
/// raised, unless one for the same call waits already, and the call is refused.
///
/// To be asked when everything else is found good, and before anything is changed: the refusal keeps what this
/// transaction has done, since that is the request.
pub fn enforce(cx: &mut WriteContext<'_>, asked: &Asked<'_>, named: Option<&ApprovalId>) -> Result<()> {
    if let Some(named) = named {
        return consume(cx, named, &asked.digest()?);
    }
    match need(cx, asked, None)? {
        Some(need) => hold(cx, asked, &need, None),
        None => Ok(()),
    }
}

/// Holds a call that needs an approval until it has one. `person` is the one who said yes at the agent's client just
/// now, if somebody was asked there: that is decided and used in this one transaction.
pub fn hold(cx: &mut WriteContext<'_>, asked: &Asked<'_>, need: &Need, person: Option<&Person>) -> Result<()> {
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
    // A no stands as long as the question would have: an agent that repeats the call does not ask again.
    if let Some(approval) = cx.tx.approval_of(tenant, &digest, ApprovalStatus::Denied, cx.now)? {
        return Err(denied(&approval));
    }
    let approval = raise(cx, asked, need, DEFAULT_TTL_SECONDS)?;
    Err(required(&approval, &need.why))
}

/// Whether a rule names the tool: in another case, with look-alike letters, or without its upstream all the same.
fn is_named(rule: &str, tool: &str) -> bool {
    match tool.split_once('.') {
        Some((upstream, name)) => {
            rule == listed_name::plain(upstream, name) || tool_name::forbids(rule, upstream, name)
        }
        None => tool_name::alike(rule, tool),
    }
}

/// Why the rule wants an approval for this; `None` if it does not.
fn reason(rule: &ApprovalRule, asked: &Asked<'_>) -> Option<String> {
    match rule.rule_type {
        RuleType::SpendOver if asked.amount <= rule.threshold => None,
        // What calls have in an amount's place that cannot be read.
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
