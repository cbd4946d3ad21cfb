//! The check of a whole log on all cores: what `verifyAuditTrail` does on one, for whoever can open the store.

use std::sync::Arc;

use super::{
    chain,
    check::{BadEntry, Check, Tiles},
    erasing::Erased,
    retention, tree,
    verify_audit_trail::Verification,
};
use haldir_verify::in_order;

use crate::{
    call::{Keyring, TenantKeys},
    error::Result,
    model::{Entry, TenantId},
    store::{Head, Store, StoredEntryProblem},
};

/// Entries that a thread reads on one snapshot: a power of two, so that their tree is a subtree of the log's.
const ENTRIES_AT_A_TIME: i64 = 4_096;

/// Checks every entry of the log as it was when this began; `progress` is told how many are done, of how many.
///
/// Each part is read on a snapshot of its own: entries never change, but for what is erased of them, and that is read on
/// the same snapshot.
pub fn verify(
    store: &Store,
    keyring: &Keyring,
    tenant: &TenantId,
    threads: usize,
    progress: &mut dyn FnMut(i64, i64),
) -> Result<Verification> {
    let Beginning { keys, head, in_front, beyond } = Beginning::read(store, keyring, tenant)?;
    let total = head.as_ref().map_or(0, |head| head.seq);
    let mut check = Check::default();
    if head.is_none() {
        check.first_bad = check.end(None, false);
        return Ok(Verification::of(check, 0));
    }
    // One by one, on one snapshot.
    let one_by_one = |check: &mut Check, first: i64, tiles: &mut Tiles| {
        store.read(|tx| {
            let erased = Erased::read(tx, &keys, tenant)?;
            check.follow_stored(tx, tenant, (first, total + 1), erased, tiles)
        })
    };
    let mut tiles = Tiles::new(true);
    let mut first = 1;
    let mut next = || {
        let part = (first, (first + ENTRIES_AT_A_TIME).min(total + 1));
        first = part.1;
        Ok((part.0 < part.1).then_some(part))
    };
    let work = |(first, end): (i64, i64)| -> Result<(i64, Check, Tiles)> {
        store.read(|tx| {
            let erased = Erased::read(tx, &keys, tenant)?;
            let (mut check, mut tiles) = (Check::behind(first - 1), Tiles::new(true));
            check.follow_stored(tx, tenant, (first, end), erased, &mut tiles)?;
            tiles.compare(tx, tenant)?;
            Ok((end, check, tiles))
        })
    };
    let mut follow = |part: Result<(i64, Check, Tiles)>| {
        let (end, part, part_tiles) = part?;
        let is_whole = part.seq + 1 == end;
        if !is_whole || !check.join(&part, &mut tiles) {
            let next = check.seq + 1;
            one_by_one(&mut check, next, &mut tiles)?;
            return Ok(false);
        }
        tiles.first_bad = tiles.first_bad.take().or(part_tiles.first_bad);
        progress(check.seq, total);
        Ok(true)
    };
    if in_front {
        one_by_one(&mut check, i64::MIN, &mut tiles)?;
    } else {
        in_order(threads, &mut next, &work, &mut follow)?;
    }
    if let (None, Some(read)) = (&check.first_bad, beyond) {
        let read = read.as_ref().map(Entry::view).map_err(Clone::clone);
        check.first_bad = check.follow(tenant, read, false, &mut Tiles::new(false)).err();
    }
    if check.first_bad.is_none() {
        check.first_bad = end(store, &keys, tenant, &check, head.as_ref(), &mut tiles)?;
    }
    Ok(Verification::of(check, total))
}

/// The log as it was when its verification began.
struct Beginning {
    keys: Arc<TenantKeys>,
    head: Option<Head>,
    /// Whether something stands in front of the first entry, which haldir did not append.
    in_front: bool,
    /// What stands behind the head, which haldir did not append either.
    beyond: Option<Result<Entry, StoredEntryProblem>>,
}

impl Beginning {
    fn read(store: &Store, keyring: &Keyring, tenant: &TenantId) -> Result<Self> {
        store.read(|tx| {
            let keys = keyring.tenant(tx, tenant)?;
            let head = tx.head(tenant)?;
            let last = head.as_ref().map_or(0, |head| head.seq);
            let (mut in_front, mut beyond) = (false, None);
            tx.each_entry(tenant, i64::MIN, &mut |read| {
                // Where it cannot even be read, it is for the check from the smallest number on to say so.
                in_front = read.map_or(true, |entry| entry.seq < 1);
                false
            })?;
            tx.each_entry(tenant, last + 1, &mut |read| {
                let problem = |problem| StoredEntryProblem { seq: None, problem };
                beyond = Some(read.and_then(|entry| entry.to_entry().map_err(problem)));
                false
            })?;
            tree::require_built(tx, tenant)?;
            Ok(Self { keys, head, in_front, beyond })
        })
    }
}

/// Holds the end of what was followed against the head, the rest of the tiles, and what retention has recorded.
fn end(
    store: &Store,
    keys: &TenantKeys,
    tenant: &TenantId,
    check: &Check,
    head: Option<&Head>,
    tiles: &mut Tiles,
) -> Result<Option<BadEntry>> {
    let is_authentic = head.is_some_and(|head| chain::is_authentic(keys, tenant, head));
    if let Some(bad) = check.end(head, is_authentic) {
        return Ok(Some(bad));
    }
    store.read(|tx| {
        tiles.compare(tx, tenant)?;
        if tx.head(tenant)?.map(|head| head.seq) == Some(check.seq) {
            tiles.compare_end(tx, tenant, check.seq)?;
        }
        if let Some(bad) = tiles.first_bad.take() {
            return Ok(Some(bad));
        }
        let altered = || BadEntry {
            seq: check.seq,
            entry_id: None,
            problem: "the record of what was erased by retention was altered".to_owned(),
        };
        Ok((!retention::records_are_authentic(tx, keys, tenant)?).then(altered))
    })
}
