//! The terminal client: it operates the local store of this machine, or a haldir server.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 wrong arguments or settings. With `--json`, standard output holds
//! one JSON document in every case: the response, or the error as `{"error", "code", …}`.

mod agents;
mod approvals;
mod audit;
mod backup;
mod call;
mod clients;
mod compliance;
mod config;
mod dashboard;
mod doctor;
mod editor;
mod erase;
mod files;
pub mod help;
mod init;
mod install;
mod interruption;
mod keys;
mod live;
mod local;
mod log;
mod login;
mod manual;
mod migrate;
mod output;
mod overview;
mod payments;
mod policy;
mod profile;
mod progress;
mod prompt;
mod rekey;
mod restore;
mod retention;
mod secrets;
mod sessions;
mod spend;
mod status;
mod stdin;
mod stop;
mod target;
mod tenants;
mod top;
mod trail;
mod upstreams;
mod usage;
mod webhooks;
mod wrap_config;

pub(in crate::interfaces) use call::field;
use std::{collections::BTreeMap, ffi::OsString, process::ExitCode};

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, parser::ValueSource};
use output::CommandError;
pub use output::exit_code;

use crate::{
    config::{StoreOptions, logging, without_empty_variables},
    error::Error,
    model::TenantId,
};

/// The most columns of help texts: the width of the narrowest usual terminal.
pub const HELP_WIDTH: usize = 80;

/// Governance for AI agents, from a terminal: operate the local store of this machine, or a haldir server elsewhere.
///
/// Commands work on the local store, as its operator: no server is needed. With --url, or after haldir login, they go to
/// a server.
#[derive(Parser)]
#[command(name = "haldir", version, max_term_width = HELP_WIDTH)]
struct Cli {
    #[command(flatten, next_help_heading = "Options of every command")]
    global: GlobalOptions,
    #[command(flatten, next_help_heading = "Server")]
    server: ServerOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct GlobalOptions {
    #[command(flatten)]
    store: StoreOptions,
    /// The tenant of the local store to work in.
    #[arg(long, env = "HALDIR_TENANT", value_name = "ID", global = true, default_value = "local",
        value_parser = parse_tenant)]
    tenant: TenantId,
    /// A profile that `haldir login` stored: the command goes to its server. Default: `HALDIR_PROFILE`.
    #[arg(long, value_name = "NAME", global = true, value_parser = profile::parse_name)]
    profile: Option<String>,
    /// Write one JSON document to standard output, be it the answer or an error.
    #[arg(long, global = true)]
    json: bool,
    /// Where the command goes; the options stand in front of the command.
    #[arg(skip)]
    server: ServerOptions,
    /// The ids and values of the options that come from a flag, and not from the environment.
    #[arg(skip)]
    given: BTreeMap<String, String>,
}

/// Where commands go. Not global in clap's sense: an operation may have fields of these names, so that each
/// operation's own flags come first behind `call`.
#[derive(Args, Default)]
#[allow(clippy::doc_markdown)] // Help texts: a terminal would show the backticks.
struct ServerOptions {
    /// A haldir server to work on instead of the local store. Stands in front of the command. Default: HALDIR_BASE_URL.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The API key to act with; - reads it from standard input. Default: HALDIR_API_KEY, which other users of the machine do
    /// not see, as they do arguments. Without a key a command on the local store acts as its operator.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Store a server and its key, so that commands go there.
    Login(login::LoginOptions),
    /// Forget a server and its key.
    Logout(login::LogoutOptions),
    /// Say where commands go, and as whom; or list the profiles.
    Whoami(login::WhoamiOptions),
    /// Make, list and revoke API keys.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Decide what agents ask approval for: list, show, approve, deny.
    #[command(subcommand)]
    Approvals(approvals::ApprovalsCommand),
    /// Check the log, alone or from outside: verify, export, pin, mirror, witness.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Show what haldir does, on a store that is thrown away.
    #[command(subcommand)]
    Demo(audit::DemoCommand),
    /// Make evidence packs for auditors, check them offline, see the score, keep schedules.
    #[command(subcommand)]
    Compliance(compliance::ComplianceCommand),
    /// Have events sent to an address: list, add, delete, rotate, ping, deliveries, dead-letters, resend.
    #[command(subcommand)]
    Webhooks(webhooks::WebhooksCommand),
    /// Show what happened: calls with their arguments, and what came of them.
    Log(log::LogArguments),
    /// List, show and end sessions, with those below them.
    #[command(subcommand)]
    Sessions(sessions::SessionsCommand),
    /// List agents: what they may do now, and what they did.
    Agents(agents::AgentsOptions),
    /// Sum up what agents logged as cost: by agent, tool, session, day or month.
    Spend(spend::SpendOptions),
    /// Store, list and delete secrets.
    #[command(subcommand)]
    Secrets(secrets::SecretsCommand),
    /// List and settle the payments that agents were allowed.
    #[command(subcommand)]
    Payments(payments::PaymentsCommand),
    /// Show whether haldir works: one line for each of its parts.
    Status,
    /// Exit with 0 if haldir can do its work, else with 1.
    Ready,
    /// Stop an agent: end all of its sessions in one step.
    Stop(stop::StopOptions),
    /// Erase everything about one agent or one session; every proof of the log still holds.
    Erase(erase::EraseOptions),
    /// Say how long the details of log entries are kept: show, set, runs, prune.
    Retention(retention::RetentionOptions),
    /// Count the calls of a month.
    Usage(usage::UsageOptions),
    /// Show what stands at a glance: usage, sessions, secrets, log, webhooks, approvals.
    Overview(overview::OverviewOptions),
    /// Open the dashboard in a browser: of the local store, signed in, or of a server.
    Dashboard(dashboard::DashboardOptions),
    /// Fill the screen with the agents that act: calls, refusals, spending; and stop one with a key.
    Top(top::TopOptions),
    /// Register, list, accept and remove upstream MCP servers.
    #[command(subcommand)]
    Upstreams(upstreams::UpstreamsCommand),
    /// Say what may be called of upstream servers: add, list, test, remove.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// List and name the tenants of a store, or of a server with its bootstrap token.
    #[command(subcommand)]
    Tenants(tenants::TenantsCommand),
    /// Check the local installation: one line per check, and how to mend what is wrong.
    Doctor,
    /// Show the settings of both programs, and where each comes from.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Copy the local store while it is in use, and verify the copy.
    Backup(backup::BackupOptions),
    /// Put a backup in the place of the local store, unless that is newer.
    Restore(restore::RestoreOptions),
    /// Put a new encryption key into use for the local store.
    Rekey,
    /// Show, apply and verify the migrations of the local store; copy a store to Postgres or back.
    #[command(subcommand)]
    Migrate(migrate::MigrateCommand),
    /// Write a folder with what a server of your own needs: settings, systemd, compose, reverse proxies.
    Init(init::InitOptions),
    /// Add haldir to an MCP client's configuration, or take it out; or list the clients.
    Install(install::InstallOptions),
    /// Put haldir in front of every server that an MCP client starts, and take it away again.
    WrapConfig(wrap_config::WrapConfigOptions),
    /// Print the completions of a shell.
    Completions(manual::CompletionsOptions),
    /// Print a manual page, or write those of all commands.
    Man(manual::ManOptions),
    /// Call an operation: of the local store as its operator, or of a haldir elsewhere with --url and --key.
    #[command(subcommand)]
    Call(call::CallCommand),
}

impl GlobalOptions {
    /// Refuses `--url` and `--key` for a command about files of this machine.
    fn require_no_server(&self) -> Result<(), Error> {
        if self.server.url.is_none() && self.server.key.is_none() && self.profile.is_none() {
            return Ok(());
        }
        let message = "this command works on files of this machine: leave --url, --key and --profile out, and run it on the \
                       machine of the server that it is about";
        Err(Error::invalid("url", message))
    }
}

fn parse_tenant(text: &str) -> Result<TenantId, String> {
    TenantId::parse(text)
}

/// The arguments of the terminal client.
pub fn command() -> clap::Command {
    help::with_texts(Cli::command())
}

/// The first argument that makes `haldir-mcp` the terminal client. The program `haldir` adds it.
pub const COMMAND: &str = "terminal";

/// Runs the client on the arguments of the process behind [`COMMAND`].
pub fn run() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(2).collect();
    // Before parsing, since the error for a wrong argument is JSON too.
    let json = arguments.iter().any(|argument| argument == "--json");
    let called: Vec<_> = [OsString::from("haldir")].into_iter().chain(arguments.iter().cloned()).collect();
    let command = help::arranged(without_empty_variables(command()), &arguments);
    let matches = command.try_get_matches_from(&called);
    // clap names options from variables as part of the command: parse once more without them for the message.
    let matches = matches.map_err(|error| {
        let without = self::command().mut_args(|argument| argument.env(None::<&'static str>));
        let without = help::arranged(without, &arguments);
        without.try_get_matches_from(&called).err().filter(|plain| plain.kind() == error.kind()).unwrap_or(error)
    });
    let parsed = matches.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, given(&matches))));
    match parsed {
        Ok((mut cli, given)) => {
            cli.global.given = given;
            execute(cli).unwrap_or_else(|stop| stop.report(json))
        }
        Err(error) => output::explain_usage(&error, json),
    }
}

/// Options of every command that are settings, by their ids.
const SETTINGS: [&str; 5] = ["db", "config", "allow_private", "tool_names", "tenant"];

/// The settings that flags give.
fn given(matches: &ArgMatches) -> BTreeMap<String, String> {
    let is_given = |id: &&str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let text = |id: &str| {
        let values = matches.get_raw(id).into_iter().flatten().map(|value| value.to_string_lossy());
        (id.to_owned(), values.collect::<Vec<_>>().join(","))
    };
    SETTINGS.into_iter().filter(is_given).map(text).collect()
}

fn execute(cli: Cli) -> Result<ExitCode, CommandError> {
    let Cli { mut global, server, command } = cli;
    global.server = server;
    // Diagnosis and the demonstration report broken stores themselves. On a live screen there is no place for a log.
    let log = match &command {
        Command::Demo(_) | Command::Doctor | Command::Migrate(_) | Command::Top(_) => "off",
        Command::Overview(options) if options.is_live() => "off",
        Command::Approvals(command) if command.is_live() => "off",
        _ => "error",
    };
    logging::start(log)?;
    if matches!(
        command,
        Command::Backup(_)
            | Command::Restore(_)
            | Command::Rekey
            | Command::Migrate(migrate::MigrateCommand::Up | migrate::MigrateCommand::Copy(_))
    ) {
        target::require_no_key_of_environment()?;
    }
    if matches!(
        command,
        Command::Doctor
            | Command::Migrate(_)
            | Command::Backup(_)
            | Command::Restore(_)
            | Command::Rekey
            | Command::Install(_)
            | Command::WrapConfig(_)
            | Command::Init(_)
            | Command::Completions(_)
            | Command::Man(_)
            | Command::Demo(_)
    ) {
        global.require_no_server()?;
    }
    match command {
        Command::Audit(command) => return audit::run(command, &global),
        Command::Demo(command) => return audit::run_demo(&command, &global),
        Command::Keys(command) => return keys::run(&command, &global),
        Command::Approvals(command) => return approvals::run(&command, &global),
        Command::Compliance(command) => return compliance::run(&command, &global),
        Command::Log(arguments) => return log::run_command(&arguments, &global),
        Command::Status => return status::status(&global),
        Command::Ready => return status::ready(&global),
        Command::Overview(options) => return overview::run(&options, &global),
        Command::Top(options) => return top::run(&options, &global),
        Command::Upstreams(command) => return upstreams::run(&command, &global),
        Command::Doctor => return doctor::run(&global),
        Command::Migrate(command) => return migrate::run(&command, &global),
        Command::Login(options) => login::login(&options, &global),
        Command::Logout(options) => login::logout(&options, &global),
        Command::Whoami(options) => login::whoami(&options, &global),
        Command::Agents(options) => agents::run(&options, &global),
        Command::Spend(options) => spend::run(&options, &global),
        Command::Secrets(command) => secrets::run(&command, &global),
        Command::Payments(command) => payments::run(&command, &global),
        Command::Webhooks(command) => webhooks::run(&command, &global),
        Command::Sessions(command) => sessions::run(&command, &global),
        Command::Stop(options) => stop::run(&options, &global),
        Command::Erase(options) => erase::run(&options, &global),
        Command::Retention(options) => retention::run(&options, &global),
        Command::Usage(options) => usage::run(&options, &global),
        Command::Dashboard(options) => dashboard::run(&options, &global),
        Command::Policy(command) => policy::run(&command, &global),
        Command::Tenants(command) => tenants::run(&command, &global),
        Command::Config(command) => config::run(&command, &global),
        Command::Backup(options) => backup::run(&options, &global),
        Command::Restore(options) => restore::run(&options, &global),
        Command::Rekey => rekey::run(&global),
        Command::Init(options) => init::run(&options, &global),
        Command::Completions(options) => manual::completions(&options, &global),
        Command::Man(options) => manual::man(&options, &global),
        Command::Install(options) => install::run(&options, &global),
        Command::WrapConfig(options) => wrap_config::run(&options, &global),
        Command::Call(command) => call::run(command, &global),
    }?;
    Ok(ExitCode::SUCCESS)
}
