//! `getAuditEntry`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{append, get_audit_trail::AuditEntry};
use crate::{
    call::{ReadContext, ReadOperation},
    error::{Error, Result},
    model::{Entry, EntryId},
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
        let found = match append::seq_of(&self.entry_id) {
            Some(seq) => cx.tx.entry(&cx.caller.tenant, seq)?,
            None => None,
        };
        // One that cannot be read has no id to compare: it stands at this place, and says what is wrong with it.
        let is_it = |found: &Result<Entry, _>| found.as_ref().map_or(true, |entry| entry.id == self.entry_id);
        let found = found.filter(is_it).ok_or_else(|| Error::not_found("the audit entry").field("entry_id"))?;
        Ok(AuditEntry::new(&cx.caller.tenant, found))
    }
}
