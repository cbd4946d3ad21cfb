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

/// The call that policies judge: one that is about to be sent, or one from the log.
#[derive(Clone, Copy)]
pub struct PolicyInput<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// The prefix of the caller's API key.
    pub key: &'a str,
    /// The same key, if calls count for it whatever agent they name.
    pub bound_key: Option<&'a str>,
    /// The session.
    pub session_id: &'a str,
    /// The session's record, if known.
    pub session: Option<&'a Session>,
    /// The agent of the session.
    pub agent: &'a str,
    /// The upstream of the tool.
    pub upstream: &'a str,
    /// The tool's own name.
    pub tool: &'a str,
    /// The pinned tool, if known.
    pub pinned: Option<&'a PinnedTool>,
    /// Canonical JSON of its arguments.
    pub arguments: &'a str,
    /// The time of the call.
    pub at: UnixMicros,
}

impl PolicyInput<'_> {
    /// The tool's traits. An unknown tool counts as destructive, as MCP's default is for a tool without annotations.
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

/// What happened before the call; looked up if a policy needs it.
pub(super) trait History {
    /// Whether no other upstream has a tool of this name.
    fn is_clear(&self) -> Result<bool>;
    /// How many calls of `subject` a policy has let pass since `after`.
    fn used(&self, policy: &PolicyId, subject: &str, after: i64) -> Result<i64>;
    /// Whether the session, one above it, or its key has called a tool that is marked as a source.
    #[cfg_attr(not(feature = "cedar"), allow(dead_code, reason = "only Cedar policies need it"))]
    fn tainted(&self) -> Result<bool>;
}

/// The history in the store.
struct Stored<'a> {
    tx: &'a ReadTx,
    input: &'a PolicyInput<'a>,
}

/// The result of one policy.
pub(super) enum PolicyResult {
    /// It does not apply to this call.
    Nothing,
    /// It lets the call pass; what it saw, and the counts to add.
    Pass(Value, Vec<PolicyUse>),
    /// It needs a person's approval, for this reason; the rest as for `Pass`.
    #[cfg_attr(not(feature = "cedar"), allow(dead_code, reason = "only Cedar policies need it"))]
    Ask(String, Value, Vec<PolicyUse>),
    /// It forbids the call, for this reason.
    Forbidden(String, Value),
}

/// The result of all policies, if none forbids the call.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// The counts to add once the call is certain to be sent.
    pub uses: Vec<PolicyUse>,
    /// Why a person has to approve it first.
    pub because: Vec<String>,
}

/// Evaluates all policies.
pub(super) fn all_pass(cx: &WriteContext<'_>, input: &PolicyInput<'_>, trace: &mut Trace) -> Result<Passed> {
    let mut passed = Passed::default();
    let past = Stored { tx: cx.tx, input };
    for policy in cx.tx.policies(&cx.caller.tenant, MAX_POLICIES)? {
        let rule = format!("{} {}", word(policy.definition.policy_type), policy.id);
        let on_trial = policy.definition.dry_run;
        match ask(&policy, input, &past)? {
            PolicyResult::Nothing => {}
            PolicyResult::Pass(saw, counted) => {
                passed.uses.extend(counted);
                trace.pass_by(STEP, rule, saw);
            }
            PolicyResult::Ask(why, saw, _) if on_trial => {
                trace.pass_by(STEP, rule, json!({"dry_run": true, "would_ask": why, "saw": saw}));
            }
            PolicyResult::Ask(why, saw, counted) => {
                passed.uses.extend(counted);
                passed.because.push(why);
                trace.pass_by(STEP, rule, saw);
            }
            PolicyResult::Forbidden(why, saw) if on_trial => {
                trace.pass_by(STEP, rule, json!({"dry_run": true, "would_refuse": why, "saw": saw}));
            }
            PolicyResult::Forbidden(why, saw) => {
                trace.stop(STEP, rule, saw);
                return Err(Error::new(Code::PolicyDenied, why).with("policy_id", &policy.id));
            }
        }
    }
    Ok(passed)
}

impl History for Stored<'_> {
    fn is_clear(&self) -> Result<bool> {
        tool::bare_is_clear(self.tx, self.input.tenant, self.input.tool)
    }

    fn used(&self, policy: &PolicyId, subject: &str, after: i64) -> Result<i64> {
        Ok(self.tx.policy_uses(self.input.tenant, policy, subject, after)?)
    }

    fn tainted(&self) -> Result<bool> {
        let PolicyInput { tenant, session, bound_key, at, .. } = *self.input;
        let source = session.map(|session| flow::source(self.tx, tenant, session, bound_key, at));
        Ok(source.transpose()?.flatten().is_some())
    }
}

/// Evaluates one policy.
pub(super) fn ask(policy: &Policy, input: &PolicyInput<'_>, past: &dyn History) -> Result<PolicyResult> {
    let definition = &policy.definition;
    let (upstream, name) = (input.upstream, input.tool);
    // The name as agents see it, perhaps shortened.
    let names_some = definition.tool.is_some() || definition.tools.is_some();
    let listed = if names_some { listed_name::plain(upstream, name) } else { String::new() };
    let named = |rule: &String| *rule == listed || tool_name::forbids(rule, upstream, name);
    let tools = || definition.tool.iter().chain(definition.tools.iter().flatten());
    let shown = format!("{upstream}.{name}");
    // The other types apply to all tools unless they name some.
    let is_about = tools().next().is_none() || tools().any(named);
    Ok(match definition.policy_type {
        PolicyType::BlockTool | PolicyType::DenyList => match tools().find(|rule| named(rule)) {
            Some(rule) => PolicyResult::Forbidden(
                format!("the tool {shown} is blocked by policy"),
                json!({"tool": shown, "names": rule}),
            ),
            None => PolicyResult::Nothing,
        },
        PolicyType::AllowList => {
            let is_clear = past.is_clear()?;
            if tools().any(|rule| *rule == listed || tool_name::allows(rule, upstream, name, is_clear)) {
                PolicyResult::Pass(json!({"tool": shown}), Vec::new())
            } else {
                PolicyResult::Forbidden(
                    format!("the tool {shown} is not on the list of tools that are allowed"),
                    json!({"tool": shown}),
                )
            }
        }
        PolicyType::Cedar => cedar::judge(policy, input, past)?,
        _ if !is_about => PolicyResult::Nothing,
        PolicyType::SpendLimit => amount::within(definition, input.arguments)?,
        PolicyType::RateLimit => rate::within(policy, input, past)?,
        PolicyType::TimeWindow => window::open(definition, input.at),
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
