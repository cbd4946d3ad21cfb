//! Requests that wait for a decision; and one request, with everything that an approval would allow.

use axum::extract::Path;
use serde_json::{Value, json, value::RawValue};

use super::{
    view::{
        Field, Form, Inline, Input, Page, Part, Section, Table, Tone, button, code, fits_code, link, money, path_of,
        pill, shown, spaced, text, time, time_or, whole_json,
    },
    viewer::{KeyNames, Viewer},
};
use crate::{
    approvals::{
        detail::{ApprovalDetail, ApprovalWithLast, LastApproved},
        list_approval_rules::{ApprovalRules, RuleDetail},
        list_approvals::ApprovalList,
    },
    error::Result,
    interfaces::indented::indented,
    model::{ApprovalStatus, Money, RuleType, UnixMicros},
};

/// Decided requests on the page, the newest.
const DECIDED: usize = 30;
/// The title of the section with the requests that wait.
pub const WAITING: &str = "Waiting for a decision";
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

fn row(viewer: &Viewer, request: &ApprovalDetail) -> Vec<Vec<Inline>> {
    let mut decide =
        vec![Inline::Link { href: path_of(&["approvals", request.request_id.as_str()]), text: "Review".to_owned() }];
    // A request that is cut here can only be decided on its own page, which shows all of it.
    let arguments = json_text(request.details.as_deref());
    if viewer.may("approveRequest") && fits_code(arguments) && fits_code(&what(request)) {
        let form = |operation, word| {
            Form::button(operation, word, &[("request_id", request.request_id.as_str())], "/dashboard")
        };
        decide.push(Inline::Form(form("approveRequest", "Approve")));
        decide.push(Inline::Form(form("denyRequest", "Deny").quiet()));
    }
    vec![
        time(request.created_at),
        link(&["agents", &request.agent_id], &request.agent_id),
        text(what(request)),
        if arguments.is_empty() { Vec::new() } else { code(arguments) },
        if request.amount == NO_AMOUNT { text("") } else { money(request.amount) },
        text(&request.reason),
        decide,
    ]
}

fn what(request: &ApprovalDetail) -> String {
    format!("{} {}", request.tool, request.action).trim().to_owned()
}

fn json_text(json: Option<&RawValue>) -> &str {
    json.map(RawValue::get).unwrap_or_default()
}

/// All requests that wait, and the rules.
pub async fn list(viewer: &Viewer) -> Result<Page> {
    let shown = |pending: &ApprovalList| {
        let title = format!("Waiting for a decision ({})", pending.requests.len());
        let mut parts = vec![waiting(viewer, &pending.requests)];
        parts.extend(Part::more(pending.next_cursor.is_some(), format!("Only the newest {REQUESTS} are shown.")));
        Section::live("waiting", title, parts)
    };
    let asked = json!({"limit": REQUESTS});
    let waiting = viewer.section("waiting", WAITING, "listPendingApprovals", asked, shown).await?;
    let names = viewer.key_names().await?;
    let asked = json!({"limit": DECIDED});
    let decided = viewer.section("decided", "Decided", "listDecidedApprovals", asked, |found| decided(&names, found));
    let decided = decided.await?;
    let rules = viewer.section("rules", "Rules", "listApprovalRules", json!({}), rules_section).await?;
    Ok(Page::new("Approvals", vec![waiting, decided, rules]))
}

/// A table of requests that wait.
pub fn waiting(viewer: &Viewer, requests: &[ApprovalDetail]) -> Part {
    let header = ["Asked", "Agent", "Tool", "Arguments", "Amount", "Why", "Decide"];
    Table::part(&header, requests.iter().map(|request| row(viewer, request)), "No request waits for a decision.")
}

/// The decided requests: which key decided, and whether the approval was used.
fn decided(names: &KeyNames, found: &ApprovalList) -> Section {
    let row = |request: &ApprovalDetail| {
        let is_approved = request.status == ApprovalStatus::Approved;
        let used = if is_approved { time_or(request.used_at, "not used yet") } else { text("") };
        let arguments = request.details.as_ref().map_or_else(Vec::new, |details| code(details.get()));
        let at = spaced(request.decided_at.unwrap_or_default());
        vec![
            link(&["approvals", request.request_id.as_str()], at),
            pill(if is_approved { Tone::Good } else { Tone::Bad }, request.status.as_str()),
            text(names.of(&request.decided_by)),
            text(&request.decision_note),
            link(&["agents", &request.agent_id], &request.agent_id),
            text(what(request)),
            arguments,
            used,
        ]
    };
    let header = ["Decided", "Decision", "By", "Note", "Agent", "Tool", "Arguments", "Used"];
    let mut parts = vec![Table::part(&header, found.requests.iter().map(row), "No request was decided yet.")];
    parts.extend(Part::more(
        found.next_cursor.is_some(),
        format!("The newest {DECIDED}; haldir approvals list --decided has all."),
    ));
    Section::live("decided", "Decided", parts)
}

fn rules_section(list: &ApprovalRules) -> Section {
    let says = |rule: &RuleDetail| match rule.rule_type {
        RuleType::SpendOver => format!("payments of more than {} USD", rule.threshold),
        RuleType::ToolBlocked => format!("calls of {}", rule.tools.join(", ")),
        RuleType::Destructive => "calls that destroy or overwrite something".to_owned(),
        RuleType::All => "every call and payment".to_owned(),
    };
    let row = |rule: &RuleDetail| {
        let delete =
            Form::button("deleteApprovalRule", "Delete", &[("rule_id", rule.rule_id.as_str())], "/dashboard/approvals")
                .after("From now on nothing needs an approval because of this rule.");
        vec![text(says(rule)), text(decides(rule.operator_only)), text(&rule.created_by), button(delete)]
    };
    let rows = list.rules.iter().map(row);
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
pub async fn request(viewer: &Viewer, Path(id): &Path<String>) -> Result<Page> {
    let Some(found) = viewer.read_if_open::<ApprovalWithLast>("getApproval", json!({"request_id": id})).await? else {
        return Ok(Page::new("Request", vec![viewer.closed("request", "Request", "getApproval")]));
    };
    let ApprovalWithLast { request, last_approved } = found;
    let is_pending = request.status == ApprovalStatus::Pending;
    let tone = match request.status {
        ApprovalStatus::Pending => Tone::Warn,
        ApprovalStatus::Approved => Tone::Good,
        ApprovalStatus::Denied | ApprovalStatus::Expired => Tone::Bad,
    };
    let mut facts = vec![
        ("State", pill(tone, request.status.as_str())),
        ("Agent", link(&["agents", &request.agent_id], &request.agent_id)),
        ("Session", link(&["sessions", request.session_id.as_str()], request.session_id.as_str())),
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
    let call = vec![Part::Code(whole_json(request.details.as_deref()))];
    let mut sections = vec![Section::live("call", if is_used { "What was asked" } else { "What would be done" }, call)];
    if let Some(last) = &last_approved {
        let asked = json!({"request_id": last.request_id});
        let before = viewer.read_if_open::<ApprovalWithLast>("getApproval", asked).await?;
        let note = before.map(|before| before.request.decision_note).unwrap_or_default();
        sections.push(compared(&request, last, &note));
    }
    if let Some(arguments) = &request.arguments {
        let changed: Vec<_> = request.changed.iter().map(|name| shown(name)).collect();
        let says = format!("An operator changed: {}.", changed.join(", "));
        sections.push(Section::new(
            "instead",
            if is_used { "What was done instead" } else { "What is done instead" },
            vec![Part::says(says), Part::Code(whole_json(Some(arguments)))],
        ));
    }
    if is_pending && viewer.may("approveRequest") {
        sections.push(decisions(&request));
    } else if is_pending {
        parts.push(Part::Alert("Only an operator's key with the scope approvals:write can decide.".to_owned()));
    }
    sections.insert(0, Section::live("request", "", parts));
    Ok(Page::new(format!("Request: {}", shown(&what(&request))), sections))
}

/// When a request expires; of one that waits, how long that is from now.
fn expires(request: &ApprovalDetail, now: UnixMicros) -> Vec<Inline> {
    let left = request.expires_at.seconds_since(now);
    if request.status != ApprovalStatus::Pending || left <= 0 {
        return time(request.expires_at);
    }
    let words = match left {
        0..=119 => format!("in {left} seconds, "),
        120..=7_199 => format!("in {} minutes, ", left / 60),
        _ => format!("in {} hours, ", left / 3_600),
    };
    [text(words), time(request.expires_at)].concat()
}

/// The difference from the last approved request.
fn compared(request: &ApprovalDetail, last: &LastApproved, note: &str) -> Section {
    let mut says =
        text(format!("{} approved a request of the same agent for the same tool and action at ", last.decided_by));
    says.extend(time(last.decided_at));
    says.extend(text(": "));
    says.extend(link(&["approvals", last.request_id.as_str()], "that request"));
    if !note.is_empty() {
        says.extend(text(format!(" Its note: {note}")));
    }
    let mut parts = vec![Part::Text(says)];
    if last.amount != request.amount {
        parts.push(Part::says(format!("Its amount was {} USD, this one's is {} USD.", last.amount, request.amount)));
    }
    let value = |json: Option<&RawValue>| json.and_then(|json| serde_json::from_str::<Value>(json.get()).ok());
    let (before, after) = (whole_json(last.details.as_deref()), whole_json(request.details.as_deref()));
    if value(last.details.as_deref()) == value(request.details.as_deref()) {
        parts.push(Part::says("Its arguments were the same."));
    } else {
        parts.push(Part::difference(&before, &after));
    }
    Section::new("last", "Compared with the last approved one", parts)
}

fn decisions(request: &ApprovalDetail) -> Section {
    let next = path_of(&["approvals", request.request_id.as_str()]);
    let note = || Field::new("note", "Note for the agent", Input::WideLine, "optional");
    let form =
        |operation, word| Form::button(operation, word, &[("request_id", request.request_id.as_str())], next.clone());
    let mut parts = vec![
        Part::says(
            "Approve: the agent may do exactly this, once. Deny: the call is refused, and your note is the reason.",
        ),
        Part::Form(form("approveRequest", "Approve as asked").with(vec![note()])),
        Part::Form(form("denyRequest", "Deny").quiet().with(vec![note()])),
    ];
    // An operator can change the arguments of a call of an upstream's tool.
    let details = request.details.as_deref().filter(|details| request.action == CALL && details.get().starts_with('{'));
    if let Some(details) = details {
        let arguments = indented(details.get()).to_string();
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
