//! An approval request as operations show it.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::edited;
use crate::{
    error::{Error, Result},
    model::{Approval, ApprovalId, ApprovalStatus, Money, SessionId, UnixMicros},
    watch::canonical::hex,
};

/// A request, and what became of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalDetail {
    /// Names the request.
    pub request_id: ApprovalId,
    /// Its status.
    pub status: ApprovalStatus,
    /// Whether the action may be done now: approved, not expired, and not done yet.
    pub usable: bool,
    /// The session of the action.
    pub session_id: SessionId,
    /// Its agent.
    pub agent_id: String,
    /// The tool that would be called.
    pub tool: String,
    /// What would be done.
    pub action: String,
    /// What it would cost, in USD.
    pub amount: Money,
    /// The reason for the request.
    pub reason: String,
    /// More about it; null if there is nothing.
    #[schemars(with = "serde_json::Value")]
    pub details: Option<Box<RawValue>>,
    /// BLAKE3 over the requested action, in hexadecimal: an approval serves for no other action.
    pub digest: String,
    /// When it was asked, in Unix seconds.
    pub created_at: UnixMicros,
    /// When it ends, decided or not, in Unix seconds; 0 is never.
    pub expires_at: UnixMicros,
    /// The person who decided; empty while it is pending.
    pub decided_by: String,
    /// The note on the decision; empty while it is pending.
    pub decision_note: String,
    /// When it was decided, in Unix seconds; null while it is pending.
    pub decided_at: Option<UnixMicros>,
    /// When the approval was used, in Unix seconds; null until then.
    pub used_at: Option<UnixMicros>,
    /// Whether a rule requires an operator to decide, not the person at the agent's client.
    pub operator_only: bool,
    /// The arguments with which an operator replaced the details; null where it was approved unchanged.
    #[schemars(with = "serde_json::Value")]
    pub arguments: Option<Box<RawValue>>,
    /// The names of the arguments that the operator changed.
    pub changed: Vec<String>,
}

/// A request, and the one like it that was approved last.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ApprovalWithLast {
    /// The request.
    #[serde(flatten)]
    pub request: ApprovalDetail,
    /// The last approved request of the same agent, tool and action before this one; null if there is none.
    pub last_approved: Option<LastApproved>,
}

impl<'de> Deserialize<'de> for ApprovalWithLast {
    /// Reads the text twice: serde cannot flatten fields that are kept as JSON text, such as amounts and details.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Last {
            last_approved: Option<LastApproved>,
        }
        let text = Box::<RawValue>::deserialize(deserializer)?;
        let request = serde_json::from_str(text.get()).map_err(serde::de::Error::custom)?;
        let Last { last_approved } = serde_json::from_str(text.get()).map_err(serde::de::Error::custom)?;
        Ok(Self { request, last_approved })
    }
}

/// A request that was approved earlier. Times are Unix seconds.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LastApproved {
    /// Names the request.
    pub request_id: ApprovalId,
    /// The person who approved it.
    pub decided_by: String,
    /// When that was.
    pub decided_at: UnixMicros,
    /// What it cost, in USD.
    pub amount: Money,
    /// What was approved: its details, or the arguments with which an operator replaced them; null without details.
    #[schemars(with = "serde_json::Value")]
    pub details: Option<Box<RawValue>>,
}

impl ApprovalWithLast {
    /// How `approval` looks at `now`, beside `last`.
    pub fn new(approval: Approval, last: Option<Approval>, now: UnixMicros) -> Result<Self> {
        let last_approved = last.map(LastApproved::new).transpose()?;
        Ok(Self { request: ApprovalDetail::new(approval, now)?, last_approved })
    }
}

impl LastApproved {
    fn new(approval: Approval) -> Result<Self> {
        Ok(Self {
            request_id: approval.id,
            decided_by: approval.decided_by,
            decided_at: approval.decided_at.unwrap_or_default(),
            amount: approval.amount,
            details: raw(approval.arguments.or(approval.details))?,
        })
    }
}

fn raw(json: Option<String>) -> Result<Option<Box<RawValue>>> {
    json.map(RawValue::from_string).transpose().map_err(Error::internal)
}

impl ApprovalDetail {
    /// How `approval` looks at `now`.
    pub fn new(approval: Approval, now: UnixMicros) -> Result<Self> {
        let changed = match &approval.arguments {
            Some(arguments) => edited::changed(edited::asked(&approval), arguments),
            None => Vec::new(),
        };
        Ok(Self {
            status: approval.status_at(now),
            usable: approval.is_usable(now),
            request_id: approval.id,
            session_id: approval.session_id,
            agent_id: approval.agent_id.to_string(),
            tool: approval.tool,
            action: approval.action,
            amount: approval.amount,
            reason: approval.reason,
            details: raw(approval.details)?,
            digest: hex(&approval.digest),
            created_at: approval.created_at,
            expires_at: approval.expires_at.unwrap_or_default(),
            decided_by: approval.decided_by,
            decision_note: approval.decision_note,
            decided_at: approval.decided_at,
            used_at: approval.used_at,
            operator_only: approval.operator_only,
            arguments: raw(approval.arguments)?,
            changed,
        })
    }
}
