//! Evidence for auditors: the score with what to mend, packs to download, and schedules.

use axum::{extract::Path, response::Response};
use http::Uri;
use serde_json::json;

use super::{
    view::{Field, Form, Inline, Input, Page, Part, Section, Table, Tone, button, code, link, pill, text, time, word},
    viewer::Viewer,
};
use crate::{
    compliance::{
        get_score::{ComplianceScore, Criterion, CriterionState},
        list_schedules::{ScheduleDetail, ScheduleList},
    },
    error::{Error, Result},
    interfaces::http::{input, respond},
    operations::{self, CallOptions},
};

const HERE: &str = "/dashboard/evidence";

/// The page.
pub async fn page(viewer: &Viewer) -> Result<Page> {
    let Some(found) = viewer.read_if_open::<ComplianceScore>("getComplianceScore", json!({})).await? else {
        return Ok(Page::new("Evidence", vec![viewer.closed("score", "Score", "getComplianceScore")]));
    };
    let mut sections = vec![score(&found), packs()];
    if let Some(found) = viewer.read_if_open::<ScheduleList>("listComplianceSchedules", json!({})).await? {
        sections.push(schedules(&found.schedules));
    }
    Ok(Page::new("Evidence", sections))
}

fn score(found: &ComplianceScore) -> Section {
    let row = |criterion: &Criterion| {
        let state = match criterion.state {
            CriterionState::Pass => pill(Tone::Good, "pass"),
            CriterionState::Warn => pill(Tone::Warn, "warning"),
            CriterionState::Fail => pill(Tone::Bad, "fail"),
        };
        vec![
            text(&criterion.control),
            text(&criterion.description),
            state,
            text(&criterion.reason),
            mend(&criterion.remediation),
        ]
    };
    let header = ["Control", "What it asks", "State", "Why", "How to mend it"];
    let says = format!("{} of 100: {} of {} criteria pass.", found.score, found.passing, found.total);
    let table = Table::part(&header, found.criteria.iter().map(row), "");
    Section::new("score", "Score", vec![Part::says(says), table])
}

/// The remedy. Where the operation names a REST request, this names the page of the dashboard that does the same.
fn mend(remediation: &str) -> Vec<Inline> {
    let on = |says: &str, path: &str, page: &str| [text(says), link(&[path], page)].concat();
    // Longer paths first: each begins with the one below.
    for (request, says, path, page) in [
        ("POST /v1/webhooks/", "Send a test with Ping on the page ", "webhooks", "Webhooks"),
        ("GET /v1/webhooks/", "See what receivers answer on the page ", "webhooks", "Webhooks"),
        ("POST /v1/webhooks", "Register one with the address of your alerting on the page ", "webhooks", "Webhooks"),
        ("POST /v1/approvals/rules", "Add one on the page ", "approvals", "Approvals"),
    ] {
        if remediation.contains(request) {
            return on(says, path, page);
        }
    }
    // Commands stand between backticks.
    let parts = remediation.split('`').enumerate();
    parts.flat_map(|(at, part)| if at % 2 == 0 { text(part) } else { code(part) }).collect()
}

fn packs() -> Section {
    let download = |format: &str, name: &str| Inline::Link {
        href: format!("/dashboard/download/evidence?format={format}"),
        text: name.to_owned(),
    };
    let says = "A pack about the last 90 days, signed, to check with haldir compliance verify:";
    let links = vec![download("html", "HTML"), download("markdown", "Markdown"), download("json", "JSON")];
    Section::new("packs", "Evidence packs", vec![Part::says(says), Part::Text(links)])
}

fn schedules(schedules: &[ScheduleDetail]) -> Section {
    let row = |schedule: &ScheduleDetail| {
        let last = match schedule.last_status.as_ref() {
            "" => text("not yet"),
            "ok" => [pill(Tone::Good, "ok"), time(schedule.last_run_at)].concat(),
            _ => [pill(Tone::Bad, &schedule.last_error), time(schedule.last_run_at)].concat(),
        };
        let delete =
            Form::button("deleteComplianceSchedule", "Delete", &[("schedule_id", &schedule.schedule_id)], HERE)
                .after("No more packs are made on this schedule.");
        vec![
            text(&schedule.name),
            text(word(schedule.cadence)),
            text(&schedule.delivery),
            time(schedule.next_due),
            last,
            button(delete),
        ]
    };
    let header = ["Name", "Cadence", "Delivered to", "Next", "Last run", ""];
    let table = Table::part(&header, schedules.iter().map(row), "No schedule.");
    let add = Form::button("createComplianceSchedule", "Add schedule", &[], HERE).with(vec![
        Field::new("name", "Name", Input::Line, "").required(),
        Field::new("cadence", "How often", Input::Choice(&["monthly", "quarterly", "weekly", "daily"]), ""),
        Field::new("delivery", "Deliver to", Input::Line, "webhook:all is every webhook").required(),
    ]);
    Section::new("schedules", "Schedules", vec![table, Part::Form(add)])
}

/// A download: the streamed response of an operation.
pub async fn download(viewer: Viewer, Path(name): Path<String>, uri: Uri) -> Response {
    match streamed(&viewer, &name, uri.query().unwrap_or_default()).await {
        Ok(response) => response,
        Err(error) => viewer.failed("none", "No download", &error),
    }
}

async fn streamed(viewer: &Viewer, name: &str, query: &str) -> Result<Response> {
    let operation = match name {
        "evidence" => "getEvidence",
        "trail" => "exportAudit",
        _ => return Err(Error::not_found("a download of this name")),
    };
    let operation = operations::named(operation).ok_or_else(|| Error::internal("no operation for a download"))?;
    let given = input::query(query)?.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let input = input::Fields::of(operation).object(given)?.into_text();
    let haldir = &viewer.app.shared.haldir;
    let entered = haldir.admit_call(operation, &viewer.browser.credential).await?;
    let streamed = haldir.stream(operation, entered, &input, &CallOptions::default()).await?;
    respond::streamed(operation.status, streamed, false)
}
