//! `listApprovalRules`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::enforce::MAX_RULES;
use crate::{
    call::{ReadContext, ReadOperation},
    error::Result,
    model::{ApprovalRule, Money, RuleId, RuleType, UnixMicros},
};

/// List the rules that say what needs an approval, oldest first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListApprovalRules {}

/// The rules.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalRules {
    /// How many there are.
    pub count: usize,
    /// Oldest first.
    pub rules: Vec<RuleDetail>,
}

/// A rule.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct RuleDetail {
    /// Names the rule.
    pub rule_id: RuleId,
    /// The kind of rule.
    #[serde(rename = "type")]
    pub rule_type: RuleType,
    /// Of `spend_over`: payments of more than this many USD.
    pub threshold: Money,
    /// Of `tool_blocked`: the names of the tools.
    pub tools: Vec<String>,
    /// Whether an operator has to decide, not the person at the agent's client.
    pub operator_only: bool,
    /// When it was added, in Unix seconds.
    pub created_at: UnixMicros,
    /// The key that added it, by its first characters, or `operator`.
    pub created_by: String,
}

impl RuleDetail {
    /// The wire form.
    pub fn new(rule: ApprovalRule) -> Self {
        let ApprovalRule { id, rule_type, threshold, tools, operator_only, created_at, created_by } = rule;
        Self { rule_id: id, rule_type, threshold, tools, operator_only, created_at, created_by }
    }
}

impl ReadOperation for ListApprovalRules {
    type Output = ApprovalRules;

    fn run(self, cx: &ReadContext<'_>) -> Result<ApprovalRules> {
        let mut rules = cx.tx.approval_rules(&cx.caller.tenant, MAX_RULES)?;
        rules.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        let rules: Vec<_> = rules.into_iter().map(RuleDetail::new).collect();
        Ok(ApprovalRules { count: rules.len(), rules })
    }
}
