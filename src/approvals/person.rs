//! The person at the agent's client, whom haldir asked through it: their yes or no, never that of the model.

use super::decide::{Decision, decide};
use crate::{
    call::WriteContext,
    crypto,
    error::Result,
    model::{Approval, ApprovalId, ApprovalStatus, Caller, Person},
};

/// Who is in the log as the one that decided.
const PRINCIPAL: &str = "elicitation";
/// What `decided_by` begins with.
pub(super) const PREFIX: &str = "elicitation: ";
/// Characters of a client's name, and of what the person said, that are kept.
const MAX_CLIENT_CHARS: usize = 80;
const MAX_NOTE_CHARS: usize = 500;

/// Times that a person is asked about one request, in all processes together. After that an operator decides.
const MAX_DIALOGS: u32 = 3;

/// Whether they may be asked about this once more; that they are is counted.
pub fn may_be_asked(cx: &mut WriteContext<'_>, id: &ApprovalId) -> Result<bool> {
    let tenant = cx.caller.tenant.clone();
    Ok(cx.tx.count_dialog(&tenant, id, MAX_DIALOGS)?)
}

/// Decides their yes, if the request is still open, asks for exactly this, and is one that they may decide.
pub(super) fn approve(cx: &mut WriteContext<'_>, person: &Person, digest: &[u8; 32]) -> Result<bool> {
    let Some(approval) = open(cx, person)?.filter(|approval| crypto::same(&approval.digest, digest)) else {
        return Ok(false);
    };
    decided(cx, person, approval, ApprovalStatus::Approved)?;
    Ok(true)
}

/// Decides their no, if the request is still open and one that they may decide.
pub fn deny(cx: &mut WriteContext<'_>, person: &Person) -> Result<()> {
    match open(cx, person)? {
        Some(approval) => decided(cx, person, approval, ApprovalStatus::Denied),
        None => Ok(()),
    }
}

fn open(cx: &WriteContext<'_>, person: &Person) -> Result<Option<Approval>> {
    let found = cx.tx.approval(&cx.caller.tenant, &person.request_id)?;
    let is_open =
        |approval: &Approval| approval.status_at(cx.now) == ApprovalStatus::Pending && !approval.operator_only;
    Ok(found.filter(is_open))
}

fn decided(cx: &mut WriteContext<'_>, person: &Person, approval: Approval, status: ApprovalStatus) -> Result<()> {
    let caller = Caller { principal: PRINCIPAL.to_owned(), ..cx.caller.clone() };
    let mut cx = WriteContext { tx: &mut *cx.tx, caller: &caller, now: cx.now, services: cx.services };
    let decided_by = format!("{PREFIX}the person at {}", shortened(&person.client, MAX_CLIENT_CHARS, "a client"));
    let note = shortened(&person.note, MAX_NOTE_CHARS, "");
    decide(&mut cx, approval, Decision { status, decided_by, note, arguments: None })
}

fn shortened(text: &str, max: usize, empty: &str) -> String {
    let kept: String = text.chars().filter(|c| !c.is_control()).take(max).collect();
    if kept.trim().is_empty() { empty.to_owned() } else { kept }
}
