//! `listPendingApprovals`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::detail::ApprovalDetail;
use crate::{
    call::{ReadContext, ReadOperation, page_size},
    error::Result,
    model::{AgentId, TimeCursor},
    store::ApprovalQuery,
};

/// Requests in one answer.
const MAX_LIMIT: i64 = 1_000;

/// List the approval requests that wait for a decision, newest first. Expired ones are left out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListPendingApprovals {
    /// Only this agent's.
    #[serde(default)]
    agent_id: Option<AgentId>,
    /// How many at most. Default 100.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000), extend("default" = 100))]
    limit: Option<i64>,
    /// Where the last answer ended: its `next_cursor`.
    #[serde(default)]
    cursor: Option<TimeCursor>,
}

/// A page of requests.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PendingApprovals {
    /// How many are in this answer.
    pub count: usize,
    /// Newest first.
    pub requests: Vec<ApprovalDetail>,
    /// Give it as cursor to go on; null at the end.
    pub next_cursor: Option<String>,
}

impl ReadOperation for ListPendingApprovals {
    type Output = PendingApprovals;

    fn run(self, cx: &ReadContext<'_>) -> Result<PendingApprovals> {
        let limit = page_size(self.limit, MAX_LIMIT)?;
        let before = self.cursor.map(|TimeCursor(at, id)| (at, id));
        let query = ApprovalQuery { decided: false, agent_id: self.agent_id, before, now: cx.now, limit };
        let (approvals, more) = cx.tx.approvals(&cx.caller.tenant, &query)?;
        let last = approvals.last().filter(|_| more);
        let next_cursor = last.map(|approval| format!("{}.{}", approval.created_at.0, approval.id));
        let requests: Vec<_> =
            approvals.into_iter().map(|approval| ApprovalDetail::new(approval, cx.now)).collect::<Result<_>>()?;
        Ok(PendingApprovals { count: requests.len(), requests, next_cursor })
    }
}
