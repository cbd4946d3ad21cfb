//! The response to a call that waits for a person's decision.

use serde_json::{Value, json};

use super::PendingApproval;
use crate::error::Code;

impl PendingApproval {
    /// The response for a client that cannot wait: sentences for the model, then JSON.
    pub fn text(&self) -> String {
        self.text_after("")
    }

    /// The same, beginning with `tried`, a sentence or nothing.
    pub fn text_after(&self, tried: &str) -> String {
        let space = if tried.is_empty() { "" } else { " " };
        format!("{tried}{space}{}\n{}", self.message(), self.json())
    }

    /// The JSON of the REST response.
    pub fn json(&self) -> String {
        let Self { request_id, reason } = self;
        let status = Code::ApprovalRequired.name();
        json!({"status": status, "request_id": request_id, "reason": reason, "message": self.message()}).to_string()
    }

    /// Parses the output of [`PendingApproval::json`] from another haldir.
    pub fn from_json(text: &str) -> Option<Self> {
        let facts: Value = serde_json::from_str(text).ok()?;
        let text = |name: &str| facts[name].as_str().map(str::to_owned);
        if facts["status"] != Code::ApprovalRequired.name() {
            return None;
        }
        Some(Self { request_id: text("request_id")?, reason: text("reason")? })
    }

    /// The message for a person or a model.
    pub fn message(&self) -> String {
        let request_id = &self.request_id;
        format!(
            "The call was not made: a person has to approve it first. Tell the user that request {request_id} waits for \
             a decision (an operator decides with `haldir approvals approve {request_id}`, or deny). Once they say that \
             it is approved, repeat this call with exactly the same arguments: it is then made, once. Other arguments \
             would be another request."
        )
    }
}
