//! The rows of a log, one after the other, as fast as they can be read.
//!
//! Asking for a column from outside costs more than finding it. So a function that SQLite calls, with all columns of the row at
//! once, lays them out one behind the other, and only what it makes is asked for.

use rusqlite::{
    Connection, Row,
    functions::{Context, FunctionFlags},
    params,
    types::ValueRef,
};

use super::{SqliteTx, statements::statements};
use crate::{
    error::Result,
    model::{EntryBytes, EntryKind, Money, TenantId, UnixMicros},
    store::{ReadAudit, scan::ReadRows},
};

statements! {
    ROWS = "SELECT laid_out(seq, at, cost, flagged, id, kind, session_id, agent_id, tool, action, flag_reason, actor, details,
        details_salt, details_digest, prev_hash, entry_hash), indexed
        FROM audit_entries WHERE tenant = ?1 AND seq >= ?2 ORDER BY seq";
}

/// Columns that are laid out.
const COLUMNS: i32 = 17;
/// Texts among them, but for the kind.
const TEXTS: usize = 8;
/// Bytes in front of the texts: three integers, five of which each says yes or no, salt and digest of the details, two hashes,
/// and how long each text is.
const FRONT: usize = 3 * 8 + 5 + 16 + 32 + 2 * 32 + TEXTS * 4;

/// Makes [`lay_out`] known to SQLite. Nothing that is stored, such as a trigger, can call it.
pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
    connection.create_scalar_function("laid_out", COLUMNS, flags, |row| Ok(lay_out(row)))
}

/// All columns of a row, if each is of its type and length.
fn lay_out(row: &Context<'_>) -> Option<Vec<u8>> {
    let integer = |column| match row.get_raw(column) {
        ValueRef::Integer(integer) => Some(integer),
        _ => None,
    };
    let text = |column| match row.get_raw(column) {
        ValueRef::Text(text) => Some(text),
        _ => None,
    };
    let flagged = match integer(3)? {
        0 => 0,
        1 => 1,
        _ => return None,
    };
    let is_action = match text(5)? {
        b"action" => 1,
        b"governance" => 0,
        _ => return None,
    };
    let details = match row.get_raw(12) {
        ValueRef::Null => None,
        ValueRef::Text(text) => Some(text),
        _ => return None,
    };
    let salt = bytes::<16>(row.get_raw(13))?;
    let digest = bytes::<32>(row.get_raw(14))?;
    let texts: [&[u8]; TEXTS] =
        [text(4)?, text(6)?, text(7)?, text(8)?, text(9)?, text(10)?, text(11)?, details.unwrap_or_default()];
    let mut out = Vec::with_capacity(FRONT + texts.iter().map(|text| text.len()).sum::<usize>());
    for column in 0..3 {
        out.extend_from_slice(&integer(column)?.to_le_bytes());
    }
    let said = [flagged, is_action, details.is_some().into(), salt.is_some().into(), digest.is_some().into()];
    out.extend_from_slice(&said);
    out.extend_from_slice(salt.unwrap_or(&[0; 16]));
    out.extend_from_slice(digest.unwrap_or(&[0; 32]));
    out.extend_from_slice(bytes::<32>(row.get_raw(15))??);
    out.extend_from_slice(bytes::<32>(row.get_raw(16))??);
    for text in texts {
        out.extend_from_slice(&u32::try_from(text.len()).ok()?.to_le_bytes());
    }
    for text in texts {
        out.extend_from_slice(text);
    }
    Some(out)
}

/// So many bytes, or none; neither, if it is something else.
#[allow(clippy::option_option)]
fn bytes<const LENGTH: usize>(value: ValueRef<'_>) -> Option<Option<&[u8; LENGTH]>> {
    match value {
        ValueRef::Null => Some(None),
        ValueRef::Blob(bytes) => bytes.try_into().ok().map(Some),
        _ => None,
    }
}

/// The entry of a row that was laid out.
fn entry(laid_out: &[u8]) -> Option<EntryBytes<'_>> {
    let (mut front, mut behind) = laid_out.split_first_chunk::<FRONT>().map(|(front, behind)| (&front[..], behind))?;
    let [seq, at, cost] = [integer(&mut front)?, integer(&mut front)?, integer(&mut front)?];
    let [flagged, is_action, has_details, has_salt, has_digest] = take::<5>(&mut front)?.map(|said| said == 1);
    let (salt, digest) = (take(&mut front)?, take(&mut front)?);
    let (prev_hash, entry_hash) = (take(&mut front)?, take(&mut front)?);
    let mut texts: [&[u8]; TEXTS] = [&[]; TEXTS];
    for text in &mut texts {
        let length = u32::from_le_bytes(*take(&mut front)?);
        (*text, behind) = behind.split_at_checked(usize::try_from(length).ok()?)?;
    }
    let [id, session_id, agent_id, tool, action, flag_reason, actor, details] = texts;
    Some(EntryBytes {
        seq,
        at: UnixMicros(at),
        cost: Money::from_nanos(cost),
        flagged,
        id,
        kind: if is_action { EntryKind::Action } else { EntryKind::Governance },
        session_id,
        agent_id,
        tool,
        action,
        flag_reason,
        actor,
        details: has_details.then_some(details),
        details_salt: has_salt.then_some(salt),
        details_digest: has_digest.then_some(digest),
        prev_hash,
        entry_hash,
    })
}

fn integer(front: &mut &[u8]) -> Option<i64> {
    take(front).map(|bytes| i64::from_le_bytes(*bytes))
}

/// The next of these bytes, which then begin behind them.
fn take<'r, const LENGTH: usize>(bytes: &mut &'r [u8]) -> Option<&'r [u8; LENGTH]> {
    let (next, behind) = bytes.split_first_chunk()?;
    *bytes = behind;
    Some(next)
}

/// The entry of a row, if every column is of its type and length, and it is indexed if it is folded.
fn checked<'r>(row: &'r Row<'_>, folded: i64) -> Option<EntryBytes<'r>> {
    let ValueRef::Blob(laid_out) = row.get_ref(0).ok()? else { return None };
    let entry = entry(laid_out)?;
    (row.get_ref(1).ok()? == ValueRef::Integer(i64::from(entry.seq <= folded))).then_some(entry)
}

impl ReadRows for SqliteTx<'_> {
    fn each_row(
        &self,
        tenant: &TenantId,
        first: i64,
        each: &mut dyn FnMut(Option<&EntryBytes<'_>>) -> bool,
    ) -> Result<()> {
        self.require_reader()?;
        let folded = self.folded(tenant)?;
        let mut statement = self.connection()?.prepare_cached(ROWS)?;
        let mut rows = statement.query(params![tenant.as_str(), first])?;
        while let Some(row) = rows.next()? {
            if !each(checked(row, folded).as_ref()) {
                break;
            }
        }
        Ok(())
    }
}
