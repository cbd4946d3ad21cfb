//! The scope step: a session calls tools by the scope `execute`, or by a narrower one: `execute:upstream`,
//! `execute:upstream:tool`.

use serde_json::json;

use super::trace::Trace;
use crate::{
    error::{Code, Error, Result},
    model::{PinnedTool, Scope, Session, UpstreamName},
};

const STEP: &str = "scope";
/// The scope that calls tools.
pub const EXECUTE: &str = "execute";

/// The scope that a call of this tool needs. A name that is not one part of a scope needs the whole upstream: the scope
/// `execute:up:echo` covers everything below it, and so would cover a tool named `echo:danger`.
pub(super) fn of(upstream: &UpstreamName, tool: &str) -> Result<Scope> {
    let whole = || Scope::parse(format!("{EXECUTE}:{upstream}:*")).map_err(Error::internal);
    if tool.contains([':', '*']) {
        return whole();
    }
    Scope::parse(format!("{EXECUTE}:{upstream}:{tool}")).or_else(|_| whole())
}

pub(super) fn held(session: &Session, tool: &PinnedTool, trace: &mut Trace) -> Result<()> {
    let needed = of(&tool.upstream, &tool.name)?;
    if session.scopes.hold(&needed) {
        trace.pass(STEP, json!({"needs": needed.as_str()}));
        return Ok(());
    }
    trace.stop(STEP, needed.as_str(), json!({"has": session.scopes}));
    let message = format!(
        "the session lacks the scope `{needed}`, which `{EXECUTE}` and `{EXECUTE}:{}` hold; it has: {}",
        tool.upstream, session.scopes
    );
    Err(Error::new(Code::ScopeDenied, message).with("required", needed.as_str()))
}
