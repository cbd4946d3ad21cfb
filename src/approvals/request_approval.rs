//! `requestApproval`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    arguments::canonical,
    raise::{DEFAULT_TTL_SECONDS, MAX_TTL_SECONDS, raise},
    requested_action::{ApprovalNeed, RequestedAction, secret_versions},
};
use crate::{
    call::{WriteContext, WriteOperation, session},
    error::{Error, Result},
    model::{ApprovalId, ApprovalStatus, Money, SessionId, UnixMicros, text::Text},
};

/// Request an operator's approval. Read the decision with getApproval; it is bound to exactly the action of this request,
/// and serves once. To request a payment ahead of authorizePayment, give the tool `authorizePayment`, the payment's
/// description as action, and its amount.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestApproval {
    /// The session that it would be done in.
    session_id: SessionId,
    /// The tool that would be called.
    #[schemars(extend("default" = ""))]
    tool: Option<Text<0, 256>>,
    /// What would be done.
    #[schemars(extend("default" = ""))]
    action: Option<Text<0, 1024>>,
    /// What it would cost, in USD, with at most nine decimals.
    #[schemars(range(min = 0), extend("default" = 0))]
    amount: Option<Money>,
    /// The reason, for the person who decides.
    #[schemars(extend("default" = ""))]
    reason: Option<Text<0, 1024>>,
    /// More about it, such as the arguments of the call: text or any JSON, at most 64 KiB.
    #[schemars(with = "Option<serde_json::Value>")]
    details: Option<Box<RawValue>>,
    /// Seconds until the request ends without a decision; 0 is never. Default: 3600.
    #[schemars(range(min = 0, max = MAX_TTL_SECONDS), extend("default" = DEFAULT_TTL_SECONDS))]
    ttl: Option<i64>,
}

/// The request that was raised.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ApprovalRequested {
    /// Names the request.
    request_id: ApprovalId,
    /// Its status: pending.
    status: ApprovalStatus,
    /// When it ends, in Unix seconds; 0 is never.
    expires_at: UnixMicros,
}

impl WriteOperation for RequestApproval {
    type Output = ApprovalRequested;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<ApprovalRequested> {
        let amount = self.amount.unwrap_or_default();
        if amount.is_negative() {
            return Err(Error::invalid("amount", "amount must be at least 0"));
        }
        let ttl = self.ttl.unwrap_or(DEFAULT_TTL_SECONDS);
        if !(0..=MAX_TTL_SECONDS).contains(&ttl) {
            let message = format!("ttl must be from 0, for no end, to {MAX_TTL_SECONDS} seconds");
            return Err(Error::invalid("ttl", message));
        }
        let details = self.details.map(|details| canonical(details.get())).transpose()?;
        let session = session::require_valid(cx.tx, &cx.caller.tenant, &self.session_id, cx.now)?;
        let asked = RequestedAction {
            session: &session,
            tool: self.tool.as_ref().map_or("", Text::as_str),
            action: self.action.as_ref().map_or("", Text::as_str),
            amount,
            secrets: secret_versions(cx.tx, &cx.caller.tenant, details.as_deref().unwrap_or_default())?,
            details: details.as_deref().filter(|details| *details != "null"),
            destructive: false,
        };
        // Whether a rule requires an operator is checked when the approval is used.
        let need = ApprovalNeed { why: self.reason.map_or_else(String::new, Text::into_string), operator_only: false };
        let approval = raise(cx, &asked, &need, ttl)?;
        Ok(ApprovalRequested {
            request_id: approval.id,
            status: approval.status,
            expires_at: approval.expires_at.unwrap_or_default(),
        })
    }
}
