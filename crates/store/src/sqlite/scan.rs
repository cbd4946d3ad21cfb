//! The rows of a log, one after the other, as fast as they can be read.
//!
//! Asking for a column from outside costs more than finding it. So a function that SQLite calls, with all columns of the row at
//! once, lays them out one behind the other, and only what it makes is asked for.

use rusqlite::{
    Connection,
    functions::{Context, FunctionFlags},
    params,
    types::ValueRef,
};

use super::{
    SqliteTx, flagged, postings,
    statements::{LOG_PLACES, place, statements},
};
use crate::{
    ReadAudit,
    error::Result,
    model::{EntryBytes, EntryKind, Money, TenantId, UnixMicros},
    scan::ReadRows,
};

statements! {
    ROWS = concat!("SELECT laid_out(place, at, cost, flagged, id, kind, session_id, agent_id, tool, action,
        flag_reason, actor, details, details_salt, details_digest, prev_hash, entry_hash)
        FROM audit_entries WHERE place >= ", place!("?2"), " AND place < ", place!("549755813888"), " ORDER BY place");
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
    out.extend_from_slice(&seq(integer(0)?).to_le_bytes());
    for column in 1..3 {
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

/// The number of the entry that lies at a place: as [`seq!`](super::statements::seq) has it, but quicker.
fn seq(place: i64) -> i64 {
    (place.wrapping_add(LOG_PLACES) & (2 * LOG_PLACES - 1)) - LOG_PLACES
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

impl ReadRows for SqliteTx<'_> {
    fn each_row(
        &self,
        tenant: &TenantId,
        first: i64,
        each: &mut dyn FnMut(Option<&EntryBytes<'_>>) -> bool,
    ) -> Result<()> {
        self.require_reader()?;
        let mut postings = postings::Check::new(self.connection()?, tenant, self.folded(tenant)?)?;
        let mut flagged = flagged::Check::new(self.connection()?, tenant)?;
        let mut statement = self.connection()?.prepare_cached(ROWS)?;
        let mut rows = statement.query(params![tenant.as_str(), first])?;
        while let Some(row) = rows.next()? {
            let laid_out = row.get_ref(0)?.as_blob_or_null().ok().flatten();
            let mut entry = laid_out.and_then(entry);
            if let Some(found) = &entry
                && !(postings.finds(found)? && flagged.finds(found)?)
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

#[cfg(test)]
mod tests {
    use rusqlite::{params_from_iter, types::Value};

    use super::*;

    /// What SQLite gives for these columns.
    fn laid_out(columns: &[Value]) -> Option<Vec<u8>> {
        let connection = Connection::open_in_memory().unwrap();
        prepare(&connection).unwrap();
        let names: Vec<String> = (1..=columns.len()).map(|column| format!("?{column}")).collect();
        let sql = format!("SELECT laid_out({})", names.join(", "));
        connection.query_row(&sql, params_from_iter(columns), |row| row.get(0)).unwrap()
    }

    fn columns() -> Vec<Value> {
        let mut columns: Vec<Value> = [7, 1_750_000_000_000_001, -5, 1].map(Value::Integer).into();
        let texts = ["aud_1", "action", "ses_1", "agent", "tool", "", "reason \u{e9}", "actor", "{\"n\":1}"];
        columns.extend(texts.map(|text| Value::Text(text.to_owned())));
        columns.extend([vec![1; 16], vec![2; 32], vec![3; 32], vec![4; 32]].map(Value::Blob));
        columns
    }

    #[test]
    fn a_row_comes_out_as_it_was() {
        let mut columns = columns();
        let bytes = laid_out(&columns).unwrap();
        let read = entry(&bytes).unwrap();
        assert_eq!((read.seq, read.at, read.cost), (7, UnixMicros(1_750_000_000_000_001), Money::from_nanos(-5)));
        assert!(read.flagged && read.kind == EntryKind::Action);
        assert_eq!([read.id, read.session_id, read.agent_id, read.tool], [&b"aud_1"[..], b"ses_1", b"agent", b"tool"]);
        assert_eq!([read.action, read.flag_reason, read.actor], [&b""[..], "reason \u{e9}".as_bytes(), b"actor"]);
        assert_eq!((read.details, read.details_salt), (Some(&b"{\"n\":1}"[..]), Some(&[1; 16])));
        assert_eq!((read.details_digest, read.prev_hash, read.entry_hash), (Some(&[2; 32]), &[3; 32], &[4; 32]));

        let long = "long ".repeat(100_000);
        columns[3] = Value::Integer(0);
        columns[5] = Value::Text("governance".to_owned());
        columns[9] = Value::Text(long.clone());
        columns[12..15].fill(Value::Null);
        let bytes = laid_out(&columns).unwrap();
        let read = entry(&bytes).unwrap();
        assert!(!read.flagged && read.kind == EntryKind::Governance && read.action == long.as_bytes());
        assert!(read.details.is_none() && read.details_salt.is_none() && read.details_digest.is_none());
        assert_eq!((read.flag_reason, read.actor), ("reason \u{e9}".as_bytes(), &b"actor"[..]));

        columns[12] = Value::Text(String::new());
        assert_eq!(entry(&laid_out(&columns).unwrap()).unwrap().details, Some(&b""[..]));
    }

    #[test]
    fn a_row_with_a_column_of_another_type_or_length_does_not_come_out() {
        let others = [
            Value::Null,
            Value::Integer(2),
            Value::Real(1.0),
            Value::Text("1".to_owned()),
            Value::Blob(vec![]),
            Value::Blob(vec![1; 15]),
            Value::Blob(vec![1; 33]),
        ];
        for (place, right) in columns().into_iter().enumerate() {
            for other in &others {
                let may_be_null = (12..15).contains(&place);
                let same = right.data_type() == other.data_type() && !matches!(other, Value::Blob(_));
                let is_good = (same && ![3, 5].contains(&place)) || (*other == Value::Null && may_be_null);
                let mut columns = columns();
                columns[place] = other.clone();
                assert_eq!(laid_out(&columns).is_some(), is_good, "column {place} as {other:?}");
            }
        }
    }

    #[test]
    fn what_is_cut_short_is_no_entry() {
        let bytes = laid_out(&columns()).unwrap();
        assert!((0..bytes.len()).all(|length| entry(&bytes[..length]).is_none()));
    }
}
