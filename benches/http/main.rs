//! The benchmark of the server: what it adds to the bare limits of the parts it
//! is made of, measured beside them, on the same machine, in the same run.
//!
//! `cargo bench --bench http` runs it; `-- --help` says what can be changed.
//! Every server is a process of its own. Goals that are missed do not fail the
//! benchmark, for a busy machine must not; wrong answers do.

use std::{
    net::SocketAddr,
    num::NonZero,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
};

use clap::Parser;
use tempfile::TempDir;

mod bare_http;
mod bare_mcp;
mod bare_relay;
mod haldir;
mod load;
mod options;
mod peers;
mod process;
mod proxied;
mod report;
mod start;
mod usage;
mod wire;

use crate::{
    haldir::{Ask, Haldir, Subject},
    load::{Exchange, Load},
    options::Options,
    peers::Peer,
    process::Server,
    report::{Measurement, Report},
};

/// Whatever went wrong: it is only ever shown.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

/// The relay that does nothing but pass on and log, which has no goal.
const RELAY: &str = "bare durable relay";

/// What is measured: the request, its name, the name of its bare limit, and the
/// share of the limit that is the goal.
const PLAN: [(Ask, &str, &str, f64); 4] = [
    (Ask::Session, "GET /v1/sessions/{id}", "bare hyper", 0.60),
    (Ask::Audit, "POST /v1/audit", "bare durable append", 0.60),
    (Ask::Permission, "tools/call checkPermission", "bare rmcp", 0.75),
    (Ask::Proxied, "tools/call through haldir", "tools/call, direct", 0.50),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The hidden subcommands make this program one of its own children.
fn run(args: &[String]) -> Result<u8> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["bare-hyper", size] => bare_http::constant(size.parse()?)?,
        ["bare-append", database, size] => {
            bare_http::append(Path::new(database), size.parse()?)?;
        }
        ["bare-mcp", session] => bare_mcp::http(session)?,
        ["bare-relay", database, upstream] => bare_relay::http(Path::new(database), upstream.parse()?)?,
        ["bare-stdio"] => bare_mcp::stdio()?,
        ["keep", ..] => return process::keep(&args[1..]),
        _ => return benchmark(&Options::parse()),
    }
    Ok(0)
}

fn benchmark(options: &Options) -> Result<u8> {
    // Beside the build, which is on a real disk where /tmp may not be.
    let scratch = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
    clean_up_on_interrupt(scratch.path())?;

    let (haldir, subject) = if options.bare_only {
        (None, Subject::placeholder())
    } else {
        let (haldir, subject) = Haldir::start(scratch.path())?;
        (Some(haldir), subject)
    };
    let limits = start_limits(&subject, scratch.path())?;
    let relay = start_relay(limits[3].address, scratch.path())?;
    let peers = match &options.peers {
        Some(folder) => {
            let sessions = options.connections.iter().copied().max().unwrap_or(1);
            peers::start(folder, limits[3].address, sessions, scratch.path())?
        }
        None => Vec::new(),
    };
    let bench = Bench { limits, relay, haldir, peers, subject };
    if let Some(haldir) = &bench.haldir {
        haldir.put_before(bench.limits[3].address, &bench.subject)?;
    }
    let mut report = Report {
        cores: thread::available_parallelism().map_or(1, NonZero::get),
        seconds: options.seconds,
        rounds: options.rounds.into(),
        measurements: Vec::new(),
        added: Vec::new(),
        starts: Vec::new(),
    };
    for connections in &options.connections {
        report.measurements.extend(bench.measure(options, *connections)?);
    }
    if bench.haldir.is_some() {
        report.added = proxied::measure(&bench, options, scratch.path())?;
    }
    let store = bench.stop()?;
    eprintln!("{} starts over stdio", start::STARTS);
    report.starts = start::measure(store.as_deref())?;

    print!("{}", report.table());
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_vec_pretty(&report)?)
            .map_err(|error| format!("{}: {error}", file.display()))?;
    }
    if let Some(wrong) = report.wrong_answers() {
        eprintln!("error: {wrong}");
        return Ok(1);
    }
    Ok(0)
}

/// The bare servers, in the order of [`PLAN`].
fn start_limits(subject: &Subject, directory: &Path) -> Result<[Server; 4]> {
    let database = directory.join("bare.db");
    let session = subject.session_answer.to_string();
    let audit = subject.audit_answer.to_string();
    Ok([
        Server::bare(&["bare-hyper", &session])?,
        Server::bare(&["bare-append".as_ref(), database.as_os_str(), audit.as_ref()])?,
        Server::bare(&["bare-mcp", &subject.session])?,
        Server::bare(&["bare-mcp", &subject.session])?,
    ])
}

fn start_relay(upstream: SocketAddr, directory: &Path) -> Result<Server> {
    let (database, upstream) = (directory.join("relay.db"), upstream.to_string());
    Server::bare(&["bare-relay".as_ref(), database.as_os_str(), upstream.as_ref()])
}

/// The servers, all of them running; each measurement loads one.
struct Bench {
    limits: [Server; 4],
    relay: Server,
    haldir: Option<Haldir>,
    peers: Vec<Peer>,
    subject: Subject,
}

impl Bench {
    /// All rounds with one number of connections.
    fn measure(&self, options: &Options, connections: usize) -> Result<Vec<Measurement>> {
        let load = Load { connections, seconds: options.seconds };
        let mut found = Vec::new();
        for (_, name, limit, goal) in PLAN {
            found.push(Measurement::new(limit, connections, None));
            if self.haldir.is_some() {
                found.push(Measurement::new(name, connections, Some((limit, Some(goal)))));
            }
        }
        let direct = PLAN[3].2;
        found.push(Measurement::new(RELAY, connections, Some((direct, None))));
        for peer in &self.peers {
            found.push(Measurement::new(peer.name, connections, Some((direct, None))));
        }
        for round in 1..=options.rounds {
            let mut measurements = found.iter_mut();
            let turn = |turns: Vec<(&Server, Exchange)>, measurements: &mut std::slice::IterMut<'_, Measurement>| {
                for ((server, exchange), measurement) in turns.into_iter().zip(measurements) {
                    eprintln!("{connections} connections, round {round} of {}: {}", options.rounds, measurement.name);
                    let outcome = load::run(server.address, server.pid, exchange, load)?;
                    measurement.rounds.push(outcome.into());
                }
                Result::Ok(())
            };
            for ((ask, ..), limit) in PLAN.iter().zip(&self.limits) {
                let mut turns = vec![(limit, self.subject.bare_exchange(limit.address, *ask))];
                if let Some(Haldir { server, .. }) = &self.haldir {
                    turns.push((server, self.subject.exchange(server.address, *ask)));
                }
                turn(turns, &mut measurements)?;
            }
            let exchange = self.subject.bare_exchange(self.relay.address, Ask::Proxied);
            turn(vec![(&self.relay, exchange)], &mut measurements)?;
            let peers = self.peers.iter().map(|peer| (&peer.server, peer.exchange(connections)));
            turn(peers.collect(), &mut measurements)?;
        }
        Ok(found)
    }

    /// Ends every server in order. Returns the store that ours leaves behind.
    fn stop(self) -> Result<Option<PathBuf>> {
        // How a peer ends is its own affair.
        drop(self.peers);
        self.relay.stop()?;
        self.limits.into_iter().try_for_each(Server::stop)?;
        let Some(Haldir { server, store }) = self.haldir else {
            return Ok(None);
        };
        server.stop()?;
        Ok(Some(store))
    }
}

/// Removes the databases when the user or the system ends the benchmark. Its
/// children end by themselves, since their standard input does.
fn clean_up_on_interrupt(directory: &Path) -> Result<()> {
    let directory = directory.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::spawn(move || {
        if runtime.block_on(interrupted()).is_ok() {
            // Best effort: the directory is below the build's own.
            let _ = std::fs::remove_dir_all(directory);
            std::process::exit(130);
        }
    });
    Ok(())
}

#[cfg(unix)]
async fn interrupted() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended,
        _ = terminate.recv() => Ok(()),
        _ = hang_up.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn interrupted() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
