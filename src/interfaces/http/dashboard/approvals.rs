//! Requests that wait for a decision, and one request with everything that an approval would allow.

use axum::{extract::Path, response::Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    view::{
        Field, Form, Inline, Input, Page, Part, Section, Table, Tone, button, code, fits_code, link, money, path_of,
        pill, shown, spaced, text, time, time_or, whole_json,
    },
    viewer::Viewer,
};
use crate::{
    error::Result,
    model::{Money, UnixMicros},
};

/// Decided requests on the page, the newest.
const DECIDED: usize = 30;
/// Requests on the page.
const REQUESTS: usize = 100;
/// The action of a request for a call of an upstream's tool.
const CALL: &str = "call";
/// The amount of a request that is no payment.
const NO_AMOUNT: Money = Money::ZERO;

/// What a rule is for, with its name for people.
const KINDS: [(&str, &str); 4] = [
    ("spend_over", "Payments over an amount (spend_over)"),
    ("tool_blocked", "Calls of some tools (tool_blocked)"),
    ("destructive", "Calls that destroy or overwrite (destructive)"),
    ("all", "Every call and payment (all)"),
];

/// A request, as `getApproval` answers it.
#[derive(Deserialize)]
pub struct Request {
    #[serde(rename = "request_id")]
    id: String,
    status: String,
    session_id: String,
    agent_id: String,
    tool: String,
    action: String,
    amount: Money,
    reason: String,
    details: Value,
    digest: String,
    created_at: UnixMicros,
    expires_at: UnixMicros,
    decided_by: String,
    decision_note: String,
    decided_at: Option<UnixMicros>,
    used_at: Option<UnixMicros>,
    operator_only: bool,
    arguments: Value,
    changed: Vec<String>,
    #[serde(default)]
    last_approved: Option<LastApproved>,
}

/// The request like it that was approved last.
#[derive(Deserialize)]
struct LastApproved {
    #[serde(rename = "request_id")]
    id: String,
    decided_by: String,
    decided_at: UnixMicros,
    amount: Money,
    details: Value,
}

#[derive(Deserialize)]
struct Pending {
    requests: Vec<Request>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Rules {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    #[serde(rename = "rule_id")]
    id: String,
    #[serde(rename = "type")]
    kind: String,
    threshold: Money,
    tools: Vec<String>,
    operator_only: bool,
    created_by: String,
}

/// The columns of [`row`].
pub const HEADER: [&str; 7] = ["Asked", "Agent", "Tool", "Arguments", "Amount", "Why", "Decide"];

/// A request in a table.
pub fn row(viewer: &Viewer, request: &Request) -> Vec<Vec<Inline>> {
    let mut decide = vec![Inline::Link { href: path_of(&["approvals", &request.id]), text: "Review".to_owned() }];
    // What is cut here is decided on the request's own page, which shows all of it.
    let arguments = if request.details.is_null() { String::new() } else { request.details.to_string() };
    if viewer.may("approveRequest") && fits_code(&arguments) && fits_code(&what(request)) {
        let form = |operation, word| Form::button(operation, word, &[("request_id", &request.id)], "/dashboard");
        decide.push(Inline::Form(form("approveRequest", "Approve")));
        decide.push(Inline::Form(form("denyRequest", "Deny").quiet()));
    }
    vec![
        time(request.created_at),
        link(&["agents", &request.agent_id], &request.agent_id),
        text(what(request)),
        if arguments.is_empty() { Vec::new() } else { code(&arguments) },
        if request.amount == NO_AMOUNT { text("") } else { money(request.amount) },
        text(&request.reason),
        decide,
    ]
}

fn what(request: &Request) -> String {
    format!("{} {}", request.tool, request.action).trim().to_owned()
}

impl Request {
    /// Whether an upstream's tool would be called, so that an operator can change its arguments.
    fn is_call(&self) -> bool {
        self.details.is_object() && self.action == CALL
    }
}

/// All requests that wait, and the rules.
pub async fn list(viewer: Viewer) -> Response {
    let page = listed(&viewer).await;
    viewer.answer("/approvals", page)
}

async fn listed(viewer: &Viewer) -> Result<Page> {
    let waiting = match viewer.read_if_open::<Pending>("listPendingApprovals", json!({"limit": REQUESTS})).await? {
        Some(pending) => {
            let rows = pending.requests.iter().map(|request| row(viewer, request)).collect();
            let mut parts = vec![Table::part(&HEADER, rows, "No request waits for a decision.")];
            if pending.next_cursor.is_some() {
                parts.push(Part::Text(text(format!("Only the newest {REQUESTS} are shown."))));
            }
            Section::live("waiting", format!("Waiting for a decision ({})", pending.requests.len()), parts)
        }
        None => viewer.closed("waiting", "Waiting for a decision", "listPendingApprovals"),
    };
    let asked = json!({"limit": DECIDED});
    let decided = match viewer.read_if_open::<Pending>("listDecidedApprovals", asked).await? {
        Some(found) => decided(viewer, &found).await?,
        None => viewer.closed("decided", "Decided", "listDecidedApprovals"),
    };
    let rules = match viewer.read_if_open::<Rules>("listApprovalRules", json!({})).await? {
        Some(rules) => rules_section(&rules.rules),
        None => viewer.closed("rules", "Rules", "listApprovalRules"),
    };
    Ok(Page::new("Approvals", vec![waiting, decided, rules]))
}

/// What was decided, by which key, and what became of it.
async fn decided(viewer: &Viewer, found: &Pending) -> Result<Section> {
    let names = viewer.key_names().await?;
    let row = |request: &Request| {
        let tone = if request.status == "approved" { Tone::Good } else { Tone::Bad };
        let used = match request.status.as_str() {
            "approved" => time_or(request.used_at, "not used yet"),
            _ => text(""),
        };
        let arguments = if request.details.is_null() { text("") } else { code(request.details.to_string()) };
        let at = spaced(request.decided_at.unwrap_or_default());
        vec![
            link(&["approvals", &request.id], at),
            pill(tone, &request.status),
            text(names.of(&request.decided_by)),
            text(&request.decision_note),
            link(&["agents", &request.agent_id], &request.agent_id),
            text(what(request)),
            arguments,
            used,
        ]
    };
    let rows = found.requests.iter().map(row).collect();
    let header = ["Decided", "Decision", "By", "Note", "Agent", "Tool", "Arguments", "Used"];
    let mut parts = vec![Table::part(&header, rows, "No request was decided yet.")];
    if found.next_cursor.is_some() {
        parts.push(Part::Text(text(format!("The newest {DECIDED}; haldir approvals list --decided has all."))));
    }
    Ok(Section::live("decided", "Decided", parts))
}

fn rules_section(rules: &[Rule]) -> Section {
    let says = |rule: &Rule| match rule.kind.as_str() {
        "spend_over" => format!("payments of more than {} USD", rule.threshold),
        "tool_blocked" => format!("calls of {}", rule.tools.join(", ")),
        "destructive" => "calls that destroy or overwrite something".to_owned(),
        "all" => "every call and payment".to_owned(),
        other => other.to_owned(),
    };
    let row = |rule: &Rule| {
        let delete = Form::button("deleteApprovalRule", "Delete", &[("rule_id", &rule.id)], "/dashboard/approvals")
            .after("From now on nothing needs an approval because of this rule.");
        vec![text(says(rule)), text(decides(rule.operator_only)), text(&rule.created_by), button(delete)]
    };
    let rows = rules.iter().map(row).collect();
    let table = Table::part(
        &["Needs an approval", "May be decided by", "Made by", ""],
        rows,
        "No rule: nothing needs an approval.",
    );
    let add = Form::button("addApprovalRule", "Add rule", &[], "/dashboard/approvals").with(vec![
        Field::new("type", "What needs an approval", Input::Named(&KINDS), ""),
        Field::new("threshold", "Payments over (USD)", Input::Number, "").only("spend_over"),
        Field::new("tools", "Tools", Input::Line, "server.tool, separated by commas").only("tool_blocked"),
        Field::new("operator_only", "Only an operator decides", Input::Tick, "not the person at the client"),
    ]);
    Section::new("rules", "Rules", vec![table, Part::Form(add)])
}

fn decides(operator_only: bool) -> &'static str {
    if operator_only { "an operator" } else { "an operator, or the person at the client" }
}

/// One request.
pub async fn show(viewer: Viewer, Path(id): Path<String>) -> Response {
    let page = request_page(&viewer, &id).await;
    viewer.answer("/approvals", page)
}

async fn request_page(viewer: &Viewer, id: &str) -> Result<Page> {
    let Some(request) = viewer.read_if_open::<Request>("getApproval", json!({"request_id": id})).await? else {
        return Ok(Page::new("Request", vec![viewer.closed("request", "Request", "getApproval")]));
    };
    let tone = match request.status.as_str() {
        "pending" => Tone::Warn,
        "approved" => Tone::Good,
        _ => Tone::Bad,
    };
    let mut facts = vec![
        ("State", pill(tone, &request.status)),
        ("Agent", link(&["agents", &request.agent_id], &request.agent_id)),
        ("Session", link(&["sessions", &request.session_id], &request.session_id)),
        ("Tool", text(&request.tool)),
        ("Action", text(&request.action)),
        ("Amount", if request.amount == NO_AMOUNT { text("") } else { money(request.amount) }),
        ("Why it needs an approval", text(&request.reason)),
        ("May be decided by", text(decides(request.operator_only))),
        ("Asked", time(request.created_at)),
        ("Expires", expires(&request, viewer.app.shared.haldir.now())),
        ("Digest", code(&request.digest)),
    ];
    if request.decided_at.is_some() {
        facts.push(("Decided", time_or(request.decided_at, "not yet")));
        facts.push(("Decided by", text(viewer.key_names().await?.of(&request.decided_by))));
        facts.push(("Note", text(&request.decision_note)));
        facts.push(("Used", time_or(request.used_at, "not yet")));
    }
    let mut parts = vec![Part::Facts(facts)];
    let is_used = request.used_at.is_some();
    let call = vec![Part::Code(whole_json(&request.details))];
    let mut sections = vec![Section::live("call", if is_used { "What was asked" } else { "What would be done" }, call)];
    if let Some(last) = &request.last_approved {
        let asked = json!({"request_id": last.id});
        let before = viewer.read_if_open::<Request>("getApproval", asked).await?;
        sections.push(compared(&request, last, &before.map(|before| before.decision_note).unwrap_or_default()));
    }
    if !request.arguments.is_null() {
        let changed: Vec<_> = request.changed.iter().map(|name| shown(name)).collect();
        let says = format!("An operator changed: {}.", changed.join(", "));
        sections.push(Section::new(
            "instead",
            if is_used { "What was done instead" } else { "What is done instead" },
            vec![Part::Text(text(says)), Part::Code(whole_json(&request.arguments))],
        ));
    }
    if request.status == "pending" && viewer.may("approveRequest") {
        sections.push(decisions(&request));
    } else if request.status == "pending" {
        parts.push(Part::Alert("Only an operator's key with the scope approvals:write can decide.".to_owned()));
    }
    sections.insert(0, Section::live("request", "", parts));
    Ok(Page::new(format!("Request: {}", shown(&what(&request))), sections))
}

/// When a request expires; of one that waits, how long that is from now.
fn expires(request: &Request, now: UnixMicros) -> Vec<Inline> {
    let left = request.expires_at.seconds_since(now);
    if request.status != "pending" || left <= 0 {
        return time(request.expires_at);
    }
    let words = match left {
        0..=119 => format!("in {left} seconds, "),
        120..=7_199 => format!("in {} minutes, ", left / 60),
        _ => format!("in {} hours, ", left / 3_600),
    };
    [text(words), time(request.expires_at)].concat()
}

/// What differs from what was approved last.
fn compared(request: &Request, last: &LastApproved, note: &str) -> Section {
    let mut says =
        text(format!("{} approved a request of the same agent for the same tool and action at ", last.decided_by));
    says.extend(time(last.decided_at));
    says.extend(text(": "));
    says.extend(link(&["approvals", &last.id], "that request"));
    if !note.is_empty() {
        says.extend(text(format!(" Its note: {note}")));
    }
    let mut parts = vec![Part::Text(says)];
    if last.amount != request.amount {
        parts.push(Part::Text(text(format!(
            "Its amount was {} USD, this one's is {} USD.",
            last.amount, request.amount
        ))));
    }
    if last.details == request.details {
        parts.push(Part::Text(text("Its arguments were the same.")));
    } else {
        parts.push(Part::difference(&whole_json(&last.details), &whole_json(&request.details)));
    }
    Section::new("last", "Compared with the last approved one", parts)
}

fn decisions(request: &Request) -> Section {
    let next = path_of(&["approvals", &request.id]);
    let note = || Field::new("note", "Note for the agent", Input::WideLine, "optional");
    let form = |operation, word| Form::button(operation, word, &[("request_id", &request.id)], next.clone());
    let mut parts = vec![
        Part::Text(text(
            "Approve: the agent may do exactly this, once. Deny: the call is refused, and your note is the reason.",
        )),
        Part::Form(form("approveRequest", "Approve as asked").with(vec![note()])),
        Part::Form(form("denyRequest", "Deny").quiet().with(vec![note()])),
    ];
    if request.is_call() {
        let arguments = serde_json::to_string_pretty(&request.details).unwrap_or_default();
        let changed = Field::new("arguments", "Arguments", Input::Lines, "JSON, as the tool's schema says")
            .holding(arguments)
            .required();
        let edited = form("approveRequest", "Change the arguments and approve").with(vec![changed, note()]);
        parts.push(Part::Form(edited.after(
            "The call is made with the changed arguments in place of those that were asked. Policies and budgets are applied \
             again, and the agent is told what was changed.",
        )));
    }
    Section::new("decide", "Decide", parts)
}
