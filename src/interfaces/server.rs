//! The program `haldir-mcp`: MCP over standard input and output by default, `serve` for HTTP, `wrap` for another server.

mod local;
mod over_http;
mod wrapped;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use over_http::ServeOptions;

#[cfg(unix)]
use crate::upstream::watchdog;
use crate::{
    call::Settings,
    config::{CeilingOptions, LimitOptions, StoreOptions, without_empty_variables},
    error::{Error, Result},
    interfaces::cli,
    relay::elicitation::DecisionOptions,
    relay::options::WrapOptions,
};

/// What is set by the environment alone, since it is a secret or concerns stdio only.
const ENVIRONMENT: &str = "Examples:
  haldir-mcp serve --listen 127.0.0.1:8000
  haldir-mcp wrap --name github -- npx -y some-mcp-server
  claude mcp add haldir -- haldir-mcp

Environment:
  HALDIR_API_KEY          A key of the store, on stdio; without it the agent
                          works as the local tenant
  HALDIR_BASE_URL         Serve the tools of the haldir at this address instead,
                          on stdio
  HALDIR_ENCRYPTION_KEY   32 bytes as base64; without it there is a key file
                          beside the database
  HALDIR_BOOTSTRAP_TOKEN  Lets its bearer make the first key of a tenant, over
                          HTTP
  HALDIR_METRICS_TOKEN    Lets its bearer read /metrics, besides operators, over
                          HTTP
  HALDIR_LOG              What is logged on standard error, such as debug
  PORT                    With serve: listen on this port of every address
  SSL_CERT_FILE           Certificate authorities to trust, in PEM, instead of
                          the system's
  OTEL_EXPORTER_OTLP_ENDPOINT and other standard variables of OpenTelemetry:
                          where spans and figures go";

const SERVE_EXAMPLES: &str = "\
Examples:
  haldir-mcp serve
  haldir-mcp serve --listen 0.0.0.0:8000 --public-url https://haldir.example.com";

const WRAP_EXAMPLES: &str = "\
Examples:
  haldir-mcp wrap --name github -- npx -y some-mcp-server
  haldir-mcp wrap --name files --scopes read --budget 5 --ttl 8h -- \\
    npx -y @modelcontextprotocol/server-filesystem ~/notes";

/// Governance for AI agents, as an MCP server: sessions with scopes and budgets, a vault, and an audit log that
/// nobody can rewrite unnoticed.
///
/// Without a command it serves MCP over standard input and output, as an MCP client starts it.
#[derive(Parser)]
#[command(name = "haldir-mcp", version, max_term_width = cli::HELP_WIDTH, after_help = ENVIRONMENT)]
struct Cli {
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    ceilings: CeilingOptions,
    #[command(flatten)]
    limits: LimitOptions,
    #[command(flatten)]
    decisions: DecisionOptions,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve MCP and the REST API over HTTP.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServeOptions),
    /// Stand in front of an MCP server that speaks on standard input and output: its own tools, prompts and resources,
    /// every call governed.
    #[command(after_help = WRAP_EXAMPLES)]
    Wrap(WrapOptions),
}

impl Cli {
    /// The settings of a haldir on the store.
    fn settings(&self) -> Result<Settings> {
        let settings = self.store.settings(&self.ceilings)?;
        Ok(Settings { upstreams: self.limits.upstreams(self.store.upstream_limits), ..settings })
    }
}

/// The arguments of the program.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Does what the command line says. With [`cli::COMMAND`] as its first argument, the program is the terminal client.
pub fn run() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == cli::COMMAND) {
        return cli::run();
    }
    #[cfg(unix)]
    {
        // Before anything is parsed or read: it is started again and again, and has nothing to do but wait.
        if std::env::args_os().skip(1).eq([watchdog::COMMAND]) {
            watchdog::run();
            return ExitCode::SUCCESS;
        }
        watchdog::enable();
    }
    let matches = without_empty_variables(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let outcome = match &cli.command {
        None => local::serve(&cli),
        Some(Command::Serve(options)) => over_http::serve(&cli, options),
        Some(Command::Wrap(options)) => wrapped::serve(&cli, options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("haldir-mcp: {error}");
            cli::exit_code(&error)
        }
    }
}

/// Ends when the process is asked to stop, by SIGTERM or Ctrl-C. The handlers are installed by the call, not by the first
/// poll: call it once the store is open, and a signal that comes before the future is awaited is not lost.
pub(in crate::interfaces) fn terminated() -> Result<impl Future<Output = ()> + Send + 'static> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).map_err(Error::internal)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::internal)?;
        Ok(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    {
        let mut interrupt = tokio::signal::windows::ctrl_c().map_err(Error::internal)?;
        Ok(async move {
            interrupt.recv().await;
        })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};

    use super::terminated;

    #[tokio::test]
    async fn a_signal_that_comes_before_anybody_waits_for_it_is_heard() {
        let asked_to_stop = terminated().unwrap();
        kill_process(getpid(), Signal::TERM).unwrap();
        tokio::time::timeout(Duration::from_secs(60), asked_to_stop).await.unwrap();
    }
}
