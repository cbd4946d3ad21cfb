//! Upstream servers with their tools.

use axum::extract::Path;
use serde_json::json;

use super::{
    view::{
        Field, Form, Inline, Input, Page, Part, Section, Table, Tone, button, code, json as laid_out, link, money,
        path_of, pill, query_of, shown, text, time, time_or,
    },
    viewer::Viewer,
};
use crate::{
    error::{Error, Result},
    model::Money,
    proxy::{
        list_tools::{ProxyTools, ToolDetail, ToolState},
        list_upstreams::{UpstreamDetail, UpstreamList},
    },
};

/// Changed tools that are shown as a difference.
const CHANGED: usize = 20;

const SOURCE: &str = "Can bring back text that strangers wrote, such as web pages or mail.";
const SINK: &str = "Can send data out or destroy something. A session that has used a source needs an approval first.";

/// Servers and their tools.
pub async fn list(viewer: &Viewer) -> Result<Page> {
    let mut sections = vec![viewer.section("servers", "Servers", "listUpstreams", json!({}), servers).await?];
    if let Some(found) = viewer.read_if_open::<ProxyTools>("listProxyTools", json!({})).await? {
        let changed: Vec<_> = found.tools.iter().filter(|tool| tool.state == ToolState::Changed).collect();
        if !changed.is_empty() {
            sections.push(changes(&changed));
        }
        sections.push(tools(&found.tools));
    }
    Ok(Page::new("Servers and tools", sections))
}

fn servers(list: &UpstreamList) -> Section {
    let row = |(name, upstream): (&String, &UpstreamDetail)| {
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
            button(remove),
        ]
    };
    let header = ["Name", "Address", "Health", "Tools", "Calls", "Latency", ""];
    let table = Table::part(&header, list.upstreams.iter().map(row), "No upstream server is registered.");
    let add = Form::button("registerUpstream", "Add server", &[], "/dashboard/servers").with(vec![
        Field::new("name", "Name", Input::Line, "github").required(),
        Field::new("url", "Address", Input::Line, "https://example.com/mcp").required(),
    ]);
    Section::live("servers", "Servers", vec![table, Part::Form(add)])
}

fn changes(changed: &[&ToolDetail]) -> Section {
    let mut parts = vec![Part::says(
        "These tools are in quarantine: their server offers another definition than the one that was pinned. Agents cannot call \
         them until the new definition is accepted.",
    )];
    for tool in changed.iter().take(CHANGED) {
        parts.push(Part::Text(code(&tool.full_name)));
        if tool.offered.is_null() {
            parts.push(Part::Alert("The definition that is offered now cannot be read.".to_owned()));
        } else {
            parts.push(Part::difference(&laid_out(&tool.definition), &laid_out(&tool.offered)));
        }
        let values = [("name", tool.upstream.as_str()), ("tool", tool.tool.as_str())];
        let accept = Form::button("acceptTools", "Accept the new definition", &values, "/dashboard/servers")
            .after("Agents and their models see the new definition from now on, and can call the tool by it.");
        parts.push(Part::Form(accept));
    }
    if changed.len() > CHANGED {
        parts.push(Part::says(format!("The first {CHANGED} of {}.", changed.len())));
    }
    Section::new("changed", format!("Changed tools ({})", changed.len()), parts)
}

fn state(tool: &ToolDetail) -> Vec<Inline> {
    match tool.state {
        ToolState::Pinned => pill(Tone::Good, "pinned"),
        ToolState::Gone => pill(Tone::Plain, "gone"),
        ToolState::Changed => pill(Tone::Bad, "changed"),
    }
}

/// One tool: its definition, its labels, and a link to its calls.
pub async fn tool(viewer: &Viewer, Path((upstream, name)): &Path<(String, String)>) -> Result<Page> {
    let Some(found) = viewer.read_if_open::<ProxyTools>("listProxyTools", json!({"upstream": upstream})).await? else {
        return Ok(Page::new("Tool", vec![viewer.closed("tool", "Tool", "listProxyTools")]));
    };
    let tool = found.tools.into_iter().find(|tool| tool.upstream.as_str() == upstream && tool.tool == *name);
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
    if tool.state == ToolState::Changed {
        sections.push(changes(&[&tool]));
    }
    sections.push(Section::new("labels", "Labels", labels(viewer, &tool)));
    sections.push(Section::new("definition", "Definition", vec![Part::Code(laid_out(&tool.definition))]));
    Ok(Page::new(shown(&tool.full_name), sections))
}

/// The labels; with a key that may change them, in a form.
fn labels(viewer: &Viewer, tool: &ToolDetail) -> Vec<Part> {
    if viewer.may("markTool") {
        return vec![Part::says("Costs are taken out of the session's budget."), Part::Form(label(tool))];
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
fn label(tool: &ToolDetail) -> Form {
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
    let values = [("name", tool.upstream.as_str()), ("tool", tool.tool.as_str())];
    Form::button("markTool", "Change labels", &values, path_of(&["servers", tool.upstream.as_str(), &tool.tool]))
        .with(fields)
}

fn tools(tools: &[ToolDetail]) -> Section {
    let row = |tool: &ToolDetail| {
        let cost = tool.marks.cost.map(|cost| format!("cost {cost} USD"));
        let labels = [tool.marks.source.then(|| "source".to_owned()), tool.marks.sink.then(|| "sink".to_owned()), cost];
        let labels: Vec<_> = labels.into_iter().flatten().collect();
        let warnings = tool.warnings.iter().flat_map(|warning| pill(Tone::Warn, warning)).collect();
        vec![
            link(&["servers", tool.upstream.as_str(), &tool.tool], &tool.full_name),
            state(tool),
            text(labels.join(", ")),
            text(&tool.description),
            warnings,
            time(tool.first_seen),
        ]
    };
    let header = ["Tool", "State", "Labels", "Description", "Warnings", "First seen"];
    let table = Table::part(&header, tools.iter().map(row), "No server has offered a tool.");
    Section::new("tools", "Tools", vec![table])
}
