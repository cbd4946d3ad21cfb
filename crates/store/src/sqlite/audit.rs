//! The audit log's rows.

use rusqlite::{Connection, OptionalExtension, Row, Statement, params};

use super::{
    SqliteTx, appending, compliance, flagged, fold,
    posting_lists::{self, Kind, Walk},
    rows::{Columns, rows},
    statements::{place, seq, statements},
    strict::Strict,
    write_buffer::Appended,
};
use crate::{
    Append, AuditPage, AuditPart, AuditQuery, Head, PAGE_BYTES, ReadAudit, StoredEntryProblem, WriteAudit,
    compliance::MARK_EVERY,
    error::Result,
    model::{Entry, EntryView, Money, TenantId, UnixMicros},
};

macro_rules! entry {
    () => {
        concat!(
            seq!(),
            " AS seq, id, at, kind, session_id, agent_id, tool, action, cost, flagged, flag_reason, actor, details,
            details_salt, details_digest, prev_hash, entry_hash"
        )
    };
}

pub(super) use entry;

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
    HEAD = "SELECT seq, at, entry_hash, tree, mac, actions, cost, flagged FROM audit_heads WHERE tenant = ?1";
    ENTRY = concat!("SELECT ", entry!(), " FROM audit_entries WHERE place = ", place!("?2"));
    ENTRIES_FROM = concat!("SELECT ", entry!(), " FROM audit_entries WHERE place >= ", place!("?2"), " AND place < ",
        place!("549755813888"), " ORDER BY place");
    ENTRY_TIME = concat!("SELECT at FROM audit_entries WHERE place = ", place!("?2"));
}

/// The agent of entries that none had a part in.
pub(super) const NO_AGENT: &str = "system";
/// Entries that a query may look at where no index leads to those that pass the filters: a long run of others must not
/// make one page read the whole log.
const MAX_LOOKED_AT: i64 = 10_000;

/// Stands for a hash that could not be read.
const NO_HASH: [u8; 32] = [0xff; 32];

/// An entry as it lies in its row.
fn stored<'r>(row: &'r Row<'_>) -> Result<EntryView<'r>, String> {
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

/// A hash of another length is tampering, which must be found, not stumbled over: read as something that no hash is,
/// it is never authentic.
pub(super) fn hash(bytes: Vec<u8>) -> [u8; 32] {
    bytes.try_into().unwrap_or(NO_HASH)
}

/// An entry, or what keeps it from being read as one.
pub(super) fn read(row: &Row<'_>) -> Result<Entry, StoredEntryProblem> {
    stored(row).and_then(|entry| entry.to_entry()).map_err(|problem| unreadable(row, problem))
}

fn unreadable(row: &Row<'_>, problem: String) -> StoredEntryProblem {
    StoredEntryProblem { seq: row.get("seq").ok(), problem }
}

/// Hands over every row from `first` on, in order, until `each` answers `false`.
pub(super) fn each(
    connection: &Connection,
    tenant: &TenantId,
    first: i64,
    each: &mut dyn FnMut(Result<EntryView<'_>, StoredEntryProblem>) -> bool,
) -> Result<()> {
    let mut statement = connection.prepare_cached(ENTRIES_FROM)?;
    let mut rows = statement.query(params![tenant.as_str(), first])?;
    while let Some(row) = rows.next()? {
        if !each(stored(row).map_err(|problem| unreadable(row, problem))) {
            break;
        }
    }
    Ok(())
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

    fn collect(&mut self, statement: &mut Statement<'_>, params: impl rusqlite::Params) -> Result<()> {
        let mut rows = statement.query(params)?;
        while let Some(row) = rows.next()? {
            if self.entries.len() == self.limit || self.bytes >= self.max_bytes {
                self.is_more = true;
                break;
            }
            let entry = read(row);
            self.bytes += entry.as_ref().ok().and_then(|entry| entry.details.as_ref()).map_or(0, String::len);
            self.entries.push(entry);
        }
        Ok(())
    }

    /// The number of the last one.
    fn last(&self) -> Option<i64> {
        self.entries.last().and_then(|entry| match entry {
            Ok(entry) => Some(entry.seq),
            Err(problem) => problem.seq,
        })
    }
}

impl SqliteTx<'_> {
    /// The first entry at `time` or later. Times never go back in a log, so this is a binary search.
    pub(super) fn first_seq_since(&self, tenant: &TenantId, time: UnixMicros, last: i64) -> Result<i64> {
        let mut statement = self.connection()?.prepare_cached(ENTRY_TIME)?;
        let (mut low, mut high) = (1, last + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let at: Option<i64> = statement.query_row(params![tenant.as_str(), middle], |row| row.get(0)).optional()?;
            // A gap is tampering, which `verify` reports; a search goes on below it.
            if at.is_some_and(|at| at < time.0) { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }
}

impl ReadAudit for SqliteTx<'_> {
    fn head(&self, tenant: &TenantId) -> Result<Option<Head>> {
        if let Some(head) = self.buffer_if_writer().and_then(|buffer| Some(buffer.heads.get(tenant)?.0)) {
            return Ok(Some(head));
        }
        let mut statement = self.connection()?.prepare_cached(HEAD)?;
        let mut rows = statement.query([tenant.as_str()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let mut columns = Columns::of(row);
        Ok(Some(Head {
            seq: columns.next()?,
            at: columns.next()?,
            entry_hash: hash(columns.next()?),
            tree: columns.next()?,
            mac: hash(columns.next()?),
            actions: columns.next()?,
            cost: columns.next()?,
            flagged: columns.next()?,
        }))
    }

    fn last_in_tiles(&self, tenant: &TenantId) -> Result<i64> {
        fold::folded(self.connection()?, tenant)
    }

    fn entry(&self, tenant: &TenantId, seq: i64) -> Result<Option<Result<Entry, StoredEntryProblem>>> {
        self.require_reader()?;
        let mut statement = self.connection()?.prepare_cached(ENTRY)?;
        let mut rows = statement.query(params![tenant.as_str(), seq])?;
        Ok(rows.next()?.map(read))
    }

    fn entries(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPage> {
        self.require_reader()?;
        let last = self.head(tenant)?.map_or(0, |head| head.seq);
        let first = query.since.map_or(Ok(1), |time| self.first_seq_since(tenant, time, last))?;
        let first = first.max(query.first_seq.unwrap_or(1));
        let until = query.until.map_or(Ok(last + 1), |time| self.first_seq_since(tenant, time, last))?;
        let end = until.min(query.before_seq.unwrap_or(i64::MAX));
        let mut first_looked_at = first;
        let lead = Lead::of(query);
        let sql = if matches!(lead, Lead::Flagged) { BACKWARD_FLAGGED } else { BACKWARD };
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let AuditQuery { session_id, agent_id, tool, flagged, limit, .. } = query;
        let mut found = Found::new(*limit, PAGE_BYTES);
        let mut look = |first: i64, end: i64| -> Result<bool> {
            if first < end && !found.is_more {
                let limit = rows(limit.saturating_add(1));
                let params = params![tenant.as_str(), first, end, limit, session_id, agent_id, tool, flagged];
                found.collect(&mut statement, params)?;
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
                let mut walk = Walk::backward(self.connection()?, tenant, of, (first, end.min(tail)))?;
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

    fn entries_forward(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPart> {
        self.require_reader()?;
        let AuditQuery { session_id, agent_id, tool, flagged, limit, .. } = query;
        let (first, end) = (query.first_seq.unwrap_or(1), query.before_seq.unwrap_or(i64::MAX));
        let looked_at = end.min(first.saturating_add(MAX_LOOKED_AT));
        let lead = Lead::of(query);
        let sql = if matches!(lead, Lead::Flagged) { FORWARD_FLAGGED } else { FORWARD };
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let mut found = Found::new(*limit, usize::MAX);
        let mut look = |first: i64, end: i64| -> Result<bool> {
            let left = limit - found.entries.len();
            if first < end && left > 0 {
                let params = params![tenant.as_str(), first, end, rows(left), session_id, agent_id, tool, flagged];
                found.collect(&mut statement, params)?;
            }
            Ok(found.entries.len() < *limit)
        };
        if let Lead::Postings(of) = lead {
            let tail = self.last_in_tiles(tenant)?.saturating_add(1);
            let mut goes_on = true;
            let mut walk = Walk::forward(self.connection()?, tenant, of, (first, looked_at.min(tail)))?;
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

    fn each_entry(
        &self,
        tenant: &TenantId,
        first: i64,
        each: &mut dyn FnMut(Result<EntryView<'_>, StoredEntryProblem>) -> bool,
    ) -> Result<()> {
        self.require_reader()?;
        let mut postings = posting_lists::Check::new(self.connection()?, tenant, self.last_in_tiles(tenant)?)?;
        let mut flagged = flagged::Check::new(self.connection()?, tenant)?;
        let mut finds = |entry: &EntryView<'_>| Ok(postings.finds(entry)? && flagged.finds(entry)?);
        let mut failed = None;
        self::each(self.connection()?, tenant, first, &mut |read| {
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

impl WriteAudit for SqliteTx<'_> {
    fn begin_log(&mut self, tenant: &TenantId, head: &Head) -> Result<()> {
        appending::write_head(self.any_change()?, tenant, head)
    }

    fn append(&mut self, tenant: &TenantId, Append { entry, leaf, head, leaf_hash }: Append) -> Result<()> {
        if head.seq % MARK_EVERY == 0 {
            compliance::write_mark(self.savepoint()?, tenant, &head)?;
        }
        let buffer = self.buffer()?;
        buffer.append(Appended { tenant: tenant.clone(), entry, leaf });
        buffer.heads.put(tenant.clone(), (head, leaf_hash));
        Ok(())
    }
}
