//! Postgres 14 or newer, for several processes on several machines.
//!
//! A batch of writes holds an advisory lock for each tenant that it writes for, so that what is read and then written stays exact.
//! What the writer remembers from one batch to the next holds until another process writes for one of its tenants (`batches.rs`);
//! readers remember nothing, since asking for a version takes as long as asking for a row. `tokio-postgres` is the driver:
//! it sends statements without waiting for the one before, which a batch of writes needs, and takes TLS from rustls.

mod alone;
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
mod server;
mod session;
mod settings;
#[cfg(test)]
pub(crate) mod tests;
mod values;

use std::sync::Arc;

pub use alone::require_alone;
use batches::Batches;
use connection::PostgresConnection;
pub(crate) use look_ups::LookUps;
pub(crate) use replica::Replica;
pub use replica::{DEFAULT_MAX_AGE, ReplicaSettings};
pub use server::Outage;
use server::Server;
pub use settings::{DEFAULT_POOL_MAX, DEFAULT_POOL_MIN, PostgresSettings};

use crate::{database::Connection, error::Result, readers::Open, row_cache::AskVersion};

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
