//! What agents logged as cost: by agent, tool, session and day, as bars and as CSV; payments, budgets and ceilings.

use std::{cmp::Reverse, collections::BTreeMap};

use axum::response::Response;
use http::{HeaderValue, Uri, header};
use serde_json::{Value, json};

use super::{
    query_field,
    trail::Filter,
    view::{
        Chart, Field, Form, Inline, Input, Page, Part, Section, Table, Tone, code, link, money, pill, query_of, shown,
        spent_of, text, time,
    },
    viewer::Viewer,
};
use crate::{
    error::{Error, Result},
    gate::{
        list_api_keys::{ApiKeyDetail, ApiKeyList},
        list_sessions::SessionList,
        session_detail::SessionDetail,
    },
    model::{AuthorizationStatus, Clock, Day, Money, time::SystemClock},
    vault::list_payments::{PaymentDetail, PaymentList},
    watch::{
        get_audit_stats::AuditStats,
        get_spend::{self, Spend},
    },
};

/// Bars of a chart; the CSV has all.
const BARS: usize = 20;
/// Days of the chart by day, today included.
const DAYS: i64 = 14;
/// Payments that are shown, the newest.
const PAYMENTS: usize = 30;
/// Sessions whose budgets are shown, the newest, and keys with ceilings.
const BUDGETS: usize = 50;
/// The length of the longest bar.
const LONGEST: i128 = 1_000;

/// The date of so many days ago (UTC).
pub fn date(days_ago: i64) -> String {
    Day(Day::of(SystemClock.now()).0 - days_ago).to_string()
}

/// Which costs are summed up: the agent and the time of a filter of the trail.
struct SpendFilter(Filter);

impl SpendFilter {
    fn read(uri: &Uri) -> Result<Self> {
        Filter::read(uri).map(Self)
    }

    fn pairs(&self) -> [(&'static str, &str); 3] {
        [("agent_id", &self.0.agent_id), ("since", &self.0.since), ("until", &self.0.until)]
    }

    fn input(&self) -> Value {
        let given = self.pairs().into_iter().filter(|(_, value)| !value.is_empty());
        Value::Object(given.map(|(name, value)| (name.to_owned(), Value::from(value))).collect())
    }

    fn section(&self) -> Section {
        let field = |name, label, hint, value: &str| Field::new(name, label, Input::Line, hint).holding(value);
        let fields = vec![
            field("agent_id", "Agent", "", &self.0.agent_id),
            field("since", "Since (UTC)", "2026-11-30, or with a time", &self.0.since),
            field("until", "Before (UTC)", "", &self.0.until),
        ];
        Section::new("filter", "What is summed up", vec![Part::Filter(fields), Part::Text(self.shortcuts())])
    }

    /// The same agent's spend of today, yesterday and all time.
    fn shortcuts(&self) -> Vec<Inline> {
        let link = |label: &str, since: &str, until: &str| Inline::Link {
            href: format!(
                "/dashboard/spend{}",
                query_of(&[("agent_id", &self.0.agent_id), ("since", since), ("until", until)])
            ),
            text: label.to_owned(),
        };
        vec![
            link("Today", &date(0), ""),
            link("Yesterday", &date(1), &date(0)),
            link("Seven days", &date(6), ""),
            link("All time", "", ""),
        ]
    }
}

/// The page.
pub async fn page(viewer: &Viewer, uri: &Uri) -> Result<Page> {
    let filter = SpendFilter::read(uri)?;
    let Some(spend) = viewer.read_if_open::<Spend>("getSpend", filter.input()).await? else {
        return Ok(Page::new("Spend", vec![viewer.closed("spend", "Spend", "getSpend")]));
    };
    let csv = |by: &str| Inline::Link {
        href: format!("/dashboard/spend.csv{}", query_of(&[&[("by", by)], filter.pairs().as_slice()].concat())),
        text: format!("Download by {by} as CSV"),
    };
    let mut total = vec![Part::Facts(vec![
        ("Logged", money(spend.total_usd)),
        ("Payments authorized", money(spend.authorized_usd)),
        ("Actions", text(spend.action_count.to_string())),
    ])];
    if spend.truncated {
        total.push(Part::says(
            "There is more than one answer holds: the sums are those of the newest entries, or the largest lines.",
        ));
    }
    total.push(Part::says(
        "Logged is what agents say that their actions cost. Budgets count payments and the costs of tools, and not what \
         agents log.",
    ));
    let chart = |id, title: &str, by: &str, amounts: &BTreeMap<String, Money>| {
        let mut parts = vec![Part::Chart(chart(amounts))];
        if amounts.len() > BARS {
            parts.push(Part::says(format!("The {BARS} largest of {}.", amounts.len())));
        }
        parts.push(Part::Text(vec![csv(by)]));
        Section::live(id, title, parts)
    };
    let mut sections = vec![filter.section(), Section::live("total", "In all", total)];
    if viewer.may("getAuditStats") {
        sections.push(Section::live(
            "by-day",
            format!("The last {DAYS} days (UTC)"),
            vec![by_day(viewer, &filter.0.agent_id).await?],
        ));
    }
    sections.push(chart("by-agent", "By agent", "agent", &spend.by_agent));
    sections.push(chart("by-tool", "By tool", "tool", &spend.by_tool));
    sections.push(chart("by-session", "By session", "session", &spend.by_session));
    let agent = Some(filter.0.agent_id.as_str()).filter(|agent| !agent.is_empty());
    let mut of_payments = filter.input();
    of_payments["limit"] = PAYMENTS.into();
    if let Some(found) = viewer.read_if_open::<PaymentList>("listPayments", of_payments).await? {
        sections.push(payments(&found));
    }
    let of_sessions = json!({"limit": BUDGETS, "agent_id": agent});
    if let Some(found) = viewer.read_if_open::<SessionList>("listSessions", of_sessions).await? {
        sections.push(budgets(&found.sessions));
    }
    if let Some(found) = viewer.read_if_open::<ApiKeyList>("listApiKeys", json!({"limit": BUDGETS})).await? {
        sections.push(ceilings(&found.keys));
    }
    Ok(Page::new("Spend", sections))
}

/// The log has counters by day: each takes one read, however long the log is.
async fn by_day(viewer: &Viewer, agent: &str) -> Result<Part> {
    let agent = Some(agent).filter(|agent| !agent.is_empty());
    let today = Day::of(viewer.app.shared.haldir.now()).0;
    let mut days = Vec::new();
    for day in (today + 1 - DAYS..=today).rev() {
        let seconds = |day: i64| Day(day).start().as_seconds().max(0);
        let asked = json!({"since": seconds(day), "until": seconds(day + 1), "agent_id": agent});
        let total: AuditStats = viewer.read("getAuditStats", asked).await?;
        days.push((Day(day).to_string(), total.total_usd));
    }
    let largest = days.iter().map(|(_, amount)| *amount).max().unwrap_or_default();
    Ok(Part::Chart(Chart {
        unit: "USD",
        bars: days.iter().map(|(date, amount)| bar(date, *amount, largest)).collect(),
    }))
}

fn payments(found: &PaymentList) -> Section {
    let row = |payment: &PaymentDetail| {
        let state = match payment.status {
            AuthorizationStatus::Authorized => pill(Tone::Warn, "authorized"),
            AuthorizationStatus::Captured => {
                pill(Tone::Good, format!("paid {}", payment.captured.unwrap_or(payment.amount)))
            }
            AuthorizationStatus::Voided => pill(Tone::Plain, "voided"),
        };
        let values = [("authorization_id", payment.authorization_id.as_str())];
        let capture = Form::button("capturePayment", "Capture", &values, "/dashboard/spend")
            .with(vec![Field::new("amount", "What was paid", Input::Number, "").holding(payment.amount.to_string())])
            .after("Settles the payment at what was really paid. The rest returns to the budget.");
        let void = Form::button("voidPayment", "Void", &values, "/dashboard/spend")
            .after("Nothing was paid: all of it returns to the budget.");
        let can_settle = payment.status == AuthorizationStatus::Authorized;
        vec![
            time(payment.created_at),
            link(&["agents", payment.agent_id.as_str()], payment.agent_id.as_str()),
            link(&["sessions", payment.session_id.as_str()], payment.session_id.as_str()),
            text(format!("{} {}", payment.amount, payment.currency)),
            state,
            text(&payment.description),
            if can_settle { [capture, void].map(Inline::Form).into() } else { text("") },
        ]
    };
    let header = ["Authorized", "Agent", "Session", "Amount", "State", "For", ""];
    let mut parts = vec![Table::part(&header, found.payments.iter().map(row), "No payment was authorized.")];
    parts.extend(Part::more(
        found.next_cursor.is_some(),
        format!("The newest {PAYMENTS}; haldir payments list has all."),
    ));
    Section::live("payments", "Payments", parts)
}

/// Of open sessions that have one.
fn budgets(sessions: &[SessionDetail]) -> Section {
    let bounded = |session: &&SessionDetail| {
        session.is_valid && (session.spend_limit.is_some() || session.daily_spend_limit.is_some())
    };
    let row = |session: &SessionDetail| {
        vec![
            link(&["agents", &session.agent_id], &session.agent_id),
            link(&["sessions", session.session_id.as_str()], session.session_id.as_str()),
            spent_of(session.spent, session.spend_limit),
            session.daily_spend_limit.map_or_else(|| text("no limit"), money),
        ]
    };
    let rows = sessions.iter().filter(bounded).map(row);
    let table = Table::part(&["Agent", "Session", "Budget", "A day at most"], rows, "No open session has a budget.");
    Section::live("budgets", "Budgets of open sessions", vec![table])
}

/// What sessions made with a key may spend at most.
fn ceilings(keys: &[ApiKeyDetail]) -> Section {
    let bounded = |key: &&ApiKeyDetail| !key.revoked && (key.max_spend.is_some() || key.max_daily_spend.is_some());
    let amount = |amount: Option<Money>| amount.map_or_else(|| text("no limit"), money);
    let row = |key: &ApiKeyDetail| {
        vec![code(&key.prefix), text(&key.name), amount(key.max_spend), amount(key.max_daily_spend)]
    };
    let rows = keys.iter().filter(bounded).map(row);
    let header = ["Key", "Name", "A session at most", "A day at most"];
    Section::new("ceilings", "Ceilings of keys", vec![Table::part(&header, rows, "No key has a ceiling.")])
}

fn sorted(amounts: &BTreeMap<String, Money>) -> Vec<(&String, Money)> {
    let mut all: Vec<_> = amounts.iter().map(|(name, amount)| (name, *amount)).collect();
    all.sort_by_key(|(_, amount)| Reverse(*amount));
    all
}

fn chart(amounts: &BTreeMap<String, Money>) -> Chart {
    let all = sorted(amounts);
    let largest = all.first().map_or(Money::ZERO, |(_, amount)| *amount);
    Chart { unit: "USD", bars: all.iter().take(BARS).map(|(name, amount)| bar(name, *amount, largest)).collect() }
}

fn bar(name: &str, amount: Money, largest: Money) -> (String, String, u32) {
    let length = i128::from(amount.nanos().max(0)) * LONGEST / i128::from(largest.nanos().max(1));
    (shown(name), format!("{amount} USD"), u32::try_from(length).unwrap_or(0))
}

/// The amounts as comma-separated values (RFC 4180).
pub async fn csv(viewer: Viewer, uri: Uri) -> Response {
    match written(&viewer, &uri).await {
        Ok(text) => {
            let mut response = Response::new(text.into());
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
            let name = HeaderValue::from_static("attachment; filename=\"spend.csv\"");
            headers.insert(header::CONTENT_DISPOSITION, name);
            response
        }
        Err(error) => viewer.failed("/spend", "No CSV", &error),
    }
}

async fn written(viewer: &Viewer, uri: &Uri) -> Result<Vec<u8>> {
    let by = query_field(uri, "by")?.unwrap_or_default();
    let spend: Spend = viewer.read("getSpend", SpendFilter::read(uri)?.input()).await?;
    let (name, amounts) = match by.as_str() {
        "agent" => ("agent", &spend.by_agent),
        "tool" => ("tool", &spend.by_tool),
        "session" => ("session", &spend.by_session),
        _ => return Err(Error::invalid("by", "by must be agent, tool or session")),
    };
    get_spend::csv(name, sorted(amounts))
}
