//! `getAuditTrail`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::canonical::{self, hex};
use crate::{
    call::{ReadContext, ReadOperation, page_size},
    error::Result,
    model::{AgentId, Entry, EntryKind, Money, SeqCursor, SessionId, TenantId, TimePoint, UnixMicros, text::Text},
    store::{AuditQuery, StoredEntryProblem},
};

/// Entries in one answer.
const MAX_LIMIT: i64 = 1_000;

/// Read the audit log, newest first: what agents did, and what haldir decided about them. Filter by session,
/// agent, tool, time, or only what was flagged as anomalous.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetAuditTrail {
    /// Only this session's entries.
    session_id: Option<SessionId>,
    /// Only this agent's entries.
    agent_id: Option<AgentId>,
    /// Only entries of this tool; haldir's own decisions bear the tool `haldir`.
    tool: Option<Text<0, 256>>,
    /// true: only flagged entries; false: only others.
    flagged: Option<bool>,
    /// Only entries at this time or later: Unix seconds, a date-time with its offset (RFC 3339), or a date.
    since: Option<TimePoint>,
    /// Only entries before this time, in the same forms.
    until: Option<TimePoint>,
    /// How many at most. Default 100.
    #[schemars(range(min = 1, max = 1_000), extend("default" = 100))]
    limit: Option<i64>,
    /// Where the last answer ended: its `next_cursor`.
    cursor: Option<SeqCursor>,
}

/// A page of the log.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AuditTrail {
    /// How many entries are in this answer.
    count: usize,
    /// Newest first.
    entries: Vec<AuditEntry>,
    /// Give it as cursor to go on; null at the end. A page that is not the last may have fewer entries than limit.
    next_cursor: Option<String>,
}

/// An entry of the audit log.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct AuditEntry {
    /// Names the entry; empty where it cannot be read.
    entry_id: String,
    /// Its place in the log, from 1.
    seq: i64,
    /// `action`: an agent logged it. `governance`: haldir did.
    kind: EntryKind,
    /// The session it happened in; empty if in none.
    session_id: String,
    /// The agent; `system` if none was involved.
    agent_id: String,
    /// The tool or service.
    tool: String,
    /// What was done.
    action: String,
    /// What it cost, in USD.
    cost_usd: Money,
    /// Whether it looked anomalous.
    flagged: bool,
    /// Why; empty if it did not.
    flag_reason: String,
    /// When it was recorded, in Unix seconds.
    timestamp: UnixMicros,
    /// More about it; null if there is nothing, or it was erased.
    #[schemars(with = "serde_json::Value")]
    details: Option<Box<RawValue>>,
    /// The key that caused it, by its first characters, or `local` or `operator`.
    actor: String,
    /// BLAKE3 over the salt and the details, in hexadecimal; null without details.
    details_digest: Option<String>,
    /// The hash of the entry before, in hexadecimal; zeros in front of the first.
    prev_hash: String,
    /// BLAKE3 over this entry's canonical bytes, in hexadecimal.
    entry_hash: String,
    /// True where the entry was erased at an operator's word: only its place, time, cost and hashes are left. Absent
    /// otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    erased: bool,
    /// What keeps the entry from being read: it was altered outside haldir, and its other fields say nothing. Absent
    /// otherwise; whether an entry that can be read is unaltered, verifyAuditTrail says.
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
    /// True where the entry can be read, but its fields or its details are not those of its own hash: it was altered outside
    /// haldir. Absent otherwise; whether the whole log is unaltered, verifyAuditTrail says.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(default)]
    altered: bool,
}

impl AuditEntry {
    /// The wire form of an entry in the log of `tenant`.
    pub fn new(tenant: &TenantId, read: Result<Entry, StoredEntryProblem>) -> Self {
        let entry = match read {
            Ok(entry) => entry,
            Err(StoredEntryProblem { seq, problem }) => return Self::unreadable(seq.unwrap_or_default(), &problem),
        };
        let erased = entry.is_erased();
        let altered = !erased && !canonical::is_intact(tenant, &entry);
        let Ok(details) = entry.details.map(RawValue::from_string).transpose() else {
            return Self::unreadable(entry.seq, "details is not JSON");
        };
        Self {
            entry_id: entry.id.to_string(),
            seq: entry.seq,
            kind: entry.kind,
            erased,
            session_id: entry.session_id,
            agent_id: entry.agent_id,
            tool: entry.tool,
            action: entry.action,
            cost_usd: entry.cost,
            flagged: entry.flagged,
            flag_reason: entry.flag_reason,
            timestamp: entry.at,
            details,
            actor: entry.actor,
            details_digest: entry.details_digest.map(|digest| hex(&digest)),
            prev_hash: hex(&entry.prev_hash),
            entry_hash: hex(&entry.entry_hash),
            unreadable: None,
            altered,
        }
    }

    /// Stands in the place of a row that is no entry any more: the page around it can still be read.
    fn unreadable(seq: i64, problem: &str) -> Self {
        let unreadable = Some(format!("the entry was altered: {problem}"));
        Self { seq, unreadable, ..Self::default() }
    }
}

impl ReadOperation for GetAuditTrail {
    type Output = AuditTrail;

    fn run(self, cx: &ReadContext<'_>) -> Result<AuditTrail> {
        let limit = page_size(self.limit, MAX_LIMIT)?;
        let query = AuditQuery {
            session_id: self.session_id.map(|id| id.to_string()),
            agent_id: self.agent_id.map(|id| id.to_string()),
            tool: self.tool.map(Text::into_string),
            flagged: self.flagged,
            since: self.since.map(TimePoint::micros),
            until: self.until.map(TimePoint::micros),
            before_seq: self.cursor.map(|SeqCursor(seq)| seq),
            first_seq: None,
            limit,
        };
        let page = cx.tx.entries(&cx.caller.tenant, &query)?;
        let next_cursor = page.older_than.map(|seq| seq.to_string());
        let entries: Vec<_> = page.entries.into_iter().map(|read| AuditEntry::new(&cx.caller.tenant, read)).collect();
        Ok(AuditTrail { count: entries.len(), entries, next_cursor })
    }
}
