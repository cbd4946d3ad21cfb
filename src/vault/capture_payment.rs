//! `capturePayment`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::budget;
use crate::{
    call::{WriteContext, WriteOperation},
    error::{Code, Error, Result},
    model::{Authorization, AuthorizationId, AuthorizationStatus, Money, SessionId, UnixMicros},
    watch::{self, Draft},
};

/// Settle an authorized payment at the amount that was paid, at most the authorized amount; the rest returns to the
/// budget. Only an operator can: an agent could refill its own budget with it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CapturePayment {
    /// The authorization.
    authorization_id: AuthorizationId,
    /// What was paid. Default: all that was authorized.
    #[schemars(extend("exclusiveMinimum" = 0))]
    amount: Option<Money>,
}

/// How the payment was settled.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PaymentSettled {
    /// The authorization.
    pub authorization_id: AuthorizationId,
    /// Its status now.
    pub status: AuthorizationStatus,
    /// What was authorized.
    pub amount: Money,
    /// What was paid of it.
    pub captured: Money,
    /// What returned to the budget.
    pub returned: Money,
    /// Its currency.
    pub currency: String,
    /// The session that pays.
    pub session_id: SessionId,
    /// When it was settled, in Unix seconds.
    pub timestamp: UnixMicros,
}

impl WriteOperation for CapturePayment {
    type Output = PaymentSettled;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<PaymentSettled> {
        let authorization = require_open(cx, &self.authorization_id)?;
        let captured = self.amount.unwrap_or(authorization.amount);
        if captured <= Money::ZERO || captured > authorization.amount {
            let message = format!("amount must be more than 0 and at most the {} authorized", authorization.amount);
            return Err(Error::invalid("amount", message));
        }
        settle(cx, authorization, captured, AuthorizationStatus::Captured)
    }
}

/// The authorization, if it is not settled yet.
pub fn require_open(cx: &WriteContext<'_>, id: &AuthorizationId) -> Result<Authorization> {
    let found = cx.tx.authorization(&cx.caller.tenant, id)?;
    let authorization = found.ok_or_else(|| Error::not_found("the authorization").field("authorization_id"))?;
    match authorization.status {
        AuthorizationStatus::Authorized => Ok(authorization),
        AuthorizationStatus::Captured => Err(Error::new(Code::Conflict, "the payment was captured already")),
        AuthorizationStatus::Voided => Err(Error::new(Code::Conflict, "the payment was voided already")),
    }
}

/// Settles at `captured`; the rest returns to the budget.
pub fn settle(
    cx: &mut WriteContext<'_>,
    authorization: Authorization,
    captured: Money,
    status: AuthorizationStatus,
) -> Result<PaymentSettled> {
    let returned = authorization.amount.minus_floor_zero(captured);
    budget::give_back(cx, &authorization.session_id, returned, authorization.created_at)?;
    let authorization = Authorization { captured, status, settled_at: Some(cx.now), ..authorization };
    cx.tx.settle_authorization(&cx.caller.tenant, &authorization)?;
    let session = cx.tx.session(&cx.caller.tenant, &authorization.session_id)?;
    let settled = PaymentSettled {
        authorization_id: authorization.id,
        status,
        amount: authorization.amount,
        captured,
        returned,
        currency: authorization.currency,
        session_id: authorization.session_id,
        timestamp: cx.now,
    };
    let action = if status == AuthorizationStatus::Voided { "payment.void" } else { "payment.capture" };
    watch::append(cx, Draft::governance(action, session.as_deref(), &settled)?)?;
    Ok(settled)
}
