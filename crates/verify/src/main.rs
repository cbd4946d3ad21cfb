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
use haldir_core::crypto::TrustedKey;
use haldir_verify::{bundle, jwks, pack};

/// The buffer that a bundle is read through.
const BUFFER_BYTES: usize = 1024 * 1024;
/// A file cannot be read.
const UNREADABLE: u8 = 2;
/// A bundle agrees with itself, but no trusted key was given.
const CONSISTENT: u8 = 3;

/// Check what haldir gives out as evidence, offline.
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 verified; 1 not verified: altered, of another form, or not signed with a trusted key;\n2 an \
                  argument is wrong or a file cannot be read; 3 a bundle agrees with itself, but no --key says whose log it \
                  is.\n\nExample: haldir-verify bundle log.bundle --key 'haldir/local/0123456789abcdef+01234567+AQ…'"
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
    /// A key of the log that you know from elsewhere, as name+hash+key, in hexadecimal or in base64. May be repeated. Without one,
    /// the signatures show only that the file agrees with itself.
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
    /// A public key to trust, in the same forms. May be repeated. A key with a name is trusted for packs of its tenant alone.
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
    let mut trusted = options.keys.clone();
    if let Some(path) = &options.jwks {
        let keys = std::str::from_utf8(&read(path)?).ok().and_then(jwks::keys);
        let keys = keys.ok_or_else(|| unreadable(path, &"it is not a JSON Web Key Set with Ed25519 keys"))?;
        trusted.extend(keys.into_iter().map(TrustedKey::Plain));
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

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let length =
        file.take(pack::MAX_PACK_BYTES + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    if length as u64 > pack::MAX_PACK_BYTES {
        return Err(unreadable(path, &format!("it has more than {} bytes", pack::MAX_PACK_BYTES)));
    }
    Ok(bytes)
}

fn unreadable(path: &Path, problem: &dyn fmt::Display) -> String {
    printable(&format!("{} cannot be used: {problem}", path.display()))
}

/// The text with escapes for characters that a terminal obeys, that reorder others or that are not seen: a file could use them to change
/// what is shown.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            // Blank, but not by their category: fillers of Hangul, and Braille without dots.
            '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}' => shown.extend(c.escape_unicode()),
            c => shown.extend(c.escape_debug()),
        }
    }
    shown
}
