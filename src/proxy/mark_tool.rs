//! `markTool`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    call::{WriteContext, WriteOperation},
    error::{Error, Result},
    model::{Money, ToolMarks, UpstreamName, text::Text},
    watch::{self, Draft},
};

/// Set the labels of an upstream's tool: a source of untrusted content, a sink that sends its input out of the organisation or
/// destroys something, and the cost of a call. A session that has read from a source calls a sink only with approval; costs are
/// taken from its budget. A label that is left out is removed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkTool {
    /// The upstream.
    name: UpstreamName,
    /// The tool's own name.
    tool: Text<1, 256>,
    /// Whether its results contain untrusted content: web pages, mail, issues.
    source: Option<bool>,
    /// Whether it sends its input out of the organisation, or destroys something.
    sink: Option<bool>,
    /// What one call costs, in USD, with at most nine decimals.
    #[schemars(range(min = 0))]
    cost: Option<Money>,
    /// Where in the arguments the cost of a call stands, as a JSON pointer, such as `/amount`. It is added to `cost`.
    cost_argument: Option<Text<1, 256>>,
    /// Where in the result the cost of a call stands, as a JSON pointer, such as `/structuredContent/price`. It is added to
    /// `cost`; until it is known, and where it is no amount from 0 to `cost_max`, `cost_max` stands for it.
    cost_result: Option<Text<1, 256>>,
    /// The most that a call costs by its result, in USD. Goes with `cost_result`.
    #[schemars(range(min = 0))]
    cost_max: Option<Money>,
}

/// The tool with its new labels.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ToolMarked {
    /// `upstream.tool`.
    tool: String,
    /// The labels.
    marks: ToolMarks,
}

impl WriteOperation for MarkTool {
    type Output = ToolMarked;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<ToolMarked> {
        let tenant = cx.caller.tenant.clone();
        let found = cx.tx.pinned_tool(&tenant, &self.name, self.tool.as_str())?;
        let found = found.ok_or_else(|| Error::not_found(format!("the tool {}", self.tool.as_str())).field("tool"))?;
        let mut tool = Arc::unwrap_or_clone(found);
        if self.cost.is_some_and(Money::is_negative) {
            return Err(Error::invalid("cost", "cost must be at least 0"));
        }
        let cost_argument = pointer("cost_argument", self.cost_argument)?;
        let cost_result = pointer("cost_result", self.cost_result)?;
        if cost_result.is_some() != self.cost_max.is_some() {
            let message = "cost_result and cost_max go together: what a result may cost is set aside before the call";
            return Err(Error::invalid("cost_max", message));
        }
        if self.cost_max.is_some_and(Money::is_negative) {
            return Err(Error::invalid("cost_max", "cost_max must be at least 0"));
        }
        tool.marks = ToolMarks {
            source: self.source.unwrap_or(false),
            sink: self.sink.unwrap_or(false),
            cost: self.cost,
            cost_argument,
            cost_result,
            cost_max: self.cost_max,
        };
        cx.tx.put_tool(&tenant, &tool)?;
        let name = tool.qualified();
        let draft = Draft::governance("upstream.tool_marked", None, &json!({"tool": name, "marks": tool.marks}))?;
        watch::append(cx, Draft { tool: &name, ..draft })?;
        Ok(ToolMarked { tool: name, marks: tool.marks })
    }
}

fn pointer(field: &'static str, given: Option<Text<1, 256>>) -> Result<Option<String>> {
    let given = given.map(Text::into_string);
    if given.as_ref().is_some_and(|pointer| !pointer.starts_with('/')) {
        return Err(Error::invalid(field, format!("{field} must be a JSON pointer, such as /amount")));
    }
    Ok(given)
}
