//! `deleteApprovalRule`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{enforce::MAX_RULES, list_approval_rules::RuleDetail};
use crate::{
    call::{WriteContext, WriteOperation},
    error::{Error, Result},
    model::RuleId,
    watch::{self, Draft},
};

/// Delete an approval rule: from the next call on it asks nothing. Requests that it caused stay as they are.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteApprovalRule {
    /// The rule.
    rule_id: RuleId,
}

/// The rule that was deleted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ApprovalRuleDeleted {
    /// Always true.
    deleted: bool,
    /// The rule.
    rule_id: RuleId,
}

impl WriteOperation for DeleteApprovalRule {
    type Output = ApprovalRuleDeleted;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<ApprovalRuleDeleted> {
        let tenant = &cx.caller.tenant;
        let rule = cx.tx.approval_rules(tenant, MAX_RULES)?.into_iter().find(|rule| rule.id == self.rule_id);
        let rule = rule.ok_or_else(|| Error::not_found("the approval rule").field("rule_id"))?;
        cx.tx.delete_approval_rule(tenant, &rule.id)?;
        watch::append(cx, Draft::governance("approval_rule.delete", None, &RuleDetail::new(rule))?)?;
        Ok(ApprovalRuleDeleted { deleted: true, rule_id: self.rule_id })
    }
}
