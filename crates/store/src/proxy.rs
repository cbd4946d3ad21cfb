//! What a transaction can do with upstream servers, their tools, policies, and in-flight calls.

use std::sync::Arc;

use crate::{
    error::Result,
    model::{InFlightCall, PinnedTool, Policy, PolicyId, PolicyUse, TenantId, UnixMicros, Upstream, UpstreamName},
};

#[allow(missing_docs)]
pub trait ReadProxy {
    /// Its counts may be older ones.
    fn upstream(&self, tenant: &TenantId, name: &UpstreamName) -> Result<Option<Arc<Upstream>>>;
    /// The upstream with a name that differs at most in case.
    fn upstream_alike(&self, tenant: &TenantId, name: &UpstreamName) -> Result<Option<Upstream>>;
    /// In the order of their names, at most `limit`.
    fn upstreams(&self, tenant: &TenantId, limit: usize) -> Result<Vec<Upstream>>;
    /// Upstreams of all tenants that were not asked since `before`, and those that were not well since the later `unwell`,
    /// longest first, at most `limit`.
    fn upstreams_to_check(
        &self,
        before_and_unwell: (UnixMicros, UnixMicros),
        limit: usize,
    ) -> Result<Vec<(TenantId, UpstreamName)>>;
    fn pinned_tool(&self, tenant: &TenantId, upstream: &UpstreamName, name: &str) -> Result<Option<Arc<PinnedTool>>>;
    /// The tools of this name, whichever upstream has them, at most `limit`.
    fn tools_named(&self, tenant: &TenantId, name: &str, limit: usize) -> Result<Vec<PinnedTool>>;
    /// An upstream's tools in the order of their names, after `after`, at most `limit`.
    fn tools_of(
        &self,
        tenant: &TenantId,
        upstream: &UpstreamName,
        after: &str,
        limit: usize,
    ) -> Result<Vec<PinnedTool>>;
    /// Names and digests of those that are listed, and as they were accepted, in the order of their names.
    fn callable_tools(
        &self,
        tenant: &TenantId,
        upstream: &UpstreamName,
        limit: usize,
    ) -> Result<Vec<(String, [u8; 32])>>;
    fn policies(&self, tenant: &TenantId, limit: usize) -> Result<Vec<Policy>>;
    /// How often a policy let `subject` through after `after`.
    fn policy_uses(&self, tenant: &TenantId, policy: &PolicyId, subject: &str, after: i64) -> Result<i64>;
    /// Calls of all tenants that no process vouches for any more, at most `limit`.
    fn abandoned_calls(&self, before: UnixMicros, limit: usize) -> Result<Vec<(TenantId, InFlightCall)>>;
    /// The untrusted source that a session, or another holder that `subject` names, has read from, and when.
    fn taint(&self, tenant: &TenantId, subject: &str) -> Result<Option<(String, UnixMicros)>>;
}

#[allow(missing_docs)]
pub trait WriteProxy {
    /// Its counts go on from where they are.
    fn put_upstream(&mut self, tenant: &TenantId, upstream: &Upstream) -> Result<()>;
    /// Forgets the upstream, its tools, and its counts.
    fn delete_upstream(&mut self, tenant: &TenantId, name: &UpstreamName) -> Result<()>;
    fn set_health(
        &mut self,
        tenant: &TenantId,
        name: &UpstreamName,
        problem: Option<&str>,
        at: UnixMicros,
    ) -> Result<()>;
    /// Counts a call with its time in microseconds, and whether it failed.
    fn count_call(&mut self, tenant: &TenantId, name: &UpstreamName, latency: i64, failed: bool) -> Result<()>;
    fn put_tool(&mut self, tenant: &TenantId, tool: &PinnedTool) -> Result<()>;
    fn insert_policy(&mut self, tenant: &TenantId, policy: &Policy) -> Result<()>;
    /// Forgets the policy, and what was counted for it.
    fn delete_policy(&mut self, tenant: &TenantId, id: &PolicyId) -> Result<()>;
    /// Counts one more, or, where the call came to nothing, one less.
    fn count_policy_use(&mut self, tenant: &TenantId, counted: &PolicyUse, by: i64) -> Result<()>;
    /// Forgets at most `limit` counts from before `before`.
    fn forget_policy_uses(&mut self, before: i64, limit: usize) -> Result<()>;
    fn begin_call(&mut self, tenant: &TenantId, call: &InFlightCall) -> Result<()>;
    /// Whether it was still open.
    fn renew_call(&mut self, tenant: &TenantId, id: &str, lease: UnixMicros) -> Result<bool>;
    /// Whether it was still open.
    fn end_call(&mut self, tenant: &TenantId, id: &str) -> Result<bool>;
    /// One that is there already is renewed if it is from before `older`.
    fn put_taint(
        &mut self,
        tenant: &TenantId,
        subject: &str,
        source: &str,
        at: UnixMicros,
        older: UnixMicros,
    ) -> Result<()>;
}
