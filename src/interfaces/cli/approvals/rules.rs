//! `haldir approvals rules`: what needs an approval at all.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::super::{
    CommandError, GlobalOptions,
    output::{amounts::dollars, line, printable, table_or, when},
    target::Target,
};
use crate::{
    approvals::{
        add_approval_rule::ApprovalRuleAdded,
        list_approval_rules::{ApprovalRules, RuleDetail},
    },
    model::{Money, RuleType},
};

#[derive(Args)]
pub struct RulesOptions {
    #[command(subcommand)]
    command: Option<RulesCommand>,
}

#[derive(Subcommand)]
pub enum RulesCommand {
    /// List the rules, oldest first.
    List,
    /// Add a rule: from now on, what it is about needs an approval.
    Add(AddOptions),
    /// Delete a rule. Requests that it has raised stay.
    #[command(visible_aliases = ["rm", "remove"])]
    Delete {
        /// The rule, as the list shows it.
        #[arg(value_name = "RULE")]
        rule_id: String,
    },
}

/// The input of `addApprovalRule`.
#[derive(Args, Serialize)]
#[allow(clippy::doc_markdown)] // Help texts: a terminal would show the backticks.
pub struct AddOptions {
    /// What needs an approval: payments of more than a threshold, calls of certain tools, calls that destroy or overwrite
    /// something, or everything.
    #[serde(rename = "type")]
    #[arg(value_name = "TYPE", value_parser = ["spend_over", "tool_blocked", "destructive", "all"])]
    kind: String,
    /// With spend_over, payments of more than this. Default: 0, which is every payment.
    #[arg(long, value_name = "USD")]
    threshold: Option<Money>,
    /// With tool_blocked, a tool. May be repeated, or have commas between.
    #[arg(long = "tool", value_name = "TOOL", value_delimiter = ',')]
    tools: Option<Vec<String>>,
    /// An operator has to decide: the person at the agent's client is not asked.
    #[arg(long)]
    operator_only: bool,
}

pub fn run(options: &RulesOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    match &options.command {
        None | Some(RulesCommand::List) => {
            let none = "nothing needs an approval: haldir approvals rules add says what does";
            let header = ["RULE", "WHAT NEEDS AN APPROVAL", "WHO DECIDES", "ADDED BY", "ADDED"];
            global.show("listApprovalRules", json!({}), |list: ApprovalRules| {
                table_or(none, &header, list.rules.into_iter().map(row))
            })
        }
        Some(RulesCommand::Add(options)) => {
            Target::open_or_create(global)?.show(global, "addApprovalRule", options, |added: ApprovalRuleAdded| {
                line(&printable(&format!("added {}", added.rule_id)))
            })
        }
        Some(RulesCommand::Delete { rule_id }) => {
            global.done("deleteApprovalRule", json!({"rule_id": rule_id}), &format!("deleted {rule_id}"))
        }
    }
}

fn row(rule: RuleDetail) -> Vec<String> {
    let who = if rule.operator_only { "an operator" } else { "an operator, or the person at the client" };
    let what = match rule.rule_type {
        RuleType::SpendOver => format!("payments over {}", dollars(rule.threshold)),
        RuleType::ToolBlocked => format!("calls of {}", rule.tools.join(", ")),
        RuleType::Destructive => "calls that destroy or overwrite something".to_owned(),
        RuleType::All => "everything".to_owned(),
    };
    vec![rule.rule_id.to_string(), what, who.to_owned(), rule.created_by, when(rule.created_at)]
}
