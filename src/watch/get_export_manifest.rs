//! `getExportManifest`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::export::{self, Filters, Manifest};
use crate::{
    call::{Finished, Head, Start, StreamContext, StreamOperation},
    error::{Error, Result},
    model::{AgentId, SessionId, TimePoint, text::Text},
};

/// Read the manifest of an export with the same filters: how many entries, from when to when, and a digest of their
/// ids. It reads all of them, as the export does.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetExportManifest {
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
}

impl StreamOperation for GetExportManifest {
    const MEDIA_TYPES: &'static [&'static str] = &["application/json"];

    type Body = Manifest;

    fn run(self, cx: &StreamContext<'_>, start: Start) -> Result<Finished> {
        let Self { session_id, agent_id, tool, since, until, flagged } = self;
        let mut out = start.begin(Head::new("application/json"))?;
        let manifest = export::walk(
            cx,
            Filters {
                session_id,
                agent_id,
                tool,
                since: since.map(TimePoint::micros),
                until: until.map(TimePoint::micros),
                flagged,
            },
            |_| export::still_read(&out),
        )?;
        out.write(&serde_json::to_vec(&manifest).map_err(Error::internal)?)?;
        out.finish()
    }
}
