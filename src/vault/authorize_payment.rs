//! `authorizePayment`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::budget::{self, BUDGET_CURRENCY};
use crate::{
    approvals::{self, RequestedAction},
    call::{WriteContext, WriteOperation, session},
    crypto,
    error::{Code, Error, Result},
    model::{
        ApprovalId, Authorization, AuthorizationId, AuthorizationStatus, Money, Scope, SessionId, UnixMicros, scope,
        text::Text,
    },
    watch::{self, Draft},
};

/// The tool name in approvals of payments.
const TOOL: &str = "authorizePayment";

/// Ask for permission to pay, before paying. The session must hold the scope spend, and the amount must fit what
/// is left of its budget and of every session above it; it is deducted at once. If authorized is false, do not
/// pay: the reason says why. If status is `approval_required`, a person has to approve it first: repeat the same call
/// later.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthorizePayment {
    /// The session that pays.
    session_id: SessionId,
    /// How much, more than 0, with at most nine decimals.
    #[schemars(extend("exclusiveMinimum" = 0))]
    amount: Money,
    /// ISO 4217 code. Budgets are in USD, and nothing is converted. Default: USD.
    #[schemars(regex(pattern = "^[A-Z]{3}$"), extend("default" = "USD"))]
    currency: Option<String>,
    /// What it is for.
    #[schemars(extend("default" = ""))]
    description: Option<Text<0, 1024>>,
    /// The approval to use, where one is needed. Default: one of exactly this payment, if there is one.
    approval_id: Option<ApprovalId>,
}

/// The decision.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PaymentResult {
    /// Whether the payment may be made.
    authorized: bool,
    /// How much was asked for, and if authorized is true, authorized.
    amount: Money,
    /// Its currency.
    currency: String,
    /// What is left of the session's budget, in USD; null without one. In a refusal, of the budget that refused.
    remaining_budget: Option<Money>,
    /// Why it was refused; empty if it was not.
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    /// `approval_required`, where the payment waits for a person's decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<PaymentStatus>,
    /// The approval request that the decision is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_request_id: Option<ApprovalId>,
    /// The id of the authorization, for capturePayment and voidPayment.
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_id: Option<AuthorizationId>,
    /// The session that pays.
    session_id: SessionId,
    /// Its agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// When it was decided, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<UnixMicros>,
}

/// The decision that a payment waits for.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// An operator has to approve it first.
    ApprovalRequired,
}

impl WriteOperation for AuthorizePayment {
    type Output = PaymentResult;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<PaymentResult> {
        let (session_id, amount, currency) = (self.session_id.clone(), self.amount, self.currency().to_owned());
        let error = match self.decide(cx) {
            Err(error) if error.is_refusal() => error,
            decided => return decided,
        };
        // A refusal is a `PaymentResult` as well: clients validate it against the tool's output schema.
        let error = if error.extra("remaining_budget").is_some() {
            error
        } else {
            let session = cx.tx.session(&cx.caller.tenant, &session_id)?;
            error.with("remaining_budget", session.and_then(|session| session.remaining()))
        };
        let reason = error.message.clone();
        Err(error
            .with("authorized", false)
            .with("reason", reason)
            .with("amount", amount)
            .with("currency", currency)
            .with("session_id", session_id.as_str()))
    }
}

impl AuthorizePayment {
    fn currency(&self) -> &str {
        self.currency.as_deref().unwrap_or(BUDGET_CURRENCY)
    }

    fn decide(self, cx: &mut WriteContext<'_>) -> Result<PaymentResult> {
        if self.amount <= Money::ZERO {
            return Err(Error::invalid("amount", "amount must be more than 0"));
        }
        let currency = self.currency().to_owned();
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(Error::invalid("currency", "currency must be an ISO 4217 code, such as USD"));
        }
        let session = session::require_valid(cx.tx, &cx.caller.tenant, &self.session_id, cx.now)?;
        session::require_scope(&session, &Scope::parse(scope::SPEND).map_err(Error::internal)?)?;
        if currency != BUDGET_CURRENCY {
            let message = format!("the budget is in {BUDGET_CURRENCY}, the payment in {currency}: it is not converted");
            return Err(Error::new(Code::CurrencyMismatch, message).field("currency"));
        }
        budget::require_left(cx, &session, self.amount)?;
        let asked = RequestedAction {
            session: &session,
            tool: TOOL,
            action: self.description.as_ref().map_or("", Text::as_str),
            amount: self.amount,
            details: None,
            secrets: Vec::new(),
            destructive: false,
        };
        approvals::enforce(cx, &asked, self.approval_id.as_ref())?;
        budget::deduct(cx, &session, self.amount)?;
        let id = crypto::token_at::<20>("auth_", cx.now.0).map_err(Error::internal)?;
        let authorization = Authorization {
            id: AuthorizationId::parse(id).map_err(Error::internal)?,
            session_id: session.id.clone(),
            agent_id: session.agent_id.clone(),
            amount: self.amount,
            captured: Money::ZERO,
            currency,
            description: self.description.map_or_else(String::new, Text::into_string),
            status: AuthorizationStatus::Authorized,
            created_at: cx.now,
            settled_at: None,
        };
        cx.tx.insert_authorization(&cx.caller.tenant, &authorization)?;
        let spent = session.spent.checked_add(self.amount).unwrap_or(session.spent);
        let result = PaymentResult {
            authorized: true,
            amount: self.amount,
            currency: authorization.currency,
            remaining_budget: session.spend_limit.map(|limit| limit.minus_floor_zero(spent)),
            status: None,
            approval_request_id: None,
            reason: String::new(),
            authorization_id: Some(authorization.id),
            session_id: authorization.session_id,
            agent_id: Some(authorization.agent_id.to_string()),
            description: Some(authorization.description),
            timestamp: Some(authorization.created_at),
        };
        watch::append(cx, Draft::governance("payment.authorize", Some(&session), &result)?)?;
        Ok(result)
    }
}
