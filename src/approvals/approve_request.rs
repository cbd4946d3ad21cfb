//! `approveRequest`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    decide::{DecidedBy, Decision, Note, decide, open, said},
    edited,
};
use crate::{
    call::{OutwardContext, OutwardOperation, WriteContext},
    error::Result,
    model::{ApprovalId, ApprovalStatus},
};

/// Approve a request of an agent. A decision stands: the second one is refused, whichever it is. It may be done once, exactly as it was asked, until the request ends, and for at least ten minutes. With arguments, a call of an upstream's tool is made with those instead, when the agent repeats the call that it asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {
    /// The request.
    request_id: ApprovalId,
    /// Who decides, as the agent sees it. Default: the key's first characters.
    #[serde(default)]
    #[schemars(extend("default" = ""))]
    decided_by: Option<DecidedBy>,
    /// What there is to say about it; the agent sees it.
    #[serde(default)]
    #[schemars(extend("default" = ""))]
    note: Option<Note>,
    /// For a call of an upstream's tool: what it is called with instead of what was asked for, an object as the tool's
    /// schema says. It passes all policies and budgets again, and the agent is told which arguments were changed.
    #[serde(default)]
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
        let id = request_id.clone();
        let approve = move |cx: &mut WriteContext<'_>| {
            let approval = open(cx, &id)?;
            let arguments = checked.map(|checked| checked.confirmed(cx, &approval)).transpose()?.flatten();
            let (status, decided_by, note) = (ApprovalStatus::Approved, said(decided_by), said(note));
            decide(cx, approval, Decision { status, decided_by, note, arguments })
        };
        let decided = cx.write(move |cx| match approve(cx) {
            // That the request has expired is found here, and stays found.
            Err(error) if error.keeps_changes() => Ok(Err(error)),
            outcome => outcome.map(Ok),
        });
        decided.await??;
        Ok(RequestApproved { approved: true, request_id })
    }
}
