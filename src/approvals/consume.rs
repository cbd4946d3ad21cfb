//! Using an approval: once, and for exactly what was asked.

use super::{decide::ELICITED_PREFIX, raise::record};
use crate::{
    call::WriteContext,
    crypto,
    error::{Code, Error, Result},
    model::{Approval, ApprovalId, ApprovalStatus, UnixMicros},
};

/// Uses the approval for the action with this digest, in the transaction of that action: if it fails, the approval stays.
pub fn consume(cx: &mut WriteContext<'_>, request_id: &ApprovalId, digest: &[u8; 32]) -> Result<()> {
    let found = cx.tx.approval(&cx.caller.tenant, request_id)?;
    let Some(mut approval) = found else {
        let message = "there is no such approval request: leave approval_id out to raise a new one";
        return Err(Error::new(Code::ApprovalInvalid, message).field("approval_id"));
    };
    require_usable(&approval, digest, cx.now)?;
    approval.used_at = Some(cx.now);
    approval.settled_at = Some(cx.now);
    cx.tx.put_approval(&cx.caller.tenant, &approval)?;
    record(cx, "approval.use", &approval)
}

/// Ends an approval that no longer applies, since a secret that its arguments name was replaced.
pub fn withdraw(cx: &mut WriteContext<'_>, mut approval: Approval) -> Result<()> {
    approval.used_at = Some(cx.now);
    approval.settled_at = Some(cx.now);
    cx.tx.put_approval(&cx.caller.tenant, &approval)?;
    record(cx, "approval.withdraw", &approval)
}

fn require_usable(approval: &Approval, digest: &[u8; 32], now: UnixMicros) -> Result<()> {
    let refused = |message: &str| {
        let error = Error::new(Code::ApprovalInvalid, message).field("approval_id");
        Err(error.with("approval_request_id", &approval.id))
    };
    // Compared first, so that the error reveals nothing about a request for another action.
    if !crypto::same(&approval.digest, digest) {
        let message = "the approval is for another call: session, tool, action, amount and details must be those that \
                       were approved";
        return Err(Error::new(Code::ApprovalInvalid, message).field("approval_id"));
    }
    match approval.status_at(now) {
        ApprovalStatus::Pending => Err(required(approval, &approval.reason)),
        ApprovalStatus::Denied => Err(denied(approval)),
        ApprovalStatus::Expired => refused("the approval request expired before it was decided: ask again"),
        ApprovalStatus::Approved if approval.used_at.is_some() => {
            refused("the approval was used already, and serves once: ask again")
        }
        ApprovalStatus::Approved if approval.is_over(now) => refused("the approval was not used in time: ask again"),
        ApprovalStatus::Approved => Ok(()),
    }
}

/// The error of a call that waits for an operator's decision. Its transaction is committed, with the request in it.
pub(super) fn required(approval: &Approval, why: &str) -> Error {
    let message = format!(
        "{why}: an operator must approve it first. Repeat the same call once request {} is approved",
        approval.id
    );
    Error::new(Code::ApprovalRequired, message)
        .with("status", Code::ApprovalRequired.name())
        .with("approval_request_id", &approval.id)
}

/// The error of a call that was denied.
pub(super) fn denied(approval: &Approval) -> Error {
    let note = match approval.decision_note.as_str() {
        "" => String::new(),
        note => format!(": {note}"),
    };
    let who = approval.decided_by.strip_prefix(ELICITED_PREFIX).unwrap_or("an operator");
    Error::new(Code::ApprovalInvalid, format!("{who} denied it{note}"))
        .with("approval_request_id", &approval.id)
        .with("decision_note", &approval.decision_note)
}
