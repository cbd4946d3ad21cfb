//! `getAuditRetention`, and the answer that `setAuditRetention` shares with it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::retention::{self, Due};
use crate::{
    call::{ReadContext, ReadOperation},
    error::Result,
    model::{TenantId, UnixMicros},
};

/// Read how long the details of audit entries are kept, and what would be erased now. The entries themselves, with
/// the digests of their details, stay for ever.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetAuditRetention {}

/// How long details are kept.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AuditRetention {
    /// Whose log it is.
    pub tenant_id: TenantId,
    /// Days after which the details of an entry are erased; 0 is never.
    pub retain_days: i64,
    /// When that was set, in Unix seconds; null if it never was.
    pub updated_at: Option<UnixMicros>,
    /// By whom; empty if it never was.
    pub updated_by: String,
    /// Whether it was ever set.
    pub configured: bool,
    /// What would be erased now.
    pub preview: RetentionPreview,
}

/// What would be erased now.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RetentionPreview {
    /// Whose log it is.
    pub tenant_id: TenantId,
    /// Days after which details are erased; 0 is never.
    pub retain_days: i64,
    /// Entries that would lose their details; of more than 100,000 due entries, those among the first 100,000. No
    /// entry is ever deleted.
    pub would_delete: i64,
    /// Whether anything is erased at all.
    pub enabled: bool,
    /// In one sentence.
    pub note: String,
    /// Entries from before this time are due, in Unix seconds; null if nothing is erased.
    pub cutoff: Option<UnixMicros>,
    /// When the oldest entry that may still have details was made, in Unix seconds; null if there is none.
    pub oldest_entry_at: Option<UnixMicros>,
}

impl ReadOperation for GetAuditRetention {
    type Output = AuditRetention;

    fn run(self, cx: &ReadContext<'_>) -> Result<AuditRetention> {
        let tenant = &cx.caller.tenant;
        let keys = cx.services.keyring.tenant(cx.tx, tenant)?;
        let set = retention::setting(cx.tx, &keys, tenant)?;
        let retain_days = set.as_ref().map_or(0, |set| set.retain_days);
        let (Due { before, .. }, with_details, oldest_entry_at) = retention::preview(cx, retain_days)?;
        let enabled = retain_days > 0;
        let note = if enabled {
            "details of entries from before the cutoff are erased; the entries and their digests stay"
        } else {
            "details are kept for ever"
        };
        Ok(AuditRetention {
            tenant_id: tenant.clone(),
            retain_days,
            updated_at: set.as_ref().map(|set| set.updated_at),
            configured: set.is_some(),
            updated_by: set.map(|set| set.updated_by).unwrap_or_default(),
            preview: RetentionPreview {
                tenant_id: tenant.clone(),
                retain_days,
                would_delete: if enabled { with_details } else { 0 },
                enabled,
                note: note.to_owned(),
                cutoff: enabled.then_some(before.max(UnixMicros(0))),
                oldest_entry_at,
            },
        })
    }
}
