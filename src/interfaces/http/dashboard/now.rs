//! The first page: what waits for a decision, what agents do, and whether the log can be trusted.

use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::{
    agents::{Session, stop_agent},
    approvals::{self, Request},
    trail::{self, Filter},
    view::{Inline, Page, Part, Section, Table, Tone, button, link, pill, spaced_text, spent_of, text, time},
    viewer::Viewer,
};
use crate::{
    error::Result,
    model::{Money, UnixMicros},
};

/// Calls that are shown.
const CALLS: usize = 20;
/// Sessions that are shown.
const SESSIONS: usize = 20;
/// Requests that are shown.
const REQUESTS: usize = 20;

#[derive(Deserialize)]
struct Overview {
    usage: Usage,
    sessions: Sessions,
    audit: Log,
    webhooks: Webhooks,
    approvals: Approvals,
    health: Health,
}

#[derive(Deserialize)]
struct Usage {
    actions_this_month: i64,
    spend_usd_this_month: Money,
}

#[derive(Deserialize)]
struct Sessions {
    active_count: i64,
    agents_active: i64,
    #[serde(rename = "sessions")]
    newest: Vec<Session>,
}

#[derive(Deserialize)]
struct Log {
    total_entries: i64,
    flagged_7d: i64,
    chain_verified: bool,
    last_entry_at: Option<String>,
}

#[derive(Deserialize)]
struct Webhooks {
    registered_count: i64,
    deliveries_24h: i64,
    failed_24h: i64,
}

#[derive(Deserialize)]
struct Approvals {
    pending_count: i64,
}

#[derive(Deserialize)]
struct Health {
    components: Vec<Component>,
}

#[derive(Deserialize)]
struct Component {
    name: String,
    state: String,
    message: String,
}

#[derive(Deserialize)]
struct Pending {
    requests: Vec<Request>,
}

#[derive(Deserialize)]
struct Heads {
    entries: Vec<Head>,
}

/// A tree head that haldir signed and recorded: an auditor who keeps it notices if anything before it changes.
#[derive(Deserialize)]
struct Head {
    tree_size: u64,
    signed_at: i64,
}

impl Head {
    fn says(&self) -> Vec<Inline> {
        let of = text(format!("of the first {} entries, signed ", self.tree_size));
        let at = time(UnixMicros(self.signed_at.saturating_mul(1_000_000)));
        [of, at, text(" (one is recorded now and then)")].concat()
    }
}

/// The page.
pub async fn page(viewer: Viewer) -> Response {
    let page = sections(&viewer).await.map(|sections| Page::new("Now", sections));
    viewer.answer("", page)
}

async fn sections(viewer: &Viewer) -> Result<Vec<Section>> {
    let mut sections = Vec::new();
    let pending = viewer.read_if_open::<Pending>("listPendingApprovals", json!({"limit": REQUESTS})).await?;
    sections.push(match pending {
        Some(pending) => waiting(viewer, &pending.requests),
        None => viewer.closed("waiting", "Waiting for a decision", "listPendingApprovals"),
    });
    let overview = viewer.read_if_open::<Overview>("getOverview", json!({})).await?;
    if viewer.may("getAuditTrail") {
        let filter = Filter { limit: CALLS, ..Filter::default() };
        let (table, _) = trail::table(viewer, &filter, "Nothing has happened yet.").await?;
        sections.push(Section::live("calls", "Latest calls and decisions", vec![table]));
    } else {
        sections.push(viewer.closed("calls", "Latest calls and decisions", "getAuditTrail"));
    }
    match overview {
        Some(overview) => {
            sections.push(agents(viewer, &overview));
            let heads = viewer.read_if_open::<Heads>("listTreeHeads", json!({"limit": 1})).await?;
            sections.push(trust(&overview, heads.and_then(|heads| heads.entries.into_iter().next())));
        }
        None => sections.push(viewer.closed("agents", "Agents at work", "getOverview")),
    }
    Ok(sections)
}

fn waiting(viewer: &Viewer, requests: &[Request]) -> Section {
    let rows = requests.iter().map(|request| approvals::row(viewer, request)).collect();
    let table = Table::part(&approvals::HEADER, rows, "No request waits for a decision.");
    Section::live("waiting", format!("Waiting for a decision ({})", requests.len()), vec![table])
}

fn agents(viewer: &Viewer, overview: &Overview) -> Section {
    let sessions = &overview.sessions;
    let row = |session: &Session| {
        vec![
            link(&["agents", &session.agent_id], &session.agent_id),
            link(&["sessions", &session.id], &session.id),
            spent_of(session.spent, session.spend_limit),
            text(session.scopes.join(", ")),
            if viewer.may("stopAgent") { button(stop_agent(&session.agent_id, "/dashboard")) } else { text("") },
        ]
    };
    let rows = sessions.newest.iter().take(SESSIONS).map(row).collect();
    let header = ["Agent", "Session", "Budget", "Scopes", ""];
    let many = |count: i64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (open, agents) = (many(sessions.active_count, "open session"), many(sessions.agents_active, "agent"));
    let count = format!("{open} of {agents}.");
    let parts = vec![Part::Text(text(count)), Table::part(&header, rows, "No agent has an open session.")];
    Section::live("agents", "Agents at work", parts)
}

fn trust(overview: &Overview, head: Option<Head>) -> Section {
    let log = &overview.audit;
    let sealed = if log.chain_verified {
        pill(Tone::Good, "as haldir sealed it")
    } else {
        pill(Tone::Bad, "altered outside haldir: run haldir audit verify")
    };
    let flagged = Inline::Link {
        href: "/dashboard/trail?flagged=true".to_owned(),
        text: format!("{} in seven days", log.flagged_7d),
    };
    let mut facts = vec![
        ("Entries in the log", text(log.total_entries.to_string())),
        ("Last entry", [sealed, text(log.last_entry_at.as_deref().map(spaced_text).unwrap_or_default())].concat()),
        ("Latest recorded tree head", head.map_or_else(|| text("none yet"), |head| head.says())),
        ("Flagged entries", vec![flagged]),
        ("Calls this month", text(overview.usage.actions_this_month.to_string())),
        ("Cost logged this month", text(format!("{} USD", overview.usage.spend_usd_this_month))),
        ("Requests that wait", text(overview.approvals.pending_count.to_string())),
        ("Webhooks", text(webhooks(&overview.webhooks))),
    ];
    if let Some(proxy) = overview.health.components.iter().find(|component| component.name == "proxy") {
        let tone = match proxy.state.as_str() {
            "ok" => Tone::Good,
            "off" => Tone::Plain,
            _ => Tone::Bad,
        };
        facts.push(("Upstream servers", pill(tone, &proxy.message)));
    }
    Section::live("trust", "Trust", vec![Part::Facts(facts)])
}

fn webhooks(webhooks: &Webhooks) -> String {
    let Webhooks { registered_count, deliveries_24h, failed_24h } = webhooks;
    if *registered_count == 0 {
        return "none".to_owned();
    }
    format!("{registered_count} registered; {deliveries_24h} deliveries in 24 hours, {failed_24h} failed")
}
