//! What the two exports share: the filters, the walk through the log, and the manifest.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::canonical::hex;
use crate::{
    call::{Sink, StreamContext},
    crypto::Sha256,
    error::{Code, Error, Result},
    model::{AgentId, Entry, EntryKind, Money, SessionId, TenantId, UnixMicros, text::Text},
    store::{AuditQuery, StoredEntryProblem},
};

/// Version of the exported form.
pub const FORMAT_VERSION: u8 = 1;
/// Entries that are read at a time, each time on a snapshot of its own: one that lasts as long as the client reads
/// would keep the write-ahead log from being folded into the database.
const PAGE: usize = 256;

/// Which entries are exported.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Filters {
    pub session_id: Option<SessionId>,
    pub agent_id: Option<AgentId>,
    pub tool: Option<Text<0, 256>>,
    pub since: Option<UnixMicros>,
    pub until: Option<UnixMicros>,
    pub flagged: Option<bool>,
}

/// The filters that were given.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GivenFilters {
    /// Only this session's entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<SessionId>,
    /// Only this agent's entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<AgentId>,
    /// Only entries of this tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<String>,
    /// Only entries at this time or later, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<UnixMicros>,
    /// Only entries before this time, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<UnixMicros>,
    /// Only flagged entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    flagged_only: Option<bool>,
    /// Only entries that were not flagged.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_flagged_only: Option<bool>,
}

/// What stands for an export: whoever has both can tell whether the export is whole.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Manifest {
    /// Always `manifest`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Version of the exported form.
    format_version: u8,
    /// Whose log it is.
    tenant_id: TenantId,
    /// When it was made, as RFC 3339 text.
    generated_at: String,
    /// The filters that were given.
    filters: GivenFilters,
    /// How many entries were exported.
    count: u64,
    /// When the first of them was recorded, in Unix seconds; null if there is none.
    first_timestamp: Option<UnixMicros>,
    /// When the last of them was recorded, in Unix seconds; null if there is none.
    last_timestamp: Option<UnixMicros>,
    /// The hash of the last of them, in hexadecimal; empty if there is none.
    last_chain_hash: String,
    /// SHA-256, in hexadecimal, over the id of every exported entry, each followed by a line feed, in their order.
    sha256: String,
}

/// The manifest of what was walked through so far.
struct Running {
    count: u64,
    first: Option<UnixMicros>,
    last: Option<(UnixMicros, [u8; 32])>,
    ids: Sha256,
}

/// Hands over every entry that passes `filters`, oldest first, up to where the log ends now, and nothing now and then;
/// then answers the manifest.
pub fn walk(
    cx: &StreamContext<'_>,
    filters: Filters,
    mut each: impl FnMut(Option<&Entry>) -> Result<()>,
) -> Result<Manifest> {
    let tenant = &cx.caller.tenant;
    let mut query = AuditQuery {
        session_id: filters.session_id.as_ref().map(ToString::to_string),
        agent_id: filters.agent_id.as_ref().map(ToString::to_string),
        tool: filters.tool.as_ref().map(|tool| tool.as_str().to_owned()),
        flagged: filters.flagged,
        limit: PAGE,
        ..AuditQuery::default()
    };
    let bounds = |time: Option<UnixMicros>, none: i64| match time {
        Some(time) => cx.store.read(|tx| Ok(tx.seq_at(tenant, time)?)),
        None => Ok(none),
    };
    let end = cx.store.read(|tx| Ok(tx.seq_at(tenant, UnixMicros(i64::MAX))?))?;
    let mut next = bounds(filters.since, 1)?;
    query.before_seq = Some(bounds(filters.until, end)?.min(end));
    let mut running = Running { count: 0, first: None, last: None, ids: Sha256::default() };
    loop {
        query.first_seq = Some(next);
        let page = cx.store.read(|tx| Ok(tx.entries_forward(tenant, &query)?))?;
        for read in page.entries {
            let entry = read.map_err(|StoredEntryProblem { seq, problem }| {
                let seq = seq.unwrap_or(next);
                Error::internal(format!("entry {seq} of {tenant} was altered and cannot be exported: {problem}"))
            })?;
            running.count += 1;
            running.first = running.first.or(Some(entry.at));
            running.last = Some((entry.at, entry.entry_hash));
            running.ids.update(entry.id.as_str().as_bytes());
            running.ids.update(b"\n");
            each(Some(&entry))?;
        }
        each(None)?;
        match page.next {
            Some(seq) => next = seq,
            None => break,
        }
    }
    let Running { count, first, last, ids } = running;
    Ok(Manifest {
        kind: "manifest",
        format_version: FORMAT_VERSION,
        tenant_id: tenant.clone(),
        generated_at: cx.now.to_rfc3339(),
        filters: GivenFilters {
            session_id: filters.session_id,
            agent_id: filters.agent_id,
            tool: filters.tool.map(Text::into_string),
            since: filters.since,
            until: filters.until,
            flagged_only: filters.flagged.filter(|flagged| *flagged),
            not_flagged_only: filters.flagged.filter(|flagged| !flagged).map(|_| true),
        },
        count,
        first_timestamp: first,
        last_timestamp: last.map(|(at, _)| at),
        last_chain_hash: last.map_or_else(String::new, |(_, hash)| hex(&hash)),
        sha256: hex(&ids.finish()),
    })
}

/// Stops the walk through a long stretch of entries that do not pass the filters, once nobody waits for it.
pub fn still_read(out: &Sink) -> Result<()> {
    if out.is_read() { Ok(()) } else { Err(Error::new(Code::RequestTimeout, "the client left")) }
}

/// The export's file name: `haldir-audit-<tenant>-<time>.<extension>`, with what a header cannot hold left out.
pub fn file_name(cx: &StreamContext<'_>, extension: &str) -> String {
    let tenant: String =
        cx.caller.tenant.as_str().chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
    let time: String = cx.now.to_rfc3339().chars().filter(|c| !"-:".contains(*c)).collect();
    let mut name = String::new();
    // Writing to a String cannot fail.
    let _ = write!(name, "haldir-audit-{tenant}-{time}.{extension}");
    name
}

/// One line of the JSONL form.
#[derive(Serialize)]
pub struct Line<'a> {
    entry_id: &'a str,
    timestamp: UnixMicros,
    tenant_id: &'a TenantId,
    session_id: &'a str,
    agent_id: &'a str,
    tool: &'a str,
    action: &'a str,
    cost_usd: Money,
    flagged: bool,
    flag_reason: &'a str,
    details: Option<&'a serde_json::value::RawValue>,
    prev_hash: String,
    entry_hash: String,
    seq: i64,
    kind: EntryKind,
    actor: &'a str,
    details_digest: Option<String>,
    /// Only where it is true.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    erased: bool,
}

impl<'a> Line<'a> {
    /// The line of `entry`.
    pub fn new(tenant: &'a TenantId, entry: &'a Entry) -> Result<Self> {
        Ok(Self {
            entry_id: entry.id.as_str(),
            timestamp: entry.at,
            tenant_id: tenant,
            session_id: &entry.session_id,
            agent_id: &entry.agent_id,
            tool: &entry.tool,
            action: &entry.action,
            cost_usd: entry.cost,
            flagged: entry.flagged,
            flag_reason: &entry.flag_reason,
            details: entry.details.as_deref().map(serde_json::from_str).transpose().map_err(Error::internal)?,
            prev_hash: hex(&entry.prev_hash),
            entry_hash: hex(&entry.entry_hash),
            seq: entry.seq,
            kind: entry.kind,
            actor: &entry.actor,
            details_digest: entry.details_digest.map(|digest| hex(&digest)),
            erased: entry.is_erased(),
        })
    }
}

/// The formats of an export.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ExportFormat")]
pub enum Format {
    /// One JSON object a line, and the manifest as the last.
    #[default]
    Jsonl,
    /// RFC 4180, with a header; the manifest is fetched from /v1/audit/export/manifest.
    Csv,
}
