//! The threads that serve connections. Each has a runtime of its own: what a connection needs is done on one thread, and
//! no thread has to be woken to share another's work, which takes longer than nearly all of that work.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};

/// Where connections are served. They end with this.
#[derive(Default)]
pub struct Lanes {
    lanes: Vec<Lane>,
    stop: CancellationToken,
}

struct Lane {
    runtime: Handle,
    /// Shared with each of its connections, and so counts them.
    connections: Arc<()>,
    thread: Option<JoinHandle<()>>,
}

impl Lanes {
    /// Starts so many threads; with none, connections are served where they are accepted.
    pub fn start(count: usize) -> Result<Self> {
        let stop = CancellationToken::new();
        let lanes = (0..count).map(|number| Lane::start(number, stop.clone())).collect::<Result<_>>()?;
        Ok(Self { lanes, stop })
    }

    /// Serves a connection where there are fewest.
    pub fn serve(&self, connection: impl Future<Output = ()> + Send + 'static) {
        match self.lanes.iter().min_by_key(|lane| Arc::strong_count(&lane.connections)) {
            Some(lane) => {
                let counted = Arc::clone(&lane.connections);
                lane.runtime.spawn(async move {
                    connection.await;
                    drop(counted);
                });
            }
            None => drop(tokio::spawn(connection)),
        }
    }
}

impl Lane {
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

impl Drop for Lanes {
    fn drop(&mut self) {
        self.stop.cancel();
        for lane in &mut self.lanes {
            if lane.thread.take().is_some_and(|thread| thread.join().is_err()) {
                tracing::error!("a thread that served connections had panicked");
            }
        }
    }
}
