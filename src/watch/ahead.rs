//! Entries that are followed several at a time: the bytes of each are gathered, and hashed together.

use super::{canonical, check::details_problem};
use crate::{
    crypto::{self, Hash, SEVERAL},
    model::{EntryBytes, EntryKind, Money, TenantId, UnixMicros},
};

/// Entries that are good in all but their own hash, which nobody has computed yet.
pub struct Ahead {
    seq: i64,
    at: UnixMicros,
    last: Option<Hash>,
    /// Their canonical bytes, one behind the other.
    bytes: Vec<u8>,
    /// The details that are still to be held against their digests, each behind its salt; where each ends, and the digest.
    salted: Vec<u8>,
    details: Vec<(usize, Hash)>,
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
        let (entries, details) = (Vec::with_capacity(SEVERAL), Vec::with_capacity(SEVERAL));
        Self { seq, at, last, bytes: Vec::new(), salted: Vec::new(), details, entries }
    }

    /// Whether no more entries are to be gathered.
    pub fn is_full(&self) -> bool {
        self.entries.len() >= SEVERAL
    }

    /// Gathers the next entry, whose details were erased if `is_erased`; `false` if it is not good, whatever the reason.
    pub fn gather(&mut self, tenant: &TenantId, entry: &EntryBytes<'_>, is_erased: bool) -> bool {
        let follows = entry.seq == self.seq + 1
            && self.last.is_none_or(|last| last == *entry.prev_hash)
            && entry.at >= self.at
            && entry.details.is_none_or(is_text)
            && self.gather_details(entry, is_erased);
        if !follows {
            return false;
        }
        let begin = self.bytes.len();
        canonical::append(tenant, entry, &mut self.bytes);
        // What stands between the texts is ASCII: if the whole is UTF-8, each of them is.
        if !is_text(&self.bytes[begin..]) {
            return false;
        }
        self.entries.push(Gathered::of(entry, self.bytes.len()));
        (self.seq, self.at, self.last) = (entry.seq, entry.at, Some(*entry.entry_hash));
        true
    }

    /// Whether the details are as they should be, but for their digest if that is gathered.
    fn gather_details(&mut self, entry: &EntryBytes<'_>, erased: bool) -> bool {
        match (entry.details, entry.details_salt, entry.details_digest) {
            (Some(details), Some(salt), Some(digest)) if !erased => {
                self.salted.extend_from_slice(salt);
                self.salted.extend_from_slice(details);
                self.details.push((self.salted.len(), *digest));
                true
            }
            _ => details_problem(entry, erased).is_none(),
        }
    }

    /// The canonical bytes of each entry, if each has its hash and its details have their digest.
    pub fn hashed(&self) -> Option<[&[u8]; SEVERAL]> {
        let texts = parts(&self.bytes, self.entries.iter().map(|entry| entry.end));
        let details = parts(&self.salted, self.details.iter().map(|details| details.0));
        let entries = self.entries.iter().map(|entry| &entry.entry_hash);
        (has_digests(&details, self.details.iter().map(|details| &details.1)) && has_digests(&texts, entries))
            .then_some(texts)
    }

    /// Nothing gathered, behind the last.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.salted.clear();
        self.details.clear();
        self.entries.clear();
    }
}

/// Whether these bytes are UTF-8. Nearly always they are ASCII, which is seen sooner.
fn is_text(bytes: &[u8]) -> bool {
    bytes.is_ascii() || str::from_utf8(bytes).is_ok()
}

/// What stands between these ends.
fn parts(bytes: &[u8], ends: impl Iterator<Item = usize>) -> [&[u8]; SEVERAL] {
    let (mut parts, mut begin) = ([&[][..]; SEVERAL], 0);
    for (part, end) in parts.iter_mut().zip(ends) {
        *part = &bytes[begin..end];
        begin = end;
    }
    parts
}

fn has_digests<'d>(messages: &[&[u8]; SEVERAL], expected: impl ExactSizeIterator<Item = &'d Hash>) -> bool {
    let digests = crypto::digests(&messages[..expected.len()]);
    expected.zip(&digests).all(|(expected, digest)| expected == digest)
}
