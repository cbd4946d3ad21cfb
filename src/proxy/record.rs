//! The audit entries of a call before it is sent, or in place of that.

use serde::Serialize;
use serde_json::{json, value::RawValue};

use super::{governed::CallRequest, trace::Trace};
use crate::{
    approvals::arguments::Arguments,
    call::WriteContext,
    error::{Error, Result},
    model::{InFlightCall, PinnedTool, Session, UpstreamName},
    outbox::{self, WebhookEvent},
    watch::{self, Draft, Event},
};

/// The entry of a call that was refused.
pub const DENIED: &str = "proxyCall.denied";
/// The entry of a call that waits for a person.
pub const HELD: &str = "proxyCall.held";

/// The entry of a mid-call request.
const ASKED: &str = "proxyCall.asked";

/// The details of an entry.
#[derive(Serialize)]
struct Details<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    call_id: Option<&'a str>,
    tool: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    arguments_digest: String,
    arguments: Option<Box<RawValue>>,
    trace: &'a Trace,
}

/// The entry of a call that is about to be sent.
pub fn begun(
    cx: &mut WriteContext<'_>,
    session: &Session,
    tool: &PinnedTool,
    call: &InFlightCall,
    arguments: &Arguments,
    trace: &Trace,
) -> Result<()> {
    let name = tool.qualified();
    let details = Details {
        call_id: Some(&call.id),
        tool: &name,
        code: None,
        reason: None,
        arguments_digest: arguments.digest(),
        arguments: arguments.kept(),
        trace,
    };
    let draft = Draft::governance("proxyCall.begin", Some(session), &details)?;
    watch::append(cx, Draft { tool: &name, event: Event::Call, ..draft })?;
    Ok(())
}

/// The entry, and for a refusal the event, of a call that is not sent.
pub fn record(
    cx: &mut WriteContext<'_>,
    request: &CallRequest,
    arguments: &Arguments,
    action: &str,
    error: &Error,
    trace: &Trace,
) -> Result<()> {
    let name: String = match &request.upstream {
        Some(upstream) => format!("{upstream}.{}", request.tool),
        None => request.tool.clone(),
    };
    let name: String = name.chars().filter(|c| !c.is_control()).take(256).collect();
    let session =
        if request.session_id.is_well_formed() { cx.tx.session(&cx.caller.tenant, &request.session_id)? } else { None };
    let details = Details {
        call_id: None,
        tool: &name,
        code: Some(error.code.name()),
        reason: Some(&error.message),
        arguments_digest: arguments.digest(),
        arguments: arguments.kept(),
        trace,
    };
    let draft = Draft::governance(action, session.as_deref(), &details)?;
    let event = if action == DENIED { Event::Refusal } else { Event::Governance };
    watch::append(cx, Draft { tool: &name, event, ..draft })?;
    if action == DENIED {
        let (step, rule) = trace.stopped().unwrap_or_default();
        let (code, reason) = (error.code.name(), error.message.as_str());
        let (session_id, agent_id) =
            session.as_deref().map_or(("", ""), |session| (session.id.as_str(), session.agent_id.as_str()));
        let event = WebhookEvent::PolicyDenied { session_id, agent_id, tool: &name, code, step, rule, reason };
        outbox::emit(cx, &event)?;
    }
    Ok(())
}

/// The entry of a mid-call request, and whether it was forwarded; `call` is the one that it belongs to, if any.
pub fn asked(
    cx: &mut WriteContext<'_>,
    upstream: &UpstreamName,
    call: Option<&InFlightCall>,
    method: &str,
    forwarded: bool,
) -> Result<()> {
    let (name, session, mut details) = match call {
        Some(call) => {
            let name = format!("{upstream}.{}", call.tool);
            let details = json!({"call_id": call.id, "tool": name});
            (name, cx.tx.session(&cx.caller.tenant.clone(), &call.session_id)?, details)
        }
        None => (upstream.to_string(), None, json!({"upstream": upstream})),
    };
    details["method"] = json!(method);
    details["passed_on"] = json!(forwarded);
    let draft = Draft::governance(ASKED, session.as_deref(), &details)?;
    watch::append(cx, Draft { tool: &name, ..draft })?;
    Ok(())
}
