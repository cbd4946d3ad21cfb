//! Arguments that an operator puts in place of those that an agent asked for.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, value::RawValue};

use crate::{
    call::WriteContext,
    error::{Code, Error, Result},
    model::Approval,
    proxy::{
        approval::ACTION,
        arguments::Arguments,
        tool::{Called, meanings},
    },
};

use super::asked::MAX_DETAILS_BYTES;

/// Changed arguments that are named.
const MAX_NAMED: usize = 100;
/// Problems with arguments that are told at once.
const MAX_PROBLEMS: usize = 5;

/// What is to be sent instead, in canonical form, if the tool takes it; `None` if it is just what was asked for.
pub(super) fn checked(cx: &WriteContext<'_>, approval: &Approval, json: &str) -> Result<Option<String>> {
    let called = Called { name: &approval.tool, upstream: None, offered: None };
    let mut found = meanings(cx.tx.as_read(), &cx.caller.tenant, called)?;
    found.retain(|tool| tool.qualified() == approval.tool);
    let tool = found.pop().filter(|_| approval.action == ACTION);
    let Some(tool) = tool else {
        let message = "arguments can be changed of a call of an upstream's tool alone: approve it as asked, or deny it";
        return Err(Error::invalid("arguments", message));
    };
    if json.len() > MAX_DETAILS_BYTES {
        let message = format!("arguments must have at most {MAX_DETAILS_BYTES} bytes of JSON");
        return Err(Error::invalid("arguments", message));
    }
    let arguments = Arguments::parse(json)?;
    check_schema(&tool.definition, json)?;
    Ok(Some(arguments.canonical().to_owned()).filter(|edited| edited != asked(approval)))
}

/// What the tool's own server would refuse is refused before it is approved.
fn check_schema(definition: &str, arguments: &str) -> Result<()> {
    let definition: Value = serde_json::from_str(definition).map_err(Error::internal)?;
    let Some(schema) = definition.get("inputSchema") else { return Ok(()) };
    let unusable = |problem: String| {
        let message = format!("the tool's schema cannot be used to check them: {problem}");
        Error::new(Code::InvalidArgument, message).field("arguments")
    };
    let validator = jsonschema::validator_for(schema).map_err(|error| unusable(error.to_string()))?;
    let arguments: Value = serde_json::from_str(arguments).map_err(Error::internal)?;
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
