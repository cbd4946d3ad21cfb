//! `haldir approvals`: decide what agents ask approval for.

mod comparison;
mod decide;
mod request;
mod rules;
#[cfg(test)]
mod tests;
mod watch;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use comparison::since_last;
use request::{consequences, is_call};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    CommandError, GlobalOptions,
    output::{
        amounts::dollars_or_none, facts, line, note_more, page_columns, printable, sentence, table_or, when, when_any,
        word,
    },
};
use crate::{
    approvals::{
        detail::{ApprovalDetail, ApprovalWithLast},
        list_approvals::ApprovalList,
    },
    config::duration::parse_seconds,
    model::{ApprovalStatus, Clock, time::SystemClock},
};

#[derive(Subcommand)]
pub enum ApprovalsCommand {
    /// List the requests that wait for a decision, newest first.
    List(ListOptions),
    /// Show a request: exactly what an approval would be for.
    Show(ShowOptions),
    /// Approve a request: it may be done once, exactly as it was asked, or as you changed it. A decision stands.
    Approve(decide::ApproveOptions),
    /// Deny a request. A decision stands.
    Deny(decide::DecisionOptions),
    /// Say what needs an approval: list, add, delete rules.
    Rules(rules::RulesOptions),
    /// Fill the screen with the requests that wait, as they arrive, and decide each with a key; q leaves.
    Watch(watch::WatchOptions),
}

impl ApprovalsCommand {
    /// Whether it fills the screen.
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Watch(_))
    }
}

#[derive(Args, Serialize)]
pub struct ListOptions {
    /// Those that were approved or denied, the newest decision first, in place of those that wait.
    #[arg(long)]
    #[serde(skip)]
    decided: bool,
    /// Only this agent's.
    #[arg(long = "agent", value_name = "AGENT")]
    agent_id: Option<String>,
    /// How many at most, from 1 to 1000. Default: 100.
    #[arg(long, value_name = "N")]
    limit: Option<i64>,
    /// Where the last answer ended: its `next_cursor`.
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

#[derive(Args, Serialize)]
pub struct ShowOptions {
    /// The request, as `haldir approvals list` names it.
    #[arg(value_name = "REQUEST")]
    request_id: String,
    /// How long to wait for a decision, from 0 to 30s. Default: not at all.
    #[arg(long, value_name = "DURATION", value_parser = parse_seconds)]
    wait: Option<i64>,
}

pub fn run(command: &ApprovalsCommand, global: &GlobalOptions) -> Result<ExitCode, CommandError> {
    match command {
        ApprovalsCommand::List(options) => list(options, global)?,
        ApprovalsCommand::Show(options) => show(options, global)?,
        ApprovalsCommand::Approve(options) => decide::approve(options, global)?,
        ApprovalsCommand::Deny(options) => decide::deny(options, global)?,
        ApprovalsCommand::Rules(options) => rules::run(options, global)?,
        ApprovalsCommand::Watch(options) => return watch::run(options, global),
    }
    Ok(ExitCode::SUCCESS)
}

fn list(options: &ListOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    const WAITING: [&str; 8] = ["REQUEST", "AGENT", "TOOL", "ACTION", "AMOUNT", "REASON", "ASKED", "ENDS"];
    const DECIDED: [&str; 8] = ["REQUEST", "AGENT", "TOOL", "DECISION", "BY", "NOTE", "DECIDED", "USED"];
    let (operation, none, header, row): (_, _, _, fn(ApprovalDetail) -> Vec<String>) = if options.decided {
        ("listDecidedApprovals", "no request was decided yet", DECIDED, decided_row)
    } else {
        ("listPendingApprovals", "no request waits for a decision", WAITING, waiting_row)
    };
    global.show(operation, options, |list: ApprovalList| {
        table_or(none, &header, list.requests.into_iter().map(row))?;
        note_more(list.next_cursor.as_deref());
        Ok(())
    })
}

fn ends(request: &ApprovalDetail) -> String {
    when_any(Some(request.expires_at).filter(|end| end.0 != 0), "never")
}

fn waiting_row(request: ApprovalDetail) -> Vec<String> {
    let (id, ends, asked) = (request.request_id.to_string(), ends(&request), when(request.created_at));
    let amount = dollars_or_none(request.amount);
    vec![id, request.agent_id, request.tool, request.action, amount, request.reason, asked, ends]
}

fn decided_row(request: ApprovalDetail) -> Vec<String> {
    let is_approved = request.status == ApprovalStatus::Approved;
    let used = if is_approved { when_any(request.used_at, "not yet") } else { String::new() };
    let (id, at) = (request.request_id.to_string(), when_any(request.decided_at, ""));
    let ApprovalDetail { agent_id, tool, status, decided_by, decision_note, .. } = request;
    vec![id, agent_id, tool, word(status), decided_by, decision_note, at, used]
}

fn show(options: &ShowOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    global.show("getApproval", options, |found: ApprovalWithLast| {
        let ApprovalWithLast { request, last_approved } = found;
        let difference = last_approved.as_ref().map(|last| since_last(&request, last, page_columns()));
        let (yes, no) = consequences(&request, false, SystemClock.now());
        let is_open = request.status == ApprovalStatus::Pending;
        let text = |json: &Option<Box<RawValue>>| json.as_ref().map_or_else(String::new, |json| json.get().to_owned());
        let rows = [
            ("status", word(request.status)),
            ("agent", request.agent_id.clone()),
            ("session", request.session_id.to_string()),
            ("tool", request.tool.clone()),
            ("action", request.action.clone()),
            ("amount", dollars_or_none(request.amount)),
            ("why asked", request.reason.clone()),
            (if is_call(&request) { "arguments" } else { "details" }, text(&request.details)),
            ("asked", when(request.created_at)),
            ("ends", ends(&request)),
            ("decided", when_any(request.decided_at, "not yet")),
            ("decided by", request.decided_by.clone()),
            ("note", request.decision_note.clone()),
            ("used", when_any(request.used_at, if is_open { "" } else { "not yet" })),
            ("who decides", if request.operator_only { "an operator alone".to_owned() } else { String::new() }),
            ("instead", text(&request.arguments)),
            ("changed", if request.arguments.is_some() { request.changed.join(", ") } else { String::new() }),
        ];
        facts(["request", request.request_id.as_str()], rows)?;
        for line in difference.into_iter().flatten() {
            global.screen().styled(&line)?;
        }
        if is_open {
            line("")?;
            sentence(&printable(&format!("If you approve: {yes}")))?;
            sentence(&printable(&format!("If you deny: {no}")))?;
        }
        Ok(())
    })
}
