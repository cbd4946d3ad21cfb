//! `acceptTools`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::catalogue::{self, MAX_PINS, raw};
use crate::{
    call::{WriteContext, WriteOperation},
    error::{Error, Result},
    model::{PinnedTool, UpstreamName, text::Text},
    watch::{self, Draft, canonical::hex},
};

/// Accept tools in quarantine as their upstream offers them now: one of them, or all. Look at the difference first:
/// listProxyTools shows both.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptTools {
    /// The upstream.
    name: UpstreamName,
    /// The tool's own name. Default: all of the upstream's that changed.
    tool: Option<Text<1, 256>>,
}

/// What was accepted.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ToolsAccepted {
    /// `upstream.tool` of each.
    pub accepted: Vec<String>,
    /// How many.
    pub count: usize,
}

impl WriteOperation for AcceptTools {
    type Output = ToolsAccepted;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<ToolsAccepted> {
        let tenant = cx.caller.tenant.clone();
        if cx.tx.upstream(&tenant, &self.name)?.is_none() {
            return Err(Error::not_found(format!("the upstream {}", self.name)).field("name"));
        }
        let tools = match &self.tool {
            Some(name) => {
                let found = cx.tx.pinned_tool(&tenant, &self.name, name.as_str())?;
                let unknown = || Error::not_found(format!("the tool {}", name.as_str())).field("tool");
                vec![Arc::unwrap_or_clone(found.ok_or_else(unknown)?)]
            }
            None => cx.tx.tools_of(&tenant, &self.name, "", MAX_PINS)?,
        };
        let mut accepted = Vec::new();
        for tool in tools.into_iter().filter(|tool| tool.offered.is_some()) {
            accepted.push(accept(cx, tool)?);
        }
        let details = json!({"name": self.name, "accepted": accepted});
        watch::append(cx, Draft::governance("upstream.accept", None, &details)?)?;
        Ok(ToolsAccepted { count: accepted.len(), accepted })
    }
}

fn accept(cx: &mut WriteContext<'_>, tool: PinnedTool) -> Result<String> {
    let before = tool.clone();
    let now = catalogue::accept(tool, &cx.caller.principal)?;
    cx.tx.put_tool(&cx.caller.tenant, &now)?;
    let name = now.qualified();
    let details = json!({
        "tool": name, "before": raw(&before.definition), "accepted": raw(&now.definition),
        "digest_before": hex(&before.digest), "digest": hex(&now.digest), "warnings": now.warnings,
    });
    let draft = Draft::governance("upstream.tool_accepted", None, &details)?;
    watch::append(cx, Draft { tool: &name, ..draft })?;
    Ok(name)
}
