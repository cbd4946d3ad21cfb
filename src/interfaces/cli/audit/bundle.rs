//! `haldir audit export`.

use std::{
    fs::{self, OpenOptions},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use serde_json::json;

use super::export;
use crate::{
    crypto::{Checkpoint, Note},
    error::{Code, Error, Result},
    interfaces::cli::{
        GlobalOptions, Screen, Stop,
        backup::missing_folder,
        output::{line, printable, sentence},
        progress::{Progress, Unit},
        target::Target,
        unfinished::Unfinished,
    },
    operations::bundle::Opening,
};

/// The longest first line of a bundle that is read for the progress of its export.
const MAX_OPENING_BYTES: usize = 1024 * 1024;

#[derive(Args)]
pub struct ExportOptions {
    /// How entries are written. Default: by the name of the file, else jsonl.
    #[arg(long, value_name = "FORMAT", value_parser = ["jsonl", "csv"], conflicts_with = "bundle")]
    pub format: Option<String>,
    /// The file to write entries to. Default: standard output.
    #[arg(long, value_name = "FILE", conflicts_with = "bundle")]
    pub out: Option<PathBuf>,
    /// The file to write a bundle to: the whole log with its proofs. It holds the details of every entry: keep it as you
    /// keep the store.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Only this agent's entries.
    #[arg(long, value_name = "AGENT")]
    pub agent: Option<String>,
    /// Only this session's entries.
    #[arg(long, value_name = "SESSION")]
    pub session: Option<String>,
    /// Only entries of this tool.
    #[arg(long, value_name = "TOOL")]
    pub tool: Option<String>,
    /// Only entries since then: a date, a date-time, or how long ago, such as 30d.
    #[arg(long, value_name = "TIME", value_parser = crate::interfaces::cli::log::parse_time)]
    pub since: Option<String>,
    /// Only entries before then, in the same forms.
    #[arg(long, value_name = "TIME", value_parser = crate::interfaces::cli::log::parse_time)]
    pub until: Option<String>,
    /// Only flagged entries.
    #[arg(long)]
    pub flagged: bool,
    /// Write over a file that is there.
    #[arg(long)]
    pub force: bool,
}

impl ExportOptions {
    /// Refuses what would leave entries out of a bundle.
    fn require_no_filter(&self) -> Result<()> {
        let given = [
            ("agent", self.agent.is_some()),
            ("session", self.session.is_some()),
            ("tool", self.tool.is_some()),
            ("since", self.since.is_some()),
            ("until", self.until.is_some()),
            ("flagged", self.flagged),
        ];
        let Some((name, _)) = given.into_iter().find(|(_, is_given)| *is_given) else { return Ok(()) };
        let message = format!(
            "a bundle always holds the whole log, since its proofs are about all entries: leave --{name} out, or export \
             some of the entries with --out FILE instead of --bundle"
        );
        Err(Error::invalid(name, message))
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Refuses a file that is there, unless it is to be written over.
pub fn require_free(field: &str, path: &Path, force: bool) -> Result<()> {
    if path.exists() && !force {
        let message = format!("{} exists already: name another file, or give --force", path.display());
        return Err(Error::new(Code::Conflict, message).field(field));
    }
    Ok(())
}

pub fn run(options: &ExportOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let Some(bundle) = &options.bundle else {
        export::run(options, &Target::open(global)?, screen)?;
        return Ok(ExitCode::SUCCESS);
    };
    options.require_no_filter()?;
    require_free("bundle", bundle, options.force)?;
    let target = Target::open(global)?;
    // Under another name until it is whole, so that nobody takes a part for the whole.
    let part = beside(bundle, ".part");
    let unfinished = Unfinished::new(part.clone());
    let bytes = write(&target, &part, screen)?;
    put(&part, bundle, options.force).map_err(|error| unusable("bundle", bundle, &error))?;
    unfinished.keep();
    let path = bundle.display().to_string();
    // A key that may export need not be one that may read the log's keys.
    let key = target.keys().ok().and_then(|keys| keys.into_iter().next());
    if screen.json {
        line(&json!({"bundle": path, "bytes": bytes, "verifier_key": key}).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let key = key.unwrap_or_else(|| "KEY, as haldir audit keys prints it".to_owned());
    sentence(&format!("{path}: {bytes} bytes. Check it with:"))?;
    sentence(&printable(&format!("  haldir audit verify {} --key {}", quoted(&path), quoted(&key))))?;
    Ok(ExitCode::SUCCESS)
}

/// Gives the file its name. Without force a file that is there stays, also one that has come meanwhile.
pub fn put(part: &Path, name: &Path, force: bool) -> std::io::Result<()> {
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

/// A file that cannot be written.
pub fn unusable(field: &str, path: &Path, error: &std::io::Error) -> Error {
    let message = format!("{} cannot be written: {error}{}", path.display(), missing_folder(path));
    Error::new(Code::InvalidArgument, message).field(field)
}

/// How many lines of a bundle have come, and how many entries its first line says that there are.
struct Extent {
    opening: Option<Vec<u8>>,
    entries: u64,
    lines: u64,
}

impl Extent {
    fn new() -> Self {
        Self { opening: Some(Vec::new()), entries: 0, lines: 0 }
    }

    fn follow(&mut self, piece: &[u8]) {
        if let Some(opening) = &mut self.opening {
            let end = memchr::memchr(b'\n', piece);
            opening.extend_from_slice(&piece[..end.unwrap_or(piece.len())]);
            if end.is_some() || opening.len() > MAX_OPENING_BYTES {
                self.entries = entries_of(opening).unwrap_or_default();
                self.opening = None;
            }
        }
        self.lines += memchr::memchr_iter(b'\n', piece).count() as u64;
    }
}

fn entries_of(opening: &[u8]) -> Option<u64> {
    let opening: Opening = serde_json::from_slice(opening).ok()?;
    let note = Note::parse(&opening.checkpoint).ok()?;
    Some(Checkpoint::parse(&note.text).ok()?.size)
}

fn write(target: &Target, path: &Path, screen: Screen) -> Result<u64> {
    let mut open = OpenOptions::new();
    open.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    let mut out = BufWriter::new(open.open(path).map_err(|error| unusable("bundle", path, &error))?);
    let (mut bytes, mut extent, progress) = (0, Extent::new(), Progress::new(screen, "exporting", Unit::Count));
    target.stream("exportBundle", "{}", &mut |piece| {
        bytes += piece.len() as u64;
        extent.follow(piece);
        progress.at(extent.lines, extent.entries);
        out.write_all(piece).map_err(|error| unusable("bundle", path, &error))
    })?;
    let file = out.into_inner().map_err(|error| unusable("bundle", path, error.error()))?;
    file.sync_all().map_err(|error| unusable("bundle", path, &error))?;
    Ok(bytes)
}
