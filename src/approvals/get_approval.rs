//! `getApproval`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::detail::ApprovalWithLast;
use crate::{
    call::{LongPollOperation, MAX_WAIT_SECONDS, PollOutcome, ReadContext},
    error::{Error, Result},
    model::{ApprovalId, ApprovalStatus},
};

/// Look at an approval request. With wait, the answer is held back until the request is decided or has expired, or
/// that many seconds have passed, so that no client has to poll.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetApproval {
    /// The request.
    request_id: ApprovalId,
    /// Seconds to wait for a decision. Default: 0. A server on which too many wait already answers at once.
    #[schemars(range(min = 0, max = MAX_WAIT_SECONDS), extend("default" = 0))]
    wait: Option<i64>,
}

impl LongPollOperation for GetApproval {
    type Output = ApprovalWithLast;

    fn wait_seconds(&self) -> Result<i64> {
        let wait = self.wait.unwrap_or(0);
        if (0..=MAX_WAIT_SECONDS).contains(&wait) {
            Ok(wait)
        } else {
            Err(Error::invalid("wait", format!("wait must be from 0 to {MAX_WAIT_SECONDS} seconds")))
        }
    }

    fn poll(&self, cx: &ReadContext<'_>) -> Result<PollOutcome<ApprovalWithLast>> {
        let approval = cx.tx.approval(&cx.caller.tenant, &self.request_id)?;
        let approval = approval.ok_or_else(|| Error::not_found("the approval request").field("request_id"))?;
        let is_open = approval.status_at(cx.now) == ApprovalStatus::Pending;
        let last = cx.tx.last_approved(&cx.caller.tenant, &approval)?;
        let detail = ApprovalWithLast::new(approval, last, cx.now)?;
        Ok(if is_open { PollOutcome::Pending(detail) } else { PollOutcome::Final(detail) })
    }
}
