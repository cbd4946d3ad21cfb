//! Erasing what concerns one agent or one session. Entries stay where they are, with their hashes, times and amounts; the
//! rows of other tables go. The rules are in the room of the audit log.
//!
//! The log is folded before any of its entries is erased: no process then holds names of erased entries in memory that a
//! later fold would write.

mod records;

use super::{
    audit::{self, LeafHash},
    counters, fold,
    posting_lists::{self, Kind},
    stats,
};
use crate::{
    ReadTx, Tx,
    database::{Record, params, record},
    error::{Error, Result},
    model::{AgentId, Entry, EntryLine, SessionId, TenantId, UnixMicros},
    statements::{place, seq, statements},
};

record! { subject_erasures: SubjectErasure as run {
    number, kind, subject, begun_at, completed_at, actor, up_to_seq, stage, position, entries, details, sessions, records,
} }

record! { erased_entries: ErasedEntry as mark { seq, erasure, leaf, mac } }

statements! {
    RUNS = concat!("SELECT ", run!(), " FROM subject_erasures WHERE tenant = ?1 AND number < ?2
        ORDER BY number DESC LIMIT ?3");
    OPEN_RUN = concat!("SELECT ", run!(), " FROM subject_erasures INDEXED BY subject_erasures_open WHERE tenant = ?1
        AND subject = ?2 AND subject IS NOT NULL");
    PUT_RUN = SubjectErasure::PUT;
    MARKS = concat!("SELECT ", mark!(), " FROM erased_entries WHERE tenant = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3");
    PUT_MARK = ErasedEntry::PUT;
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
pub(crate) const RECORDS: &[(&str, &str)] = records::ALL;

/// How a session id begins in JSON text.
const SESSION_IN_JSON: &str = "\"ses_";
/// Stands where a subject has no such name: no name has a line feed.
const NO_NAME: &str = "\n";

/// Whose records are erased.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Subject {
    Agent(AgentId),
    Session(SessionId),
}

impl Subject {
    /// The word for its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Agent(_) => "agent",
            Self::Session(_) => "session",
        }
    }

    /// The name or id.
    pub fn name(&self) -> &str {
        match self {
            Self::Agent(agent) => agent.as_str(),
            Self::Session(session) => session.as_str(),
        }
    }
}

/// What keeps a subject from being erased.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum InUse {
    Session(SessionId),
    Call,
}

/// The agent of an erased entry: no agent can have this name.
pub const ERASED_AGENT: &str = "";
/// Stands for erased tools, actions and agents where something is counted by their names.
pub const ERASED: &str = "(erased)";

/// An erasure, complete or under way.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct SubjectErasure {
    /// From 1, without gaps.
    pub number: i64,
    /// `agent` or `session`.
    pub kind: String,
    /// A keyed hash of kind and name, by which a repeated call finds the erasure that it goes on with. None once it is
    /// complete.
    pub subject: Option<[u8; 32]>,
    pub begun_at: UnixMicros,
    pub completed_at: Option<UnixMicros>,
    pub actor: String,
    /// Entries behind this one are not looked at: they came after the erasure began.
    pub up_to_seq: i64,
    pub stage: i64,
    /// How far the stage has come.
    pub position: String,
    /// Entries that were erased as a whole.
    pub entries: i64,
    /// Entries of others whose details named the subject: their details were erased.
    pub details: i64,
    pub sessions: i64,
    /// Other records: approvals, payments, events, kept answers.
    pub records: i64,
}

/// What was erased of an entry.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct ErasedEntry {
    pub seq: i64,
    /// The erasure's number.
    pub erasure: i64,
    /// The entry's leaf in the tree, where the whole entry was erased. `None`: only its details were.
    pub leaf: Option<[u8; 32]>,
    /// Keyed by the tenant's data key, over what is left of the entry: an intruder with nothing but the database cannot excuse what they
    /// altered.
    pub mac: [u8; 32],
}

/// Tables that hold records of sessions and agents besides the log, each walked in the order of its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Records {
    Approvals,
    Payments,
    WaitingEvents,
    DeadLetters,
    KeptAnswers,
    /// The sessions themselves, with what is counted by them.
    Sessions,
    /// What is counted by the agent; a session has none of that.
    Agent,
}

impl Records {
    /// In the order in which they are erased: sessions late, since records are found by them.
    pub const ALL: [Self; 7] = [
        Self::Approvals,
        Self::Payments,
        Self::WaitingEvents,
        Self::DeadLetters,
        Self::KeptAnswers,
        Self::Sessions,
        Self::Agent,
    ];
}

/// What one step through a table did.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct RecordsStep {
    /// Rows that were erased.
    pub erased: i64,
    /// The key to go on behind; `None` is the end.
    pub next: Option<String>,
}

/// How much is known of a subject.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct Concerned {
    pub sessions: i64,
    /// Entries of the log that are filed under it, as far as the log is folded.
    pub entries: i64,
    /// Whether anything else is counted by its name.
    pub is_counted: bool,
}

/// The subject's name as it stands in JSON, quotes included.
fn in_json(subject: &Subject) -> Result<String> {
    serde_json::to_string(subject.name()).map_err(Error::internal)
}

impl ReadTx {
    /// Whether this is a session of the subject.
    fn is_its_session(&self, tenant: &TenantId, subject: &Subject, session: &str) -> Result<bool> {
        match subject {
            Subject::Session(id) => Ok(id.as_str() == session),
            Subject::Agent(agent) => {
                let found: Option<String> = self.first(SESSION_AGENT, params![tenant, session])?;
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
        self.first(sql, params![tenant, now, subject.name()])
    }

    fn has_call_in_flight(&self, tenant: &TenantId, subject: &Subject) -> Result<bool> {
        let mut found = false;
        self.connection()?.each(CALL_SESSIONS, params![tenant, ""], |session: String| {
            found = self.is_its_session(tenant, subject, &session)?;
            Ok(!found)
        })?;
        Ok(found)
    }
}

#[allow(missing_docs)]
impl ReadTx {
    /// Newest first, before the one with this number, at most `limit`.
    pub fn subject_erasures(&self, tenant: &TenantId, before: i64, limit: usize) -> Result<Vec<SubjectErasure>> {
        self.all(RUNS, params![tenant, before, limit])
    }

    /// The erasure under way of this subject.
    pub fn open_subject_erasure(&self, tenant: &TenantId, subject: &[u8; 32]) -> Result<Option<SubjectErasure>> {
        self.first(OPEN_RUN, params![tenant, subject])
    }

    /// What was erased of entries from `first` on, in their order, at most `limit`.
    pub fn erased_entries(&self, tenant: &TenantId, first: i64, limit: usize) -> Result<Vec<ErasedEntry>> {
        self.all(MARKS, params![tenant, first, limit])
    }

    /// What keeps the subject from being erased: a session that is neither revoked nor expired, or an in-flight call.
    pub fn in_use(&self, tenant: &TenantId, subject: &Subject, now: UnixMicros) -> Result<Option<InUse>> {
        if let Some(session) = self.live_session(tenant, subject, now)? {
            return Ok(Some(InUse::Session(session)));
        }
        Ok(self.has_call_in_flight(tenant, subject)?.then_some(InUse::Call))
    }

    /// What there is of it.
    pub fn concerned(&self, tenant: &TenantId, subject: &Subject) -> Result<Concerned> {
        let name = subject.name();
        let (sessions, is_counted, kind) = match subject {
            Subject::Agent(_) => {
                let sessions = self.one(COUNT_OF_AGENT, params![tenant, name])?;
                (sessions, self.exists(IS_AGENT, params![tenant, name])?, Kind::Agent)
            }
            Subject::Session(_) => (i64::from(self.exists(IS_SESSION, params![tenant, name])?), false, Kind::Session),
        };
        let entries = posting_lists::count(self.connection()?, tenant, kind, name)?;
        Ok(Concerned { sessions, entries, is_counted })
    }
}

#[allow(missing_docs)]
impl Tx {
    pub fn put_subject_erasure(&mut self, tenant: &TenantId, erasure: &SubjectErasure) -> Result<()> {
        self.change(PUT_RUN, &erasure.params(tenant)).map(drop)
    }

    /// Folds the log as far as it is written, a bounded part at a time; answers up to which entry it is folded now.
    pub fn fold_now(&mut self, tenant: &TenantId, leaf_hash: LeafHash) -> Result<i64> {
        fold::fold_stored(self.any_change()?, tenant, leaf_hash)
    }

    /// Entries from `first` to before `end` that are the subject's, and entries whose details name it: the flag says
    /// whether the entry is its own.
    pub fn entries_about(
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
        let params = params![tenant, first, end, agent, session, in_json(subject)?, in_sessions];
        let mut about = Vec::new();
        self.connection()?.query(CANDIDATES, params, &mut |row| {
            let entry = audit::read(row).map_err(|problem| {
                let seq = problem.seq.map_or_else(|| "an entry".to_owned(), |seq| format!("entry {seq}"));
                Error::internal(format!("{seq} was altered and cannot be erased: {}", problem.problem))
            })?;
            let is_its_own = entry.agent_id == agent || entry.session_id == session;
            let is_named = || entry.details.as_deref().map_or(Ok(false), |json| self.names(tenant, subject, json));
            if is_its_own || is_named()? {
                about.push((entry, is_its_own));
            }
            Ok(true)
        })?;
        Ok(about)
    }

    /// Erases what the marks say of these folded entries, and moves what was counted by their names.
    pub fn erase_entries(&mut self, tenant: &TenantId, entries: &[(Entry, ErasedEntry)]) -> Result<()> {
        let whole: Vec<&Entry> =
            entries.iter().filter(|(_, mark)| mark.leaf.is_some()).map(|(entry, _)| entry).collect();
        let lines: Vec<(i64, EntryLine<'_>)> = whole.iter().map(|entry| (entry.seq, entry.view().line())).collect();
        self.overwriting(|tx| {
            let db = tx.any_change()?;
            for (entry, mark) in entries {
                if mark.leaf.is_some() {
                    db.send(ERASE_ENTRY, params![tenant, entry.seq, ERASED])?;
                } else {
                    db.send(ERASE_DETAILS, params![tenant, entry.seq])?;
                }
                db.send(PUT_MARK, &mark.params(tenant))?;
            }
            posting_lists::move_entries(db, tenant, &lines, ["", ERASED_AGENT, ERASED])?;
            stats::forget_names(db, tenant, &lines)?;
            counters::forget_tools(tx, tenant, &lines)
        })
    }

    /// Erases the subject's rows among the next ones of a table; sessions only if they began up to `begun_at`.
    pub fn erase_records(
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
