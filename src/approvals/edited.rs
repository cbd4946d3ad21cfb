//! Arguments with which an operator replaces those that an agent requested.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::{
    arguments::{Arguments, MAX_DETAILS_BYTES},
    requested_action::CALL,
    steps,
};
use crate::{
    call::{OutwardContext, WriteContext},
    error::{Code, Error, Result},
    model::{Approval, ApprovalId, PinnedTool, TenantId, UpstreamName},
    store::ReadTx,
};

/// Names of changed arguments that are listed.
const MAX_NAMED: usize = 100;
/// Problems with arguments in one error.
const MAX_PROBLEMS: usize = 5;

/// Arguments that match the tool's schema, and the definition that they were checked against.
pub(super) struct CheckedArguments {
    /// In canonical form.
    canonical: String,
    /// Of the tool.
    definition: String,
}

/// Checks whether these arguments match the schema of the request's tool. The schema comes from the upstream, so the check
/// runs outside transactions, on a blocking thread, and within bounds. `None` if there is no such request.
pub(super) async fn check(cx: &OutwardContext, request: &ApprovalId, json: &str) -> Result<Option<CheckedArguments>> {
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
    let check = move || check_schema(&definition, &json).map(|()| CheckedArguments { canonical, definition });
    tokio::task::spawn_blocking(check).await.map_err(Error::internal)?.map(Some)
}

impl CheckedArguments {
    /// The arguments to send instead, if the tool is unchanged since the check; `None` if they equal the requested ones.
    pub(super) fn confirmed(&self, cx: &WriteContext<'_>, approval: &Approval) -> Result<Option<String>> {
        if definition(cx.tx, &cx.caller.tenant, approval)? != self.definition {
            let message = "the tool has changed meanwhile: look at the request again, then decide";
            return Err(Error::new(Code::Conflict, message).field("arguments"));
        }
        Ok(Some(self.canonical.clone()).filter(|edited| edited != asked(approval)))
    }
}

/// The definition of the tool that the request is about.
fn definition(tx: &ReadTx, tenant: &TenantId, approval: &Approval) -> Result<String> {
    let tool = if approval.action == CALL { pinned_tool(tx, tenant, &approval.tool)? } else { None };
    tool.map(|tool| tool.definition.clone()).ok_or_else(|| {
        let message = "only the arguments of a call of an upstream's tool can be changed: approve this request unchanged, or deny it";
        Error::invalid("arguments", message)
    })
}

/// The tool of this qualified name, `upstream.tool`.
pub fn pinned_tool(tx: &ReadTx, tenant: &TenantId, qualified: &str) -> Result<Option<Arc<PinnedTool>>> {
    let Some((upstream, name)) = qualified.split_once('.') else { return Ok(None) };
    let Ok(upstream) = UpstreamName::parse(upstream) else { return Ok(None) };
    Ok(tx.pinned_tool(tenant, &upstream, name)?)
}

/// Refuses arguments that do not match the tool's schema, before they are approved.
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

/// A change of arguments, for the audit log.
#[derive(Debug, Serialize)]
pub(super) struct Edit {
    arguments_digest: String,
    arguments: Option<Box<RawValue>>,
    changed: Vec<String>,
}

impl Edit {
    /// The change of this request's arguments, if there was one.
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

/// The arguments that the agent requested.
pub fn asked(approval: &Approval) -> &str {
    approval.details.as_deref().unwrap_or("{}")
}
