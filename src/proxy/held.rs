//! What is told of a call that waits for a person's decision.

use serde_json::json;

use crate::{error::Code, model::Held};

impl Held {
    /// What a client that cannot wait is told, as JSON.
    pub fn text(&self) -> String {
        self.text_after("")
    }

    /// The same, beginning with what has been tried, which is a sentence or nothing.
    pub fn text_after(&self, tried: &str) -> String {
        let Self { request_id, reason } = self;
        let space = if tried.is_empty() { "" } else { " " };
        let message = format!(
            "{tried}{space}The call was not made: a person has to approve it first. Tell the user that request \
             {request_id} waits for a decision (an operator decides with `haldir approvals approve {request_id}`, or \
             deny). Once they say that it is approved, repeat this call with exactly the same arguments: it is then made, \
             once. Other arguments would be another request."
        );
        json!({
            "status": Code::ApprovalRequired.name(), "request_id": request_id, "reason": reason, "message": message,
        })
        .to_string()
    }
}
