//! The step of edited arguments: where an operator approved other arguments, these replace the agent's from here on.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use super::{approval, filled, trace::Trace};
use crate::{
    approvals::{
        self,
        arguments::{Arguments, MAX_DETAILS_BYTES},
        edited::changed,
    },
    call::WriteContext,
    error::Result,
    model::{ApprovalId, ApprovalStatus, PinnedTool, Session},
};

const STEP: &str = "edited";
/// The member of a result's `_meta` that reports the edit to programs.
const META: &str = "io.haldir/edited_arguments";

/// A call whose arguments an operator has changed.
#[derive(Clone, Debug, Serialize)]
pub struct Edited {
    /// The approval.
    pub request_id: ApprovalId,
    /// The operator.
    pub decided_by: String,
    /// The operator's note.
    pub note: String,
    /// The names of the arguments that differ.
    pub changed: Vec<String>,
    /// The digest of the call that was asked for.
    #[serde(skip)]
    pub(super) asked: [u8; 32],
    /// The arguments to send.
    #[serde(skip)]
    pub(super) arguments: Arguments,
}

/// The approved edit of exactly this call, if there is one, not used and not expired.
pub(super) fn of(
    cx: &mut WriteContext<'_>,
    session: &Session,
    tool: &PinnedTool,
    arguments: &Arguments,
    trace: &mut Trace,
) -> Result<Option<Edited>> {
    let tenant = &cx.caller.tenant.clone();
    // Usually there is none, which needs no digest to know.
    if arguments.canonical().len() > MAX_DETAILS_BYTES || !cx.tx.has_edited_approval(tenant, cx.now)? {
        return Ok(None);
    }
    let name = tool.qualified();
    let digest = approval::asked(cx, session, tool, &name, arguments)?.digest()?;
    let found = cx.tx.approval_of(tenant, &digest, ApprovalStatus::Approved, cx.now)?;
    let Some(approval) = found else { return Ok(None) };
    let Some(text) = approval.arguments.clone() else { return Ok(None) };
    // The operator approved the secrets' values of that time.
    if filled::stored_after(cx.tx, tenant, &text, approval.decided_at)? {
        approvals::withdraw(cx, approval)?;
        return Ok(None);
    }
    let edited = Edited {
        changed: changed(arguments.canonical(), &text),
        request_id: approval.id,
        decided_by: approval.decided_by,
        note: approval.decision_note,
        asked: digest,
        arguments: Arguments::parse(&text)?,
    };
    let saw = json!({
        "request_id": edited.request_id, "changed": edited.changed, "asked_digest": arguments.digest(),
        "arguments_digest": edited.arguments.digest(),
    });
    trace.pass_by(STEP, edited.decided_by.clone(), saw);
    Ok(Some(edited))
}

/// Uses the approval, in the transaction of the call.
pub(super) fn use_up(cx: &mut WriteContext<'_>, edited: &Edited, trace: &mut Trace) -> Result<()> {
    approvals::consume(cx, &edited.request_id, &edited.asked)?;
    trace.pass("approval", json!({"request_id": edited.request_id}));
    Ok(())
}

impl Edited {
    /// What the agent is told.
    fn text(&self) -> String {
        let Self { decided_by, note, changed, .. } = self;
        let note = if note.is_empty() { String::new() } else { format!(" They noted: {note}") };
        format!(
            "haldir: this call was made with other arguments than you gave. {decided_by} approved it with changes to: {}. \
             The result is that of the changed call.{note}",
            changed.join(", ")
        )
    }

    /// Adds the edit to a tool's result: in `_meta` for programs, as one more text for the model.
    pub fn told_with(&self, result: Box<RawValue>) -> Box<RawValue> {
        let annotated = || -> Option<Box<RawValue>> {
            let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(result.get()).ok()?;
            let mut meta: BTreeMap<String, Box<RawValue>> = match members.get("_meta") {
                Some(meta) => serde_json::from_str(meta.get()).ok()?,
                None => BTreeMap::new(),
            };
            meta.insert(META.to_owned(), serde_json::value::to_raw_value(self).ok()?);
            members.insert("_meta".to_owned(), serde_json::value::to_raw_value(&meta).ok()?);
            if let Some(content) = members.get("content") {
                let mut parts: Vec<Box<RawValue>> = serde_json::from_str(content.get()).ok()?;
                let part = json!({"type": "text", "text": self.text()});
                parts.push(serde_json::value::to_raw_value(&part).ok()?);
                members.insert("content".to_owned(), serde_json::value::to_raw_value(&parts).ok()?);
            }
            serde_json::value::to_raw_value(&members).ok()
        };
        annotated().unwrap_or(result)
    }

    /// Adds the edit to a JSON-RPC error.
    pub fn told_with_error(&self, error: Box<RawValue>) -> Box<RawValue> {
        let annotated = || -> Option<Box<RawValue>> {
            let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(error.get()).ok()?;
            let message: String = serde_json::from_str(members.get("message")?.get()).ok()?;
            let message = Value::from(format!("{message} ({})", self.text()));
            members.insert("message".to_owned(), serde_json::value::to_raw_value(&message).ok()?);
            serde_json::value::to_raw_value(&members).ok()
        };
        annotated().unwrap_or(error)
    }
}
