//! Deciding a request: once, by an operator.

use super::raise::{expire, record};
use crate::{
    call::WriteContext,
    error::{Code, Error, Result},
    model::{ApprovalId, ApprovalStatus, text::Text},
};

/// How long an approval can be used at least, in seconds: a yes at the last moment is still one that can be used.
const MIN_USABLE_SECONDS: i64 = 600;

/// Who decides, as they would have it shown.
pub type DecidedBy = Text<0, 128>;
/// What they have to say.
pub type Note = Text<0, 1024>;

/// Gives the request this status, if it is still open. The transaction has the store's write lock, so that of two
/// decisions one finds that the other was first.
pub(super) fn decide(
    cx: &mut WriteContext<'_>,
    id: &ApprovalId,
    status: ApprovalStatus,
    decided_by: Option<DecidedBy>,
    note: Option<Note>,
) -> Result<()> {
    let found = cx.tx.approval(&cx.caller.tenant, id)?;
    let mut approval = found.ok_or_else(|| Error::not_found("the approval request").field("request_id"))?;
    match approval.status_at(cx.now) {
        ApprovalStatus::Pending => {}
        ApprovalStatus::Expired => {
            if approval.settled_at.is_none() {
                expire(cx, &mut approval)?;
            }
            let message = "the request expired before it was decided: the agent has to ask again";
            return Err(Error::new(Code::ApprovalExpired, message).field("request_id"));
        }
        ApprovalStatus::Approved | ApprovalStatus::Denied => {
            let message = format!(
                "the request was {} by {} already; a decision stands",
                approval.status.as_str(),
                approval.decided_by
            );
            let error = Error::new(Code::AlreadyDecided, message).field("request_id");
            return Err(error.with("status", approval.status).with("decided_by", &approval.decided_by));
        }
    }
    let said = decided_by.map(Text::into_string).filter(|name| !name.is_empty());
    approval.status = status;
    approval.decided_at = Some(cx.now);
    approval.decided_by = said.unwrap_or_else(|| cx.caller.principal.clone());
    approval.decision_note = note.map_or_else(String::new, Text::into_string);
    let action = if status == ApprovalStatus::Approved {
        approval.expires_at = approval.expires_at.map(|end| end.max(cx.now.plus_seconds(MIN_USABLE_SECONDS)));
        "approval.approve"
    } else {
        approval.settled_at = Some(cx.now);
        "approval.deny"
    };
    cx.tx.update_approval(&cx.caller.tenant, &approval)?;
    record(cx, action, &approval)
}
