//! What the exports share: the forms of lines, and names of files.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::canonical::hex;
use crate::{
    call::{Sink, StreamContext},
    error::{Code, Error, Result},
    model::{Entry, EntryKind, Money, TenantId, UnixMicros},
};

/// Version of the exported form.
pub const FORMAT_VERSION: u8 = 1;

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
