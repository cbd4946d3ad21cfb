//! The audit log's rows.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, Statement, params};

use super::{
    SqliteTx,
    rows::{Columns, rows},
    statements::statements,
    strict::Strict,
};
use crate::{
    error::Result,
    model::{Entry, EntryKind, EntryView, Money, TenantId, UnixMicros},
    store::{AuditPage, AuditPart, AuditQuery, Head, PAGE_BYTES, ReadAudit, SealHead, StoredEntryProblem, WriteAudit},
};

macro_rules! entry {
    () => {
        "seq, id, at, kind, session_id, agent_id, tool, action, cost, flagged, flag_reason, actor, details,
        details_salt, details_digest, prev_hash, entry_hash"
    };
}

/// Entries that pass the filters, in the order of the log.
macro_rules! forward {
    ($index:literal, $lead:literal) => {
        concat!(
            "SELECT ",
            entry!(),
            " FROM audit_entries ",
            $index,
            " WHERE tenant = ?1 AND seq >= ?2 AND seq < ?3",
            $lead,
            " AND (?5 IS NULL OR session_id = ?5) AND (?6 IS NULL OR agent_id = ?6) AND (?7 IS NULL OR tool = ?7)
            AND (?8 IS NULL OR flagged = ?8) ORDER BY seq LIMIT ?4"
        )
    };
}

statements! {
    FORWARD = forward!("", "");
    FORWARD_OF_SESSION = forward!("INDEXED BY audit_by_session", " AND session_id = ?5");
    FORWARD_OF_AGENT = forward!("INDEXED BY audit_by_agent", " AND agent_id = ?6");
    FORWARD_OF_TOOL = forward!("INDEXED BY audit_by_tool", " AND tool = ?7");
    FORWARD_FLAGGED = forward!("INDEXED BY audit_flagged", " AND flagged = 1");
    HEAD = "SELECT seq, at, entry_hash, tree, mac, actions, cost, flagged FROM audit_heads WHERE tenant = ?1";
    PUT_HEAD = "INSERT INTO audit_heads (tenant, seq, at, entry_hash, tree, mac, actions, cost, flagged)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
        ON CONFLICT DO UPDATE SET seq = ?2, at = ?3, entry_hash = ?4, tree = ?5, mac = ?6, actions = ?7, cost = ?8,
        flagged = ?9";
    ENTRY = concat!("SELECT ", entry!(), " FROM audit_entries WHERE tenant = ?1 AND seq = ?2");
    ENTRIES_FROM = concat!("SELECT ", entry!(), " FROM audit_entries WHERE tenant = ?1 AND seq >= ?2 ORDER BY seq");
    ENTRY_TIME = "SELECT at FROM audit_entries WHERE tenant = ?1 AND seq = ?2";
    // One statement for each index that can lead; the other filters are looked at row by row.
    ENTRIES = concat!("SELECT ", entry!(), " FROM audit_entries
        WHERE tenant = ?1 AND seq >= ?2 AND seq < ?3 ORDER BY seq DESC LIMIT ?4");
    ENTRIES_OF_SESSION = concat!("SELECT ", entry!(), " FROM audit_entries INDEXED BY audit_by_session
        WHERE tenant = ?1 AND seq >= ?2 AND seq < ?3 AND session_id = ?5
        AND (?6 IS NULL OR agent_id = ?6) AND (?7 IS NULL OR tool = ?7) AND (?8 IS NULL OR flagged = ?8)
        ORDER BY seq DESC LIMIT ?4");
    ENTRIES_OF_AGENT = concat!("SELECT ", entry!(), " FROM audit_entries INDEXED BY audit_by_agent
        WHERE tenant = ?1 AND seq >= ?2 AND seq < ?3 AND agent_id = ?6
        AND (?5 IS NULL OR session_id = ?5) AND (?7 IS NULL OR tool = ?7) AND (?8 IS NULL OR flagged = ?8)
        ORDER BY seq DESC LIMIT ?4");
    ENTRIES_OF_TOOL = concat!("SELECT ", entry!(), " FROM audit_entries INDEXED BY audit_by_tool
        WHERE tenant = ?1 AND seq >= ?2 AND seq < ?3 AND tool = ?7
        AND (?5 IS NULL OR session_id = ?5) AND (?6 IS NULL OR agent_id = ?6) AND (?8 IS NULL OR flagged = ?8)
        ORDER BY seq DESC LIMIT ?4");
    ENTRIES_FLAGGED = concat!("SELECT ", entry!(), " FROM audit_entries INDEXED BY audit_flagged
        WHERE tenant = ?1 AND seq >= ?2 AND seq < ?3 AND flagged = 1 AND ?8 = 1
        AND (?5 IS NULL OR session_id = ?5) AND (?6 IS NULL OR agent_id = ?6) AND (?7 IS NULL OR tool = ?7)
        ORDER BY seq DESC LIMIT ?4");
    ENTRIES_NOT_FLAGGED = concat!("SELECT ", entry!(), " FROM audit_entries
        WHERE tenant = ?1 AND seq >= ?2 AND seq < ?3 AND flagged = 0 AND ?8 = 0 AND ?5 IS NULL AND ?6 IS NULL AND ?7 IS NULL ORDER BY seq DESC LIMIT ?4");
    INSERT_ENTRY = "INSERT INTO audit_entries (tenant, seq, id, at, kind, session_id, agent_id, tool, action, cost,
        flagged, flag_reason, actor, details, details_salt, details_digest, prev_hash, entry_hash)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";
}

/// The agent of entries that none had a part in.
pub(super) const NO_AGENT: &str = "system";
/// Entries that a query may look at where no index leads to those that pass the filters: a long run of others must not
/// make one page read the whole log.
const MAX_LOOKED_AT: i64 = 10_000;

/// Stands for a hash that could not be read.
const NO_HASH: [u8; 32] = [0xff; 32];

/// The entry as it lies in the row.
fn view<'r>(row: &'r Row<'_>) -> Result<EntryView<'r>, String> {
    let mut columns = Strict::of(row);
    Ok(EntryView {
        seq: columns.integer()?,
        id: columns.text()?,
        at: UnixMicros(columns.integer()?),
        kind: match columns.text()? {
            "action" => EntryKind::Action,
            "governance" => EntryKind::Governance,
            _ => return Err(columns.not("action or governance")),
        },
        session_id: columns.text()?,
        agent_id: columns.text()?,
        tool: columns.text()?,
        action: columns.text()?,
        cost: Money::from_nanos(columns.integer()?),
        flagged: match columns.integer()? {
            0 => false,
            1 => true,
            _ => return Err(columns.not("0 or 1")),
        },
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
fn read(row: &Row<'_>) -> Result<Entry, StoredEntryProblem> {
    view(row).and_then(|view| view.to_entry()).map_err(|problem| unreadable(row, problem))
}

fn unreadable(row: &Row<'_>, problem: String) -> StoredEntryProblem {
    StoredEntryProblem { seq: row.get("seq").ok(), problem }
}

fn collect(
    statement: &mut Statement<'_>,
    params: impl rusqlite::Params,
) -> Result<Vec<Result<Entry, StoredEntryProblem>>> {
    Ok(statement.query_map(params, |row| Ok(read(row)))?.collect::<Result<_, _>>()?)
}

/// At most `limit` entries, and no more behind one with which their details fill a page; and whether there are more.
fn collect_page(
    statement: &mut Statement<'_>,
    params: impl rusqlite::Params,
    limit: usize,
) -> Result<(Vec<Result<Entry, StoredEntryProblem>>, bool)> {
    let (mut entries, mut bytes) = (Vec::new(), 0);
    for entry in statement.query_map(params, |row| Ok(read(row)))? {
        if entries.len() == limit || bytes >= PAGE_BYTES {
            return Ok((entries, true));
        }
        let entry = entry?;
        bytes += entry.as_ref().ok().and_then(|entry| entry.details.as_ref()).map_or(0, String::len);
        entries.push(entry);
    }
    Ok((entries, false))
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
        if let Some(head) = self.held().and_then(|held| Some(held.heads.get(tenant)?.0)) {
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
            mac: Some(hash(columns.next()?)),
            actions: columns.next()?,
            cost: columns.next()?,
            flagged: columns.next()?,
        }))
    }

    fn entry(&self, tenant: &TenantId, seq: i64) -> Result<Option<Result<Entry, StoredEntryProblem>>> {
        self.require_reader()?;
        let mut statement = self.connection()?.prepare_cached(ENTRY)?;
        Ok(collect(&mut statement, params![tenant.as_str(), seq])?.pop())
    }

    fn entries(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPage> {
        self.require_reader()?;
        let last = self.head(tenant)?.map_or(0, |head| head.seq);
        let first = query.since.map_or(Ok(1), |time| self.first_seq_since(tenant, time, last))?;
        let first = first.max(query.first_seq.unwrap_or(1));
        let until = query.until.map_or(Ok(last + 1), |time| self.first_seq_since(tenant, time, last))?;
        let end = until.min(query.before_seq.unwrap_or(i64::MAX));
        let mut first_looked_at = first;
        let AuditQuery { session_id, agent_id, tool, flagged, .. } = query;
        let sql = match (session_id, agent_id, tool, flagged) {
            (Some(_), ..) => ENTRIES_OF_SESSION,
            (_, _, _, Some(true)) => ENTRIES_FLAGGED,
            (_, Some(_), ..) => ENTRIES_OF_AGENT,
            (_, _, Some(_), _) => ENTRIES_OF_TOOL,
            (.., Some(false)) => {
                first_looked_at = first.max(end.saturating_sub(MAX_LOOKED_AT));
                ENTRIES_NOT_FLAGGED
            }
            (None, None, None, None) => ENTRIES,
        };
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let (tenant, limit) = (tenant.as_str(), rows(query.limit.saturating_add(1)));
        let (entries, is_more) = if sql == ENTRIES {
            collect_page(&mut statement, params![tenant, first, end, limit], query.limit)?
        } else {
            let params = params![tenant, first_looked_at, end, limit, session_id, agent_id, tool, flagged];
            collect_page(&mut statement, params, query.limit)?
        };
        let older_than = if is_more {
            let seq = |entry: &Result<Entry, StoredEntryProblem>| match entry {
                Ok(entry) => Some(entry.seq),
                Err(problem) => problem.seq,
            };
            entries.last().and_then(seq)
        } else {
            Some(first_looked_at).filter(|looked| *looked > first)
        };
        Ok(AuditPage { entries, older_than })
    }

    fn entries_forward(&self, tenant: &TenantId, query: &AuditQuery) -> Result<AuditPart> {
        self.require_reader()?;
        let AuditQuery { session_id, agent_id, tool, flagged, limit, .. } = query;
        let (first, end) = (query.first_seq.unwrap_or(1), query.before_seq.unwrap_or(i64::MAX));
        let looked_at = end.min(first.saturating_add(MAX_LOOKED_AT));
        let sql = match (session_id, agent_id, tool, flagged) {
            (Some(_), ..) => FORWARD_OF_SESSION,
            (_, _, _, Some(true)) => FORWARD_FLAGGED,
            (_, Some(_), ..) => FORWARD_OF_AGENT,
            (_, _, Some(_), _) => FORWARD_OF_TOOL,
            _ => FORWARD,
        };
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let params = params![tenant.as_str(), first, looked_at, rows(*limit), session_id, agent_id, tool, flagged];
        let entries = collect(&mut statement, params)?;
        let last = entries.last().filter(|_| entries.len() == *limit).and_then(|entry| match entry {
            Ok(entry) => Some(entry.seq),
            Err(problem) => problem.seq,
        });
        let next = last.map_or(looked_at, |last| last + 1);
        Ok(AuditPart { entries, next: Some(next).filter(|next| *next < end) })
    }

    fn each_entry(
        &self,
        tenant: &TenantId,
        first: i64,
        each: &mut dyn FnMut(Result<EntryView<'_>, StoredEntryProblem>) -> bool,
    ) -> Result<()> {
        self.require_reader()?;
        let mut statement = self.connection()?.prepare_cached(ENTRIES_FROM)?;
        let mut rows = statement.query(params![tenant.as_str(), first])?;
        while let Some(row) = rows.next()? {
            if !each(view(row).map_err(|problem| unreadable(row, problem))) {
                break;
            }
        }
        Ok(())
    }
}

impl WriteAudit for SqliteTx<'_> {
    fn insert_entry(&mut self, tenant: &TenantId, entry: Arc<Entry>) -> Result<()> {
        self.pending()?.append(tenant, entry);
        Ok(())
    }

    fn put_head(&mut self, tenant: &TenantId, head: Head, seal: Arc<dyn SealHead>) -> Result<()> {
        self.pending()?.heads.put(tenant.clone(), (head, seal));
        Ok(())
    }
}

pub(super) fn write_head(connection: &Connection, tenant: &TenantId, head: &Head, mac: [u8; 32]) -> Result<()> {
    connection.prepare_cached(PUT_HEAD)?.execute(params![
        tenant.as_str(),
        head.seq,
        head.at.0,
        head.entry_hash,
        head.tree,
        mac,
        head.actions,
        head.cost.nanos(),
        head.flagged,
    ])?;
    Ok(())
}

pub(super) fn write_entries(connection: &Connection, entries: &[(TenantId, Arc<Entry>)]) -> Result<()> {
    let mut insert = connection.prepare_cached(INSERT_ENTRY)?;
    entries.iter().try_for_each(|(tenant, entry)| write_entry(&mut insert, tenant, entry))
}

fn write_entry(insert: &mut Statement<'_>, tenant: &TenantId, entry: &Entry) -> Result<()> {
    insert.execute(params![
        tenant.as_str(),
        entry.seq,
        entry.id.as_str(),
        entry.at.0,
        entry.kind.word(),
        entry.session_id,
        entry.agent_id,
        entry.tool,
        entry.action,
        entry.cost.nanos(),
        entry.flagged,
        entry.flag_reason,
        entry.actor,
        entry.details,
        entry.details_salt,
        entry.details_digest,
        entry.prev_hash,
        entry.entry_hash,
    ])?;
    Ok(())
}
