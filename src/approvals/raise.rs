//! Raising a request, and removing old ones.

use serde::Serialize;

use super::{
    edited::Edit,
    requested_action::{ApprovalNeed, RequestedAction},
};
use crate::{
    call::WriteContext,
    crypto,
    error::{Code, Error, Result},
    model::{Approval, ApprovalId, ApprovalStatus, SessionId, UnixMicros},
    outbox::{self, WebhookEvent},
    watch::{self, Draft},
};

/// The default life of a request, in seconds.
pub const DEFAULT_TTL_SECONDS: i64 = 3_600;
/// The longest life of a request, in seconds.
pub const MAX_TTL_SECONDS: i64 = 30 * 86_400;
/// Pending requests of one session. The bound keeps an agent from burying a request among many.
const MAX_PENDING_OF_SESSION: i64 = 100;
/// How long a settled request is kept, in seconds. Its audit entries stay.
const KEEP_SECONDS: i64 = 30 * 86_400;
/// Old requests that one new request removes: more than one, so that their number falls.
const CLEAR_AT_ONCE: usize = 4;

/// Raises a request for exactly this action.
pub fn raise(
    cx: &mut WriteContext<'_>,
    asked: &RequestedAction<'_>,
    need: &ApprovalNeed,
    ttl: i64,
) -> Result<Approval> {
    clear_away(cx)?;
    let (tenant, session) = (&cx.caller.tenant, asked.session);
    let waiting = cx.tx.pending_approvals(tenant, Some(&session.id), cx.now)?;
    if waiting >= MAX_PENDING_OF_SESSION {
        let message = format!("{waiting} requests of this session wait for a decision already: wait for some of them");
        return Err(Error::new(Code::Conflict, message).field("session_id"));
    }
    let id = crypto::token::<16>("apr_").map_err(Error::internal)?;
    let approval = Approval {
        id: ApprovalId::parse(id).map_err(Error::internal)?,
        session_id: session.id.clone(),
        agent_id: session.agent_id.clone(),
        tool: asked.tool.to_owned(),
        action: asked.action.to_owned(),
        amount: asked.amount,
        reason: need.why.clone(),
        details: asked.details.map(str::to_owned),
        digest: asked.digest()?,
        status: ApprovalStatus::Pending,
        created_at: cx.now,
        expires_at: (ttl > 0).then(|| cx.now.plus_seconds(ttl)),
        decided_at: None,
        decided_by: String::new(),
        decision_note: String::new(),
        used_at: None,
        settled_at: None,
        operator_only: need.operator_only,
        arguments: None,
    };
    cx.tx.put_approval(tenant, &approval)?;
    announce(cx, &approval)?;
    Ok(approval)
}

/// Records a new request in the audit log and the outbox, in the transaction that raises it.
pub fn announce(cx: &mut WriteContext<'_>, approval: &Approval) -> Result<()> {
    record(cx, "approval.request", approval)?;
    let event = WebhookEvent::ApprovalRequested {
        request_id: approval.id.as_str(),
        session_id: approval.session_id.as_str(),
        agent_id: approval.agent_id.as_str(),
        tool: &approval.tool,
        action: &approval.action,
        amount: approval.amount,
        reason: &approval.reason,
    };
    outbox::emit(cx, &event)
}

/// A request, for the audit log.
#[derive(Serialize)]
struct Recorded<'a> {
    request_id: &'a ApprovalId,
    session_id: &'a SessionId,
    tool: &'a str,
    action: &'a str,
    amount: String,
    reason: &'a str,
    digest: String,
    status: ApprovalStatus,
    decided_by: &'a str,
    decision_note: &'a str,
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited: Option<Edit>,
}

/// Appends the audit entry of a change of a request.
pub(super) fn record(cx: &mut WriteContext<'_>, action: &str, approval: &Approval) -> Result<()> {
    let session = cx.tx.session(&cx.caller.tenant, &approval.session_id)?;
    let details = Recorded {
        request_id: &approval.id,
        session_id: &approval.session_id,
        tool: &approval.tool,
        action: &approval.action,
        amount: approval.amount.to_string(),
        reason: &approval.reason,
        digest: watch::canonical::hex(&approval.digest),
        status: approval.status,
        decided_by: &approval.decided_by,
        decision_note: &approval.decision_note,
        expires_at: approval.expires_at.map(UnixMicros::to_rfc3339),
        edited: Edit::of(approval)?,
    };
    watch::append(cx, Draft::governance(action, session.as_deref(), &details)?)?;
    Ok(())
}

/// Settles a request that has expired.
pub(super) fn expire(cx: &mut WriteContext<'_>, approval: &mut Approval) -> Result<()> {
    approval.status = approval.status_at(cx.now);
    approval.settled_at = Some(cx.now);
    cx.tx.put_approval(&cx.caller.tenant, approval)?;
    record(cx, "approval.expire", approval)
}

/// Settles a few requests that have expired, and removes a few that were settled long ago.
fn clear_away(cx: &mut WriteContext<'_>) -> Result<()> {
    for mut approval in cx.tx.overdue_approvals(&cx.caller.tenant, cx.now, CLEAR_AT_ONCE)? {
        expire(cx, &mut approval)?;
    }
    Ok(cx.tx.forget_approvals(&cx.caller.tenant, cx.now.plus_seconds(-KEEP_SECONDS), CLEAR_AT_ONCE)?)
}
