//! Upstream servers with their tools, and the policies that calls pass.

use std::collections::BTreeMap;

use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    view::{
        Field, Form, Inline, Input, Page, Part, Section, Table, Tone, button, code, json as laid_out, pill, text, time,
        time_or,
    },
    viewer::Viewer,
};
use crate::{
    error::Result,
    faces::difference::difference,
    model::{Money, UnixMicros},
};

/// Changed tools that are shown as a difference.
const CHANGED: usize = 20;

#[derive(Deserialize)]
struct Upstreams {
    upstreams: BTreeMap<String, Upstream>,
}

#[derive(Deserialize)]
struct Upstream {
    #[serde(default)]
    url: String,
    healthy: bool,
    tools: i64,
    quarantined: i64,
    last_check: Option<UnixMicros>,
    error: String,
    total_calls: i64,
    total_errors: i64,
    avg_latency_ms: f64,
}

#[derive(Deserialize)]
struct Tools {
    tools: Vec<Tool>,
}

#[derive(Deserialize)]
struct Tool {
    full_name: String,
    upstream: String,
    #[serde(rename = "tool")]
    name: String,
    state: String,
    description: String,
    definition: Value,
    offered: Value,
    marks: Marks,
    warnings: Vec<String>,
    first_seen: UnixMicros,
}

#[derive(Deserialize)]
struct Marks {
    source: bool,
    sink: bool,
    cost: Option<Money>,
}

/// Servers and their tools.
pub async fn list(viewer: Viewer) -> Response {
    let page = servers_page(&viewer).await;
    viewer.answer("/servers", page)
}

async fn servers_page(viewer: &Viewer) -> Result<Page> {
    let mut sections = Vec::new();
    match viewer.read_if_open::<Upstreams>("listUpstreams", json!({})).await? {
        Some(found) => sections.push(servers(viewer, &found.upstreams)),
        None => sections.push(viewer.closed("servers", "Servers", "listUpstreams")),
    }
    if let Some(found) = viewer.read_if_open::<Tools>("listProxyTools", json!({})).await? {
        let changed: Vec<_> = found.tools.iter().filter(|tool| tool.state == "changed").collect();
        if !changed.is_empty() {
            sections.push(changes(viewer, &changed));
        }
        sections.push(tools(&found.tools));
    }
    Ok(Page::new("Servers and tools", sections))
}

fn servers(viewer: &Viewer, upstreams: &BTreeMap<String, Upstream>) -> Section {
    let row = |(name, upstream): (&String, &Upstream)| {
        let health = if upstream.healthy { pill(Tone::Good, "answers") } else { pill(Tone::Bad, &upstream.error) };
        let quarantined = if upstream.quarantined > 0 {
            pill(Tone::Warn, format!("{} quarantined", upstream.quarantined))
        } else {
            text("")
        };
        let remove = Form::button("deleteUpstream", "Remove", &[("name", name)], "/dashboard/servers")
            .after("Agents can no longer call its tools. Its pinned definitions are forgotten.");
        let calls = format!("{} calls, {} errors", upstream.total_calls, upstream.total_errors);
        let tools = [text(format!("{} tools ", upstream.tools)), quarantined].concat();
        vec![
            text(name),
            code(&upstream.url),
            [health, time_or(upstream.last_check, "")].concat(),
            tools,
            text(calls),
            text(format!("{:.0} ms", upstream.avg_latency_ms)),
            if viewer.may("deleteUpstream") { button(remove) } else { text("") },
        ]
    };
    let rows = upstreams.iter().map(row).collect();
    let header = ["Name", "Address", "Health", "Tools", "Calls", "Latency", ""];
    let mut parts = vec![Table::part(&header, rows, "No upstream server is registered.")];
    if viewer.may("registerUpstream") {
        let fields = vec![
            Field::new("name", "Name", Input::Line, "github").required(),
            Field::new("url", "Address", Input::Line, "https://example.com/mcp").required(),
        ];
        parts.push(Part::Form(Form::button("registerUpstream", "Add server", &[], "/dashboard/servers").with(fields)));
    }
    Section::live("servers", "Servers", parts)
}

fn changes(viewer: &Viewer, changed: &[&Tool]) -> Section {
    let mut parts = vec![Part::Text(text(
        "These tools are in quarantine: their server offers another definition than the one that was pinned. Nobody can call \
         them until the new definition is accepted.",
    ))];
    for tool in changed.iter().take(CHANGED) {
        parts.push(Part::Text(code(&tool.full_name)));
        if tool.offered.is_null() {
            parts.push(Part::Alert("The definition that is offered now cannot be read.".to_owned()));
        } else {
            parts.push(Part::Difference(difference(&laid_out(&tool.definition), &laid_out(&tool.offered))));
        }
        if viewer.may("acceptTools") {
            let values = [("name", tool.upstream.as_str()), ("tool", tool.name.as_str())];
            let accept = Form::button("acceptTools", "Accept the new definition", &values, "/dashboard/servers")
                .after("Agents and their models see the new definition from now on, and can call the tool by it.");
            parts.push(Part::Form(accept));
        }
    }
    if changed.len() > CHANGED {
        parts.push(Part::Text(text(format!("The first {CHANGED} of {}.", changed.len()))));
    }
    Section::new("changed", format!("Changed tools ({})", changed.len()), parts)
}

fn tools(tools: &[Tool]) -> Section {
    let row = |tool: &Tool| {
        let state = match tool.state.as_str() {
            "pinned" => pill(Tone::Good, "pinned"),
            "gone" => pill(Tone::Plain, "gone"),
            other => pill(Tone::Bad, other),
        };
        let cost = tool.marks.cost.map(|cost| format!("cost {cost} USD"));
        let labels = [tool.marks.source.then(|| "source".to_owned()), tool.marks.sink.then(|| "sink".to_owned()), cost];
        let labels: Vec<_> = labels.into_iter().flatten().collect();
        let warnings = tool.warnings.iter().flat_map(|warning| pill(Tone::Warn, warning)).collect();
        vec![
            code(&tool.full_name),
            state,
            text(labels.join(", ")),
            text(&tool.description),
            warnings,
            time(tool.first_seen),
        ]
    };
    let header = ["Tool", "State", "Labels", "Description", "Warnings", "First seen"];
    let table = Table::part(&header, tools.iter().map(row).collect(), "No server has offered a tool.");
    Section::new("tools", "Tools", vec![table])
}

#[derive(Deserialize)]
struct Policies {
    policies: Vec<Policy>,
}

#[derive(Deserialize)]
struct Policy {
    #[serde(rename = "policy_id")]
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    dry_run: bool,
    created_by: String,
    created_at: UnixMicros,
    tool: Option<String>,
    tools: Option<Vec<String>>,
    argument: Option<String>,
    max: Option<Money>,
    max_per_minute: Option<i64>,
    start_hour: Option<i64>,
    end_hour: Option<i64>,
    cedar: Option<String>,
}

impl Policy {
    /// What it says, in a sentence.
    fn says(&self) -> Vec<Inline> {
        let tools = self.tools.as_deref().unwrap_or_default().join(", ");
        let tool = self.tool.as_deref().unwrap_or("every tool");
        match self.kind.as_str() {
            "block_tool" => text(format!("refuses calls of {tool}")),
            "allow_list" => text(format!("refuses calls of all tools but {tools}")),
            "deny_list" => text(format!("refuses calls of {tools}")),
            "spend_limit" => {
                let argument = self.argument.as_deref().unwrap_or("amount");
                let max = self.max.map_or_else(|| "nothing".to_owned(), |max| max.to_string());
                text(format!("refuses calls of {tool} whose {argument} is over {max}"))
            }
            "rate_limit" => {
                text(format!("refuses more than {} calls a minute of {tool}", self.max_per_minute.unwrap_or_default()))
            }
            "time_window" => {
                let (start, end) = (self.start_hour.unwrap_or_default(), self.end_hour.unwrap_or_default());
                text(format!("refuses calls of {tool} but from {start} to {end} o'clock UTC"))
            }
            _ => code(self.cedar.as_deref().unwrap_or_default()),
        }
    }
}

/// The policies.
pub async fn policies(viewer: Viewer) -> Response {
    let page = policies_page(&viewer).await;
    viewer.answer("/policies", page)
}

async fn policies_page(viewer: &Viewer) -> Result<Page> {
    let Some(found) = viewer.read_if_open::<Policies>("listProxyPolicies", json!({})).await? else {
        return Ok(Page::new("Policies", vec![viewer.closed("policies", "Policies", "listProxyPolicies")]));
    };
    let row = |policy: &Policy| {
        let state = if policy.dry_run { pill(Tone::Warn, "trial: logs only") } else { pill(Tone::Good, "in force") };
        let remove = Form::button("deleteProxyPolicy", "Remove", &[("policy_id", &policy.id)], "/dashboard/policies")
            .after("Calls that this policy refuses are allowed from now on, unless another one refuses them.");
        let made = [text(format!("{} ", policy.created_by)), time(policy.created_at)].concat();
        let remove = if viewer.may("deleteProxyPolicy") { button(remove) } else { text("") };
        vec![text(&policy.kind), policy.says(), state, made, remove]
    };
    let rows = found.policies.iter().map(row).collect();
    let header = ["Kind", "Says", "State", "Made by", ""];
    let mut sections = vec![Section::new(
        "policies",
        "Policies",
        vec![Table::part(&header, rows, "No policy: sessions' scopes and budgets alone bound calls.")],
    )];
    if viewer.may("addProxyPolicy") {
        let kinds = Input::Choice(&[
            "deny_list",
            "allow_list",
            "block_tool",
            "spend_limit",
            "rate_limit",
            "time_window",
            "cedar",
        ]);
        let fields = vec![
            Field::new("type", "Kind", kinds, ""),
            Field::new("tools", "Tools", Input::Line, "deny_list, allow_list: server.tool, with commas"),
            Field::new("tool", "Tool", Input::Line, "the other kinds; empty is every tool"),
            Field::new("argument", "Argument", Input::Line, "spend_limit: the argument that holds the amount"),
            Field::new("max", "At most (USD)", Input::Number, "spend_limit"),
            Field::new("max_per_minute", "Calls a minute", Input::Number, "rate_limit"),
            Field::new("start_hour", "From (hour, UTC)", Input::Number, "time_window"),
            Field::new("end_hour", "To (hour, UTC)", Input::Number, "time_window"),
            Field::new("cedar", "Cedar", Input::Lines, "cedar: the text of the policy"),
            Field::new("dry_run", "Trial: log, refuse nothing", Input::Choice(&["false", "true"]), ""),
        ];
        let add = Form::button("addProxyPolicy", "Add policy", &[], "/dashboard/policies").with(fields);
        let about =
            "A trial logs what the policy would refuse. haldir policy test shows it on calls that were recorded.";
        sections.push(Section::new("add", "Add a policy", vec![Part::Text(text(about)), Part::Form(add)]));
    }
    Ok(Page::new("Policies", sections))
}
