//! Approval rules, requests and decisions.

use crate::{
    PAGE_BYTES, ReadTx, Tx,
    database::{Columns, FromRow, Record, params, record},
    error::Result,
    model::{AgentId, Approval, ApprovalId, ApprovalRule, ApprovalStatus, RuleId, SessionId, TenantId, UnixMicros},
    statements::statements,
};

/// The end of a request that has none, so that one comparison serves all.
const NEVER: UnixMicros = UnixMicros(i64::MAX);

macro_rules! approval {
    () => {
        "id, session_id, agent_id, tool, action, amount, reason, details, digest, status, created_at, expires_at,
        decided_at, decided_by, decision_note, used_at, settled_at, operator_only, arguments"
    };
}

record! { approval_rules: ApprovalRule as approval_rule {
    id, rule_type, threshold, tools, operator_only, created_at, created_by,
} }

statements! {
    APPROVAL = concat!("SELECT ", approval!(), " FROM approvals WHERE tenant = ?1 AND id = ?2");
    APPROVAL_OF = concat!("SELECT ", approval!(), " FROM approvals WHERE tenant = ?1 AND digest = ?2 AND status = ?3
        AND used_at IS NULL AND expires_at > ?4 ORDER BY expires_at DESC LIMIT 1");
    DECIDED = concat!("SELECT ", approval!(), " FROM approvals INDEXED BY approvals_decided WHERE tenant = ?1
        AND decided_at IS NOT NULL AND (decided_at, id) < (?2, ?3) ORDER BY decided_at DESC, id DESC LIMIT ?4");
    DECIDED_OF_AGENT = concat!("SELECT ", approval!(), " FROM approvals INDEXED BY approvals_decided_of_agent WHERE tenant = ?1
        AND decided_at IS NOT NULL AND agent_id = ?6 AND (decided_at, id) < (?2, ?3)
        ORDER BY decided_at DESC, id DESC LIMIT ?4");
    LAST_APPROVED = concat!("SELECT ", approval!(), " FROM approvals INDEXED BY approvals_approved WHERE tenant = ?1 AND agent_id = ?2
        AND tool = ?3 AND action = ?4 AND status = 'approved' AND decided_at < ?5 AND id <> ?6 ORDER BY decided_at DESC LIMIT 1");
    EDITED = "SELECT 1 FROM approvals INDEXED BY approvals_edited WHERE tenant = ?1 AND arguments IS NOT NULL
        AND used_at IS NULL AND expires_at > ?2 LIMIT 1";
    PENDING = concat!("SELECT ", approval!(), " FROM approvals INDEXED BY approvals_pending WHERE tenant = ?1 AND status = 'pending'
        AND (created_at, id) < (?2, ?3) AND expires_at > ?5 ORDER BY created_at DESC, id DESC LIMIT ?4");
    PENDING_OF_AGENT = concat!("SELECT ", approval!(), " FROM approvals INDEXED BY approvals_pending_of_agent WHERE tenant = ?1
        AND status = 'pending' AND agent_id = ?6 AND (created_at, id) < (?2, ?3) AND expires_at > ?5
        ORDER BY created_at DESC, id DESC LIMIT ?4");
    PENDING_OF_SESSION = "SELECT count(*) FROM approvals INDEXED BY approvals_pending_of_session WHERE tenant = ?1
        AND status = 'pending' AND expires_at > ?2 AND session_id = ?3";
    PENDING_COUNT = "SELECT count(*) FROM approvals INDEXED BY approvals_pending_by_end WHERE tenant = ?1
        AND status = 'pending' AND expires_at > ?2";
    OVERDUE = concat!("SELECT ", approval!(), " FROM approvals WHERE tenant = ?1 AND settled_at IS NULL
        AND expires_at <= ?2 ORDER BY expires_at LIMIT ?3");
    APPROVAL_RULES = concat!("SELECT ", approval_rule!(), " FROM approval_rules WHERE tenant = ?1 ORDER BY id LIMIT ?2");
    PUT_APPROVAL = concat!("INSERT INTO approvals (tenant, ", approval!(),
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
        ON CONFLICT DO UPDATE SET status = ?11, expires_at = ?13, decided_at = ?14, decided_by = ?15, decision_note = ?16,
        used_at = ?17, settled_at = ?18, operator_only = ?19, arguments = ?20");
    COUNT_DIALOG = "UPDATE approvals SET dialogs = dialogs + 1 WHERE tenant = ?1 AND id = ?2 AND dialogs < ?3";
    FORGET_APPROVALS = "DELETE FROM approvals WHERE tenant = ?1 AND id IN (SELECT id FROM approvals
        WHERE tenant = ?1 AND settled_at IS NOT NULL AND settled_at < ?2 ORDER BY settled_at LIMIT ?3)";
    INSERT_APPROVAL_RULE = ApprovalRule::INSERT;
    DELETE_APPROVAL_RULE = "DELETE FROM approval_rules WHERE tenant = ?1 AND id = ?2";
}

impl FromRow for Approval {
    fn from_row(columns: &mut Columns<'_>) -> Result<Self> {
        Ok(Self {
            id: columns.next()?,
            session_id: columns.next()?,
            agent_id: columns.next()?,
            tool: columns.next()?,
            action: columns.next()?,
            amount: columns.next()?,
            reason: columns.next()?,
            details: columns.next()?,
            digest: columns.next()?,
            status: columns.next()?,
            created_at: columns.next()?,
            expires_at: Some(columns.next()?).filter(|end| *end != NEVER),
            decided_at: columns.next()?,
            decided_by: columns.next()?,
            decision_note: columns.next()?,
            used_at: columns.next()?,
            settled_at: columns.next()?,
            operator_only: columns.next()?,
            arguments: columns.next()?,
        })
    }
}

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
impl ReadTx {
    pub fn approval(&self, tenant: &TenantId, id: &ApprovalId) -> Result<Option<Approval>> {
        self.first(APPROVAL, params![tenant, id])
    }

    /// A page, and whether there are more behind it. It ends early once its details have [`PAGE_BYTES`].
    pub fn approvals(&self, tenant: &TenantId, query: &ApprovalQuery) -> Result<(Vec<Approval>, bool)> {
        let (at, id) = query.before.as_ref().map_or((i64::MAX, ""), |(at, id)| (at.0, id.as_str()));
        let (sql, count) = match (query.decided, &query.agent_id) {
            (true, None) => (DECIDED, 4),
            (true, Some(_)) => (DECIDED_OF_AGENT, 6),
            (false, None) => (PENDING, 5),
            (false, Some(_)) => (PENDING_OF_AGENT, 6),
        };
        // The statements name the first of these, as far as they need them.
        let params = params![tenant, at, id, query.limit.saturating_add(1), query.now, query.agent_id];
        let (mut approvals, mut bytes, mut is_more) = (Vec::new(), 0, false);
        self.connection()?.each(sql, &params[..count], |approval: Approval| {
            is_more = approvals.len() == query.limit || bytes >= PAGE_BYTES;
            if !is_more {
                bytes += approval.details.as_ref().map_or(0, String::len);
                bytes += approval.arguments.as_ref().map_or(0, String::len);
                approvals.push(approval);
            }
            Ok(!is_more)
        })?;
        Ok((approvals, is_more))
    }

    /// The last one of the same agent, tool and action that was approved, before this one was decided.
    pub fn last_approved(&self, tenant: &TenantId, like: &Approval) -> Result<Option<Approval>> {
        let before = like.decided_at.unwrap_or(NEVER);
        self.first(LAST_APPROVED, params![tenant, like.agent_id, like.tool, like.action, before, like.id])
    }

    /// Of those that ask for exactly this, have this status, are not used and not expired, the one that lasts longest.
    pub fn approval_of(
        &self,
        tenant: &TenantId,
        digest: &[u8; 32],
        status: ApprovalStatus,
        now: UnixMicros,
    ) -> Result<Option<Approval>> {
        self.first(APPROVAL_OF, params![tenant, digest, status, now])
    }

    /// Whether there is an approval with other arguments than were asked for, not used and not expired.
    pub fn has_edited_approval(&self, tenant: &TenantId, now: UnixMicros) -> Result<bool> {
        if self.buffer_if_writer().is_some_and(|buffer| buffer.policy_cache.without_edited.has(tenant)) {
            return Ok(false);
        }
        let found = self.exists(EDITED, params![tenant, now])?;
        if let Some(buffer) = self.buffer_if_writer().filter(|_| !found) {
            buffer.policy_cache.without_edited.keep(tenant.clone(), ());
        }
        Ok(found)
    }

    /// How many of the requests of one session, or of the tenant, wait for a decision.
    pub fn pending_approvals(&self, tenant: &TenantId, session: Option<&SessionId>, now: UnixMicros) -> Result<i64> {
        match session {
            Some(session) => self.one(PENDING_OF_SESSION, params![tenant, now, session]),
            None => self.one(PENDING_COUNT, params![tenant, now]),
        }
    }

    /// Those whose time has run out, but that are not settled yet, oldest first, at most `limit`.
    pub fn overdue_approvals(&self, tenant: &TenantId, now: UnixMicros, limit: usize) -> Result<Vec<Approval>> {
        self.all(OVERDUE, params![tenant, now, limit])
    }

    /// The tenant's rules, at most `limit`.
    pub fn approval_rules(&self, tenant: &TenantId, limit: usize) -> Result<Vec<ApprovalRule>> {
        let read = || self.all(APPROVAL_RULES, params![tenant, limit]);
        match self.buffer_if_writer() {
            Some(buffer) => buffer.policy_cache.approval_rules.or_read((tenant.clone(), limit), read),
            None => read(),
        }
    }
}

#[allow(missing_docs)]
impl Tx {
    /// Inserts a request, or replaces what can change of one: status, end, decision and use.
    pub fn put_approval(&mut self, tenant: &TenantId, approval: &Approval) -> Result<()> {
        let a = approval;
        let params = params![
            tenant,
            a.id,
            a.session_id,
            a.agent_id,
            a.tool,
            a.action,
            a.amount,
            a.reason,
            a.details,
            a.digest,
            a.status,
            a.created_at,
            a.expires_at.unwrap_or(NEVER),
            a.decided_at,
            a.decided_by,
            a.decision_note,
            a.used_at,
            a.settled_at,
            a.operator_only,
            a.arguments,
        ];
        self.change(PUT_APPROVAL, params).map(drop)
    }

    /// Counts that a person is asked about this; whether that was less often than `most` times so far.
    pub fn count_dialog(&mut self, tenant: &TenantId, id: &ApprovalId, most: u32) -> Result<bool> {
        Ok(self.change(COUNT_DIALOG, params![tenant, id, most])? == 1)
    }

    /// Forgets at most `limit` requests that were settled before `before`.
    pub fn forget_approvals(&mut self, tenant: &TenantId, before: UnixMicros, limit: usize) -> Result<()> {
        self.change(FORGET_APPROVALS, params![tenant, before, limit]).map(drop)
    }

    pub fn insert_approval_rule(&mut self, tenant: &TenantId, rule: &ApprovalRule) -> Result<()> {
        self.change(INSERT_APPROVAL_RULE, &rule.params(tenant)).map(drop)
    }

    pub fn delete_approval_rule(&mut self, tenant: &TenantId, id: &RuleId) -> Result<()> {
        self.change(DELETE_APPROVAL_RULE, params![tenant, id]).map(drop)
    }
}
