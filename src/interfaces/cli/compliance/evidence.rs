//! `haldir compliance evidence`.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::{Value, json};

use super::super::{
    CommandError, GlobalOptions,
    files::{replace, unwritable},
    log::parse_time,
    output::{line, note},
    progress::{Progress, Unit},
    target::Target,
};
use crate::error::Error;

#[derive(Args)]
pub struct EvidenceOptions {
    /// Where the period begins: a date, a date-time, Unix seconds, or how long ago, such as 90d. Default: 90 days
    /// before its end.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<Value>,
    /// Where it ends; not included. Default: now.
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<Value>,
    /// The form: json can be verified, markdown and html are for people. Default: by the name of the file, else json.
    #[arg(long, value_name = "FORMAT", value_parser = ["json", "markdown", "md", "html"])]
    format: Option<String>,
    /// The file to write. Default: standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl EvidenceOptions {
    fn format(&self) -> &str {
        let by_name = || match self.out.as_ref()?.extension()?.to_str()? {
            "md" | "markdown" => Some("markdown"),
            "html" | "htm" => Some("html"),
            _ => None,
        };
        self.format.as_deref().or_else(by_name).unwrap_or("json")
    }
}

pub fn run(options: &EvidenceOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    let format = options.format();
    if global.json && format != "json" && options.out.is_none() {
        return Err(Error::invalid("format", "--json writes JSON: name a file with --out for another format").into());
    }
    let input = json!({"since": options.since, "until": options.until, "format": format}).to_string();
    let mut pack = Vec::new();
    let target = Target::open(global)?;
    let progress = Progress::new(global, "making the pack", Unit::Unknown);
    target.stream("getEvidence", &input, &mut |piece| {
        pack.extend_from_slice(piece);
        Ok(())
    })?;
    drop(progress);
    let Some(path) = &options.out else {
        let mut output = io::stdout().lock();
        output.write_all(&pack)?;
        return Ok(output.flush()?);
    };
    write(path, &pack).map_err(|error| unwritable("out", path, &error))?;
    if global.json {
        let done = json!({"written": path.display().to_string(), "format": format, "bytes": pack.len()});
        return line(&done.to_string());
    }
    note(&format!("wrote {} bytes to {}", pack.len(), path.display()));
    Ok(())
}

/// Writes the pack beside its place, and moves it there once it is whole: what is there stays until then.
fn write(path: &Path, pack: &[u8]) -> io::Result<()> {
    // A device or a pipe is written to as it is.
    if path.metadata().is_ok_and(|file| !file.is_file()) {
        return fs::write(path, pack);
    }
    replace(path, pack, |part| File::create(part))
}
