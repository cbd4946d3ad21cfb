//! `denyRequest`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decide::{DecidedBy, Decision, Note, decide, open, optional_text};
use crate::{
    call::{WriteContext, WriteOperation},
    error::Result,
    model::{ApprovalId, ApprovalStatus},
};

/// Deny a request of an agent. The decision is final: a second one is refused. The same call stays refused until the request
/// would have ended.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DenyRequest {
    /// The request.
    request_id: ApprovalId,
    /// The name of the person who decides, shown to the agent. Default: the key's first characters.
    #[schemars(extend("default" = ""))]
    decided_by: Option<DecidedBy>,
    /// A note on the decision; the agent sees it.
    #[schemars(extend("default" = ""))]
    note: Option<Note>,
}

/// The decision.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RequestDenied {
    /// Always true.
    #[schemars(extend("const" = true))]
    denied: bool,
    /// The request.
    request_id: ApprovalId,
}

impl WriteOperation for DenyRequest {
    type Output = RequestDenied;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<RequestDenied> {
        let approval = open(cx, &self.request_id)?;
        let (status, decided_by, note) =
            (ApprovalStatus::Denied, optional_text(self.decided_by), optional_text(self.note));
        decide(cx, approval, Decision { status, decided_by, note, arguments: None })?;
        Ok(RequestDenied { denied: true, request_id: self.request_id })
    }
}
