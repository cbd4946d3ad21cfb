//! `haldir policy`: what may be called of upstream servers.

use std::path::Path;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    CommandError, GlobalOptions,
    files::{read_bounded, read_text},
    output::{line, printable, shortened, table_or},
    target::Target,
};
use crate::{
    model::Money,
    operations::proxied::{CEDAR_SCHEMA, MAX_CEDAR_BYTES},
    proxy::{
        add_policy::ProxyPolicyAdded,
        test_policy::{PolicyTested, WouldRefuse},
    },
};

/// Characters that a list shows of a field.
const MAX_SHOWN_CHARS: usize = 200;

#[derive(Subcommand)]
pub enum PolicyCommand {
    /// Add a policy: from the next call on it holds, in every process on this store.
    Add(PolicyOptions),
    /// List the policies, oldest first.
    List,
    /// Show what a policy would have refused of the calls in the log, without adding it.
    Test(TestOptions),
    /// Print the schema that policies of the type cedar are written for.
    Schema,
    /// Remove a policy.
    #[command(visible_aliases = ["rm", "delete"])]
    Remove {
        /// The policy, as `haldir policy list` names it.
        #[arg(value_name = "POLICY")]
        policy_id: String,
    },
}

/// The input of `addProxyPolicy`.
#[derive(Args, Serialize)]
pub struct PolicyOptions {
    /// The kind of policy.
    #[serde(rename = "type")]
    #[arg(value_name = "TYPE", value_parser = ["block_tool", "allow_list", "deny_list", "spend_limit", "rate_limit", "time_window", "cedar"])]
    policy_type: String,
    /// The tool: `upstream.tool`, `tool`, `upstream.*` or `*`.
    #[arg(long)]
    tool: Option<String>,
    /// Tools, separated by commas.
    #[arg(long, value_delimiter = ',')]
    tools: Option<Vec<String>>,
    /// The largest amount of one call, in USD.
    #[arg(long, value_name = "USD")]
    max: Option<Money>,
    /// Where in the arguments the amount stands, such as /amount.
    #[arg(long, value_name = "POINTER")]
    argument: Option<String>,
    /// Calls of one agent within any minute.
    #[arg(long, value_name = "N")]
    max_per_minute: Option<i64>,
    /// The first hour, UTC.
    #[arg(long, value_name = "HOUR")]
    start_hour: Option<i64>,
    /// The hour that it ends before, UTC.
    #[arg(long, value_name = "HOUR")]
    end_hour: Option<i64>,
    /// Of cedar: the policy set, in Cedar; `-` is standard input.
    #[arg(long = "file", value_name = "FILE", value_parser = policy_set)]
    cedar: Option<String>,
    /// Only log what it would refuse.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args, Serialize)]
pub struct TestOptions {
    #[command(flatten)]
    #[serde(flatten)]
    policy: PolicyOptions,
    /// How many of the newest calls to look at. Default: 1000.
    #[arg(long, value_name = "N")]
    calls: Option<i64>,
}

/// Reads the text of a policy set.
fn policy_set(path: &str) -> Result<String, String> {
    let most = u64::try_from(MAX_CEDAR_BYTES).unwrap_or(u64::MAX);
    if path != "-" {
        return read_text(Path::new(path), most);
    }
    let mut text = String::new();
    let read = read_bounded(std::io::stdin().lock(), most, &mut text);
    read.map(|()| text).map_err(|error| format!("standard input: {error}"))
}

pub fn run(command: &PolicyCommand, global: &GlobalOptions) -> Result<(), CommandError> {
    match command {
        PolicyCommand::Add(options) => {
            Target::open_or_create(global)?.show(global, "addProxyPolicy", options, |added: ProxyPolicyAdded| {
                line(&format!("added {}", added.policy_id))?;
                added.warnings.iter().try_for_each(|warning| line(&printable(&format!("warning: {warning}"))))
            })
        }
        PolicyCommand::List => {
            let none = "there is no policy: tools are called by every session with the scope execute";
            global.show("listProxyPolicies", json!({}), |list: Value| {
                let policies = list["policies"].as_array().into_iter().flatten();
                table_or(none, &["POLICY", "TYPE", "SAYS", "ADDED BY"], policies.map(row))
            })
        }
        PolicyCommand::Schema if global.json => line(&json!({"schema": CEDAR_SCHEMA}).to_string()),
        PolicyCommand::Schema => line(CEDAR_SCHEMA.trim_end()),
        PolicyCommand::Test(options) => global.show("testProxyPolicy", options, |tested: PolicyTested| {
            let (calls, would_refuse) = (tested.calls, tested.would_refuse);
            if !tested.refusals.is_empty() {
                let header = ["ENTRY", "TIME", "AGENT", "TOOL", "WAS", "WOULD BE REFUSED BECAUSE"];
                table_or("", &header, tested.refusals.into_iter().map(refusal_row))?;
            }
            line(&format!("{would_refuse} of {calls} calls would be refused"))
        }),
        PolicyCommand::Remove { policy_id } => {
            global.done("deleteProxyPolicy", json!({"policy_id": policy_id}), &format!("removed {policy_id}"))
        }
    }
}

fn row(policy: &Value) -> Vec<String> {
    const FIELDS: [&str; 9] =
        ["tool", "tools", "max", "argument", "max_per_minute", "start_hour", "end_hour", "cedar", "dry_run"];
    let text = |name: &str| policy[name].as_str().unwrap_or_default().to_owned();
    let given = FIELDS.iter().filter(|name| !policy[**name].is_null());
    let says: Vec<_> =
        given.map(|name| format!("{name} {}", shortened(&policy[*name].to_string(), MAX_SHOWN_CHARS))).collect();
    vec![text("policy_id"), text("type"), says.join(", "), text("created_by")]
}

fn refusal_row(refusal: WouldRefuse) -> Vec<String> {
    let WouldRefuse { entry_id, tool, agent_id, at, was, reason } = refusal;
    vec![entry_id.to_string(), at, agent_id, tool, was.into_owned(), reason]
}
