//! `verifyAuditTrail`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    canonical::{self, hex},
    chain, retention,
};
use crate::{
    call::{ReadContext, ReadOperation},
    crypto::{self, Frontier},
    error::Result,
    model::{Entry, EntryKind, Money, TenantId, UnixMicros},
    store::{
        Head, ReadTx, StoredEntryProblem,
        tree::{TILE_HEIGHT, TileHash},
    },
};

/// Levels of tiles that a log can have: its numbers have 63 bits.
const LEVELS: usize = 7;
/// Hashes of tiles that are compared at a time.
const COMPARED_AT_A_TIME: usize = 4_096;

/// Check the whole audit log: every field of every entry against its hash, every link to the entry before, the
/// Merkle tree, and the authenticated head. Says what it covered, and at a break names the first bad entry.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyAuditTrail {}

/// What the check found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Verification {
    /// Whether every entry that was ever appended is there, unaltered.
    verified: bool,
    /// How many entries were found good, from the first on.
    entries_checked: i64,
    /// How many entries the log has by its head.
    entries_total: i64,
    /// In one sentence.
    message: String,
    /// The first place that is not as haldir left it; null if there is none.
    first_bad: Option<BadEntry>,
    /// The same, under the name that clients of the existing product read.
    first_break: Option<BadEntry>,
    /// The Merkle root over the entries that were checked, in hexadecimal.
    root_hash: String,
    /// The hash of the last entry that was checked, in hexadecimal.
    chain_head: String,
}

/// A place that is not as haldir left it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BadEntry {
    /// Its number in the log.
    seq: i64,
    /// Its id; null where there is no entry.
    entry_id: Option<String>,
    /// What is wrong with it.
    problem: String,
}

impl ReadOperation for VerifyAuditTrail {
    type Output = Verification;

    fn run(self, cx: &ReadContext<'_>) -> Result<Verification> {
        let tenant = &cx.caller.tenant;
        let keys = cx.services.keyring.tenant(cx.tx, tenant)?;
        let mut check = Check::new(tenant, retention::erased_up_to(cx.tx, &keys, tenant)?);
        let built = cx.tx.tree_build(tenant)?.is_none();
        let (mut tiles, mut failed) = (Tiles::default(), None);
        // From the smallest number there is: an entry in front of the first would be one too many.
        cx.tx.each_entry(tenant, i64::MIN, &mut |read| match check.next(read, &mut tiles.hashes) {
            Ok(()) => {
                if tiles.is_due() {
                    failed = failed.take().or(tiles.compare(cx.tx, tenant, false).err());
                }
                failed.is_none()
            }
            Err(bad) => {
                check.first_bad = Some(bad);
                false
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        let head = cx.tx.head(tenant)?;
        if check.first_bad.is_none() {
            let authentic = |head: &Head| chain::is_authentic(&keys, tenant, head);
            check.first_bad = check.end(head.as_ref(), head.as_ref().is_some_and(authentic));
        }
        if check.first_bad.is_none() && built {
            tiles.compare(cx.tx, tenant, true)?;
            check.first_bad = tiles.first_bad.take();
        }
        if check.first_bad.is_none() && !retention::records_are_authentic(cx.tx, &keys, tenant)? {
            let problem = "the record of what was erased by retention was altered".to_owned();
            check.first_bad = Some(BadEntry { seq: check.seq, entry_id: None, problem });
        }
        Ok(check.report(head.map_or(0, |head| head.seq)))
    }
}

/// What the tree's tiles should hold, and are yet to be compared with.
#[derive(Default)]
struct Tiles {
    hashes: Vec<TileHash>,
    /// How many of each level have been compared.
    compared: [i64; LEVELS],
    first_bad: Option<BadEntry>,
}

impl Tiles {
    fn is_due(&self) -> bool {
        self.hashes.len() >= COMPARED_AT_A_TIME
    }

    /// Compares what has gathered; at the end also that there is nothing more.
    fn compare(&mut self, tx: &dyn ReadTx, tenant: &TenantId, at_end: bool) -> Result<()> {
        self.hashes.sort_by_key(|hash| (hash.level, hash.index));
        for run in self.hashes.chunk_by(|one, other| one.level == other.level) {
            let first = &run[0];
            let stored = tx.tile_hashes(tenant, first.level, first.index, run.len())?;
            let differs = (0..run.len()).find(|place| stored.get(*place) != Some(&run[*place].hash));
            if let (Some(place), None) = (differs, &self.first_bad) {
                let seq = (run[place].index + 1) << (first.level * TILE_HEIGHT);
                self.first_bad = Some(tile_problem(seq));
            }
            if let Some(compared) = self.compared.get_mut(first.level as usize) {
                *compared = run[run.len() - 1].index + 1;
            }
        }
        self.hashes.clear();
        for (level, compared) in (0..).zip(self.compared) {
            if at_end && self.first_bad.is_none() && !tx.tile_hashes(tenant, level, compared, 1)?.is_empty() {
                self.first_bad = Some(tile_problem((compared + 1) << (level * TILE_HEIGHT)));
            }
        }
        Ok(())
    }
}

fn tile_problem(seq: i64) -> BadEntry {
    let problem = "the tree's hash of this entry was altered in the store; the entry itself is good".to_owned();
    BadEntry { seq, entry_id: None, problem }
}

/// The log as far as it has been followed.
struct Check<'a> {
    tenant: &'a TenantId,
    /// Up to here, retention has erased the details of every entry.
    erased_up_to: i64,
    seq: i64,
    at: UnixMicros,
    entry_hash: [u8; 32],
    tree: Frontier,
    actions: i64,
    cost: Money,
    flagged: i64,
    first_bad: Option<BadEntry>,
}

impl<'a> Check<'a> {
    fn new(tenant: &'a TenantId, erased_up_to: i64) -> Self {
        Self {
            tenant,
            erased_up_to,
            seq: 0,
            at: UnixMicros(i64::MIN),
            entry_hash: canonical::GENESIS,
            tree: Frontier::default(),
            actions: 0,
            cost: Money::ZERO,
            flagged: 0,
            first_bad: None,
        }
    }

    fn next(&mut self, read: Result<Entry, StoredEntryProblem>, tiles: &mut Vec<TileHash>) -> Result<(), BadEntry> {
        let expected = self.seq + 1;
        let entry = read.map_err(|StoredEntryProblem { seq, problem }| BadEntry {
            seq: seq.unwrap_or(expected),
            entry_id: None,
            problem: format!("the entry was altered: {problem}"),
        })?;
        if entry.seq > expected {
            return Err(BadEntry { seq: expected, entry_id: None, problem: "the entry is missing".into() });
        }
        let bytes = canonical::bytes(self.tenant, &entry);
        let problem = if entry.seq < expected {
            Some("the entry does not belong to this log")
        } else if canonical::entry_hash(&bytes) != entry.entry_hash {
            Some("the entry was altered: it does not match its hash")
        } else if entry.prev_hash != self.entry_hash {
            Some("the entry does not follow the one before it: one of the two was replaced")
        } else if entry.at < self.at {
            Some("the entry is older than the one before it")
        } else {
            details_problem(&entry, entry.seq <= self.erased_up_to)
        };
        if let Some(problem) = problem {
            return Err(BadEntry { seq: entry.seq, entry_id: Some(entry.id.to_string()), problem: problem.to_owned() });
        }
        self.seq = expected;
        self.at = entry.at;
        self.entry_hash = entry.entry_hash;
        chain::push(&mut self.tree, crypto::leaf_hash(&bytes), tiles);
        self.flagged += i64::from(entry.flagged);
        if entry.kind == EntryKind::Action {
            self.actions += 1;
            self.cost = self.cost.saturating_add(entry.cost);
        }
        Ok(())
    }

    /// Holds the end of the log against its head.
    fn end(&self, head: Option<&Head>, authentic: bool) -> Option<BadEntry> {
        let bad = |seq: i64, problem: &str| Some(BadEntry { seq, entry_id: None, problem: problem.to_owned() });
        let Some(head) = head else { return bad(self.seq, "the head of the log is missing") };
        if !authentic {
            return bad(self.seq, "the head of the log was altered: it is not authenticated by this store's key");
        }
        if head.seq > self.seq {
            return bad(self.seq + 1, "the end of the log was cut off: this entry and those behind it are missing");
        }
        if head.seq < self.seq {
            return bad(head.seq + 1, "the entry stands behind the end of the log: haldir did not append it");
        }
        let same = head.entry_hash == self.entry_hash
            && head.tree == self.tree.to_bytes()
            && (head.actions, head.cost, head.flagged) == (self.actions, self.cost, self.flagged);
        if same { None } else { bad(self.seq, "the entries are not those that the head of the log stands for") }
    }

    fn report(self, entries_total: i64) -> Verification {
        let message = match &self.first_bad {
            None => format!("all {} entries of the log are verified, from the first to the head", self.seq),
            Some(bad) => format!("entry {}: {}; the {} entries before it are verified", bad.seq, bad.problem, self.seq),
        };
        Verification {
            verified: self.first_bad.is_none(),
            entries_checked: self.seq,
            entries_total,
            message,
            first_break: self.first_bad.clone(),
            first_bad: self.first_bad,
            root_hash: hex(&self.tree.root()),
            chain_head: hex(&self.entry_hash),
        }
    }
}

fn details_problem(entry: &Entry, erased: bool) -> Option<&'static str> {
    match (&entry.details, &entry.details_salt, &entry.details_digest) {
        (None, None, _) if erased => None,
        _ if erased => Some("the details were erased by retention, and somebody put some in their place"),
        (None, None, None) => None,
        (Some(details), Some(salt), Some(digest)) => (canonical::details_digest(salt, details) != *digest)
            .then_some("the details were altered: they do not match their digest"),
        (None, _, Some(_)) => Some("the details are missing"),
        _ => Some("the details were altered: they are not those that were recorded"),
    }
}
