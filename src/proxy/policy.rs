//! The policy step: every policy of the tenant must let the call pass.

pub mod amount;
mod rate;
mod window;

pub(super) use rate::{CLEAR_AT_ONCE, over};
use serde_json::{Value, json};

use super::{tool, trace::Trace};
use crate::{
    call::WriteContext,
    error::{Code, Error, Result},
    model::{PinnedTool, Policy, PolicyType, PolicyUse, Session, tool_name},
};

const STEP: &str = "policy";
/// Policies of a tenant.
pub const MAX_POLICIES: usize = 200;

/// What policies look at.
pub struct Question<'a> {
    /// Whose call it is.
    pub session: &'a Session,
    /// The tool.
    pub tool: &'a PinnedTool,
    /// Canonical JSON of its arguments.
    pub arguments: &'a str,
}

/// What one policy says.
pub(super) enum Said {
    /// It is not about this call.
    Nothing,
    /// The call is within its bounds; what it saw, and where the call counts.
    Pass(Value, Option<PolicyUse>),
    /// It forbids the call, for a reason that a person understands.
    Forbidden(String, Value),
}

/// Asks all of them. Answers where the call counts, once it is known to be made.
pub(super) fn all_pass(cx: &WriteContext<'_>, question: &Question<'_>, trace: &mut Trace) -> Result<Vec<PolicyUse>> {
    let mut uses = Vec::new();
    for policy in cx.tx.policies(&cx.caller.tenant, MAX_POLICIES)? {
        let rule = format!("{} {}", word(policy.definition.policy_type), policy.id);
        match ask(cx, &policy, question)? {
            Said::Nothing => {}
            Said::Pass(saw, counted) => {
                uses.extend(counted);
                trace.pass_by(STEP, rule, saw);
            }
            Said::Forbidden(why, saw) if policy.definition.dry_run => {
                trace.pass_by(STEP, rule, json!({"dry_run": true, "would_refuse": why, "saw": saw}));
            }
            Said::Forbidden(why, saw) => {
                trace.stop(STEP, rule, saw);
                return Err(Error::new(Code::PolicyDenied, why).with("policy_id", &policy.id));
            }
        }
    }
    Ok(uses)
}

fn ask(cx: &WriteContext<'_>, policy: &Policy, question: &Question<'_>) -> Result<Said> {
    let definition = &policy.definition;
    let (upstream, name) = (question.tool.upstream.as_str(), question.tool.name.as_str());
    let named = |rule: &String| tool_name::forbids(rule, upstream, name);
    let tools = || definition.tool.iter().chain(definition.tools.iter().flatten());
    let shown = question.tool.qualified();
    // The other types are about all tools unless they name some.
    let is_about = tools().next().is_none() || tools().any(named);
    Ok(match definition.policy_type {
        PolicyType::BlockTool | PolicyType::DenyList => match tools().find(|rule| named(rule)) {
            Some(rule) => {
                Said::Forbidden(format!("the tool {shown} is blocked by policy"), json!({"tool": shown, "names": rule}))
            }
            None => Said::Nothing,
        },
        PolicyType::AllowList => {
            let is_clear = tool::bare_is_clear(cx.tx.as_read(), &cx.caller.tenant, name)?;
            if tools().any(|rule| tool_name::allows(rule, upstream, name, is_clear)) {
                Said::Pass(json!({"tool": shown}), None)
            } else {
                Said::Forbidden(
                    format!("the tool {shown} is not on the list of tools that are allowed"),
                    json!({"tool": shown}),
                )
            }
        }
        _ if !is_about => Said::Nothing,
        PolicyType::SpendLimit => amount::within(definition, question.arguments)?,
        PolicyType::RateLimit => rate::within(cx, policy, question)?,
        PolicyType::TimeWindow => window::open(definition, cx.now),
    })
}

/// The type as on the wire.
pub fn word(policy_type: PolicyType) -> &'static str {
    match policy_type {
        PolicyType::BlockTool => "block_tool",
        PolicyType::AllowList => "allow_list",
        PolicyType::DenyList => "deny_list",
        PolicyType::SpendLimit => "spend_limit",
        PolicyType::RateLimit => "rate_limit",
        PolicyType::TimeWindow => "time_window",
    }
}
