//! Deciding a request: once, by an operator, or by the person at the agent's client where the rules allow it.

use super::raise::{expire, record};
use crate::{
    call::WriteContext,
    error::{Code, Error, Result},
    model::{Approval, ApprovalId, ApprovalStatus, text::Text},
};

/// How long an approval can be used at least, in seconds, also when it was given just before the request ends.
const MIN_USABLE_SECONDS: i64 = 600;

/// What `decided_by` begins with where the person at the agent's client decided.
pub(super) const ELICITED_PREFIX: &str = "elicitation: ";

/// The name of the person who decides.
pub type DecidedBy = Text<0, 128>;
/// A note on the decision.
pub type Note = Text<0, 1024>;

/// A decision.
pub(super) struct Decision {
    /// Approved or denied.
    pub status: ApprovalStatus,
    /// See [`DecidedBy`].
    pub decided_by: String,
    /// See [`Note`].
    pub note: String,
    /// Arguments that replace the requested ones, as canonical JSON.
    pub arguments: Option<String>,
}

/// An optional text; empty if it is absent.
pub(super) fn optional_text<const MAX: usize>(text: Option<Text<0, MAX>>) -> String {
    text.map_or_else(String::new, Text::into_string)
}

/// The request, if it is pending. The transaction holds the store's write lock, so that the second of two concurrent decisions
/// is refused.
pub(super) fn open(cx: &mut WriteContext<'_>, id: &ApprovalId) -> Result<Approval> {
    let found = cx.tx.approval(&cx.caller.tenant, id)?;
    let mut approval = found.ok_or_else(|| Error::not_found("the approval request").field("request_id"))?;
    match approval.status_at(cx.now) {
        ApprovalStatus::Pending => Ok(approval),
        ApprovalStatus::Expired => {
            if approval.settled_at.is_none() {
                expire(cx, &mut approval)?;
            }
            let message = "the request expired before it was decided: the agent has to ask again";
            Err(Error::new(Code::ApprovalExpired, message).field("request_id"))
        }
        ApprovalStatus::Approved | ApprovalStatus::Denied => {
            let message = format!(
                "the request was {} by {} already; a decision stands",
                approval.status.as_str(),
                approval.decided_by
            );
            let error = Error::new(Code::AlreadyDecided, message).field("request_id");
            Err(error.with("status", approval.status).with("decided_by", &approval.decided_by))
        }
    }
}

/// Gives an open request this decision.
pub(super) fn decide(cx: &mut WriteContext<'_>, mut approval: Approval, decision: Decision) -> Result<()> {
    let Decision { status, decided_by, note, arguments } = decision;
    approval.status = status;
    approval.decided_at = Some(cx.now);
    approval.decided_by = if decided_by.is_empty() { cx.caller.principal.clone() } else { decided_by };
    approval.decision_note = note;
    approval.arguments = arguments;
    let action = if status == ApprovalStatus::Approved {
        approval.expires_at = approval.expires_at.map(|end| end.max(cx.now.plus_seconds(MIN_USABLE_SECONDS)));
        "approval.approve"
    } else {
        approval.settled_at = Some(cx.now);
        "approval.deny"
    };
    cx.tx.put_approval(&cx.caller.tenant, &approval)?;
    record(cx, action, &approval)
}
