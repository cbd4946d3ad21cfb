//! The check of a whole log on all cores: what `verifyAuditTrail` does on one, for whoever can open the store.

use super::{
    chain,
    check::{BadEntry, Check, Judged, Tiles, judge},
    in_order::in_order,
    retention,
    verify_audit_trail::Verification,
};
use crate::{
    call::Keyring,
    error::Result,
    model::TenantId,
    store::{Head, Store},
};

/// Entries that a thread reads on one snapshot.
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
    let (keys, head, beyond, built) = store.read(|tx| {
        let keys = keyring.tenant(tx, tenant)?;
        let head = tx.head(tenant)?;
        let last = head.as_ref().map_or(0, |head| head.seq);
        // What stands in front of the first entry, or behind the head, was not appended by haldir.
        let mut beyond = Vec::new();
        for first in [i64::MIN, last + 1] {
            tx.each_entry(tenant, first, &mut |read| {
                let is_beyond = first > 0 || read.as_ref().is_ok_and(|entry| entry.seq < 1);
                if is_beyond {
                    beyond.push(judge(tenant, read, 0));
                }
                false
            })?;
        }
        Ok((keys, head, beyond, tx.tree_build(tenant)?.is_none()))
    })?;
    let total = head.as_ref().map_or(0, |head| head.seq);
    let mut check = Check::default();
    if head.is_none() {
        check.first_bad = check.end(None, false);
        return Ok(Verification::of(check, 0));
    }
    let mut tiles = Tiles::default();
    let mut first = 1;
    let mut next = || {
        let part = (first, (first + ENTRIES_AT_A_TIME).min(total + 1));
        first = part.1;
        Ok((part.0 < part.1).then_some(part))
    };
    let work = |(first, end): (i64, i64)| -> Result<Vec<Judged>> {
        store.read(|tx| {
            let erased = retention::erased_up_to(tx, &keys, tenant)?;
            let mut judged = Vec::with_capacity(usize::try_from(end - first).unwrap_or(0));
            tx.each_entry(tenant, first, &mut |read| {
                let is_in = match &read {
                    Ok(entry) => entry.seq < end,
                    Err(problem) => problem.seq.is_none_or(|seq| seq < end),
                };
                if is_in {
                    judged.push(judge(tenant, read, erased));
                }
                is_in && (judged.len() as u64) < (end - first).cast_unsigned()
            })?;
            Ok(judged)
        })
    };
    let mut follow = |part: Result<Vec<Judged>>| {
        for judged in part? {
            if let Err(bad) = check.follow(judged, &mut tiles.hashes) {
                check.first_bad = Some(bad);
                return Ok(false);
            }
        }
        if tiles.is_due() {
            store.read(|tx| tiles.compare(tx, tenant, false))?;
        }
        progress(check.seq, total);
        Ok(true)
    };
    let before = beyond.iter().any(|judged| judged.as_ref().is_ok_and(|facts| facts.seq < 1));
    if !before {
        in_order(threads, &mut next, &work, &mut follow)?;
    }
    for judged in beyond {
        if check.first_bad.is_none() {
            check.first_bad = check.follow(judged, &mut Vec::new()).err();
        }
    }
    if check.first_bad.is_none() {
        let authentic = |head: &Head| chain::is_authentic(&keys, tenant, head);
        check.first_bad = check.end(head.as_ref(), head.as_ref().is_some_and(authentic));
    }
    store.read(|tx| {
        if check.first_bad.is_none() && built {
            let grown = tx.head(tenant)?.map(|head| head.seq) != Some(total);
            tiles.compare(tx, tenant, !grown)?;
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
