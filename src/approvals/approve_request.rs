//! `approveRequest`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    decide::{DecidedBy, Decision, Note, decide, open, optional_text},
    edited,
};
use crate::{
    call::{OutwardContext, OutwardOperation, WriteContext},
    error::Result,
    model::{ApprovalId, ApprovalStatus},
};

/// Approve a request of an agent. The decision is final: a second one is refused. The approval serves once, for exactly the
/// requested action, until the request ends and for at least ten minutes. With `arguments`, a call of an upstream's tool is
/// made with those instead, when the agent repeats the call that it requested.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {
    /// The request.
    request_id: ApprovalId,
    /// The name of the person who decides, shown to the agent. Default: the key's first characters.
    #[schemars(extend("default" = ""))]
    decided_by: Option<DecidedBy>,
    /// A note on the decision; the agent sees it.
    #[schemars(extend("default" = ""))]
    note: Option<Note>,
    /// For a call of an upstream's tool: the arguments that replace the requested ones, an object that matches the tool's
    /// schema. The call passes all policies and budgets again, and its result tells the agent which arguments were changed.
    #[schemars(with = "Option<BTreeMap<String, serde_json::Value>>")]
    arguments: Option<Box<RawValue>>,
}

/// The decision.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RequestApproved {
    /// Always true.
    #[schemars(extend("const" = true))]
    approved: bool,
    /// The request.
    request_id: ApprovalId,
}

impl OutwardOperation for ApproveRequest {
    type Output = RequestApproved;

    async fn run(self, cx: OutwardContext) -> Result<RequestApproved> {
        let Self { request_id, decided_by, note, arguments } = self;
        let checked = match arguments.filter(|given| given.get() != "null") {
            Some(given) => edited::check(&cx, &request_id, given.get()).await?,
            None => None,
        };
        let (id, decided_by, note) = (request_id.clone(), optional_text(decided_by), optional_text(note));
        let approve = move |cx: &mut WriteContext<'_>| {
            let approval = open(cx, &id)?;
            let checked = checked.as_ref().map(|checked| checked.confirmed(cx, &approval));
            let arguments = checked.transpose()?.flatten();
            let (status, decided_by, note) = (ApprovalStatus::Approved, decided_by.clone(), note.clone());
            decide(cx, approval, Decision { status, decided_by, note, arguments })
        };
        let decided = cx.write(move |cx| match approve(cx) {
            // An expired request is settled in this transaction, which is committed.
            Err(error) if error.keeps_changes() => Ok(Err(error)),
            outcome => outcome.map(Ok),
        });
        decided.await??;
        Ok(RequestApproved { approved: true, request_id })
    }
}
