//! Postings of what is erased: entries that have other values now, and values that nothing has any more.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::{super::rows::rows, DELETE_POSTING, Kind, POSTING, POSTINGS_FORWARD, PUT_POSTING, Places, block, place};
use crate::{
    error::Result,
    model::{EntryLine, TenantId},
};

/// How many entries rows name, of one value.
pub(in crate::sqlite) fn count(connection: &Connection, tenant: &TenantId, kind: Kind, text: &str) -> Result<i64> {
    let mut statement = connection.prepare_cached(POSTINGS_FORWARD)?;
    let mut found = statement.query(params![tenant.as_str(), kind.of(text), 0, i64::MAX, i64::MAX])?;
    let mut entries = 0;
    while let Some(row) = found.next()? {
        entries += i64::from(Places::from_column(row.get_ref(1)?).count());
    }
    Ok(entries)
}

/// Deletes the rows of one value, at most `limit`; answers how many.
pub(in crate::sqlite) fn forget(
    connection: &Connection,
    tenant: &TenantId,
    kind: Kind,
    text: &str,
    limit: usize,
) -> Result<usize> {
    let of = kind.of(text);
    let blocks: Vec<i64> = connection
        .prepare_cached(POSTINGS_FORWARD)?
        .query_map(params![tenant.as_str(), of, 0, i64::MAX, rows(limit)], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for block in &blocks {
        connection.prepare_cached(DELETE_POSTING)?.execute(params![tenant.as_str(), of, block])?;
    }
    Ok(blocks.len())
}

/// Folded entries have lost their session, agent and tool, and have these in their place.
pub(in crate::sqlite) fn move_entries(
    connection: &Connection,
    tenant: &TenantId,
    entries: &[(i64, EntryLine<'_>)],
    to: [&str; 3],
) -> Result<()> {
    let mut changed: BTreeMap<(String, i64), (Places, Places)> = BTreeMap::new();
    for (seq, entry) in entries {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            let from = [entry.session_id, entry.agent_id, entry.tool][index];
            changed.entry((kind.of(from), block(*seq))).or_default().0.insert(place(*seq));
            changed.entry((kind.of(to[index]), block(*seq))).or_default().1.insert(place(*seq));
        }
    }
    for ((of, block), (gone, come)) in changed {
        let read = |row: &rusqlite::Row<'_>| Ok(Places::from_column(row.get_ref(0)?));
        let params = params![tenant.as_str(), of, block];
        let stored = connection.prepare_cached(POSTING)?.query_row(params, read).optional()?;
        let places = stored.unwrap_or_default().without(gone).with(come);
        if places.count() == 0 {
            connection.prepare_cached(DELETE_POSTING)?.execute(params)?;
        } else {
            let params = params![tenant.as_str(), of, block, places.to_bytes()];
            connection.prepare_cached(PUT_POSTING)?.execute(params)?;
        }
    }
    Ok(())
}
