//! What haldir, and each peer, adds to a call of another server's tool when one
//! call follows the other: over HTTP, and around a server on stdio.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::Receiver,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde_json::Value;

use crate::{
    Bench, Result,
    haldir::{self, Ask},
    load::{self, Exchange, Load},
    options::Options,
    process::{self, Guard, Server},
    report::{self, Added},
};

/// What may be added beyond one sync, in milliseconds.
const HTTP_GOAL: f64 = 0.35;
const STDIO_GOAL: f64 = 0.25;
/// How long a stdio server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

const HELLO: &str = concat!(
    r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","#,
    r#""capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#,
    "\n",
    r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
    "\n",
    r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#,
    "\n",
);
const CALL: &str = concat!(
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":"#,
    r#"{"name":"checkPermission","arguments":{"session_id":"bench","scope":"read"}}}"#,
    "\n",
);

/// Measures both, each beside what it is held against.
pub fn measure(bench: &Bench, options: &Options, scratch: &Path) -> Result<Vec<Added>> {
    let [hyper, append, _, upstream] = &bench.limits;
    let Some(haldir) = &bench.haldir else { return Ok(Vec::new()) };
    let store = scratch.join("wrapped.db");
    let (mut bare, mut durable, mut direct, mut through) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut alone, mut wrapped, mut relayed) = (Vec::new(), Vec::new(), Vec::new());
    let mut peers = vec![Vec::new(); bench.peers.len()];
    for round in 1..=options.rounds {
        eprintln!("one call after the other, round {round} of {}", options.rounds);
        let ask = |server: &Server, exchange: Exchange| median_of(server, exchange, options.seconds);
        let words = &bench.subject;
        bare.push(ask(hyper, words.bare_exchange(hyper.address, Ask::Session))?);
        durable.push(ask(append, words.bare_exchange(append.address, Ask::Audit))?);
        direct.push(ask(upstream, words.bare_exchange(upstream.address, Ask::Proxied))?);
        through.push(ask(&haldir.server, words.exchange(haldir.server.address, Ask::Proxied))?);
        relayed.push(ask(&bench.relay, words.bare_exchange(bench.relay.address, Ask::Proxied))?);
        for (peer, times) in bench.peers.iter().zip(&mut peers) {
            times.push(ask(&peer.server, peer.exchange(1))?);
        }
        alone.push(over_stdio(&mut bare_stdio()?, options.seconds)?);
        wrapped.push(over_stdio(&mut wrapped_stdio(&store)?, options.seconds)?);
    }
    let median = |times: Vec<f64>| report::median(times).unwrap_or_default();
    let durable = Some(median(durable) - median(bare));
    let direct = median(direct);
    let mut added = vec![
        Added { name: "tools/call over HTTP", direct, through: median(through), durable, goal: Some(HTTP_GOAL) },
        Added {
            name: "tools/call, wrapped stdio",
            direct: median(alone),
            through: median(wrapped),
            durable,
            goal: Some(STDIO_GOAL),
        },
        Added { name: crate::RELAY, direct, through: median(relayed), durable, goal: None },
    ];
    // Whatever stands behind a peer, its clients come over HTTP.
    added.extend(bench.peers.iter().zip(peers).map(|(peer, times)| Added {
        name: peer.name,
        direct,
        through: median(times),
        durable: None,
        goal: None,
    }));
    Ok(added)
}

/// The median time of an answer on one connection.
fn median_of(server: &Server, exchange: Exchange, seconds: f64) -> Result<f64> {
    let outcome = load::run(server.address, server.pid, exchange, Load { connections: 1, seconds })?;
    match outcome.first_error {
        Some(error) => Err(error.into()),
        None => Ok(report::float(outcome.latency.value_at_quantile(0.5)) / 1e6),
    }
}

fn bare_stdio() -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bare-stdio");
    Ok(command)
}

fn wrapped_stdio(store: &Path) -> Result<Command> {
    let mut command = Command::new(haldir::PROGRAM);
    process::without_settings(&mut command).env("HALDIR_DB", store);
    command.args(["wrap", "--name", "bare", "--"]).arg(std::env::current_exe()?).arg("bare-stdio");
    Ok(command)
}

/// The median time of an answer of a stdio server.
fn over_stdio(command: &mut Command, seconds: f64) -> Result<f64> {
    command.stderr(Stdio::null());
    let mut guard = Guard::spawn(command)?;
    let lines = guard.lines()?;
    guard.input()?.write_all(HELLO.as_bytes())?;
    for id in [0, 2] {
        answered(&lines, id)?;
    }
    let mut latency = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3)?;
    let ends = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < ends {
        let asked = Instant::now();
        guard.input()?.write_all(CALL.as_bytes())?;
        let elapsed = answered(&lines, 1)?.duration_since(asked);
        latency.saturating_record(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX));
    }
    let status = guard.end()?;
    if !status.success() {
        return Err(format!("the stdio server ended with {status}").into());
    }
    Ok(report::float(latency.value_at_quantile(0.5)) / 1e6)
}

/// The moment of the next answer to the request `id`, which must be a result.
fn answered(lines: &Receiver<(Instant, String)>, id: u64) -> Result<Instant> {
    loop {
        let (moment, line) = lines.recv_timeout(PATIENCE).map_err(|_| "the stdio server did not answer")?;
        let message: Value = serde_json::from_str(&line)?;
        if message.get("id") != Some(&Value::from(id)) {
            continue;
        }
        let refused = message.pointer("/result/isError") == Some(&Value::Bool(true));
        if message.get("result").is_none() || refused {
            return Err(format!("not the answer that was asked for: {line}").into());
        }
        return Ok(moment);
    }
}
