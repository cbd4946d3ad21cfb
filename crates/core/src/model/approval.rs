//! Approval requests, and the rules that require them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AgentId, ApprovalId, Money, RuleId, SessionId, UnixMicros};

/// The status of a request. It leaves `pending` once, and never changes after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalStatus {
    /// Not decided yet.
    Pending,
    /// Approved: it can be used once.
    Approved,
    /// Denied.
    Denied,
    /// It expired before a decision.
    Expired,
}

impl ApprovalStatus {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
        }
    }
}

/// A request that an operator decides.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Approval {
    pub id: ApprovalId,
    pub session_id: SessionId,
    pub agent_id: AgentId,
    pub tool: String,
    pub action: String,
    pub amount: Money,
    /// The reason.
    pub reason: String,
    /// JSON text; `None` where there are none.
    pub details: Option<String>,
    /// The digest of the requested action: tool, action, amount, details, session.
    pub digest: [u8; 32],
    /// The decision. [`Self::status_at`] also takes the expiry into account.
    pub status: ApprovalStatus,
    pub created_at: UnixMicros,
    /// `None` is never.
    pub expires_at: Option<UnixMicros>,
    pub decided_at: Option<UnixMicros>,
    /// Empty until it is decided.
    pub decided_by: String,
    /// The note on the decision; empty without one.
    pub decision_note: String,
    /// When the approval was used.
    pub used_at: Option<UnixMicros>,
    /// When it was settled: used, denied or expired.
    pub settled_at: Option<UnixMicros>,
    /// Whether a rule requires an operator to decide, not the person at the agent's client.
    pub operator_only: bool,
    /// The arguments with which an operator replaced the details, as JSON text; `None` where it was approved unchanged.
    pub arguments: Option<String>,
}

impl Approval {
    /// Whether it has expired.
    pub fn is_over(&self, now: UnixMicros) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Its status now.
    pub fn status_at(&self, now: UnixMicros) -> ApprovalStatus {
        if self.status == ApprovalStatus::Pending && self.is_over(now) { ApprovalStatus::Expired } else { self.status }
    }

    /// Whether the action may be done now: approved, not expired, and not done yet.
    pub fn is_usable(&self, now: UnixMicros) -> bool {
        self.status == ApprovalStatus::Approved && self.used_at.is_none() && !self.is_over(now)
    }
}

/// A call that waits for a person's decision. The same call succeeds once it is approved.
#[derive(Clone, Debug)]
pub struct PendingApproval {
    /// The id of the approval request.
    pub request_id: String,
    /// The reason.
    pub reason: String,
}

/// The response of the person at an agent's client, whom haldir asked by elicitation.
#[derive(Clone, Debug)]
pub struct ElicitationResponse {
    /// The approval request.
    pub request_id: ApprovalId,
    /// The name that the client gives itself.
    pub client: String,
    /// The person's note.
    pub note: String,
}

/// The kinds of rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleType {
    /// A payment of more than `threshold` USD.
    SpendOver,
    /// A call of one of `tools`.
    ToolBlocked,
    /// A call that destroys or overwrites something.
    Destructive,
    /// Everything.
    All,
}

/// A rule that requires an approval.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct ApprovalRule {
    pub id: RuleId,
    pub rule_type: RuleType,
    /// Of `spend_over`; else zero.
    pub threshold: Money,
    /// Of `tool_blocked`; else empty.
    pub tools: Vec<String>,
    /// Whether an operator must decide, not the person at the agent's client.
    pub operator_only: bool,
    pub created_at: UnixMicros,
    /// The principal that added it.
    pub created_by: String,
}
