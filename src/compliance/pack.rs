//! The evidence pack and its sections.
//!
//! Amounts are decimal text and numbers are integers, so that the RFC 8785 form is the same in every implementation.

use std::collections::BTreeMap;

use haldir_verify::pack::Signatures;
use schemars::JsonSchema;
use serde::Serialize;

use super::statements::Control;
use crate::model::{Role, TenantId, Tier};

/// Evidence about one period. Times are ISO 8601 in UTC; amounts are decimal text, in USD.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Pack {
    /// The version of its members and texts.
    pub format_version: i64,
    /// The disclaimer.
    pub disclaimer: &'static str,
    /// When it was made: the only difference between two packs of the same closed period.
    pub generated_at: String,
    /// Where the period begins.
    pub period_start: String,
    /// Where it ends; this second is not included.
    pub period_end: String,
    /// The tenant.
    pub tenant_id: TenantId,
    /// The criterion of each section and what it does not show, by the section's name.
    pub controls: BTreeMap<String, Control>,
    /// Section 1.
    pub identity: Identity,
    /// Section 2.
    pub access_control: AccessControl,
    /// Section 3.
    pub encryption: Encryption,
    /// Section 4: figures.
    pub audit_trail: AuditTrail,
    /// Section 4: the hashes that the period is bound to.
    pub tamper_evidence: TamperEvidence,
    /// Section 5.
    pub spend_governance: SpendGovernance,
    /// Section 6.
    pub approvals: Approvals,
    /// Section 7.
    pub webhooks: Alerting,
    /// Section 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signatures: Option<Signatures>,
}

/// The tenant, and the part of its log.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct Identity {
    pub tenant_id: TenantId,
    pub period_seconds: i64,
    /// The number of the period's first entry; null if it has none.
    pub first_seq: Option<i64>,
    /// The number of its last entry.
    pub last_seq: Option<i64>,
}

/// Keys, sessions, refusals.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AccessControl {
    /// Keys in force at the end of the period.
    pub key_count: usize,
    /// The newest of them, at most 500.
    pub keys: Vec<KeyLine>,
    /// Whether some key has restricted scopes.
    pub has_scoped_keys: bool,
    /// Whether every agent key has restricted scopes; false if there is none.
    pub least_privilege_used: bool,
    /// Keys made in the period.
    pub keys_created: i64,
    /// Keys replaced in it.
    pub keys_rotated: i64,
    /// Keys revoked in it.
    pub keys_revoked: i64,
    /// Sessions begun in it.
    pub sessions_created: i64,
    /// Sessions revoked in it.
    pub sessions_revoked: i64,
    /// Calls refused in it.
    pub refusals: i64,
    /// The same, by operation.
    pub refusals_by_operation: BTreeMap<String, i64>,
}

/// A key in force.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct KeyLine {
    /// Its first characters.
    pub prefix: String,
    pub name: String,
    pub role: Role,
    pub tier: Tier,
    pub scopes: Vec<String>,
    pub created_at: String,
}

/// Secrets.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct Encryption {
    pub cipher: &'static str,
    pub key_bits: i64,
    pub nonce_bits: i64,
    /// The associated data that a sealed secret is bound to.
    pub bound_to: &'static str,
    pub secrets_stored: i64,
    pub secrets_read: i64,
    pub secrets_deleted: i64,
    /// Reads that were refused.
    pub reads_refused: i64,
}

/// The log of the period.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct AuditTrail {
    pub total_entries_in_period: i64,
    /// Entries that agents logged.
    pub actions_in_period: i64,
    /// Entries that haldir recorded itself.
    pub governance_in_period: i64,
    pub flagged_in_period: i64,
    pub first_recorded: Option<String>,
    pub last_recorded: Option<String>,
    /// Haldir's own entries, by action.
    pub by_action: BTreeMap<String, i64>,
    /// Erasures of details by retention.
    pub erasures_of_details: i64,
    /// Whether the counts kept at write time match the log's entries.
    pub figures_add_up: bool,
}

/// The hashes that the period is bound to.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct TamperEvidence {
    pub chain_algorithm: &'static str,
    pub tree_algorithm: &'static str,
    /// Entries of the log up to the end of the period: the size of its Merkle tree there.
    pub tree_size: i64,
    /// The root of the tree of that size, in hexadecimal.
    pub root_hash: String,
    /// The hash of the last entry up to the end, which covers every entry before it; null for an empty log.
    pub chain_hash: Option<String>,
    /// The hash of the entry before the period's first one.
    pub preceding_hash: Option<String>,
    /// How to check it.
    pub how_to_check: &'static str,
}

/// Payments and cost.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct SpendGovernance {
    pub payments_authorized: i64,
    pub authorized_usd: String,
    pub payments_captured: i64,
    pub captured_usd: String,
    pub payments_voided: i64,
    pub voided_usd: String,
    pub payments_refused: i64,
    /// Costs that agents reported.
    pub logged_cost_usd: String,
}

/// Decisions.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct Approvals {
    pub requests_in_period: i64,
    pub decisions_recorded: i64,
    /// Requests by their status in the period; `used` are approvals that were used.
    pub by_status: BTreeMap<&'static str, i64>,
    pub rules_added: i64,
    pub rules_deleted: i64,
}

/// Alerts.
#[derive(Debug, Serialize, JsonSchema)]
#[allow(missing_docs)]
pub struct Alerting {
    pub delivery_attempts: i64,
    pub deliveries_succeeded: i64,
    pub deliveries_failed: i64,
    pub webhooks_registered: i64,
    pub webhooks_deleted: i64,
    /// Webhooks that a 410 response disabled.
    pub webhooks_disabled: i64,
    pub secrets_rotated: i64,
}
