//! Approval rules, requests and decisions.

use rusqlite::{Row, ToSql, params};

use super::{
    SqliteTx,
    rows::{Columns, json, rows, word},
    statements::statements,
};
use crate::{
    ApprovalQuery, PAGE_BYTES, ReadApprovals, WriteApprovals,
    error::Result,
    model::{AgentId, Approval, ApprovalId, ApprovalRule, ApprovalStatus, RuleId, SessionId, TenantId, UnixMicros},
};

/// The end of a request that has none, so that one comparison serves all.
const NEVER: i64 = i64::MAX;

macro_rules! approval {
    () => {
        "id, session_id, agent_id, tool, action, amount, reason, details, digest, status, created_at, expires_at,
        decided_at, decided_by, decision_note, used_at, settled_at, operator_only, arguments"
    };
}

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
    APPROVAL_RULES = "SELECT id, rule_type, threshold, tools, operator_only, created_at, created_by FROM approval_rules
        WHERE tenant = ?1 ORDER BY id LIMIT ?2";
    PUT_APPROVAL = "INSERT INTO approvals (tenant, id, session_id, agent_id, tool, action, amount, reason, details, digest,
        status, created_at, expires_at, decided_at, decided_by, decision_note, used_at, settled_at, operator_only, arguments)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
        ON CONFLICT DO UPDATE SET status = ?11, expires_at = ?13, decided_at = ?14, decided_by = ?15, decision_note = ?16,
        used_at = ?17, settled_at = ?18, operator_only = ?19, arguments = ?20";
    COUNT_DIALOG = "UPDATE approvals SET dialogs = dialogs + 1 WHERE tenant = ?1 AND id = ?2 AND dialogs < ?3";
    FORGET_APPROVALS = "DELETE FROM approvals WHERE tenant = ?1 AND id IN (SELECT id FROM approvals
        WHERE tenant = ?1 AND settled_at IS NOT NULL AND settled_at < ?2 ORDER BY settled_at LIMIT ?3)";
    INSERT_APPROVAL_RULE = "INSERT INTO approval_rules (tenant, id, rule_type, threshold, tools, created_at, created_by,
        operator_only) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    DELETE_APPROVAL_RULE = "DELETE FROM approval_rules WHERE tenant = ?1 AND id = ?2";
}

fn approval(row: &Row<'_>) -> Result<Approval> {
    let mut columns = Columns::of(row);
    Ok(Approval {
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
        expires_at: Some(columns.next::<UnixMicros>()?).filter(|end| end.0 != NEVER),
        decided_at: columns.next()?,
        decided_by: columns.next()?,
        decision_note: columns.next()?,
        used_at: columns.next()?,
        settled_at: columns.next()?,
        operator_only: columns.next()?,
        arguments: columns.next()?,
    })
}

/// At most `limit` requests, and no more behind one with which their details fill a page; and whether there are more.
fn collect_page(found: impl Iterator<Item = Result<Approval>>, limit: usize) -> Result<(Vec<Approval>, bool)> {
    let (mut approvals, mut bytes) = (Vec::new(), 0);
    for approval in found {
        if approvals.len() == limit || bytes >= PAGE_BYTES {
            return Ok((approvals, true));
        }
        let approval = approval?;
        bytes += approval.details.as_ref().map_or(0, String::len);
        bytes += approval.arguments.as_ref().map_or(0, String::len);
        approvals.push(approval);
    }
    Ok((approvals, false))
}

fn end(approval: &Approval) -> i64 {
    approval.expires_at.map_or(NEVER, |at| at.0)
}

impl ReadApprovals for SqliteTx<'_> {
    fn approval(&self, tenant: &TenantId, id: &ApprovalId) -> Result<Option<Approval>> {
        let mut statement = self.connection()?.prepare_cached(APPROVAL)?;
        let mut rows = statement.query([tenant.as_str(), id.as_str()])?;
        rows.next()?.map(approval).transpose()
    }

    fn approvals(&self, tenant: &TenantId, query: &ApprovalQuery) -> Result<(Vec<Approval>, bool)> {
        let (at, id) = query.before.as_ref().map_or((i64::MAX, ""), |(at, id)| (at.0, id.as_str()));
        let sql = match (query.decided, &query.agent_id) {
            (true, None) => DECIDED,
            (true, Some(_)) => DECIDED_OF_AGENT,
            (false, None) => PENDING,
            (false, Some(_)) => PENDING_OF_AGENT,
        };
        let (tenant, limit, now) = (tenant.as_str(), rows(query.limit.saturating_add(1)), query.now.0);
        let agent = query.agent_id.as_ref().map(AgentId::as_str);
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let given: [&dyn ToSql; 6] = [&tenant, &at, &id, &limit, &now, &agent];
        // The statements name the first of these, as far as they need them.
        let count = statement.parameter_count();
        let found = statement.query_and_then(&given[..count], approval)?;
        collect_page(found, query.limit)
    }

    fn last_approved(&self, tenant: &TenantId, like: &Approval) -> Result<Option<Approval>> {
        let before = like.decided_at.map_or(i64::MAX, |at| at.0);
        let (agent, id) = (like.agent_id.as_str(), like.id.as_str());
        let mut statement = self.connection()?.prepare_cached(LAST_APPROVED)?;
        let mut rows = statement.query(params![tenant.as_str(), agent, like.tool, like.action, before, id])?;
        rows.next()?.map(approval).transpose()
    }

    fn approval_of(
        &self,
        tenant: &TenantId,
        digest: &[u8; 32],
        status: ApprovalStatus,
        now: UnixMicros,
    ) -> Result<Option<Approval>> {
        let mut statement = self.connection()?.prepare_cached(APPROVAL_OF)?;
        let mut rows = statement.query(params![tenant.as_str(), digest, status.as_str(), now.0])?;
        rows.next()?.map(approval).transpose()
    }

    fn has_edited_approval(&self, tenant: &TenantId, now: UnixMicros) -> Result<bool> {
        if self.buffer_if_writer().is_some_and(|buffer| buffer.policy_cache.without_edited.has(tenant)) {
            return Ok(false);
        }
        let found = self.connection()?.prepare_cached(EDITED)?.exists(params![tenant.as_str(), now.0])?;
        if let Some(buffer) = self.buffer_if_writer().filter(|_| !found) {
            buffer.policy_cache.without_edited.keep(tenant.clone(), ());
        }
        Ok(found)
    }

    fn pending_approvals(&self, tenant: &TenantId, session: Option<&SessionId>, now: UnixMicros) -> Result<i64> {
        let count = |row: &Row<'_>| row.get(0);
        Ok(match session {
            Some(session) => {
                let mut statement = self.connection()?.prepare_cached(PENDING_OF_SESSION)?;
                statement.query_row(params![tenant.as_str(), now.0, session.as_str()], count)?
            }
            None => {
                self.connection()?.prepare_cached(PENDING_COUNT)?.query_row(params![tenant.as_str(), now.0], count)?
            }
        })
    }

    fn overdue_approvals(&self, tenant: &TenantId, now: UnixMicros, limit: usize) -> Result<Vec<Approval>> {
        let mut statement = self.connection()?.prepare_cached(OVERDUE)?;
        statement.query_and_then(params![tenant.as_str(), now.0, rows(limit)], approval)?.collect()
    }

    fn approval_rules(&self, tenant: &TenantId, limit: usize) -> Result<Vec<ApprovalRule>> {
        let read = || {
            let mut statement = self.connection()?.prepare_cached(APPROVAL_RULES)?;
            statement
                .query_and_then(params![tenant.as_str(), rows(limit)], |row| {
                    let mut columns = Columns::of(row);
                    Ok(ApprovalRule {
                        id: columns.next()?,
                        rule_type: columns.next()?,
                        threshold: columns.next()?,
                        tools: columns.next()?,
                        operator_only: columns.next()?,
                        created_at: columns.next()?,
                        created_by: columns.next()?,
                    })
                })?
                .collect()
        };
        match self.buffer_if_writer() {
            Some(buffer) => buffer.policy_cache.approval_rules.or_read((tenant.clone(), limit), read),
            None => read(),
        }
    }
}

impl WriteApprovals for SqliteTx<'_> {
    fn put_approval(&mut self, tenant: &TenantId, approval: &Approval) -> Result<()> {
        self.change(PUT_APPROVAL)?.execute(params![
            tenant.as_str(),
            approval.id.as_str(),
            approval.session_id.as_str(),
            approval.agent_id.as_str(),
            approval.tool,
            approval.action,
            approval.amount.nanos(),
            approval.reason,
            approval.details,
            approval.digest,
            approval.status.as_str(),
            approval.created_at.0,
            end(approval),
            approval.decided_at.map(|at| at.0),
            approval.decided_by,
            approval.decision_note,
            approval.used_at.map(|at| at.0),
            approval.settled_at.map(|at| at.0),
            approval.operator_only,
            approval.arguments,
        ])?;
        Ok(())
    }

    fn count_dialog(&mut self, tenant: &TenantId, id: &ApprovalId, most: u32) -> Result<bool> {
        let mut statement = self.change(COUNT_DIALOG)?;
        Ok(statement.execute(params![tenant.as_str(), id.as_str(), most])? == 1)
    }

    fn forget_approvals(&mut self, tenant: &TenantId, before: UnixMicros, limit: usize) -> Result<()> {
        let mut statement = self.change(FORGET_APPROVALS)?;
        statement.execute(params![tenant.as_str(), before.0, rows(limit)])?;
        Ok(())
    }

    fn insert_approval_rule(&mut self, tenant: &TenantId, rule: &ApprovalRule) -> Result<()> {
        self.change(INSERT_APPROVAL_RULE)?.execute(params![
            tenant.as_str(),
            rule.id.as_str(),
            word(&rule.rule_type)?,
            rule.threshold.nanos(),
            json(&rule.tools)?,
            rule.created_at.0,
            rule.created_by,
            rule.operator_only,
        ])?;
        Ok(())
    }

    fn delete_approval_rule(&mut self, tenant: &TenantId, id: &RuleId) -> Result<()> {
        let mut statement = self.change(DELETE_APPROVAL_RULE)?;
        statement.execute([tenant.as_str(), id.as_str()])?;
        Ok(())
    }
}
