//! `addApprovalRule`.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{enforce::MAX_RULES, list_approval_rules::RuleDetail};
use crate::{
    call::{WriteContext, WriteOperation},
    crypto,
    error::{Code, Error, Result},
    model::{ApprovalRule, Money, RuleId, RuleType, text::Text},
    watch::{self, Draft},
};

/// Tools that one rule may name.
const MAX_TOOLS: usize = 100;

/// Say what needs an operator's approval from now on: payments over a threshold, calls of certain tools, calls that
/// destroy something, or everything. authorizePayment is held to it at once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = say_what_goes_with_what)]
pub struct AddApprovalRule {
    /// The kind of rule.
    #[serde(rename = "type")]
    rule_type: RuleType,
    /// With `spend_over`: payments of more than this many USD. Default: 0, which is every payment.
    #[schemars(range(min = 0), extend("default" = 0))]
    threshold: Option<Money>,
    /// With `tool_blocked`, where it is required: the names of the tools.
    #[schemars(length(max = MAX_TOOLS))]
    tools: Option<Vec<Text<1, 256>>>,
    /// Whether an operator has to decide: then the person at the agent's client is not asked. Default: false.
    #[schemars(extend("default" = false))]
    operator_only: Option<bool>,
}

/// What [`check`] wants, as JSON Schema says it.
fn say_what_goes_with_what(schema: &mut Schema) {
    let is = |name: &str| json!({"properties": {"type": {"const": name}}});
    let wants_tools = json!({"required": ["tools"], "properties": {"tools": {"type": "array", "minItems": 1}}});
    let rules = json!([
        {"if": is("tool_blocked"), "then": wants_tools, "else": {"properties": {"tools": {"maxItems": 0}}}},
        {"if": is("spend_over"), "else": {"properties": {"threshold": {"maximum": 0}}}},
    ]);
    schema.insert("allOf".to_owned(), rules);
}

/// The rule that was added.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalRuleAdded {
    /// Always true.
    #[schemars(extend("const" = true))]
    pub added: bool,
    /// The kind of rule.
    #[serde(rename = "type")]
    pub rule_type: RuleType,
    /// Names the rule, to delete it.
    pub rule_id: RuleId,
}

impl WriteOperation for AddApprovalRule {
    type Output = ApprovalRuleAdded;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<ApprovalRuleAdded> {
        let threshold = self.threshold.unwrap_or_default();
        let tools: Vec<_> = self.tools.unwrap_or_default().into_iter().map(Text::into_string).collect();
        check(self.rule_type, threshold, &tools)?;
        let tenant = &cx.caller.tenant;
        if cx.tx.approval_rules(tenant, MAX_RULES)?.len() >= MAX_RULES {
            let message = format!("there are {MAX_RULES} approval rules already: delete one first");
            return Err(Error::new(Code::Conflict, message));
        }
        let id = crypto::token::<16>("rule_").map_err(Error::internal)?;
        let rule = ApprovalRule {
            id: RuleId::parse(id).map_err(Error::internal)?,
            rule_type: self.rule_type,
            threshold,
            tools,
            operator_only: self.operator_only.unwrap_or_default(),
            created_at: cx.now,
            created_by: cx.caller.principal.clone(),
        };
        cx.tx.insert_approval_rule(tenant, &rule)?;
        let added = ApprovalRuleAdded { added: true, rule_type: rule.rule_type, rule_id: rule.id.clone() };
        watch::append(cx, Draft::governance("approval_rule.add", None, &RuleDetail::new(rule))?)?;
        Ok(added)
    }
}

fn check(rule_type: RuleType, threshold: Money, tools: &[String]) -> Result<()> {
    const VALID: &str = "valid are: spend_over with threshold, tool_blocked with tools, destructive, all";
    if threshold.is_negative() {
        return Err(Error::invalid("threshold", format!("threshold must be at least 0; {VALID}")));
    }
    if threshold > Money::ZERO && rule_type != RuleType::SpendOver {
        return Err(Error::invalid("threshold", format!("threshold goes with spend_over alone; {VALID}")));
    }
    match (rule_type, tools.len()) {
        (RuleType::ToolBlocked, 0) => {
            Err(Error::invalid("tools", format!("tools is required with tool_blocked; {VALID}")))
        }
        (RuleType::ToolBlocked, count) if count > MAX_TOOLS => {
            Err(Error::invalid("tools", format!("tools must have at most {MAX_TOOLS} names, this has {count}")))
        }
        (RuleType::ToolBlocked, _) | (_, 0) => Ok(()),
        _ => Err(Error::invalid("tools", format!("tools goes with tool_blocked alone; {VALID}"))),
    }
}
