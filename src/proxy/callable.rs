//! Decides which tools are listed: only those that some call of this caller could reach. Rules about arguments, the hour or
//! counts apply to the call itself.

use std::sync::Arc;

use super::{policy::MAX_POLICIES, scope, tool::bare_is_clear};
use crate::{
    call::ReadContext,
    error::Result,
    model::{Policy, PolicyType, Scopes, Session, SessionId, UpstreamName, listed_name, tool_name},
};

/// The rules that depend on the tool alone.
pub struct Callable {
    policies: Vec<Policy>,
    scopes: Option<Scopes>,
}

impl Callable {
    /// By the tenant's policies, and by a session if one is named. An ended session lists what others would, so that the refusal of
    /// a call says what is wrong.
    pub fn of(cx: &ReadContext<'_>, session: Option<&SessionId>) -> Result<Self> {
        let session: Option<Arc<Session>> = match session {
            Some(id) => cx.tx.session(&cx.caller.tenant, id)?.filter(|session| session.is_valid(cx.now)),
            None => None,
        };
        Self::within(cx, session.map(|session| session.scopes.clone()))
    }

    /// By the tenant's policies, and by the scopes of a session that the interface knows.
    pub fn within(cx: &ReadContext<'_>, scopes: Option<Scopes>) -> Result<Self> {
        let mut policies = cx.tx.policies(&cx.caller.tenant, MAX_POLICIES)?;
        let names_tools = [PolicyType::BlockTool, PolicyType::DenyList, PolicyType::AllowList];
        policies.retain(|policy| !policy.definition.dry_run && names_tools.contains(&policy.definition.policy_type));
        Ok(Self { policies, scopes })
    }

    /// Whether a call of this tool could pass.
    pub fn holds(&self, cx: &ReadContext<'_>, upstream: &UpstreamName, tool: &str) -> Result<bool> {
        if let Some(scopes) = &self.scopes
            && !scopes.hold(&scope::of(upstream, tool)?)
        {
            return Ok(false);
        }
        if self.policies.is_empty() {
            return Ok(true);
        }
        let listed = listed_name::plain(upstream.as_str(), tool);
        let is_clear = bare_is_clear(cx.tx, &cx.caller.tenant, tool)?;
        Ok(self.policies.iter().all(|policy| {
            let definition = &policy.definition;
            let mut rules = definition.tool.iter().chain(definition.tools.iter().flatten());
            if definition.policy_type == PolicyType::AllowList {
                rules.any(|rule| *rule == listed || tool_name::allows(rule, upstream.as_str(), tool, is_clear))
            } else {
                rules.all(|rule| *rule != listed && !tool_name::forbids(rule, upstream.as_str(), tool))
            }
        }))
    }
}
