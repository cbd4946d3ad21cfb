//! Entries that are followed several at a time: the bytes of each are gathered, and hashed together.

use super::{canonical, check::details_problem};
use crate::{
    crypto::{Hash, SEVERAL},
    model::{EntryBytes, EntryKind, Money, TenantId, UnixMicros},
};

/// Entries that are good in all but their own hash, which nobody has computed yet.
pub struct Ahead {
    seq: i64,
    at: UnixMicros,
    last: Option<Hash>,
    /// Their canonical bytes, one behind the other.
    pub bytes: Vec<u8>,
    /// The entries, at most [`SEVERAL`].
    pub entries: Vec<Gathered>,
}

/// What the check still needs of an entry.
#[allow(missing_docs)]
pub struct Gathered {
    pub at: UnixMicros,
    pub cost: Money,
    pub flagged: bool,
    pub is_action: bool,
    pub prev_hash: Hash,
    pub entry_hash: Hash,
    /// Where its bytes end.
    end: usize,
}

impl Gathered {
    /// Of this entry, whose bytes end there.
    pub fn of(entry: &EntryBytes<'_>, end: usize) -> Self {
        Self {
            at: entry.at,
            cost: entry.cost,
            flagged: entry.flagged,
            is_action: entry.kind == EntryKind::Action,
            prev_hash: *entry.prev_hash,
            entry_hash: *entry.entry_hash,
            end,
        }
    }
}

impl Ahead {
    /// Nothing gathered, behind the entry with this number, time and, where it is known, hash.
    pub fn of(seq: i64, at: UnixMicros, last: Option<Hash>) -> Self {
        Self { seq, at, last, bytes: Vec::new(), entries: Vec::with_capacity(SEVERAL) }
    }

    /// Whether no more entries are to be gathered.
    pub fn is_full(&self) -> bool {
        self.entries.len() >= SEVERAL
    }

    /// Gathers the next entry; `false` if it is not good, whatever the reason.
    pub fn gather(&mut self, tenant: &TenantId, entry: &EntryBytes<'_>, erased_up_to: i64) -> bool {
        let follows = entry.seq == self.seq + 1
            && self.last.is_none_or(|last| last == *entry.prev_hash)
            && entry.at >= self.at
            && entry.details.is_none_or(|details| str::from_utf8(details).is_ok())
            && details_problem(entry, entry.seq <= erased_up_to).is_none();
        if !follows {
            return false;
        }
        let begin = self.bytes.len();
        canonical::append(tenant, entry, &mut self.bytes);
        // What stands between the texts is ASCII: if the whole is UTF-8, each of them is.
        if str::from_utf8(&self.bytes[begin..]).is_err() {
            return false;
        }
        self.entries.push(Gathered::of(entry, self.bytes.len()));
        (self.seq, self.at, self.last) = (entry.seq, entry.at, Some(*entry.entry_hash));
        true
    }

    /// The canonical bytes of each entry.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let mut begin = 0;
        self.entries.iter().map(move |entry| {
            let part = &self.bytes[begin..entry.end];
            begin = entry.end;
            part
        })
    }
}
