//! The audit log's rows.

use rusqlite::{OptionalExtension, Row, Statement, params, types::ValueRef};

use super::{SqliteTx, rows::Column, statements::statements};
use crate::{
    error::Result,
    model::{Entry, EntryId, EntryKind, Money, TenantId, UnixMicros},
    store::{AuditQuery, Head, ReadAudit, StoredEntryProblem, WriteAudit},
};

statements! {
    HEAD = "SELECT * FROM audit_heads WHERE tenant = ?1";
    PUT_HEAD = "INSERT OR REPLACE INTO audit_heads (tenant, seq, at, entry_hash, tree, mac, actions, cost, flagged)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    ENTRY = "SELECT * FROM audit_entries WHERE tenant = ?1 AND seq = ?2";
    ENTRIES_FROM = "SELECT * FROM audit_entries WHERE tenant = ?1 AND seq >= ?2 ORDER BY seq";
    ENTRY_TIME = "SELECT at FROM audit_entries WHERE tenant = ?1 AND seq = ?2";
    // One statement for each index that can lead; the other filters are looked at row by row.
    ENTRIES = "SELECT * FROM audit_entries WHERE tenant = ?1 AND seq >= ?2 AND seq < ?3 ORDER BY seq DESC LIMIT ?4";
    ENTRIES_OF_SESSION = "SELECT * FROM audit_entries INDEXED BY audit_by_session
        WHERE tenant = ?1 AND seq >= ?2 AND seq < ?3 AND session_id = ?5
        AND (?6 IS NULL OR agent_id = ?6) AND (?7 IS NULL OR tool = ?7) AND (?8 IS NULL OR flagged = ?8)
        ORDER BY seq DESC LIMIT ?4";
    ENTRIES_OF_AGENT = "SELECT * FROM audit_entries INDEXED BY audit_by_agent
        WHERE tenant = ?1 AND seq >= ?2 AND seq < ?3 AND agent_id = ?6
        AND (?5 IS NULL OR session_id = ?5) AND (?7 IS NULL OR tool = ?7) AND (?8 IS NULL OR flagged = ?8)
        ORDER BY seq DESC LIMIT ?4";
    ENTRIES_OF_TOOL = "SELECT * FROM audit_entries INDEXED BY audit_by_tool
        WHERE tenant = ?1 AND seq >= ?2 AND seq < ?3 AND tool = ?7
        AND (?5 IS NULL OR session_id = ?5) AND (?6 IS NULL OR agent_id = ?6) AND (?8 IS NULL OR flagged = ?8)
        ORDER BY seq DESC LIMIT ?4";
    ENTRIES_FLAGGED = "SELECT * FROM audit_entries INDEXED BY audit_flagged
        WHERE tenant = ?1 AND seq >= ?2 AND seq < ?3 AND flagged = 1 AND ?8 = 1
        AND (?5 IS NULL OR session_id = ?5) AND (?6 IS NULL OR agent_id = ?6) AND (?7 IS NULL OR tool = ?7)
        ORDER BY seq DESC LIMIT ?4";
    ENTRIES_NOT_FLAGGED = "SELECT * FROM audit_entries WHERE tenant = ?1 AND seq >= ?2 AND seq < ?3 AND flagged = 0
        AND ?8 = 0 AND ?5 IS NULL AND ?6 IS NULL AND ?7 IS NULL ORDER BY seq DESC LIMIT ?4";
    INSERT_ENTRY = "INSERT INTO audit_entries (tenant, seq, id, at, kind, session_id, agent_id, tool, action, cost,
        flagged, flag_reason, actor, details, details_salt, details_digest, prev_hash, entry_hash)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";
}

/// Reads an entry strictly: a row that no append could have written is a problem, not a value to make sense of.
fn entry(row: &Row<'_>) -> Result<Entry, String> {
    let text = |name: &'static str| match row.get_ref(name) {
        Ok(ValueRef::Text(text)) => String::from_utf8(text.to_vec()).map_err(|_| format!("{name} is not UTF-8")),
        _ => Err(format!("{name} is not text")),
    };
    let integer = |name: &'static str| row.get::<_, i64>(name).map_err(|_| format!("{name} is not an integer"));
    let blob = |name: &'static str| match row.get_ref(name) {
        Ok(ValueRef::Blob(blob)) => Ok(Some(blob.to_vec())),
        Ok(ValueRef::Null) => Ok(None),
        _ => Err(format!("{name} is not a blob")),
    };
    fn sized<const N: usize>(name: &str, blob: Option<Vec<u8>>) -> Result<Option<[u8; N]>, String> {
        blob.map(|blob| blob.try_into().map_err(|_| format!("{name} is not {N} bytes"))).transpose()
    }
    let hash = |name: &'static str| {
        sized(name, blob(name)?)?.ok_or_else(|| format!("{name} is missing"))
    };
    Ok(Entry {
        seq: integer("seq")?,
        id: EntryId::parse(text("id")?).map_err(|problem| format!("id {problem}"))?,
        at: UnixMicros(integer("at")?),
        kind: match text("kind")?.as_str() {
            "action" => EntryKind::Action,
            "governance" => EntryKind::Governance,
            other => return Err(format!("kind is {other:?}")),
        },
        session_id: text("session_id")?,
        agent_id: text("agent_id")?,
        tool: text("tool")?,
        action: text("action")?,
        cost: Money::from_nanos(integer("cost")?),
        flagged: match integer("flagged")? {
            0 => false,
            1 => true,
            other => return Err(format!("flagged is {other}")),
        },
        flag_reason: text("flag_reason")?,
        actor: text("actor")?,
        details: if matches!(row.get_ref("details"), Ok(ValueRef::Null)) { None } else { Some(text("details")?) },
        details_salt: sized("details_salt", blob("details_salt")?)?,
        details_digest: sized("details_digest", blob("details_digest")?)?,
        prev_hash: hash("prev_hash")?,
        entry_hash: hash("entry_hash")?,
    })
}

fn collect(statement: &mut Statement<'_>, params: impl rusqlite::Params) -> Result<Vec<Entry>> {
    let read = |row: &Row<'_>| entry(row).map_err(crate::error::Error::internal);
    statement.query_and_then(params, read)?.collect()
}

impl SqliteTx<'_> {
    /// The first entry at `time` or later. Times never go back in a log, so this is a binary search.
    fn first_seq_since(&self, tenant: &TenantId, time: UnixMicros, last: i64) -> Result<i64> {
        let mut statement = self.connection.prepare_cached(ENTRY_TIME)?;
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
        let mut statement = self.connection.prepare_cached(HEAD)?;
        let mut rows = statement.query([tenant.as_str()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(Some(Head {
            seq: row.column("seq")?,
            at: row.column("at")?,
            entry_hash: row.column("entry_hash")?,
            tree: row.column("tree")?,
            mac: row.column("mac")?,
            actions: row.column("actions")?,
            cost: row.column("cost")?,
            flagged: row.column("flagged")?,
        }))
    }

    fn entry(&self, tenant: &TenantId, seq: i64) -> Result<Option<Entry>> {
        let mut statement = self.connection.prepare_cached(ENTRY)?;
        Ok(collect(&mut statement, params![tenant.as_str(), seq])?.pop())
    }

    fn entries(&self, tenant: &TenantId, query: &AuditQuery) -> Result<Vec<Entry>> {
        let last = self.head(tenant)?.map_or(0, |head| head.seq);
        let first = query.since.map_or(Ok(1), |time| self.first_seq_since(tenant, time, last))?;
        let until = query.until.map_or(Ok(last + 1), |time| self.first_seq_since(tenant, time, last))?;
        let end = until.min(query.before_seq.unwrap_or(i64::MAX));
        let AuditQuery { session_id, agent_id, tool, flagged, .. } = query;
        let sql = match (session_id, agent_id, tool, flagged) {
            (Some(_), ..) => ENTRIES_OF_SESSION,
            (_, _, _, Some(true)) => ENTRIES_FLAGGED,
            (_, Some(_), ..) => ENTRIES_OF_AGENT,
            (_, _, Some(_), _) => ENTRIES_OF_TOOL,
            (.., Some(false)) => ENTRIES_NOT_FLAGGED,
            (None, None, None, None) => {
                let mut statement = self.connection.prepare_cached(ENTRIES)?;
                return collect(&mut statement, params![tenant.as_str(), first, end, query.limit as i64]);
            }
        };
        let mut statement = self.connection.prepare_cached(sql)?;
        let params = params![tenant.as_str(), first, end, query.limit as i64, session_id, agent_id, tool, flagged];
        collect(&mut statement, params)
    }

    fn each_entry(
        &self,
        tenant: &TenantId,
        first: i64,
        each: &mut dyn FnMut(Result<Entry, StoredEntryProblem>) -> bool,
    ) -> Result<()> {
        let mut statement = self.connection.prepare_cached(ENTRIES_FROM)?;
        let mut rows = statement.query(params![tenant.as_str(), first])?;
        while let Some(row) = rows.next()? {
            let read = entry(row).map_err(|problem| StoredEntryProblem { seq: row.get("seq").ok(), problem });
            if !each(read) {
                break;
            }
        }
        Ok(())
    }
}

impl WriteAudit for SqliteTx<'_> {
    fn insert_entry(&mut self, tenant: &TenantId, entry: &Entry) -> Result<()> {
        self.connection.prepare_cached(INSERT_ENTRY)?.execute(params![
            tenant.as_str(),
            entry.seq,
            entry.id.as_str(),
            entry.at.0,
            match entry.kind {
                EntryKind::Action => "action",
                EntryKind::Governance => "governance",
            },
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

    fn put_head(&mut self, tenant: &TenantId, head: &Head) -> Result<()> {
        self.connection.prepare_cached(PUT_HEAD)?.execute(params![
            tenant.as_str(),
            head.seq,
            head.at.0,
            head.entry_hash,
            head.tree,
            head.mac,
            head.actions,
            head.cost.nanos(),
            head.flagged,
        ])?;
        Ok(())
    }
}
