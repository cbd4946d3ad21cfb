//! `getExportManifest`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    canonical::hex,
    export::{self, FORMAT_VERSION},
};
use crate::{
    call::{Finished, Head, Start, StreamContext, StreamOperation},
    crypto::Sha256,
    error::{Error, Result},
    model::{AgentId, Entry, SessionId, TenantId, TimePoint, UnixMicros, text::Text},
    store::{AuditQuery, StoredEntryProblem},
};

/// Entries that are read at a time, each time on a snapshot of its own: one that lasts as long as the client reads
/// would keep the write-ahead log from being folded into the database.
const PAGE: usize = 256;

/// Read the manifest of an export with the same filters: how many entries, from when to when, and a digest of their
/// ids. It reads all of them, as the export does.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetExportManifest {
    /// Only this session's entries.
    pub(super) session_id: Option<SessionId>,
    /// Only this agent's entries.
    pub(super) agent_id: Option<AgentId>,
    /// Only entries of this tool.
    pub(super) tool: Option<Text<0, 256>>,
    /// Only entries at this time or later, in Unix seconds.
    pub(super) since: Option<TimePoint>,
    /// Only entries before this time, in Unix seconds.
    pub(super) until: Option<TimePoint>,
    /// true: only flagged entries; false: only others.
    pub(super) flagged: Option<bool>,
}

impl StreamOperation for GetExportManifest {
    const MEDIA_TYPES: &'static [&'static str] = &["application/json"];

    type Body = Manifest;

    fn run(self, cx: &StreamContext<'_>, start: Start) -> Result<Finished> {
        let mut out = start.begin(Head::new("application/json"))?;
        let manifest = walk(cx, self, |_| export::still_read(&out))?;
        out.write(&serde_json::to_vec(&manifest).map_err(Error::internal)?)?;
        out.finish()
    }
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
    filters: GetExportManifest,
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
    let (since, until) = (filters.since.map(TimePoint::micros), filters.until.map(TimePoint::micros));
    let bounds = |time: Option<UnixMicros>, none: i64| match time {
        Some(time) => cx.snapshots.read(|tx| Ok(tx.seq_at(tenant, time)?)),
        None => Ok(none),
    };
    let end = cx.snapshots.read(|tx| Ok(tx.seq_at(tenant, UnixMicros(i64::MAX))?))?;
    let mut next = bounds(since, 1)?;
    query.before_seq = Some(bounds(until, end)?.min(end));
    let mut running = Running { count: 0, first: None, last: None, ids: Sha256::default() };
    loop {
        query.first_seq = Some(next);
        let page = cx.snapshots.read(|tx| Ok(tx.entries_forward(tenant, &query)?))?;
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
            since,
            until,
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
