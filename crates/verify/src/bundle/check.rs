//! The lines of a bundle: each judged by itself, then in its order, then the end against the checkpoint.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{BadLine, ErasedLine, HeadLine};
use crate::{
    canonical,
    crypto::{self, Checkpoint, Frontier, Hash, PublicKey},
    hex::{hex, unhex},
    tree_head,
};

/// Any line behind the first. What is hexadecimal is borrowed from the line: nothing in it is ever escaped.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    entry: Option<&'a RawValue>,
    hash: Option<&'a str>,
    details: Option<Cow<'a, str>>,
    salt: Option<&'a str>,
    erased: Option<ErasedLine>,
    head: Option<HeadLine>,
    end: Option<u64>,
}

/// The keys under which a recorded head may be signed.
pub struct Keys {
    /// Those that came with the bundle.
    pub own: Vec<PublicKey>,
    /// Those that the auditor gave.
    pub given: Vec<PublicKey>,
}

/// A line, judged by itself.
pub enum Judged {
    Entry { seq: u64, id: String, at: i64, prev: Option<Hash>, hash: Hash, is_hash: bool, leaf: Hash, details: Details },
    Head { size: u64, root: Option<Hash>, is_good: bool, is_trusted: bool },
    End(u64),
    Unreadable(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Details {
    None,
    Good,
    Erased,
    /// Not of the details alone, but of all texts.
    EntryErased,
    Altered,
}

/// Judges a line by itself: all that needs no other line, which is nearly all of the work.
pub fn judge(line: &[u8], tenant: &str, keys: &Keys) -> Judged {
    let line: Line<'_> = match serde_json::from_slice(line) {
        Ok(line) => line,
        Err(error) => return Judged::Unreadable(error.to_string()),
    };
    // A line that is two things at once would be read as one of them here and as the other by the next program.
    let kinds = [line.entry.is_some(), line.erased.is_some(), line.head.is_some(), line.end.is_some()];
    let has_parts = line.hash.is_some() || line.details.is_some() || line.salt.is_some();
    if kinds.into_iter().filter(|is_there| *is_there).count() != 1 || (has_parts && line.entry.is_none()) {
        return Judged::Unreadable("a line must be one of an entry, an erased entry, a head and the end".to_owned());
    }
    if let Some(count) = line.end {
        return Judged::End(count);
    }
    if let Some(head) = line.head {
        let root = unhex::<32>(&head.root_hash);
        let named = |key: &&PublicKey| hex(key.as_bytes()) == head.public_key;
        let given = keys.given.iter().find(named);
        let is_good = match (&root, unhex::<64>(&head.signature), given.or_else(|| keys.own.iter().find(named))) {
            (Some(root), Some(signature), Some(key)) => {
                key.verifies(&tree_head::signed_bytes(head.tree_size, root, head.signed_at), &signature)
            }
            _ => false,
        };
        return Judged::Head { size: head.tree_size, root, is_good, is_trusted: given.is_some() };
    }
    if let Some(erased) = line.erased {
        let ErasedLine { seq, entry_id, at, prev_hash, hash, leaf } = erased;
        let (Some(hash), Some(leaf)) = (unhex(&hash), unhex(&leaf)) else {
            return Judged::Unreadable(format!("entry {seq} has no hash or no leaf"));
        };
        let (prev, details) = (unhex(&prev_hash), Details::EntryErased);
        return Judged::Entry { seq, id: entry_id, at, prev, hash, is_hash: true, leaf, details };
    }
    let Some(entry) = line.entry else { return Judged::Unreadable("a line is none of the form".to_owned()) };
    let form = match canonical::read(entry.get()) {
        Ok(form) => form,
        Err(problem) => return Judged::Unreadable(problem),
    };
    let Some(seq) = u64::try_from(form.seq).ok().filter(|_| form.tenant == tenant) else {
        return Judged::Unreadable(format!("entry {} is not of this log", form.seq));
    };
    let bytes = entry.get().as_bytes();
    let details = match (form.details, line.details, line.salt) {
        (None, None, None) => Details::None,
        (Some(_), None, None) => Details::Erased,
        (Some(digest), Some(details), Some(salt)) => {
            let is_same = unhex(salt)
                .is_some_and(|salt| unhex(&digest) == Some(canonical::details_digest(&salt, details.as_bytes())));
            if is_same { Details::Good } else { Details::Altered }
        }
        _ => Details::Altered,
    };
    let hash = canonical::entry_hash(bytes);
    Judged::Entry {
        is_hash: line.hash.and_then(unhex) == Some(hash),
        seq,
        id: form.entry_id.into_owned(),
        at: form.at,
        prev: unhex(&form.prev_hash),
        hash,
        leaf: crypto::leaf_hash(bytes),
        details,
    }
}

/// The log as far as it has been followed.
pub struct Check {
    size: u64,
    may_be_erased: bool,
    /// The tree over the entries so far.
    pub tree: Frontier,
    last: Hash,
    at: i64,
    /// Details that were good, and those that are not there.
    pub details: (u64, u64),
    /// Entries whose texts were erased.
    pub erased: u64,
    /// Heads that agree with the entries, and those of them that are signed with a key that was given.
    pub heads: (u64, u64),
    ended: bool,
    line: u64,
    /// The first that is wrong.
    pub bad: Option<BadLine>,
}

impl Check {
    /// Before the first entry of a log of `size`, in a bundle that may have erased entries.
    pub fn new(size: u64, may_be_erased: bool) -> Self {
        Self {
            size,
            may_be_erased,
            tree: Frontier::default(),
            last: canonical::GENESIS,
            at: i64::MIN,
            details: (0, 0),
            erased: 0,
            heads: (0, 0),
            ended: false,
            line: 1,
            bad: None,
        }
    }

    fn fail(&mut self, seq: Option<u64>, entry_id: Option<String>, problem: impl Into<String>) -> bool {
        self.bad = Some(BadLine { line: self.line, seq, entry_id, problem: problem.into() });
        false
    }

    /// Goes on by a line; `false` at the first that is wrong.
    pub fn follow(&mut self, judged: Judged) -> bool {
        self.line += 1;
        let expected = self.tree.size() + 1;
        if self.ended {
            return self.fail(None, None, "something stands behind the end");
        }
        match judged {
            Judged::Unreadable(problem) => self.fail(Some(expected), None, format!("cannot be read: {problem}")),
            Judged::End(count) => {
                self.ended = true;
                count == self.tree.size()
                    || self.fail(None, None, format!("{count} entries were written, {} are there", self.tree.size()))
            }
            Judged::Head { size, root, is_good, is_trusted } => {
                if !is_good {
                    return self.fail(
                        None,
                        None,
                        "the head's signature does not verify under a key of the bundle or one that was given",
                    );
                }
                if size != self.tree.size() || root != Some(self.tree.root()) {
                    let problem = format!("the entries are not those that were signed at {size} entries");
                    return self.fail(Some(size), None, problem);
                }
                self.heads.0 += 1;
                self.heads.1 += u64::from(is_trusted);
                true
            }
            Judged::Entry { seq, id, at, prev, hash, is_hash, leaf, details } => {
                let problem = if expected > self.size {
                    Some("the entry stands behind what the checkpoint stands for")
                } else if seq != expected {
                    return self.fail(
                        Some(expected),
                        None,
                        format!("the entry is missing: number {seq} is in its place"),
                    );
                } else if !is_hash {
                    Some("the entry was altered: it does not match its hash")
                } else if prev != Some(self.last) {
                    Some("the entry does not follow the one before it: one of the two was altered")
                } else if at < self.at {
                    Some("the entry is older than the one before it")
                } else if details == Details::EntryErased && !self.may_be_erased {
                    Some("the entry is without its texts, which a bundle of version 1 never leaves out")
                } else if details == Details::Altered {
                    Some("the details were altered: they do not match their digest")
                } else {
                    None
                };
                if let Some(problem) = problem {
                    return self.fail(Some(seq), Some(id), problem);
                }
                match details {
                    Details::Good => self.details.0 += 1,
                    Details::Erased => self.details.1 += 1,
                    Details::EntryErased => self.erased += 1,
                    _ => {}
                }
                (self.last, self.at) = (hash, at);
                self.tree.push(leaf);
                true
            }
        }
    }

    /// Holds the end against the checkpoint.
    pub fn end(&mut self, checkpoint: &Checkpoint) {
        let checked = self.tree.size();
        if self.bad.is_some() {
        } else if checked < checkpoint.size {
            self.fail(Some(checked + 1), None, "the end was cut off: this entry and those behind it are missing");
        } else if self.tree.root() != checkpoint.root {
            let problem = "the entries are not those that the checkpoint stands for: the last one was altered, or the \
                           checkpoint is of another history";
            self.fail(Some(checked), None, problem);
        } else if !self.ended {
            self.fail(None, None, "the end of the bundle is missing");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_another_reader_could_take_for_another_entry_are_refused() {
        let zero = "0".repeat(64);
        let entry = format!(
            "{{\"action\":\"buy\",\"actor\":\"a\",\"agent_id\":\"a\",\"at\":1,\"cost\":\"0\",\"details\":null,\"entry_id\":\"aud_1\",\
             \"flag_reason\":\"\",\"flagged\":false,\"kind\":\"action\",\"prev_hash\":\"{zero}\",\"seq\":1,\"session_id\":\"s\",\
             \"tenant\":\"local\",\"tool\":\"t\",\"v\":1}}"
        );
        // Each with the hash of its own bytes, as the holder of the signing key could make it.
        let judged = |entry: &str| {
            let hash = hex(&canonical::entry_hash(entry.as_bytes()));
            let line = format!("{{\"entry\":{entry},\"hash\":\"{hash}\",\"details\":null,\"salt\":null}}");
            judge(line.as_bytes(), "local", &Keys { own: Vec::new(), given: Vec::new() })
        };
        assert!(matches!(judged(&entry), Judged::Entry { seq: 1, is_hash: true, .. }));
        for (from, to) in [
            ("\"action\":\"buy\"", "\"action\":\"buy\",\"action\":\"sell\""),
            ("\"action\":\"buy\"", "\"action\":\"buy\",\"\\u0061ction\":\"sell\""),
            ("\"action\":\"buy\"", "\"action\":\"\\u0062uy\""),
            ("\"action\":\"buy\",\"actor\":\"a\"", "\"actor\":\"a\",\"action\":\"buy\""),
            ("\"v\":1", "\"v\":1,\"w\":1"),
            ("\"v\":1", "\"v\":2"),
            ("\"v\":1", "\"v\": 1"),
            ("\"seq\":1", "\"seq\":-1"),
        ] {
            let altered = entry.replacen(from, to, 1);
            assert!(altered != entry && matches!(judged(&altered), Judged::Unreadable(_)), "{altered}");
        }
    }
}
