//! A request for the tests of this folder.

use crate::approvals::detail::ApprovalDetail;

/// A request for a call with these arguments.
pub fn request(details: &str) -> ApprovalDetail {
    let text = format!(
        r#"{{"request_id": "apr_1", "status": "pending", "usable": false, "session_id": "ses_1", "agent_id": "bot",
        "tool": "mail.send", "action": "call", "amount": 2.5, "reason": "rule", "details": {details}, "digest": "",
        "created_at": 1000, "expires_at": 1900, "decided_by": "", "decision_note": "", "operator_only": false,
        "changed": []}}"#
    );
    serde_json::from_str(&text).unwrap()
}
