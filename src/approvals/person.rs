//! Decisions of the person at the agent's client, which haldir asked by elicitation: the person's, never the model's.

use super::decide::{Decision, ELICITED_PREFIX, decide};
use crate::{
    call::WriteContext,
    crypto,
    error::Result,
    model::{Approval, ApprovalId, ApprovalStatus, Caller, ElicitationResponse},
};

/// The actor in the audit log.
const PRINCIPAL: &str = "elicitation";
/// Characters of a client's name, and of the person's note, that are kept.
const MAX_CLIENT_CHARS: usize = 80;
const MAX_NOTE_CHARS: usize = 500;

/// Dialogs about one request, in all processes together. After that an operator decides.
const MAX_DIALOGS: u32 = 3;

/// Whether the person may be asked about this request once more; counts the dialog.
pub fn may_be_asked(cx: &mut WriteContext<'_>, id: &ApprovalId) -> Result<bool> {
    let tenant = cx.caller.tenant.clone();
    Ok(cx.tx.count_dialog(&tenant, id, MAX_DIALOGS)?)
}

/// Records the person's approval, if the request is pending, has this digest, and needs no operator.
pub(super) fn approve(cx: &mut WriteContext<'_>, person: &ElicitationResponse, digest: &[u8; 32]) -> Result<bool> {
    let Some(approval) = open(cx, person)?.filter(|approval| crypto::same(&approval.digest, digest)) else {
        return Ok(false);
    };
    decided(cx, person, approval, ApprovalStatus::Approved)?;
    Ok(true)
}

/// Records the person's denial, if the request is pending and needs no operator.
pub fn deny(cx: &mut WriteContext<'_>, person: &ElicitationResponse) -> Result<()> {
    match open(cx, person)? {
        Some(approval) => decided(cx, person, approval, ApprovalStatus::Denied),
        None => Ok(()),
    }
}

fn open(cx: &WriteContext<'_>, person: &ElicitationResponse) -> Result<Option<Approval>> {
    let found = cx.tx.approval(&cx.caller.tenant, &person.request_id)?;
    let is_open =
        |approval: &Approval| approval.status_at(cx.now) == ApprovalStatus::Pending && !approval.operator_only;
    Ok(found.filter(is_open))
}

fn decided(
    cx: &mut WriteContext<'_>,
    person: &ElicitationResponse,
    approval: Approval,
    status: ApprovalStatus,
) -> Result<()> {
    let caller = Caller { principal: PRINCIPAL.to_owned(), ..cx.caller.clone() };
    let mut cx = WriteContext { tx: &mut *cx.tx, caller: &caller, now: cx.now, services: cx.services };
    let decided_by =
        format!("{ELICITED_PREFIX}the person at {}", shortened(&person.client, MAX_CLIENT_CHARS, "a client"));
    let note = shortened(&person.note, MAX_NOTE_CHARS, "");
    decide(&mut cx, approval, Decision { status, decided_by, note, arguments: None })
}

fn shortened(text: &str, max: usize, empty: &str) -> String {
    let kept: String = text.chars().filter(|c| !c.is_control()).take(max).collect();
    if kept.trim().is_empty() { empty.to_owned() } else { kept }
}
