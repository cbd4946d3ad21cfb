//! The trail: the audit log as events, with filters in the address, and one entry with its proof.

use axum::extract::Path;
use http::Uri;
use serde_json::{Value, json, value::RawValue};

use super::{
    spend::date,
    view::{
        Field, Form, Inline, Input, Page, Part, Proof, Section, Table, Tone, code, json as laid_out, link, money, pill,
        query_of, shown, spaced, text, time,
    },
    viewer::{KeyNames, Viewer},
};
use crate::{
    error::Result,
    interfaces::{
        history::{self, Entry, Event, History, LogPage},
        http::input,
    },
    model::Money,
};

/// Entries that are read for a page of events.
const ENTRIES: usize = 60;

/// Which events are shown.
#[derive(Default)]
pub struct Filter {
    /// Only this agent's.
    pub agent_id: String,
    /// Only this session's.
    pub session_id: String,
    /// Only of this tool.
    pub tool: String,
    /// Since then, as `getAuditTrail` takes it.
    pub since: String,
    /// Before then.
    pub until: String,
    /// `true` or `false`: only entries that were flagged, or were not.
    pub flagged: String,
    /// Where the page before ended.
    pub cursor: String,
    /// Entries that are read; 0 is as many as a page has.
    pub limit: usize,
}

impl Filter {
    /// Reads the query of an address.
    pub fn read(uri: &Uri) -> Result<Self> {
        let mut filter = Self::default();
        for (name, value) in input::query(uri.query().unwrap_or_default())? {
            let field = match name.as_str() {
                "agent_id" => &mut filter.agent_id,
                "session_id" => &mut filter.session_id,
                "tool" => &mut filter.tool,
                "since" => &mut filter.since,
                "until" => &mut filter.until,
                "flagged" => &mut filter.flagged,
                "cursor" => &mut filter.cursor,
                _ => continue,
            };
            value.trim().clone_into(field);
        }
        (filter.since, filter.until) = (date_of(&filter.since), date_of(&filter.until));
        Ok(filter)
    }

    /// The same filter as a query.
    pub fn query(&self) -> String {
        query_of(&self.pairs())
    }

    fn pairs(&self) -> [(&'static str, &str); 6] {
        [
            ("agent_id", &self.agent_id),
            ("session_id", &self.session_id),
            ("tool", &self.tool),
            ("since", &self.since),
            ("until", &self.until),
            ("flagged", &self.flagged),
        ]
    }

    fn is_empty(&self) -> bool {
        self.pairs().iter().all(|(_, value)| value.is_empty()) && self.cursor.is_empty()
    }

    fn input(&self) -> Value {
        let text = |text: &str| if text.is_empty() { Value::Null } else { Value::from(text) };
        let limit = if self.limit == 0 { ENTRIES } else { self.limit };
        // Calls have two entries each.
        json!({
            "agent_id": text(&self.agent_id), "session_id": text(&self.session_id), "tool": text(&self.tool),
            "since": text(&self.since), "until": text(&self.until), "cursor": text(&self.cursor),
            "flagged": match self.flagged.as_str() { "true" => Value::from(true), "false" => Value::from(false), _ => Value::Null },
            "limit": limit,
        })
    }
}

/// The days that people name by a word, as dates.
fn date_of(text: &str) -> String {
    match text {
        "today" => date(0),
        "yesterday" => date(1),
        _ => text.to_owned(),
    }
}

/// The events that a filter finds, newest first, and where the next page begins.
pub async fn table(viewer: &Viewer, filter: &Filter, empty: &'static str) -> Result<(Part, Option<String>)> {
    let log: LogPage = viewer.read("getAuditTrail", filter.input()).await?;
    let names = viewer.key_names().await?;
    let mut history = History::new(filter.flagged == "true");
    let mut rows = Vec::new();
    let mut above: Option<i64> = None;
    for entry in log.entries {
        // In an unfiltered log every number follows the one before.
        if let Some(above) = above.filter(|above| filter.is_empty() && entry.seq < above - 1) {
            rows.push(missing(entry.seq + 1, above - 1));
        }
        above = Some(entry.seq);
        rows.extend(history.read(entry).map(|event| row(&event, &names)));
    }
    let header = vec!["Time", "Entry", "Agent", "By", "What", "Outcome", "Arguments", "Why"];
    Ok((Part::Table(Table { header, rows, empty, next: None }), log.next_cursor))
}

fn missing(first: i64, last: i64) -> Vec<Vec<Inline>> {
    let which = if first == last { format!("entry {first}") } else { format!("entries {first} to {last}") };
    let broken = pill(Tone::Bad, "missing");
    let why = format!("{which} of the log were removed outside haldir");
    vec![text(""), text(""), text(""), text(""), text(""), broken, text(""), text(why)]
}

fn row(event: &Event, names: &KeyNames) -> Vec<Vec<Inline>> {
    let Event { entry, outcome, end, .. } = event;
    let arguments = match event.arguments() {
        Value::Null => String::new(),
        value => value.to_string(),
    };
    let mut why = text(event.why());
    if !entry.flag_reason.is_empty() {
        why.extend(pill(Tone::Warn, format!("flagged: {}", entry.flag_reason)));
    }
    if let Some(request) = event.request() {
        let space = if why.is_empty() { Vec::new() } else { text(" ") };
        why.extend([space, link(&["approvals", request], "request")].concat());
    }
    let at = if entry.id.is_empty() { text("") } else { link(&["trail", &entry.id], spaced(entry.timestamp)) };
    // A call has an entry for its beginning and one for its end.
    let place = end.map_or_else(|| entry.seq.to_string(), |end| format!("{}, {end}", entry.seq));
    let agent = if entry.agent_id.is_empty() || entry.agent_id == "system" {
        text(&entry.agent_id)
    } else {
        link(&["agents", &entry.agent_id], &entry.agent_id)
    };
    let arguments = if arguments.is_empty() { text("") } else { code(arguments) };
    let mut came_of_it = pill(tone(outcome), outcome);
    if entry.cost_usd > Money::ZERO {
        came_of_it.extend(money(entry.cost_usd));
    }
    vec![at, text(place), agent, text(names.of(&entry.actor)), text(event.what()), came_of_it, arguments, why]
}

fn tone(outcome: &str) -> Tone {
    match outcome.split([',', ' ']).next().unwrap_or_default() {
        "refused" | "UNREADABLE" | "ALTERED" | "failed" | "error" => Tone::Bad,
        "held" | "asked" | "running" | "unknown" => Tone::Warn,
        "logged" => Tone::Plain,
        _ => Tone::Good,
    }
}

/// The trail.
pub async fn list(viewer: &Viewer, uri: &Uri) -> Result<Page> {
    if !viewer.may("getAuditTrail") {
        return Ok(Page::new("Trail", vec![viewer.closed("trail", "Trail", "getAuditTrail")]));
    }
    let filter = Filter::read(uri)?;
    let (mut part, next) = table(viewer, &filter, "Nothing of the kind is in the log.").await?;
    if let (Part::Table(table), Some(cursor)) = (&mut part, next) {
        let mut pairs = filter.pairs().to_vec();
        pairs.push(("cursor", &cursor));
        table.next = Some(format!("/dashboard/trail{}", query_of(&pairs)));
    }
    let field = |name, label, hint, value: &str| Field::new(name, label, Input::Line, hint).holding(value);
    let fields = vec![
        field("agent_id", "Agent", "", &filter.agent_id),
        field("tool", "Tool", "upstream.tool, or haldir", &filter.tool),
        field("session_id", "Session", "", &filter.session_id),
        field("since", "Since", "2026-11-30, or with a time", &filter.since),
        field("until", "Before", "", &filter.until),
        Field::new("flagged", "Flagged", Input::Choice(&["", "true", "false"]), "").holding(&*filter.flagged),
    ];
    let trail = if filter.cursor.is_empty() {
        Section::live("trail", "Events, newest first", vec![part])
    } else {
        Section::new("trail", "Earlier events", vec![part])
    };
    let mut pairs = filter.pairs().to_vec();
    pairs.push(("format", ""));
    let downloads = [("CSV", "csv"), ("JSON lines", "jsonl")].map(|(name, format)| {
        pairs[6].1 = format;
        Inline::Link { href: format!("/dashboard/download/trail{}", query_of(&pairs)), text: name.to_owned() }
    });
    let download = [text("Download these events as: "), downloads.into()].concat();
    let filter = Section::new("filter", "Filter", vec![Part::Filter(fields), Part::Text(download)]);
    let verify = Section::new("verify", "Is the log whole?", verification("/dashboard/trail"));
    Ok(Page::new("Trail", vec![filter, trail, verify]))
}

/// The button that reads the whole log again.
pub fn verification(next: &str) -> Vec<Part> {
    let about = "Reads every entry again and compares it with its hash, the entry before, the Merkle tree and the sealed \
                 end of the log. A million entries take about a second.";
    let verify = Form::button("verifyAuditTrail", "Verify the whole log", &[], next).quiet();
    vec![Part::says(about), Part::Form(verify)]
}

/// One entry.
pub async fn entry(viewer: &Viewer, Path(id): &Path<String>) -> Result<Page> {
    let Some(entry) = viewer.read_if_open::<Entry>("getAuditEntry", json!({"entry_id": id})).await? else {
        return Ok(Page::new("Entry", vec![viewer.closed("entry", "Entry", "getAuditEntry")]));
    };
    let title = format!("Entry {}", entry.seq);
    if let Some(problem) = &entry.unreadable {
        let broken = format!("The entry was altered outside haldir and cannot be read: {}.", shown(problem));
        return Ok(Page::new(title, vec![Section::new("entry", "Entry", vec![Part::Alert(broken)])]));
    }
    let agent = link(&["agents", &entry.agent_id], &entry.agent_id);
    let session = if entry.session_id.is_empty() {
        text("none")
    } else {
        link(&["sessions", &entry.session_id], &entry.session_id)
    };
    let facts = vec![
        ("Recorded", time(entry.timestamp)),
        ("Agent", agent),
        ("Session", session),
        ("Tool", text(&entry.tool)),
        ("Action", text(&entry.action)),
        ("Caused by", text(viewer.key_names().await?.of(&entry.actor))),
        ("Cost", money(entry.cost_usd)),
        ("Flagged", if entry.flagged { pill(Tone::Warn, &entry.flag_reason) } else { text("no") }),
    ];
    let mut parts = vec![Part::Facts(facts)];
    if entry.altered {
        parts.insert(0, Part::Alert(history::ALTERED.to_owned()));
    }
    let mut sections = vec![Section::new("entry", "What happened", parts)];
    sections.extend(decision(&entry.details));
    sections.push(if entry.erased {
        Section::new("details", "Details", vec![Part::says(history::ERASED)])
    } else {
        Section::new("details", "Details", vec![Part::Code(laid_out(&entry.details))])
    });
    sections.push(place(viewer, &entry).await?);
    Ok(Page::new(title, sections))
}

/// The steps of a decision in words: which rule decided, and what it looked at.
fn decision(details: &Value) -> Option<Section> {
    let steps = history::steps(details)?;
    let row = |step: &history::Step<'_>| {
        let tone = if step.passed { Tone::Good } else { Tone::Bad };
        let saw = if step.saw.is_null() { text("") } else { code(step.saw.to_string()) };
        vec![text(step.name), pill(tone, step.result()), text(step.rule), saw]
    };
    let table = Table::part(&history::STEPS, steps.iter().map(row), "No steps.");
    let reason = details["reason"].as_str().map(Part::says);
    Some(Section::new("decision", history::DECISION, reason.into_iter().chain([table]).collect()))
}

/// The entry's place in the log, and its proof for the browser.
async fn place(viewer: &Viewer, entry: &Entry) -> Result<Section> {
    let facts = vec![
        ("Place in the log", text(entry.seq.to_string())),
        ("Hash", code(&entry.hash)),
        ("Hash of the entry before", code(&entry.prev_hash)),
        ("Digest of the details", entry.details_digest.as_deref().map_or_else(|| text("none"), code)),
    ];
    let mut parts = vec![Part::Facts(facts)];
    match viewer.read_if_open::<Box<RawValue>>("getInclusionProof", json!({"entry_id": entry.id})).await {
        Ok(Some(proof)) if !entry.erased => {
            parts.push(Part::says(
                "Your browser computes the hash of this entry as it stands on this page, follows the proof to the root of \
                 the Merkle tree (RFC 6962), and verifies the signature of the tree head (Ed25519).",
            ));
            parts.push(Part::Proof(Proof { entry: hashed(viewer, entry).to_string(), proof: proof.get().to_owned() }));
        }
        Ok(_) => {}
        // The tree of an altered log cannot be built. The page reports it, instead of failing.
        Err(_) => parts.push(Part::Alert(
            "No proof can be made: the tree of this log is not the one that was recorded. Entries were altered outside \
             haldir; haldir audit verify names the first."
                .to_owned(),
        )),
    }
    Ok(Section::new("proof", "Proof", parts))
}

/// The members of an entry that are hashed (see src/watch/README.md); the script sorts them.
fn hashed(viewer: &Viewer, entry: &Entry) -> Value {
    json!({
        "action": entry.action, "actor": entry.actor, "agent_id": entry.agent_id, "at": entry.timestamp.0,
        "cost": entry.cost_usd.to_string(), "details": entry.details_digest, "entry_id": entry.id,
        "flag_reason": entry.flag_reason, "flagged": entry.flagged, "kind": entry.kind, "prev_hash": entry.prev_hash,
        "seq": entry.seq, "session_id": entry.session_id, "tenant": viewer.caller.tenant.to_string(), "tool": entry.tool,
        "v": 1,
    })
}
