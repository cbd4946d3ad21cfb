//! The load generator: a fixed number of keep-alive connections, each with one
//! request outstanding.
//!
//! Connections are dealt out to a few single-threaded runtimes. That spares the
//! generator the work stealing and cross-thread wake-ups of a shared runtime.

use std::{
    io,
    net::SocketAddr,
    num::NonZero,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    Result,
    usage::{Snapshot, Usage},
    wire::{Answer, Inbox},
};

/// A request, and how its right answer is told from any other.
pub struct Exchange {
    /// Each connection's own, in turn: at least one.
    pub requests: Vec<Vec<u8>>,
    pub status: u16,
    /// Bytes that only the right body contains.
    pub proof: Vec<u8>,
    /// Whether the server closes a connection once it has answered.
    pub closes: bool,
}

/// How hard and how long to ask.
#[derive(Clone, Copy)]
pub struct Load {
    pub connections: usize,
    pub seconds: f64,
}

/// What one measurement found.
pub struct Outcome {
    pub seconds: f64,
    /// Threads of the load generator.
    pub threads: usize,
    /// One value for each right answer, in nanoseconds.
    pub latency: Histogram<u64>,
    pub usage: Option<Usage>,
    pub errors: u64,
    pub first_error: Option<String>,
}

/// The time in which an answer counts; what arrives earlier is warm-up.
#[derive(Clone, Copy)]
struct Window {
    opens: Instant,
    closes: Instant,
}

/// What one connection, and later all of them, have seen.
struct Tally {
    latency: Histogram<u64>,
    errors: u64,
    first_error: Option<String>,
}

/// Loads the server at `address`, whose process is `pid`.
pub fn run(address: SocketAddr, pid: u32, exchange: Exchange, load: Load) -> Result<Outcome> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    // With half of the cores the generator did not hold back bare hyper on a
    // machine of four; with a quarter it did.
    let threads = (cores / 2).clamp(1, load.connections);
    let warm_up = Duration::from_secs_f64((load.seconds / 5.0).min(1.0));
    let opens = Instant::now() + warm_up;
    let window = Window { opens, closes: opens + Duration::from_secs_f64(load.seconds) };
    let exchange = Arc::new(exchange);

    let mut workers = Vec::with_capacity(threads);
    for index in 0..threads {
        let own = (index..load.connections).step_by(threads);
        let exchange = Arc::clone(&exchange);
        workers.push(thread::spawn(move || work(address, own, &exchange, window)));
    }
    sleep_until(window.opens);
    let before = Snapshot::take(pid);
    sleep_until(window.closes);
    let after = Snapshot::take(pid);

    let mut total = Tally::new()?;
    for worker in workers {
        let tally = worker.join().map_err(|_| "a load thread panicked")??;
        total.merge(tally)?;
    }
    Ok(Outcome {
        seconds: load.seconds,
        threads,
        usage: before.zip(after).map(|(before, after)| after.since(&before)),
        latency: total.latency,
        errors: total.errors,
        first_error: total.first_error,
    })
}

fn sleep_until(moment: Instant) {
    thread::sleep(moment.saturating_duration_since(Instant::now()));
}

/// One thread's share of the connections.
fn work(
    address: SocketAddr,
    connections: impl ExactSizeIterator<Item = usize>,
    exchange: &Arc<Exchange>,
    window: Window,
) -> Result<Tally> {
    /// How long after the window an answer may still be outstanding.
    const PATIENCE: Duration = Duration::from_secs(10);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut running = Vec::with_capacity(connections.len());
        for connection in connections {
            let exchange = Arc::clone(exchange);
            running.push(tokio::spawn(async move {
                let mut tally = Tally::new()?;
                if let Err(error) = converse(address, &exchange, connection, window, &mut tally).await {
                    tally.wrong(|| format!("connection failed: {error}"));
                }
                Ok::<_, crate::Error>(tally)
            }));
        }
        let mut total = Tally::new()?;
        let deadline = tokio::time::Instant::from_std(window.closes + PATIENCE);
        for connection in running {
            // One timer per thread, not one per request.
            match tokio::time::timeout_at(deadline, connection).await {
                Ok(tally) => total.merge(tally??)?,
                Err(_) => total.wrong(|| "a request was never answered".to_owned()),
            }
        }
        Ok(total)
    })
}

/// Asks again and again on one connection until the window closes.
async fn converse(
    address: SocketAddr,
    exchange: &Exchange,
    connection: usize,
    window: Window,
    tally: &mut Tally,
) -> io::Result<()> {
    let request = &exchange.requests[connection % exchange.requests.len()];
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut inbox = Inbox::default();
    let mut proof_at = 0;
    let mut asked = Instant::now();
    while asked < window.closes {
        stream.write_all(request).await?;
        let answer = loop {
            let read = stream.read(inbox.space()).await?;
            if inbox.completes(read)? {
                break inbox.take();
            }
        };
        let answered = Instant::now();
        if exchange.is_answered_by(&answer, &mut proof_at) {
            if answered >= window.opens && answered < window.closes {
                let elapsed = answered.duration_since(asked).as_nanos();
                tally.latency.saturating_record(u64::try_from(elapsed).unwrap_or(u64::MAX));
            }
        } else {
            tally.wrong(|| describe(&answer));
        }
        asked = answered;
        if exchange.closes {
            stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            asked = Instant::now();
        }
    }
    Ok(())
}

impl Exchange {
    /// Status and body are as they should be. `proof_at` remembers where the
    /// proof was found, because the next answer has it in the same place.
    fn is_answered_by(&self, answer: &Answer<'_>, proof_at: &mut usize) -> bool {
        if answer.status != self.status {
            return false;
        }
        let remembered = answer.body.get(*proof_at..);
        if remembered.is_some_and(|body| body.starts_with(&self.proof)) {
            return true;
        }
        let found = answer.body.windows(self.proof.len()).position(|part| part == self.proof);
        *proof_at = found.unwrap_or(0);
        found.is_some()
    }
}

fn describe(answer: &Answer<'_>) -> String {
    let shown = &answer.body[..answer.body.len().min(600)];
    format!("status {}: {}", answer.status, String::from_utf8_lossy(shown))
}

impl Tally {
    fn new() -> Result<Self> {
        Ok(Self {
            // Nanoseconds up to a minute, to three digits.
            latency: Histogram::new_with_bounds(1, 60_000_000_000, 3)?,
            errors: 0,
            first_error: None,
        })
    }

    fn wrong(&mut self, describe: impl FnOnce() -> String) {
        self.errors += 1;
        self.first_error.get_or_insert_with(describe);
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        self.latency.add(&other.latency)?;
        self.errors += other.errors;
        if self.first_error.is_none() {
            self.first_error = other.first_error;
        }
        Ok(())
    }
}
