//! Retention: `details` older than the set time are erased, in bounded steps, and nothing else is.
//!
//! An entry keeps the digest of its details, so chain, tree and every proof stay as they are. The salt goes with the
//! details: without it nobody can confirm a guess by the digest. How far the erasing has come is recorded under a key
//! that an insider with the database lacks, and verification excuses exactly that.

use serde_json::json;

use super::{
    append::{Draft, append},
    canonical::hex,
    chain,
};
use crate::{
    call::{ReadContext, TenantKeys, WriteContext},
    crypto,
    error::{Error, Result},
    model::{TenantId, UnixMicros, month::MICROS_PER_DAY},
    store::{
        ReadTx,
        retention::{Erasure, Retention},
    },
};

/// The longest time that can be set: a hundred years.
pub const MAX_DAYS: i64 = 36_500;
/// Entries that one transaction goes through: others wait for it.
pub const STEP_ENTRIES: i64 = 1_000;
/// How long after the last run the next one begins by itself. Details are gone at most this long after they are due.
const RUN_EVERY_SECONDS: i64 = 86_400;
/// Entries in which those with details are counted for a preview.
const MAX_PREVIEWED: i64 = 100_000;

fn seal_retention(keys: &TenantKeys, tenant: &TenantId, retention: &Retention) -> [u8; 32] {
    crypto::mac(
        &keys.erasures,
        &[
            b"retention",
            tenant.as_str().as_bytes(),
            &retention.retain_days.to_be_bytes(),
            &retention.updated_at.0.to_be_bytes(),
            retention.updated_by.as_bytes(),
        ],
    )
}

fn seal_erasure(keys: &TenantKeys, tenant: &TenantId, erasure: &Erasure) -> [u8; 32] {
    crypto::mac(
        &keys.erasures,
        &[
            b"erasure",
            tenant.as_str().as_bytes(),
            &erasure.number.to_be_bytes(),
            &erasure.created_at.0.to_be_bytes(),
            erasure.actor.as_bytes(),
            &erasure.retain_days.to_be_bytes(),
            &erasure.before.0.to_be_bytes(),
            &erasure.up_to_seq.to_be_bytes(),
            &erasure.done_seq.to_be_bytes(),
            &erasure.erased.to_be_bytes(),
            &erasure.tree_size.to_be_bytes(),
            &erasure.root_hash,
        ],
    )
}

/// What is set, if it is as haldir left it: nothing is erased on the word of whoever wrote into the database.
pub fn setting(tx: &ReadTx, keys: &TenantKeys, tenant: &TenantId) -> Result<Option<Retention>> {
    match tx.retention(tenant)? {
        Some(set) if !crypto::same(&set.mac, &seal_retention(keys, tenant, &set)) => {
            Err(Error::internal("the retention of details was altered outside haldir: set it again"))
        }
        set => Ok(set),
    }
}

/// Whether every record of erasing is as haldir left it.
pub fn records_are_authentic(tx: &ReadTx, keys: &TenantKeys, tenant: &TenantId) -> Result<bool> {
    let records = tx.erasures(tenant, usize::MAX)?;
    let count = i64::try_from(records.len()).unwrap_or(i64::MAX);
    let numbers = (1..=count).rev();
    Ok(records
        .iter()
        .zip(numbers)
        .all(|(record, number)| record.number == number && is_authentic(keys, tenant, record)))
}

fn is_authentic(keys: &TenantKeys, tenant: &TenantId, record: &Erasure) -> bool {
    crypto::same(&record.mac, &seal_erasure(keys, tenant, record))
}

/// The number up to which entries are without their details; what an altered record says counts for nothing.
pub fn erased_up_to(tx: &ReadTx, keys: &TenantKeys, tenant: &TenantId) -> Result<i64> {
    let newest = tx.erasures(tenant, 1)?.pop();
    Ok(newest.filter(|newest| is_authentic(keys, tenant, newest)).map_or(0, |newest| newest.done_seq))
}

/// The newest run, if it is as haldir left it.
fn newest(tx: &ReadTx, keys: &TenantKeys, tenant: &TenantId) -> Result<Option<Erasure>> {
    match tx.erasures(tenant, 1)?.pop() {
        Some(record) if !is_authentic(keys, tenant, &record) => {
            Err(Error::internal("the record of erased details was altered outside haldir: nothing more is erased"))
        }
        record => Ok(record),
    }
}

/// What erasing would do now.
#[derive(Debug)]
pub struct Due {
    /// Entries from before this time.
    pub before: UnixMicros,
    /// From this number …
    pub first: i64,
    /// … up to this one, which is smaller if there are none.
    pub last: i64,
}

fn due(tx: &ReadTx, keys: &TenantKeys, tenant: &TenantId, days: i64, now: UnixMicros) -> Result<Due> {
    let before = UnixMicros(now.0.saturating_sub(days.saturating_mul(MICROS_PER_DAY)));
    let first = newest(tx, keys, tenant)?.map_or(0, |run| run.done_seq) + 1;
    Ok(Due { before, first, last: tx.seq_at(tenant, before)? - 1 })
}

/// What a preview shows: the span, how many entries in it have details, and when the first of it was made.
pub fn preview(cx: &ReadContext<'_>, days: i64) -> Result<(Due, i64, Option<UnixMicros>)> {
    let tenant = &cx.caller.tenant;
    let keys = cx.services.keyring.tenant(cx.tx, tenant)?;
    let due = due(cx.tx, &keys, tenant, days, cx.now)?;
    let counted = due.last.min(due.first + MAX_PREVIEWED - 1);
    let with_details = cx.tx.details_between(tenant, due.first, counted + 1)?;
    let oldest = cx.tx.entry_time(tenant, due.first)?;
    Ok((due, with_details, oldest))
}

/// Sets how long details are kept. A run that is under way ends where it is: it was begun by the old setting.
pub fn set(cx: &mut WriteContext<'_>, retain_days: i64) -> Result<()> {
    let keys = cx.keys()?;
    let tenant = cx.caller.tenant.clone();
    let before = cx.tx.retention(&tenant)?.map_or(0, |set| set.retain_days);
    let details = json!({"retain_days": retain_days, "before": before});
    append(cx, Draft::governance("audit.retention", None, &details)?)?;
    let mut retention =
        Retention { retain_days, updated_at: cx.now, updated_by: cx.caller.principal.clone(), mac: [0; 32] };
    retention.mac = seal_retention(&keys, &tenant, &retention);
    cx.tx.put_retention(&tenant, &retention)?;
    if let Some(run) = newest(cx.tx, &keys, &tenant)?.filter(|run| run.done_seq < run.up_to_seq) {
        let up_to_seq = run.done_seq;
        put(cx, &keys, Erasure { up_to_seq, ..run })?;
    }
    Ok(())
}

fn put(cx: &mut WriteContext<'_>, keys: &TenantKeys, mut run: Erasure) -> Result<Erasure> {
    let tenant = &cx.caller.tenant;
    run.mac = seal_erasure(keys, tenant, &run);
    cx.tx.put_erasure(tenant, &run)?;
    Ok(run)
}

/// When a run may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At once: somebody asked for it.
    Now,
    /// A day after the last one.
    Daily,
}

/// One step of the run that is under way, or of a new one; `None` if there is nothing to do. Answers the run, and how
/// many entries this step erased.
pub fn step(cx: &mut WriteContext<'_>, begin: Begin) -> Result<Option<(Erasure, i64)>> {
    let keys = cx.keys()?;
    let tenant = cx.caller.tenant.clone();
    let set = setting(cx.tx, &keys, &tenant)?.filter(|set| set.retain_days > 0);
    let Some(set) = set else { return Ok(None) };
    let last = newest(cx.tx, &keys, &tenant)?;
    let run = match last {
        Some(run) if run.done_seq < run.up_to_seq => run,
        Some(run) if begin == Begin::Daily && cx.now.seconds_since(run.created_at) < RUN_EVERY_SECONDS => {
            return Ok(None);
        }
        last => match self::begin(cx, &keys, &set, last.map_or(0, |run| run.number))? {
            Some(run) => run,
            None => return Ok(None),
        },
    };
    let end = run.up_to_seq.min(run.done_seq + STEP_ENTRIES) + 1;
    let erased = cx.tx.erase_details(&tenant, run.done_seq + 1, end)?;
    let run = put(cx, &keys, Erasure { done_seq: end - 1, erased: run.erased + erased, ..run })?;
    Ok(Some((run, erased)))
}

/// Begins a run, with its entry in the log.
fn begin(cx: &mut WriteContext<'_>, keys: &TenantKeys, set: &Retention, number: i64) -> Result<Option<Erasure>> {
    let tenant = cx.caller.tenant.clone();
    let Due { before, first, last } = due(cx.tx, keys, &tenant, set.retain_days, cx.now)?;
    if last < first {
        return Ok(None);
    }
    let number = number + 1;
    let details = json!({"checkpoint_id": checkpoint_id(number), "first_seq": first, "last_seq": last,
        "retain_days": set.retain_days, "before": before});
    append(cx, Draft::governance("audit.erase_details", None, &details)?)?;
    let head = chain::authentic_head(cx.tx, keys, &tenant)?;
    Ok(Some(Erasure {
        number,
        created_at: cx.now,
        actor: cx.caller.principal.clone(),
        retain_days: set.retain_days,
        before,
        up_to_seq: last,
        done_seq: first - 1,
        erased: 0,
        tree_size: head.seq,
        root_hash: chain::frontier(&head)?.root(),
        mac: [0; 32],
    }))
}

/// How a run is called on the wire.
pub fn checkpoint_id(number: i64) -> String {
    format!("ret_{number}")
}

/// A root on the wire.
pub fn root_text(run: &Erasure) -> String {
    hex(&run.root_hash)
}
