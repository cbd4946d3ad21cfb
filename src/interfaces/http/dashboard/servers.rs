//! Upstream servers with their tools.

use std::collections::BTreeMap;

use axum::{extract::Path, response::Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    view::{
        Field, Form, Inline, Input, Page, Part, Section, Table, Tone, button, code, json as laid_out, link, money,
        path_of, pill, query_of, shown, text, time, time_or,
    },
    viewer::Viewer,
};
use crate::{
    error::{Error, Result},
    model::{Money, UnixMicros},
};

/// Changed tools that are shown as a difference.
const CHANGED: usize = 20;

const SOURCE: &str = "Can bring back text that strangers wrote, such as web pages or mail.";
const SINK: &str = "Can send data out or destroy something. A session that has used a source needs an approval first.";

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
    cost_argument: Option<String>,
    cost_result: Option<String>,
    cost_max: Option<Money>,
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
            parts.push(Part::difference(&laid_out(&tool.definition), &laid_out(&tool.offered)));
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

fn state(tool: &Tool) -> Vec<Inline> {
    match tool.state.as_str() {
        "pinned" => pill(Tone::Good, "pinned"),
        "gone" => pill(Tone::Plain, "gone"),
        other => pill(Tone::Bad, other),
    }
}

/// One tool: its definition, its labels, and where its calls stand.
pub async fn tool(viewer: Viewer, Path((upstream, name)): Path<(String, String)>) -> Response {
    let page = tool_page(&viewer, &upstream, &name).await;
    viewer.answer("/servers", page)
}

async fn tool_page(viewer: &Viewer, upstream: &str, name: &str) -> Result<Page> {
    let Some(found) = viewer.read_if_open::<Tools>("listProxyTools", json!({"upstream": upstream})).await? else {
        return Ok(Page::new("Tool", vec![viewer.closed("tool", "Tool", "listProxyTools")]));
    };
    let tool = found.tools.into_iter().find(|tool| tool.upstream == upstream && tool.name == name);
    let tool = tool.ok_or_else(|| Error::not_found("the tool"))?;
    let calls = Inline::Link {
        href: format!("{}{}", path_of(&["trail"]), query_of(&[("tool", &tool.full_name)])),
        text: "Its calls in the trail".to_owned(),
    };
    let facts = vec![
        ("State", state(&tool)),
        ("First seen", time(tool.first_seen)),
        ("Description", text(&tool.description)),
        ("Warnings", tool.warnings.iter().flat_map(|warning| pill(Tone::Warn, warning)).collect()),
        ("Calls", vec![calls]),
    ];
    let mut sections = vec![Section::new("tool", "", vec![Part::Facts(facts)])];
    if tool.state == "changed" {
        sections.push(changes(viewer, &[&tool]));
    }
    sections.push(Section::new("labels", "Labels", labels(viewer, &tool)));
    sections.push(Section::new("definition", "Definition", vec![Part::Code(laid_out(&tool.definition))]));
    Ok(Page::new(shown(&tool.full_name), sections))
}

/// The labels, in a form for those who may change them.
fn labels(viewer: &Viewer, tool: &Tool) -> Vec<Part> {
    if viewer.may("markTool") {
        return vec![Part::Text(text("Costs are taken out of the session's budget.")), Part::Form(label(tool))];
    }
    let marks = &tool.marks;
    let is = |yes: bool| text(if yes { "yes" } else { "no" });
    let amount = |amount: Option<Money>| amount.map(money).unwrap_or_default();
    let place = |place: &Option<String>| place.as_ref().map(code).unwrap_or_default();
    vec![Part::Facts(vec![
        ("Source", is(marks.source)),
        ("Sink", is(marks.sink)),
        ("Cost of a call", amount(marks.cost)),
        ("Cost in the arguments", place(&marks.cost_argument)),
        ("Cost in the result", place(&marks.cost_result)),
        ("At most", amount(marks.cost_max)),
    ])]
}

/// The form that labels a tool.
fn label(tool: &Tool) -> Form {
    let marks = &tool.marks;
    let is = |yes: bool| if yes { "true" } else { "false" };
    let amount = |amount: Option<Money>| amount.map(|amount| amount.to_string()).unwrap_or_default();
    let place = |place: &Option<String>| place.clone().unwrap_or_default();
    let yes_or_no = || Input::Named(&[("false", "no"), ("true", "yes")]);
    let fields = vec![
        Field::new("source", "Source", yes_or_no(), SOURCE).holding(is(marks.source)),
        Field::new("sink", "Sink", yes_or_no(), SINK).holding(is(marks.sink)),
        Field::new("cost", "Cost of a call (USD)", Input::Number, "").holding(amount(marks.cost)),
        Field::new("cost_argument", "Cost in the arguments", Input::Line, "such as /amount")
            .holding(place(&marks.cost_argument)),
        Field::new("cost_result", "Cost in the result", Input::Line, "such as /structuredContent/price")
            .holding(place(&marks.cost_result)),
        Field::new("cost_max", "At most (USD)", Input::Number, "goes with the cost in the result")
            .holding(amount(marks.cost_max)),
    ];
    let values = [("name", tool.upstream.as_str()), ("tool", tool.name.as_str())];
    Form::button("markTool", "Change labels", &values, path_of(&["servers", &tool.upstream, &tool.name])).with(fields)
}

fn tools(tools: &[Tool]) -> Section {
    let row = |tool: &Tool| {
        let cost = tool.marks.cost.map(|cost| format!("cost {cost} USD"));
        let labels = [tool.marks.source.then(|| "source".to_owned()), tool.marks.sink.then(|| "sink".to_owned()), cost];
        let labels: Vec<_> = labels.into_iter().flatten().collect();
        let warnings = tool.warnings.iter().flat_map(|warning| pill(Tone::Warn, warning)).collect();
        vec![
            link(&["servers", &tool.upstream, &tool.name], &tool.full_name),
            state(tool),
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
