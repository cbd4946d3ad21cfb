//! The one list of everything haldir can do.
//!
//! From it come the MCP tools, the `/v1` routes, the OpenAPI document, `schemas/`, and the terminal client's
//! calls. Adding an operation is one new file in its room, and one line here.

mod definition;
mod denial;
mod engine;
mod idempotency;
mod input;
mod open;

use std::sync::LazyLock;

use Method::{Delete, Get, Post};
pub use definition::{Hints, Method, Operation, Run, schema_settings};
use definition::{read, scan, write};
pub use engine::{CallOptions, Haldir, Reply};
pub use input::take_idempotency_key;

use crate::{
    gate::{
        check_permission::CheckPermission, create_api_key::CreateApiKey, create_session::CreateSession,
        get_session::GetSession, get_usage::GetUsage, list_api_keys::ListApiKeys, list_descendants::ListDescendants,
        list_sessions::ListSessions, revoke_api_key::RevokeApiKey, revoke_session::RevokeSession,
        rotate_api_key::RotateApiKey,
    },
    model::{
        Resource::{Admin, Audit, Payments, Sessions, Vault},
        Role::{Agent, Operator},
    },
    vault::{
        authorize_payment::AuthorizePayment, capture_payment::CapturePayment, delete_secret::DeleteSecret,
        get_secret::GetSecret, list_secrets::ListSecrets, store_secret::StoreSecret, void_payment::VoidPayment,
    },
    watch::{
        get_audit_entry::GetAuditEntry, get_audit_trail::GetAuditTrail, get_metrics::GetMetrics,
        get_overview::GetOverview, get_spend::GetSpend, get_tree_head::GetTreeHead, log_action::LogAction,
        verify_audit_trail::VerifyAuditTrail,
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
    write::<RevokeSession>("revokeSession", "Revoke session").tool(Hints::ENDS)
        .route(Delete, "/v1/sessions/{session_id}", 200).needs(Sessions, Agent),
    read::<CheckPermission>("checkPermission", "Check permission").tool(Hints::READS)
        .route(Post, "/v1/sessions/{session_id}/check", 200).needs(Sessions, Agent),
    scan::<ListSessions>("listSessions", "List sessions")
        .route(Get, "/v1/sessions", 200).needs(Sessions, Agent),
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
    write::<CapturePayment>("capturePayment", "Capture payment")
        .route(Post, "/v1/payments/{authorization_id}/capture", 200).needs(Payments, Operator),
    write::<VoidPayment>("voidPayment", "Void payment")
        .route(Post, "/v1/payments/{authorization_id}/void", 200).needs(Payments, Operator),
    write::<LogAction>("logAction", "Log action").tool(Hints::ADDS)
        .route(Post, "/v1/audit", 201).needs(Audit, Agent),
    scan::<GetAuditTrail>("getAuditTrail", "Get audit trail").tool(Hints::READS)
        .route(Get, "/v1/audit", 200).needs(Audit, Agent),
    scan::<GetSpend>("getSpend", "Get spend").tool(Hints::READS)
        .route(Get, "/v1/audit/spend", 200).needs(Audit, Agent),
    read::<GetAuditEntry>("getAuditEntry", "Get audit entry")
        .route(Get, "/v1/audit/entries/{entry_id}", 200).needs(Audit, Agent),
    read::<GetTreeHead>("getTreeHead", "Get tree head")
        .route(Get, "/v1/audit/tree-head", 200).needs(Audit, Agent),
    scan::<VerifyAuditTrail>("verifyAuditTrail", "Verify audit trail")
        .route(Get, "/v1/audit/verify", 200).needs(Audit, Agent),
    read::<GetUsage>("getUsage", "Get usage")
        .route(Get, "/v1/usage", 200).needs(Admin, Agent),
    scan::<GetMetrics>("getMetrics", "Get metrics")
        .route(Get, "/v1/metrics", 200).needs(Admin, Agent),
    scan::<GetOverview>("getOverview", "Get overview")
        .route(Get, "/v1/admin/overview", 200).needs(Admin, Operator),
    write::<CreateApiKey>("createApiKey", "Create API key").answers_secret().open_to_anonymous()
        .route(Post, "/v1/keys", 201).needs(Admin, Operator),
    scan::<ListApiKeys>("listApiKeys", "List API keys")
        .route(Get, "/v1/keys", 200).needs(Admin, Operator),
    write::<RotateApiKey>("rotateApiKey", "Rotate API key").answers_secret()
        .route(Post, "/v1/keys/{prefix}/rotate", 201).needs(Admin, Operator),
    write::<RevokeApiKey>("revokeApiKey", "Revoke API key")
        .route(Delete, "/v1/keys/{prefix}", 200).needs(Admin, Operator),
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
