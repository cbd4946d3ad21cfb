//! Erasing what concerns one agent or one session. Entries stay where they are, with their hashes, times and amounts; the
//! rows of other tables go. The rules stand in [`crate::watch::erasing`].
//!
//! The log is folded before any of its entries is erased: no process then holds names of erased entries in memory that a
//! later fold would write.

mod records;

use rusqlite::{OptionalExtension, Row, params};

use super::{
    SqliteTx,
    audit::{self, hash},
    connection, counters, fold,
    posting_lists::{self, Kind},
    rows::{Columns, rows},
    statements::{place, seq, statements},
    stats,
};
use crate::{
    LeafHash,
    erasing::{
        Concerned, ERASED, ERASED_AGENT, ErasedEntry, InUse, ReadErasures, Records, RecordsStep, Subject,
        SubjectErasure, WriteErasures,
    },
    error::Result,
    model::{AgentId, Entry, EntryLine, SessionId, TenantId, UnixMicros},
};

macro_rules! run {
    () => {
        "number, kind, subject, begun_at, completed_at, actor, up_to_seq, stage, position, entries, details, sessions,
        records"
    };
}

statements! {
    RUNS = concat!("SELECT ", run!(), " FROM subject_erasures WHERE tenant = ?1 AND number < ?2
        ORDER BY number DESC LIMIT ?3");
    OPEN_RUN = concat!("SELECT ", run!(), " FROM subject_erasures INDEXED BY subject_erasures_open WHERE tenant = ?1
        AND subject = ?2 AND subject IS NOT NULL");
    PUT_RUN = "INSERT OR REPLACE INTO subject_erasures (tenant, number, kind, subject, begun_at, completed_at, actor,
        up_to_seq, stage, position, entries, details, sessions, records)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    MARKS = "SELECT seq, erasure, leaf, mac FROM erased_entries WHERE tenant = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3";
    PUT_MARK = "INSERT OR REPLACE INTO erased_entries (tenant, seq, erasure, leaf, mac) VALUES (?1, ?2, ?3, ?4, ?5)";
    LIVE_OF_AGENT = "SELECT id FROM sessions INDEXED BY sessions_by_end WHERE tenant = ?1
        AND ifnull(expires_at, 9223372036854775807) > ?2 AND revoked_at IS NULL AND agent_id = ?3 LIMIT 1";
    LIVE_SESSION = "SELECT id FROM sessions WHERE tenant = ?1 AND id = ?3 AND ifnull(expires_at, 9223372036854775807) > ?2
        AND revoked_at IS NULL";
    CALL_SESSIONS = "SELECT session_id FROM calls WHERE tenant = ?1 AND id >= ?2 AND lease IS NOT NULL";
    COUNT_OF_AGENT = "SELECT count(*) FROM sessions INDEXED BY sessions_by_agent WHERE tenant = ?1 AND agent_id = ?2";
    IS_AGENT = "SELECT 1 FROM agents WHERE tenant = ?1 AND agent_id = ?2";
    IS_SESSION = "SELECT 1 FROM sessions WHERE tenant = ?1 AND id = ?2";
    SESSION_AGENT = "SELECT agent_id FROM sessions WHERE tenant = ?1 AND id = ?2";
    CANDIDATES = concat!("SELECT ", audit::entry!(), " FROM audit_entries WHERE place >= ", place!("?2"), " AND place < ",
        place!("?3"), " AND (agent_id = ?4 OR session_id = ?5 OR instr(details, ?6) > 0 OR instr(details, ?7) > 0)
        ORDER BY place");
    ERASE_ENTRY = concat!("UPDATE audit_entries SET session_id = '', agent_id = '', tool = ?3, action = ?3, flag_reason = '',
        actor = '', details = NULL, details_salt = NULL, details_digest = NULL WHERE place = ", place!("?2"));
    ERASE_DETAILS = concat!("UPDATE audit_entries SET details = NULL, details_salt = NULL WHERE place = ", place!("?2"));
}

#[cfg(test)]
pub(super) const RECORDS: &[(&str, &str)] = records::ALL;

/// How a session id begins in JSON text.
const SESSION_IN_JSON: &str = "\"ses_";
/// Stands where a subject has no such name: no name has a line feed.
const NO_NAME: &str = "\n";

fn run(row: &Row<'_>) -> Result<SubjectErasure> {
    let mut columns = Columns::of(row);
    Ok(SubjectErasure {
        number: columns.next()?,
        kind: columns.next()?,
        subject: columns.next::<Option<Vec<u8>>>()?.map(hash),
        begun_at: columns.next()?,
        completed_at: columns.next()?,
        actor: columns.next()?,
        up_to_seq: columns.next()?,
        stage: columns.next()?,
        position: columns.next()?,
        entries: columns.next()?,
        details: columns.next()?,
        sessions: columns.next()?,
        records: columns.next()?,
    })
}

fn mark(row: &Row<'_>) -> Result<ErasedEntry> {
    let mut columns = Columns::of(row);
    Ok(ErasedEntry {
        seq: columns.next()?,
        erasure: columns.next()?,
        leaf: columns.next::<Option<Vec<u8>>>()?.map(hash),
        mac: hash(columns.next()?),
    })
}

/// The subject's name as it stands in JSON, quotes included.
fn in_json(subject: &Subject) -> Result<String> {
    serde_json::to_string(subject.name()).map_err(crate::error::Error::internal)
}

impl SqliteTx<'_> {
    /// Whether this is a session of the subject.
    fn is_its_session(&self, tenant: &TenantId, subject: &Subject, session: &str) -> Result<bool> {
        match subject {
            Subject::Session(id) => Ok(id.as_str() == session),
            Subject::Agent(agent) => {
                let mut statement = self.connection()?.prepare_cached(SESSION_AGENT)?;
                let found: Option<String> =
                    statement.query_row([tenant.as_str(), session], |row| row.get(0)).optional()?;
                Ok(found.as_deref() == Some(agent.as_str()))
            }
        }
    }

    /// Whether a JSON text has the subject's name, or the id of one of its sessions, as a string.
    fn names(&self, tenant: &TenantId, subject: &Subject, json: &str) -> Result<bool> {
        if json.contains(&in_json(subject)?) {
            return Ok(true);
        }
        if matches!(subject, Subject::Session(_)) {
            return Ok(false);
        }
        for (place, _) in json.match_indices(SESSION_IN_JSON) {
            let id = json[place + 1..].split('"').next().unwrap_or_default();
            if self.is_its_session(tenant, subject, id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn live_session(&self, tenant: &TenantId, subject: &Subject, now: UnixMicros) -> Result<Option<SessionId>> {
        // Sessions that begin in this very batch are not in their table yet.
        if let Some(buffer) = self.buffer_if_writer() {
            let new = buffer.new_sessions.values();
            let is_its = |session: &SessionId, agent: &AgentId| match subject {
                Subject::Agent(name) => agent == name,
                Subject::Session(id) => session == id,
            };
            let mut new =
                new.iter().filter(|(key, session)| key.0 == *tenant && is_its(&session.id, &session.agent_id));
            if let Some((key, _)) = new.next() {
                return Ok(Some(key.1.clone()));
            }
        }
        let sql = if matches!(subject, Subject::Agent(_)) { LIVE_OF_AGENT } else { LIVE_SESSION };
        let mut statement = self.connection()?.prepare_cached(sql)?;
        let params = params![tenant.as_str(), now.0, subject.name()];
        statement.query_and_then(params, |row| Columns::of(row).next())?.next().transpose()
    }

    fn has_call_in_flight(&self, tenant: &TenantId, subject: &Subject) -> Result<bool> {
        let mut statement = self.connection()?.prepare_cached(CALL_SESSIONS)?;
        let mut found = statement.query(params![tenant.as_str(), ""])?;
        while let Some(row) = found.next()? {
            let session: String = row.get(0)?;
            if self.is_its_session(tenant, subject, &session)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl ReadErasures for SqliteTx<'_> {
    fn subject_erasures(&self, tenant: &TenantId, before: i64, limit: usize) -> Result<Vec<SubjectErasure>> {
        let mut statement = self.connection()?.prepare_cached(RUNS)?;
        statement.query_and_then(params![tenant.as_str(), before, rows(limit)], run)?.collect()
    }

    fn open_subject_erasure(&self, tenant: &TenantId, subject: &[u8; 32]) -> Result<Option<SubjectErasure>> {
        let mut statement = self.connection()?.prepare_cached(OPEN_RUN)?;
        statement.query_and_then(params![tenant.as_str(), subject], run)?.next().transpose()
    }

    fn erased_entries(&self, tenant: &TenantId, first: i64, limit: usize) -> Result<Vec<ErasedEntry>> {
        let mut statement = self.connection()?.prepare_cached(MARKS)?;
        statement.query_and_then(params![tenant.as_str(), first, rows(limit)], mark)?.collect()
    }

    fn in_use(&self, tenant: &TenantId, subject: &Subject, now: UnixMicros) -> Result<Option<InUse>> {
        if let Some(session) = self.live_session(tenant, subject, now)? {
            return Ok(Some(InUse::Session(session)));
        }
        Ok(self.has_call_in_flight(tenant, subject)?.then_some(InUse::Call))
    }

    fn concerned(&self, tenant: &TenantId, subject: &Subject) -> Result<Concerned> {
        let (connection, name) = (self.connection()?, subject.name());
        let (sessions, is_counted, kind) = match subject {
            Subject::Agent(_) => {
                let mut count = connection.prepare_cached(COUNT_OF_AGENT)?;
                let sessions = count.query_row([tenant.as_str(), name], |row| row.get(0))?;
                (sessions, connection.prepare_cached(IS_AGENT)?.exists([tenant.as_str(), name])?, Kind::Agent)
            }
            Subject::Session(_) => {
                let is_there = connection.prepare_cached(IS_SESSION)?.exists([tenant.as_str(), name])?;
                (i64::from(is_there), false, Kind::Session)
            }
        };
        Ok(Concerned { sessions, entries: posting_lists::count(connection, tenant, kind, name)?, is_counted })
    }
}

impl WriteErasures for SqliteTx<'_> {
    fn put_subject_erasure(&mut self, tenant: &TenantId, erasure: &SubjectErasure) -> Result<()> {
        self.change(PUT_RUN)?.execute(params![
            tenant.as_str(),
            erasure.number,
            erasure.kind,
            erasure.subject,
            erasure.begun_at.0,
            erasure.completed_at.map(|at| at.0),
            erasure.actor,
            erasure.up_to_seq,
            erasure.stage,
            erasure.position,
            erasure.entries,
            erasure.details,
            erasure.sessions,
            erasure.records,
        ])?;
        Ok(())
    }

    fn fold_now(&mut self, tenant: &TenantId, leaf_hash: LeafHash) -> Result<i64> {
        fold::fold_stored(self.any_change()?, tenant, leaf_hash)
    }

    fn entries_about(
        &mut self,
        tenant: &TenantId,
        subject: &Subject,
        first: i64,
        end: i64,
    ) -> Result<Vec<(Entry, bool)>> {
        let (agent, session, in_sessions) = match subject {
            Subject::Agent(agent) => (agent.as_str(), NO_NAME, SESSION_IN_JSON),
            Subject::Session(session) => (NO_NAME, session.as_str(), NO_NAME),
        };
        let mut statement = self.connection()?.prepare_cached(CANDIDATES)?;
        let named = in_json(subject)?;
        let mut found = statement.query(params![tenant.as_str(), first, end, agent, session, named, in_sessions])?;
        let mut about = Vec::new();
        while let Some(row) = found.next()? {
            let entry = audit::read(row).map_err(|problem| {
                let seq = problem.seq.map_or_else(|| "an entry".to_owned(), |seq| format!("entry {seq}"));
                crate::error::Error::internal(format!("{seq} was altered and cannot be erased: {}", problem.problem))
            })?;
            let is_its_own = entry.agent_id == agent || entry.session_id == session;
            let is_named = || entry.details.as_deref().map_or(Ok(false), |json| self.names(tenant, subject, json));
            if is_its_own || is_named()? {
                about.push((entry, is_its_own));
            }
        }
        Ok(about)
    }

    fn erase_entries(&mut self, tenant: &TenantId, entries: &[(Entry, ErasedEntry)]) -> Result<()> {
        let whole: Vec<&Entry> =
            entries.iter().filter(|(_, mark)| mark.leaf.is_some()).map(|(entry, _)| entry).collect();
        let lines: Vec<(i64, EntryLine<'_>)> = whole.iter().map(|entry| (entry.seq, entry.view().line())).collect();
        self.overwriting(|tx| {
            let connection = tx.any_change()?;
            for (entry, mark) in entries {
                if mark.leaf.is_some() {
                    connection.prepare_cached(ERASE_ENTRY)?.execute(params![tenant.as_str(), entry.seq, ERASED])?;
                } else {
                    connection.prepare_cached(ERASE_DETAILS)?.execute(params![tenant.as_str(), entry.seq])?;
                }
                let params = params![tenant.as_str(), mark.seq, mark.erasure, mark.leaf, mark.mac];
                connection.prepare_cached(PUT_MARK)?.execute(params)?;
            }
            posting_lists::move_entries(connection, tenant, &lines, ["", ERASED_AGENT, ERASED])?;
            stats::forget_names(connection, tenant, &lines)?;
            counters::forget_tools(tx, tenant, &lines)
        })
    }

    fn erase_records(
        &mut self,
        tenant: &TenantId,
        subject: &Subject,
        records: Records,
        after: &str,
        begun_at: UnixMicros,
    ) -> Result<RecordsStep> {
        self.overwriting(|tx| records::erase(tx, tenant, subject, records, after, begun_at))
    }
}

impl SqliteTx<'_> {
    /// Runs `work` so that what it deletes is overwritten in the file, not only unlinked.
    fn overwriting<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let mut tx = *self;
        connection::overwriting(self.any_change()?, || work(&mut tx))
    }
}
