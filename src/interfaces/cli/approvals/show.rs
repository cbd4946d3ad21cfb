//! `haldir approvals show`.

use std::process::ExitCode;

use clap::Args;
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::{
    super::{
        GlobalOptions, Screen, Stop,
        output::{amounts::dollars, line, page_columns, printable, sentence, table, when, when_any},
        target::Target,
    },
    comparison::{LastApproved, since_last},
    watch::request::Request,
};
use crate::{
    config::duration::parse_seconds,
    error::Error,
    model::{Clock, Money, UnixMicros, time::SystemClock},
};

#[derive(Args)]
pub struct ShowOptions {
    /// The request, as `haldir approvals list` names it.
    #[arg(value_name = "REQUEST")]
    request_id: String,
    /// How long to wait for a decision, from 0 to 30s. Default: not at all.
    #[arg(long, value_name = "DURATION", value_parser = parse_seconds)]
    wait: Option<i64>,
}

#[derive(Deserialize)]
struct Detail {
    request_id: String,
    status: String,
    session_id: String,
    agent_id: String,
    tool: String,
    action: String,
    amount: Money,
    reason: String,
    details: Option<Box<RawValue>>,
    created_at: UnixMicros,
    expires_at: UnixMicros,
    decided_by: String,
    decision_note: String,
    decided_at: Option<UnixMicros>,
    used_at: Option<UnixMicros>,
    arguments: Option<Box<RawValue>>,
    changed: Vec<String>,
    operator_only: bool,
    #[serde(default)]
    last_approved: Option<LastApproved>,
}

pub fn run(options: &ShowOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let input = json!({"request_id": options.request_id, "wait": options.wait}).to_string();
    let reply = Target::open(global)?.call("getApproval", &input)?;
    if screen.json {
        line(&reply.body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let request: Detail = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    let last = request.last_approved.as_ref();
    let difference = last.map(|last| since_last(request.details.as_deref(), request.amount, last, page_columns()));
    let asked: Request = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    // What is no payment has no amount.
    let amount = if request.amount == Money::ZERO { String::new() } else { dollars(request.amount) };
    let is_open = request.status == "pending";
    let rows = [
        ("status", request.status),
        ("agent", request.agent_id),
        ("session", request.session_id),
        ("tool", request.tool),
        ("action", request.action),
        ("amount", amount),
        ("why asked", request.reason),
        (
            if asked.is_call() { "arguments" } else { "details" },
            request.details.map_or_else(String::new, |details| details.get().to_owned()),
        ),
        ("asked", when(request.created_at)),
        ("ends", when_any(Some(request.expires_at).filter(|end| end.0 != 0), "never")),
        ("decided", when_any(request.decided_at, "not yet")),
        ("decided by", request.decided_by),
        ("note", request.decision_note),
        ("used", when_any(request.used_at, if is_open { "" } else { "not yet" })),
    ];
    let mut rows = rows.to_vec();
    if request.operator_only {
        rows.push(("who decides", "an operator alone".to_owned()));
    }
    if let Some(arguments) = request.arguments {
        rows.push(("instead", arguments.get().to_owned()));
        rows.push(("changed", request.changed.join(", ")));
    }
    let rows = rows.into_iter().filter(|(_, value)| !value.is_empty());
    let rows: Vec<_> = rows.map(|(name, value)| vec![name.to_owned(), value]).collect();
    table(&["request", &request.request_id], &rows)?;
    for line in difference.into_iter().flatten() {
        screen.styled(&line)?;
    }
    if is_open {
        let (yes, no) = asked.consequences(false, SystemClock.now());
        line("")?;
        sentence(&printable(&format!("If you approve: {yes}")))?;
        sentence(&printable(&format!("If you deny: {no}")))?;
    }
    Ok(ExitCode::SUCCESS)
}
