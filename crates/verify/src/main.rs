//! `haldir-verify`: checks a bundle or an evidence pack without a server, a database or the rest of haldir.

use std::{
    fmt,
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
};

use clap::{Args, Parser};
use haldir_core::crypto::{PublicKey, TrustedKey};
use haldir_verify::{bundle, jwks, pack};

/// The buffer that a bundle is read through.
const BUFFER_BYTES: usize = 1024 * 1024;
/// The file cannot be read, or is not of the form.
const UNREADABLE: u8 = 2;
/// A bundle agrees with itself, but no trusted key was given.
const CONSISTENT: u8 = 3;

/// Check what haldir gives out as evidence, offline. Exit codes: 0 verified, 1 not verified, 2 a file or an argument cannot be
/// used, 3 a bundle agrees with itself but no key was given to trust.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example: haldir-verify bundle log.bundle --key 'haldir/local/0123456789abcdef+01234567+AQ…'"
)]
enum Command {
    /// Check a whole log in one file, as `haldir audit export --bundle` writes it.
    Bundle(BundleOptions),
    /// Check an evidence pack in JSON, as `haldir compliance evidence` writes it.
    Pack(PackOptions),
}

#[derive(Args)]
struct BundleOptions {
    /// The bundle.
    file: PathBuf,
    /// A key of the log that you know from elsewhere, as name+hash+key, in hexadecimal or in base64. May be repeated.
    #[arg(long = "key", value_name = "KEY", value_parser = TrustedKey::parse)]
    keys: Vec<TrustedKey>,
    /// Worker threads. Default: as many as there are cores.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
}

#[derive(Args)]
struct PackOptions {
    /// The pack.
    file: PathBuf,
    /// A public key to trust, in the same forms. May be repeated.
    #[arg(long = "key", value_name = "KEY", value_parser = TrustedKey::parse, required_unless_present = "jwks")]
    keys: Vec<TrustedKey>,
    /// A file with the keys to trust, as /.well-known/jwks.json serves them.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
}

fn main() -> ExitCode {
    let outcome = match Command::parse() {
        Command::Bundle(options) => check_bundle(&options),
        Command::Pack(options) => check_pack(&options),
    };
    outcome.unwrap_or_else(|problem| {
        eprintln!("haldir-verify: {problem}");
        ExitCode::from(UNREADABLE)
    })
}

fn check_bundle(options: &BundleOptions) -> Result<ExitCode, String> {
    let threads = options.threads.map_or_else(|| thread::available_parallelism().map_or(2, usize::from), usize::from);
    let file = File::open(&options.file).map_err(|error| unreadable(&options.file, &error))?;
    let input = BufReader::with_capacity(BUFFER_BYTES, file);
    let report = bundle::verify(input, &options.keys, threads, &mut |_, _| {})
        .map_err(|error| unreadable(&options.file, &error))?;
    let (word, code) = match (report.verified, report.key_is_trusted) {
        (false, _) => ("NOT VERIFIED", ExitCode::FAILURE),
        (true, false) => ("consistent with itself, not verified", ExitCode::from(CONSISTENT)),
        (true, true) => ("verified", ExitCode::SUCCESS),
    };
    println!("{word}: {}", printable(&report.message));
    Ok(code)
}

fn check_pack(options: &PackOptions) -> Result<ExitCode, String> {
    let mut trusted: Vec<PublicKey> = options.keys.iter().map(TrustedKey::key).collect();
    if let Some(path) = &options.jwks {
        let keys = jwks::keys(&read(path)?);
        trusted.extend(keys.ok_or_else(|| unreadable(path, &"it is not a JSON Web Key Set with Ed25519 keys"))?);
    }
    match pack::verify(&read(&options.file)?, &trusted) {
        Ok(pack) => {
            let open = if pack.signatures.period_closed { "" } else { "; the period was not over when it was signed" };
            let [tenant, start, end, signed_at] =
                [&pack.tenant_id, &pack.period_start, &pack.period_end, &pack.signatures.signed_at]
                    .map(|text| printable(text));
            println!(
                "verified: {tenant} from {start} to {end}, signed {signed_at} with {}{open}",
                pack.signatures.key_id
            );
            Ok(ExitCode::SUCCESS)
        }
        Err(problem) => {
            println!("NOT VERIFIED: {}", printable(&problem));
            Ok(ExitCode::FAILURE)
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let length =
        file.take(pack::MAX_PACK_BYTES + 1).read_to_string(&mut text).map_err(|error| unreadable(path, &error))?;
    if length as u64 > pack::MAX_PACK_BYTES {
        return Err(unreadable(path, &format!("it has more than {} bytes", pack::MAX_PACK_BYTES)));
    }
    Ok(text)
}

fn unreadable(path: &Path, problem: &dyn fmt::Display) -> String {
    printable(&format!("{} cannot be used: {problem}", path.display()))
}

/// The text without control characters, which a file could use to change what the terminal shows.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
