//! Erasing what concerns one agent or one session: how far it has come, and what was erased of entries.

use super::LeafHash;
use crate::{
    error::Result,
    model::{AgentId, Entry, SessionId, TenantId, UnixMicros},
};

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

#[allow(missing_docs)]
pub trait ReadErasures {
    /// Newest first, before the one with this number, at most `limit`.
    fn subject_erasures(&self, tenant: &TenantId, before: i64, limit: usize) -> Result<Vec<SubjectErasure>>;
    /// The erasure under way of this subject.
    fn open_subject_erasure(&self, tenant: &TenantId, subject: &[u8; 32]) -> Result<Option<SubjectErasure>>;
    /// What was erased of entries from `first` on, in their order, at most `limit`.
    fn erased_entries(&self, tenant: &TenantId, first: i64, limit: usize) -> Result<Vec<ErasedEntry>>;
    /// What keeps the subject from being erased: a session that is neither revoked nor expired, or an in-flight call.
    fn in_use(&self, tenant: &TenantId, subject: &Subject, now: UnixMicros) -> Result<Option<InUse>>;
    /// What there is of it.
    fn concerned(&self, tenant: &TenantId, subject: &Subject) -> Result<Concerned>;
}

#[allow(missing_docs)]
pub trait WriteErasures {
    fn put_subject_erasure(&mut self, tenant: &TenantId, erasure: &SubjectErasure) -> Result<()>;
    /// Folds the log as far as it is written, a bounded part at a time; answers up to which entry it is folded now.
    fn fold_now(&mut self, tenant: &TenantId, leaf_hash: LeafHash) -> Result<i64>;
    /// Entries from `first` to before `end` that are the subject's, and entries whose details name it: the flag says
    /// whether the entry is its own.
    fn entries_about(
        &mut self,
        tenant: &TenantId,
        subject: &Subject,
        first: i64,
        end: i64,
    ) -> Result<Vec<(Entry, bool)>>;
    /// Erases what the marks say of these folded entries, and moves what was counted by their names.
    fn erase_entries(&mut self, tenant: &TenantId, entries: &[(Entry, ErasedEntry)]) -> Result<()>;
    /// Erases the subject's rows among the next ones of a table; sessions only if they began up to `begun_at`.
    fn erase_records(
        &mut self,
        tenant: &TenantId,
        subject: &Subject,
        records: Records,
        after: &str,
        begun_at: UnixMicros,
    ) -> Result<RecordsStep>;
}
