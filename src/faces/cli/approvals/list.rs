//! `haldir approvals list`.

use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::super::{
    GlobalOptions, Screen, Stop,
    output::{amounts::dollars, line, note, table, when, when_any},
    target::Target,
};
use crate::{
    error::Error,
    model::{Money, UnixMicros},
};

#[derive(Args)]
pub struct ListOptions {
    /// Only this agent's.
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// How many at most, from 1 to 1000. Default: 100.
    #[arg(long, value_name = "N")]
    limit: Option<i64>,
    /// Where the last answer ended: its `next_cursor`.
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    requests: Vec<Listing>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Listing {
    request_id: String,
    agent_id: String,
    tool: String,
    action: String,
    amount: Money,
    reason: String,
    created_at: UnixMicros,
    expires_at: UnixMicros,
}

const HEADER: [&str; 8] = ["REQUEST", "AGENT", "TOOL", "ACTION", "AMOUNT", "REASON", "ASKED", "ENDS"];

pub fn run(options: &ListOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let input = json!({"agent_id": options.agent, "limit": options.limit, "cursor": options.cursor}).to_string();
    let reply = Target::open(global)?.call("listPendingApprovals", &input)?;
    if screen.json {
        line(&reply.body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let listed: Listed = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    if listed.requests.is_empty() {
        line("no request waits for a decision")?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<_> = listed.requests.into_iter().map(row).collect();
    table(&HEADER, &rows)?;
    if let Some(cursor) = listed.next_cursor {
        note(&format!("there are more: --cursor {cursor}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn row(request: Listing) -> Vec<String> {
    let ends = when_any(Some(request.expires_at).filter(|end| end.0 != 0), "never");
    // What is no payment has no amount.
    let amount = if request.amount == Money::ZERO { String::new() } else { dollars(request.amount) };
    let asked = when(request.created_at);
    vec![request.request_id, request.agent_id, request.tool, request.action, amount, request.reason, asked, ends]
}
