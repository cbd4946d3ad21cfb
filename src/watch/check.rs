//! Following a log: each entry judged by itself, then in its order, then the end against the head.

use schemars::JsonSchema;
use serde::Serialize;

use super::{canonical, chain};
use crate::{
    crypto::{self, Frontier, Hash},
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

/// A place that is not as haldir left it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BadEntry {
    /// Its number in the log.
    pub seq: i64,
    /// Its id; null where there is no entry.
    pub entry_id: Option<String>,
    /// What is wrong with it.
    pub problem: String,
}

/// An entry judged by itself: nearly all of the work, and what threads can share.
pub type Judged = Result<Facts, StoredEntryProblem>;

/// What following needs of an entry.
pub struct Facts {
    /// Its number.
    pub seq: i64,
    id: String,
    at: UnixMicros,
    prev_hash: Hash,
    entry_hash: Hash,
    leaf: Hash,
    /// Whether its hash is that of its fields.
    is_hash: bool,
    details_problem: Option<&'static str>,
    flagged: bool,
    action_cost: Option<Money>,
}

/// Judges an entry by itself. Retention has erased the details of every entry up to `erased_up_to`.
pub fn judge(tenant: &TenantId, read: Result<Entry, StoredEntryProblem>, erased_up_to: i64) -> Judged {
    let entry = read?;
    let bytes = canonical::bytes(tenant, &entry);
    Ok(Facts {
        seq: entry.seq,
        at: entry.at,
        prev_hash: entry.prev_hash,
        entry_hash: entry.entry_hash,
        leaf: crypto::leaf_hash(&bytes),
        is_hash: canonical::entry_hash(&bytes) == entry.entry_hash,
        details_problem: details_problem(&entry, entry.seq <= erased_up_to),
        flagged: entry.flagged,
        action_cost: (entry.kind == EntryKind::Action).then_some(entry.cost),
        id: entry.id.to_string(),
    })
}

/// What the tree's tiles should hold, and are yet to be compared with.
#[derive(Default)]
pub struct Tiles {
    /// Not compared yet.
    pub hashes: Vec<TileHash>,
    /// How many of each level have been compared.
    compared: [i64; LEVELS],
    /// The first that differs.
    pub first_bad: Option<BadEntry>,
}

impl Tiles {
    /// Whether enough has gathered.
    pub fn is_due(&self) -> bool {
        self.hashes.len() >= COMPARED_AT_A_TIME
    }

    /// Compares what has gathered; at the end also that there is nothing more.
    pub fn compare(&mut self, tx: &dyn ReadTx, tenant: &TenantId, at_end: bool) -> Result<()> {
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
pub struct Check {
    /// Entries that were followed.
    pub seq: i64,
    at: UnixMicros,
    /// The hash of the last one.
    pub entry_hash: Hash,
    /// The tree over them.
    pub tree: Frontier,
    actions: i64,
    cost: Money,
    flagged: i64,
    /// The first that is not good.
    pub first_bad: Option<BadEntry>,
}

impl Default for Check {
    fn default() -> Self {
        Self {
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
}

impl Check {
    /// Goes on by an entry, and gathers what the tiles should hold.
    pub fn follow(&mut self, judged: Judged, tiles: &mut Vec<TileHash>) -> Result<(), BadEntry> {
        let expected = self.seq + 1;
        let entry = judged.map_err(|StoredEntryProblem { seq, problem }| BadEntry {
            seq: seq.unwrap_or(expected),
            entry_id: None,
            problem: format!("the entry was altered: {problem}"),
        })?;
        if entry.seq > expected {
            return Err(BadEntry { seq: expected, entry_id: None, problem: "the entry is missing".into() });
        }
        let problem = if entry.seq < expected {
            Some("the entry does not belong to this log")
        } else if !entry.is_hash {
            Some("the entry was altered: it does not match its hash")
        } else if entry.prev_hash != self.entry_hash {
            Some("the entry does not follow the one before it: one of the two was replaced")
        } else if entry.at < self.at {
            Some("the entry is older than the one before it")
        } else {
            entry.details_problem
        };
        if let Some(problem) = problem {
            return Err(BadEntry { seq: entry.seq, entry_id: Some(entry.id), problem: problem.to_owned() });
        }
        self.seq = expected;
        self.at = entry.at;
        self.entry_hash = entry.entry_hash;
        chain::push(&mut self.tree, entry.leaf, tiles);
        self.flagged += i64::from(entry.flagged);
        if let Some(cost) = entry.action_cost {
            self.actions += 1;
            self.cost = self.cost.saturating_add(cost);
        }
        Ok(())
    }

    /// Holds the end of the log against its head.
    pub fn end(&self, head: Option<&Head>, authentic: bool) -> Option<BadEntry> {
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
