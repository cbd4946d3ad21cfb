//! `haldir audit verify`.

use std::{fs::File, io::BufReader, path::PathBuf, process::ExitCode, thread};

use clap::Args;
use serde_json::Value;

use crate::{
    crypto::TrustedKey,
    error::{Code, Error, Result},
    interfaces::cli::{
        CommandError, GlobalOptions,
        local::Local,
        output::{line, printable, sentence},
        progress::{Progress, Unit},
        target::{Destination, Target},
    },
    operations::bundle,
};

/// The buffer that a bundle is read through.
const BUFFER_BYTES: usize = 1024 * 1024;
const VERIFYING: &str = "verifying";

#[derive(Args)]
pub struct VerifyOptions {
    /// A bundle that `haldir audit export --bundle` wrote. Default: the log of the local store, or of the server.
    bundle: Option<PathBuf>,
    /// With a bundle: a key of the log that you know from elsewhere, as `haldir audit keys` prints it (name+hash+key), or in
    /// hexadecimal or base64. May be repeated. Without one the bundle can only be found consistent with itself.
    #[arg(long = "key", value_name = "KEY", value_parser = TrustedKey::parse)]
    keys: Vec<TrustedKey>,
    /// Threads that work on it. Default: as many as there are cores.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
}

pub fn run(options: &VerifyOptions, global: &GlobalOptions) -> Result<ExitCode, CommandError> {
    let threads = options.threads.map_or_else(|| thread::available_parallelism().map_or(2, usize::from), usize::from);
    if let Some(path) = &options.bundle {
        global.require_no_server()?;
        let file = File::open(path).map_err(|error| {
            Error::new(Code::InvalidArgument, format!("{} cannot be read: {error}", path.display())).field("bundle")
        })?;
        let input = BufReader::with_capacity(BUFFER_BYTES, file);
        let progress = Progress::new(global, VERIFYING, Unit::Count);
        let report = bundle::verify(input, &options.keys, threads, &mut |done, total| progress.at(done, total))?;
        drop(progress);
        let finding = match (report.verified, report.key_is_trusted) {
            (false, _) => Finding::Bad,
            (true, false) => Finding::Consistent,
            (true, true) => Finding::Good,
        };
        return show(global, finding, &report.message, &serde_json::to_string(&report).map_err(Error::internal)?);
    }
    if !options.keys.is_empty() {
        return Err(Error::invalid("key", "--key goes with a bundle: the store has its own keys").into());
    }
    if Destination::is_server(global)? {
        let target = Target::open(global)?;
        let progress = Progress::new(global, "the server verifies its log", Unit::Unknown);
        let reply = target.call("verifyAuditTrail", "{}")?;
        drop(progress);
        let answer: Value = serde_json::from_str(&reply.body).map_err(Error::internal)?;
        let finding = if answer["verified"] == true { Finding::Good } else { Finding::Bad };
        return show(global, finding, answer["message"].as_str().unwrap_or_default(), &reply.body);
    }
    let local = Local::open_existing(global)?;
    let progress = Progress::new(global, VERIFYING, Unit::Count);
    let mut at = |done: i64, total: i64| progress.at(done.unsigned_abs(), total.unsigned_abs());
    let report = local.haldir.verify_log(&global.tenant, threads, &mut at)?;
    drop(progress);
    let finding = if report.is_verified() { Finding::Good } else { Finding::Bad };
    show(global, finding, report.message(), &serde_json::to_string(&report).map_err(Error::internal)?)
}

/// What a check has found.
#[derive(Clone, Copy)]
enum Finding {
    Good,
    /// A bundle agrees with itself; its signatures are by a key that came with it.
    Consistent,
    Bad,
}

/// What a bundle without a trusted key does not show.
const KEY_HINT: &str = "Exit code 3: whose log it is is not shown yet. haldir audit keys prints the log's key where the log \
                        is; give it with --key 'KEY', and take it from there, not from the file.";

/// Exit code of a bundle that only agrees with itself.
const CONSISTENT: u8 = 3;

fn show(global: &GlobalOptions, finding: Finding, message: &str, report: &str) -> Result<ExitCode, CommandError> {
    let (word, code) = match finding {
        Finding::Good => ("verified", ExitCode::SUCCESS),
        Finding::Consistent => ("consistent with itself, not verified", ExitCode::from(CONSISTENT)),
        Finding::Bad => ("NOT VERIFIED", ExitCode::FAILURE),
    };
    if global.json {
        line(report)?;
        return Ok(code);
    }
    let message = printable(message);
    // Without the word in front of a message that contains it.
    let is_said = matches!(finding, Finding::Good) && message.contains(word);
    sentence(&if is_said { message } else { format!("{word}: {message}") })?;
    if matches!(finding, Finding::Consistent) {
        sentence(KEY_HINT)?;
    }
    Ok(code)
}
