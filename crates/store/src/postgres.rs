//! Postgres 14 or newer, for several processes on several machines.
//!
//! A batch of writes holds an advisory lock for each tenant that it writes for, so that what is read and then written stays exact.
//! What the writer remembers from one batch to the next holds until another process writes for one of its tenants (`batches.rs`);
//! readers remember nothing, since asking for a version takes as long as asking for a row. `tokio-postgres` is the driver:
//! it sends statements without waiting for the one before, which a batch of writes needs, and takes TLS from rustls.

mod batches;
mod connection;
mod dialect;
mod escape;
mod failure;
mod look_ups;
mod migrations;
#[cfg(test)]
mod plans;
mod replica;
mod session;
#[cfg(test)]
pub(crate) mod tests;
mod values;

use std::{
    fmt, io,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use batches::Batches;
use connection::PostgresConnection;
use failure::{Failure, error_text};
use futures::executor::block_on;
pub(crate) use look_ups::LookUps;
pub(crate) use replica::Replica;
pub use replica::{DEFAULT_MAX_AGE, ReplicaSettings};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_postgres::{
    Client, Config, SimpleQueryMessage,
    config::{Host, SslMode},
    error::SqlState,
    types::Type,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{
    database::{Connection, Retry},
    error::{Code, Error, Result},
    model::{Clock, UnixMicros, time::SystemClock},
    readers::Open,
    row_cache::AskVersion,
};

/// How long connecting may take, with TLS and authentication: to one host, and to one of several.
const HOST_LIMIT: Duration = Duration::from_secs(2);
const CONNECT_LIMIT: Duration = Duration::from_secs(8);
/// How long the other side may leave bytes unacknowledged before the connection counts as lost.
const UNACKNOWLEDGED_LIMIT: Duration = Duration::from_secs(10);
/// Threads that serve the sockets of all connections.
const SOCKET_THREADS: usize = 2;
/// How statements are planned: once for a connection, whatever their values, and by the indexes that they are written for. Planning a query of
/// the log takes ten times as long as running it, and a plan that was made of a small table would read all of it for as long as the
/// connection lasts, however large it has become.
const PLANNING: [&str; 7] = [
    "plan_cache_mode=force_generic_plan",
    "jit=off",
    "enable_seqscan=off",
    "enable_sort=off",
    "enable_bitmapscan=off",
    "enable_hashjoin=off",
    "enable_material=off",
];
/// Connections for reading, if the settings name no other number.
pub const DEFAULT_POOL_MAX: usize = 16;
/// Those of them that are open from the start: a server reads as it starts.
pub const DEFAULT_POOL_MIN: usize = 1;

/// How to reach a database.
#[derive(Clone)]
pub struct PostgresSettings {
    config: Config,
    root_certificates: Option<PathBuf>,
    /// Connections for reading, at most; one more is for writing.
    pub pool_max: usize,
    /// Connections for reading that are open from the start.
    pub pool_min: usize,
    /// Whether statements are prepared by name, which a pool in front of the database (`PgBouncer` before 1.21) does not allow;
    /// `None` finds out.
    pub named_statements: Option<bool>,
    /// A replica for reads that may be a little out of date.
    pub replica: Option<Box<ReplicaSettings>>,
}

impl PostgresSettings {
    /// Reads `postgres://user:password@host:port/database?…`, with the parameters that libpq knows
    /// (<https://www.postgresql.org/docs/current/libpq-connect.html>), as far as `tokio-postgres` does, and `sslrootcert`.
    ///
    /// For another host than this one, TLS with a verified certificate is the default. Whenever TLS is used, the certificate is
    /// verified, also for `sslmode=require`.
    pub fn parse(url: &str) -> Result<Self> {
        let refused = |why: String| {
            Error::new(Code::InvalidArgument, format!("{why}; a database is postgres://USER:PASSWORD@HOST:PORT/NAME"))
        };
        if !crate::is_postgres_url(url) {
            return Err(refused("the address begins with neither postgres:// nor postgresql://".to_owned()));
        }
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut ssl_mode, mut root_certificates, mut others) = (None, None, Vec::new());
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", mode)) => {
                    ssl_mode = Some(match mode {
                        "disable" => SslMode::Disable,
                        "prefer" | "allow" => SslMode::Prefer,
                        "require" | "verify-ca" | "verify-full" => SslMode::Require,
                        _ => {
                            return Err(refused(
                                "sslmode is none of disable, prefer, require and verify-full".to_owned(),
                            ));
                        }
                    });
                }
                Some(("sslrootcert", path)) => root_certificates = Some(PathBuf::from(path)),
                _ => others.push(parameter),
            }
        }
        let rest = if others.is_empty() { String::new() } else { format!("?{}", others.join("&")) };
        // The driver's message does not repeat the address, which has a password in it.
        let mut config: Config = format!("{address}{rest}").parse().map_err(|error: tokio_postgres::Error| {
            refused(format!("the address cannot be read: {}", error_text(&error)))
        })?;
        let is_here = config.get_hosts().iter().all(is_this_host);
        config.ssl_mode(ssl_mode.unwrap_or(if is_here { SslMode::Disable } else { SslMode::Require }));
        if config.get_application_name().is_none() {
            config.application_name("haldir");
        }
        config.connect_timeout(HOST_LIMIT);
        config.keepalives_idle(UNACKNOWLEDGED_LIMIT);
        config.tcp_user_timeout(UNACKNOWLEDGED_LIMIT);
        let (pool_max, pool_min) = (DEFAULT_POOL_MAX, DEFAULT_POOL_MIN);
        Ok(Self { config, root_certificates, pool_max, pool_min, named_statements: None, replica: None })
    }
}

/// Where the database is, without the password.
impl fmt::Display for PostgresSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |(index, host): (usize, &Host)| {
            let name = match host {
                Host::Tcp(name) => name.clone(),
                #[cfg(unix)]
                Host::Unix(path) => path.display().to_string(),
            };
            let ports = self.config.get_ports();
            // One port may stand for all hosts.
            ports.get(index).or(ports.first()).map_or(name.clone(), |port| format!("{name}:{port}"))
        };
        let hosts: Vec<_> = self.config.get_hosts().iter().enumerate().map(host).collect();
        write!(formatter, "postgres://{}/{}", hosts.join(","), self.config.get_dbname().unwrap_or_default())
    }
}

/// Shows no password.
impl fmt::Debug for PostgresSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PostgresSettings").field("hosts", &self.config.get_hosts()).finish_non_exhaustive()
    }
}

fn is_this_host(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()),
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

/// What callers are told while there is no connection; the cause is in the log and in [`Outage`].
const UNREACHABLE: &str = "the database cannot be reached; try again";

/// Since when the database cannot be reached, and why; nothing while it can.
#[derive(Debug, Default)]
pub struct Outage(Mutex<Option<(UnixMicros, String)>>);

impl Outage {
    /// Since when, and why at first.
    pub fn current(&self) -> Option<(UnixMicros, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn begin(&self, cause: &str) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if current.is_none() {
            tracing::error!(cause, "the database cannot be reached");
            *current = Some((SystemClock.now(), cause.to_owned()));
        }
    }

    fn end(&self) {
        if let Some((since, _)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let seconds = SystemClock.now().seconds_since(since);
            tracing::info!(seconds, "the database can be reached again");
        }
    }
}

/// A database, and the threads that serve its connections' sockets.
struct Server {
    settings: PostgresSettings,
    tls: MakeRustlsConnect,
    /// Of the primary.
    outage: Option<Arc<Outage>>,
    /// How long it may take for the answer to a statement; `None` is as long as the connection lasts.
    answer_limit: Option<Duration>,
    /// `None` while it is dropped.
    runtime: Option<Runtime>,
}

impl Server {
    fn start(settings: PostgresSettings, outage: Option<Arc<Outage>>) -> Result<Self> {
        let tls = MakeRustlsConnect::new(client_config(&settings)?);
        let runtime = Builder::new_multi_thread()
            .worker_threads(SOCKET_THREADS)
            .thread_name("haldir-postgres")
            .enable_all()
            .build()
            .map_err(Error::internal)?;
        Ok(Self { settings, tls, outage, answer_limit: None, runtime: Some(runtime) })
    }

    /// How long a statement's answer may take, and the runtime that measures it.
    fn answer_limit(&self) -> Option<(Handle, Duration)> {
        Some((self.runtime.as_ref()?.handle().clone(), self.answer_limit?))
    }

    /// Opens a connection, whose socket is served until the client is dropped; and whether statements may be prepared by name on it.
    fn connect(&self) -> std::result::Result<(Client, bool), Failure> {
        let failed = |cause: String, retry| {
            let message = self.outage.as_ref().map_or(&*cause, |outage| {
                outage.begin(&cause);
                UNREACHABLE
            });
            Failure { error: Error::new(Code::Unavailable, message), retry, is_lost: true }
        };
        let lost = |cause| failed(cause, Retry::Again);
        let Some(runtime) = &self.runtime else { return Err(lost("the store is closed".to_owned())) };
        let (config, tls, named) = (self.settings.config.clone(), self.tls.clone(), self.settings.named_statements);
        let mark = haldir_core::crypto::name::<12>("c").map_err(|error| lost(error.to_string()))?;
        let connected = block_on(runtime.spawn(async move {
            tokio::time::timeout(CONNECT_LIMIT, async {
                let Some(named) = named else { return connect_and_ask(config, tls, &mark).await };
                Ok((open_one(&config, tls).await?, named))
            })
            .await
        }));
        match connected {
            Ok(Ok(Ok(connected))) => {
                if let Some(outage) = &self.outage {
                    outage.end();
                }
                Ok(connected)
            }
            Ok(Ok(Err(error))) => {
                Err(failed(error_text(&error), if may_pass(&error) { Retry::Again } else { Retry::Never }))
            }
            Ok(Err(_)) => Err(lost(format!("no answer within {} s", CONNECT_LIMIT.as_secs()))),
            Err(_) => Err(lost("connecting to the database failed".to_owned())),
        }
    }
}

/// Whether a later attempt to connect may succeed without a change of the settings.
fn may_pass(error: &tokio_postgres::Error) -> bool {
    if let Some(code) = error.code() {
        let passing = [SqlState::CANNOT_CONNECT_NOW, SqlState::TOO_MANY_CONNECTIONS, SqlState::ADMIN_SHUTDOWN];
        return passing.contains(code) || code.code().starts_with("08");
    }
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    // rustls refuses a certificate with InvalidData.
    cause.is_some_and(|cause| cause.kind() != io::ErrorKind::InvalidData)
}

async fn open_one(config: &Config, tls: MakeRustlsConnect) -> std::result::Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(tls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Opens a connection and finds out whether it is one to the database itself. A pool that gives each transaction another
/// connection would take one client's prepared statement for another's of the same name. A setting that is made as the connection
/// begins is there in each transaction, if there is no such pool: `PgBouncer` refuses or drops it.
async fn connect_and_ask(
    mut config: Config,
    tls: MakeRustlsConnect,
    mark: &str,
) -> std::result::Result<(Client, bool), tokio_postgres::Error> {
    let without = config.clone();
    let options = config.get_options().map_or_else(String::new, |options| format!("{options} "));
    config.options(format!("{options}-c haldir.connection={mark} -c {}", PLANNING.join(" -c ")));
    let client = match open_one(&config, tls.clone()).await {
        Err(error) if error.code().is_some_and(|code| *code == SqlState::PROTOCOL_VIOLATION) => {
            return Ok((open_one(&without, tls).await?, false));
        }
        outcome => outcome?,
    };
    let found = client.simple_query("SELECT current_setting('haldir.connection', true)").await?;
    let is_marked = found.iter().any(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0) == Some(mark),
        _ => false,
    });
    Ok((client, is_marked))
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Not waited for: this may be a thread that must not wait.
            runtime.shutdown_background();
        }
    }
}

fn client_config(settings: &PostgresSettings) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(Error::internal)?;
    let mut roots = RootCertStore::empty();
    if let Some(path) = &settings.root_certificates {
        let unreadable = |error: &dyn fmt::Display| {
            Error::new(
                Code::InvalidArgument,
                format!(
                    "sslrootcert {} cannot be used: {error}; it must have certificates in PEM form",
                    path.display()
                ),
            )
        };
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))? {
            roots.add(certificate.map_err(|error| unreadable(&error))?).map_err(|error| unreadable(&error))?;
        }
        if roots.is_empty() {
            return Err(unreadable(&"it has none"));
        }
    } else if settings.config.get_ssl_mode() != SslMode::Disable {
        let system = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(system.certs);
        tracing::debug!(added, "certificates of the system");
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// A database that is open.
pub(crate) struct Opened {
    pub(crate) writer: Box<dyn Connection>,
    /// The version for which the caches of the connection that writes hold.
    pub(crate) version: AskVersion,
    /// Opens connections that read.
    pub(crate) readers: Open,
    pub(crate) replica: Option<Replica>,
    pub(crate) look_ups: LookUps,
    pub(crate) outage: Arc<Outage>,
}

/// Prepares a database to be copied from: refuses one without a store, and one that servers are connected to. Nothing is changed.
/// Returns settings by which this process is told from a server.
pub fn require_alone(mut settings: PostgresSettings) -> Result<PostgresSettings> {
    let of_servers = settings.config.get_application_name().unwrap_or_default().to_owned();
    settings.config.application_name(COPY_NAME);
    let server = Server::start(settings.clone(), Some(Arc::default()))?;
    let client = migrations::connect(&server)?;
    let begun = Instant::now();
    loop {
        let found = block_on(client.query_typed_one(OTHERS, &[(&of_servers, Type::TEXT)]));
        let (has_store, others): (bool, i64) =
            found.and_then(|row| Ok((row.try_get(0)?, row.try_get(1)?))).map_err(|error| Failure::of(&error).error)?;
        if !has_store {
            return Err(Error::new(Code::NotFound, format!("there is no store in the database {settings}")));
        }
        if others == 0 {
            return Ok(settings);
        }
        if begun.elapsed() > OTHERS_LIMIT {
            let message =
                format!("{others} connections of servers to the database {settings} are open: stop the servers first");
            return Err(Error::new(Code::Conflict, message));
        }
        thread::sleep(OTHERS_PAUSE);
    }
}

/// The application name of a process that copies.
const COPY_NAME: &str = "haldir migrate copy";
/// Whether there is a store, and how many connections servers have.
const OTHERS: &str = "SELECT to_regclass('haldir.schema_migrations') IS NOT NULL, count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = $1 AND pid <> pg_backend_pid()";
/// How long connections of a server that has just ended may be there still.
const OTHERS_LIMIT: Duration = Duration::from_secs(5);
const OTHERS_PAUSE: Duration = Duration::from_millis(100);

/// Opens a database and brings its schema up to date.
pub(crate) fn open(mut settings: PostgresSettings) -> Result<Opened> {
    let (replica, outage) = (settings.replica.take(), Arc::<Outage>::default());
    let server = Arc::new(Server::start(settings, Some(Arc::clone(&outage)))?);
    migrations::up(&server)?;
    let (batches, version) = Batches::new()?;
    let replica = replica.map(|replica| Replica::open(&server, *replica)).transpose()?;
    let writer = Box::new(PostgresConnection::new(Arc::clone(&server), Some(batches)));
    let look_ups = LookUps::new(Arc::clone(&server));
    let readers = Box::new(move || Ok(Box::new(PostgresConnection::new(Arc::clone(&server), None)) as _));
    Ok(Opened { writer, version, readers, replica, look_ups, outage })
}
