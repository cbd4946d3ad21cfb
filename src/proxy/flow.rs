//! Flow rules: a session that has read what nobody vouches for calls no egress or destructive tool without approval.

use serde_json::json;

use super::trace::Trace;
use crate::{
    call::WriteContext,
    error::Result,
    model::{PinnedTool, Session},
};

const STEP: &str = "flow";

/// Why the call needs an approval for what its session has read; `None` if it does not.
pub(super) fn needs_approval(
    cx: &WriteContext<'_>,
    session: &Session,
    tool: &PinnedTool,
    trace: &mut Trace,
) -> Result<Option<String>> {
    if !tool.marks.sink {
        return Ok(None);
    }
    let Some(source) = cx.tx.taint(&cx.caller.tenant, &session.id)? else {
        trace.pass(STEP, json!({"sink": true, "source": null}));
        return Ok(None);
    };
    trace.pass_by(STEP, "approval", json!({"sink": true, "source": source}));
    Ok(Some(format!(
        "the session has read from {source}, which nobody vouches for, and {} is a sink",
        tool.qualified()
    )))
}

/// Remembers that the session reads from a source, before it does.
pub(super) fn note(cx: &mut WriteContext<'_>, session: &Session, tool: &PinnedTool) -> Result<()> {
    if tool.marks.source {
        cx.tx.put_taint(&cx.caller.tenant, &session.id, &tool.qualified(), cx.now)?;
    }
    Ok(())
}
