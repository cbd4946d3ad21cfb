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
    call::{WriteContext, WriteOperation},
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

impl WriteOperation for ApproveRequest {
    type Output = RequestApproved;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<RequestApproved> {
        let approval = open(cx, &self.request_id)?;
        let given = self.arguments.as_deref().filter(|given| given.get() != "null");
        let arguments = given.map(|given| edited::checked(cx, &approval, given.get())).transpose()?.flatten();
        let (status, decided_by, note) = (ApprovalStatus::Approved, said(self.decided_by), said(self.note));
        decide(cx, approval, Decision { status, decided_by, note, arguments })?;
        Ok(RequestApproved { approved: true, request_id: self.request_id })
    }
}
