//! `haldir approvals rules`: what needs an approval at all.

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::{
    GlobalOptions, Screen, Stop,
    output::{amounts::dollars, line, printable, table, when},
    target::Target,
};
use crate::{
    error::Error,
    model::{Money, UnixMicros},
};

#[derive(Args)]
pub struct RulesOptions {
    #[command(subcommand)]
    command: Option<RulesCommand>,
}

#[derive(Subcommand)]
pub enum RulesCommand {
    /// List the rules, oldest first.
    #[command(after_help = "Example:\n  haldir approvals rules list")]
    List,
    /// Add a rule: from now on, what it is about needs an approval.
    #[command(
        after_help = "Examples:\n  haldir approvals rules add spend_over --threshold 100\n  haldir approvals rules add \
                            tool_blocked --tool github.delete_repo\n  haldir approvals rules add destructive \
                            --operator-only"
    )]
    Add(AddOptions),
    /// Delete a rule. Requests that it has raised stay.
    #[command(
        visible_aliases = ["rm", "remove"],
        after_help = "Example:\n  haldir approvals rules delete rule_3kHhR1oEwJrN8qT0vYb6Zg"
    )]
    Delete {
        /// The rule, as the list shows it.
        #[arg(value_name = "RULE")]
        rule_id: String,
    },
}

#[derive(Args)]
#[allow(clippy::doc_markdown)] // Help texts: a terminal would show the backticks.
pub struct AddOptions {
    /// What needs an approval: payments of more than a threshold, calls of certain tools, calls that destroy or overwrite
    /// something, or everything.
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

/// Written as text at once, so that the threshold stays exact.
#[derive(Serialize)]
struct Input<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<&'a [String]>,
    operator_only: bool,
}

#[derive(Deserialize)]
struct Listed {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    #[serde(rename = "rule_id")]
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    threshold: Option<Money>,
    #[serde(default)]
    tools: Vec<String>,
    operator_only: bool,
    created_by: String,
    created_at: UnixMicros,
}

#[derive(Deserialize)]
struct Added {
    rule_id: String,
}

pub fn run(options: &RulesOptions, global: &GlobalOptions, screen: Screen) -> Result<(), Stop> {
    match &options.command {
        None | Some(RulesCommand::List) => list(global, screen),
        Some(RulesCommand::Add(options)) => add(options, global, screen),
        Some(RulesCommand::Delete { rule_id }) => delete(rule_id, global, screen),
    }
}

fn list(global: &GlobalOptions, screen: Screen) -> Result<(), Stop> {
    let reply = Target::open(global)?.call("listApprovalRules", "{}")?;
    if screen.json {
        return line(&reply.body);
    }
    let listed: Listed = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    if listed.rules.is_empty() {
        return line("nothing needs an approval: haldir approvals rules add says what does");
    }
    let rows: Vec<_> = listed.rules.into_iter().map(Rule::row).collect();
    table(&["RULE", "WHAT NEEDS AN APPROVAL", "WHO DECIDES", "ADDED BY", "ADDED"], &rows)
}

impl Rule {
    fn row(self) -> Vec<String> {
        let who = if self.operator_only { "an operator" } else { "an operator, or the person at the client" };
        let what = match self.kind.as_str() {
            "spend_over" => format!("payments over {}", dollars(self.threshold.unwrap_or_default())),
            "tool_blocked" => format!("calls of {}", self.tools.join(", ")),
            "destructive" => "calls that destroy or overwrite something".to_owned(),
            "all" => "everything".to_owned(),
            other => other.to_owned(),
        };
        vec![self.id, what, who.to_owned(), self.created_by, when(self.created_at)]
    }
}

fn add(options: &AddOptions, global: &GlobalOptions, screen: Screen) -> Result<(), Stop> {
    let AddOptions { kind, threshold, tools, operator_only } = options;
    let input = Input { kind, threshold: *threshold, tools: tools.as_deref(), operator_only: *operator_only };
    let input = serde_json::to_string(&input).map_err(Error::internal)?;
    let reply = Target::open_or_create(global)?.call("addApprovalRule", &input)?;
    if screen.json {
        return line(&reply.body);
    }
    let added: Added = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    line(&printable(&format!("added {}", added.rule_id)))
}

fn delete(rule_id: &str, global: &GlobalOptions, screen: Screen) -> Result<(), Stop> {
    let reply = Target::open(global)?.call("deleteApprovalRule", &json!({"rule_id": rule_id}).to_string())?;
    if screen.json { line(&reply.body) } else { line(&printable(&format!("deleted {rule_id}"))) }
}
