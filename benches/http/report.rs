//! What was found, as a table for people and as JSON for programs.

use std::{fmt::Write, time::Duration};

use serde::Serialize;

use crate::load::Outcome;

/// The goals of a stdio start. The kernel's kB are 1024 bytes.
const START_GOAL_MS: f64 = 10.0;
const RESIDENT_GOAL_KB: f64 = 18_000.0;

/// Everything that one run found.
#[derive(Serialize)]
pub struct Report {
    pub cores: usize,
    pub seconds: f64,
    pub rounds: usize,
    pub measurements: Vec<Measurement>,
    pub added: Vec<Added>,
    pub starts: Vec<Starts>,
}

/// What haldir, or a peer, adds to one call after the other: medians, in
/// milliseconds.
#[derive(Serialize)]
pub struct Added {
    pub name: &'static str,
    pub direct: f64,
    pub through: f64,
    /// What a durable append adds to a call that does nothing: one sync has to
    /// stand in the way of every call that is logged. A peer logs none.
    pub durable: Option<f64>,
    /// What may be added beyond it.
    pub goal: Option<f64>,
}

/// One server under one load.
#[derive(Serialize)]
pub struct Measurement {
    pub name: &'static str,
    pub connections: usize,
    /// The measurement that this one is compared with, and the goal; a peer, or
    /// the bare relay, has none.
    pub limit: Option<(&'static str, Option<f64>)>,
    pub rounds: Vec<Round>,
}

/// One round of a measurement.
#[derive(Serialize)]
pub struct Round {
    pub requests_per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// Processor time of the server. Unlike a rate it hardly depends on what
    /// else the machine runs.
    pub cpu_us_per_request: Option<f64>,
    pub server_cores: Option<f64>,
    pub generator_cores: Option<f64>,
    pub other_cores: Option<f64>,
    pub generator_threads: usize,
    pub errors: u64,
    pub first_error: Option<String>,
}

/// The starts of one stdio server.
#[derive(Serialize)]
pub struct Starts {
    pub name: &'static str,
    pub milliseconds: f64,
    pub resident_kb: Option<f64>,
}

impl From<Outcome> for Round {
    fn from(outcome: Outcome) -> Self {
        let answers = float(outcome.latency.len());
        let micros = |quantile| float(outcome.latency.value_at_quantile(quantile)) / 1e3;
        let cores = |time: Duration| time.as_secs_f64() / outcome.seconds;
        let usage = outcome.usage.as_ref();
        Self {
            requests_per_second: answers / outcome.seconds,
            p50_us: micros(0.5),
            p99_us: micros(0.99),
            cpu_us_per_request: usage.filter(|_| answers > 0.0).map(|usage| usage.server.as_secs_f64() * 1e6 / answers),
            server_cores: usage.map(|usage| cores(usage.server)),
            generator_cores: usage.map(|usage| cores(usage.generator)),
            other_cores: usage.map(|usage| cores(usage.others)),
            generator_threads: outcome.threads,
            errors: outcome.errors,
            first_error: outcome.first_error,
        }
    }
}

impl Round {
    /// Why the rate says less about the server than it should.
    fn doubt(&self) -> Option<&'static str> {
        let threads = float(u64::try_from(self.generator_threads).unwrap_or(u64::MAX));
        if self.other_cores.is_some_and(|cores| cores > 0.3) {
            Some("other programs used more than 0.3 cores: repeat it on an idle machine")
        } else if self.generator_cores.is_some_and(|cores| cores > 0.9 * threads) {
            Some("the load generator was busy all the time: the server can do more")
        } else {
            None
        }
    }
}

impl Measurement {
    pub fn new(name: &'static str, connections: usize, limit: Option<(&'static str, Option<f64>)>) -> Self {
        Self { name, connections, limit, rounds: Vec::new() }
    }

    /// Peers are held against something, and have no goal.
    fn is_of_peer(&self) -> bool {
        matches!(self.limit, Some((_, None)))
    }

    fn median(&self, of: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(of).collect()).unwrap_or_default()
    }

    fn rate(&self) -> f64 {
        self.median(|round| round.requests_per_second)
    }

    /// The ratio of the medians, and the lowest and highest of the rounds.
    fn ratio(&self, limit: &Self) -> (f64, f64, f64) {
        let rounds = self.rounds.iter().zip(&limit.rounds);
        let ratios = rounds.map(|(ours, bare)| ours.requests_per_second / bare.requests_per_second);
        let (low, high) = ratios.fold((f64::INFINITY, 0.0_f64), |(low, high), ratio| (low.min(ratio), high.max(ratio)));
        (self.rate() / limit.rate(), low, high)
    }
}

impl Report {
    /// The first answer that was not what was asked for, and how many there were. A peer's are its own affair: see
    /// [`Self::doubts`].
    pub fn wrong_answers(&self) -> Option<String> {
        let mut count = 0;
        let mut first = None;
        for measurement in self.measurements.iter().filter(|measurement| !measurement.is_of_peer()) {
            for round in &measurement.rounds {
                count += round.errors;
                if let (None, Some(error)) = (&first, &round.first_error) {
                    first = Some(format!("{}: {error}", measurement.name));
                }
            }
        }
        first.map(|first| format!("wrong answers: {count}, the first:\n{first}"))
    }

    /// One line for each measurement with rounds that should not be trusted.
    fn doubts(&self) -> String {
        let mut doubts = String::new();
        for measurement in &self.measurements {
            let rounds = measurement.rounds.iter();
            let wrong = rounds.clone().map(|round| round.errors).sum::<u64>();
            if measurement.is_of_peer() && wrong > 0 {
                let name = measurement.name;
                // Writing to a string does not fail.
                let _ =
                    writeln!(doubts, "note: {name}, {} connections: {wrong} wrong answers", measurement.connections);
            }
            let Some(doubt) = rounds.clone().find_map(Round::doubt) else {
                continue;
            };
            let count = rounds.filter(|round| round.doubt().is_some()).count();
            // Writing to a string does not fail.
            let _ = writeln!(
                doubts,
                "note: {}, {} connections, {count} of {} rounds: {doubt}",
                measurement.name,
                measurement.connections,
                measurement.rounds.len(),
            );
        }
        if !doubts.is_empty() {
            doubts.insert(0, '\n');
        }
        doubts
    }

    pub fn table(&self) -> String {
        let mut table =
            format!("{} cores, {} s a measurement, medians of {} rounds\n", self.cores, self.seconds, self.rounds);
        let mut connections = 0;
        for measurement in &self.measurements {
            if measurement.connections != connections {
                connections = measurement.connections;
                line(&mut table, &format!("\n{connections} connections"), &HEADS);
            }
            let limit = measurement.limit.and_then(|(name, goal)| {
                let limit = self
                    .measurements
                    .iter()
                    .find(|other| other.name == name && other.connections == measurement.connections)?;
                Some((limit, goal))
            });
            line(&mut table, measurement.name, &cells(measurement, limit));
        }
        table.push_str(&self.doubts());
        if !self.added.is_empty() {
            line(&mut table, "\none call after the other", &ADDED_HEADS);
        }
        for Added { name, direct, through, durable, goal } in &self.added {
            let beyond = through - direct - durable.unwrap_or_default();
            let [direct, through, durable, more, shown] =
                [Some(*direct), Some(*through), *durable, Some(beyond), *goal].map(|time| shown(time, 2));
            let reached = goal.map(|goal| met(beyond <= goal)).unwrap_or_default();
            line(&mut table, name, &[direct, through, durable, more, String::new(), shown, reached]);
        }
        let heads = ["median ms", "goal", "met", "VmRSS kB", "goal", "met"];
        line(&mut table, "\nspawn to tools/list", &heads.map(str::to_owned));
        for starts in &self.starts {
            let bare = starts.name.starts_with("bare");
            let goal = |text: String| if bare { String::new() } else { text };
            line(
                &mut table,
                starts.name,
                &[
                    format!("{:.2}", starts.milliseconds),
                    goal(format!("{START_GOAL_MS:.0}")),
                    goal(met(starts.milliseconds < START_GOAL_MS)),
                    starts.resident_kb.map_or_else(|| "?".to_owned(), |kb| format!("{kb:.0}")),
                    goal(format!("{RESIDENT_GOAL_KB:.0}")),
                    goal(met(starts.resident_kb.is_some_and(|kb| kb < RESIDENT_GOAL_KB))),
                ],
            );
        }
        table
    }
}

const ADDED_HEADS: [&str; 7] = ["direct ms", "through", "a sync", "more", "", "goal", "met"];
const HEADS: [&str; 7] = ["requests/s", "p50 ms", "p99 ms", "CPU µs", "ratio", "goal", "met"];

/// Nothing where there is no number.
fn shown(number: Option<f64>, decimals: usize) -> String {
    number.map(|number| format!("{number:.decimals$}")).unwrap_or_default()
}

fn cells(measurement: &Measurement, limit: Option<(&Measurement, Option<f64>)>) -> [String; 7] {
    let cpu = measurement.rounds.iter().filter_map(|round| round.cpu_us_per_request);
    let (ratio, goal, reached) = limit.map_or_else(Default::default, |(limit, goal)| {
        let (ratio, low, high) = measurement.ratio(limit);
        let ratios = format!("{ratio:.2} ({low:.2}-{high:.2})");
        (ratios, shown(goal, 2), goal.map(|goal| met(ratio >= goal)).unwrap_or_default())
    });
    [
        format!("{:.0}", measurement.rate()),
        format!("{:.3}", measurement.median(|round| round.p50_us) / 1e3),
        format!("{:.3}", measurement.median(|round| round.p99_us) / 1e3),
        median(cpu.collect()).map_or_else(|| "?".to_owned(), |cpu| format!("{cpu:.1}")),
        ratio,
        goal,
        reached,
    ]
}

fn met(met: bool) -> String {
    if met { "yes" } else { "NO" }.to_owned()
}

fn line(table: &mut String, name: &str, cells: &[impl AsRef<str>]) {
    // The fifth of seven columns holds a ratio and its range.
    let widths = match cells.len() {
        7 => [12, 9, 9, 9, 18, 7, 5],
        _ => [12, 7, 6, 12, 8, 6, 0],
    };
    let name_width = 26 + usize::from(name.starts_with('\n'));
    let mut text = format!("{name:<name_width$}");
    for (cell, width) in cells.iter().zip(widths) {
        // Writing to a string does not fail.
        let _ = write!(text, "{:>width$}", cell.as_ref());
    }
    table.push_str(text.trim_end());
    table.push('\n');
}

/// The middle of the values, or the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get(values.len().checked_sub(1)? / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// A count as a number to divide by.
#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^53")]
pub fn float(count: u64) -> f64 {
    count as f64
}
