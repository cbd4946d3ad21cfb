//! What an operator sets: by flag, by environment variable, or in a config file, in this order.

pub mod address;
mod ceilings;
pub mod duration;
mod file;
mod limits;
pub mod logging;
mod master_key;
mod postgres;

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub use ceilings::CeilingOptions;
use clap::{Args, builder::Resettable};
pub use limits::LimitOptions;
pub use master_key::{
    KeySource, file as key_file, from_variable as key_of_environment, next_file, read_file as read_key_file,
    settle_next, write as write_key, write_new as write_key_to, write_next,
};
#[cfg(not(feature = "postgres"))]
pub use postgres::NO_POSTGRES;
pub use postgres::postgres_without_password;
use zeroize::Zeroizing;

use crate::{
    call::{RateLimits, Settings, ToolNames, WebhookPace},
    crypto::Key,
    error::{Code, Error, Result},
    jobs::store_copy,
    model::{Clock, time::SystemClock},
    operations::Haldir,
    outbound::{Outbound, connect::OptionsByOrigin},
    store::is_postgres_url,
    upstream::{UpstreamLimits, child::Children},
};

/// Where the store is, and how it is opened: the same for every program of ours.
#[derive(Args, Clone, Debug, Default)]
pub struct StoreOptions {
    /// The database file, or the address of a database on Postgres: postgres://USER:PASSWORD@HOST:PORT/NAME. Default:
    /// haldir/haldir.db in the user's data directory.
    #[arg(long, env = "HALDIR_DB", value_name = "PATH", global = true)]
    pub db: Option<PathBuf>,
    /// A TOML file with upstreams that are started as children, how others are reached, and thresholds of the anomaly
    /// rules.
    #[arg(long, env = "HALDIR_CONFIG", value_name = "PATH", global = true)]
    pub config: Option<PathBuf>,
    /// A host that webhooks and upstreams may reach although it is not public, such as 127.0.0.1. May be repeated.
    #[arg(long, env = "HALDIR_ALLOW_PRIVATE", value_name = "HOST", value_delimiter = ',', global = true)]
    pub allow_private: Vec<String>,
    /// How the tools of upstreams are listed: plain is `upstream__tool`, which every model API takes; dotted is
    /// `upstream.tool`. Both are accepted in calls. Default: plain.
    #[arg(long, env = "HALDIR_TOOL_NAMES", value_name = "plain|dotted", global = true)]
    pub tool_names: Option<ToolNames>,
    /// On Postgres: connections for reading, at most. Default: 16.
    #[arg(long, env = "HALDIR_PG_POOL_MAX", value_name = "N", value_parser = clap::value_parser!(u16).range(1..), global = true)]
    pub pg_pool_max: Option<u16>,
    /// On Postgres: connections for reading that are open from the start, at most as many as --pg-pool-max. Default: 1.
    #[arg(long, env = "HALDIR_PG_POOL_MIN", value_name = "N", global = true)]
    pub pg_pool_min: Option<u16>,
    /// On Postgres: whether statements are prepared once for each connection. A pool between haldir and the database that
    /// changes connections with each transaction, such as PgBouncer before 1.21, does not allow it. Default: on, unless such
    /// a pool is found.
    #[arg(long, env = "HALDIR_PG_PREPARE", value_name = "on|off", value_parser = parse_switch, global = true)]
    pub pg_prepare: Option<bool>,
    /// On Postgres: the address of a replica that answers reads of the trail and of reports.
    #[arg(long, env = "HALDIR_PG_REPLICA", value_name = "URL", global = true)]
    pub pg_replica: Option<String>,
    /// On Postgres: how old the data of the replica may be; the primary answers instead of one that is older. Default: 10s.
    #[arg(long, env = "HALDIR_PG_REPLICA_MAX_AGE", value_name = "DURATION", value_parser = duration::within(1..=3_600),
        global = true)]
    pub pg_replica_max_age: Option<u64>,
    /// For tests: what a second of retries takes, in microseconds, and how long an attempt may, in milliseconds.
    #[arg(long, env = "HALDIR_TEST_WEBHOOK_PACE", value_name = "MICROS,MILLIS", value_parser = parse_pace, hide = true,
        global = true)]
    pub webhook_pace: Option<WebhookPace>,
    /// For tests: how long a call of an upstream may take, in milliseconds, and how many bytes its answer may have.
    #[arg(long, env = "HALDIR_TEST_UPSTREAM_LIMITS", value_name = "MILLIS,BYTES", value_parser = parse_upstream_limits,
        hide = true, global = true)]
    pub upstream_limits: Option<UpstreamLimits>,
}

/// Reads no environment variable that is empty: compose files and bundles set those that the user left empty.
pub fn without_empty_variables(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|argument| {
        let is_empty = argument.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
        if is_empty { argument.env(Resettable::Reset) } else { argument }
    });
    command.mut_subcommands(without_empty_variables)
}

/// A setting that cannot be used.
pub fn bad_setting(name: &'static str, problem: &str) -> Error {
    Error::new(Code::InvalidArgument, format!("{name}: {problem}")).field(name)
}

/// An environment variable that holds a secret; it is no flag, since flags are seen by every user of a machine.
pub fn secret_variable(name: &str) -> Option<Zeroizing<String>> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).map(Zeroizing::new)
}

impl StoreOptions {
    /// The address of the database, if it is on Postgres.
    pub fn postgres_url(&self) -> Option<&str> {
        self.db.as_deref().and_then(Path::to_str).filter(|address| is_postgres_url(address))
    }

    /// Uses the database that `DATABASE_URL` names, where no other one is named, and if it is on Postgres. For servers alone: a
    /// client's project often has that variable for a database of its own.
    #[must_use]
    pub fn or_database_url(mut self) -> Self {
        if self.db.is_none() {
            self.db = std::env::var("DATABASE_URL").ok().filter(|address| is_postgres_url(address)).map(PathBuf::from);
        }
        self
    }

    /// The path or the address of the store, as people may see it.
    pub fn place(&self) -> Result<String> {
        let on_postgres = self.postgres_url().map(postgres_without_password);
        on_postgres.map_or_else(|| Ok(self.path()?.display().to_string()), Ok)
    }

    /// The path beside which this machine's own files are, such as logs of children.
    pub fn local_files(&self) -> Result<PathBuf> {
        if self.postgres_url().is_some() { Self::default().path() } else { self.path() }
    }

    /// The path of the embedded database.
    pub fn path(&self) -> Result<PathBuf> {
        if self.postgres_url().is_some() {
            let problem = "the store is a database on Postgres, and this is for a store in a file of its own";
            return Err(bad_setting("HALDIR_DB", problem));
        }
        if let Some(path) = &self.db {
            return Ok(path.clone());
        }
        let strategy = etcetera::choose_base_strategy()
            .map_err(|_| bad_setting("HALDIR_DB", "there is no home directory to put the store in: set it"))?;
        Ok(etcetera::BaseStrategy::data_dir(&strategy).join("haldir").join("haldir.db"))
    }

    /// The store's encryption key and where it comes from; `None` if there is none yet, and none is made.
    pub fn find_key(&self) -> Result<Option<(KeySource, Key)>> {
        let path = self.path()?;
        settle_key(&path)?;
        master_key::find(&path)
    }

    /// Where the key file is, or would be.
    pub fn key_file(&self) -> Result<PathBuf> {
        Ok(master_key::file(&self.path()?))
    }

    /// The settings of a haldir on this store.
    pub fn settings(&self, ceilings: &CeilingOptions) -> Result<Settings> {
        let file = file::read(self.config.as_deref())?;
        let children = Children::new(file.upstreams, self.local_files()?);
        let options = OptionsByOrigin::read(&file.connections);
        Ok(Settings {
            local_ceilings: ceilings.local()?,
            key_ceilings: ceilings.set()?,
            key_defaults: ceilings.local()?,
            anomalies: file.anomalies,
            rate_limits: None,
            bootstrap_token: secret_variable("HALDIR_BOOTSTRAP_TOKEN"),
            open_bootstrap: false,
            outbound: Outbound::new(&self.allow_private)
                .with_options(options.map_err(|problem| bad_setting("HALDIR_CONFIG", &problem))?),
            webhooks: self.webhook_pace.unwrap_or_default(),
            upstreams: self.upstream_limits.unwrap_or_default(),
            children: children.map_err(|problem| bad_setting("HALDIR_CONFIG", &problem))?,
            tool_names: self.tool_names.unwrap_or_default(),
        })
    }

    /// Opens the store.
    pub async fn open(&self, settings: Settings) -> Result<Haldir> {
        if let Some(url) = self.postgres_url() {
            let store = self.open_postgres(url)?;
            let key = master_key::from_variable()?.ok_or_else(|| {
                bad_setting("HALDIR_ENCRYPTION_KEY", "is required with a store on Postgres, the same on every machine")
            })?;
            return Haldir::open_store(store, None, &key, settings, Arc::new(SystemClock)).await;
        }
        if self.pg_replica.is_some() {
            let problem = "is for a store on Postgres, and HALDIR_DB names a file: leave it out";
            return Err(bad_setting("HALDIR_PG_REPLICA", problem));
        }
        let path = self.path()?;
        require_database(&path)?;
        settle_key(&path)?;
        let key = master_key::load(&path)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Haldir::open(&path, &key, settings, clock).await
    }
}

/// The first bytes of every SQLite database (<https://www.sqlite.org/fileformat.html>, section 1.3).
const SQLITE_HEADER: &[u8; 16] = b"SQLite format 3\0";

/// Refuses a file of another kind before a key for it is looked for. An empty file, or none, becomes a store.
fn require_database(path: &Path) -> Result<()> {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(SQLITE_HEADER.len() as u64).read_to_end(&mut start));
    if read.is_err() || start.is_empty() || start == SQLITE_HEADER {
        return Ok(()); // opening the store says what is wrong with a file that cannot be read
    }
    Err(bad_setting("HALDIR_DB", &format!("{} is not a SQLite database: name the store's own file", path.display())))
}

/// Finishes what a process left behind that ended while it put a new encryption key into use: the store says which of the
/// two keys is its own.
fn settle_key(path: &Path) -> Result<()> {
    let Some(next) = master_key::find_next(path)? else { return Ok(()) };
    let is_own = path.exists() && store_copy::is_own_key(path, &next)?;
    master_key::settle_next(path, is_own)
}

fn parse_switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("expected on or off".to_owned()),
    }
}

fn parse_pace(text: &str) -> Result<WebhookPace, String> {
    let read = || {
        let (micros, millis) = text.split_once(',')?;
        let (second_micros, millis) = (micros.parse().ok()?, millis.parse().ok()?);
        let is_sound = (1..=1_000_000).contains(&second_micros) && millis > 0;
        is_sound.then_some(WebhookPace { second_micros, attempt_timeout: Duration::from_millis(millis) })
    };
    read().ok_or_else(|| "expected microseconds and milliseconds, such as 1000,500".to_owned())
}

fn parse_upstream_limits(text: &str) -> Result<UpstreamLimits, String> {
    let read = || {
        let (millis, bytes) = text.split_once(',')?;
        let call_timeout = Duration::from_millis(millis.parse().ok()?);
        Some(UpstreamLimits { call_timeout, answer_bytes: bytes.parse().ok()?, ..UpstreamLimits::default() })
    };
    read().ok_or_else(|| "expected milliseconds and bytes, such as 1000,65536".to_owned())
}

/// Hourly limits as an operator sets them; `None` is off.
#[derive(Clone, Copy, Debug)]
pub struct HourlyLimits(pub Option<RateLimits>);

/// Reads `off`, `on`, or figures such as `free=100,pro=5000`; tiers not named keep their own.
pub fn parse_rate_limits(text: &str) -> Result<HourlyLimits, String> {
    if text == "off" {
        return Ok(HourlyLimits(None));
    }
    let mut limits = RateLimits::default();
    if text == "on" {
        return Ok(HourlyLimits(Some(limits)));
    }
    for part in text.split(',') {
        let (tier, figure) = part.split_once('=').ok_or("expected off, on, or figures such as free=100,pro=5000")?;
        let figure = figure.trim().parse().map_err(|_| format!("`{figure}` is no number of calls"))?;
        match tier.trim() {
            "free" => limits.free = figure,
            "pro" => limits.pro = figure,
            "enterprise" => limits.enterprise = figure,
            other => return Err(format!("`{other}` is no tier: expected free, pro or enterprise")),
        }
    }
    Ok(HourlyLimits(Some(limits)))
}
