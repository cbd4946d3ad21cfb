//! The list of all operations, and the engine that runs them.
//!
//! The MCP tools, the `/v1` routes, the OpenAPI document, `schemas/` and the terminal client's calls are derived from the list.
//! A new operation is one new file in its room, and one line here.

mod definition;
mod denial;
mod engine;
mod idempotency;
mod input;
mod long_poll;
mod open;
mod outgoing;
pub mod proxied;
pub mod quota;
pub mod schema_forms;
mod sign_in;
mod streaming;

use std::sync::LazyLock;

use Method::{Delete, Get, Post, Put};
pub use definition::{Hints, Method, Operation, Run, schema_settings};
use definition::{long_poll, outward, read, scan, stream, write};
pub use engine::{AdmittedCall, CallOptions, Haldir, Reply};
pub use input::take_idempotency_key;
pub use streaming::Streamed;

pub use crate::{
    gate::rate_limit::RateLimitStatus,
    store::{Backlog, ReplicaStatus},
    watch::bundle,
};

use crate::{
    approvals::{
        add_approval_rule::AddApprovalRule,
        approve_request::ApproveRequest,
        delete_approval_rule::DeleteApprovalRule,
        deny_request::DenyRequest,
        get_approval::GetApproval,
        list_approval_rules::ListApprovalRules,
        list_approvals::{ListDecidedApprovals, ListPendingApprovals},
        request_approval::RequestApproval,
    },
    compliance::{
        create_schedule::CreateComplianceSchedule, delete_schedule::DeleteComplianceSchedule,
        get_evidence::GetEvidence, get_evidence_manifest::GetEvidenceManifest, get_score::GetComplianceScore,
        list_schedules::ListComplianceSchedules,
    },
    gate::{
        check_permission::CheckPermission, create_api_key::CreateApiKey, create_session::CreateSession,
        get_session::GetSession, get_usage::GetUsage, list_api_keys::ListApiKeys, list_descendants::ListDescendants,
        list_sessions::ListSessions, list_tenants::ListTenants, name_tenant::NameTenant, revoke_api_key::RevokeApiKey,
        revoke_session::RevokeSession, rotate_api_key::RotateApiKey, set_api_key_tier::SetApiKeyTier,
        stop_agent::StopAgent,
    },
    model::{
        Resource::{Admin, Approvals, Audit, Payments, Proxy, Sessions, Vault, Webhooks},
        Role::{Agent, Operator},
    },
    proxy::{
        accept_tool::AcceptTools, add_policy::AddProxyPolicy, delete_policy::DeleteProxyPolicy,
        delete_upstream::DeleteUpstream, list_policies::ListProxyPolicies, list_tools::ListProxyTools,
        list_upstreams::ListUpstreams, mark_tool::MarkTool, proxy_call::ProxyCall, register_upstream::RegisterUpstream,
        test_policy::TestProxyPolicy,
    },
    vault::{
        authorize_payment::AuthorizePayment, capture_payment::CapturePayment, delete_secret::DeleteSecret,
        get_secret::GetSecret, list_payments::ListPayments, list_secrets::ListSecrets, store_secret::StoreSecret,
        void_payment::VoidPayment,
    },
    watch::{
        erase_agent::EraseAgent, erase_session::EraseSession, export_audit::ExportAudit, export_bundle::ExportBundle,
        get_audit_entry::GetAuditEntry, get_audit_retention::GetAuditRetention, get_audit_stats::GetAuditStats,
        get_audit_trail::GetAuditTrail, get_checkpoint::GetCheckpoint, get_consistency_proof::GetConsistencyProof,
        get_export_manifest::GetExportManifest, get_inclusion_proof::GetInclusionProof, get_metrics::GetMetrics,
        get_overview::GetOverview, get_spend::GetSpend, get_tile::GetTile, get_tree_head::GetTreeHead,
        list_erasures::ListErasures, list_log_keys::ListLogKeys, list_retention_checkpoints::ListRetentionCheckpoints,
        list_tree_heads::ListTreeHeads, log_action::LogAction, prune_audit_details::PruneAuditDetails,
        set_audit_retention::SetAuditRetention, verify_audit_trail::VerifyAuditTrail,
        verify_tree_heads::VerifyTreeHeads,
    },
    webhooks::{
        delete_webhook::DeleteWebhook, list_dead_letters::ListDeadLetters, list_deliveries::ListDeliveries,
        list_webhooks::ListWebhooks, ping_webhook::PingWebhook, register_webhook::RegisterWebhook,
        resend_dead_letters::ResendDeadLetters, rotate_webhook_secret::RotateWebhookSecret,
    },
};

/// Every operation, in the order in which tools and routes are listed.
#[rustfmt::skip]
static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| vec![
    // name, title; MCP tool and its hints; REST route and status; what the caller needs
    write::<CreateSession>("createSession", "Create session").tool(Hints::ADDS)
        .route(Post, "/v1/sessions", 201).needs(Sessions, Agent),
    read::<GetSession>("getSession", "Get session").tool(Hints::READS)
        .route(Get, "/v1/sessions/{session_id}", 200).needs(Sessions, Agent),
    outward::<RevokeSession>("revokeSession", "Revoke session").tool(Hints::ENDS)
        .route(Delete, "/v1/sessions/{session_id}", 200).needs(Sessions, Agent),
    read::<CheckPermission>("checkPermission", "Check permission").tool(Hints::READS)
        .route(Post, "/v1/sessions/{session_id}/check", 200).needs(Sessions, Agent),
    scan::<ListSessions>("listSessions", "List sessions")
        .route(Get, "/v1/sessions", 200).needs(Sessions, Agent),
    outward::<StopAgent>("stopAgent", "Stop agent")
        .route(Post, "/v1/agents/{agent_id}/stop", 200).needs(Sessions, Operator),
    scan::<ListDescendants>("listDescendants", "List delegated sessions")
        .route(Get, "/v1/sessions/{session_id}/descendants", 200).needs(Sessions, Agent),
    write::<StoreSecret>("storeSecret", "Store secret").tool(Hints::REPLACES)
        .route(Post, "/v1/secrets", 201).needs(Vault, Agent),
    write::<GetSecret>("getSecret", "Get secret").tool(Hints::ADDS).answers_secret()
        .route(Get, "/v1/secrets/{name}", 200).needs_read(Vault, Agent),
    scan::<ListSecrets>("listSecrets", "List secret names")
        .route(Get, "/v1/secrets", 200).needs(Vault, Agent),
    write::<DeleteSecret>("deleteSecret", "Delete secret")
        .route(Delete, "/v1/secrets/{name}", 200).needs(Vault, Agent),
    write::<AuthorizePayment>("authorizePayment", "Authorize payment").tool(Hints::ADDS)
        .route(Post, "/v1/payments/authorize", 200).needs(Payments, Agent),
    scan::<ListPayments>("listPayments", "List payments")
        .route(Get, "/v1/payments", 200).needs(Payments, Agent),
    write::<CapturePayment>("capturePayment", "Capture payment")
        .route(Post, "/v1/payments/{authorization_id}/capture", 200).needs(Payments, Operator),
    write::<VoidPayment>("voidPayment", "Void payment")
        .route(Post, "/v1/payments/{authorization_id}/void", 200).needs(Payments, Operator),
    write::<LogAction>("logAction", "Log action").tool(Hints::ADDS)
        .route(Post, "/v1/audit", 201).needs(Audit, Agent),
    scan::<GetAuditTrail>("getAuditTrail", "Get audit trail").tool(Hints::READS).may_lag()
        .route(Get, "/v1/audit", 200).needs(Audit, Agent),
    scan::<GetSpend>("getSpend", "Get spend").tool(Hints::READS).may_lag()
        .route(Get, "/v1/audit/spend", 200).needs(Audit, Agent),
    read::<GetAuditEntry>("getAuditEntry", "Get audit entry")
        .route(Get, "/v1/audit/entries/{entry_id}", 200).needs(Audit, Agent),
    read::<GetTreeHead>("getTreeHead", "Get tree head")
        .route(Get, "/v1/audit/tree-head", 200).needs(Audit, Agent),
    read::<GetInclusionProof>("getInclusionProof", "Get inclusion proof")
        .route(Get, "/v1/audit/inclusion-proof/{entry_id}", 200).needs(Audit, Agent),
    read::<GetConsistencyProof>("getConsistencyProof", "Get consistency proof")
        .route(Get, "/v1/audit/consistency-proof", 200).needs(Audit, Agent),
    scan::<ListTreeHeads>("listTreeHeads", "List recorded tree heads")
        .route(Get, "/v1/audit/sth-log", 200).needs(Audit, Agent),
    scan::<VerifyTreeHeads>("verifyTreeHeads", "Verify recorded tree heads")
        .route(Get, "/v1/audit/sth-log/verify", 200).needs(Audit, Agent),
    read::<ListLogKeys>("listLogKeys", "List keys that sign tree heads")
        .route(Get, "/v1/audit/keys", 200).needs(Audit, Agent),
    stream::<ExportBundle>("exportBundle", "Export audit log with proofs")
        .route(Get, "/v1/audit/bundle", 200).needs(Audit, Agent),
    stream::<GetCheckpoint>("getCheckpoint", "Get checkpoint")
        .route(Get, "/v1/audit/checkpoint", 200).needs(Audit, Agent),
    stream::<GetTile>("getTile", "Get tile")
        .route(Get, "/v1/audit/tile/{*tile}", 200).needs(Audit, Agent),
    scan::<VerifyAuditTrail>("verifyAuditTrail", "Verify audit trail")
        .route(Get, "/v1/audit/verify", 200).needs(Audit, Agent),
    write::<AddApprovalRule>("addApprovalRule", "Add approval rule")
        .route(Post, "/v1/approvals/rules", 201).needs(Approvals, Operator),
    scan::<ListApprovalRules>("listApprovalRules", "List approval rules")
        .route(Get, "/v1/approvals/rules", 200).needs(Approvals, Operator),
    write::<DeleteApprovalRule>("deleteApprovalRule", "Delete approval rule")
        .route(Delete, "/v1/approvals/rules/{rule_id}", 200).needs(Approvals, Operator),
    write::<RequestApproval>("requestApproval", "Request approval")
        .route(Post, "/v1/approvals/request", 201).needs(Approvals, Agent),
    scan::<ListPendingApprovals>("listPendingApprovals", "List pending approvals")
        .route(Get, "/v1/approvals/pending", 200).needs(Approvals, Agent),
    scan::<ListDecidedApprovals>("listDecidedApprovals", "List decided approvals")
        .route(Get, "/v1/approvals/decided", 200).needs(Approvals, Agent),
    long_poll::<GetApproval>("getApproval", "Get approval")
        .route(Get, "/v1/approvals/{request_id}", 200).needs(Approvals, Agent),
    outward::<ApproveRequest>("approveRequest", "Approve request")
        .route(Post, "/v1/approvals/{request_id}/approve", 200).needs(Approvals, Operator),
    write::<DenyRequest>("denyRequest", "Deny request")
        .route(Post, "/v1/approvals/{request_id}/deny", 200).needs(Approvals, Operator),
    scan::<GetAuditStats>("getAuditStats", "Get audit stats").may_lag()
        .route(Get, "/v1/audit/stats", 200).needs(Audit, Agent),
    stream::<ExportAudit>("exportAudit", "Export audit log").may_lag()
        .route(Get, "/v1/audit/export", 200).needs(Audit, Agent),
    stream::<GetExportManifest>("getExportManifest", "Get export manifest").may_lag()
        .route(Get, "/v1/audit/export/manifest", 200).needs(Audit, Agent),
    scan::<GetAuditRetention>("getAuditRetention", "Get retention of details")
        .route(Get, "/v1/audit/retention", 200).needs(Audit, Agent),
    write::<SetAuditRetention>("setAuditRetention", "Set retention of details")
        .route(Put, "/v1/audit/retention", 200).needs(Audit, Operator),
    write::<PruneAuditDetails>("pruneAuditDetails", "Erase details that are due")
        .route(Post, "/v1/audit/retention/prune", 200).needs(Audit, Operator),
    scan::<ListRetentionCheckpoints>("listRetentionCheckpoints", "List runs that erased details")
        .route(Get, "/v1/audit/retention/checkpoints", 200).needs(Audit, Agent),
    outward::<EraseAgent>("eraseAgent", "Erase what concerns an agent")
        .route(Post, "/v1/agents/{agent_id}/erase", 200).needs(Admin, Operator),
    outward::<EraseSession>("eraseSession", "Erase what concerns a session")
        .route(Post, "/v1/sessions/{session_id}/erase", 200).needs(Admin, Operator),
    scan::<ListErasures>("listErasures", "List erasures")
        .route(Get, "/v1/erasures", 200).needs(Admin, Operator),
    outward::<RegisterUpstream>("registerUpstream", "Register upstream").calls_out_to("url")
        .route(Post, "/v1/proxy/upstreams", 201).needs(Proxy, Operator),
    scan::<ListUpstreams>("listUpstreams", "List upstreams")
        .route(Get, "/v1/proxy/upstreams", 200).needs(Proxy, Agent),
    write::<DeleteUpstream>("deleteUpstream", "Delete upstream")
        .route(Delete, "/v1/proxy/upstreams/{name}", 200).needs(Proxy, Operator),
    write::<AcceptTools>("acceptTools", "Accept changed tools")
        .route(Post, "/v1/proxy/upstreams/{name}/accept", 200).needs(Proxy, Operator),
    write::<MarkTool>("markTool", "Mark a tool")
        .route(Put, "/v1/proxy/upstreams/{name}/marks", 200).needs(Proxy, Operator),
    scan::<ListProxyTools>("listProxyTools", "List proxied tools")
        .route(Get, "/v1/proxy/tools", 200).needs(Proxy, Agent),
    outward::<ProxyCall>("proxyCall", "Call a tool")
        .route(Post, "/v1/proxy/call", 200).needs(Proxy, Agent),
    write::<AddProxyPolicy>("addProxyPolicy", "Add policy")
        .route(Post, "/v1/proxy/policies", 201).needs(Proxy, Operator),
    scan::<ListProxyPolicies>("listProxyPolicies", "List policies")
        .route(Get, "/v1/proxy/policies", 200).needs(Proxy, Agent),
    scan::<TestProxyPolicy>("testProxyPolicy", "Test a policy")
        .route(Post, "/v1/proxy/policies/test", 200).needs(Proxy, Operator),
    write::<DeleteProxyPolicy>("deleteProxyPolicy", "Delete policy")
        .route(Delete, "/v1/proxy/policies/{policy_id}", 200).needs(Proxy, Operator),
    read::<GetUsage>("getUsage", "Get usage")
        .route(Get, "/v1/usage", 200).needs(Admin, Agent),
    scan::<GetMetrics>("getMetrics", "Get metrics").may_lag()
        .route(Get, "/v1/metrics", 200).needs(Admin, Agent),
    scan::<GetOverview>("getOverview", "Get overview").may_lag()
        .route(Get, "/v1/admin/overview", 200).needs(Admin, Operator),
    write::<CreateApiKey>("createApiKey", "Create API key").answers_secret().open_to_anonymous()
        .route(Post, "/v1/keys", 201).needs(Admin, Operator),
    scan::<ListApiKeys>("listApiKeys", "List API keys")
        .route(Get, "/v1/keys", 200).needs(Admin, Operator),
    write::<RotateApiKey>("rotateApiKey", "Rotate API key").answers_secret()
        .route(Post, "/v1/keys/{prefix}/rotate", 201).needs(Admin, Operator),
    write::<SetApiKeyTier>("setApiKeyTier", "Set API key tier")
        .route(Put, "/v1/keys/{prefix}/tier", 200).needs(Admin, Operator),
    write::<RevokeApiKey>("revokeApiKey", "Revoke API key")
        .route(Delete, "/v1/keys/{prefix}", 200).needs(Admin, Operator),
    scan::<ListTenants>("listTenants", "List tenants").open_to_anonymous()
        .route(Post, "/v1/tenants/list", 200).needs(Admin, Operator),
    write::<NameTenant>("nameTenant", "Name a tenant").open_to_anonymous()
        .route(Put, "/v1/tenants/{tenant_id}/name", 200).needs(Admin, Operator),
    write::<RegisterWebhook>("registerWebhook", "Register webhook").answers_secret().calls_out_to("url")
        .route(Post, "/v1/webhooks", 201).needs(Webhooks, Operator),
    scan::<ListWebhooks>("listWebhooks", "List webhooks")
        .route(Get, "/v1/webhooks", 200).needs(Webhooks, Operator),
    scan::<ListDeliveries>("listDeliveries", "List deliveries")
        .route(Get, "/v1/webhooks/deliveries", 200).needs(Webhooks, Operator),
    scan::<ListDeadLetters>("listDeadLetters", "List dead letters")
        .route(Get, "/v1/webhooks/dead-letters", 200).needs(Webhooks, Operator),
    write::<DeleteWebhook>("deleteWebhook", "Delete webhook")
        .route(Delete, "/v1/webhooks/{webhook_id}", 200).needs(Webhooks, Operator),
    write::<RotateWebhookSecret>("rotateWebhookSecret", "Rotate webhook secret").answers_secret()
        .route(Post, "/v1/webhooks/{webhook_id}/rotate-secret", 200).needs(Webhooks, Operator),
    write::<PingWebhook>("pingWebhook", "Ping webhook")
        .route(Post, "/v1/webhooks/{webhook_id}/ping", 202).needs(Webhooks, Operator),
    write::<ResendDeadLetters>("resendDeadLetters", "Resend dead letters")
        .route(Post, "/v1/webhooks/{webhook_id}/resend", 202).needs(Webhooks, Operator),
    stream::<GetEvidence>("getEvidence", "Get evidence pack")
        .route(Get, "/v1/compliance/evidence", 200).needs(Audit, Operator),
    scan::<GetEvidenceManifest>("getEvidenceManifest", "Get evidence manifest")
        .route(Get, "/v1/compliance/evidence/manifest", 200).needs(Audit, Operator),
    scan::<GetComplianceScore>("getComplianceScore", "Get compliance score").may_lag()
        .route(Get, "/v1/compliance/score", 200).needs(Audit, Operator),
    write::<CreateComplianceSchedule>("createComplianceSchedule", "Create evidence schedule")
        .route(Post, "/v1/compliance/schedules", 201).needs(Admin, Operator),
    scan::<ListComplianceSchedules>("listComplianceSchedules", "List evidence schedules")
        .route(Get, "/v1/compliance/schedules", 200).needs(Admin, Operator),
    write::<DeleteComplianceSchedule>("deleteComplianceSchedule", "Delete evidence schedule")
        .route(Delete, "/v1/compliance/schedules/{schedule_id}", 204).needs(Admin, Operator),
]);

/// Every operation.
pub fn all() -> &'static [Operation] {
    &OPERATIONS
}

/// The operation of this name.
pub fn named(name: &str) -> Option<&'static Operation> {
    all().iter().find(|operation| operation.name == name)
}

/// The MCP tool of this name.
pub fn tool(name: &str) -> Option<&'static Operation> {
    named(name).filter(|operation| operation.tool.is_some())
}
