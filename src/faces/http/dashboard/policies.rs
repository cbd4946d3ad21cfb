//! Policies that calls pass: a list, and a form that adds one or tries it on calls of the log.

use std::fmt::Write as _;

use axum::{
    extract::Request,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    act::{self, Fields},
    see_other,
    view::{Field, Form, Inline, Input, Page, Part, Section, Table, Tone, button, code, lines, link, pill, text, time},
    viewer::Viewer,
};
use crate::{
    error::{Error, Result},
    model::{Money, UnixMicros},
    operations,
};

const HERE: &str = "/dashboard/policies";
const TRIAL: &str = "/dashboard/policies/trial";
/// The field of the form that holds a text of several lines.
const CEDAR: &str = "cedar";

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

/// What a policy would have done, as `testProxyPolicy` answers it.
#[derive(Deserialize)]
struct Tested {
    calls: usize,
    skipped: usize,
    would_refuse: usize,
    were_made: usize,
    refusals: Vec<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    entry_id: String,
    tool: String,
    agent_id: String,
    at: String,
    was: String,
    reason: String,
}

/// The policies.
pub async fn page(viewer: Viewer) -> Response {
    let page = sections(&viewer, None).await.map(|sections| Page::new("Policies", sections));
    viewer.answer("/policies", page)
}

/// Adds the policy of the form.
pub async fn add(viewer: Viewer, request: Request) -> Response {
    let fields = match act::checked_fields(&viewer, request).await {
        Ok(fields) => fields,
        Err(error) => return viewer.failed("/policies", "Not added", &error),
    };
    match carry_out(&viewer, "addProxyPolicy", &fields).await {
        Ok(_) => {
            viewer.leave_notice("Done: the policy was added.".to_owned());
            see_other(HERE)
        }
        Err(error) => refilled(&viewer, &fields, refused("Not added", &fields, &error), Some(error)).await,
    }
}

/// Shows what the policy of the form would have done, and adds nothing.
pub async fn trial(viewer: Viewer, request: Request) -> Response {
    let fields = match act::checked_fields(&viewer, request).await {
        Ok(fields) => fields,
        Err(error) => return viewer.failed("/policies", "Not tried", &error),
    };
    let tested = carry_out(&viewer, "testProxyPolicy", &fields).await;
    match tested.and_then(|body| serde_json::from_str::<Tested>(&body).map_err(Error::internal)) {
        Ok(tested) => refilled(&viewer, &fields, outcome(&tested), None).await,
        Err(error) => refilled(&viewer, &fields, refused("Not tried", &fields, &error), Some(error)).await,
    }
}

async fn carry_out(viewer: &Viewer, operation: &str, fields: &Fields) -> Result<Zeroizing<String>> {
    let operation = operations::named(operation).ok_or_else(|| Error::not_found("the operation"))?;
    let input = act::input_of(operation, fields)?;
    Ok(viewer.call(operation, &input).await?.body)
}

/// The page again, with what the form held and what came of it in front.
async fn refilled(viewer: &Viewer, fields: &Fields, first: Section, error: Option<Error>) -> Response {
    let page = sections(viewer, Some(fields)).await.map(|mut sections| {
        // The form that was sent stands below its outcome.
        let form = sections.pop();
        sections.splice(0..0, [first].into_iter().chain(form));
        Page::new("Policies", sections)
    });
    let mut response = viewer.answer("/policies", page);
    if let Some(status) = error.and_then(|error| StatusCode::from_u16(error.code.status()).ok()) {
        *response.status_mut() = status;
    }
    response.into_response()
}

/// What was wrong; of Cedar the text too, with the numbers of its lines, which the message names.
fn refused(title: &str, fields: &Fields, error: &Error) -> Section {
    let message = error.sentence();
    let message = match &error.field {
        Some(field) => format!("{}: {message}", lines(field)),
        None => message,
    };
    let mut parts = vec![Part::Alert(lines(&message))];
    let cedar = fields.text(CEDAR);
    if error.field.as_deref() == Some(CEDAR) && !cedar.is_empty() {
        let numbered: Vec<_> = cedar.lines().zip(1..).map(|(line, number)| format!("{number:>4}  {line}")).collect();
        parts.push(Part::Code(lines(&numbered.join("\n"))));
    }
    Section::new("outcome", title, parts)
}

fn outcome(tested: &Tested) -> Section {
    let Tested { calls, skipped, would_refuse, were_made, .. } = tested;
    let mut says = format!(
        "Of the newest {calls} calls in the log this policy would have refused {would_refuse}; {were_made} of these were made. \
         Nothing was changed."
    );
    if *skipped > 0 {
        let _ = write!(says, " {skipped} calls could not be looked at: their arguments were not kept, or are erased.");
    }
    let row = |refusal: &Refusal| {
        let tone = if refusal.was == "made" { Tone::Warn } else { Tone::Plain };
        vec![
            link(&["trail", &refusal.entry_id], &refusal.at),
            link(&["agents", &refusal.agent_id], &refusal.agent_id),
            code(&refusal.tool),
            pill(tone, &refusal.was),
            text(&refusal.reason),
        ]
    };
    let rows: Vec<_> = tested.refusals.iter().map(row).collect();
    let mut parts = vec![Part::Text(text(says))];
    if tested.refusals.len() < tested.would_refuse {
        parts.push(Part::Text(text(format!("The newest {} are shown.", tested.refusals.len()))));
    }
    parts.push(Table::part(
        &["Time", "Agent", "Tool", "Was", "Would be refused because"],
        rows,
        "No call would change.",
    ));
    Section::new("outcome", "Trial", parts)
}

/// The list, and behind it the form, with what it held before.
async fn sections(viewer: &Viewer, given: Option<&Fields>) -> Result<Vec<Section>> {
    let Some(found) = viewer.read_if_open::<Policies>("listProxyPolicies", json!({})).await? else {
        return Ok(vec![viewer.closed("policies", "Policies", "listProxyPolicies")]);
    };
    let row = |policy: &Policy| {
        let state = if policy.dry_run { pill(Tone::Warn, "trial: logs only") } else { pill(Tone::Good, "in force") };
        let remove = Form::button("deleteProxyPolicy", "Remove", &[("policy_id", &policy.id)], HERE)
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
        sections.push(form(given));
    }
    Ok(sections)
}

fn form(given: Option<&Fields>) -> Section {
    let kinds =
        Input::Choice(&["deny_list", "allow_list", "block_tool", "spend_limit", "rate_limit", "time_window", "cedar"]);
    let mut fields = vec![
        Field::new("type", "Kind", kinds, ""),
        Field::new("tools", "Tools", Input::Line, "deny_list, allow_list: server.tool, with commas"),
        Field::new("tool", "Tool", Input::Line, "the other kinds; empty is every tool"),
        Field::new("argument", "Argument", Input::Line, "spend_limit: the argument that holds the amount, as /amount"),
        Field::new("max", "At most (USD)", Input::Number, "spend_limit"),
        Field::new("max_per_minute", "Calls a minute", Input::Number, "rate_limit"),
        Field::new("start_hour", "From (hour, UTC)", Input::Number, "time_window"),
        Field::new("end_hour", "To (hour, UTC)", Input::Number, "time_window"),
        Field::new(CEDAR, "Cedar", Input::Lines, "cedar: the text of the policy"),
        Field::new(
            "dry_run",
            "Log only",
            Input::Choice(&["false", "true"]),
            "refuse nothing, log what would be refused",
        ),
    ];
    if let Some(given) = given {
        for field in &mut fields {
            field.value = given.text(field.name).to_string();
        }
    }
    let add = Form { action: HERE.to_owned(), ..Form::button("addProxyPolicy", "Add policy", &[], HERE) };
    let add = add.with(fields).or("Try on recorded calls", TRIAL);
    let about =
        "Try it first: that shows which of the calls in the log the policy would have refused, and changes nothing.";
    Section::new("add", "Add a policy", vec![Part::Text(text(about)), Part::Form(add)])
}
