//! Raising a request, and keeping the old ones in bounds.

use serde::Serialize;

use super::{asked::Asked, edited::Edit, enforce::Need};
use crate::{
    call::WriteContext,
    crypto,
    error::{Code, Error, Result},
    model::{Approval, ApprovalId, ApprovalStatus, SessionId, UnixMicros},
    watch::{self, Draft},
    webhooks::{self, Happening},
};

/// How long a request waits for its decision unless it says otherwise, in seconds.
pub const DEFAULT_TTL_SECONDS: i64 = 3_600;
/// The longest that a request may say, in seconds.
pub const MAX_TTL_SECONDS: i64 = 30 * 86_400;
/// Requests of one session that may wait for a decision at a time: an agent cannot bury what an operator has to see.
const MAX_PENDING_OF_SESSION: i64 = 100;
/// How long a settled request is kept, in seconds. Its audit entries stay.
const KEEP_SECONDS: i64 = 30 * 86_400;
/// Old requests that raising one clears away: more than it adds, so that they do not pile up.
const CLEAR_AT_ONCE: usize = 4;

/// Raises a request for exactly what is asked.
pub fn raise(cx: &mut WriteContext<'_>, asked: &Asked<'_>, need: &Need, ttl: i64) -> Result<Approval> {
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

/// Makes a new request known, in the transaction that raises it.
pub fn announce(cx: &mut WriteContext<'_>, approval: &Approval) -> Result<()> {
    record(cx, "approval.request", approval)?;
    let happening = Happening::ApprovalRequested {
        request_id: approval.id.as_str(),
        session_id: approval.session_id.as_str(),
        agent_id: approval.agent_id.as_str(),
        tool: &approval.tool,
        action: &approval.action,
        amount: approval.amount,
        reason: &approval.reason,
    };
    webhooks::emit(cx, &happening)
}

/// What the log says of a request.
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

/// Appends the entry of what happened to a request.
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

/// Settles a request whose time has run out.
pub(super) fn expire(cx: &mut WriteContext<'_>, approval: &mut Approval) -> Result<()> {
    approval.status = approval.status_at(cx.now);
    approval.settled_at = Some(cx.now);
    cx.tx.put_approval(&cx.caller.tenant, approval)?;
    record(cx, "approval.expire", approval)
}

/// Settles a few requests whose time has run out, and forgets a few that were settled long ago.
fn clear_away(cx: &mut WriteContext<'_>) -> Result<()> {
    for mut approval in cx.tx.overdue_approvals(&cx.caller.tenant, cx.now, CLEAR_AT_ONCE)? {
        expire(cx, &mut approval)?;
    }
    Ok(cx.tx.forget_approvals(&cx.caller.tenant, cx.now.plus_seconds(-KEEP_SECONDS), CLEAR_AT_ONCE)?)
}
