//! Vault: secrets sealed at rest, and payments against budgets.

pub mod authorize_payment;
pub mod budget;
pub mod capture_payment;
mod daily;
pub mod delete_secret;
pub mod get_secret;
pub mod list_payments;
pub mod list_secrets;
mod replacing;
pub mod sealing;
pub mod store_secret;
pub mod void_payment;
