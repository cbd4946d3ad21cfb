//! What agents logged as cost: by agent, tool and session, as bars and as CSV.

use std::{cmp::Reverse, collections::BTreeMap};

use axum::response::Response;
use http::{HeaderValue, Uri, header};
use serde::Deserialize;
use serde_json::json;

use super::{
    view::{Chart, Inline, Page, Part, Section, money, shown, text},
    viewer::Viewer,
};
use crate::{
    error::{Error, Result},
    faces::http::input,
    model::Money,
    watch::export_audit::no_formula,
};

/// Bars of a chart; the CSV has all.
const BARS: usize = 20;
/// The length of the longest bar.
const LONGEST: i128 = 1_000;

#[derive(Deserialize)]
struct Spend {
    total_usd: Money,
    authorized_usd: Money,
    action_count: i64,
    by_agent: BTreeMap<String, Money>,
    by_tool: BTreeMap<String, Money>,
    by_session: BTreeMap<String, Money>,
    truncated: bool,
}

/// The page.
pub async fn page(viewer: Viewer) -> Response {
    let page = spend_page(&viewer).await;
    viewer.answer("/spend", page)
}

async fn spend_page(viewer: &Viewer) -> Result<Page> {
    let Some(spend) = viewer.read_if_open::<Spend>("getSpend", json!({})).await? else {
        return Ok(Page::new("Spend", vec![viewer.closed("spend", "Spend", "getSpend")]));
    };
    let csv = |by: &str| Inline::Link {
        href: format!("/dashboard/spend.csv?by={by}"),
        text: format!("Download by {by} as CSV"),
    };
    let mut total = vec![Part::Facts(vec![
        ("Logged", money(spend.total_usd)),
        ("Payments authorized", money(spend.authorized_usd)),
        ("Actions", text(spend.action_count.to_string())),
    ])];
    if spend.truncated {
        total.push(Part::Text(text("There are more agents, tools or sessions than one answer holds.")));
    }
    let chart = |id, title: &str, by: &str, amounts: &BTreeMap<String, Money>| {
        let mut parts = vec![Part::Chart(chart(amounts))];
        if amounts.len() > BARS {
            parts.push(Part::Text(text(format!("The {BARS} largest of {}.", amounts.len()))));
        }
        parts.push(Part::Text(vec![csv(by)]));
        Section::live(id, title, parts)
    };
    Ok(Page::new(
        "Spend",
        vec![
            Section::live("total", "In all", total),
            chart("by-agent", "By agent", "agent", &spend.by_agent),
            chart("by-tool", "By tool", "tool", &spend.by_tool),
            chart("by-session", "By session", "session", &spend.by_session),
        ],
    ))
}

fn sorted(amounts: &BTreeMap<String, Money>) -> Vec<(&String, Money)> {
    let mut all: Vec<_> = amounts.iter().map(|(name, amount)| (name, *amount)).collect();
    all.sort_by_key(|(_, amount)| Reverse(*amount));
    all
}

fn chart(amounts: &BTreeMap<String, Money>) -> Chart {
    let all = sorted(amounts);
    let largest = i128::from(all.first().map_or(0, |(_, amount)| amount.nanos()).max(1));
    let bar = |(name, amount): &(&String, Money)| {
        let length = i128::from(amount.nanos().max(0)) * LONGEST / largest;
        (shown(name), format!("{amount} USD"), u32::try_from(length).unwrap_or(0))
    };
    Chart { unit: "USD", bars: all.iter().take(BARS).map(bar).collect() }
}

/// The amounts as comma-separated values (RFC 4180).
pub async fn csv(viewer: Viewer, uri: Uri) -> Response {
    match written(&viewer, uri.query().unwrap_or_default()).await {
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

async fn written(viewer: &Viewer, query: &str) -> Result<Vec<u8>> {
    let by = input::query(query)?.into_iter().find(|(name, _)| name == "by").map(|(_, by)| by).unwrap_or_default();
    let spend: Spend = viewer.read("getSpend", json!({})).await?;
    let (name, amounts) = match by.as_str() {
        "agent" => ("agent", &spend.by_agent),
        "tool" => ("tool", &spend.by_tool),
        "session" => ("session", &spend.by_session),
        _ => return Err(Error::invalid("by", "by must be agent, tool or session")),
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([name, "usd"]).map_err(Error::internal)?;
    for (name, amount) in sorted(amounts) {
        // Agents choose their names: no cell is a formula to a spreadsheet.
        writer.write_record([no_formula(name).as_ref(), &amount.to_string()]).map_err(Error::internal)?;
    }
    writer.into_inner().map_err(Error::internal)
}
