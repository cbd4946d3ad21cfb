//! The fold: what follows from the entries of a log is updated once for 256 entries, in the transaction that appends the last of
//! them. That is the posting lists of the filters, the counters of days, tools and evidence, and the tree's tiles. A commit that
//! updated them for each entry would write twice as many pages.
//!
//! The entries behind the last fold are the log's tail. A query for what is folded also reads the tail, entry by entry: it is
//! shorter than a fold, except while the tree of an old store is being built.

use std::{cell::RefCell, collections::HashMap};

use super::{
    audit,
    compliance::EntryCounts,
    counters::ToolCounts,
    posting_lists,
    stats::DayCounts,
    tree::{self, TILE_HASHES, TileHash},
};
use crate::{
    LeafHash, ReadTx,
    crypto::{self, Hash},
    database::{Connection, Row, params},
    error::{Code, Error, Result},
    model::{Entry, EntryKind, EntryLine, Money, TenantId, UnixMicros},
    statements::{place, statements},
    strict::Strict,
};

/// Entries that are folded at once.
const FOLD: i64 = 256;
/// The most that one commit folds, where more have gathered.
const MAX_FOLDED: i64 = 4_096;
/// Logs whose tails are known without reading them; more, and all are forgotten.
const MAX_TAILS: usize = 64;
/// Entries of one tail that are known: a fold, and what one commit may bring before it.
const MAX_KNOWN: usize = 1_024;

statements! {
    FOLDED = "SELECT up_to FROM log_folds WHERE tenant = ?1";
    PUT_FOLDED = "INSERT INTO log_folds (tenant, up_to) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET up_to = ?2";
    STORED_END = "SELECT seq FROM audit_heads WHERE tenant = ?1";
    TAIL = concat!("SELECT at, kind, session_id, agent_id, tool, action, cost, flagged FROM audit_entries WHERE place > ",
        place!("?2"), " AND place < ", place!("549755813888"), " ORDER BY place");
}

/// The last entry of the log that is folded.
pub(crate) fn folded(db: &dyn Connection, tenant: &TenantId) -> Result<i64> {
    Ok(db.first(FOLDED, params![tenant])?.unwrap_or(0).max(0))
}

/// An [`EntryLine`] that owns its texts.
struct TailEntry {
    seq: i64,
    at: UnixMicros,
    kind: EntryKind,
    cost: Money,
    flagged: bool,
    /// Session, agent, tool and action, one behind the other.
    texts: Box<str>,
    /// Where the first three end.
    ends: [usize; 3],
}

impl TailEntry {
    fn of(seq: i64, entry: &EntryLine<'_>) -> Self {
        let texts = [entry.session_id, entry.agent_id, entry.tool, entry.action];
        let session = entry.session_id.len();
        let agent = session + entry.agent_id.len();
        Self {
            seq,
            at: entry.at,
            kind: entry.kind,
            cost: entry.cost,
            flagged: entry.flagged,
            texts: texts.concat().into(),
            ends: [session, agent, agent + entry.tool.len()],
        }
    }

    fn line(&self) -> EntryLine<'_> {
        let [session, agent, tool] = self.ends;
        EntryLine {
            at: self.at,
            kind: self.kind,
            session_id: &self.texts[..session],
            agent_id: &self.texts[session..agent],
            tool: &self.texts[agent..tool],
            action: &self.texts[tool..],
            cost: self.cost,
            flagged: self.flagged,
        }
    }
}

/// Entries that follow one another, as far as a fold needs them.
struct Run {
    /// The entry in front of them.
    behind: i64,
    leaves: Vec<Hash>,
    /// Those that could be read.
    entries: Vec<TailEntry>,
}

impl Run {
    fn behind(seq: i64) -> Self {
        Self { behind: seq, leaves: Vec::new(), entries: Vec::new() }
    }

    /// The last of them.
    fn last(&self) -> i64 {
        self.behind + self.leaves.len().cast_signed() as i64
    }

    fn push(&mut self, entry: &EntryLine<'_>, leaf: Hash) {
        self.leaves.push(leaf);
        self.entries.push(TailEntry::of(self.last(), entry));
    }

    /// The entries behind `folded`, up to `end`, as they lie in the log.
    fn read(db: &dyn Connection, tenant: &TenantId, folded: i64, end: i64, leaf_hash: LeafHash) -> Result<Self> {
        let mut run = Self::behind(folded);
        // What is missing or is no entry has no leaf: `verify` names it, and no proof over it holds.
        let skip_to = |run: &mut Self, seq: i64| {
            let leaves = usize::try_from(seq - 1 - folded).unwrap_or(0);
            run.leaves.resize(leaves.max(run.leaves.len()), Hash::default());
        };
        audit::each(db, tenant, folded + 1, &mut |read| {
            let Ok(entry) = read else { return true };
            if entry.seq > end {
                return false;
            }
            skip_to(&mut run, entry.seq);
            run.push(&entry.line(), leaf_hash(tenant, &entry));
            true
        })?;
        skip_to(&mut run, end + 1);
        Ok(run)
    }

    fn write(self, db: &dyn Connection, tenant: &TenantId) -> Result<()> {
        let end = self.last();
        let (mut days, mut tools, mut evidence) = (DayCounts::default(), ToolCounts::default(), EntryCounts::default());
        let mut postings = posting_lists::Gathered::default();
        for kept in &self.entries {
            let entry = kept.line();
            postings.gather(kept.seq, &entry);
            days.count(db, tenant, &entry)?;
            tools.count(&entry);
            evidence.count(&entry);
        }
        days.write(db, tenant)?;
        tools.add_to(db, tenant)?;
        evidence.add_to(db, tenant)?;
        postings.add_to(db, tenant, self.behind)?;
        add_to_tiles(db, tenant, self.behind, self.leaves)?;
        db.send(PUT_FOLDED, params![tenant, end])?;
        Ok(())
    }
}

/// The tails of logs, as far as this process has appended them.
#[derive(Default)]
pub(crate) struct Tails {
    runs: RefCell<HashMap<TenantId, Run>>,
    /// How far logs are folded, until another process writes.
    folded: RefCell<HashMap<TenantId, i64>>,
}

impl Tails {
    /// An entry is appended.
    pub(crate) fn push(&self, tenant: &TenantId, entry: &Entry, leaf: Hash) {
        let mut runs = self.runs.borrow_mut();
        if !runs.contains_key(tenant) {
            if runs.len() >= MAX_TAILS {
                runs.clear();
            }
            runs.insert(tenant.clone(), Run::behind(entry.seq - 1));
        }
        let Some(run) = runs.get_mut(tenant) else { return };
        // Another process has appended some, or this log is not folded for now.
        if run.last() + 1 != entry.seq || run.leaves.len() >= MAX_KNOWN {
            *run = Run::behind(entry.seq - 1);
        }
        run.push(&entry.view().line(), leaf);
    }

    /// Folds the log that ends at `last`, if its tail is long enough.
    pub(crate) fn fold(&self, db: &dyn Connection, tenant: &TenantId, last: i64, leaf_hash: LeafHash) -> Result<()> {
        let known = self.folded.borrow().get(tenant).copied();
        let folded = known.map_or_else(|| folded(db, tenant), Ok)?;
        let mut end = folded;
        if last.saturating_sub(folded) >= FOLD && !tree::is_building(db, tenant)? {
            let known = self.runs.borrow_mut().remove(tenant);
            let run = match known.filter(|run| (run.behind, run.last()) == (folded, last)) {
                Some(run) => run,
                None => Run::read(db, tenant, folded, last.min(folded + MAX_FOLDED), leaf_hash)?,
            };
            end = run.last();
            run.write(db, tenant)?;
        }
        let mut all = self.folded.borrow_mut();
        if all.len() >= MAX_TAILS {
            all.clear();
        }
        if known != Some(end) {
            all.insert(tenant.clone(), end);
        }
        Ok(())
    }

    /// Another process may have folded.
    pub(crate) fn forget(&self) {
        self.folded.borrow_mut().clear();
    }

    /// What was appended is not in the log.
    pub(crate) fn take_back(&self) {
        self.runs.borrow_mut().clear();
    }
}

/// Folds the log as far as it is written, at most [`MAX_FOLDED`] entries; answers up to which entry it is folded then.
pub(crate) fn fold_stored(db: &dyn Connection, tenant: &TenantId, leaf_hash: LeafHash) -> Result<i64> {
    if tree::is_building(db, tenant)? {
        let message = "the tree of this log is being built; try again once that is done";
        return Err(Error::new(Code::Unavailable, message));
    }
    let folded = folded(db, tenant)?;
    let last: Option<i64> = db.first(STORED_END, params![tenant])?;
    let end = last.unwrap_or(0).min(folded + MAX_FOLDED);
    if end > folded {
        Run::read(db, tenant, folded, end, leaf_hash)?.write(db, tenant)?;
    }
    Ok(end.max(folded))
}

fn line(row: &dyn Row) -> Result<EntryLine<'_>, String> {
    let mut columns = Strict::of(row);
    Ok(EntryLine {
        at: UnixMicros(columns.integer()?),
        kind: columns.kind()?,
        session_id: columns.text()?,
        agent_id: columns.text()?,
        tool: columns.text()?,
        action: columns.text()?,
        cost: Money::from_nanos(columns.integer()?),
        flagged: columns.boolean()?,
    })
}

/// Writes hashes of leaves, from leaf `first` on, and the hashes above that they complete.
fn add_to_tiles(db: &dyn Connection, tenant: &TenantId, first: i64, leaves: Vec<Hash>) -> Result<()> {
    let (mut level, mut first, mut hashes) = (0, first, leaves);
    while !hashes.is_empty() {
        let numbered = (first..).zip(&hashes).map(|(index, hash)| TileHash { level, index, hash: *hash });
        tree::write_hashes(db, tenant, &numbered.collect::<Vec<_>>())?;
        let end = first + hashes.len().cast_signed() as i64;
        let completed = first / TILE_HASHES..end / TILE_HASHES;
        first = completed.start;
        hashes = Vec::new();
        for tile in completed {
            let whole = tree::read_hashes(db, tenant, level, tile * TILE_HASHES, 256)?;
            hashes.push(crypto::complete_root(&whole).unwrap_or_default());
        }
        level += 1;
    }
    Ok(())
}

impl ReadTx {
    /// Hands over the entries of the log's tail, in order. One that cannot be read is tampering, which `verify` reports;
    /// it is left out here.
    pub(crate) fn each_in_tail(&self, tenant: &TenantId, mut each: impl FnMut(&EntryLine<'_>)) -> Result<()> {
        self.connection()?.query(TAIL, params![tenant, self.last_in_tiles(tenant)?], &mut |row| {
            if let Ok(entry) = line(row) {
                each(&entry);
            }
            Ok(true)
        })
    }
}
