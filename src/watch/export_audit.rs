//! `exportAudit`.

use std::borrow::Cow;

use icu_properties::{CodePointSetData, props::DefaultIgnorableCodePoint};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::{
    canonical::hex,
    export::{self, FORMAT_VERSION, Line},
    get_export_manifest::{GetExportManifest, walk},
};
use crate::{
    call::{Finished, Head, Sink, Start, StreamContext, StreamOperation},
    error::{Code, Error, Result},
    model::{AgentId, Entry, SessionId, TenantId, TimePoint, text::Text},
};

/// Further characters that some spreadsheets read as a minus: the minus sign, and the small hyphen-minus.
const MINUS_SIGNS: [char; 2] = ['\u{2212}', '\u{fe63}'];

/// The columns of the CSV form. Those that were added later stand behind the others, whose places programs rely on.
const COLUMNS: [&str; 18] = [
    "entry_id", "timestamp", "timestamp_iso", "tenant_id", "session_id", "agent_id", "tool", "action", "cost_usd",
    "flagged", "flag_reason", "details_json", "prev_hash", "entry_hash", "seq", "kind", "actor", "details_digest",
];

/// Export the audit log, oldest entry first, as JSONL or CSV. JSONL ends with a manifest line unless manifest is
/// false; that of any other export comes from /v1/audit/export/manifest. In CSV, text that a spreadsheet would take for a formula is preceded by an
/// apostrophe; JSONL has it as it was logged.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportAudit {
    /// `jsonl` or `csv`. Default `jsonl`.
    #[serde(default)]
    #[schemars(with = "export::Format", extend("default" = "jsonl"))]
    format: Option<String>,
    /// Only this session's entries.
    session_id: Option<SessionId>,
    /// Only this agent's entries.
    agent_id: Option<AgentId>,
    /// Only entries of this tool.
    tool: Option<Text<0, 256>>,
    /// Only entries at this time or later, in Unix seconds.
    since: Option<TimePoint>,
    /// Only entries before this time, in Unix seconds.
    until: Option<TimePoint>,
    /// true: only flagged entries; false: only others.
    flagged: Option<bool>,
    /// Of JSONL, whether its last line is the manifest: false leaves it out, for programs that read every line as an entry.
    /// Default: true.
    #[schemars(extend("default" = true))]
    manifest: Option<bool>,
}

impl StreamOperation for ExportAudit {
    const MEDIA_TYPES: &'static [&'static str] = &["application/x-ndjson", "text/csv"];

    type Body = String;

    fn run(self, cx: &StreamContext<'_>, start: Start) -> Result<Finished> {
        let Self { format, session_id, agent_id, tool, since, until, flagged, manifest } = self;
        let filters = GetExportManifest { session_id, agent_id, tool, since, until, flagged };
        match format.as_deref() {
            None | Some("jsonl") => jsonl(cx, filters, start, manifest.unwrap_or(true)),
            Some("csv") => csv(cx, filters, start),
            Some(other) => {
                let got: String = other.chars().take(100).collect();
                let error = Error::new(Code::InvalidFormat, "format must be jsonl or csv");
                Err(error.field("format").with("got", got))
            }
        }
    }
}

fn head(cx: &StreamContext<'_>, content_type: &'static str, extension: &str, manifest: &str) -> Head {
    Head::new(content_type)
        .attachment(&export::file_name(cx, extension))
        .header("x-haldir-export-manifest", manifest)
        .header("x-haldir-export-format-version", FORMAT_VERSION.to_string())
        // Proxies that gather an answer before they pass it on would hold all of it.
        .header("x-accel-buffering", "no")
}

fn jsonl(cx: &StreamContext<'_>, filters: GetExportManifest, start: Start, with_manifest: bool) -> Result<Finished> {
    let place = if with_manifest { "embedded-final-line" } else { "out-of-band" };
    let head = head(cx, "application/x-ndjson; charset=utf-8", "jsonl", place);
    let mut out = start.begin(head)?;
    let tenant = &cx.caller.tenant;
    let manifest = walk(cx, filters, |progress| match progress {
        Some(entry) => write_line(&mut out, &Line::new(tenant, entry)?),
        None => export::still_read(&out),
    })?;
    if with_manifest {
        write_line(&mut out, &manifest)?;
    }
    out.finish()
}

fn write_line(out: &mut Sink, value: &impl Serialize) -> Result<()> {
    out.write(&serde_json::to_vec(value).map_err(Error::internal)?)?;
    out.write(b"\n")
}

fn csv(cx: &StreamContext<'_>, filters: GetExportManifest, start: Start) -> Result<Finished> {
    let mut out = start.begin(head(cx, "text/csv; charset=utf-8", "csv", "out-of-band"))?;
    let tenant = &cx.caller.tenant;
    out.write(&record(&COLUMNS)?)?;
    walk(cx, filters, |progress| match progress {
        Some(entry) => out.write(&row(tenant, entry)?),
        None => export::still_read(&out),
    })?;
    out.finish()
}

fn row(tenant: &TenantId, entry: &Entry) -> Result<Vec<u8>> {
    let (seconds, micros) = (entry.at.0.div_euclid(1_000_000), entry.at.0.rem_euclid(1_000_000));
    record(&[
        entry.id.as_str(),
        &format!("{seconds}.{micros:06}"),
        &entry.at.to_rfc3339_micros(),
        tenant.as_str(),
        &no_formula(&entry.session_id),
        &no_formula(&entry.agent_id),
        &no_formula(&entry.tool),
        &no_formula(&entry.action),
        &entry.cost.to_string(),
        if entry.flagged { "true" } else { "false" },
        &no_formula(&entry.flag_reason),
        // JSON never begins with what a formula begins with, but for a negative number, which is one in CSV too.
        entry.details.as_deref().unwrap_or_default(),
        &hex(&entry.prev_hash),
        &hex(&entry.entry_hash),
        &entry.seq.to_string(),
        entry.kind.word(),
        &no_formula(&entry.actor),
        &entry.details_digest.map_or_else(String::new, |digest| hex(&digest)),
    ])
}

/// A record of RFC 4180, with line feeds alone at the ends of lines.
fn record(cells: &[&str; COLUMNS.len()]) -> Result<Vec<u8>> {
    let mut writer = ::csv::WriterBuilder::new().terminator(::csv::Terminator::Any(b'\n')).from_writer(Vec::new());
    writer.write_record(cells).map_err(Error::internal)?;
    writer.into_inner().map_err(|error| Error::internal(error.error()))
}

/// What spreadsheets take for the beginning of a formula.
const BEGINS_FORMULA: [char; 4] = ['=', '+', '-', '@'];

/// Agents write these texts, and auditors open them in spreadsheets: a cell that begins like a formula would be run.
///
/// Spreadsheets fold full-width characters into narrow ones, and pass over what is not seen: both are taken away before the
/// first character is looked at. A tab, a line break or a blank in front of a formula is passed over by some as well.
pub fn no_formula(text: &str) -> Cow<'_, str> {
    let is_passed_over = |c: &char| {
        c.is_whitespace() || c.is_control() || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(*c)
    };
    // The byte-order mark is not among the ignorable ones of every edition of Unicode.
    let first = text.chars().find(|c| !is_passed_over(c) && *c != '\u{feff}');
    let folded = first.and_then(|c| std::iter::once(c).nfkc().next());
    let begins = folded.is_some_and(|c| BEGINS_FORMULA.contains(&c) || MINUS_SIGNS.contains(&c));
    if begins || text.starts_with(['\t', '\r', '\n']) { format!("'{text}").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_takes_for_a_formula_is_preceded_by_an_apostrophe() {
        for formula in [
            "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\u{ff1d}1+1", "\u{ff0b}1", "\u{ff0d}1",
            "\u{ff20}x", "\u{fe62}1", "\u{fe66}1", "\u{fe6b}x", "\u{2212}1", "\u{feff}=1", "\u{200b}=1",
            "\u{200d}\u{2060}=1", " =1", "\u{a0}=1", "\u{3000}=1", "\u{ad}=1", "\u{202e}=1", "\u{fe0f}=1",
            "\u{e0001}=1", "\u{180e}=1",
        ] {
            assert_eq!(no_formula(formula), format!("'{formula}"), "{formula:?}");
        }
        for plain in ["", "echo", "a=b", "1-2", "user@example.com", "\u{e9}=1", " x", "\u{200b}x", "'=1"] {
            assert_eq!(no_formula(plain), plain, "{plain:?}");
        }
    }
}
