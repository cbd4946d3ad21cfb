//! Arguments that an operator puts in place of those that an agent asked for.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, value::RawValue};

use crate::{
    call::{OutwardContext, WriteContext},
    error::{Code, Error, Result},
    model::{Approval, ApprovalId, TenantId},
    proxy::{
        approval::ACTION,
        arguments::Arguments,
        tool::{Called, meanings},
    },
    store::ReadTx,
};

use super::{asked::MAX_DETAILS_BYTES, steps};

/// Changed arguments that are named.
const MAX_NAMED: usize = 100;
/// Problems with arguments that are told at once.
const MAX_PROBLEMS: usize = 5;

/// Arguments that the tool takes, as it was when they were looked at.
pub(super) struct Checked {
    /// In canonical form.
    canonical: String,
    /// Of the tool.
    definition: String,
}

/// Looks whether the tool of a request takes these arguments. The schema is the upstream's, so this is done outside of any
/// transaction, on no thread that serves connections, and within bounds. `None` if there is no such request.
pub(super) async fn check(cx: &OutwardContext, request: &ApprovalId, json: &str) -> Result<Option<Checked>> {
    let found = cx.read(|cx| {
        let Some(approval) = cx.tx.approval(&cx.caller.tenant, request)? else { return Ok(None) };
        definition(cx.tx, &cx.caller.tenant, &approval).map(Some)
    })?;
    let Some(definition) = found else { return Ok(None) };
    if json.len() > MAX_DETAILS_BYTES {
        let message = format!("arguments must have at most {MAX_DETAILS_BYTES} bytes of JSON");
        return Err(Error::invalid("arguments", message));
    }
    let canonical = Arguments::parse(json)?.canonical().to_owned();
    let json = json.to_owned();
    let check = move || check_schema(&definition, &json).map(|()| Checked { canonical, definition });
    tokio::task::spawn_blocking(check).await.map_err(Error::internal)?.map(Some)
}

impl Checked {
    /// What is to be sent instead, if the tool is still the one that was looked at; `None` if it is just what was asked for.
    pub(super) fn confirmed(self, cx: &WriteContext<'_>, approval: &Approval) -> Result<Option<String>> {
        if definition(cx.tx.as_read(), &cx.caller.tenant, approval)? != self.definition {
            let message = "the tool has changed meanwhile: look at it again, and decide then";
            return Err(Error::new(Code::Conflict, message).field("arguments"));
        }
        Ok(Some(self.canonical).filter(|edited| edited != asked(approval)))
    }
}

/// Of the tool that the request is about.
fn definition(tx: &dyn ReadTx, tenant: &TenantId, approval: &Approval) -> Result<String> {
    let mut found = meanings(tx, tenant, Called { name: &approval.tool, upstream: None, offered: None })?;
    found.retain(|tool| tool.qualified() == approval.tool);
    let tool = found.pop().filter(|_| approval.action == ACTION);
    tool.map(|tool| tool.definition.clone()).ok_or_else(|| {
        let message = "arguments can be changed of a call of an upstream's tool alone: approve it as asked, or deny it";
        Error::invalid("arguments", message)
    })
}

/// What the tool's own server would refuse is refused before it is approved.
fn check_schema(definition: &str, arguments: &str) -> Result<()> {
    let definition: Value = serde_json::from_str(definition).map_err(Error::internal)?;
    let Some(schema) = definition.get("inputSchema") else { return Ok(()) };
    let unusable = |problem: String| {
        let message = format!("the tool's schema cannot be used to check them: {problem}");
        Error::new(Code::InvalidArgument, message).field("arguments")
    };
    let arguments: Value = serde_json::from_str(arguments).map_err(Error::internal)?;
    steps::bounded(schema, &arguments).map_err(|problem| unusable(problem.to_owned()))?;
    let validator = jsonschema::validator_for(schema).map_err(|error| unusable(error.to_string()))?;
    let problems: Vec<_> = validator
        .iter_errors(&arguments)
        .take(MAX_PROBLEMS)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    let message = format!("the tool does not take these arguments: {}", problems.join("; "));
    Err(Error::invalid("arguments", message.chars().take(2_000).collect::<String>()))
}

/// The names of the arguments that differ, in order.
pub fn changed(asked: &str, edited: &str) -> Vec<String> {
    let members = |json: &str| -> BTreeMap<String, Box<RawValue>> { serde_json::from_str(json).unwrap_or_default() };
    let (asked, edited) = (members(asked), members(edited));
    let differs = |name: &String| asked.get(name).map(|value| value.get()) != edited.get(name).map(|value| value.get());
    let names: std::collections::BTreeSet<_> = asked.keys().chain(edited.keys()).filter(|name| differs(name)).collect();
    names.into_iter().take(MAX_NAMED).cloned().collect()
}

/// What the log says of a change.
#[derive(Debug, Serialize)]
pub(super) struct Edit {
    arguments_digest: String,
    arguments: Option<Box<RawValue>>,
    changed: Vec<String>,
}

impl Edit {
    /// Of this request, if its arguments were changed.
    pub(super) fn of(approval: &Approval) -> Result<Option<Self>> {
        let Some(edited) = &approval.arguments else { return Ok(None) };
        let arguments = Arguments::parse(edited)?;
        Ok(Some(Self {
            arguments_digest: arguments.digest(),
            arguments: arguments.kept(),
            changed: changed(asked(approval), edited),
        }))
    }
}

/// What an agent would call a tool with.
pub fn asked(approval: &Approval) -> &str {
    approval.details.as_deref().unwrap_or("{}")
}
