//! Erasing what concerns one agent or one session, in bounded steps, so that every proof still holds.
//!
//! An entry keeps its number, id, time, cost, flag and both hashes; its texts and details go. Its leaf in the Merkle tree,
//! computed while the texts were there and checked against the entry's hash, stands beside it under a key that an insider
//! with the database lacks. So the chain is followed by the hash that the next entry names, the tree by the leaf, and
//! verification excuses exactly what haldir erased. What others wrote of the subject in details loses those details, as by
//! retention.
//!
//! How far an erasure has come is recorded in the transaction of each step: it goes on where a process has ended. The name
//! is not recorded; a keyed hash of it finds the erasure again until it is complete.

use std::{collections::VecDeque, sync::Arc};

use serde_json::json;

use super::{
    append::{Draft, append},
    canonical, chain, retention,
};
use crate::{
    call::{TenantKeys, WriteContext},
    crypto,
    error::{Code, Error, Result},
    model::{Entry, EntryView, TenantId},
    store::{
        ReadTx,
        erasing::{ErasedEntry, InUse, Records, Subject, SubjectErasure},
    },
};

/// Entries that one transaction goes through.
const STEP_ENTRIES: i64 = 1_000;
/// What was erased of entries is looked up for so many at a time.
const MARKS_AT_ONCE: usize = 1_024;
/// The stages of an erasure: the log is folded, its entries are erased, then the tables of [`Records::ALL`].
const FOLD: i64 = 0;
const ENTRIES: i64 = 1;
const FIRST_TABLE: i64 = 2;

/// How an erasure is called on the wire.
pub fn erasure_id(number: i64) -> String {
    format!("era_{number}")
}

/// What was erased of entries, in the order of the log.
pub struct Marks<'a> {
    tx: &'a ReadTx,
    tenant: &'a TenantId,
    /// Those that come next; `None` in front of them is not looked up yet.
    next: VecDeque<ErasedEntry>,
    /// Up to before this number all are known.
    known: i64,
}

impl<'a> Marks<'a> {
    /// From entry `first` on.
    pub fn new(tx: &'a ReadTx, tenant: &'a TenantId, first: i64) -> Self {
        Self { tx, tenant, next: VecDeque::new(), known: first }
    }

    /// What was erased of this entry. They are asked for in the order of their numbers.
    pub fn of(&mut self, seq: i64) -> Result<Option<ErasedEntry>> {
        while self.next.front().is_some_and(|mark| mark.seq < seq) {
            self.next.pop_front();
        }
        if self.next.is_empty() && seq >= self.known {
            self.next = self.tx.erased_entries(self.tenant, seq, MARKS_AT_ONCE)?.into();
            let is_part = self.next.len() == MARKS_AT_ONCE;
            self.known = self.next.back().filter(|_| is_part).map_or(i64::MAX, |last| last.seq + 1);
        }
        Ok(self.next.front().filter(|mark| mark.seq == seq).cloned())
    }
}

/// What was erased of a log, and the key that tells whether it was haldir that did it.
#[derive(Clone, Copy)]
pub struct Erased<'a> {
    /// Retention has erased the details of every entry up to this one.
    pub up_to: i64,
    keys: &'a TenantKeys,
}

impl<'a> Erased<'a> {
    /// As one snapshot has it.
    pub fn read(tx: &ReadTx, keys: &'a TenantKeys, tenant: &TenantId) -> Result<Self> {
        Ok(Self { up_to: retention::erased_up_to(tx, keys, tenant)?, keys })
    }

    /// Whether haldir erased what the mark says of this entry, and left it as it is now.
    pub fn vouches(&self, tenant: &TenantId, entry: &EntryView<'_>, mark: &ErasedEntry) -> bool {
        let is_blank = mark.leaf.is_none() || is_erased(entry);
        mark.seq == entry.seq && is_blank && crypto::same(&mark.mac, &seal(self.keys, tenant, entry, mark))
    }
}

/// Whether nothing is left of the entry's texts.
fn is_erased(entry: &EntryView<'_>) -> bool {
    [entry.agent_id, entry.session_id, entry.flag_reason, entry.actor].iter().all(|text| text.is_empty())
        && [entry.tool, entry.action].iter().all(|text| *text == crate::store::erasing::ERASED)
        && entry.details.is_none()
        && entry.details_salt.is_none()
        && entry.details_digest.is_none()
}

/// The entry's hash, or its mark under a key, vouches for it: for those who look at one entry alone.
pub fn is_as_haldir_left_it(tx: &ReadTx, keys: &TenantKeys, tenant: &TenantId, entry: &Entry) -> Result<bool> {
    if canonical::entry_hash(&canonical::bytes(tenant, entry)) == entry.entry_hash {
        return Ok(true);
    }
    let mark = Marks::new(tx, tenant, entry.seq).of(entry.seq)?.filter(|mark| mark.leaf.is_some());
    let erased = Erased { up_to: 0, keys };
    Ok(mark.is_some_and(|mark| erased.vouches(tenant, &entry.view(), &mark)))
}

/// A keyed hash over what stays of an entry, and its leaf.
fn seal(keys: &TenantKeys, tenant: &TenantId, entry: &EntryView<'_>, mark: &ErasedEntry) -> [u8; 32] {
    crypto::mac(
        &keys.erasures,
        &[
            b"entry",
            tenant.as_str().as_bytes(),
            &mark.seq.to_be_bytes(),
            &mark.erasure.to_be_bytes(),
            entry.id.as_bytes(),
            &entry.at.0.to_be_bytes(),
            entry.kind.word().as_bytes(),
            &entry.cost.nanos().to_be_bytes(),
            &[u8::from(entry.flagged)],
            entry.prev_hash,
            entry.entry_hash,
            mark.leaf.as_ref().map_or(&[][..], |leaf| leaf),
        ],
    )
}

fn subject_hash(keys: &TenantKeys, tenant: &TenantId, subject: &Subject) -> [u8; 32] {
    let parts = [b"subject", tenant.as_str().as_bytes(), subject.kind().as_bytes(), subject.name().as_bytes()];
    crypto::mac(&keys.erasures, &parts)
}

/// Refuses while the subject can still act: what it does next would name it again.
pub fn require_ended(tx: &ReadTx, tenant: &TenantId, subject: &Subject, now: crate::model::UnixMicros) -> Result<()> {
    let message = match (tx.in_use(tenant, subject, now)?, subject) {
        (None, _) => return Ok(()),
        (Some(InUse::Session(session)), Subject::Agent(agent)) => {
            format!(
                "the agent has a session that has not ended, {session}: end its sessions first (haldir stop {agent})"
            )
        }
        (Some(InUse::Session(_)), Subject::Session(_)) => "the session has not ended: revoke it first".to_owned(),
        (Some(InUse::Call), _) => "a call of it to an upstream is under way: try again once that has ended".to_owned(),
    };
    Err(Error::new(Code::Conflict, message))
}

/// One step of the subject's erasure: it begins one, or goes on with the one that is under way.
pub fn step(cx: &mut WriteContext<'_>, subject: &Subject) -> Result<SubjectErasure> {
    let (keys, tenant) = (cx.keys()?, cx.caller.tenant.clone());
    require_ended(cx.tx, &tenant, subject, cx.now)?;
    let hash = subject_hash(&keys, &tenant, subject);
    let mut run = match cx.tx.open_subject_erasure(&tenant, &hash)? {
        Some(run) => go_on(cx, &keys, subject, run)?,
        None => begin(cx, subject, hash)?,
    };
    if run.stage >= FIRST_TABLE + i64::try_from(Records::ALL.len()).unwrap_or(i64::MAX) {
        run.subject = None;
        run.completed_at = Some(cx.now);
        run.position.clear();
        let details = json!({
            "erasure_id": erasure_id(run.number), "kind": run.kind, "entries": run.entries, "details": run.details,
            "sessions": run.sessions, "records": run.records,
        });
        append(cx, Draft::governance("erasure.end", None, &details)?)?;
    }
    cx.tx.put_subject_erasure(&tenant, &run)?;
    Ok(run)
}

fn begin(cx: &mut WriteContext<'_>, subject: &Subject, hash: [u8; 32]) -> Result<SubjectErasure> {
    let (keys, tenant) = (cx.keys()?, cx.caller.tenant.clone());
    let found = cx.tx.concerned(&tenant, subject)?;
    if found.sessions == 0 && found.entries == 0 && !found.is_counted {
        return Err(not_found(subject));
    }
    let up_to_seq = chain::authentic_head(cx.tx, &keys, &tenant)?.seq;
    let number = cx.tx.subject_erasures(&tenant, i64::MAX, 1)?.first().map_or(0, |newest| newest.number) + 1;
    let details = json!({"erasure_id": erasure_id(number), "kind": subject.kind(), "up_to_seq": up_to_seq});
    append(cx, Draft::governance("erasure.begin", None, &details)?)?;
    Ok(SubjectErasure {
        number,
        kind: subject.kind().to_owned(),
        subject: Some(hash),
        begun_at: cx.now,
        completed_at: None,
        actor: cx.caller.principal.clone(),
        up_to_seq,
        stage: FOLD,
        position: String::new(),
        entries: 0,
        details: 0,
        sessions: 0,
        records: 0,
    })
}

/// That there is nothing of it.
pub fn not_found(subject: &Subject) -> Error {
    let (what, field) = match subject {
        Subject::Agent(_) => ("the agent", "agent_id"),
        Subject::Session(_) => ("the session", "session_id"),
    };
    Error::not_found(what).field(field)
}

fn go_on(
    cx: &mut WriteContext<'_>,
    keys: &Arc<TenantKeys>,
    subject: &Subject,
    mut run: SubjectErasure,
) -> Result<SubjectErasure> {
    let tenant = cx.caller.tenant.clone();
    match run.stage {
        FOLD => {
            if cx.tx.fold_now(&tenant, chain::leaf_hash)? >= run.up_to_seq {
                run.stage = ENTRIES;
            }
        }
        ENTRIES => {
            let first = run.position.parse().unwrap_or(1);
            let end = (first + STEP_ENTRIES).min(run.up_to_seq + 1);
            erase_entries(cx, keys, subject, &mut run, (first, end))?;
            run.position = end.to_string();
            if end > run.up_to_seq {
                (run.stage, run.position) = (FIRST_TABLE, String::new());
            }
        }
        table => {
            let index = usize::try_from(table - FIRST_TABLE).unwrap_or(usize::MAX);
            let Some(records) = Records::ALL.get(index) else { return Ok(run) };
            let step = cx.tx.erase_records(&tenant, subject, *records, &run.position, run.begun_at)?;
            let counted = if *records == Records::Sessions { &mut run.sessions } else { &mut run.records };
            *counted += step.erased;
            if let Some(next) = step.next {
                run.position = next;
            } else {
                (run.stage, run.position) = (table + 1, String::new());
            }
        }
    }
    Ok(run)
}

fn erase_entries(
    cx: &mut WriteContext<'_>,
    keys: &TenantKeys,
    subject: &Subject,
    run: &mut SubjectErasure,
    (first, end): (i64, i64),
) -> Result<()> {
    let tenant = cx.caller.tenant.clone();
    let mut marked = Vec::new();
    for (entry, is_its_own) in cx.tx.entries_about(&tenant, subject, first, end)? {
        let bytes = canonical::bytes(&tenant, &entry);
        // What was altered is never made true by erasing it.
        let details = entry.details.as_ref().zip(entry.details_salt.as_ref());
        let has_digest = details.is_none_or(|(details, salt)| {
            Some(canonical::details_digest(salt, details.as_bytes())) == entry.details_digest
        });
        if canonical::entry_hash(&bytes) != entry.entry_hash || !has_digest {
            let message = format!(
                "entry {} was altered outside haldir and is not erased: run `haldir audit verify`, and go on once it is put \
                 back",
                entry.seq
            );
            return Err(Error::internal(message));
        }
        let leaf = is_its_own.then(|| crypto::leaf_hash(&bytes));
        let mut mark = ErasedEntry { seq: entry.seq, erasure: run.number, leaf, mac: [0; 32] };
        mark.mac = seal(keys, &tenant, &entry.view(), &mark);
        *(if is_its_own { &mut run.entries } else { &mut run.details }) += 1;
        marked.push((entry, mark));
    }
    if marked.is_empty() { Ok(()) } else { Ok(cx.tx.erase_entries(&tenant, &marked)?) }
}
