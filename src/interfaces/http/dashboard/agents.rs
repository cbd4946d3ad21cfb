//! Agents and their sessions: the tree of delegation, budgets, and what each did.

use std::collections::BTreeMap;

use axum::extract::Path;
use http::Uri;
use serde_json::json;

use super::{
    query_field,
    trail::{self, Filter},
    view::{
        Field, Form, Inline, Input, Page, Part, Section, Table, Tone, button, code, link, money, path_of, pill,
        query_of, spent_of, text, time,
    },
    viewer::Viewer,
};
use crate::{
    error::Result,
    gate::{list_descendants::Descendants, list_sessions::SessionList, session_detail::SessionDetail},
    model::Money,
    watch::get_spend::Spend,
};

/// Sessions on a page.
const SESSIONS: usize = 50;
/// Entries of the log on the page of an agent or a session.
const ENTRIES: usize = 30;

/// The form that stops an agent.
pub fn stop_agent(agent: &str, next: &str) -> Form {
    Form::button("stopAgent", "Stop", &[("agent_id", agent)], next).after(
        "Ends all sessions of this agent now, and those that they delegated to. Calls in flight end; the agent's next call \
         is refused. With the same API key it can make a new session, unless the key is revoked as well.",
    )
    .with(vec![Field::new("revoke_keys", "Also revoke the keys that made its sessions", Input::Tick, "")])
}

fn revoke(session: &str, next: &str) -> Form {
    Form::button("revokeSession", "Revoke", &[("session_id", session)], next)
        .after("Ends this session now, and those below it. It cannot be opened again.")
}

fn state(session: &SessionDetail) -> Vec<Inline> {
    match session {
        SessionDetail { is_valid: true, .. } => pill(Tone::Good, "open"),
        SessionDetail { revoked: true, .. } => pill(Tone::Bad, "revoked"),
        _ => pill(Tone::Plain, "ended"),
    }
}

const HEADER: [&str; 8] = ["Session", "Agent", "State", "Budget", "Logged", "Actions", "Made", ""];

fn row(session: &SessionDetail, next: &str) -> Vec<Vec<Inline>> {
    let indent = "\u{2514} ".repeat(usize::from(session.delegation_depth > 0));
    vec![
        link(&["sessions", session.session_id.as_str()], format!("{indent}{}", session.session_id)),
        link(&["agents", &session.agent_id], &session.agent_id),
        state(session),
        spent_of(session.spent, session.spend_limit),
        money(session.logged_cost_usd),
        text(session.action_count.to_string()),
        time(session.created_at),
        if session.is_valid { button(revoke(session.session_id.as_str(), next)) } else { text("") },
    ]
}

/// All sessions, newest first, and their agents.
pub async fn list(viewer: &Viewer, uri: &Uri) -> Result<Page> {
    let cursor = query_field(uri, "cursor")?;
    let asked = json!({"limit": SESSIONS, "cursor": cursor});
    let Some(found) = viewer.read_if_open::<SessionList>("listSessions", asked).await? else {
        return Ok(Page::new("Agents", vec![viewer.closed("sessions", "Sessions", "listSessions")]));
    };
    let mut agents: BTreeMap<&str, (usize, usize, Money, i64)> = BTreeMap::new();
    for session in &found.sessions {
        let agent = agents.entry(&session.agent_id).or_default();
        agent.0 += usize::from(session.is_valid);
        agent.1 += 1;
        agent.2 = agent.2.saturating_add(session.logged_cost_usd);
        agent.3 += session.action_count;
    }
    let agent_row = |(agent, (open, all, cost, actions)): (&&str, &(usize, usize, Money, i64))| {
        vec![
            link(&["agents", agent], agent),
            text(format!("{open} of {all}")),
            money(*cost),
            text(actions.to_string()),
            if *open > 0 { button(stop_agent(agent, "/dashboard/agents")) } else { text("") },
        ]
    };
    let rows = agents.iter().map(agent_row);
    let summary =
        Table::part(&["Agent", "Open sessions", "Logged", "Actions", ""], rows, "No agent has had a session.");
    let rows = found.sessions.iter().map(|session| row(session, "/dashboard/agents")).collect();
    let next = found.next_cursor.map(|cursor| format!("/dashboard/agents{}", query_of(&[("cursor", &cursor)])));
    let table = Part::Table(Table { header: HEADER.to_vec(), rows, empty: "There is no session.", next });
    Ok(Page::new(
        "Agents",
        vec![
            Section::live("agents", "Agents of the sessions below", vec![summary]),
            Section::live("sessions", "Sessions, newest first", vec![table]),
        ],
    ))
}

/// One agent.
pub async fn agent(viewer: &Viewer, Path(agent): &Path<String>) -> Result<Page> {
    let agent = agent.as_str();
    let here = path_of(&["agents", agent]);
    let found =
        viewer.read_if_open::<SessionList>("listSessions", json!({"agent_id": agent, "limit": SESSIONS})).await?;
    let mut facts = Vec::new();
    let mut has_open = false;
    if let Some(found) = &found {
        // The newest are read: an older one may be open as well, so that the button to stop stays.
        let (open, is_all) =
            (found.sessions.iter().filter(|session| session.is_valid).count(), found.next_cursor.is_none());
        has_open = open > 0 || !is_all;
        facts.push((
            "State",
            match (open, is_all) {
                (0, true) if found.sessions.is_empty() => text("no session"),
                (0, true) => pill(Tone::Plain, "stopped: no open session"),
                (open, true) => pill(Tone::Good, format!("open sessions: {open}")),
                (open, false) => text(format!("open sessions: {open} of the newest {SESSIONS}")),
            },
        ));
    }
    if let Some(spend) = viewer.read_if_open::<Spend>("getSpend", json!({"agent_id": agent})).await? {
        facts.push(("Logged cost", money(spend.total_usd)));
        facts.push(("Payments authorized", money(spend.authorized_usd)));
        facts.push(("Actions", text(spend.action_count.to_string())));
    }
    let mut parts = vec![Part::Facts(facts)];
    if has_open {
        parts.push(Part::Form(stop_agent(agent, &here)));
    }
    let mut sections = vec![Section::live("agent", "", parts)];
    match found {
        Some(found) => {
            let rows = found.sessions.iter().map(|session| row(session, &here));
            let table = Table::part(&HEADER, rows, "This agent has no session.");
            sections.push(Section::live("sessions", "Sessions", vec![table]));
        }
        None => sections.push(viewer.closed("sessions", "Sessions", "listSessions")),
    }
    if viewer.may("getAuditTrail") {
        let filter = Filter { agent_id: agent.to_owned(), limit: ENTRIES, ..Filter::default() };
        sections.push(history(viewer, &filter).await?);
    }
    Ok(Page::new(format!("Agent {}", super::view::shown(agent)), sections))
}

async fn history(viewer: &Viewer, filter: &Filter) -> Result<Section> {
    let (table, _) = trail::table(viewer, filter, "Nothing is in the log.").await?;
    let all = Inline::Link { href: format!("/dashboard/trail{}", filter.query()), text: "The whole trail".to_owned() };
    Ok(Section::live("history", "What it did", vec![table, Part::Text(vec![all])]))
}

/// One session.
pub async fn session(viewer: &Viewer, Path(id): &Path<String>) -> Result<Page> {
    let id = id.as_str();
    let Some(found) = viewer.read_if_open::<SessionDetail>("getSession", json!({"session_id": id})).await? else {
        return Ok(Page::new("Session", vec![viewer.closed("session", "Session", "getSession")]));
    };
    let here = path_of(&["sessions", id]);
    let parent = match found.parent_session_id.as_str() {
        "" => text("none: it was made with a key"),
        parent => link(&["sessions", parent], parent),
    };
    let mut parts = vec![Part::Facts(vec![
        ("Session", code(found.session_id.as_str())),
        ("Agent", link(&["agents", &found.agent_id], &found.agent_id)),
        ("State", state(&found)),
        ("Scopes", text(found.scopes.to_string())),
        ("Budget", spent_of(found.spent, found.spend_limit)),
        ("Made", time(found.created_at)),
        ("Expires", time(found.expires_at)),
        ("Delegated by", parent),
    ])];
    if found.is_valid {
        parts.push(Part::Form(revoke(id, &here)));
    }
    let mut sections = vec![Section::live("session", "", parts)];
    if let Some(below) = viewer.read_if_open::<Descendants>("listDescendants", json!({"session_id": id})).await? {
        let rows = below.descendants.iter().map(|session| row(session, &here));
        let mut parts = vec![Table::part(&HEADER, rows, "It has delegated to no session.")];
        if below.truncated {
            parts.push(Part::says("There are more than are shown."));
        }
        sections.push(Section::live("below", "Sessions below it", parts));
    }
    if viewer.may("getAuditTrail") {
        let filter = Filter { session_id: id.to_owned(), limit: ENTRIES, ..Filter::default() };
        sections.push(history(viewer, &filter).await?);
    }
    Ok(Page::new("Session", sections))
}
