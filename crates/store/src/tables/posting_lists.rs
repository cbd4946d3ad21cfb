//! Posting lists: which entries of a log have a session, an agent, a tool. A row says it for one value and one block of 256
//! entries, and is written when the entries are folded ([`fold`](super::fold)).
//!
//! A query reads and checks every entry that a row names, so a row that names too much is harmless. An entry that its rows do
//! not name would be missing from results: `verify` finds it. A row in another form names nothing. Rows are not asked about the
//! log's tail.

mod erased;

use std::collections::BTreeMap;

pub(crate) use erased::{count, forget, move_entries};

use ahash::AHashMap;

use crate::{
    database::{Connection, FromValue, Value, params},
    error::Result,
    model::{EntryLine, EntryView, TenantId},
    statements::statements,
};

statements! {
    POSTING = "SELECT entries FROM audit_postings WHERE tenant = ?1 AND of = ?2 AND block = ?3";
    PUT_POSTING = "INSERT INTO audit_postings (tenant, of, block, entries) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT DO UPDATE SET entries = ?4";
    DELETE_POSTING = "DELETE FROM audit_postings WHERE tenant = ?1 AND of = ?2 AND block = ?3";
    POSTINGS_FORWARD = "SELECT block, entries FROM audit_postings
        WHERE tenant = ?1 AND of = ?2 AND block >= ?3 AND block <= ?4 ORDER BY block LIMIT ?5";
    POSTINGS_BACKWARD = "SELECT block, entries FROM audit_postings
        WHERE tenant = ?1 AND of = ?2 AND block >= ?3 AND block <= ?4 ORDER BY block DESC LIMIT ?5";
}

/// Entries of a block.
const BLOCK: i64 = 256;
/// So many of a block, or more, are told by a bit for each that there could be; fewer by a byte for each that there is.
const BITS_FROM: u32 = 32;
/// Blocks of which a check reads the rows of a value at once.
const CHECKED_AT_ONCE: usize = 16;
/// The same, as block numbers are.
const CHECKED_BLOCKS: i64 = 16;

/// What entries are found by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Session,
    Agent,
    Tool,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Session, Self::Agent, Self::Tool];

    fn prefix(self) -> &'static str {
        match self {
            Self::Session => "s:",
            Self::Agent => "a:",
            Self::Tool => "t:",
        }
    }

    /// What rows are kept by.
    pub(crate) fn of(self, text: &str) -> String {
        format!("{}{text}", self.prefix())
    }
}

fn block(seq: i64) -> i64 {
    (seq - 1) / BLOCK
}

fn place(seq: i64) -> u8 {
    (seq - 1).to_le_bytes()[0]
}

/// Some of a block's entries: bits, of which the first entry's is the highest of the first word.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Places([u64; 4]);

impl Places {
    fn insert(&mut self, place: u8) {
        self.0[usize::from(place / 64)] |= 1 << (63 - place % 64);
    }

    fn has(&self, place: u8) -> bool {
        self.0[usize::from(place / 64)] & (1 << (63 - place % 64)) != 0
    }

    fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    fn all(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |place| self.has(*place))
    }

    fn with(mut self, others: Self) -> Self {
        self.0.iter_mut().zip(others.0).for_each(|(word, other)| *word |= other);
        self
    }

    fn without(mut self, others: Self) -> Self {
        self.0.iter_mut().zip(others.0).for_each(|(word, other)| *word &= !other);
        self
    }

    fn and(mut self, others: Self) -> Self {
        self.0.iter_mut().zip(others.0).for_each(|(word, other)| *word &= other);
        self
    }

    /// Those of a list of numbers, or of bits, in the one form that there is of each; `None` is another form.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut places = Self::default();
        if let Ok(bits) = <&[u8; 32]>::try_from(bytes) {
            let words = places.0.iter_mut().zip(bits.as_chunks().0);
            words.for_each(|(word, bytes)| *word = u64::from_be_bytes(*bytes));
            return (places.count() >= BITS_FROM).then_some(places);
        }
        let is_list = (1..BITS_FROM as usize).contains(&bytes.len()) && bytes.is_sorted_by(|a, b| a < b);
        is_list.then(|| bytes.iter().copied().collect())
    }

    fn to_bytes(self) -> Vec<u8> {
        if self.count() < BITS_FROM { self.all().collect() } else { self.0.map(u64::to_be_bytes).concat() }
    }

    /// Runs of them in the block, from the first entry of each up to the one behind its last; those with at most `bridged` others in
    /// between are one run. Nothing lies outside `first..end`.
    fn runs(self, block: i64, (first, end): (i64, i64), bridged: i64) -> Vec<(i64, i64)> {
        let mut runs: Vec<(i64, i64)> = Vec::new();
        let entries = self.all().map(|place| (block * BLOCK).saturating_add(1 + i64::from(place)));
        for seq in entries.filter(|seq| (first..end).contains(seq)) {
            match runs.last_mut() {
                Some((_, end)) if seq - *end <= bridged => *end = seq + 1,
                _ => runs.push((seq, seq + 1)),
            }
        }
        runs
    }
}

impl FromValue for Places {
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        let places = if let Value::Blob(bytes) = value { Self::from_bytes(bytes) } else { None };
        Ok(places.unwrap_or_default())
    }
}

impl FromIterator<u8> for Places {
    fn from_iter<I: IntoIterator<Item = u8>>(all: I) -> Self {
        let mut places = Self::default();
        for place in all {
            places.insert(place);
        }
        places
    }
}

/// What the rows of a run of entries are to hold.
#[derive(Default)]
pub(crate) struct Gathered<'e>(BTreeMap<(Kind, &'e str, i64), Places>);

impl<'e> Gathered<'e> {
    pub(crate) fn gather(&mut self, seq: i64, entry: &EntryLine<'e>) {
        for (kind, text) in Kind::ALL.into_iter().zip([entry.session_id, entry.agent_id, entry.tool]) {
            self.0.entry((kind, text, block(seq))).or_default().insert(place(seq));
        }
    }

    /// Adds them to what is stored of the entries up to `behind`, which the run follows.
    pub(crate) fn add_to(self, db: &dyn Connection, tenant: &TenantId, behind: i64) -> Result<()> {
        let before = (0..place(behind + 1)).collect();
        for ((kind, text, block), mut places) in self.0 {
            let of = kind.of(text);
            if block * BLOCK < behind {
                let stored: Option<Places> = db.first(POSTING, params![tenant, of, block])?;
                places = places.with(stored.unwrap_or_default().and(before));
            }
            db.send_row(PUT_POSTING, params![tenant, of, block, places.to_bytes()])?;
        }
        Ok(())
    }
}

/// Goes through the entries that all of some postings name, block by block.
pub(crate) struct Walk<'c> {
    db: &'c dyn Connection,
    tenant: &'c TenantId,
    is_backward: bool,
    of: Vec<String>,
    /// What is left: from this entry up to the one in front of that.
    left: (i64, i64),
}

impl<'c> Walk<'c> {
    /// From the first entry of `range` to the one in front of its end.
    pub(crate) fn forward(db: &'c dyn Connection, tenant: &'c TenantId, of: Vec<String>, left: (i64, i64)) -> Self {
        Self { db, tenant, is_backward: false, of, left }
    }

    /// The other way round.
    pub(crate) fn backward(db: &'c dyn Connection, tenant: &'c TenantId, of: Vec<String>, left: (i64, i64)) -> Self {
        Self { db, tenant, is_backward: true, of, left }
    }

    /// The next entries that may be looked for, all of one block: each pair is a first one and the one behind the last.
    /// `None` is the end.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<(i64, i64)>>> {
        self.left.0 = self.left.0.max(1);
        // The block that those asked so far agree on. A value without a part in it says which block is next.
        let mut agreed: Option<(i64, Places)> = None;
        let (mut agreeing, mut asked) = (0, 0);
        while agreeing < self.of.len() {
            let (first, end) = self.left;
            if first >= end {
                return Ok(None);
            }
            let (mut low, mut high) = (block(first), block(end - 1));
            if let Some((block, _)) = agreed {
                *(if self.is_backward { &mut high } else { &mut low }) = block;
            }
            let sql = if self.is_backward { POSTINGS_BACKWARD } else { POSTINGS_FORWARD };
            let found = self.db.first(sql, params![self.tenant, self.of[asked], low, high, 1_i64])?;
            let Some((block, places)) = found else { return Ok(None) };
            (agreed, agreeing) = match agreed {
                Some((before, all)) if before == block => (Some((block, all.and(places))), agreeing + 1),
                _ => (Some((block, places)), 1),
            };
            asked = (asked + 1) % self.of.len();
        }
        let Some((block, places)) = agreed else { return Ok(None) };
        let mut runs = places.runs(block, self.left, self.db.bridged());
        if self.is_backward {
            runs.reverse();
            self.left.1 = block * BLOCK + 1;
        } else {
            self.left.0 = (block + 1).saturating_mul(BLOCK).saturating_add(1);
        }
        Ok(Some(runs))
    }
}

/// Which entries of some blocks a value's rows name, by the value.
type Known = AHashMap<String, [Places; CHECKED_AT_ONCE]>;

/// Holds the entries of a log, one after the other, against what is said of them.
pub(crate) struct Check<'c> {
    db: &'c dyn Connection,
    tenant: &'c TenantId,
    /// The last entry of which anything is said.
    folded: i64,
    /// The first of the blocks of which something is known.
    first: i64,
    /// Of sessions, agents and tools.
    known: [Known; 3],
}

impl<'c> Check<'c> {
    pub(crate) fn new(db: &'c dyn Connection, tenant: &'c TenantId, folded: i64) -> Self {
        Self { db, tenant, folded, first: i64::MIN, known: Default::default() }
    }

    /// Whether a filter by any of its texts finds this entry. What stands in front of the log's first entry, or behind the
    /// last fold, is another matter.
    pub(crate) fn finds(&mut self, entry: &EntryView<'_>) -> Result<bool> {
        let seq = entry.seq;
        if seq < 1 || seq > self.folded {
            return Ok(true);
        }
        let first = block(seq) - block(seq) % CHECKED_BLOCKS;
        if first != self.first {
            self.known = Default::default();
            self.first = first;
        }
        let (at, place) = (usize::try_from(block(seq) - first).unwrap_or(0), place(seq));
        for (kind, text) in Kind::ALL.into_iter().zip([entry.session_id, entry.agent_id, entry.tool]) {
            if !self.known[kind as usize].contains_key(text) {
                let read = self.read(kind, text)?;
                self.known[kind as usize].insert(text.to_owned(), read);
            }
            if !self.known[kind as usize].get(text).is_some_and(|blocks| blocks[at].has(place)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads what the rows of a value say of the current blocks.
    fn read(&self, kind: Kind, text: &str) -> Result<[Places; CHECKED_AT_ONCE]> {
        let end = self.first + CHECKED_BLOCKS - 1;
        let params = params![self.tenant, kind.of(text), self.first, end, CHECKED_AT_ONCE];
        let mut blocks = [None; CHECKED_AT_ONCE];
        self.db.each(POSTINGS_FORWARD, params, |(number, places): (i64, Places)| {
            let at = usize::try_from(number - self.first).unwrap_or(usize::MAX);
            if let Some(block) = blocks.get_mut(at) {
                // Where an intruder has put two rows, a filter may be led by either.
                *block = block.map_or(Some(places), |other: Places| Some(places.and(other)));
            }
            Ok(true)
        })?;
        Ok(blocks.map(Option::unwrap_or_default))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_set_has_one_form_and_is_read_back_from_it(numbers in prop::collection::btree_set(any::<u8>(), 1..=256)) {
            let places: Places = numbers.iter().copied().collect();
            prop_assert!(places.all().eq(numbers.iter().copied()));
            let bytes = places.to_bytes();
            prop_assert_eq!(bytes.len(), if numbers.len() < 32 { numbers.len() } else { 32 });
            prop_assert_eq!(Places::from_bytes(&bytes), Some(places));
        }

        #[test]
        fn what_is_read_is_written_again_as_it_was(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some(places) = Places::from_bytes(&bytes) {
                prop_assert_eq!(places.to_bytes(), bytes);
            }
        }

        #[test]
        fn runs_hold_all_that_is_asked_for_and_few_others(
            numbers in prop::collection::btree_set(any::<u8>(), 0..=256),
            block in 0..1_000_i64,
            bridged in 0..BLOCK,
            (low, high) in (0..300_i64, 0..300_i64),
        ) {
            let (first, end) = (block * 256 + 1 + low - 20, block * 256 + 1 + high - 20);
            let asked = |seq: &i64| (first..end).contains(seq);
            let wanted: Vec<i64> = numbers.iter().map(|place| block * 256 + 1 + i64::from(*place)).filter(asked).collect();
            let runs = numbers.iter().copied().collect::<Places>().runs(block, (first, end), bridged);
            prop_assert!(runs.is_sorted_by(|one, next| one.1 + bridged < next.0));
            let held: Vec<i64> = runs.iter().flat_map(|(first, end)| *first..*end).collect();
            prop_assert!(wanted.iter().all(|seq| held.contains(seq)));
            prop_assert!(held.iter().all(asked));
            prop_assert!(runs.iter().all(|(first, end)| wanted.contains(first) && wanted.contains(&(end - 1))));
        }
    }

    #[test]
    fn other_forms_name_nothing() {
        let few_bits = [&[0xff; 3][..], &[0; 29]].concat();
        let many = (0..33).collect::<Vec<u8>>();
        for bytes in [&[][..], &[2, 1], &[3, 3], &few_bits, &many, &[0xff; 31], &[0xff; 33]] {
            assert_eq!(Places::from_bytes(bytes), None, "{bytes:?}");
        }
    }
}
