//! `haldir policy`: what may be called of upstream servers, by whoever holds the store's files.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    GlobalOptions, Screen, Stop,
    output::{line, printable, table},
    target::Target,
};
use crate::{
    error::Error,
    operations::proxied::{CEDAR_SCHEMA, MAX_CEDAR_BYTES},
};

/// Characters that a list shows of a field.
const MAX_SHOWN_CHARS: usize = 200;

#[derive(Subcommand)]
pub enum PolicyCommand {
    /// Add a policy: from the next call on it holds, in every process on this store.
    #[command(after_help = "Examples:\n  haldir policy add block_tool --tool github.delete_repo\n  haldir policy add \
                            rate_limit --max-per-minute 30\n  haldir policy add spend_limit --max 100 --argument \
                            /amount\n  haldir policy add cedar --file examples/policies/reader.cedar")]
    Add(PolicyOptions),
    /// List the policies, oldest first.
    #[command(after_help = "Example:\n  haldir policy list --json | jq '.policies[].type'")]
    List,
    /// Show what a policy would have refused of the calls in the log, without adding it.
    #[command(after_help = "Example:\n  haldir policy test spend_limit --max 20 --calls 1000")]
    Test(TestOptions),
    /// Print the schema that policies of the type cedar are written for.
    #[command(after_help = "Example:\n  haldir policy schema > haldir.cedarschema")]
    Schema,
    /// Remove a policy.
    #[command(visible_aliases = ["rm", "delete"], after_help = "Example:\n  haldir policy remove pol_Q7hYc0mXw2uT9kLr5tBfZg")]
    Remove(RemoveOptions),
}

#[derive(Args)]
pub struct PolicyOptions {
    /// The kind of policy.
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
    max: Option<String>,
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
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Only log what it would refuse.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args)]
pub struct TestOptions {
    #[command(flatten)]
    policy: PolicyOptions,
    /// How many of the newest calls to look at. Default: 1000.
    #[arg(long, value_name = "N")]
    calls: Option<i64>,
}

#[derive(Args)]
pub struct RemoveOptions {
    /// The policy, as `haldir policy list` names it.
    #[arg(value_name = "POLICY")]
    policy_id: String,
}

impl PolicyOptions {
    /// As the operation takes it; what was not said is left out.
    fn input(&self) -> Result<Map<String, Value>, Error> {
        let max = self.max.as_ref().map(|max| serde_json::from_str::<serde_json::Number>(max)).transpose();
        let max = max.map_err(|_| Error::invalid("max", "--max must be a number"))?;
        let cedar = self.file.as_deref().map(policy_set).transpose()?;
        let mut input = json!({
            "cedar": cedar, "type": self.policy_type, "tool": self.tool, "tools": self.tools, "max": max, "argument": self.argument,
            "max_per_minute": self.max_per_minute, "start_hour": self.start_hour, "end_hour": self.end_hour,
        });
        let fields = input.as_object_mut().map(std::mem::take).unwrap_or_default();
        let mut fields: Map<_, _> = fields.into_iter().filter(|(_, value)| !value.is_null()).collect();
        if self.dry_run {
            fields.insert("dry_run".to_owned(), Value::Bool(true));
        }
        Ok(fields)
    }
}

/// The text of a policy set.
fn policy_set(path: &Path) -> Result<String, Error> {
    let read = || -> io::Result<String> {
        let mut text = String::new();
        let most = u64::try_from(MAX_CEDAR_BYTES).unwrap_or(u64::MAX).saturating_add(1);
        if path == Path::new("-") {
            io::stdin().lock().take(most).read_to_string(&mut text)?;
        } else {
            fs::File::open(path)?.take(most).read_to_string(&mut text)?;
        }
        Ok(text)
    };
    let text = read().map_err(|error| Error::invalid("file", format!("{}: {error}", path.display())))?;
    if text.len() > MAX_CEDAR_BYTES {
        let message = format!("{}: a Cedar policy set has at most {MAX_CEDAR_BYTES} bytes", path.display());
        return Err(Error::invalid("file", message));
    }
    Ok(text)
}

pub fn run(command: &PolicyCommand, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    match command {
        PolicyCommand::Add(options) => {
            let input = Value::Object(options.input()?).to_string();
            let reply = Target::open_or_create(global)?.call("addProxyPolicy", &input)?;
            let answer: Value = serde_json::from_str(&reply.body).map_err(Error::internal)?;
            let warnings = answer["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let added = answer["policy_id"].as_str().unwrap_or_default();
            say(screen, &reply.body, &format!("added {added}"))?;
            for warning in warnings.filter(|_| !screen.json) {
                line(&printable(&format!("warning: {warning}")))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        PolicyCommand::List => list(global, screen),
        PolicyCommand::Schema => {
            let schema = json!({"schema": CEDAR_SCHEMA}).to_string();
            line(if screen.json { &schema } else { CEDAR_SCHEMA.trim_end() })?;
            Ok(ExitCode::SUCCESS)
        }
        PolicyCommand::Test(options) => test(options, global, screen),
        PolicyCommand::Remove(options) => {
            let input = json!({"policy_id": options.policy_id}).to_string();
            let reply = Target::open(global)?.call("deleteProxyPolicy", &input)?;
            say(screen, &reply.body, &format!("removed {}", options.policy_id))
        }
    }
}

fn say(screen: Screen, json: &str, text: &str) -> Result<ExitCode, Stop> {
    line(&if screen.json { json.to_owned() } else { printable(text) })?;
    Ok(ExitCode::SUCCESS)
}

fn list(global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let reply = Target::open(global)?.call("listProxyPolicies", "{}")?;
    if screen.json {
        return say(screen, &reply.body, "");
    }
    let answer: Value = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    let policies = answer["policies"].as_array().cloned().unwrap_or_default();
    if policies.is_empty() {
        return say(screen, "", "there is no policy: tools are called by every session with the scope execute");
    }
    let rows: Vec<_> = policies.iter().map(row).collect();
    table(&["POLICY", "TYPE", "SAYS", "ADDED BY"], &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn row(policy: &Value) -> Vec<String> {
    let text = |name: &str| policy[name].as_str().unwrap_or_default().to_owned();
    let about = ["tool", "tools", "max", "argument", "max_per_minute", "start_hour", "end_hour", "cedar", "dry_run"];
    let said = about.iter().filter(|name| !policy[**name].is_null()).map(|name| said(name, &policy[*name]));
    vec![text("policy_id"), text("type"), said.collect::<Vec<_>>().join(", "), text("created_by")]
}

/// A field of a policy; of a policy set its beginning.
fn said(name: &str, value: &Value) -> String {
    let text = value.to_string();
    let shown: String = text.chars().take(MAX_SHOWN_CHARS).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("{name} {shown}{more}")
}

#[derive(Deserialize)]
struct Tested {
    calls: i64,
    would_refuse: i64,
    refusals: Vec<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    entry_id: String,
    tool: String,
    agent_id: String,
    at: String,
    was: String,
    reason: String,
}

fn test(options: &TestOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let mut input = options.policy.input()?;
    if let Some(calls) = options.calls {
        input.insert("calls".to_owned(), calls.into());
    }
    let reply = Target::open(global)?.call("testProxyPolicy", &Value::Object(input).to_string())?;
    if screen.json {
        return say(screen, &reply.body, "");
    }
    let tested: Tested = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    let row = |refusal: Refusal| {
        vec![refusal.entry_id, refusal.at, refusal.agent_id, refusal.tool, refusal.was, refusal.reason]
    };
    let rows: Vec<_> = tested.refusals.into_iter().map(row).collect();
    if !rows.is_empty() {
        table(&["ENTRY", "TIME", "AGENT", "TOOL", "WAS", "WOULD BE REFUSED BECAUSE"], &rows)?;
    }
    line(&format!("{} of {} calls would be refused", tested.would_refuse, tested.calls))?;
    Ok(ExitCode::SUCCESS)
}
