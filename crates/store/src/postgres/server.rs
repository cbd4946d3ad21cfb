//! A database as a process reaches it: connections, TLS, the threads that serve sockets, and since when it is away.

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::executor::block_on;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_postgres::{Client, Config, SimpleQueryMessage, config::SslMode, error::SqlState};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    PostgresSettings,
    failure::{Failure, error_text},
};
use crate::{
    database::Retry,
    error::{Code, Error, Result},
    model::{Clock, UnixMicros, time::SystemClock},
};

/// How long connecting may take, to all hosts of an address together.
const CONNECT_LIMIT: Duration = Duration::from_secs(8);
/// Threads that serve the sockets of all connections.
const SOCKET_THREADS: usize = 2;
/// How statements are planned: once for a connection, whatever their values, and by the indexes that they are written for. Planning a query of
/// the log takes ten times as long as running it, and a plan that was made of a small table would read all of it for as long as the
/// connection lasts, however large it has become.
pub(super) const PLANNING: [&str; 7] = [
    "plan_cache_mode=force_generic_plan",
    "jit=off",
    "enable_seqscan=off",
    "enable_sort=off",
    "enable_bitmapscan=off",
    "enable_hashjoin=off",
    "enable_material=off",
];
/// What callers are told while there is no connection; the cause is in the log and in [`Outage`].
pub(super) const UNREACHABLE: &str = "the database cannot be reached; try again";

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
pub(super) struct Server {
    pub(super) settings: PostgresSettings,
    tls: MakeRustlsConnect,
    /// Of the primary.
    pub(super) outage: Option<Arc<Outage>>,
    /// How long it may take for the answer to a statement; `None` is as long as the connection lasts.
    pub(super) answer_limit: Option<Duration>,
    /// `None` while it is dropped.
    pub(super) runtime: Option<Runtime>,
}

impl Server {
    pub(super) fn start(settings: PostgresSettings, outage: Option<Arc<Outage>>) -> Result<Self> {
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
    pub(super) fn answer_limit(&self) -> Option<(Handle, Duration)> {
        Some((self.runtime.as_ref()?.handle().clone(), self.answer_limit?))
    }

    /// Opens a connection, whose socket is served until the client is dropped; and whether statements may be prepared by name on it.
    pub(super) fn connect(&self) -> std::result::Result<(Client, bool), Failure> {
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
