//! `listPendingApprovals` and `listDecidedApprovals`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::detail::ApprovalDetail;
use crate::{
    call::{ReadContext, ReadOperation, page_size},
    error::Result,
    model::{AgentId, Approval, TimeCursor},
    store::ApprovalQuery,
};

/// Requests in one response.
const MAX_LIMIT: i64 = 1_000;

/// A page of requests to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Page {
    /// Only this agent's.
    agent_id: Option<AgentId>,
    /// How many at most. Default 100.
    #[schemars(range(min = 1, max = 1_000), extend("default" = 100))]
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    cursor: Option<TimeCursor>,
}

/// List the approval requests that wait for a decision, newest first, without expired ones.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ListPendingApprovals(Page);

/// List the approval requests that were approved or denied, the newest decision first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ListDecidedApprovals(Page);

/// A page of requests.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalList {
    /// How many are in this response.
    pub count: usize,
    /// The newest first: pending ones by request, decided ones by decision.
    pub requests: Vec<ApprovalDetail>,
    /// The cursor of the next page; null on the last page.
    pub next_cursor: Option<String>,
}

impl Page {
    fn list(self, cx: &ReadContext<'_>, decided: bool) -> Result<ApprovalList> {
        let limit = page_size(self.limit, MAX_LIMIT)?;
        let before = self.cursor.map(|TimeCursor(at, id)| (at, id));
        let query = ApprovalQuery { decided, agent_id: self.agent_id, before, now: cx.now, limit };
        let (approvals, more) = cx.tx.approvals(&cx.caller.tenant, &query)?;
        let time =
            |approval: &Approval| if decided { approval.decided_at.unwrap_or_default() } else { approval.created_at };
        let last = approvals.last().filter(|_| more);
        let next_cursor = last.map(|approval| format!("{}.{}", time(approval).0, approval.id));
        let requests: Vec<_> =
            approvals.into_iter().map(|approval| ApprovalDetail::new(approval, cx.now)).collect::<Result<_>>()?;
        Ok(ApprovalList { count: requests.len(), requests, next_cursor })
    }
}

impl ReadOperation for ListPendingApprovals {
    type Output = ApprovalList;

    fn run(self, cx: &ReadContext<'_>) -> Result<ApprovalList> {
        self.0.list(cx, false)
    }
}

impl ReadOperation for ListDecidedApprovals {
    type Output = ApprovalList;

    fn run(self, cx: &ReadContext<'_>) -> Result<ApprovalList> {
        self.0.list(cx, true)
    }
}
