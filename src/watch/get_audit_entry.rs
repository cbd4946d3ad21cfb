//! `getAuditEntry`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{append, get_audit_trail::AuditEntry};
use crate::{
    call::{ReadContext, ReadOperation},
    error::{Error, Result},
    model::EntryId,
};

/// Read one entry of the audit log.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetAuditEntry {
    /// The entry's id.
    entry_id: EntryId,
}

impl ReadOperation for GetAuditEntry {
    type Output = AuditEntry;

    fn run(self, cx: &ReadContext<'_>) -> Result<AuditEntry> {
        let entry = match append::seq_of(&self.entry_id) {
            Some(seq) => cx.tx.entry(&cx.caller.tenant, seq)?.filter(|entry| entry.id == self.entry_id),
            None => None,
        };
        AuditEntry::new(entry.ok_or_else(|| Error::not_found("the audit entry").field("entry_id"))?)
    }
}
