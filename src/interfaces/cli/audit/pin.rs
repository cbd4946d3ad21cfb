//! `haldir audit pin` and `haldir audit mirror`.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use clap::Args;
use serde_json::{Value, json};

use super::{
    super::files::{MAX_PIN_BYTES, replace},
    witness,
};
use crate::{
    config::duration::within,
    crypto::{Checkpoint, Hash, Note, Verifier},
    error::{Code, Error, Result},
    files::read_text,
    interfaces::cli::{
        CommandError, GlobalOptions,
        output::{line, note},
        target::Target,
    },
    model::{Clock, time::SystemClock},
    verify::{
        hex,
        pin::{Pin, Pinned},
    },
    watch::get_consistency_proof::ConsistencyProof,
};

#[derive(Args)]
pub struct PinOptions {
    /// The file that keeps the checkpoint. It is made the first time.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

#[derive(Args)]
pub struct MirrorOptions {
    /// The file that each new checkpoint is appended to, as one JSON object a line.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Look again each time after so long, such as 5m; a number is seconds. Default: look once.
    #[arg(long, value_name = "DURATION", value_parser = within(1..=86_400))]
    every: Option<u64>,
    /// A witness that is asked for its cosignature. May be repeated, each with its --witness-key.
    #[arg(long = "witness", value_name = "URL")]
    witnesses: Vec<String>,
    /// The verifier key of the witness at the same place.
    #[arg(long = "witness-key", value_name = "KEY", value_parser = Verifier::parse)]
    witness_keys: Vec<Verifier>,
}

/// The next pin, with the sizes of the log before and now.
struct PinUpdate {
    pin: Pin,
    then: Option<u64>,
    now: Checkpoint,
}

fn rewritten(problem: String) -> Error {
    Error::new(Code::Conflict, problem)
}

/// The log's next checkpoint, if the log begins with the pinned one. Only signatures and proofs count, not what the server
/// claims besides.
fn next_pin(target: &Target, kept: Option<&Pin>) -> Result<PinUpdate> {
    let (checkpoint, keys) = (target.checkpoint()?, target.keys()?);
    let Some(kept) = kept else {
        let pin = Pin::new(&checkpoint, keys).map_err(rewritten)?;
        let now = pin.open().map_err(rewritten)?.checkpoint;
        return Ok(PinUpdate { pin, then: None, now });
    };
    let pinned = kept.open().map_err(|problem| Error::new(Code::InvalidArgument, problem).field("file"))?;
    let next = pinned.read(&checkpoint).map_err(rewritten)?;
    let path = proof(target, &pinned, &next)?;
    pinned.check(&next, &path).map_err(rewritten)?;
    let pin = Pin::new(&checkpoint, pinned.trusted(&checkpoint, &keys)).map_err(rewritten)?;
    Ok(PinUpdate { pin, then: Some(pinned.checkpoint.size), now: next })
}

/// The proof that the log at `next` begins with the pinned one. A server that cannot give one has rewritten the log.
fn proof(target: &Target, pinned: &Pinned, next: &Checkpoint) -> Result<Vec<Hash>> {
    let size = pinned.checkpoint.size;
    if size == 0 || size == next.size { Ok(Vec::new()) } else { consistency(target, size, next.size) }
}

/// A consistency proof, as the log gives it.
pub fn consistency(target: &Target, first: u64, second: u64) -> Result<Vec<Hash>> {
    let input = json!({"first": first, "second": second});
    let ConsistencyProof { consistency_path, .. } = target.read("getConsistencyProof", input)?;
    consistency_path.iter().map(|hash| hex::unhex(hash)).collect::<Option<_>>().ok_or_else(|| {
        rewritten(format!("the log gives no readable proof that its {second} entries begin with the {first} before"))
    })
}

pub fn run(options: &PinOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    let kept: Option<Pin> = match read_text(&options.file, MAX_PIN_BYTES) {
        Ok(text) => Some(serde_json::from_str(&text).map_err(|error| {
            let message = format!("{} is no pin of haldir's: {error}", options.file.display());
            Error::new(Code::InvalidArgument, message).field("file")
        })?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(unusable(&options.file, &error).into()),
    };
    let target = Target::open(global)?;
    let PinUpdate { pin, then, now } = next_pin(&target, kept.as_ref())?;
    let text = serde_json::to_string_pretty(&pin).map_err(Error::internal)?;
    replace(&options.file, text.as_bytes(), |part| File::create(part))
        .map_err(|error| unusable(&options.file, &error))?;
    let Checkpoint { origin, size, .. } = now;
    let text = match then {
        None => format!("{origin}: pinned at {size} entries; compare its key with what its operator tells you"),
        Some(then) => format!("{origin}: the {size} entries begin with the {then} that were pinned"),
    };
    global.report(&json!({"consistent": true, "origin": origin, "tree_size": size, "kept_size": then}), &text)
}

fn unusable(path: &Path, error: &io::Error) -> Error {
    Error::new(Code::InvalidArgument, format!("{} cannot be used: {error}", path.display())).field("file")
}

pub fn mirror(options: &MirrorOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    if options.witnesses.len() != options.witness_keys.len() {
        return Err(
            Error::invalid("witness_key", "every --witness needs a --witness-key, and the other way round").into()
        );
    }
    let mut kept = last_mirrored(&options.to)?;
    let target = Target::open(global)?;
    loop {
        match next_pin(&target, kept.as_ref()) {
            Ok(PinUpdate { pin, then, now }) => {
                if then != Some(now.size) {
                    let pin = cosigned(options, &target, pin)?;
                    append(&options.to, &pin).map_err(|error| unusable(&options.to, &error))?;
                    if !global.json {
                        line(&format!("{}: {} entries", now.origin, now.size))?;
                    }
                    kept = Some(pin);
                }
            }
            // An unreachable server is no sign of a rewritten log.
            Err(error) if options.every.is_some() && error.code != Code::Conflict && error.code.may_retry() => {
                note(&format!("haldir: {}", error.message));
            }
            Err(error) => return Err(error.into()),
        }
        let Some(seconds) = options.every else { return Ok(()) };
        thread::sleep(Duration::from_secs(seconds));
    }
}

/// The checkpoint with the cosignatures of all witnesses.
fn cosigned(options: &MirrorOptions, target: &Target, mut pin: Pin) -> Result<Pin> {
    for (url, key) in options.witnesses.iter().zip(&options.witness_keys) {
        let lines = witness::submit(url, target, &pin.checkpoint)?;
        let mut note = Note::parse(&pin.checkpoint).map_err(Error::internal)?;
        note.add_lines(&lines).map_err(|what| Error::new(Code::Unavailable, format!("{url}: {what}")))?;
        if key.verify(&note).is_none() {
            let message = format!("{url} answered with a signature that is not that of {}", key.name());
            return Err(Error::new(Code::Unavailable, message));
        }
        pin.checkpoint = note.to_string();
    }
    Ok(pin)
}

fn last_mirrored(path: &Path) -> Result<Option<Pin>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(path, &error)),
    };
    let mut last = None;
    for text in BufReader::new(file).lines() {
        last = Some(text.map_err(|error| unusable(path, &error))?);
    }
    let Some(last) = last else { return Ok(None) };
    let mut value: Value = serde_json::from_str(&last)
        .map_err(|error| Error::new(Code::InvalidArgument, format!("the last line of {}: {error}", path.display())))?;
    value.as_object_mut().map(|line| line.remove("mirrored_at"));
    serde_json::from_value(value).map(Some).map_err(Error::internal)
}

fn append(path: &Path, pin: &Pin) -> io::Result<()> {
    let mut line = serde_json::to_value(pin)?;
    line["mirrored_at"] = SystemClock.now().to_rfc3339().into();
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    writeln!(file, "{line}")?;
    file.sync_all()
}
