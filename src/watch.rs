//! Watch: the audit log. Every action of an agent and every decision of haldir is an entry in a per-tenant chain
//! that nobody, the operator included, can rewrite unnoticed.

pub mod ahead_of_clock;
pub mod anomaly;
pub mod append;
pub mod chain;
mod check;
pub mod erase_agent;
mod erase_records;
pub mod erase_session;
pub mod erasing;
pub mod export;
pub mod export_audit;
pub mod export_bundle;
pub mod get_audit_entry;
pub mod get_audit_retention;
pub mod get_audit_stats;
pub mod get_audit_trail;
pub mod get_checkpoint;
pub mod get_consistency_proof;
pub mod get_export_manifest;
pub mod get_inclusion_proof;
pub mod get_metrics;
pub mod get_overview;
pub mod get_spend;
pub mod get_tile;
pub mod get_tree_head;
pub mod list_erasures;
pub mod list_log_keys;
pub mod list_retention_checkpoints;
pub mod list_tree_heads;
pub mod log_action;
mod period;
pub mod prune_audit_details;
pub mod retention;
pub mod set_audit_retention;
pub mod tree;
pub mod verify_audit_trail;
pub mod verify_log;
pub mod verify_tree_heads;

pub use append::{Draft, Event, append};
pub use haldir_verify::{bundle, canonical};
