//! `getEvidence`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{pack::Pack, period::Period, render, sections};
use crate::{
    call::{Finished, Head, ReadContext, Start, StreamContext, StreamOperation},
    error::{Code, Error, Result},
    model::TimePoint,
    store::ReadTx,
};
use haldir_verify::pack::Signatures;

/// The content security policy of the page: it loads nothing.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox allow-modals";

/// Make the evidence pack of a period: eight sections with figures from the log, each with its criterion and with what it does
/// not show, and a digest with an Ed25519 signature. Packs of a closed period differ only in the date on which they are made.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetEvidence {
    /// Where the period begins, cut to whole seconds. Default: 90 days before its end.
    since: Option<TimePoint>,
    /// Where it ends, cut to whole seconds; not included. Default: now.
    until: Option<TimePoint>,
    /// `json`, `markdown` (or `md`), or `html`: one self-contained page. Default `json`.
    #[serde(default)]
    #[schemars(with = "Format", extend("default" = "json"))]
    format: Option<String>,
}

/// The formats of a pack, for the schema. Another one is refused with a code of its own.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "PackFormat")]
enum Format {
    Json,
    Markdown,
    Md,
    Html,
}

impl Format {
    fn parse(text: Option<&str>) -> Result<Self> {
        match text {
            None | Some("json") => Ok(Self::Json),
            Some("markdown") => Ok(Self::Markdown),
            Some("md") => Ok(Self::Md),
            Some("html") => Ok(Self::Html),
            Some(other) => {
                let got: String = other.chars().take(100).collect();
                let error = Error::new(Code::InvalidFormat, "format must be json, markdown, md or html");
                Err(error.field("format").with("got", got))
            }
        }
    }
}

impl StreamOperation for GetEvidence {
    const MEDIA_TYPES: &'static [&'static str] = &["application/json", "text/markdown", "text/html"];

    type Body = Pack;

    fn run(self, cx: &StreamContext<'_>, start: Start) -> Result<Finished> {
        let format = Format::parse(self.format.as_deref())?;
        let period = Period::asked(self.since, self.until, cx.now)?;
        let make = |tx: &ReadTx| {
            let StreamContext { caller, now, services, .. } = *cx;
            sections::make(&ReadContext { tx, caller, now, services }, period)
        };
        let pack = cx.snapshots.read(make)?;
        let (content_type, extension, text) = match format {
            Format::Json => {
                let text = serde_json::to_string_pretty(&pack).map_err(Error::internal)? + "\n";
                ("application/json", "json", text)
            }
            Format::Markdown | Format::Md => ("text/markdown; charset=utf-8", "md", render::markdown(&pack)?),
            Format::Html => ("text/html; charset=utf-8", "html", render::html(&pack)?),
        };
        let mut out = start.begin(head(content_type, extension, &pack, pack.signatures.as_ref()))?;
        out.write(text.as_bytes())?;
        out.finish()
    }
}

fn head(content_type: &'static str, extension: &str, pack: &Pack, signatures: Option<&Signatures>) -> Head {
    let plain =
        |text: &str| text.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect::<String>();
    let (tenant, start, end) = (plain(pack.tenant_id.as_str()), plain(&pack.period_start), plain(&pack.period_end));
    let digest = signatures.map_or("", |signatures| &signatures.digest);
    let head = Head::new(content_type)
        .attachment(&format!("haldir-evidence-{tenant}-{start}-{end}.{extension}"))
        .header("x-haldir-evidence-digest", digest)
        .header("x-content-type-options", "nosniff")
        .header("cache-control", "no-store");
    if extension == "html" { head.header("content-security-policy", PAGE_POLICY) } else { head }
}
