//! The server: MCP over standard input and output by default, `serve` for HTTP.

use std::{io::Write, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use clap::{Args, Parser, Subcommand};
#[cfg(unix)]
use haldir::upstream::watchdog;
use haldir::{
    call::RateLimits,
    config::{self, CeilingOptions, HourlyLimits, StoreOptions, bad_setting, logging},
    error::{Error, Result},
    faces::{
        backend::Backend,
        elicitation::{ApproveBy, DecisionOptions},
        http::{App, HttpSettings, listener},
        mcp::{HaldirMcp, stdio},
        otlp::{Exporter, OtlpSettings},
        relay::{
            bound_session::{BoundSession, SessionTerms},
            governor::{self, Governor, Tools},
            options::WrapOptions,
            policy_file, wrap,
        },
        remote::Remote,
    },
    model::{Ceilings, Credential},
    operations::{
        mirrors::{DEFAULT_EVERY, Mirror},
        proxied::has_secret,
    },
};
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is set by the environment alone, since it is a secret or concerns stdio only.
const ENVIRONMENT: &str = "Environment:
  HALDIR_API_KEY          A key of the store, on stdio; without it the agent works as the local tenant
  HALDIR_BASE_URL         Serve the tools of the haldir at this address instead, on stdio
  HALDIR_ENCRYPTION_KEY   32 bytes as base64; without it there is a key file beside the database
  HALDIR_BOOTSTRAP_TOKEN  Lets its bearer make the first key of a tenant, over HTTP
  HALDIR_METRICS_TOKEN    Lets its bearer read /metrics, besides operators, over HTTP
  OTEL_EXPORTER_OTLP_ENDPOINT and other standard variables of OpenTelemetry: where spans and figures go
  HALDIR_LOG              What is logged on standard error, such as debug
  PORT                    With serve: listen on this port of every address";

/// Governance for AI agents, as an MCP server: sessions with scopes and budgets, a vault, and an audit log that
/// nobody can rewrite unnoticed.
///
/// Without a command it serves MCP over standard input and output, as an MCP client starts it.
#[derive(Parser)]
#[command(name = "haldir-mcp", version, max_term_width = 100, after_help = ENVIRONMENT)]
struct Cli {
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    ceilings: CeilingOptions,
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
    /// every call governed. Such as: haldir-mcp wrap --name github -- npx -y some-mcp-server
    Wrap(WrapOptions),
}

#[derive(Args)]
struct ServeOptions {
    /// Where to listen; port 0 picks one. Default: 127.0.0.1:8000, or 0.0.0.0 and the port in PORT.
    #[arg(long, env = "HALDIR_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Calls an hour by tier, such as free=100,pro=5000,enterprise=50000; or off.
    #[arg(long, env = "HALDIR_RATE_LIMITS", value_name = "LIMITS", value_parser = config::parse_rate_limits)]
    rate_limits: Option<HourlyLimits>,
    /// Where clients reach the server, such as `https://haldir.example.com`.
    #[arg(long, env = "HALDIR_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// A further host name in the Host header. May be repeated.
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// A further origin of browsers, such as `https://app.example.com`. May be repeated.
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
    /// Let callers of /mcp without a key act as the local agent, as on standard input, within the same ceilings. On a
    /// loopback address only, for a client on this machine that cannot send a key.
    #[arg(long)]
    local_agent: bool,
    /// Where to report a vulnerability, for /.well-known/security.txt: such as `mailto:security@example.com`.
    #[arg(long, env = "HALDIR_SECURITY_CONTACT", value_name = "URI")]
    security_contact: Option<String>,
    /// Where to copy the checkpoints of all logs: `file:PATH`, `git:FOLDER` (a work tree), or the address of an archiver that
    /// takes them by POST. May be repeated; in the variable, with commas between.
    #[arg(long = "mirror", env = "HALDIR_MIRRORS", value_name = "TARGET", value_delimiter = ',', value_parser = Mirror::parse)]
    mirrors: Vec<Mirror>,
    /// Seconds between two looks for checkpoints to copy.
    #[arg(long, env = "HALDIR_MIRROR_EVERY", value_name = "SECONDS", default_value_t = DEFAULT_EVERY.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    mirror_every: u64,
    /// Seconds that one call through /mcp/{upstream} may take: a person may be asked something in the middle of it.
    #[arg(long, env = "HALDIR_CALL_TIMEOUT", value_name = "SECONDS", default_value_t = 600,
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    call_timeout: u64,
    /// Threads that serve connections. Default: three quarters of the cores, at least two.
    #[arg(long, env = "HALDIR_WORKERS", value_name = "N")]
    workers: Option<usize>,
}

fn main() -> ExitCode {
    #[cfg(unix)]
    {
        // Before anything is parsed or read: it is started again and again, and has nothing to do but wait.
        if std::env::args_os().skip(1).eq([watchdog::COMMAND]) {
            watchdog::run();
            return ExitCode::SUCCESS;
        }
        watchdog::enable();
    }
    let cli = Cli::parse();
    let outcome = match &cli.command {
        None => serve_stdio(&cli),
        Some(Command::Serve(options)) => serve_http(&cli, options),
        Some(Command::Wrap(options)) => wrap(&cli, options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("haldir-mcp: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve_stdio(cli: &Cli) -> Result<()> {
    logging::start("warn,rmcp::service=error")?;
    // One thread: a client waits for one answer at a time, and start-up and memory count here.
    let runtime = Builder::new_current_thread().enable_all().build().map_err(Error::internal)?;
    let outcome = runtime.block_on(async {
        let key = config::secret_variable("HALDIR_API_KEY");
        if let Some(base_url) = std::env::var("HALDIR_BASE_URL").ok().filter(|url| !url.is_empty()) {
            let key = key.ok_or_else(|| bad_setting("HALDIR_API_KEY", "is required where HALDIR_BASE_URL is set"))?;
            let server = HaldirMcp::new(Backend::Remote(Remote::new(&base_url)?), Credential::ApiKey(key));
            return stdio::serve(server, terminated()).await;
        }
        let haldir = cli.store.open(cli.store.settings(&cli.ceilings)?).await?;
        let credential = match key {
            Some(key) => haldir.adopt_or_find_key(key).await?,
            None => Credential::LocalAgent,
        };
        let stop = CancellationToken::new();
        let exporter = Exporter::start(OtlpSettings::from_environment()?, &stop)?;
        haldir.declare_children().await?;
        let courier = tokio::spawn(haldir.deliver_webhooks(stop.clone()));
        let keeper = tokio::spawn({
            let (haldir, stop) = (haldir.clone(), stop.clone());
            async move { haldir.keep_children(stop).await }
        });
        let session = Arc::new(BoundSession::new(haldir.clone(), credential.clone(), SessionTerms::default()));
        let server = HaldirMcp::new(Backend::Local(haldir.clone()), credential)
            .bound_to(session)
            .asking(cli.decisions.asking(ApproveBy::Elicitation));
        let outcome = stdio::serve(server, terminated()).await;
        stop.cancel();
        haldir.end_upstreams().await;
        let _ = courier.await;
        let _ = keeper.await;
        exporter.finish().await;
        haldir.close();
        outcome
    });
    // A read of standard input that is under way cannot be taken back: do not wait for it.
    runtime.shutdown_background();
    outcome
}

fn wrap(cli: &Cli, options: &WrapOptions) -> Result<()> {
    logging::start("warn,rmcp::service=error")?;
    if std::env::var("HALDIR_BASE_URL").is_ok_and(|url| !url.is_empty()) {
        let problem =
            "a wrapped server is governed by the store of this machine: unset it, or register the server there";
        return Err(bad_setting("HALDIR_BASE_URL", problem));
    }
    let runtime = Builder::new_current_thread().enable_all().build().map_err(Error::internal)?;
    let outcome = runtime.block_on(async {
        let haldir = cli.store.open(cli.store.settings(&cli.ceilings)?).await?;
        let credential = match config::secret_variable("HALDIR_API_KEY") {
            Some(key) => haldir.adopt_or_find_key(key).await?,
            None => Credential::LocalAgent,
        };
        let name = options.name()?;
        let cx = haldir.watch_proxy(&credential)?;
        if let Some(file) = options.policy() {
            policy_file::add(&haldir, &cx.caller.tenant, file).await?;
        }
        haldir.declare_upstream(&cx, &name).await?;
        let mut command = options.command(&cli.store.path()?, &name)?;
        let (variables, texts): (Vec<_>, Vec<_>) = std::env::vars().filter(|(_, text)| has_secret(text)).unzip();
        let (texts, sent) = haldir.fill_secrets(&cx, &name, &texts)?;
        command.environment = variables.into_iter().map(Into::into).zip(texts).collect();
        let session = Arc::new(BoundSession::new(haldir.clone(), credential.clone(), options.terms()?));
        let governor = Governor::new(
            haldir.clone(),
            credential,
            name,
            Some(session),
            Tools::Observed,
            cli.decisions.asking(ApproveBy::Elicitation),
        );
        let stop = CancellationToken::new();
        let courier = tokio::spawn(haldir.deliver_webhooks(stop.clone()));
        let keeper = tokio::spawn({
            let (haldir, stop) = (haldir.clone(), stop.clone());
            async move { haldir.keep_proxy(stop).await }
        });
        let timeout = (options.call_timeout(), options.bridges());
        let pipes = rmcp::transport::io::stdio_pipes();
        let outcome =
            wrap::serve(Arc::new(governor), &command, governor::redaction(sent), timeout, pipes, terminated()).await;
        stop.cancel();
        let _ = courier.await;
        let _ = keeper.await;
        haldir.close();
        outcome
    });
    // A read of standard input that is under way cannot be taken back: do not wait for it.
    runtime.shutdown_background();
    outcome
}

fn serve_http(cli: &Cli, options: &ServeOptions) -> Result<()> {
    logging::start("info,rmcp::service=error")?;
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    // The writer and the kernel want a core too: with as many workers as cores, throughput was lower.
    let workers = options.workers.unwrap_or((cores * 3 / 4).max(2));
    if workers == 0 {
        return Err(bad_setting("HALDIR_WORKERS", "must be at least 1"));
    }
    let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build().map_err(Error::internal)?;
    runtime.block_on(run_http(cli, options))
}

async fn run_http(cli: &Cli, options: &ServeOptions) -> Result<()> {
    let listener = listener::bind(&listen_address(options)?).await?;
    let address = listener::local_address(&listener)?;
    if options.local_agent && !address.ip().is_loopback() {
        return Err(bad_setting("--local-agent", "needs a loopback address: others can reach this one"));
    }
    let mut settings = cli.store.settings(&cli.ceilings)?;
    settings.rate_limits = options.rate_limits.unwrap_or(HourlyLimits(Some(RateLimits::default()))).0;
    // Over HTTP a key is what its operator made it; only what is set here bounds it further.
    settings.key_defaults = Ceilings::NONE;
    settings.open_bootstrap = address.ip().is_loopback();
    let has_token = settings.bootstrap_token.is_some();
    let haldir = cli.store.open(settings).await?;
    haldir.declare_children().await?;
    if haldir.has_no_key()? {
        eprintln!("{}", how_to_begin(address, has_token));
    }
    let shutdown = CancellationToken::new();
    let http = HttpSettings {
        public_url: options.public_url.clone(),
        allowed_hosts: options.allow_host.clone(),
        allowed_origins: options.allow_origin.clone(),
        local_agent: options.local_agent,
        // A key that agents hold answers for itself: whether a person stands behind its client only an operator knows.
        asking: cli.decisions.asking(ApproveBy::Operator),
        call_timeout: Duration::from_secs(options.call_timeout),
        security_contact: options.security_contact.clone(),
        metrics_token: config::secret_variable("HALDIR_METRICS_TOKEN"),
    };
    // Stopped when everything else has: the last calls are in it.
    let all_done = CancellationToken::new();
    let exporter = Exporter::start(OtlpSettings::from_environment()?, &all_done)?;
    let router = App::new(haldir.clone(), address, &http, &shutdown)?.router();
    let mut output = std::io::stdout().lock();
    writeln!(output, "haldir listening on http://{address}").and_then(|()| output.flush()).map_err(Error::internal)?;
    drop(output);
    let (keeper, stop) = (haldir.clone(), shutdown.clone());
    let upkeep = tokio::spawn(async move { keeper.keep_retention(stop).await });
    let (signer, stop) = (haldir.clone(), shutdown.clone());
    let heads = tokio::spawn(async move { signer.keep_tree_heads(stop).await });
    let (keeper, stop) = (haldir.clone(), shutdown.clone());
    let closing = tokio::spawn(async move { keeper.keep_proxy(stop).await });
    let (copier, stop, every) = (haldir.clone(), shutdown.clone(), Duration::from_secs(options.mirror_every));
    let targets = options.mirrors.clone();
    let mirrors = tokio::spawn(async move { copier.mirror_checkpoints(targets, every, stop).await });
    let (stop, waiting) = (shutdown.clone(), haldir.clone());
    tokio::spawn(async move {
        terminated().await;
        waiting.stop_waiting();
        stop.cancel();
    });
    let courier = tokio::spawn(haldir.deliver_webhooks(shutdown.clone()));
    let schedules = tokio::spawn(haldir.run_schedules(shutdown.clone()));
    listener::serve(listener, router, shutdown).await;
    haldir.end_upstreams().await;
    let _ = courier.await;
    let _ = schedules.await;
    upkeep.await.map_err(Error::internal)?;
    heads.await.map_err(Error::internal)?;
    closing.await.map_err(Error::internal)?;
    mirrors.await.map_err(Error::internal)?;
    all_done.cancel();
    exporter.finish().await;
    // On a thread of its own, since it waits for the writer.
    let haldir = Arc::new(haldir);
    tokio::task::spawn_blocking(move || haldir.close()).await.map_err(Error::internal)
}

fn listen_address(options: &ServeOptions) -> Result<String> {
    if let Some(listen) = &options.listen {
        return Ok(listen.clone());
    }
    match std::env::var("PORT") {
        Ok(port) => match port.parse::<u16>() {
            Ok(port) => Ok(format!("0.0.0.0:{port}")),
            Err(_) => Err(bad_setting("PORT", "must be a port number from 0 to 65535")),
        },
        Err(_) => Ok("127.0.0.1:8000".to_owned()),
    }
}

fn how_to_begin(address: SocketAddr, has_token: bool) -> String {
    let body = match (has_token, address.ip().is_loopback()) {
        (true, _) => r#"{"name":"operator","tier":"pro","bootstrap_token":"…"}"#,
        (false, true) => r#"{"name":"operator","tier":"pro"}"#,
        (false, false) => {
            return "This store has no API key yet. On an address that others can reach, the first one needs a token: \
                    restart with HALDIR_BOOTSTRAP_TOKEN set, or run `haldir keys create` beside the store."
                .to_owned();
        }
    };
    format!(
        "This store has no API key yet. Make the first one, an operator's:\n  curl -X POST http://{address}/v1/keys -H \
         'Content-Type: application/json' -d '{body}'"
    )
}

/// Ends when the process is asked to stop: SIGTERM, or Ctrl-C.
async fn terminated() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
