//! `haldir-mcp serve`: MCP and the REST API over HTTP.

use std::{io::Write, net::SocketAddr, sync::Arc, time::Duration};

use clap::Args;
use tokio::{runtime::Builder, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Cli, listen::ListenOptions, terminated};
use crate::{
    config::{
        self, HourlyLimits, StoreOptions, address, bad_setting,
        duration::{shown, within},
        logging,
    },
    error::{Error, Result},
    interfaces::{
        http::{App, HttpSettings, dashboard::Lifetimes, descriptors, listener, workers::Workers},
        otlp::{Exporter, OtlpSettings},
    },
    jobs::mirrors::{DEFAULT_EVERY, Mirror},
    model::Ceilings,
    relay::elicitation::ApproveBy,
};

#[derive(Args)]
pub struct ServeOptions {
    #[command(flatten)]
    listen: ListenOptions,
    /// Calls an hour that a key may make, by its tier: figures such as free=100,pro=5000,enterprise=50000, or on for just
    /// these. Default: off.
    #[arg(long, env = "HALDIR_RATE_LIMITS", value_name = "LIMITS", value_parser = config::parse_rate_limits)]
    rate_limits: Option<HourlyLimits>,
    /// Where clients reach the server, such as `https://haldir.example.com`.
    #[arg(long, env = "HALDIR_PUBLIC_URL", value_name = "URL", value_parser = address::parse_public_url)]
    public_url: Option<String>,
    /// A further host name in the Host header. May be repeated.
    #[arg(long, value_name = "HOST", value_parser = address::parse_host)]
    allow_host: Vec<String>,
    /// A further origin of browsers, such as `https://app.example.com`. May be repeated.
    #[arg(long, value_name = "ORIGIN", value_parser = address::parse_origin)]
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
    /// How long between two looks for checkpoints to copy.
    #[arg(long, env = "HALDIR_MIRROR_EVERY", value_name = "DURATION", default_value = shown(DEFAULT_EVERY.as_secs()),
        value_parser = within(1..=86_400))]
    mirror_every: u64,
    /// After how long without a click a browser is signed out of the dashboard.
    #[arg(long, env = "HALDIR_DASHBOARD_IDLE", value_name = "DURATION", default_value = "1h", value_parser = within(1..=604_800))]
    dashboard_idle: u64,
    /// After how long a browser is signed out of the dashboard in any case.
    #[arg(long, env = "HALDIR_DASHBOARD_LIFETIME", value_name = "DURATION", default_value = "12h",
        value_parser = within(1..=2_592_000))]
    dashboard_lifetime: u64,
    /// Threads that serve connections. Default: half of the cores, at least two.
    #[arg(long, env = "HALDIR_WORKERS", value_name = "N")]
    workers: Option<usize>,
}

/// Serves until the process is asked to stop.
pub fn serve(cli: &Cli, options: &ServeOptions) -> Result<()> {
    logging::start("info,rmcp=off")?;
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    // The writer, the disk and the kernel want the rest: a writer that workers keep from its core holds up every call
    // (measured on 4 cores: a tenth fewer durable writes with 3 workers than with 2).
    let workers = options.workers.unwrap_or((cores / 2).max(2));
    if workers == 0 {
        return Err(bad_setting("HALDIR_WORKERS", "must be at least 1"));
    }
    let store = cli.store.clone().or_database_url();
    if store.postgres_url().is_some() {
        // Reads wait for another machine there: a thread that does hands the others' connections over meanwhile.
        let runtime =
            Builder::new_multi_thread().worker_threads(workers).enable_all().build().map_err(Error::internal)?;
        return runtime.block_on(run(cli, &store, options, &Workers::default()));
    }
    let workers = Workers::start(workers)?;
    let runtime = Builder::new_current_thread().enable_all().build().map_err(Error::internal)?;
    runtime.block_on(run(cli, &store, options, &workers))
}

async fn run(cli: &Cli, store: &StoreOptions, options: &ServeOptions, workers: &Workers) -> Result<()> {
    let listener = listener::bind(&options.listen.address()?).await?;
    let address = listener::local_address(&listener)?;
    if options.local_agent && !address.ip().is_loopback() {
        return Err(bad_setting("--local-agent", "needs a loopback address: others can reach this one"));
    }
    let mut settings = cli.settings(store)?;
    settings.rate_limits = options.rate_limits.unwrap_or(HourlyLimits(None)).0;
    // Over HTTP a key is what its operator made it; only what is set here bounds it further.
    settings.key_defaults = Ceilings::NONE;
    // A public URL means a reverse proxy: then every client seems to come from this machine.
    settings.open_bootstrap = address.ip().is_loopback() && options.public_url.is_none();
    let is_open = settings.open_bootstrap;
    let has_token = settings.bootstrap_token.is_some();
    let haldir = store.open(settings).await?;
    haldir.declare_children().await?;
    if haldir.has_no_key()? {
        eprintln!("{}", how_to_begin(address, has_token, is_open));
    }
    let asked_to_stop = terminated()?;
    let shutdown = CancellationToken::new();
    let connections = descriptors::connections();
    let http = HttpSettings {
        connections,
        public_url: options.public_url.clone(),
        allowed_hosts: options.allow_host.clone(),
        allowed_origins: options.allow_origin.clone(),
        local_agent: options.local_agent,
        // An operator decides by default: only they know whether a person sits at the client of an agent's key.
        asking: cli.decisions.asking(ApproveBy::Operator),
        message_bytes: cli.limits.message_bytes(),
        security_contact: options.security_contact.clone(),
        metrics_token: config::secret_variable("HALDIR_METRICS_TOKEN"),
        signed_in: Lifetimes {
            idle: options.dashboard_idle.cast_signed(),
            longest: options.dashboard_lifetime.cast_signed(),
        },
    };
    // Stopped when everything else has: the last calls are in it.
    let all_done = CancellationToken::new();
    let exporter = Exporter::start(OtlpSettings::from_environment()?, &all_done)?;
    let router = App::new(haldir.clone(), address, &http, &shutdown)?.router();
    let mut output = std::io::stdout().lock();
    writeln!(output, "haldir listening on http://{address}").and_then(|()| output.flush()).map_err(Error::internal)?;
    drop(output);
    let mut jobs = JoinSet::new();
    jobs.spawn(haldir.clone().keep_retention(shutdown.clone()));
    jobs.spawn(haldir.clone().keep_tree_heads(shutdown.clone()));
    jobs.spawn(haldir.clone().keep_proxy(shutdown.clone()));
    let every = Duration::from_secs(options.mirror_every);
    jobs.spawn(haldir.clone().mirror_checkpoints(options.mirrors.clone(), every, shutdown.clone()));
    jobs.spawn(haldir.deliver_webhooks(shutdown.clone()));
    jobs.spawn(haldir.run_schedules(shutdown.clone()));
    let (stop, waiting) = (shutdown.clone(), haldir.clone());
    tokio::spawn(async move {
        asked_to_stop.await;
        waiting.stop_waiting();
        stop.cancel();
    });
    listener::serve(listener, router, workers, connections, shutdown).await;
    haldir.end_upstreams().await;
    while let Some(ended) = jobs.join_next().await {
        ended.map_err(Error::internal)?;
    }
    all_done.cancel();
    exporter.finish().await;
    // On a thread of its own, since it waits for the writer.
    let haldir = Arc::new(haldir);
    tokio::task::spawn_blocking(move || haldir.close()).await.map_err(Error::internal)
}

fn how_to_begin(address: SocketAddr, has_token: bool, is_open: bool) -> String {
    let body = match (has_token, is_open) {
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
