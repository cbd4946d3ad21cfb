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
#[cfg(feature = "postgres")]
mod bare_postgres;
mod bare_relay;
mod haldir;
mod load;
#[cfg(feature = "postgres")]
mod on_postgres;
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
    report::{Against, Measurement, Report},
};

/// Whatever went wrong: it is only ever shown.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

/// The relay that does nothing but pass on and log, which has no goal.
const RELAY: &str = "bare durable relay";

/// The bare servers.
const LIMITS: [&str; 4] = ["bare hyper", "bare durable append", "bare rmcp", "tools/call, direct"];

/// What is measured: the request, its name, the place of its bare limit in [`LIMITS`], and the share of the limit that
/// is the goal, if it has one. Requests of the same limit follow one another, so that each round measures it once.
const PLAN: [(Ask, &str, usize, Option<f64>); 6] = [
    (Ask::Session, "GET /v1/sessions/{id}", 0, Some(0.60)),
    (Ask::Audit, "POST /v1/audit", 1, Some(0.60)),
    (Ask::CreateSession, "POST /v1/sessions", 1, None),
    (Ask::Payment, "POST /v1/payments/authorize", 1, None),
    (Ask::Permission, "tools/call checkPermission", 2, Some(0.75)),
    (Ask::Proxied, "tools/call through haldir", 3, Some(0.50)),
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
        #[cfg(feature = "postgres")]
        ["bare-postgres", url, size] => bare_postgres::append(url, size.parse()?)?,
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

    #[cfg(feature = "postgres")]
    if let Some(url) = &options.postgres {
        return on_postgres::measure(url, options, scratch.path());
    }
    let (haldir, subject) = if options.bare_only {
        (None, Subject::placeholder())
    } else {
        let (haldir, subject) = Haldir::start(Path::new(haldir::PROGRAM), scratch.path())?;
        (Some(haldir), subject)
    };
    let other = options.against.as_deref().map(|program| start_other(program, scratch.path())).transpose()?;
    let limits = start_limits(&subject, scratch.path())?;
    let relay = start_relay(limits[3].address, scratch.path())?;
    let peers = match &options.peers {
        Some(folder) => {
            let sessions = options.connections.iter().copied().max().unwrap_or(1);
            peers::start(folder, limits[3].address, sessions, scratch.path())?
        }
        None => Vec::new(),
    };
    let bench = Bench { limits, relay, haldir, other, peers, subject };
    if let Some(haldir) = &bench.haldir {
        haldir.put_before(bench.limits[3].address, &bench.subject)?;
    }
    if let Some((other, subject)) = &bench.other {
        other.put_before(bench.limits[3].address, subject)?;
    }
    let mut report = Report {
        cores: thread::available_parallelism().map_or(1, NonZero::get),
        seconds: options.seconds,
        rounds: options.rounds.into(),
        measurements: Vec::new(),
        against: Vec::new(),
        added: Vec::new(),
        starts: Vec::new(),
    };
    for connections in &options.connections {
        let (measurements, against) = bench.measure(options, *connections)?;
        report.measurements.extend(measurements);
        report.against.extend(against);
    }
    let all = options.only.is_empty();
    if bench.haldir.is_some() && all {
        report.added = proxied::measure(&bench, options, scratch.path())?;
    }
    let store = bench.stop()?;
    if all {
        eprintln!("{} starts over stdio", start::STARTS);
        report.starts = start::measure(store.as_deref())?;
    }

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

/// Another build of the program, with a store of its own.
fn start_other(program: &Path, directory: &Path) -> Result<(Haldir, Subject)> {
    let directory = directory.join("other");
    std::fs::create_dir(&directory)?;
    // The program runs in another folder's name than it was given in, should that be relative.
    let program = program.canonicalize().map_err(|error| format!("{}: {error}", program.display()))?;
    Haldir::start(&program, &directory)
}

/// The bare servers, in the order of [`LIMITS`].
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
    /// The build that ours is held against, and what is asked of it.
    other: Option<(Haldir, Subject)>,
    peers: Vec<Peer>,
    subject: Subject,
}

impl Bench {
    /// All rounds with one number of connections.
    fn measure(&self, options: &Options, connections: usize) -> Result<(Vec<Measurement>, Vec<Against>)> {
        let load = Load { connections, seconds: options.seconds };
        let measurement = |name, limit| Measurement::new(name, connections, limit);
        let mut limits = LIMITS.map(|name| measurement(name, None));
        let mut ours = PLAN.map(|(_, name, limit, goal)| measurement(name, Some((LIMITS[limit], goal))));
        let mut others = PLAN.map(|(_, name, ..)| measurement(name, None));
        let direct = Some((LIMITS[3], None));
        let mut relay = measurement(RELAY, direct);
        let mut peers: Vec<_> = self.peers.iter().map(|peer| measurement(peer.name, direct)).collect();
        for round in 1..=options.rounds {
            let turn = |server: &Server, exchange: Exchange, whose: &str, measurement: &mut Measurement| {
                let name = measurement.name;
                eprintln!("{connections} connections, round {round} of {}: {name}{whose}", options.rounds);
                let outcome = load::run(server.address, server.pid, exchange, load)?;
                measurement.rounds.push(outcome.into());
                Result::Ok(())
            };
            for (at, (ask, name, limit, _)) in PLAN.into_iter().enumerate() {
                if !options.includes(name) {
                    continue;
                }
                if limits[limit].rounds.len() < usize::from(round) {
                    let server = &self.limits[limit];
                    turn(server, self.subject.bare_exchange(server.address, ask), "", &mut limits[limit])?;
                }
                let mut turn_ours = || {
                    let Some(Haldir { server, .. }) = &self.haldir else { return Ok(()) };
                    turn(server, self.subject.exchange(server.address, ask), "", &mut ours[at])
                };
                // Whichever comes second finds the disk as the first one has left it: so they change places.
                if round % 2 == 1 {
                    turn_ours()?;
                }
                if let Some((Haldir { server, .. }, subject)) = &self.other {
                    turn(server, subject.exchange(server.address, ask), ", the other build", &mut others[at])?;
                }
                if round % 2 == 0 {
                    turn_ours()?;
                }
            }
            if options.only.is_empty() {
                turn(&self.relay, self.subject.bare_exchange(self.relay.address, Ask::Proxied), "", &mut relay)?;
                for (peer, measurement) in self.peers.iter().zip(&mut peers) {
                    turn(&peer.server, peer.exchange(connections), "", measurement)?;
                }
            }
        }
        let against = ours.iter().zip(&others).filter_map(|(ours, other)| Against::of(ours, other)).collect();
        let mut found = Vec::new();
        let mut limits = limits.map(Some);
        for (ours, (_, _, limit, _)) in ours.into_iter().zip(PLAN) {
            found.extend(limits[limit].take());
            found.push(ours);
        }
        found.push(relay);
        found.extend(peers);
        found.retain(|measurement| !measurement.rounds.is_empty());
        Ok((found, against))
    }

    /// Ends every server in order. Returns the store that ours leaves behind.
    fn stop(self) -> Result<Option<PathBuf>> {
        // How a peer ends is its own affair.
        drop(self.peers);
        self.relay.stop()?;
        if let Some((other, _)) = self.other {
            other.server.stop()?;
        }
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
