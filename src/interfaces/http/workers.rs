//! The worker threads that serve connections. Each has a runtime of its own, so that a connection is served on one thread and
//! no wake-up crosses threads (1.31 times the requests of one shared runtime; see docs/performance.md).

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};

/// The workers. They stop when this is dropped.
#[derive(Default)]
pub struct Workers {
    workers: Vec<Worker>,
    stop: CancellationToken,
}

struct Worker {
    runtime: Handle,
    /// Shared with each of its connections: the reference count is their number.
    connections: Arc<()>,
    thread: Option<JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` threads; with none, connections are served on the caller's runtime.
    pub fn start(count: usize) -> Result<Self> {
        let stop = CancellationToken::new();
        let workers = (0..count).map(|number| Worker::start(number, stop.clone())).collect::<Result<_>>()?;
        Ok(Self { workers, stop })
    }

    /// Serves a connection on the worker with the fewest.
    pub fn serve(&self, connection: impl Future<Output = ()> + Send + 'static) {
        match self.workers.iter().min_by_key(|worker| Arc::strong_count(&worker.connections)) {
            Some(worker) => {
                let counted = Arc::clone(&worker.connections);
                worker.runtime.spawn(async move {
                    connection.await;
                    drop(counted);
                });
            }
            None => drop(tokio::spawn(connection)),
        }
    }
}

impl Worker {
    fn start(number: usize, stop: CancellationToken) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(Error::internal)?;
        let handle = runtime.handle().clone();
        let thread = thread::Builder::new()
            .name(format!("haldir-http-{number}"))
            .spawn(move || {
                runtime.block_on(stop.cancelled());
                runtime.shutdown_background();
            })
            .map_err(Error::internal)?;
        Ok(Self { runtime: handle, connections: Arc::default(), thread: Some(thread) })
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.cancel();
        for worker in &mut self.workers {
            if worker.thread.take().is_some_and(|thread| thread.join().is_err()) {
                tracing::error!("a worker thread panicked");
            }
        }
    }
}
