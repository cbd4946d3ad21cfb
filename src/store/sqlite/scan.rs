//! The rows of a log, one after the other, as fast as they can be read.

use rusqlite::{Row, params, types::ValueRef};

use super::{SqliteTx, postings, statements::statements};
use crate::{
    error::Result,
    model::{EntryBytes, EntryKind, Money, TenantId, UnixMicros},
    store::{ReadAudit, scan::ReadRows},
};

statements! {
    ROWS = "SELECT seq, at, cost, flagged, id, kind, session_id, agent_id, tool, action, flag_reason, actor, details,
        details_salt, details_digest, prev_hash, entry_hash
        FROM audit_entries WHERE tenant = ?1 AND seq >= ?2 ORDER BY seq";
}

/// The row, if every column is of its type and length.
fn entry<'r>(row: &'r Row<'_>) -> Option<EntryBytes<'r>> {
    let value = |column: usize| row.get_ref(column).ok();
    let integer = |column| match value(column)? {
        ValueRef::Integer(integer) => Some(integer),
        _ => None,
    };
    let text = |column| match value(column)? {
        ValueRef::Text(text) => Some(text),
        _ => None,
    };
    let hash = |column| match value(column)? {
        ValueRef::Blob(blob) => <&[u8; 32]>::try_from(blob).ok(),
        _ => None,
    };
    Some(EntryBytes {
        seq: integer(0)?,
        at: UnixMicros(integer(1)?),
        cost: Money::from_nanos(integer(2)?),
        flagged: match integer(3)? {
            0 => false,
            1 => true,
            _ => return None,
        },
        id: text(4)?,
        kind: match text(5)? {
            b"action" => EntryKind::Action,
            b"governance" => EntryKind::Governance,
            _ => return None,
        },
        session_id: text(6)?,
        agent_id: text(7)?,
        tool: text(8)?,
        action: text(9)?,
        flag_reason: text(10)?,
        actor: text(11)?,
        details: match value(12)? {
            ValueRef::Null => None,
            ValueRef::Text(text) => Some(text),
            _ => return None,
        },
        details_salt: match value(13)? {
            ValueRef::Null => None,
            ValueRef::Blob(salt) => Some(salt.try_into().ok()?),
            _ => return None,
        },
        details_digest: match value(14)? {
            ValueRef::Null => None,
            ValueRef::Blob(digest) => Some(digest.try_into().ok()?),
            _ => return None,
        },
        prev_hash: hash(15)?,
        entry_hash: hash(16)?,
    })
}

impl ReadRows for SqliteTx<'_> {
    fn each_row(
        &self,
        tenant: &TenantId,
        first: i64,
        each: &mut dyn FnMut(Option<&EntryBytes<'_>>) -> bool,
    ) -> Result<()> {
        self.require_reader()?;
        let mut postings = postings::Check::new(self.connection()?, tenant, self.folded(tenant)?)?;
        let mut statement = self.connection()?.prepare_cached(ROWS)?;
        let mut rows = statement.query(params![tenant.as_str(), first])?;
        while let Some(row) = rows.next()? {
            let mut entry = entry(row);
            if let Some(found) = &entry
                && !postings.finds(found)?
            {
                entry = None;
            }
            if !each(entry.as_ref()) {
                break;
            }
        }
        Ok(())
    }
}
