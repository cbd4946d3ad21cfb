//! Approvals: decisions of a person before an agent may act. Rules say which actions need one, an agent requests it, an
//! operator decides, and an approval serves once, for exactly the requested action.

pub mod add_approval_rule;
pub mod approve_request;
pub mod arguments;
pub mod consume;
pub mod decide;
pub mod delete_approval_rule;
pub mod deny_request;
pub mod detail;
pub mod edited;
pub mod enforce;
pub mod get_approval;
pub mod list_approval_rules;
pub mod list_approvals;
pub mod person;
pub mod raise;
pub mod request_approval;
pub mod requested_action;
mod steps;

pub use consume::{consume, withdraw};
pub use enforce::{enforce, has_rules, hold, need};
pub use raise::{announce, raise};
pub use requested_action::{ApprovalNeed, RequestedAction};
