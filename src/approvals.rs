//! Approvals: what a person decides before an agent may do it. Rules say what needs one, an agent asks, an operator
//! decides once, and what was approved can be done once, exactly as it was asked.

pub mod add_approval_rule;
pub mod approve_request;
pub mod asked;
pub mod consume;
pub mod decide;
pub mod delete_approval_rule;
pub mod deny_request;
pub mod detail;
pub mod edited;
pub mod enforce;
pub mod get_approval;
pub mod list_approval_rules;
pub mod list_decided_approvals;
pub mod list_pending_approvals;
pub mod person;
pub mod raise;
pub mod request_approval;
mod steps;

pub use asked::Asked;
pub use consume::{consume, withdraw};
pub use enforce::{Need, enforce, has_rules, hold, need};
pub use raise::{announce, raise};
