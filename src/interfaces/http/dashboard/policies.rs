//! Policies that calls pass: a list, and a form that adds one or tries it on calls of the log.

use std::collections::BTreeSet;

use axum::{extract::Request, response::Response};
use serde::Deserialize;
use serde_json::json;

use super::{
    act::{self, Fields},
    forms::Refill,
    view::{
        Field, Form, Inline, Input, Page, Part, Section, Table, Tone, button, code, link, pill, shown, spaced_text,
        text, time,
    },
    viewer::Viewer,
};
use crate::{
    error::{Error, Result},
    model::{Money, UnixMicros},
    operations,
    proxy::{
        list_tools::ProxyTools,
        test_policy::{PolicyTested, WouldRefuse},
    },
};

const HERE: &str = "/dashboard/policies";
/// The operation of a trial.
const TRIAL: &str = "testProxyPolicy";
/// Unknown tool names that a trial lists.
const UNKNOWN_NAMES: usize = 10;
/// Kinds of policies, with what people call them.
const KINDS: [(&str, &str); 7] = [
    ("deny_list", "Forbid tools (deny_list)"),
    ("allow_list", "Allow only these tools (allow_list)"),
    ("block_tool", "Forbid one tool (block_tool)"),
    ("spend_limit", "Limit an amount (spend_limit)"),
    ("rate_limit", "Limit calls a minute (rate_limit)"),
    ("time_window", "Only at these hours (time_window)"),
    ("cedar", "Cedar policy (cedar)"),
];

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
pub async fn page(viewer: &Viewer) -> Result<Page> {
    Ok(Page::new("Policies", sections(viewer).await?))
}

/// Shows what the policy of the form would have done, and adds nothing.
pub async fn trial(mut viewer: Viewer, request: Request) -> Response {
    let fields = match act::checked_fields(&viewer, request).await {
        Ok(fields) => fields,
        Err(error) => return viewer.failed("/policies", "Not tried", &error),
    };
    let page = match tried(&viewer, &fields).await {
        Ok(page) => page,
        Err(error) => {
            return act::again(&viewer, HERE, Refill { operation: TRIAL, fields, error: Some(error) }).await;
        }
    };
    viewer.refill(Refill { operation: TRIAL, fields, error: None });
    viewer.answer("/policies", Ok(page))
}

/// The page, with the outcome in front and below it the form that was sent.
async fn tried(viewer: &Viewer, fields: &Fields) -> Result<Page> {
    let operation = operations::named(TRIAL).ok_or_else(|| Error::internal("no operation for a trial"))?;
    let reply = viewer.call(operation, &act::input_of(operation, fields)?).await?;
    let tested: PolicyTested = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    let mut first = outcome(&tested);
    if let Some(warning) = unknown_names(viewer, fields).await? {
        first.parts.insert(0, Part::Alert(warning));
    }
    let mut sections = sections(viewer).await?;
    let form = sections.pop();
    sections.splice(0..0, [first].into_iter().chain(form));
    Ok(Page::new("Policies", sections))
}

/// A warning about tool names that no server has offered: they are likely mistyped.
async fn unknown_names(viewer: &Viewer, fields: &Fields) -> Result<Option<String>> {
    let Some(found) = viewer.read_if_open::<ProxyTools>("listProxyTools", json!({})).await? else { return Ok(None) };
    let known: BTreeSet<&str> = found.tools.iter().map(|tool| tool.full_name.as_str()).collect();
    let (tools, tool) = (fields.text("tools"), fields.text("tool"));
    let given = tools.split(',').chain([tool.as_str()]).map(str::trim).filter(|name| !name.is_empty());
    let unknown: Vec<_> =
        given.filter(|name| !name.contains('*') && !known.contains(name)).take(UNKNOWN_NAMES).map(shown).collect();
    let says = || format!("No server has offered a tool of this name: {}. Names are server.tool.", unknown.join(", "));
    Ok((!unknown.is_empty()).then(says))
}

fn outcome(tested: &PolicyTested) -> Section {
    let PolicyTested { calls, skipped, would_refuse, were_made, .. } = tested;
    let mut says = match (*calls, *would_refuse) {
        (0, _) => "The log has no call that this policy could be tried on. Nothing was changed.".to_owned(),
        (calls, 0) => format!("None of the {calls} recorded calls would have been refused. Nothing was changed."),
        (calls, refused) => format!(
            "{refused} of the {calls} newest recorded calls would have been refused; {were_made} of these were made. Nothing \
             was changed."
        ),
    };
    if *skipped > 0 {
        says = format!("{says} {skipped} calls could not be looked at: their arguments were not kept, or are erased.");
    }
    let row = |refusal: &WouldRefuse| {
        let tone = if refusal.was == "made" { Tone::Warn } else { Tone::Plain };
        vec![
            link(&["trail", refusal.entry_id.as_str()], spaced_text(&refusal.at)),
            link(&["agents", &refusal.agent_id], &refusal.agent_id),
            code(&refusal.tool),
            pill(tone, &refusal.was),
            text(&refusal.reason),
        ]
    };
    let rows: Vec<_> = tested.refusals.iter().map(row).collect();
    let mut parts = vec![Part::says(says)];
    if tested.refusals.len() < tested.would_refuse {
        parts.push(Part::says(format!("The newest {} are shown.", tested.refusals.len())));
    }
    if !rows.is_empty() {
        let header = ["Time", "Agent", "Tool", "Was", "Would be refused because"];
        parts.push(Table::part(&header, rows, ""));
    }
    Section::new("outcome", "Trial", parts)
}

/// The list, and behind it the form.
async fn sections(viewer: &Viewer) -> Result<Vec<Section>> {
    let Some(found) = viewer.read_if_open::<Policies>("listProxyPolicies", json!({})).await? else {
        return Ok(vec![viewer.closed("policies", "Policies", "listProxyPolicies")]);
    };
    let row = |policy: &Policy| {
        let state = if policy.dry_run { pill(Tone::Warn, "logs only") } else { pill(Tone::Good, "in force") };
        let remove = Form::button("deleteProxyPolicy", "Remove", &[("policy_id", &policy.id)], HERE)
            .after("Calls that this policy refuses are allowed from now on, unless another one refuses them.");
        let made = [text(format!("{} ", policy.created_by)), time(policy.created_at)].concat();
        vec![text(&policy.kind), policy.says(), state, made, button(remove)]
    };
    let rows = found.policies.iter().map(row);
    let header = ["Kind", "Says", "State", "Made by", ""];
    let table = Table::part(&header, rows, "No policy: sessions' scopes and budgets alone bound calls.");
    let mut sections = vec![Section::new("policies", "", vec![table])];
    if viewer.may(TRIAL) {
        sections.push(form());
    }
    Ok(sections)
}

fn form() -> Section {
    let fields = vec![
        Field::new("type", "Kind", Input::Named(&KINDS), ""),
        Field::new("tools", "Tools", Input::Line, "server.tool, separated by commas").only("deny_list allow_list"),
        Field::new("tool", "Tool", Input::Line, "server.tool; empty is every tool")
            .only("block_tool spend_limit rate_limit time_window"),
        Field::new("argument", "Argument with the amount", Input::Line, "such as /amount").only("spend_limit"),
        Field::new("max", "At most (USD)", Input::Number, "").only("spend_limit"),
        Field::new("max_per_minute", "Calls a minute", Input::Number, "").only("rate_limit"),
        Field::new("start_hour", "From (hour, UTC)", Input::Number, "0 to 23").only("time_window"),
        Field::new("end_hour", "To (hour, UTC)", Input::Number, "0 to 24").only("time_window"),
        Field::new("cedar", "Cedar", Input::Lines, "the text of the policy").only("cedar"),
        Field::new("dry_run", "Log only", Input::Tick, "refuses nothing, logs what it would refuse"),
    ];
    let form = Form::button(TRIAL, "Try on recorded calls", &[], HERE).with(fields).or("Add policy", "addProxyPolicy");
    let about = "A trial shows which of the calls in the log the policy would have refused, and changes nothing.";
    Section::new("add", "A new policy", vec![Part::says(about), Part::Form(form)])
}
