//! The check of a whole log on all cores: what `verifyAuditTrail` does on one, for whoever can open the store.

use super::{
    chain,
    check::{BadEntry, Check, Tiles},
    in_order::in_order,
    retention,
    verify_audit_trail::Verification,
};
use crate::{
    call::Keyring,
    error::Result,
    model::{Entry, TenantId},
    store::{Head, Store, StoredEntryProblem},
};

/// Entries that a thread reads on one snapshot: a power of two, so that their tree is a subtree of the log's.
const ENTRIES_AT_A_TIME: i64 = 4_096;

/// Checks every entry of the log as it was when this began; `progress` is told how many are done, of how many.
///
/// Each part is read on a snapshot of its own: entries never change, but for details that retention erases, and how far
/// that has come is read on the same snapshot.
pub fn verify(
    store: &Store,
    keyring: &Keyring,
    tenant: &TenantId,
    threads: usize,
    progress: &mut dyn FnMut(i64, i64),
) -> Result<Verification> {
    let (keys, head, built, in_front, beyond) = store.read(|tx| {
        let keys = keyring.tenant(tx, tenant)?;
        let head = tx.head(tenant)?;
        let last = head.as_ref().map_or(0, |head| head.seq);
        // What stands in front of the first entry, or behind the head, was not appended by haldir.
        let (mut in_front, mut beyond) = (false, None);
        tx.each_entry(tenant, i64::MIN, &mut |read| {
            in_front = read.is_ok_and(|entry| entry.seq < 1);
            false
        })?;
        tx.each_entry(tenant, last + 1, &mut |read| {
            let problem = |problem| StoredEntryProblem { seq: None, problem };
            beyond = Some(read.and_then(|entry| entry.to_entry().map_err(problem)));
            false
        })?;
        Ok((keys, head, tx.tree_build(tenant)?.is_none(), in_front, beyond))
    })?;
    let total = head.as_ref().map_or(0, |head| head.seq);
    let mut check = Check::default();
    if head.is_none() {
        check.first_bad = check.end(None, false);
        return Ok(Verification::of(check, 0));
    }
    // One by one, on one snapshot.
    let one_by_one = |check: &mut Check, first: i64, tiles: &mut Tiles| {
        store.read(|tx| {
            let erased = retention::erased_up_to(tx, &keys, tenant)?;
            check.follow_stored(tx, tenant, (first, total + 1), erased, tiles)
        })
    };
    let mut tiles = Tiles::new(built);
    let mut first = 1;
    let mut next = || {
        let part = (first, (first + ENTRIES_AT_A_TIME).min(total + 1));
        first = part.1;
        Ok((part.0 < part.1).then_some(part))
    };
    let work = |(first, end): (i64, i64)| -> Result<(i64, Check, Tiles)> {
        store.read(|tx| {
            let erased = retention::erased_up_to(tx, &keys, tenant)?;
            let (mut check, mut tiles) = (Check::behind(first - 1), Tiles::new(built));
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
        check.first_bad = check.follow(tenant, read, 0, &mut Tiles::new(false)).err();
    }
    if check.first_bad.is_none() {
        let authentic = |head: &Head| chain::is_authentic(&keys, tenant, head);
        check.first_bad = check.end(head.as_ref(), head.as_ref().is_some_and(authentic));
    }
    store.read(|tx| {
        if check.first_bad.is_none() {
            tiles.compare(tx, tenant)?;
            if tx.head(tenant)?.map(|head| head.seq) == Some(total) {
                tiles.compare_end(tx, tenant, total)?;
            }
            check.first_bad = tiles.first_bad.take();
        }
        if check.first_bad.is_none() && !retention::records_are_authentic(tx, &keys, tenant)? {
            let problem = "the record of what was erased by retention was altered".to_owned();
            check.first_bad = Some(BadEntry { seq: check.seq, entry_id: None, problem });
        }
        Ok(())
    })?;
    Ok(Verification::of(check, total))
}
