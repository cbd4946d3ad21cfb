//! What a transaction can do with approvals: rules, requests, decisions.

use crate::{
    error::Result,
    model::{AgentId, Approval, ApprovalId, ApprovalRule, ApprovalStatus, RuleId, SessionId, TenantId, UnixMicros},
};

/// Which requests to list, newest first.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct ApprovalQuery {
    /// Those that were decided, the newest decision first, instead of those that wait for a decision.
    pub decided: bool,
    pub agent_id: Option<AgentId>,
    /// Older than this one: its creation time and id.
    pub before: Option<(UnixMicros, String)>,
    /// Of those that wait, only what has not expired by then.
    pub now: UnixMicros,
    pub limit: usize,
}

#[allow(missing_docs)]
pub trait ReadApprovals {
    fn approval(&self, tenant: &TenantId, id: &ApprovalId) -> Result<Option<Approval>>;
    /// A page, and whether there are more behind it.
    fn approvals(&self, tenant: &TenantId, query: &ApprovalQuery) -> Result<(Vec<Approval>, bool)>;
    /// The last one of the same agent, tool and action that was approved, before this one was decided.
    fn last_approved(&self, tenant: &TenantId, like: &Approval) -> Result<Option<Approval>>;
    /// Of those that ask for exactly this, have this status, are not used and not expired, the one that lasts longest.
    fn approval_of(
        &self,
        tenant: &TenantId,
        digest: &[u8; 32],
        status: ApprovalStatus,
        now: UnixMicros,
    ) -> Result<Option<Approval>>;
    /// Whether there is an approval with other arguments than were asked for, not used and not expired.
    fn has_edited_approval(&self, tenant: &TenantId, now: UnixMicros) -> Result<bool>;
    /// How many of the requests of one session, or of the tenant, wait for a decision.
    fn pending_approvals(&self, tenant: &TenantId, session: Option<&SessionId>, now: UnixMicros) -> Result<i64>;
    /// Those whose time has run out, but that are not settled yet, oldest first, at most `limit`.
    fn overdue_approvals(&self, tenant: &TenantId, now: UnixMicros, limit: usize) -> Result<Vec<Approval>>;
    /// The tenant's rules, at most `limit`.
    fn approval_rules(&self, tenant: &TenantId, limit: usize) -> Result<Vec<ApprovalRule>>;
}

#[allow(missing_docs)]
pub trait WriteApprovals {
    /// Inserts a request, or replaces what can change of one: status, end, decision and use.
    fn put_approval(&mut self, tenant: &TenantId, approval: &Approval) -> Result<()>;
    /// Counts that a person is asked about this; whether that was less often than `most` times so far.
    fn count_dialog(&mut self, tenant: &TenantId, id: &ApprovalId, most: u32) -> Result<bool>;
    /// Forgets at most `limit` requests that were settled before `before`.
    fn forget_approvals(&mut self, tenant: &TenantId, before: UnixMicros, limit: usize) -> Result<()>;
    fn insert_approval_rule(&mut self, tenant: &TenantId, rule: &ApprovalRule) -> Result<()>;
    fn delete_approval_rule(&mut self, tenant: &TenantId, id: &RuleId) -> Result<()>;
}
