//! Flow rules: a session that has read untrusted content calls no egress or destructive tool without approval.
//!
//! An agent knows what one session has read in all its sessions: those above and below it, and those of the same key. An
//! agent chooses its sessions and its name, but not its key.

use serde_json::json;

use super::trace::Trace;
use crate::{
    call::{WriteContext, session},
    error::Result,
    model::{Caller, PinnedTool, Role, Session, TenantId, UnixMicros},
    store::ReadTx,
};

const STEP: &str = "flow";
/// How long a key's read from a source taints its other sessions, in seconds.
const KEY_TAINT_SECONDS: i64 = 24 * 3_600;
/// The row of a key that reads from sources is renewed at most this often, in seconds.
const RENEW_SECONDS: i64 = 60;
/// The prefix of a key among the names of sessions and agents, which cannot begin with a line break.
const KEY_SUBJECT: &str = "\nkey ";

/// The key that a caller's calls count for, whatever session and agent they name. Operators set the bounds, and are not bound
/// by them.
pub(super) fn bound_key(caller: &Caller) -> Option<&str> {
    (caller.role == Role::Agent).then_some(caller.principal.as_str())
}

/// The name of a key in counts and taints.
pub(super) fn key_subject(key: &str) -> String {
    format!("{KEY_SUBJECT}{key}")
}

/// The untrusted source that the session, one above it, or its key has read from.
pub(super) fn source(
    tx: &ReadTx,
    tenant: &TenantId,
    session: &Session,
    key: Option<&str>,
    now: UnixMicros,
) -> Result<Option<String>> {
    if let Some((source, _)) = tx.taint(tenant, session.id.as_str())? {
        return Ok(Some(source));
    }
    for level in session::above(tx, tenant, session)? {
        if let Some((source, _)) = tx.taint(tenant, level.id.as_str())? {
            return Ok(Some(source));
        }
    }
    let Some(key) = key else { return Ok(None) };
    let found = tx.taint(tenant, &key_subject(key))?;
    Ok(found.filter(|(_, at)| now < at.plus_seconds(KEY_TAINT_SECONDS)).map(|(source, _)| source))
}

/// Why the call needs an approval because of what its session has read; `None` if it does not.
pub(super) fn needs_approval(
    cx: &WriteContext<'_>,
    session: &Session,
    tool: &PinnedTool,
    trace: &mut Trace,
) -> Result<Option<String>> {
    if !tool.marks.sink {
        return Ok(None);
    }
    let Some(source) = source(cx.tx, &cx.caller.tenant, session, bound_key(cx.caller), cx.now)? else {
        trace.pass(STEP, json!({"sink": true, "source": null}));
        return Ok(None);
    };
    trace.pass_by(STEP, "approval", json!({"sink": true, "source": source}));
    Ok(Some(format!(
        "the session, or another one of the same agent, has read from {source}, which is marked as untrusted, and {} is a sink",
        tool.qualified()
    )))
}

/// Records that the session reads from a source, before it does.
pub(super) fn note(cx: &mut WriteContext<'_>, session: &Session, tool: &PinnedTool) -> Result<()> {
    if !tool.marks.source {
        return Ok(());
    }
    let (tenant, source) = (&cx.caller.tenant, tool.qualified());
    let never = UnixMicros(i64::MIN);
    cx.tx.put_taint(tenant, session.id.as_str(), &source, cx.now, never)?;
    for level in session::above(cx.tx, tenant, session)? {
        cx.tx.put_taint(tenant, level.id.as_str(), &source, cx.now, never)?;
    }
    if let Some(key) = bound_key(cx.caller) {
        cx.tx.put_taint(tenant, &key_subject(key), &source, cx.now, cx.now.plus_seconds(-RENEW_SECONDS))?;
    }
    Ok(())
}
