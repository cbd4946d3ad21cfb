//! `haldir upstreams`: MCP servers behind haldir, by whoever holds the store's files.

mod logs;

use std::{collections::BTreeMap, process::ExitCode};

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    GlobalOptions, Screen, Stop,
    output::{line, note, printable, table},
    target::Target,
};
use crate::error::Error;

#[derive(Subcommand)]
pub enum UpstreamsCommand {
    /// List the upstream servers, whether they answer, and what was called of them.
    #[command(
        after_help = "Examples:\n  haldir upstreams list\n  haldir upstreams list --json | jq '.upstreams | keys'"
    )]
    List,
    /// Register a server, and pin its tools as they are now. Registering a name again replaces its address.
    #[command(
        after_help = "Examples:\n  haldir upstreams add github https://mcp.example.com/mcp\n  haldir upstreams add \
                            github https://mcp.example.com/mcp \\\n    --header 'Authorization: Bearer {{secret:github}}'"
    )]
    Add(AddOptions),
    /// Remove a server with its tools and their pins.
    #[command(visible_aliases = ["rm", "delete"], after_help = "Example:\n  haldir upstreams remove github")]
    Remove(NameOption),
    /// List the tools of all servers, or of one, with those that changed and are in quarantine.
    #[command(after_help = "Examples:\n  haldir upstreams tools\n  haldir upstreams tools github --changed --json")]
    Tools(ToolsOptions),
    /// Accept tools that changed as their server offers them now, after a look at the difference.
    #[command(
        after_help = "Examples:\n  haldir upstreams accept github create_issue\n  haldir upstreams accept github --yes"
    )]
    Accept(AcceptOptions),
    /// Show the end of what a wrapped server wrote to standard error.
    #[command(after_help = "Example:\n  haldir upstreams logs github --lines 20")]
    Logs(logs::LogsOptions),
}

#[derive(Args)]
pub struct AddOptions {
    /// Its name, which stands in front of its tools' names.
    name: String,
    /// Its address.
    address: String,
    /// A header of every request, with {{secret:NAME}} for a credential. May be repeated.
    #[arg(long, value_name = "NAME: VALUE", value_parser = parse_header)]
    header: Vec<(String, String)>,
}

#[derive(Args)]
pub struct NameOption {
    /// Its name.
    name: String,
}

#[derive(Args)]
pub struct ToolsOptions {
    /// Only those of this server.
    name: Option<String>,
    /// Only those that changed.
    #[arg(long)]
    changed: bool,
}

#[derive(Args)]
pub struct AcceptOptions {
    /// The server.
    name: String,
    /// The tool's own name. Default: all that changed, with --yes.
    tool: Option<String>,
    /// Accept without another word. Otherwise only what would be accepted is shown.
    #[arg(long)]
    yes: bool,
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected a name, a colon and a value")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

pub fn run(command: &UpstreamsCommand, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    match command {
        UpstreamsCommand::List => list(global, screen),
        UpstreamsCommand::Add(options) => add(options, global, screen),
        UpstreamsCommand::Remove(options) => {
            let input = json!({"name": options.name}).to_string();
            let reply = Target::open(global)?.call("deleteUpstream", &input)?;
            say(screen, &reply.body, &format!("removed {}", options.name))
        }
        UpstreamsCommand::Tools(options) => tools(options, global, screen),
        UpstreamsCommand::Accept(options) => accept(options, global, screen),
        UpstreamsCommand::Logs(options) => {
            global.require_no_server()?;
            logs::run(options, global, screen)
        }
    }
}

fn say(screen: Screen, json: &str, text: &str) -> Result<ExitCode, Stop> {
    line(&if screen.json { json.to_owned() } else { printable(text) })?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Deserialize)]
struct Listed {
    upstreams: BTreeMap<String, Listing>,
}

#[derive(Deserialize)]
struct Listing {
    url: String,
    healthy: bool,
    error: String,
    tools: usize,
    quarantined: usize,
    total_calls: i64,
    total_errors: i64,
    avg_latency_ms: f64,
}

fn list(global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let reply = Target::open(global)?.call("listUpstreams", "{}")?;
    if screen.json {
        return say(screen, &reply.body, "");
    }
    let listed: Listed = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    if listed.upstreams.is_empty() {
        return say(screen, "", "no upstream server is registered: `haldir upstreams add NAME ADDRESS` registers one");
    }
    let rows: Vec<_> = listed.upstreams.into_iter().map(row).collect();
    table(&["NAME", "STATE", "TOOLS", "CHANGED", "CALLS", "FAILED", "MEAN", "ADDRESS"], &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn row((name, listing): (String, Listing)) -> Vec<String> {
    let state = if listing.healthy { "ok".to_owned() } else { listing.error };
    let address = if listing.url.is_empty() { "(a child process)".to_owned() } else { listing.url };
    let mean = format!("{:.1} ms", listing.avg_latency_ms);
    let count = |count: usize| count.to_string();
    let (calls, failed) = (listing.total_calls.to_string(), listing.total_errors.to_string());
    vec![name, state, count(listing.tools), count(listing.quarantined), calls, failed, mean, address]
}

fn add(options: &AddOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let headers: BTreeMap<_, _> = options.header.iter().cloned().collect();
    let input = json!({"name": options.name, "url": options.address, "headers": headers}).to_string();
    let reply = Target::open_or_create(global)?.call("registerUpstream", &input)?;
    let answer: Value = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    let text = match answer["healthy"].as_bool() {
        Some(true) => {
            format!("registered {}: {} tools, pinned as they are now", options.name, answer["tools_discovered"])
        }
        _ => format!(
            "registered {}, but it does not answer: {}",
            options.name,
            answer["error"].as_str().unwrap_or_default()
        ),
    };
    say(screen, &reply.body, &text)
}

#[derive(Deserialize)]
struct ListedTools {
    tools: Vec<Tool>,
}

#[derive(Deserialize)]
struct Tool {
    full_name: String,
    state: String,
    description: String,
    warnings: Vec<String>,
    offered: Value,
}

fn tools(options: &ToolsOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let state = options.changed.then_some("changed");
    let input = json!({"upstream": options.name, "state": state}).to_string();
    let reply = Target::open(global)?.call("listProxyTools", &input)?;
    if screen.json {
        return say(screen, &reply.body, "");
    }
    let listed: ListedTools = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    if listed.tools.is_empty() {
        return say(
            screen,
            "",
            "no such tool: haldir upstreams list shows the servers, haldir upstreams tools all tools",
        );
    }
    let row = |tool: Tool| {
        let description: String = tool.description.chars().take(80).collect();
        vec![tool.full_name, tool.state, tool.warnings.join("; "), description]
    };
    let rows: Vec<_> = listed.tools.into_iter().map(row).collect();
    table(&["TOOL", "STATE", "WARNINGS", "DESCRIPTION"], &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn accept(options: &AcceptOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let target = Target::open(global)?;
    if options.tool.is_none() && !options.yes {
        let input = json!({"upstream": options.name, "state": "changed"}).to_string();
        let reply = target.call("listProxyTools", &input)?;
        let listed: ListedTools = serde_json::from_str(&reply.body).map_err(Error::internal)?;
        for tool in &listed.tools {
            line(&printable(&format!("{}: offered now as {}", tool.full_name, tool.offered)))?;
        }
        note(&format!("{} changed; name one of them, or say --yes, to accept", listed.tools.len()));
        return Ok(ExitCode::FAILURE);
    }
    let input = json!({"name": options.name, "tool": options.tool}).to_string();
    let reply = target.call("acceptTools", &input)?;
    let answer: Value = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    let names: Vec<_> = answer["accepted"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let text =
        if names.is_empty() { "nothing has changed".to_owned() } else { format!("accepted {}", names.join(", ")) };
    say(screen, &reply.body, &text)
}
