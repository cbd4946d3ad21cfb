//! `haldir audit verify`.

use std::{
    fs::File,
    io::{BufReader, IsTerminal},
    path::PathBuf,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use clap::Args;

use crate::{
    crypto::Verifier,
    error::{Code, Error, Result},
    faces::cli::{
        GlobalOptions, Screen, Stop,
        local::Local,
        output::{line, note},
    },
    operations::bundle,
};

/// How often progress is shown.
const SHOW_EVERY: Duration = Duration::from_millis(500);
/// The buffer that a bundle is read through.
const BUFFER_BYTES: usize = 1024 * 1024;

#[derive(Args)]
pub struct VerifyOptions {
    /// A bundle that `haldir audit export --bundle` wrote. Default: the log of the local store.
    bundle: Option<PathBuf>,
    /// With a bundle: a verifier key of the log, known from elsewhere. May be repeated.
    #[arg(long = "key", value_name = "KEY", value_parser = parse_verifier)]
    keys: Vec<Verifier>,
    /// Threads that work on it. Default: as many as there are cores.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
}

pub fn parse_verifier(text: &str) -> Result<Verifier, String> {
    Verifier::parse(text)
}

/// Shows on standard error how far the work has come, where somebody may be looking.
struct Progress {
    began: Instant,
    shown: Instant,
    is_shown: bool,
}

impl Progress {
    fn new(screen: Screen) -> Self {
        let now = Instant::now();
        Self { began: now, shown: now, is_shown: !screen.json && std::io::stderr().is_terminal() }
    }

    fn at(&mut self, done: u64, total: u64) {
        if self.is_shown && self.shown.elapsed() >= SHOW_EVERY {
            self.shown = Instant::now();
            let each_second = u128::from(done) * 1_000 / self.began.elapsed().as_millis().max(1);
            note(&format!("{done} of {total} entries, {each_second} a second"));
        }
    }
}

pub fn run(options: &VerifyOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let threads = options.threads.map_or_else(|| thread::available_parallelism().map_or(2, usize::from), usize::from);
    let mut progress = Progress::new(screen);
    let (is_good, message, report) = if let Some(path) = &options.bundle {
        let file = File::open(path).map_err(|error| {
            Error::new(Code::InvalidArgument, format!("{} cannot be read: {error}", path.display())).field("bundle")
        })?;
        let input = BufReader::with_capacity(BUFFER_BYTES, file);
        let report = bundle::verify(input, &options.keys, threads, &mut |done, total| progress.at(done, total))?;
        (report.verified, report.message.clone(), serde_json::to_string(&report).map_err(Error::internal)?)
    } else {
        if !options.keys.is_empty() {
            return Err(Error::invalid("key", "--key goes with a bundle: the store has its own keys").into());
        }
        let local = Local::open_existing(global)?;
        let mut show = |done: i64, total: i64| progress.at(done.cast_unsigned(), total.cast_unsigned());
        let report = local.haldir.verify_log(&global.tenant, threads, &mut show)?;
        (report.is_verified(), report.message().to_owned(), serde_json::to_string(&report).map_err(Error::internal)?)
    };
    if screen.json {
        line(&report)?;
    } else {
        line(&format!("{}: {message}", if is_good { "verified" } else { "NOT VERIFIED" }))?;
    }
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
