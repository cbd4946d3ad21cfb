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
    pub against: Vec<Against>,
    pub added: Vec<Added>,
    pub starts: Vec<Starts>,
}

/// A request to this build and to another one, which took turns.
#[derive(Serialize)]
pub struct Against {
    pub name: &'static str,
    pub connections: usize,
    pub requests_per_second: Compared,
    pub p50_us: Compared,
    pub p99_us: Compared,
    /// Processor time of the server, where it can be told.
    pub cpu_us_per_request: Option<Compared>,
    /// The other build's wrong answers.
    pub errors: u64,
    pub first_error: Option<String>,
}

/// Medians of the rounds, and the ratio of this build's to the other's.
#[derive(Serialize)]
pub struct Compared {
    pub this: f64,
    pub other: f64,
    pub ratio: f64,
    /// Of the rounds.
    pub lowest: f64,
    pub highest: f64,
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
#[derive(Clone, Serialize)]
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

    pub fn median(&self, of: impl Fn(&Round) -> f64) -> f64 {
        median(self.rounds.iter().map(of).collect()).unwrap_or_default()
    }

    fn rate(&self) -> f64 {
        self.median(|round| round.requests_per_second)
    }

    /// Something of this one, and of another one whose rounds took turns with its rounds.
    pub fn compared(&self, other: &Self, of: impl Fn(&Round) -> f64) -> Compared {
        let ratios = self.rounds.iter().zip(&other.rounds).map(|(ours, other)| of(ours) / of(other));
        let (lowest, highest) =
            ratios.fold((f64::INFINITY, 0.0_f64), |(low, high), ratio| (low.min(ratio), high.max(ratio)));
        let (this, other) = (self.median(&of), other.median(&of));
        Compared { this, other, ratio: this / other, lowest, highest }
    }
}

impl Against {
    /// `None` where either was not measured.
    pub fn of(ours: &Measurement, other: &Measurement) -> Option<Self> {
        (!ours.rounds.is_empty() && !other.rounds.is_empty()).then(|| Self {
            name: ours.name,
            connections: ours.connections,
            requests_per_second: ours.compared(other, |round| round.requests_per_second),
            p50_us: ours.compared(other, |round| round.p50_us),
            p99_us: ours.compared(other, |round| round.p99_us),
            cpu_us_per_request: Some(ours.compared(other, |round| round.cpu_us_per_request.unwrap_or(f64::NAN)))
                .filter(|cpu| cpu.ratio.is_finite()),
            errors: other.rounds.iter().map(|round| round.errors).sum(),
            first_error: other.rounds.iter().find_map(|round| round.first_error.clone()),
        })
    }
}

impl Compared {
    pub fn shown(&self) -> String {
        format!("{:.2} ({:.2}-{:.2})", self.ratio, self.lowest, self.highest)
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

    /// This build beside the other one.
    fn against(&self) -> String {
        let mut table = String::new();
        let mut connections = 0;
        for found in &self.against {
            if found.connections != connections {
                connections = found.connections;
                let heads = ["requests/s", "other", "ratio", "p50", "CPU", "p99 ms", "other", "ratio"];
                against_line(&mut table, &format!("\nagainst the other build, {connections}"), &heads);
            }
            let Against { requests_per_second: rate, p50_us, p99_us, cpu_us_per_request: cpu, .. } = found;
            let milliseconds = |micros: f64| format!("{:.3}", micros / 1e3);
            let cells = [
                format!("{:.0}", rate.this),
                format!("{:.0}", rate.other),
                rate.shown(),
                format!("{:.2}", p50_us.ratio),
                shown(cpu.as_ref().map(|cpu| cpu.ratio), 2),
                milliseconds(p99_us.this),
                milliseconds(p99_us.other),
                p99_us.shown(),
            ];
            against_line(&mut table, found.name, &cells);
            if let Some(error) = &found.first_error {
                // Writing to a string does not fail.
                let _ = writeln!(table, "note: wrong answers of the other build: {}, the first: {error}", found.errors);
            }
        }
        table
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
        table.push_str(&self.against());
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
        if self.starts.is_empty() {
            return table;
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
        let rates = measurement.compared(limit, |round| round.requests_per_second);
        (rates.shown(), shown(goal, 2), goal.map(|goal| met(rates.ratio >= goal)).unwrap_or_default())
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
    aligned(table, name, 28, cells.iter().zip(widths));
}

fn aligned<'c, C: AsRef<str> + 'c>(
    table: &mut String,
    name: &str,
    name_width: usize,
    cells: impl Iterator<Item = (&'c C, usize)>,
) {
    let name_width = name_width + usize::from(name.starts_with('\n'));
    let mut text = format!("{name:<name_width$}");
    for (cell, width) in cells {
        // Writing to a string does not fail.
        let _ = write!(text, "{:>width$}", cell.as_ref());
    }
    table.push_str(text.trim_end());
    table.push('\n');
}

fn against_line(table: &mut String, name: &str, cells: &[impl AsRef<str>; 8]) {
    aligned(table, name, 28, cells.iter().zip([11, 9, 18, 7, 7, 10, 10, 18]));
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
