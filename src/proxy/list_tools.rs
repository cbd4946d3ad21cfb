//! `listProxyTools`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{callable::Callable, catalogue::raw, tool, uncounted};
use crate::{
    call::{ReadContext, ReadOperation},
    error::Result,
    model::{MAX_UPSTREAMS, PinnedTool, Role, SessionId, ToolMarks, UnixMicros, UpstreamName},
    watch::canonical::hex,
};

/// Tools in one answer.
const MAX_LISTED: usize = 5_000;

/// List the tools of all upstream servers, as they were accepted. Those in quarantine are listed as such, with what the
/// upstream offers now; they are not called.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListProxyTools {
    /// Only those of this upstream.
    upstream: Option<UpstreamName>,
    /// Only those in this state.
    state: Option<ToolState>,
    /// Only those that policies let be called, and the session if one is named; without those that must be called as a
    /// task (execution.taskSupport is required), which only works at /mcp/{upstream}. Default: true for agents, false for
    /// operators.
    callable: Option<bool>,
    /// Only those that this session may call.
    session_id: Option<SessionId>,
}

/// Whether a tool may be called, as far as its pin goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ToolState {
    /// It is as it was accepted.
    Pinned,
    /// It is not as it was accepted: in quarantine until an operator accepts it.
    Changed,
    /// Its upstream offers it no more.
    Gone,
}

/// The tools.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ProxyTools {
    /// How many are in this answer.
    pub count: usize,
    /// By upstream and name.
    pub tools: Vec<ToolDetail>,
}

/// A tool.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ToolDetail {
    /// What it is listed under for agents: `upstream__tool`, or what a model API takes in its place.
    pub name: String,
    /// `upstream.tool`: by this policies, approval rules and the log know it.
    pub full_name: String,
    /// What it says of itself.
    pub description: String,
    /// Its upstream.
    pub upstream: UpstreamName,
    /// Its own name.
    pub tool: String,
    /// Whether the own name is enough to call it: no other upstream has one like it.
    pub bare_name: bool,
    /// JSON Schema of its arguments.
    #[serde(rename = "inputSchema")]
    pub input_schema: Value,
    /// JSON Schema of its structured answer; null if it has none.
    #[serde(rename = "outputSchema")]
    pub output_schema: Value,
    /// What it says of its effects.
    pub annotations: Value,
    /// The whole definition, as it was accepted.
    pub definition: Value,
    /// Whether it may be called.
    pub state: ToolState,
    /// BLAKE3 of what was accepted, in hexadecimal.
    pub digest: String,
    /// The whole definition as it is offered now, if it changed; else null.
    pub offered: Value,
    /// What is suspicious about it.
    pub warnings: Vec<String>,
    /// What the operator says of it.
    pub marks: ToolMarks,
    /// When it was first seen, in Unix seconds.
    pub first_seen: UnixMicros,
    /// When it last changed, in Unix seconds; null if never.
    pub changed_at: Option<UnixMicros>,
    /// The operator who accepted the last change; empty if it never changed.
    pub accepted_by: String,
}

fn state(tool: &PinnedTool) -> ToolState {
    match (tool.listed, &tool.offered) {
        (false, _) => ToolState::Gone,
        (true, Some(_)) => ToolState::Changed,
        (true, None) => ToolState::Pinned,
    }
}

/// Whether every plain call of a tool fails.
fn must_be_a_task(definition: &str) -> bool {
    definition.contains("taskSupport") && raw(definition)["execution"]["taskSupport"] == "required"
}

impl ReadOperation for ListProxyTools {
    type Output = ProxyTools;

    fn run(self, cx: &ReadContext<'_>) -> Result<ProxyTools> {
        let tenant = &cx.caller.tenant;
        let names = match self.upstream {
            Some(name) => vec![name],
            None => cx.tx.upstreams(tenant, MAX_UPSTREAMS)?.into_iter().map(|upstream| upstream.name).collect(),
        };
        let asks = self.session_id.is_some() || self.callable.unwrap_or(cx.caller.role == Role::Agent);
        let callable = asks.then(|| Callable::of(cx, self.session_id.as_ref())).transpose()?;
        let mut tools = Vec::new();
        for name in names {
            for tool in cx.tx.tools_of(tenant, &name, "", MAX_LISTED - tools.len())? {
                // Without a filter, those that are offered now.
                let is_wanted = self.state.map_or(tool.listed, |wanted| state(&tool) == wanted);
                let is_callable = match &callable {
                    Some(callable) => {
                        !must_be_a_task(&tool.definition) && callable.holds(cx, &tool.upstream, &tool.name)?
                    }
                    None => true,
                };
                if is_wanted && is_callable {
                    tools.push(detail(cx, tool)?);
                }
            }
        }
        Ok(ProxyTools { count: tools.len(), tools })
    }
}

fn detail(cx: &ReadContext<'_>, pinned: PinnedTool) -> Result<ToolDetail> {
    let definition = raw(&pinned.definition);
    let mut warnings = pinned.warnings.clone();
    if let Some(place) = uncounted::argument(&pinned) {
        warnings
            .push(format!("the argument {place} looks like an amount, and no cost is marked: budgets do not count it"));
    }
    Ok(ToolDetail {
        name: cx.services.settings.tool_names.of(&pinned.upstream, &pinned.name),
        full_name: pinned.qualified(),
        description: definition["description"].as_str().unwrap_or_default().to_owned(),
        bare_name: tool::bare_is_clear(cx.tx, &cx.caller.tenant, &pinned.name)?,
        input_schema: definition["inputSchema"].clone(),
        output_schema: definition["outputSchema"].clone(),
        annotations: definition["annotations"].clone(),
        definition,
        state: state(&pinned),
        digest: hex(&pinned.digest),
        offered: pinned.offered.as_deref().map(raw).unwrap_or_default(),
        warnings,
        marks: pinned.marks,
        first_seen: pinned.first_seen,
        changed_at: pinned.changed_at,
        accepted_by: pinned.accepted_by,
        upstream: pinned.upstream,
        tool: pinned.name,
    })
}
