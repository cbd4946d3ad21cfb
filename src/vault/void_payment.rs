//! `voidPayment`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::capture_payment::{PaymentSettled, require_open, settle};
use crate::{
    call::{WriteContext, WriteOperation},
    error::Result,
    model::{AuthorizationId, AuthorizationStatus, Money},
};

/// Cancel an authorized payment that was not made; all of it returns to the budget. Only an operator can.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VoidPayment {
    /// The authorization.
    authorization_id: AuthorizationId,
}

impl WriteOperation for VoidPayment {
    type Output = PaymentSettled;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<PaymentSettled> {
        let authorization = require_open(cx, &self.authorization_id)?;
        settle(cx, authorization, Money::ZERO, AuthorizationStatus::Voided)
    }
}
