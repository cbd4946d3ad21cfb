//! The tool step: finds the tool that a name means, and checks it against its pin.

use std::sync::Arc;

use serde_json::json;

use super::{catalogue::raw, listed_name, trace::Trace};
use crate::{
    call::{ReadContext, WriteContext},
    error::{Code, Error, Result},
    model::{PinnedTool, TenantId, UpstreamName},
    store::ReadTx,
};

const STEP: &str = "tool";
/// Tools of one name that are read: two are enough to know that the name is ambiguous.
const ENOUGH: usize = 64;

/// A name as it was called, and the upstream if the interface knows it.
#[derive(Clone, Copy, Debug)]
pub struct Called<'a> {
    /// `upstream.tool`, or `tool`.
    pub name: &'a str,
    /// The upstream that was called directly; then the name is the tool's own.
    pub upstream: Option<&'a UpstreamName>,
    /// Whether the connection for the call offers it, if the interface knows; else haldir's last listing counts.
    pub is_listed: Option<bool>,
}

/// Every tool that the name can mean. A bare name means each upstream's listed tool of that name.
pub fn meanings(tx: &ReadTx, tenant: &TenantId, called: Called<'_>) -> Result<Vec<Arc<PinnedTool>>> {
    if let Some(upstream) = called.upstream {
        return Ok(tx.pinned_tool(tenant, upstream, called.name)?.into_iter().collect());
    }
    let named = tx.tools_named(tenant, called.name, ENOUGH)?.into_iter();
    let mut found: Vec<_> = named.filter(|tool| tool.listed).map(Arc::new).collect();
    if let Some((upstream, name)) = called.name.split_once('.')
        && let Ok(upstream) = UpstreamName::parse(upstream)
        && let Some(tool) = tx.pinned_tool(tenant, &upstream, name)?
    {
        // The full name: unambiguous, unless an upstream has a tool of exactly that name.
        found.push(tool);
    }
    Ok(found)
}

/// Whether a tool that the name can mean declares an argument of this name.
pub fn takes(cx: &ReadContext<'_>, called: &str, argument: &str) -> Result<bool> {
    let tenant = &cx.caller.tenant;
    let in_full = listed_name::in_full(cx.tx, tenant, called)?;
    let name = in_full.as_deref().unwrap_or(called);
    let meant = meanings(cx.tx, tenant, Called { name, upstream: None, is_listed: None })?;
    Ok(meant.iter().any(|tool| raw(&tool.definition)["inputSchema"]["properties"].get(argument).is_some()))
}

/// Whether only one upstream offers a tool of this name.
pub fn bare_is_clear(tx: &ReadTx, tenant: &TenantId, name: &str) -> Result<bool> {
    Ok(tx.tools_named(tenant, name, ENOUGH)?.iter().filter(|tool| tool.listed).count() == 1)
}

/// The tool, if it is known, unambiguous, listed, and matches its pin.
pub(super) fn known(cx: &WriteContext<'_>, called: Called<'_>, trace: &mut Trace) -> Result<Arc<PinnedTool>> {
    let mut found = meanings(cx.tx, &cx.caller.tenant, called)?;
    let shown: String = called.name.chars().take(200).collect();
    if found.len() > 1 {
        let names: Vec<_> = found.iter().map(|tool| tool.qualified()).collect();
        trace.stop(STEP, "ambiguous", json!({"name": shown, "means": names}));
        let listed = cx.services.settings.tool_names;
        let names: Vec<_> = found.iter().map(|tool| listed.of(&tool.upstream, &tool.name)).collect();
        let message = format!("the tool {shown} is offered by several upstreams: call one of {}", names.join(", "));
        return Err(Error::new(Code::UnknownTool, message).field("tool"));
    }
    let listed = |tool: &Arc<PinnedTool>| called.is_listed.unwrap_or(tool.listed);
    let Some(tool) = found.pop().filter(listed) else {
        trace.stop(STEP, "unknown", json!({"name": shown}));
        let message = format!("Unknown tool {shown}: list the tools anew to see those that there are");
        return Err(Error::new(Code::UnknownTool, message).field("tool"));
    };
    if tool.offered.is_some() {
        trace.stop(STEP, "pin", json!({"tool": tool.qualified(), "changed_at": tool.changed_at}));
        let message = format!(
            "the tool {} is not as it was accepted: an operator has to look at the change and accept it first",
            tool.qualified()
        );
        return Err(Error::new(Code::ToolQuarantined, message).field("tool"));
    }
    trace.pass(STEP, json!({"tool": tool.qualified(), "pin": crate::watch::canonical::hex(&tool.digest)}));
    Ok(tool)
}
