//! Approvals: what a person is asked to decide, and the rules that say when they are asked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AgentId, ApprovalId, Money, RuleId, SessionId, UnixMicros};

/// Where a request stands. It leaves `pending` once, and never changes after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalStatus {
    /// Nobody has decided yet.
    Pending,
    /// An operator said yes: it can be used once.
    Approved,
    /// An operator said no.
    Denied,
    /// Its time ran out before anybody decided.
    Expired,
}

impl ApprovalStatus {
    /// As written on the wire.
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
    /// Why it is asked.
    pub reason: String,
    /// JSON text; `None` where there are none.
    pub details: Option<String>,
    /// Of exactly what was asked: tool, action, amount, details, session.
    pub digest: [u8; 32],
    /// As it was decided; whether its time has run out is for [`Self::status_at`] to say.
    pub status: ApprovalStatus,
    pub created_at: UnixMicros,
    /// `None` is never.
    pub expires_at: Option<UnixMicros>,
    pub decided_at: Option<UnixMicros>,
    /// Empty until it is decided.
    pub decided_by: String,
    /// Empty unless whoever decided left one.
    pub decision_note: String,
    /// When what was approved was done.
    pub used_at: Option<UnixMicros>,
    /// When it was over and done with: used, denied or expired.
    pub settled_at: Option<UnixMicros>,
    /// Whether a rule wants an operator to decide, not the person at the agent's client.
    pub operator_only: bool,
    /// What an operator put in place of the details, as JSON text; `None` where it was approved as asked.
    pub arguments: Option<String>,
}

impl Approval {
    /// Whether its time has run out.
    pub fn is_over(&self, now: UnixMicros) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Where it stands now.
    pub fn status_at(&self, now: UnixMicros) -> ApprovalStatus {
        if self.status == ApprovalStatus::Pending && self.is_over(now) { ApprovalStatus::Expired } else { self.status }
    }

    /// Whether what was asked may be done now: approved, in time, and not done yet.
    pub fn is_usable(&self, now: UnixMicros) -> bool {
        self.status == ApprovalStatus::Approved && self.used_at.is_none() && !self.is_over(now)
    }
}

/// A call that waits for a person's decision. The same call succeeds once it is approved.
#[derive(Clone, Debug)]
pub struct Held {
    /// Names the approval request.
    pub request_id: String,
    /// Why it is asked.
    pub reason: String,
}

/// What the person at an agent's client answered, whom haldir asked through it.
#[derive(Clone, Debug)]
pub struct Person {
    /// What they were asked about.
    pub request_id: ApprovalId,
    /// The client that asked them, as it names itself.
    pub client: String,
    /// What they had to say about it.
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

/// A rule that says what needs an approval.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct ApprovalRule {
    pub id: RuleId,
    pub rule_type: RuleType,
    /// Of `spend_over`; else zero.
    pub threshold: Money,
    /// Of `tool_blocked`; else empty.
    pub tools: Vec<String>,
    /// Whether an operator has to decide, not the person at the agent's client.
    pub operator_only: bool,
    pub created_at: UnixMicros,
    /// The principal that added it.
    pub created_by: String,
}
