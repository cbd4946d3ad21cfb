//! `haldir audit export`: the log as JSONL or CSV, or as a bundle with its proofs.

use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    path::Path,
};

use serde::Deserialize;
use serde_json::json;

use super::bundle::{ExportOptions, beside, put, require_free, unusable};
use crate::{
    error::{Error, Result},
    interfaces::cli::{
        Screen, Stop,
        log::time,
        output::line,
        progress::{Progress, Unit},
        target::Target,
        unfinished::Unfinished,
    },
};

/// What there is to export, so that a bar can say how much is left.
#[derive(Deserialize)]
struct Extent {
    total_entries: u64,
}

impl ExportOptions {
    fn input(&self, format: &str) -> String {
        let flagged = self.flagged.then_some(true);
        json!({
            "format": format, "agent_id": self.agent, "session_id": self.session, "tool": self.tool, "flagged": flagged,
            "since": self.since.as_deref().map(time), "until": self.until.as_deref().map(time),
        })
        .to_string()
    }

    /// How many entries there are, where that is known without reading them.
    fn extent(&self, target: &Target) -> u64 {
        if self.tool.is_some() || self.flagged {
            return 0;
        }
        let input = json!({
            "agent_id": self.agent, "session_id": self.session, "since": self.since.as_deref().map(time),
            "until": self.until.as_deref().map(time),
        });
        let reply = target.call("getAuditStats", &input.to_string()).ok();
        // A key that may export may not count: then the bar says less.
        reply
            .and_then(|reply| serde_json::from_str::<Extent>(&reply.body).ok())
            .map_or(0, |extent| extent.total_entries)
    }
}

pub fn run(options: &ExportOptions, target: &Target, screen: Screen) -> Result<(), Stop> {
    let by_name = || options.out.as_ref()?.extension()?.to_str().filter(|extension| *extension == "csv");
    let format = options.format.as_deref().or_else(by_name).unwrap_or("jsonl");
    let Some(path) = &options.out else {
        if screen.json {
            let message = "--json writes one document: name a file with --out for the entries";
            return Err(Error::invalid("out", message).into());
        }
        return to_output(options, format, target);
    };
    require_free("out", path, options.force)?;
    let part = beside(path, ".part");
    let unfinished = Unfinished::new(part.clone());
    let (bytes, lines) = to_file(options, format, target, &part, screen)?;
    put(&part, path, options.force).map_err(|error| unusable("out", path, &error))?;
    unfinished.keep();
    // The heading of CSV, or the manifest of JSONL.
    let entries = lines.saturating_sub(1);
    let shown = path.display().to_string();
    line(&if screen.json {
        json!({"out": shown, "format": format, "bytes": bytes, "entries": entries}).to_string()
    } else {
        format!("{shown}: {entries} entries, {bytes} bytes")
    })
}

fn to_output(options: &ExportOptions, format: &str, target: &Target) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    // The reading program may have seen enough, such as `head`.
    let mut unwritten = None;
    let outcome = target.stream("exportAudit", &options.input(format), &mut |piece| {
        out.write_all(piece).and_then(|()| out.flush()).map_err(|error| {
            unwritten = Some(error);
            Error::internal("standard output cannot be written")
        })
    });
    match unwritten {
        Some(error) => Err(Stop::Output(error)),
        None => Ok(outcome?),
    }
}

fn to_file(options: &ExportOptions, format: &str, target: &Target, path: &Path, screen: Screen) -> Result<(u64, u64)> {
    let mut open = OpenOptions::new();
    open.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    let bad = |error: &io::Error| unusable("out", path, error);
    let mut out = BufWriter::new(open.open(path).map_err(|error| bad(&error))?);
    let (mut bytes, mut lines, total) = (0, 0, options.extent(target));
    let progress = Progress::new(screen, "exporting", Unit::Count);
    target.stream("exportAudit", &options.input(format), &mut |piece| {
        bytes += piece.len() as u64;
        lines += memchr::memchr_iter(b'\n', piece).count() as u64;
        progress.at(lines, total);
        out.write_all(piece).map_err(|error| bad(&error))
    })?;
    let file = out.into_inner().map_err(|error| bad(error.error()))?;
    file.sync_all().map_err(|error| bad(&error))?;
    Ok((bytes, lines))
}
