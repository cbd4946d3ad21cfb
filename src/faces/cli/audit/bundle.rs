//! `haldir audit export`.

use std::{
    fs::{self, OpenOptions},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serde_json::json;

use crate::{
    error::{Code, Error, Result},
    faces::cli::{GlobalOptions, Screen, Stop, output::line, target::Target, unfinished::Unfinished},
};

#[derive(Args)]
pub struct ExportOptions {
    /// The file to write. It holds the details of every entry: keep it as you keep the store.
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// Write over a file that is there.
    #[arg(long)]
    force: bool,
}

pub fn run(options: &ExportOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    if options.bundle.exists() && !options.force {
        let message = format!("{} exists already: name another file, or give --force", options.bundle.display());
        return Err(Error::new(Code::Conflict, message).field("bundle").into());
    }
    let target = Target::open(global)?;
    // Under another name until it is whole, so that nobody takes a part for the whole.
    let part = beside(&options.bundle, ".part");
    let unfinished = Unfinished::new(part.clone());
    let bytes = write(&target, &part)?;
    put(&part, &options.bundle, options.force).map_err(|error| unusable(&options.bundle, &error))?;
    unfinished.keep();
    let path = options.bundle.display().to_string();
    if screen.json {
        line(&json!({"bundle": path, "bytes": bytes}).to_string())?;
    } else {
        line(&format!("{path}: {bytes} bytes; check it with: haldir audit verify {path}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Gives the file its name. Without force a file that is there stays, also one that has come meanwhile.
fn put(part: &Path, name: &Path, force: bool) -> std::io::Result<()> {
    if force {
        return fs::rename(part, name);
    }
    match fs::hard_link(part, name) {
        Ok(()) => fs::remove_file(part),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(error),
        // A file system without hard links.
        Err(_) if name.exists() => Err(std::io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(part, name),
    }
}

/// The path with something behind it.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn unusable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(Code::InvalidArgument, format!("{} cannot be written: {error}", path.display())).field("bundle")
}

fn write(target: &Target, path: &Path) -> Result<u64> {
    let mut open = OpenOptions::new();
    open.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    let mut out = BufWriter::new(open.open(path).map_err(|error| unusable(path, &error))?);
    let mut bytes = 0;
    target.stream("exportBundle", "{}", &mut |piece| {
        bytes += piece.len() as u64;
        out.write_all(piece).map_err(|error| unusable(path, &error))
    })?;
    let file = out.into_inner().map_err(|error| unusable(path, error.error()))?;
    file.sync_all().map_err(|error| unusable(path, &error))?;
    Ok(bytes)
}
