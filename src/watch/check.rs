//! Following a log: each entry judged by itself, then in its order, then the end against the head.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    canonical, chain,
    erasing::{Erased, Marks},
};
use crate::{
    crypto::{self, Frontier, Hash},
    error::Result,
    model::{EntryKind, EntryView, Money, TenantId, UnixMicros},
    store::{
        Head, ReadTx, StoredEntryProblem,
        erasing::ErasedEntry,
        tree::{TILE_HEIGHT, TileHash},
    },
};

/// Levels of tiles that a log can have: its numbers have 63 bits.
const LEVELS: usize = 8;
/// Hashes of leaves that are compared at a time: so few that the memory for them is kept, not handed back each time.
const COMPARED_AT_A_TIME: usize = 1_024;

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

impl BadEntry {
    fn of(entry: &EntryView<'_>, problem: &str) -> Self {
        Self { seq: entry.seq, entry_id: Some(entry.id.to_owned()), problem: problem.to_owned() }
    }
}

/// What the tree's tiles should hold, gathered until it is compared.
pub struct Tiles {
    /// Of each level: the place of the first, and the hashes from there on.
    levels: [(i64, Vec<Hash>); LEVELS],
    /// Whether the store keeps tiles of this log already.
    are_kept: bool,
    /// The first that differs.
    pub first_bad: Option<BadEntry>,
}

impl Tiles {
    /// Nothing gathered. Where `are_kept` is false, nothing ever is.
    pub fn new(are_kept: bool) -> Self {
        Self { levels: Default::default(), are_kept, first_bad: None }
    }

    fn gather(&mut self, tile: TileHash) {
        if let Some((first, hashes)) = self.levels.get_mut(tile.level as usize).filter(|_| self.are_kept) {
            if hashes.is_empty() {
                *first = tile.index;
            }
            hashes.push(tile.hash);
        }
    }

    /// Compares what has gathered.
    pub fn compare(&mut self, tx: &ReadTx, tenant: &TenantId) -> Result<()> {
        let folded = tx.last_in_tiles(tenant)?;
        for (level, (first, hashes)) in (0..).zip(&mut self.levels) {
            if hashes.is_empty() {
                continue;
            }
            // Those behind the last fold are in no tile yet.
            let kept = (folded >> (level * TILE_HEIGHT)).saturating_sub(*first);
            hashes.truncate(usize::try_from(kept).unwrap_or(0));
            let stored = tx.tile_hashes(tenant, level, *first, hashes.len())?;
            if stored != *hashes && self.first_bad.is_none() {
                let same = stored.iter().zip(&*hashes).take_while(|(stored, right)| stored == right).count();
                self.first_bad = Some(tile_problem(level, *first + same.cast_signed() as i64));
            }
            hashes.clear();
        }
        Ok(())
    }

    /// That no more is folded than the log of `size` entries, and that the tiles hold nothing beyond that.
    pub fn compare_end(&mut self, tx: &ReadTx, tenant: &TenantId, size: i64) -> Result<()> {
        let folded = tx.last_in_tiles(tenant)?;
        if folded > size && self.first_bad.is_none() {
            let problem = "what is said to be folded is more than there is".to_owned();
            self.first_bad = Some(BadEntry { seq: size, entry_id: None, problem });
        }
        for level in (0..).take(LEVELS).take_while(|_| self.are_kept) {
            let end = folded >> (level * TILE_HEIGHT);
            if self.first_bad.is_none() && !tx.tile_hashes(tenant, level, end, 1)?.is_empty() {
                self.first_bad = Some(tile_problem(level, end));
            }
        }
        Ok(())
    }
}

fn tile_problem(level: u32, index: i64) -> BadEntry {
    let problem = "the tree's hash of this entry was altered in the store; the entry itself is good".to_owned();
    BadEntry { seq: (index + 1) << (level * TILE_HEIGHT), entry_id: None, problem }
}

/// The log, or a part of it, as far as it has been followed.
pub struct Check {
    /// Number of the entry that was followed last.
    pub seq: i64,
    at: UnixMicros,
    /// The hash of that entry; unknown in front of a part's first.
    last: Option<Hash>,
    /// The tree over what was followed.
    pub tree: Frontier,
    /// Told how far the check has come, for a person who waits.
    counted: Option<Arc<AtomicU64>>,
    actions: i64,
    cost: Money,
    flagged: i64,
    /// The first that is not good.
    pub first_bad: Option<BadEntry>,
    /// Entries in front of this part.
    before: i64,
    /// What the part's first entry says that it follows, and its time.
    begins: Option<(Hash, UnixMicros)>,
    /// The canonical bytes of one entry after the other.
    bytes: Vec<u8>,
}

impl Default for Check {
    fn default() -> Self {
        Self { last: Some(canonical::GENESIS), ..Self::behind(0) }
    }
}

impl Check {
    /// A part of the log that begins behind so many entries. What it follows is looked at when it is joined.
    pub fn behind(before: i64) -> Self {
        Self {
            seq: before,
            at: UnixMicros(i64::MIN),
            last: None,
            tree: Frontier::default(),
            counted: None,
            actions: 0,
            cost: Money::ZERO,
            flagged: 0,
            first_bad: None,
            before,
            begins: None,
            bytes: Vec::new(),
        }
    }

    /// The same, and `counted` holds the number of the entry that was followed last.
    #[must_use]
    pub fn counting(self, counted: Option<Arc<AtomicU64>>) -> Self {
        Self { counted, ..self }
    }

    /// The hash of the entry that was followed last.
    pub fn entry_hash(&self) -> Hash {
        self.last.unwrap_or(canonical::GENESIS)
    }

    /// Follows the stored entries from `first` up to `end`, and says what is wrong with the first that is not good.
    pub fn follow_stored(
        &mut self,
        tx: &ReadTx,
        tenant: &TenantId,
        (first, end): (i64, i64),
        erased: Erased<'_>,
        tiles: &mut Tiles,
    ) -> Result<()> {
        let mut failed = None;
        let mut marks = Marks::new(tx, tenant, first);
        tx.each_entry(tenant, first, &mut |read| {
            let seq = read.as_ref().map_or_else(|problem| problem.seq, |entry| Some(entry.seq));
            if seq.is_some_and(|seq| seq >= end) {
                return false;
            }
            let mark = match seq.map_or(Ok(None), |seq| marks.of(seq)) {
                Ok(mark) => mark,
                Err(error) => {
                    failed = Some(error);
                    return false;
                }
            };
            let mark = mark.filter(|mark| read.as_ref().is_ok_and(|entry| erased.vouches(tenant, entry, mark)));
            let followed = match (mark, read) {
                (Some(ErasedEntry { leaf: Some(leaf), .. }), Ok(entry)) if entry.seq <= self.seq + 1 => {
                    let problem = self.follow_erased(&entry, leaf, tiles);
                    problem.map_or(Ok(()), |problem| Err(BadEntry::of(&entry, problem)))
                }
                (mark, read) => {
                    let is_erased = mark.is_some() || seq.is_some_and(|seq| seq <= erased.up_to);
                    self.follow(tenant, read, is_erased, tiles)
                }
            };
            if let Err(bad) = followed {
                self.first_bad = Some(bad);
                return false;
            }
            if tiles.levels[0].1.len() >= COMPARED_AT_A_TIME {
                failed = tiles.compare(tx, tenant).err();
            }
            failed.is_none()
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// Goes on by an entry whose texts were erased: its hash and its leaf were computed while they were there, and are held
    /// against the next entry and the tree. Answers what is wrong with it.
    fn follow_erased(&mut self, entry: &EntryView<'_>, leaf: Hash, tiles: &mut Tiles) -> Option<&'static str> {
        let problem = if entry.seq != self.seq + 1 {
            Some("the entry does not belong to this log")
        } else if self.last.is_some_and(|last| last != *entry.prev_hash) {
            Some("the entry does not follow the one before it: one of the two was replaced")
        } else if entry.at < self.at {
            Some("the entry is older than the one before it")
        } else {
            None
        };
        if problem.is_none() {
            self.go_on(entry, leaf, tiles);
        }
        problem
    }

    /// Goes on by an entry, and gathers what the tiles should hold. `is_erased` says whether its details were erased.
    pub fn follow(
        &mut self,
        tenant: &TenantId,
        read: Result<EntryView<'_>, StoredEntryProblem>,
        is_erased: bool,
        tiles: &mut Tiles,
    ) -> Result<(), BadEntry> {
        let expected = self.seq + 1;
        let entry = read.map_err(|StoredEntryProblem { seq, problem }| BadEntry {
            seq: seq.unwrap_or(expected),
            entry_id: None,
            problem: format!("the entry was altered: {problem}"),
        })?;
        if entry.seq > expected {
            return Err(BadEntry { seq: expected, entry_id: None, problem: "the entry is missing".into() });
        }
        canonical::write(tenant, &entry, &mut self.bytes);
        let problem = if entry.seq < expected {
            Some("the entry does not belong to this log")
        } else if canonical::entry_hash(&self.bytes) != *entry.entry_hash {
            Some("the entry was altered: it does not match its hash")
        } else if self.last.is_some_and(|last| last != *entry.prev_hash) {
            Some("the entry does not follow the one before it: one of the two was replaced")
        } else if entry.at < self.at {
            Some("the entry is older than the one before it")
        } else {
            details_problem(&entry, is_erased)
        };
        if let Some(problem) = problem {
            return Err(BadEntry::of(&entry, problem));
        }
        let leaf = crypto::leaf_hash(&self.bytes);
        self.go_on(&entry, leaf, tiles);
        Ok(())
    }

    /// Goes on by a good entry, which is this leaf of the tree.
    fn go_on(&mut self, entry: &EntryView<'_>, leaf: Hash, tiles: &mut Tiles) {
        let index = self.before.cast_unsigned() + self.tree.size();
        self.tree.push_with(leaf, |height, root| {
            if let Some(tile) = chain::tile_hash(height, index >> height, root) {
                tiles.gather(tile);
            }
        });
        if self.last.is_none() {
            self.begins = Some((*entry.prev_hash, entry.at));
        }
        self.seq += 1;
        self.at = entry.at;
        self.last = Some(*entry.entry_hash);
        self.flagged += i64::from(entry.flagged);
        if entry.kind == EntryKind::Action {
            self.actions += 1;
            self.cost = self.cost.saturating_add(entry.cost);
        }
        if let Some(counted) = &self.counted {
            counted.store(self.seq.unsigned_abs(), Ordering::Relaxed);
        }
    }

    /// Goes on by a part that was followed by itself. `false`, and nothing is changed, if it is not good or does not
    /// follow: then only following its entries one by one says why.
    pub fn join(&mut self, part: &Self, tiles: &mut Tiles) -> bool {
        let Some((prev_hash, at)) = part.begins else { return false };
        let follows =
            part.first_bad.is_none() && part.before == self.seq && self.last == Some(prev_hash) && at >= self.at;
        let mut tree = self.tree.clone();
        let mut gained = Vec::new();
        if !follows
            || !tree.append(&part.tree, |height, index, root| gained.extend(chain::tile_hash(height, index, root)))
        {
            return false;
        }
        for tile in gained {
            tiles.gather(tile);
        }
        self.tree = tree;
        self.seq = part.seq;
        self.at = part.at;
        self.last = part.last;
        self.actions += part.actions;
        self.cost = self.cost.saturating_add(part.cost);
        self.flagged += part.flagged;
        true
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
        let same = head.entry_hash == self.entry_hash()
            && head.tree == self.tree.to_bytes()
            && (head.actions, head.cost, head.flagged) == (self.actions, self.cost, self.flagged);
        if same { None } else { bad(self.seq, "the entries are not those that the head of the log stands for") }
    }
}

fn details_problem(entry: &EntryView<'_>, erased: bool) -> Option<&'static str> {
    match (entry.details, entry.details_salt, entry.details_digest) {
        (None, None, _) if erased => None,
        _ if erased => Some("the details were erased, and somebody put some in their place"),
        (None, None, None) => None,
        (Some(details), Some(salt), Some(digest)) => (canonical::details_digest(salt, details.as_bytes()) != *digest)
            .then_some("the details were altered: they do not match their digest"),
        (None, _, Some(_)) => Some("the details are missing"),
        _ => Some("the details were altered: they are not those that were recorded"),
    }
}
