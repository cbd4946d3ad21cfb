//! Postings of what is erased: entries that have other values now, and values that nothing has any more.

use std::collections::BTreeMap;

use super::{DELETE_POSTING, Kind, POSTING, POSTINGS_FORWARD, PUT_POSTING, Places, block, place};
use crate::{
    database::{Connection, params},
    error::Result,
    model::{EntryLine, TenantId},
};

/// How many entries rows name, of one value.
pub(crate) fn count(db: &dyn Connection, tenant: &TenantId, kind: Kind, text: &str) -> Result<i64> {
    let mut entries = 0;
    let params = params![tenant, kind.of(text), 0_i64, i64::MAX, i64::MAX];
    db.each(POSTINGS_FORWARD, params, |(_, places): (i64, Places)| {
        entries += i64::from(places.count());
        Ok(true)
    })?;
    Ok(entries)
}

/// Deletes the rows of one value, at most `limit`; answers how many.
pub(crate) fn forget(db: &dyn Connection, tenant: &TenantId, kind: Kind, text: &str, limit: usize) -> Result<usize> {
    let of = kind.of(text);
    let blocks: Vec<i64> = db.all(POSTINGS_FORWARD, params![tenant, of, 0_i64, i64::MAX, limit])?;
    for block in &blocks {
        db.send(DELETE_POSTING, params![tenant, of, block])?;
    }
    Ok(blocks.len())
}

/// Folded entries have lost their session, agent and tool, and have these in their place.
pub(crate) fn move_entries(
    db: &dyn Connection,
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
        let stored: Option<Places> = db.first(POSTING, params![tenant, of, block])?;
        let places = stored.unwrap_or_default().without(gone).with(come);
        if places.count() == 0 {
            db.send(DELETE_POSTING, params![tenant, of, block])?;
        } else {
            db.send(PUT_POSTING, params![tenant, of, block, places.to_bytes()])?;
        }
    }
    Ok(())
}
