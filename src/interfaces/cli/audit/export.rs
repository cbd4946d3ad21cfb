//! `haldir audit export`: the log as JSONL or CSV, or as a bundle with its proofs.

use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use super::super::{
    CommandError, GlobalOptions,
    files::{Unfinished, beside, new_file, put, require_free, shell_word, unwritable},
    log::EntryFilter,
    output::{line, printable, sentence},
    progress::{Progress, Unit},
    target::Target,
};
use crate::{
    crypto::{Checkpoint, Note},
    error::{Error, Result},
    operations::bundle::Opening,
    watch::get_audit_stats::AuditStats,
};

/// The longest first line of a bundle that is read for the progress of its export.
const MAX_OPENING_BYTES: usize = 1024 * 1024;

#[derive(Args)]
pub struct ExportOptions {
    /// How entries are written. Default: by the name of the file, else jsonl.
    #[arg(long, value_name = "FORMAT", value_parser = ["jsonl", "csv"], conflicts_with = "bundle")]
    format: Option<String>,
    /// The file to write entries to. Default: standard output.
    #[arg(long, value_name = "FILE", conflicts_with = "bundle")]
    out: Option<PathBuf>,
    /// The file to write a bundle to: the whole log with its proofs. It holds the details of every entry: keep it as you
    /// keep the store.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    filter: EntryFilter,
    /// Write over a file that is there.
    #[arg(long)]
    force: bool,
}

impl ExportOptions {
    /// Refuses what would leave entries out of a bundle.
    fn require_no_filter(&self) -> Result<()> {
        let filter = self.filter.input()?;
        let Some((name, _)) = filter.as_object().into_iter().flatten().find(|(_, value)| !value.is_null()) else {
            return Ok(());
        };
        let name = name.trim_end_matches("_id");
        let message = format!(
            "a bundle always holds the whole log, since its proofs are about all entries: leave --{name} out, or export \
             some of the entries with --out FILE instead of --bundle"
        );
        Err(Error::invalid(name, message))
    }

    fn input(&self, format: &str) -> Result<String> {
        let mut input = self.filter.input()?;
        input["format"] = format.into();
        Ok(input.to_string())
    }

    /// How many entries there are; 0 where only reading them would tell, or this key may not count them.
    fn count(&self, target: &Target) -> u64 {
        if self.filter.tool.is_some() || self.filter.flagged {
            return 0;
        }
        let stats = target.read::<AuditStats>("getAuditStats", &self.filter);
        stats.map_or(0, |stats| stats.total_entries.unsigned_abs())
    }
}

pub fn run(options: &ExportOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    match &options.bundle {
        Some(bundle) => export_bundle(bundle, options, global),
        None => export_entries(options, &Target::open(global)?, global),
    }
}

fn export_bundle(bundle: &Path, options: &ExportOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    options.require_no_filter()?;
    require_free("bundle", bundle, options.force)?;
    let target = Target::open(global)?;
    let mut lines = Lines { opening: Some(Vec::new()), entries: 0, count: 0 };
    let bytes = to_file("bundle", bundle, ("exportBundle", "{}"), &mut lines, options.force, (&target, global))?;
    let path = bundle.display().to_string();
    // The API key may lack the scope to read the log's keys.
    let key = target.keys().ok().and_then(|keys| keys.into_iter().next());
    if global.json {
        return line(&json!({"bundle": path, "bytes": bytes, "verifier_key": key}).to_string());
    }
    let key = key.unwrap_or_else(|| "KEY, as haldir audit keys prints it".to_owned());
    sentence(&format!("{path}: {bytes} bytes. Check it with:"))?;
    sentence(&printable(&format!("  haldir audit verify {} --key {}", shell_word(&path), shell_word(&key))))
}

fn export_entries(options: &ExportOptions, target: &Target, global: &GlobalOptions) -> Result<(), CommandError> {
    let by_name = || options.out.as_ref()?.extension()?.to_str().filter(|extension| *extension == "csv");
    let format = options.format.as_deref().or_else(by_name).unwrap_or("jsonl");
    let Some(path) = &options.out else {
        if global.json {
            let message = "--json writes one document: name a file with --out for the entries";
            return Err(Error::invalid("out", message).into());
        }
        return target.stream_to_output("exportAudit", &options.input(format)?);
    };
    require_free("out", path, options.force)?;
    let mut lines = Lines { opening: None, entries: options.count(target), count: 0 };
    let input = options.input(format)?;
    let bytes = to_file("out", path, ("exportAudit", &input), &mut lines, options.force, (target, global))?;
    // Without the heading of CSV, or the manifest of JSONL.
    let entries = lines.count.saturating_sub(1);
    let shown = path.display().to_string();
    line(&if global.json {
        json!({"out": shown, "format": format, "bytes": bytes, "entries": entries}).to_string()
    } else {
        format!("{shown}: {entries} entries, {bytes} bytes")
    })
}

/// Writes the response of an operation to a file, which has its name only once it is whole; returns how many bytes it has.
fn to_file(
    field: &str,
    path: &Path,
    (operation, input): (&str, &str),
    lines: &mut Lines,
    force: bool,
    (target, global): (&Target, &GlobalOptions),
) -> Result<u64> {
    let bad = |error: &io::Error| unwritable(field, path, error);
    let part = beside(path, ".part");
    // Left by an export that was killed.
    let _ = std::fs::remove_file(&part);
    let unfinished = Unfinished::new(part.clone());
    let mut out = BufWriter::new(new_file(&part).map_err(|error| bad(&error))?);
    let (mut bytes, progress) = (0, Progress::new(global, "exporting", Unit::Count));
    target.stream(operation, input, &mut |piece| {
        bytes += piece.len() as u64;
        lines.count(piece);
        progress.at(lines.count, lines.entries);
        out.write_all(piece).map_err(|error| bad(&error))
    })?;
    let file = out.into_inner().map_err(|error| bad(error.error()))?;
    file.sync_all().map_err(|error| bad(&error))?;
    put(&part, path, force).map_err(|error| bad(&error))?;
    unfinished.keep();
    Ok(bytes)
}

/// Counts the lines of an export as they arrive. The first line of a bundle says how many entries there are.
struct Lines {
    opening: Option<Vec<u8>>,
    /// How many entries there are; 0 while that is not known.
    entries: u64,
    count: u64,
}

impl Lines {
    fn count(&mut self, piece: &[u8]) {
        if let Some(opening) = &mut self.opening {
            let end = memchr::memchr(b'\n', piece);
            opening.extend_from_slice(&piece[..end.unwrap_or(piece.len())]);
            if end.is_some() || opening.len() > MAX_OPENING_BYTES {
                self.entries = entries_of(opening).unwrap_or_default();
                self.opening = None;
            }
        }
        self.count += memchr::memchr_iter(b'\n', piece).count() as u64;
    }
}

fn entries_of(opening: &[u8]) -> Option<u64> {
    let opening: Opening = serde_json::from_slice(opening).ok()?;
    let note = Note::parse(&opening.checkpoint).ok()?;
    Some(Checkpoint::parse(&note.text).ok()?.size)
}
