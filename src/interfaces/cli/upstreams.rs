//! `haldir upstreams`: MCP servers behind haldir.

use std::{
    collections::BTreeMap,
    fs,
    io::{ErrorKind, Read, Seek, SeekFrom},
    path::Path,
    process::ExitCode,
};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    CommandError, GlobalOptions,
    output::{line, note, printable, table_or, word},
    target::Target,
};
use crate::{
    error::{Code, Error, Result},
    model::UpstreamName,
    proxy::{
        accept_tool::ToolsAccepted,
        list_tools::{ProxyTools, ToolDetail},
        list_upstreams::{UpstreamDetail, UpstreamList},
    },
    upstream::stderr_log,
};

/// Bytes of a log that are read, from its end.
const MAX_READ: u64 = 2 * 1024 * 1024;

#[derive(Subcommand)]
pub enum UpstreamsCommand {
    /// List the upstream servers, whether they answer, and what was called of them.
    List,
    /// Register a server, and pin its tools as they are now. Registering a name again replaces its address.
    Add(AddOptions),
    /// Remove a server with its tools and their pins.
    #[command(visible_aliases = ["rm", "delete"])]
    Remove {
        /// Its name.
        name: String,
    },
    /// List the tools of all servers, or of one, with those that changed and are in quarantine.
    Tools(ToolsOptions),
    /// Accept tools that changed as their server offers them now, after a look at the difference.
    Accept(AcceptOptions),
    /// Show the end of what a wrapped server wrote to standard error.
    Logs(LogsOptions),
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

#[derive(Args)]
pub struct LogsOptions {
    /// The server, as it was named to `haldir-mcp wrap` or in the config file.
    #[arg(value_name = "NAME")]
    name: String,
    /// How many lines, from the end.
    #[arg(long, value_name = "N", default_value_t = 100)]
    lines: usize,
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected a name, a colon and a value")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

pub fn run(command: &UpstreamsCommand, global: &GlobalOptions) -> Result<ExitCode, CommandError> {
    match command {
        UpstreamsCommand::List => list(global),
        UpstreamsCommand::Add(options) => add(options, global),
        UpstreamsCommand::Remove { name } => {
            global.done("deleteUpstream", json!({"name": name}), &format!("removed {name}"))
        }
        UpstreamsCommand::Tools(options) => tools(options, global),
        UpstreamsCommand::Accept(options) => return accept(options, global),
        UpstreamsCommand::Logs(options) => {
            global.require_no_server()?;
            logs(options, global)
        }
    }?;
    Ok(ExitCode::SUCCESS)
}

fn list(global: &GlobalOptions) -> Result<(), CommandError> {
    let none = "no upstream server is registered: `haldir upstreams add NAME ADDRESS` registers one";
    let header = ["NAME", "STATE", "TOOLS", "CHANGED", "CALLS", "FAILED", "MEAN", "ADDRESS"];
    global.show("listUpstreams", json!({}), |list: UpstreamList| {
        table_or(none, &header, list.upstreams.into_iter().map(row))
    })
}

fn row((name, upstream): (String, UpstreamDetail)) -> Vec<String> {
    let state = if upstream.healthy { "ok".to_owned() } else { upstream.error };
    let address = if upstream.url.is_empty() { "(a child process)".to_owned() } else { upstream.url };
    let mean = format!("{:.1} ms", upstream.avg_latency_ms);
    let [tools, changed] = [upstream.tools, upstream.quarantined].map(|count| count.to_string());
    let [calls, failed] = [upstream.total_calls, upstream.total_errors].map(|count| count.to_string());
    vec![name, state, tools, changed, calls, failed, mean, address]
}

fn add(options: &AddOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    let AddOptions { name, address, header } = options;
    let headers: BTreeMap<_, _> = header.iter().cloned().collect();
    let input = json!({"name": name, "url": address, "headers": headers});
    Target::open_or_create(global)?.show(global, "registerUpstream", input, |answer: Value| {
        let text = if answer["healthy"].as_bool() == Some(true) {
            format!("registered {name}: {} tools, pinned as they are now", answer["tools_discovered"])
        } else {
            let problem = answer["error"].as_str().unwrap_or_default();
            format!("registered {name}, but it does not answer: {problem}")
        };
        line(&printable(&text))
    })
}

fn tools(options: &ToolsOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    let input = json!({"upstream": options.name, "state": options.changed.then_some("changed")});
    let none = "no such tool: haldir upstreams list shows the servers, haldir upstreams tools all tools";
    let row = |tool: ToolDetail| {
        let description: String = tool.description.chars().take(80).collect();
        vec![tool.full_name, word(tool.state), tool.warnings.join("; "), description]
    };
    global.show("listProxyTools", input, |list: ProxyTools| {
        table_or(none, &["TOOL", "STATE", "WARNINGS", "DESCRIPTION"], list.tools.into_iter().map(row))
    })
}

fn accept(options: &AcceptOptions, global: &GlobalOptions) -> Result<ExitCode, CommandError> {
    let target = Target::open(global)?;
    if options.tool.is_none() && !options.yes {
        let input = json!({"upstream": options.name, "state": "changed"});
        let ProxyTools { tools, .. } = target.read("listProxyTools", input)?;
        for tool in &tools {
            line(&printable(&format!("{}: offered now as {}", tool.full_name, tool.offered)))?;
        }
        note(&format!("{} changed; name one of them, or say --yes, to accept", tools.len()));
        return Ok(ExitCode::FAILURE);
    }
    let input = json!({"name": options.name, "tool": options.tool});
    target.show(global, "acceptTools", input, |ToolsAccepted { accepted, .. }| {
        let text = format!("accepted {}", accepted.join(", "));
        line(&if accepted.is_empty() { "nothing has changed".to_owned() } else { printable(&text) })
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Shows what the wrapped servers of this machine wrote to standard error.
fn logs(options: &LogsOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    // Parsed, so that no name leads out of the folder.
    let name = UpstreamName::parse(options.name.clone()).map_err(|problem| Error::invalid("name", problem))?;
    let path = stderr_log::path(&global.store.local_files()?, &name);
    let mut text = tail(&stderr_log::older(&path))?.unwrap_or_default();
    let Some(current) = tail(&path)? else {
        let message = format!("there is no log of {name}: no server of that name was started on this store");
        return Err(Error::new(Code::NotFound, message).into());
    };
    text.push_str(&current);
    let all: Vec<_> = text.lines().collect();
    let shown = &all[all.len().saturating_sub(options.lines)..];
    if global.json {
        return line(&json!({"name": name, "file": path.display().to_string(), "lines": shown}).to_string());
    }
    shown.iter().try_for_each(|row| line(&printable(row)))
}

/// The end of a file; `None` if it is not there.
fn tail(path: &Path) -> Result<Option<String>> {
    let read = || {
        let mut file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(MAX_READ)))?;
        let mut bytes = Vec::new();
        file.take(MAX_READ).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    match read() {
        Ok(text) => Ok(Some(text)),
        Err(error) if std::io::Error::kind(&error) == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::new(Code::Unavailable, format!("{} cannot be read: {error}", path.display()))),
    }
}
