//! The policy step: every policy of the tenant must let the call pass.

pub mod amount;
mod rate;
mod window;

pub(super) use rate::{CLEAR_AT_ONCE, over, window_start};
use serde_json::{Value, json};

use super::{tool, trace::Trace};
use crate::{
    call::WriteContext,
    error::{Code, Error, Result},
    model::{Policy, PolicyType, PolicyUse, UnixMicros, tool_name},
};

const STEP: &str = "policy";
/// Policies of a tenant.
pub const MAX_POLICIES: usize = 200;

/// What policies look at: a call that is about to be made, or one that the log tells of.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// Whose call it is.
    pub agent: &'a str,
    /// Whose tool it is.
    pub upstream: &'a str,
    /// The tool's own name.
    pub tool: &'a str,
    /// Canonical JSON of its arguments.
    pub arguments: &'a str,
    /// When it is made.
    pub at: UnixMicros,
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
    let tenant = &cx.caller.tenant;
    let clear = || tool::bare_is_clear(cx.tx.as_read(), tenant, question.tool);
    for policy in cx.tx.policies(tenant, MAX_POLICIES)? {
        let rule = format!("{} {}", word(policy.definition.policy_type), policy.id);
        let of_late = || cx.tx.policy_uses(tenant, &policy.id, question.agent, rate::window_start(question.at));
        match ask(&policy, question, clear, of_late)? {
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

/// Asks one policy. `clear` says whether the tool's own name means it alone, `used` how often the agent was let through
/// of late.
pub(super) fn ask(
    policy: &Policy,
    question: &Question<'_>,
    clear: impl FnOnce() -> Result<bool>,
    used: impl FnOnce() -> Result<i64>,
) -> Result<Said> {
    let definition = &policy.definition;
    let (upstream, name) = (question.upstream, question.tool);
    let named = |rule: &String| tool_name::forbids(rule, upstream, name);
    let tools = || definition.tool.iter().chain(definition.tools.iter().flatten());
    let shown = format!("{upstream}.{name}");
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
            let is_clear = clear()?;
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
        PolicyType::RateLimit => rate::within(policy, question, used()?),
        PolicyType::TimeWindow => window::open(definition, question.at),
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
