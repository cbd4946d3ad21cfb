//! `listProxyPolicies`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::policy::MAX_POLICIES;
use crate::{
    call::{ReadContext, ReadOperation},
    error::Result,
    model::{Policy, PolicyDefinition, PolicyId, UnixMicros},
};

/// List the policies of the proxy, oldest first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListProxyPolicies {}

/// The policies.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProxyPolicies {
    /// How many there are.
    count: usize,
    /// Oldest first.
    policies: Vec<PolicyDetail>,
}

/// A policy as everyone sees it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PolicyDetail {
    /// Names the policy.
    policy_id: PolicyId,
    /// What it says.
    #[serde(flatten)]
    definition: PolicyDefinition,
    /// When it was added, in Unix seconds.
    created_at: UnixMicros,
    /// The key that added it, by its first characters, or `operator`.
    created_by: String,
}

impl PolicyDetail {
    /// The wire form.
    pub fn new(policy: Policy) -> Self {
        let Policy { id, definition, created_at, created_by } = policy;
        Self { policy_id: id, definition, created_at, created_by }
    }
}

impl ReadOperation for ListProxyPolicies {
    type Output = ProxyPolicies;

    fn run(self, cx: &ReadContext<'_>) -> Result<ProxyPolicies> {
        let mut policies = cx.tx.policies(&cx.caller.tenant, MAX_POLICIES)?;
        policies.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        let policies: Vec<_> = policies.into_iter().map(PolicyDetail::new).collect();
        Ok(ProxyPolicies { count: policies.len(), policies })
    }
}
