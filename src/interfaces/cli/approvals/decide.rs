//! `haldir approvals approve` and `haldir approvals deny`.

use std::path::Path;

use clap::Args;
use serde::Serialize;
use serde_json::{json, value::RawValue};

use super::{
    super::{
        CommandError, GlobalOptions, editor,
        files::read_text,
        output::{indented, line, page_columns, printable, sentence},
        prompt::can_ask,
        target::Target,
    },
    comparison,
    request::consequences,
    watch::{is_same, read},
};
use crate::{
    approvals::detail::ApprovalWithLast,
    error::Error,
    model::{Clock, time::SystemClock},
    operations::Reply,
};

/// The largest file with arguments, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

#[derive(Args)]
pub struct DecisionOptions {
    /// The request, as `haldir approvals list` names it.
    #[arg(value_name = "REQUEST")]
    request_id: String,
    /// Who decides, as the agent sees it. Default: operator.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// A note on the decision; the agent sees it.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

#[derive(Args)]
pub struct ApproveOptions {
    #[command(flatten)]
    decision: DecisionOptions,
    /// For a call of a tool: call it with these arguments instead, a JSON object, or @FILE that holds one. The agent is
    /// told which were changed.
    #[arg(long, value_name = "JSON|@FILE")]
    arguments: Option<String>,
    /// The same, changed in your editor: VISUAL, EDITOR, or else vi.
    #[arg(long, conflicts_with = "arguments")]
    edit: bool,
}

pub fn approve(options: &ApproveOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    let target = Target::open(global)?;
    let arguments = match &options.arguments {
        Some(given) => Some(arguments(given)?),
        None if options.edit => Some(edited(&options.decision.request_id, &target, global)?),
        None => None,
    };
    run("approveRequest", "approved", &options.decision, arguments.as_deref(), &target, global)
}

pub fn deny(options: &DecisionOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    run("denyRequest", "denied", options, None, &Target::open(global)?, global)
}

/// The arguments of a call that was asked for, as the operator's editor left them.
fn edited(id: &str, target: &Target, global: &GlobalOptions) -> Result<Box<RawValue>, CommandError> {
    let screen = global.screen();
    if !can_ask() || !screen.is_terminal() || screen.json {
        return Err(Error::invalid("edit", "an editor needs a terminal: give --arguments instead of --edit").into());
    }
    let ApprovalWithLast { request: asked, .. } = target.read("getApproval", json!({"request_id": id}))?;
    let is_call = |details: &RawValue| asked.tool.contains('.') && details.get().starts_with('{');
    let Some(details) = asked.details.as_deref().filter(|details| is_call(details)) else {
        let message = "only the arguments of a call can be changed: leave --edit out to approve the request as it is";
        return Err(Error::invalid("edit", message).into());
    };
    let text = editor::edited(&(indented(details.get()).to_string() + "\n"))?;
    let arguments =
        read(&text).map_err(|problem| Error::invalid("arguments", format!("{problem}; nothing was decided")))?;
    if is_same(details.get(), arguments.get()) {
        let message = "nothing was changed, and nothing decided: leave --edit out to approve the request as it is";
        return Err(Error::invalid("edit", message).into());
    }
    for line in comparison::whole(details, &arguments, page_columns()) {
        screen.styled(&line)?;
    }
    Ok(arguments)
}

/// The arguments as they were written, on the command line or in a file.
fn arguments(given: &str) -> Result<Box<RawValue>, Error> {
    let text = match given.strip_prefix('@') {
        Some(path) => {
            read_text(Path::new(path), MAX_FILE_BYTES).map_err(|problem| Error::invalid("arguments", problem))?
        }
        None => given.to_owned(),
    };
    serde_json::from_str(text.trim()).map_err(|error| Error::invalid("arguments", format!("this is no JSON: {error}")))
}

/// A decision about a request.
#[derive(Serialize)]
pub struct Decision<'a> {
    pub request_id: &'a str,
    pub decided_by: Option<&'a str>,
    pub note: Option<&'a str>,
    /// The arguments that replace those of the call, as they were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<&'a RawValue>,
}

impl Decision<'_> {
    /// Takes it by this operation.
    pub fn take(&self, operation: &str, target: &Target) -> Result<Reply, Error> {
        target.call(operation, &serde_json::to_string(self).map_err(Error::internal)?)
    }
}

fn run(
    operation: &str,
    done: &str,
    options: &DecisionOptions,
    arguments: Option<&RawValue>,
    target: &Target,
    global: &GlobalOptions,
) -> Result<(), CommandError> {
    let DecisionOptions { request_id, by, note } = options;
    let decision = Decision { request_id, decided_by: by.as_deref(), note: note.as_deref(), arguments };
    let reply = decision.take(operation, target)?;
    if global.json {
        return line(&reply.body);
    }
    line(&format!("{done} {}", printable(request_id)))?;
    // A key that may decide may always look; a request that was erased meanwhile has no consequences to show.
    if let Ok(found) = target.read::<ApprovalWithLast>("getApproval", json!({"request_id": request_id})) {
        let (yes, no) = consequences(&found.request, arguments.is_some(), SystemClock.now());
        let no = if note.is_none() { no.replace(", and reads your note", "") } else { no };
        sentence(&printable(if operation == "approveRequest" { &yes } else { &no }))?;
    }
    Ok(())
}
