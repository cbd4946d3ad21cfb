//! The audit log's rows.

use std::sync::Arc;

use super::{
    appending,
    compliance::{self, MARK_EVERY},
    flagged, fold,
    posting_lists::{self, Kind, Walk},
};
use crate::{
    PAGE_BYTES, ReadTx, Tx,
    database::{Connection, Params, Row, Value, params, record},
    error::Result,
    model::{Entry, EntryView, Money, TenantId, UnixMicros},
    statements::{place, seq, statements},
    strict::Strict,
    write_buffer::Appended,
};

record! { audit_heads: Head as head { seq, at, entry_hash, tree, mac, actions, cost, flagged } }

macro_rules! entry {
    () => {
        concat!(
            seq!(),
            " AS seq, id, at, kind, session_id, agent_id, tool, action, cost, flagged, flag_reason, actor, details,
            details_salt, details_digest, prev_hash, entry_hash"
        )
    };
}

pub(crate) use entry;

/// Entries that pass the filters, in the order of the log or from its end.
macro_rules! filtered {
    ($index:literal, $lead:literal, $order:literal) => {
        concat!(
            "SELECT ",
            entry!(),
            " FROM audit_entries ",
            $index,
            " WHERE place >= ",
            place!("?2"),
            " AND place < ",
            place!("?3"),
            $lead,
            " AND (?5 IS NULL OR session_id = ?5) AND (?6 IS NULL OR agent_id = ?6) AND (?7 IS NULL OR tool = ?7)
            AND (?8 IS NULL OR flagged = ?8) ORDER BY place ",
            $order,
            " LIMIT ?4"
        )
    };
}

statements! {
    FORWARD = filtered!("", "", "");
    FORWARD_FLAGGED = filtered!("INDEXED BY audit_flagged", " AND flagged = 1", "");
    BACKWARD = filtered!("", "", "DESC");
    BACKWARD_FLAGGED = filtered!("INDEXED BY audit_flagged", " AND flagged = 1", "DESC");
    HEAD = concat!("SELECT ", head!(), " FROM audit_heads WHERE tenant = ?1");
    ENTRY = concat!("SELECT ", entry!(), " FROM audit_entries WHERE place = ", place!("?2"));
    ENTRIES_FROM = concat!("SELECT ", entry!(), " FROM audit_entries WHERE place >= ", place!("?2"), " AND place < ",
        place!("549755813888"), " ORDER BY place");
    ENTRY_TIME = concat!("SELECT at FROM audit_entries WHERE place = ", place!("?2"));
}

/// The agent of entries that none had a part in.
pub(crate) const NO_AGENT: &str = "system";
/// Entries that a query may look at where no index leads to those that pass the filters: a long run of others must not
/// make one page read the whole log.
const MAX_LOOKED_AT: i64 = 10_000;

/// The end of a tenant's log.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Head {
    /// The last entry's number; 0 is an empty log.
    pub seq: i64,
    pub at: UnixMicros,
    pub entry_hash: [u8; 32],
    /// The Merkle tree's frontier, see `crypto::Frontier`.
    pub tree: Vec<u8>,
    /// Keyed by the tenant's data key over everything else here: an intruder with nothing but the database cannot make one.
    pub mac: [u8; 32],
    /// What agents have logged.
    pub actions: i64,
    pub cost: Money,
    pub flagged: i64,
}

/// Which entries to list, newest first.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct AuditQuery {
    pub session_id: Option<String>,
    pub agent_id: Option<String>,
    pub tool: Option<String>,
    pub flagged: Option<bool>,
    /// At this time or later.
    pub since: Option<UnixMicros>,
    /// Before this time.
    pub until: Option<UnixMicros>,
    /// Only entries with a smaller number.
    pub before_seq: Option<i64>,
    /// Only entries with this number or a greater one.
    pub first_seq: Option<i64>,
    pub limit: usize,
}

/// Entries, as far as one query looks.
#[derive(Debug, Default)]
pub struct AuditPage {
    /// Newest first. What cannot be read as an entry is tampering: it stands in its place and says so.
    pub entries: Vec<Result<Entry, StoredEntryProblem>>,
    /// Whether there may be more in front of this number; `None` is the end.
    pub older_than: Option<i64>,
}

/// Entries in the order of the log, as far as one query looks.
#[derive(Debug, Default)]
pub struct AuditPart {
    /// Oldest first.
    pub entries: Vec<Result<Entry, StoredEntryProblem>>,
    /// The number to go on with; `None` is the end.
    pub next: Option<i64>,
}

/// A stored entry that cannot even be read as one: tampering that the reader reports instead of failing on.
#[derive(Clone, Debug)]
pub struct StoredEntryProblem {
    /// Its number, as far as it could be read.
    pub seq: Option<i64>,
    /// What could not be read.
    pub problem: String,
}

/// Computes the leaf that an entry is in the tree of a tenant's log.
pub type LeafHash = fn(&TenantId, &EntryView<'_>) -> [u8; 32];

/// One more entry of a log.
#[allow(missing_docs)]
pub struct Append {
    pub entry: Arc<Entry>,
    /// The entry's leaf in the log's tree.
    pub leaf: [u8; 32],
    /// The head that the log has with this entry.
    pub head: Head,
    /// For entries that other processes have appended.
    pub leaf_hash: LeafHash,
}

/// An entry as it lies in its row.
fn stored(row: &dyn Row) -> Result<EntryView<'_>, String> {
    let mut columns = Strict::of(row);
    Ok(EntryView {
        seq: columns.integer()?,
        id: columns.text()?,
        at: UnixMicros(columns.integer()?),
        kind: columns.kind()?,
        session_id: columns.text()?,
        agent_id: columns.text()?,
        tool: columns.text()?,
        action: columns.text()?,
        cost: Money::from_nanos(columns.integer()?),
        flagged: columns.boolean()?,
        flag_reason: columns.text()?,
        actor: columns.text()?,
        details: columns.optional_text()?,
        details_salt: columns.optional_bytes()?,
        details_digest: columns.optional_bytes()?,
        prev_hash: columns.hash()?,
        entry_hash: columns.hash()?,
    })
}

/// An entry, or what keeps it from being read as one.
pub(crate) fn read(row: &dyn Row) -> Result<Entry, StoredEntryProblem> {
    stored(row).and_then(|entry| entry.to_entry()).map_err(|problem| unreadable(row, problem))
}

fn unreadable(row: &dyn Row, problem: String) -> StoredEntryProblem {
    let seq = if let Value::Integer(seq) = row.value(0) { Some(seq) } else { None };
    StoredEntryProblem { seq, problem }
}

/// Hands over every row from `first` on, in order, until `each` answers `false`.
pub(crate) fn each(
    db: &dyn Connection,
    tenant: &TenantId,
    first: i64,
    each: &mut dyn FnMut(Result<EntryView<'_>, StoredEntryProblem>) -> bool,
) -> Result<()> {
    db.scan(ENTRIES_FROM, params![tenant, first], &mut |row| {
        Ok(each(stored(row).map_err(|problem| unreadable(row, problem))))
    })
}

/// Entries that were found, at most `limit`.
struct Found {
    entries: Vec<Result<Entry, StoredEntryProblem>>,
    limit: usize,
    /// Of their details: once there are so many, the page ends.
    max_bytes: usize,
    bytes: usize,
    is_more: bool,
}

impl Found {
    fn new(limit: usize, max_bytes: usize) -> Self {
        Self { entries: Vec::new(), limit, max_bytes, bytes: 0, is_more: false }
    }

    fn collect(&mut self, db: &dyn Connection, sql: &str, params: Params<'_>) -> Result<()> {
        db.query(sql, params, &mut |row| {
            self.is_more = self.entries.len() == self.limit || self.bytes >= self.max_bytes;
            if !self.is_more {
                let entry = read(row);
                self.bytes += entry.as_ref().ok().and_then(|entry| entry.details.as_ref()).map_or(0, String::len);
                self.entries.push(entry);
            }
            Ok(!self.is_more)
        })
    }

    /// The number of the last one.
    fn last(&self) -> Option<i64> {
        self.entries.last().and_then(|entry| match entry {
            Ok(entry) => Some(entry.seq),
            Err(problem) => problem.seq,
        })
    }
}

#[allow(missing_docs)]
impl ReadTx {
    pub fn head(&self, tenant: &TenantId) -> Result<Option<Head>> {
        match self.buffer_if_writer().and_then(|buffer| Some(buffer.heads.get(tenant)?.0)) {
            Some(head) => Ok(Some(head)),
            None => self.first(HEAD, params![tenant]),
        }
    }

    /// The last entry whose hash is in the tiles of the log's tree. Those behind it, a few hundred, are computed from the entries.
    pub fn last_in_tiles(&self, tenant: &TenantId) -> Result<i64> {
        fold::folded(self.connection()?, tenant)
    }

    /// The first entry at `time` or later. Times never go back in a log, so this is a binary search.
    pub(crate) fn first_seq_since(&self, tenant: &TenantId, time: UnixMicros, last: i64) -> Result<i64> {
        let (mut low, mut high) = (1, last + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let at: Option<UnixMicros> = self.first(ENTRY_TIME, params![tenant, middle])?;
            // A gap is tampering, which `verify` reports; a search goes on below it.
            if at.is_some_and(|at| at < time) { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    pub fn entry(&self, tenant: &TenantId, seq: i64) -> Result<Option<Result<Entry, StoredEntryProblem>>> {
        self.require_reader()?;
        let mut found = None;
        self.connection()?.query(ENTRY, params![tenant, seq], &mut |row| {
            found = Some(read(row));
            Ok(false)
        })?;
        Ok(found)
    }

    pub fn entries(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPage> {
        self.require_reader()?;
        let last = self.head(tenant)?.map_or(0, |head| head.seq);
        let first = query.since.map_or(Ok(1), |time| self.first_seq_since(tenant, time, last))?;
        let first = first.max(query.first_seq.unwrap_or(1));
        let until = query.until.map_or(Ok(last + 1), |time| self.first_seq_since(tenant, time, last))?;
        let end = until.min(query.before_seq.unwrap_or(i64::MAX));
        let mut first_looked_at = first;
        let lead = Lead::of(query);
        let sql = if matches!(lead, Lead::Flagged) { BACKWARD_FLAGGED } else { BACKWARD };
        let db = self.connection()?;
        let AuditQuery { session_id, agent_id, tool, flagged, limit, .. } = query;
        let mut found = Found::new(*limit, PAGE_BYTES);
        let mut look = |first: i64, end: i64| -> Result<bool> {
            if first < end && !found.is_more {
                let limit = limit.saturating_add(1);
                found.collect(db, sql, params![tenant, first, end, limit, session_id, agent_id, tool, flagged])?;
            }
            Ok(!found.is_more)
        };
        match lead {
            Lead::Flagged => _ = look(first, end)?,
            Lead::None => {
                if query.flagged.is_some() {
                    first_looked_at = first.max(end.saturating_sub(MAX_LOOKED_AT));
                }
                look(first_looked_at, end)?;
            }
            Lead::Postings(of) => {
                let tail = self.last_in_tiles(tenant)?.saturating_add(1);
                let mut goes_on = look(first.max(tail), end)?;
                let mut walk = Walk::backward(db, tenant, of, (first, end.min(tail)));
                while goes_on && let Some(runs) = walk.next()? {
                    for (first, end) in runs {
                        goes_on = look(first, end)?;
                    }
                }
            }
        }
        let older_than =
            if found.is_more { found.last() } else { Some(first_looked_at).filter(|looked| *looked > first) };
        Ok(AuditPage { entries: found.entries, older_than })
    }

    /// The next entries in the order of the log, by `first_seq` and `before_seq` and the filters, but not by time.
    pub fn entries_forward(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPart> {
        self.require_reader()?;
        let AuditQuery { session_id, agent_id, tool, flagged, limit, .. } = query;
        let (first, end) = (query.first_seq.unwrap_or(1), query.before_seq.unwrap_or(i64::MAX));
        let looked_at = end.min(first.saturating_add(MAX_LOOKED_AT));
        let lead = Lead::of(query);
        let sql = if matches!(lead, Lead::Flagged) { FORWARD_FLAGGED } else { FORWARD };
        let db = self.connection()?;
        let mut found = Found::new(*limit, usize::MAX);
        let mut look = |first: i64, end: i64| -> Result<bool> {
            let left = limit - found.entries.len();
            if first < end && left > 0 {
                found.collect(db, sql, params![tenant, first, end, left, session_id, agent_id, tool, flagged])?;
            }
            Ok(found.entries.len() < *limit)
        };
        if let Lead::Postings(of) = lead {
            let tail = self.last_in_tiles(tenant)?.saturating_add(1);
            let mut goes_on = true;
            let mut walk = Walk::forward(db, tenant, of, (first, looked_at.min(tail)));
            while goes_on && let Some(runs) = walk.next()? {
                for (first, end) in runs {
                    goes_on = look(first, end)?;
                }
            }
            look(first.max(tail), looked_at)?;
        } else {
            look(first, looked_at)?;
        }
        let last = found.last().filter(|_| found.entries.len() == *limit);
        let next = last.map_or(looked_at, |last| last + 1);
        Ok(AuditPart { entries: found.entries, next: Some(next).filter(|next| *next < end) })
    }

    /// Hands over every entry from `first` on, in order, until `each` answers `false`.
    pub fn each_entry(
        &self,
        tenant: &TenantId,
        first: i64,
        each: &mut dyn FnMut(Result<EntryView<'_>, StoredEntryProblem>) -> bool,
    ) -> Result<()> {
        self.require_reader()?;
        let db = self.connection()?;
        let mut postings = posting_lists::Check::new(db, tenant, self.last_in_tiles(tenant)?);
        let mut flagged = flagged::Check::new(db, tenant);
        let mut finds = |entry: &EntryView<'_>| Ok(postings.finds(entry)? && flagged.finds(entry)?);
        let mut failed = None;
        self::each(db, tenant, first, &mut |read| {
            let checked = read.map(|entry| (entry, finds(&entry)));
            each(match checked {
                Ok((entry, Ok(true))) => Ok(entry),
                Ok((entry, Ok(false))) => {
                    let problem = "filters would miss it: what leads to it is not in the store".to_owned();
                    Err(StoredEntryProblem { seq: Some(entry.seq), problem })
                }
                Ok((_, Err(error))) => {
                    failed = Some(error);
                    return false;
                }
                Err(problem) => Err(problem),
            })
        })?;
        failed.map_or(Ok(()), Err)
    }
}

/// What leads to the entries that a query asks for; its other filters are looked at row by row.
enum Lead {
    /// Postings of these name every one of them.
    Postings(Vec<String>),
    /// Flagged entries are few: their index has each at once.
    Flagged,
    None,
}

impl Lead {
    fn of(query: &AuditQuery) -> Self {
        if query.session_id.is_none() && query.flagged == Some(true) {
            return Self::Flagged;
        }
        let texts = [(Kind::Session, &query.session_id), (Kind::Agent, &query.agent_id), (Kind::Tool, &query.tool)];
        let of: Vec<_> = texts.iter().filter_map(|(kind, text)| Some(kind.of(text.as_deref()?))).collect();
        if of.is_empty() { Self::None } else { Self::Postings(of) }
    }
}

#[allow(missing_docs)]
impl Tx {
    /// Puts the head of a new tenant's log, which is empty.
    pub fn begin_log(&mut self, tenant: &TenantId, head: &Head) -> Result<()> {
        appending::write_head(self.any_change()?, tenant, head)
    }

    /// Appends an entry to the log.
    pub fn append(&mut self, tenant: &TenantId, Append { entry, leaf, head, leaf_hash }: Append) -> Result<()> {
        self.require_tenant(tenant)?;
        if head.seq % MARK_EVERY == 0 {
            compliance::write_mark(self.with_savepoint()?, tenant, &head)?;
        }
        let buffer = self.buffer();
        buffer.append(Appended { tenant: tenant.clone(), entry, leaf });
        buffer.heads.put(tenant.clone(), (head, leaf_hash));
        Ok(())
    }
}
