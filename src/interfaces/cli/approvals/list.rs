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
    /// Those that were approved or denied, the newest decision first, in place of those that wait.
    #[arg(long)]
    decided: bool,
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
    status: String,
    decided_by: String,
    decision_note: String,
    decided_at: Option<UnixMicros>,
    used_at: Option<UnixMicros>,
}

const DECIDED_HEADER: [&str; 8] = ["REQUEST", "AGENT", "TOOL", "DECISION", "BY", "NOTE", "DECIDED", "USED"];
const HEADER: [&str; 8] = ["REQUEST", "AGENT", "TOOL", "ACTION", "AMOUNT", "REASON", "ASKED", "ENDS"];

pub fn run(options: &ListOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let input = json!({"agent_id": options.agent, "limit": options.limit, "cursor": options.cursor}).to_string();
    let operation = if options.decided { "listDecidedApprovals" } else { "listPendingApprovals" };
    let reply = Target::open(global)?.call(operation, &input)?;
    if screen.json {
        line(&reply.body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let listed: Listed = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    if listed.requests.is_empty() {
        line(if options.decided { "no request was decided yet" } else { "no request waits for a decision" })?;
        return Ok(ExitCode::SUCCESS);
    }
    if options.decided {
        table(&DECIDED_HEADER, &listed.requests.into_iter().map(decided_row).collect::<Vec<_>>())?;
    } else {
        table(&HEADER, &listed.requests.into_iter().map(row).collect::<Vec<_>>())?;
    }
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

fn decided_row(request: Listing) -> Vec<String> {
    let used = if request.status == "approved" { when_any(request.used_at, "not yet") } else { String::new() };
    let Listing { request_id, agent_id, tool, status, decided_by, decision_note, decided_at, .. } = request;
    vec![request_id, agent_id, tool, status, decided_by, decision_note, when_any(decided_at, ""), used]
}
