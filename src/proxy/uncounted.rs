//! Amounts that no budget counts: arguments of tools without a cost label. Nothing is refused for it, since the meaning of an
//! argument is a guess; it is reported where budgets are set, where tools are listed, and in the audit entry of the call.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use serde_json::Value;

use super::{
    catalogue::{MAX_PINS, raw},
    policy::amount,
};
use crate::{
    error::Result,
    model::{Money, PinnedTool, TenantId, ToolMarks, UpstreamName},
    store::ReadTx,
};

/// Arguments of a tool that are examined.
const MAX_PROPERTIES: usize = 64;
/// The most bytes of a call's arguments that are searched: this runs in the writer's transaction.
const MAX_ARGUMENTS: usize = 64 * 1024;
/// Tools that one report names, and tools that the log has warned of.
const MAX_NAMED: usize = 20;
const MAX_WARNED: usize = 1_000;

/// The uncounted amounts of an upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uncounted {
    /// Whether any of its tools has a marked cost.
    pub any_counted: bool,
    /// Tools without a marked cost that have an argument like an amount, each with its argument; the first 20.
    pub amounts: Vec<String>,
}

/// Whether the tool has a cost label.
fn is_counted(marks: &ToolMarks) -> bool {
    marks.cost.is_some() || marks.cost_argument.is_some() || marks.cost_result.is_some() || marks.cost_max.is_some()
}

/// The uncounted amounts of the tools that this upstream offers.
pub fn of(tx: &ReadTx, tenant: &TenantId, upstream: &UpstreamName) -> Result<Uncounted> {
    let tools = tx.tools_of(tenant, upstream, "", MAX_PINS)?;
    let listed: Vec<_> = tools.iter().filter(|tool| tool.listed).collect();
    let amounts = listed.iter().filter_map(|tool| Some(format!("{} ({})", tool.name, argument(tool)?)));
    Ok(Uncounted {
        any_counted: listed.iter().any(|tool| is_counted(&tool.marks)),
        amounts: amounts.take(MAX_NAMED).collect(),
    })
}

/// The argument of a tool without a marked cost that is a number and is named like an amount, as a JSON pointer.
pub fn argument(tool: &PinnedTool) -> Option<String> {
    if is_counted(&tool.marks) {
        return None;
    }
    let definition = raw(&tool.definition);
    let properties = definition["inputSchema"]["properties"].as_object()?;
    let is_number = |schema: &Value| {
        let is = |kind: &Value| kind == "number" || kind == "integer";
        is(&schema["type"]) || schema["type"].as_array().is_some_and(|kinds| kinds.iter().any(is))
    };
    let mut named = properties.iter().take(MAX_PROPERTIES);
    let (name, _) = named.find(|(name, schema)| is_number(schema) && amount::is_amount(name))?;
    Some(format!("/{}", name.replace('~', "~0").replace('/', "~1")))
}

/// An amount among the arguments of a call of a tool without a marked cost, and where it stands.
pub(super) fn amount(tool: &PinnedTool, arguments: &str) -> Result<Option<(String, Money)>> {
    if is_counted(&tool.marks) || arguments.len() > MAX_ARGUMENTS {
        return Ok(None);
    }
    amount::first_named(arguments)
}

/// Warns in the process log, once per tool, that its calls have uncounted amounts.
pub(super) fn warn(tool: &PinnedTool, place: &str) {
    static WARNED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut warned = WARNED.lock();
    if warned.len() < MAX_WARNED && warned.insert(tool.qualified()) {
        tracing::warn!(
            tool = tool.qualified(),
            argument = place,
            "a call has what looks like an amount, but the tool has no marked cost: budgets do not count it"
        );
    }
}
