//! A log as one file that is checked without a server and without a database: every entry's canonical bytes and
//! details, the heads that were signed on the way, a checkpoint, and the keys.
//!
//! One JSON document a line. The first names the log and holds checkpoint and keys; then entries in order, each with its
//! canonical bytes as they are hashed, and a recorded head behind the entry that it ends with; then the number of
//! entries. Reading and checking take constant memory; parsing and hashing are spread over threads.

mod check;

use std::io::BufRead;

use check::{Check, Judged, Keys, judge};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{canonical::hex, in_order::in_order};
use crate::{
    crypto::{Checkpoint, Note, PublicKey, TrustedKey, Verifier},
    error::{Code, Error, Result},
    model::Entry,
};

/// The version of the form.
pub const VERSION: u32 = 1;
/// The version of a bundle in which some entries were erased: an older haldir says that it does not know it.
pub const VERSION_WITH_ERASED: u32 = 2;
/// Bytes that a thread is given at a time, in whole lines.
const BLOCK_BYTES: usize = 256 * 1024;
/// The longest line: details are at most as large as a request.
const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Opening {
    pub haldir_bundle: u32,
    pub tenant_id: String,
    /// The log's name in checkpoints.
    pub origin: String,
    /// A signed note.
    pub checkpoint: String,
    /// Verifier keys, the newest first.
    pub keys: Vec<String>,
}

/// An entry.
#[derive(Debug, Serialize, Deserialize)]
pub struct EntryLine<'a> {
    /// The canonical bytes: this very text is hashed.
    #[serde(borrow)]
    pub entry: &'a RawValue,
    /// The hash that the log has for it, in hexadecimal: it tells which of two entries was altered.
    pub hash: std::borrow::Cow<'a, str>,
    /// JSON text; null where there were none, or where they were erased.
    pub details: Option<std::borrow::Cow<'a, str>>,
    /// In hexadecimal.
    pub salt: Option<std::borrow::Cow<'a, str>>,
}

/// An entry whose texts were erased. Its leaf is in the tree, so no other entry can stand in its place. Its hash links the entries on
/// both sides of it. Nothing that is hashed contains its id, its time, or a hash between two erased entries: they are claims, of which
/// the time must lie between those of the neighbours.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct ErasedLine {
    pub seq: u64,
    pub entry_id: String,
    pub at: i64,
    pub prev_hash: String,
    pub hash: String,
    pub leaf: String,
}

impl ErasedLine {
    /// Of this entry, which is this leaf.
    pub fn of(entry: &Entry, leaf: &[u8; 32]) -> Self {
        Self {
            seq: entry.seq.cast_unsigned(),
            entry_id: entry.id.to_string(),
            at: entry.at.0,
            prev_hash: hex(&entry.prev_hash),
            hash: hex(&entry.entry_hash),
            leaf: hex(leaf),
        }
    }
}

/// A head that was signed when the log ended with the entry before this line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct HeadLine {
    pub tree_size: u64,
    pub root_hash: String,
    pub signed_at: i64,
    pub public_key: String,
    pub signature: String,
}

/// What the check of a bundle found.
#[derive(Debug, Default, Serialize)]
pub struct BundleReport {
    /// Whether the bundle is the whole log that its checkpoint stands for, unaltered.
    pub verified: bool,
    /// Entries that were found good, from the first on.
    pub entries_checked: u64,
    /// Details that were found good.
    pub details_checked: u64,
    /// Details that are not in the bundle: erased by retention, or left out.
    pub details_erased: u64,
    /// Entries whose texts were erased: they are in their places, and nothing says what they were. Their ids and times are claims.
    pub entries_erased: u64,
    /// Heads, signed on the way, that the entries were found to agree with.
    pub heads_checked: u64,
    /// Those of them that are signed with a key that was given; of the others the time of signing is a claim.
    pub heads_trusted: u64,
    /// The log's name.
    pub origin: String,
    /// Entries that the checkpoint stands for.
    pub tree_size: u64,
    /// The root that it names, in hexadecimal.
    pub root_hash: String,
    /// The key that signed it.
    pub key_id: String,
    /// Whether that key is one that was given from elsewhere; else it came with the bundle and proves only that the bundle
    /// agrees with itself.
    pub key_is_trusted: bool,
    /// In one sentence.
    pub message: String,
    /// The first thing that is wrong; null if there is none.
    pub first_bad: Option<BadLine>,
}

/// A place that is wrong.
#[derive(Clone, Debug, Serialize)]
pub struct BadLine {
    /// The line of the file, from 1.
    pub line: u64,
    /// The entry's number, as far as it is known.
    pub seq: Option<u64>,
    /// Its id.
    pub entry_id: Option<String>,
    /// What is wrong.
    pub problem: String,
}

/// Checks a bundle. `trusted` are keys that the reader knows from elsewhere; `progress` is told how many entries were
/// checked, of how many. A bundle that cannot be read as one, or that no given key has signed, is reported as not verified; an
/// error is about reading the file.
pub fn verify(
    mut input: impl BufRead,
    trusted: &[TrustedKey],
    threads: usize,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<BundleReport> {
    let mut first = Vec::new();
    read_line(&mut input, &mut first)?;
    let (opening, checkpoint, verifier, key_is_trusted) = match open(&first, trusted) {
        Ok(opened) => opened,
        Err(problem) => {
            let message = format!("line 1: {problem}");
            let first_bad = Some(BadLine { line: 1, seq: None, entry_id: None, problem });
            return Ok(BundleReport { message, first_bad, ..BundleReport::default() });
        }
    };
    let of_log = |keys: Vec<Verifier>| -> Vec<PublicKey> {
        keys.iter().filter(|key| key.name() == checkpoint.origin).map(Verifier::key).collect()
    };
    let given = of_log(trusted.iter().map(|key| key.of_log(&checkpoint.origin)).collect());
    let keys = Keys { own: of_log(own_keys(&opening)), given };
    let mut check = Check::new(checkpoint.size, opening.haldir_bundle >= VERSION_WITH_ERASED);
    let mut next = || {
        let mut block = Vec::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 4);
        while block.len() < BLOCK_BYTES && read_line(&mut input, &mut block)? {}
        Ok((!block.is_empty()).then_some(block))
    };
    let work = |block: Vec<u8>| -> Vec<Judged> {
        let lines = block.strip_suffix(b"\n").unwrap_or(&block).split(|byte| *byte == b'\n');
        lines.map(|line| judge(line, &opening.tenant_id, &keys)).collect()
    };
    in_order(threads, &mut next, &work, &mut |part| {
        let go_on = part.into_iter().all(|judged| check.follow(judged));
        progress(check.tree.size(), checkpoint.size);
        Ok(go_on)
    })?;
    check.end(&checkpoint);
    let unproven = unproven(&check, key_is_trusted);
    let message = match &check.bad {
        None if key_is_trusted => {
            format!("all {} entries are those that the checkpoint stands for{unproven}", checkpoint.size)
        }
        None => format!(
            "all {} entries are those that the checkpoint stands for{unproven}; its key came with the bundle, so the signatures \
             show that the file agrees with itself, not where it comes from: compare {} with what you know of this log, or give it \
             with --key",
            checkpoint.size,
            verifier.key().id()
        ),
        Some(bad) => match bad.seq {
            Some(seq) => format!("entry {seq}: {}", bad.problem),
            None => format!("line {}: {}", bad.line, bad.problem),
        },
    };
    Ok(BundleReport {
        verified: check.bad.is_none(),
        entries_checked: check.tree.size(),
        details_checked: check.details.0,
        details_erased: check.details.1,
        entries_erased: check.erased,
        heads_checked: check.heads.0,
        heads_trusted: check.heads.1,
        origin: checkpoint.origin,
        tree_size: checkpoint.size,
        root_hash: hex(&checkpoint.root),
        key_id: verifier.key().id(),
        key_is_trusted,
        message,
        first_bad: check.bad,
    })
}

/// What a verified bundle does not show. A bundle can be made with fewer texts than the log has: whether they were erased there, the log's
/// own entries about erasures say.
fn unproven(check: &Check, key_is_trusted: bool) -> String {
    let texts = match (check.erased, check.details.1) {
        (0, 0) => String::new(),
        (entries, 0) => {
            format!("; the texts of {entries} of them are not in it, and their ids and times are not proven")
        }
        (0, details) => format!("; the details of {details} of them are not in it"),
        (entries, details) => format!(
            "; the texts of {entries} of them, and the details of {details} others, are not in it; ids and times of the former are \
             not proven"
        ),
    };
    let (heads, trusted) = check.heads;
    if !key_is_trusted || trusted == heads {
        return texts;
    }
    format!("{texts}; {} of {heads} recorded heads are signed with keys that were not given", heads - trusted)
}

fn own_keys(opening: &Opening) -> Vec<Verifier> {
    opening.keys.iter().flat_map(|key| Verifier::parse(key)).collect()
}

/// Reads the first line, and finds the key that signed its checkpoint.
fn open(first: &[u8], trusted: &[TrustedKey]) -> Result<(Opening, Checkpoint, Verifier, bool), String> {
    let no_bundle = |what: &str| format!("this is no bundle that can be checked: {what}");
    let opening: Opening = serde_json::from_slice(first).map_err(|error| no_bundle(&error.to_string()))?;
    if !(VERSION..=VERSION_WITH_ERASED).contains(&opening.haldir_bundle) {
        let message =
            format!("it has version {}, this haldir reads {VERSION} and {VERSION_WITH_ERASED}", opening.haldir_bundle);
        return Err(no_bundle(&message));
    }
    let note = Note::parse(&opening.checkpoint).map_err(|what| no_bundle(&what))?;
    let checkpoint = Checkpoint::parse(&note.text).map_err(|what| no_bundle(&what))?;
    if checkpoint.origin != opening.origin {
        return Err(no_bundle("its checkpoint is another log's"));
    }
    let signer = |keys: Vec<Verifier>| {
        keys.into_iter().find(|key| key.name() == checkpoint.origin && key.verify(&note) == Some(0))
    };
    if let Some(key) = signer(trusted.iter().map(|key| key.of_log(&checkpoint.origin)).collect()) {
        return Ok((opening, checkpoint, key, true));
    }
    if !trusted.is_empty() {
        return Err("the checkpoint is not signed by a key that was given".to_owned());
    }
    let key = signer(own_keys(&opening)).ok_or_else(|| no_bundle("its checkpoint is not signed by any of its keys"))?;
    Ok((opening, checkpoint, key, false))
}

fn unreadable(what: &str) -> Error {
    Error::new(Code::InvalidArgument, format!("the bundle cannot be read: {what}"))
}

/// Reads a line of bounded length, with its end, behind what `block` holds; `false` at the end.
fn read_line(input: &mut impl BufRead, block: &mut Vec<u8>) -> Result<bool> {
    let mut limited = std::io::Read::take(&mut *input, MAX_LINE_BYTES as u64);
    let read = limited.read_until(b'\n', block).map_err(|error| unreadable(&error.to_string()))?;
    if read >= MAX_LINE_BYTES {
        return Err(unreadable("a line is too long"));
    }
    Ok(read > 0)
}
