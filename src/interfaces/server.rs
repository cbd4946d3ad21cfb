//! The program `haldir-mcp`: MCP over standard input and output by default, `serve` for HTTP, `wrap` for another server.

mod health;
mod listen;
mod local;
mod over_http;
mod wrapped;

use std::{io::Write, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use health::HealthOptions;
use over_http::ServeOptions;

#[cfg(unix)]
use crate::upstream::watchdog;
use crate::{
    call::Settings,
    config::{CeilingOptions, LimitOptions, StoreOptions, without_empty_variables},
    error::{Error, Result},
    interfaces::{cli, version},
    relay::elicitation::DecisionOptions,
    relay::options::WrapOptions,
};

/// Governance for AI agents, as an MCP server: sessions with scopes and budgets, a vault, and an audit log that
/// nobody can rewrite unnoticed.
///
/// Without a command it serves MCP over standard input and output, as an MCP client starts it.
#[derive(Parser)]
#[command(name = "haldir-mcp", version, max_term_width = cli::HELP_WIDTH)]
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
    Serve(ServeOptions),
    /// Stand in front of an MCP server that speaks on standard input and output: its own tools, prompts and resources,
    /// every call governed.
    Wrap(WrapOptions),
    /// Ask the server on this machine whether it can do its work, for health checks of containers: exit code 0 if it can, else 1 and why.
    Health(HealthOptions),
}

impl Cli {
    /// The settings of a haldir on the store.
    fn settings(&self, store: &StoreOptions) -> Result<Settings> {
        let settings = store.settings(&self.ceilings)?;
        Ok(Settings { upstreams: self.limits.upstreams(store.upstream_limits), ..settings })
    }
}

/// The arguments of the program.
pub fn command() -> clap::Command {
    cli::help::with_texts(Cli::command())
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
    if version::is_asked_for(std::env::args_os().skip(1)) {
        // A closed output has no reader.
        let _ = writeln!(std::io::stdout(), "{}", version::document("haldir-mcp"));
        return ExitCode::SUCCESS;
    }
    let matches = without_empty_variables(command()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let outcome = match &cli.command {
        None => local::serve(&cli),
        Some(Command::Serve(options)) => over_http::serve(&cli, options),
        Some(Command::Wrap(options)) => wrapped::serve(&cli, options),
        Some(Command::Health(options)) => health::check(options),
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
