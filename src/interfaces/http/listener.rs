//! The listener: accepts connections within bounds, and drains them when it is told to stop.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

use super::{stalled::StallGuard, workers::Workers};
use crate::error::{Code, Error, Result};

/// How long a client may take to send a request's head; also how long an idle connection is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest head of a request, in bytes.
const MAX_HEADER_BYTES: usize = 32 * 1024;
/// Headers in a request.
const MAX_HEADERS: usize = 64;
/// How long calls in flight may take to finish once the server stops.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after an accept that failed, as it does when file handles run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The log reports failed accepts at most this often: they can last for hours.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// Binds `address`.
pub async fn bind(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => ": another process listens there; end it, or choose another port with --listen",
            io::ErrorKind::PermissionDenied => ": choose a port from 1024 up with --listen",
            _ => "",
        };
        Error::new(Code::Unavailable, format!("cannot listen on {address}: {error}{advice}"))
    })
}

/// The bound address.
pub fn local_address(listener: &TcpListener) -> Result<SocketAddr> {
    listener.local_addr().map_err(Error::internal)
}

/// Serves `router` on `workers` until `shutdown`, then finishes requests in flight. It serves at most `connections` at a time;
/// one more waits to be accepted.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    workers: &Workers,
    connections: usize,
    shutdown: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(connections));
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS);
    let mut logged: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &slots, &mut logged) => accepted,
        };
        let Some((stream, slot)) = accepted else { continue };
        let (server, service) = (server.clone(), TowerToHyperService::new(router.clone()));
        let watcher = graceful.watcher();
        workers.serve(async move {
            let work = async {
                // Registered with the worker's runtime.
                let stream = StallGuard::new(TcpStream::from_std(stream)?);
                watcher.watch(server.serve_connection(TokioIo::new(stream), service)).await.map_err(io::Error::other)
            };
            // A broken connection is not an error of the server.
            if let Err(error) = work.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(slot);
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!("calls were still in flight after {} s", DRAIN_TIMEOUT.as_secs());
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    logged: &mut Option<Instant>,
) -> Option<(std::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Otherwise Nagle's algorithm delays a small response until the client acknowledges the last: up to 40 ms.
            stream.set_nodelay(true).ok()?;
            Some((stream.into_std().ok()?, slot))
        }
        Err(error) => {
            if logged.is_none_or(|logged| logged.elapsed() >= LOG_EVERY) {
                *logged = Some(Instant::now());
                tracing::warn!(%error, "a connection was not accepted; logged once a minute while it lasts");
            }
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
