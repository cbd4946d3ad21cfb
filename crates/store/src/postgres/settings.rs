//! How a database is reached: what its address says, and what else an operator sets.

use std::{fmt, net::IpAddr, path::PathBuf, time::Duration};

use tokio_postgres::{
    Config,
    config::{Host, SslMode},
};

use super::{failure::error_text, replica::ReplicaSettings};
use crate::error::{Code, Error, Result};

/// How long connecting to one host may take, with TLS and authentication.
const HOST_LIMIT: Duration = Duration::from_secs(2);
/// How long the other side may leave bytes unacknowledged before the connection counts as lost.
const UNACKNOWLEDGED_LIMIT: Duration = Duration::from_secs(10);
/// Connections for reading, if the settings name no other number.
pub const DEFAULT_POOL_MAX: usize = 16;
/// Those of them that are open from the start: a server reads as it starts.
pub const DEFAULT_POOL_MIN: usize = 1;

/// How to reach a database.
#[derive(Clone)]
pub struct PostgresSettings {
    pub(super) config: Config,
    pub(super) root_certificates: Option<PathBuf>,
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
