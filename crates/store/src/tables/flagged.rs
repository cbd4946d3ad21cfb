//! The index of flagged entries leads filters to them: whether it names each one is asked while the log is read.

use std::collections::VecDeque;

use crate::{
    database::{Connection, params},
    error::Result,
    model::{EntryView, TenantId},
    statements::{place, seq, statements},
};

statements! {
    FLAGGED = concat!("SELECT ", seq!(), " FROM audit_entries INDEXED BY audit_flagged WHERE place >= ", place!("?2"),
        " AND place < ", place!("549755813888"), " AND flagged = 1 ORDER BY place LIMIT ?3");
}

/// Entries that are asked for at once.
const AT_ONCE: usize = 64;

/// Holds the entries of a log, one after the other, against the index.
pub(crate) struct Check<'c> {
    db: &'c dyn Connection,
    tenant: &'c TenantId,
    /// Those that it names next.
    named: VecDeque<Option<i64>>,
}

impl<'c> Check<'c> {
    pub(crate) fn new(db: &'c dyn Connection, tenant: &'c TenantId) -> Self {
        Self { db, tenant, named: VecDeque::new() }
    }

    /// Whether a filter by flags finds this entry. Queries check what the index names besides.
    pub(crate) fn finds(&mut self, entry: &EntryView<'_>) -> Result<bool> {
        if !entry.flagged {
            return Ok(true);
        }
        if self.named.back().is_none_or(|last| last.is_none_or(|last| last < entry.seq)) {
            self.named = self.db.all(FLAGGED, params![self.tenant, entry.seq, AT_ONCE])?.into();
        }
        while self.named.front().is_some_and(|named| named.is_none_or(|named| named < entry.seq)) {
            self.named.pop_front();
        }
        Ok(self.named.front() == Some(&Some(entry.seq)))
    }
}
