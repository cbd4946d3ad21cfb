//! The command line: `cargo bench --bench http -- [OPTIONS]`.

use std::path::PathBuf;

use clap::Parser;

/// Measure haldir-mcp against the bare limits of what it is made of
#[derive(Parser)]
#[command(name = "cargo bench --bench http --", version = None)]
pub struct Options {
    /// Seconds that each measurement lasts, after a warm-up
    #[arg(long, default_value_t = 5.0, value_parser = seconds)]
    pub seconds: f64,

    /// Numbers of connections to measure with
    #[arg(long, default_value = "32", value_delimiter = ',', value_parser = connections)]
    pub connections: Vec<usize>,

    /// Rounds, within which the bare server and ours alternate
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub rounds: u8,

    /// Also write what was found to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Measure the proxies that `benches/peers` has installed in this folder too
    #[arg(long, value_name = "FOLDER")]
    pub peers: Option<PathBuf>,

    /// Measure another build of haldir-mcp too, by turns with this one in the same rounds, each on a store of its own
    #[arg(long, value_name = "PROGRAM", conflicts_with = "bare_only")]
    pub against: Option<PathBuf>,

    /// Measure only requests whose name contains one of these, and neither single calls nor starts
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    pub only: Vec<String>,

    /// Measure the server on Postgres instead, on databases that are made on this server for the run, beside a bare server that
    /// inserts the same rows
    #[cfg(feature = "postgres")]
    #[arg(long, value_name = "URL", conflicts_with_all = ["bare_only", "against", "peers", "json"])]
    pub postgres: Option<String>,

    /// With --postgres: measure the Python product that is installed in this virtual environment too
    #[cfg(feature = "postgres")]
    #[arg(long, value_name = "FOLDER", requires = "postgres")]
    pub product: Option<PathBuf>,

    /// Measure the bare servers only
    #[arg(long)]
    pub bare_only: bool,

    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// Whether a request of this name is to be measured.
    pub fn includes(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part))
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number from 0.1 to 600 is wanted".to_owned()),
    }
}

fn connections(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(connections) if (1..=10_000).contains(&connections) => Ok(connections),
        _ => Err("a number from 1 to 10000 is wanted".to_owned()),
    }
}
