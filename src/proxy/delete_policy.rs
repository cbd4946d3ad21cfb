//! `deleteProxyPolicy`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{list_policies::PolicyDetail, policy::MAX_POLICIES};
use crate::{
    call::{WriteContext, WriteOperation},
    error::{Error, Result},
    model::PolicyId,
    watch::{self, Draft},
};

/// Delete a policy of the proxy: from the next call on it forbids nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteProxyPolicy {
    /// The policy.
    policy_id: PolicyId,
}

/// The policy that was deleted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProxyPolicyDeleted {
    /// Always true.
    deleted: bool,
    /// The policy.
    policy_id: PolicyId,
}

impl WriteOperation for DeleteProxyPolicy {
    type Output = ProxyPolicyDeleted;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<ProxyPolicyDeleted> {
        let tenant = cx.caller.tenant.clone();
        let policy = cx.tx.policies(&tenant, MAX_POLICIES)?.into_iter().find(|policy| policy.id == self.policy_id);
        let policy = policy.ok_or_else(|| Error::not_found("the policy").field("policy_id"))?;
        cx.tx.delete_policy(&tenant, &policy.id)?;
        watch::append(cx, Draft::governance("policy.delete", None, &PolicyDetail::new(policy))?)?;
        Ok(ProxyPolicyDeleted { deleted: true, policy_id: self.policy_id })
    }
}
