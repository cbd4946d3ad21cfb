//! The first page: what waits for a decision, what agents do, and whether the log can be trusted.

use serde_json::{Value, json};

use super::{
    agents::stop_agent,
    approvals,
    trail::{self, Filter},
    view::{Inline, Page, Part, Section, Table, Tone, button, counted, link, pill, spaced_text, spent_of, text, time},
    viewer::Viewer,
};
use crate::{
    approvals::list_approvals::ApprovalList,
    error::Result,
    interfaces::responses::{OpenSession, Overview, Webhooks},
    model::UnixMicros,
};

/// Calls that are shown.
const CALLS: usize = 20;
/// Sessions that are shown.
const SESSIONS: usize = 20;
/// Requests that are shown.
const REQUESTS: usize = 20;

/// The page.
pub async fn page(viewer: &Viewer) -> Result<Page> {
    let shown = |pending: &ApprovalList| {
        let title = format!("{} ({})", approvals::WAITING, pending.requests.len());
        Section::live("waiting", title, vec![approvals::waiting(viewer, &pending.requests)])
    };
    let asked = json!({"limit": REQUESTS});
    let waiting = viewer.section("waiting", approvals::WAITING, "listPendingApprovals", asked, shown).await?;
    let overview = viewer.read_if_open::<Overview>("getOverview", json!({})).await?;
    let calls = if viewer.may("getAuditTrail") {
        let filter = Filter { limit: CALLS, ..Filter::default() };
        let (table, _) = trail::table(viewer, &filter, "Nothing has happened yet.").await?;
        Section::live("calls", "Latest calls and decisions", vec![table])
    } else {
        viewer.closed("calls", "Latest calls and decisions", "getAuditTrail")
    };
    let mut sections = vec![waiting, calls];
    match overview {
        Some(overview) => {
            sections.push(agents(&overview));
            let heads = viewer.read_if_open::<Value>("listTreeHeads", json!({"limit": 1})).await?;
            sections.push(trust(&overview, heads.as_ref().and_then(tree_head)));
        }
        None => sections.push(viewer.closed("agents", "Agents at work", "getOverview")),
    }
    Ok(Page::new("Now", sections))
}

/// The newest tree head that haldir signed and recorded: an auditor who keeps it notices if anything before it changes.
fn tree_head(heads: &Value) -> Option<Vec<Inline>> {
    let head = heads["entries"].get(0)?;
    let of = text(format!("of the first {} entries, signed ", head["tree_size"].as_u64()?));
    let at = time(UnixMicros(head["signed_at"].as_i64()?.saturating_mul(1_000_000)));
    Some([of, at, text(" (one is recorded now and then)")].concat())
}

fn agents(overview: &Overview) -> Section {
    let sessions = &overview.sessions;
    let row = |session: &OpenSession| {
        vec![
            link(&["agents", &session.agent_id], &session.agent_id),
            link(&["sessions", &session.session_id], &session.session_id),
            spent_of(session.spent, session.spend_limit),
            text(session.scopes.join(", ")),
            button(stop_agent(&session.agent_id, "/dashboard")),
        ]
    };
    let rows = sessions.open.iter().take(SESSIONS).map(row);
    let header = ["Agent", "Session", "Budget", "Scopes", ""];
    let (open, agents) = (counted(sessions.active_count, "open session"), counted(sessions.agents_active, "agent"));
    let count = format!("{open} of {agents}.");
    let parts = vec![Part::says(count), Table::part(&header, rows, "No agent has an open session.")];
    Section::live("agents", "Agents at work", parts)
}

fn trust(overview: &Overview, head: Option<Vec<Inline>>) -> Section {
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
        ("Latest recorded tree head", head.unwrap_or_else(|| text("none yet"))),
        ("Flagged entries", vec![flagged]),
        ("Calls this month", text(overview.usage.calls().to_string())),
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
    let Webhooks { registered_count, deliveries_24h, failed_24h, .. } = webhooks;
    if *registered_count == 0 {
        return "none".to_owned();
    }
    format!("{registered_count} registered; {deliveries_24h} deliveries in 24 hours, {failed_24h} failed")
}
