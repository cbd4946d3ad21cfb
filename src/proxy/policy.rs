//! The policy step: every policy of the tenant must let the call pass.

pub mod amount;
pub mod cedar;
mod rate;
mod window;

pub(super) use rate::{CLEAR_AT_ONCE, over, window_start};
use serde_json::{Value, json};

use super::{approval, flow, tool, trace::Trace};
use crate::{
    call::WriteContext,
    error::{Code, Error, Result},
    model::{
        PinnedTool, Policy, PolicyId, PolicyType, PolicyUse, Session, TenantId, UnixMicros, listed_name, tool_name,
    },
    store::ReadTx,
};

const STEP: &str = "policy";
/// Policies of a tenant.
pub const MAX_POLICIES: usize = 200;

/// What policies look at: a call that is about to be made, or one that the log tells of.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// Whose store it is.
    pub tenant: &'a TenantId,
    /// The API key of the call, by its first characters.
    pub key: &'a str,
    /// The same key, if its calls count for it whatever agent they name.
    pub bound_key: Option<&'a str>,
    /// The session that it is made in.
    pub session_id: &'a str,
    /// The same, where it is known.
    pub session: Option<&'a Session>,
    /// Whose call it is.
    pub agent: &'a str,
    /// Whose tool it is.
    pub upstream: &'a str,
    /// The tool's own name.
    pub tool: &'a str,
    /// The tool as it was accepted, where it is known.
    pub pinned: Option<&'a PinnedTool>,
    /// Canonical JSON of its arguments.
    pub arguments: &'a str,
    /// When it is made.
    pub at: UnixMicros,
}

impl Question<'_> {
    /// What is said of the tool. One that is not known destroys, as MCP has it of tools that say nothing.
    #[cfg_attr(not(feature = "cedar"), allow(dead_code, reason = "only Cedar policies need it"))]
    fn traits(&self) -> [(&'static str, bool); 5] {
        let (read_only, destructive) = self.pinned.map_or((false, true), |tool| approval::hints(&tool.definition));
        let marks = self.pinned.map(|tool| &tool.marks);
        [
            ("read_only", read_only),
            ("destructive", destructive),
            ("source", marks.is_some_and(|marks| marks.source)),
            ("sink", marks.is_some_and(|marks| marks.sink)),
            ("suspicious", self.pinned.is_some_and(|tool| !tool.warnings.is_empty())),
        ]
    }
}

/// What happened before the call: looked up where a policy asks for it.
pub(super) trait Past {
    /// Whether the tool's own name means it alone.
    fn is_clear(&self) -> Result<bool>;
    /// How often a policy let `subject` through after `after`.
    fn used(&self, policy: &PolicyId, subject: &str, after: i64) -> Result<i64>;
    /// Whether the session, one above it, or its key has called a tool that is marked as a source.
    #[cfg_attr(not(feature = "cedar"), allow(dead_code, reason = "only Cedar policies need it"))]
    fn tainted(&self) -> Result<bool>;
}

/// What happened as the store has it.
struct Stored<'a> {
    tx: &'a dyn ReadTx,
    question: &'a Question<'a>,
}

/// What one policy says.
pub(super) enum Said {
    /// It is not about this call.
    Nothing,
    /// The call is within its bounds; what it saw, and where the call counts.
    Pass(Value, Vec<PolicyUse>),
    /// A person has to be asked, for this reason; the rest as for a call that passes.
    #[cfg_attr(not(feature = "cedar"), allow(dead_code, reason = "only Cedar policies need it"))]
    Ask(String, Value, Vec<PolicyUse>),
    /// It forbids the call, for a reason that a person understands.
    Forbidden(String, Value),
}

/// What all of them say of a call that none forbids.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// Where the call counts, once it is known to be made.
    pub uses: Vec<PolicyUse>,
    /// Why a person has to be asked first.
    pub because: Vec<String>,
}

/// Asks all of them.
pub(super) fn all_pass(cx: &WriteContext<'_>, question: &Question<'_>, trace: &mut Trace) -> Result<Passed> {
    let mut passed = Passed::default();
    let past = Stored { tx: cx.tx.as_read(), question };
    for policy in cx.tx.policies(&cx.caller.tenant, MAX_POLICIES)? {
        let rule = format!("{} {}", word(policy.definition.policy_type), policy.id);
        let on_trial = policy.definition.dry_run;
        match ask(&policy, question, &past)? {
            Said::Nothing => {}
            Said::Pass(saw, counted) => {
                passed.uses.extend(counted);
                trace.pass_by(STEP, rule, saw);
            }
            Said::Ask(why, saw, _) if on_trial => {
                trace.pass_by(STEP, rule, json!({"dry_run": true, "would_ask": why, "saw": saw}));
            }
            Said::Ask(why, saw, counted) => {
                passed.uses.extend(counted);
                passed.because.push(why);
                trace.pass_by(STEP, rule, saw);
            }
            Said::Forbidden(why, saw) if on_trial => {
                trace.pass_by(STEP, rule, json!({"dry_run": true, "would_refuse": why, "saw": saw}));
            }
            Said::Forbidden(why, saw) => {
                trace.stop(STEP, rule, saw);
                return Err(Error::new(Code::PolicyDenied, why).with("policy_id", &policy.id));
            }
        }
    }
    Ok(passed)
}

impl Past for Stored<'_> {
    fn is_clear(&self) -> Result<bool> {
        tool::bare_is_clear(self.tx, self.question.tenant, self.question.tool)
    }

    fn used(&self, policy: &PolicyId, subject: &str, after: i64) -> Result<i64> {
        Ok(self.tx.policy_uses(self.question.tenant, policy, subject, after)?)
    }

    fn tainted(&self) -> Result<bool> {
        let Question { tenant, session, bound_key, at, .. } = *self.question;
        let source = session.map(|session| flow::source(self.tx, tenant, session, bound_key, at));
        Ok(source.transpose()?.flatten().is_some())
    }
}

/// Asks one policy.
pub(super) fn ask(policy: &Policy, question: &Question<'_>, past: &dyn Past) -> Result<Said> {
    let definition = &policy.definition;
    let (upstream, name) = (question.upstream, question.tool);
    // As agents see the name, also where it was shortened.
    let names_some = definition.tool.is_some() || definition.tools.is_some();
    let listed = if names_some { listed_name::plain(upstream, name) } else { String::new() };
    let named = |rule: &String| *rule == listed || tool_name::forbids(rule, upstream, name);
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
            let is_clear = past.is_clear()?;
            if tools().any(|rule| *rule == listed || tool_name::allows(rule, upstream, name, is_clear)) {
                Said::Pass(json!({"tool": shown}), Vec::new())
            } else {
                Said::Forbidden(
                    format!("the tool {shown} is not on the list of tools that are allowed"),
                    json!({"tool": shown}),
                )
            }
        }
        PolicyType::Cedar => cedar::judge(policy, question, past)?,
        _ if !is_about => Said::Nothing,
        PolicyType::SpendLimit => amount::within(definition, question.arguments)?,
        PolicyType::RateLimit => rate::within(policy, question, past)?,
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
        PolicyType::Cedar => "cedar",
    }
}
