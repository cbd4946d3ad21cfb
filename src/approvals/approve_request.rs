//! `approveRequest`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decide::{DecidedBy, Note, decide};
use crate::{
    call::{WriteContext, WriteOperation},
    error::Result,
    model::{ApprovalId, ApprovalStatus},
};

/// Approve a request of an agent. A decision stands: the second one is refused, whichever it is. It may be done once, exactly as it was asked, until the request ends, and for at least ten minutes.
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
        decide(cx, &self.request_id, ApprovalStatus::Approved, self.decided_by, self.note)?;
        Ok(RequestApproved { approved: true, request_id: self.request_id })
    }
}
