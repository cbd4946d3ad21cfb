//! `haldir upstreams logs`: what the wrapped servers of this machine wrote to standard error.

use std::{
    fs,
    io::{ErrorKind, Read, Seek, SeekFrom},
    path::Path,
    process::ExitCode,
};

use clap::Args;
use serde_json::json;

use super::super::{
    GlobalOptions, Screen, Stop,
    output::{line, printable},
};
use crate::{
    error::{Code, Error, Result},
    model::UpstreamName,
    upstream::stderr_log,
};

/// Bytes of a log that are read, from its end.
const MAX_READ: u64 = 2 * 1024 * 1024;

#[derive(Args)]
pub struct LogsOptions {
    /// The server, as it was named to `haldir-mcp wrap` or in the config file.
    #[arg(value_name = "NAME")]
    name: String,
    /// How many lines, from the end.
    #[arg(long, value_name = "N", default_value_t = 100)]
    lines: usize,
}

pub fn run(options: &LogsOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    // Parsed, so that no name leads out of the folder.
    let name = UpstreamName::parse(options.name.clone()).map_err(|problem| Error::invalid("name", problem))?;
    let path = stderr_log::path(&global.store.path()?, &name);
    let mut text = tail(&stderr_log::older(&path))?.unwrap_or_default();
    let Some(current) = tail(&path)? else {
        let message = format!("there is no log of {name}: no server of that name was started on this store");
        return Err(Error::new(Code::NotFound, message).into());
    };
    text.push_str(&current);
    let all: Vec<_> = text.lines().collect();
    let shown = &all[all.len().saturating_sub(options.lines)..];
    if screen.json {
        line(&json!({"name": name, "file": path.display().to_string(), "lines": shown}).to_string())?;
    } else {
        for row in shown {
            line(&printable(row))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The end of a file; `None` if it is not there.
fn tail(path: &Path) -> Result<Option<String>> {
    let read = || {
        let mut file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(MAX_READ)))?;
        let mut bytes = Vec::new();
        file.take(MAX_READ).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    match read() {
        Ok(text) => Ok(Some(text)),
        Err(error) if std::io::Error::kind(&error) == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::new(Code::Unavailable, format!("{} cannot be read: {error}", path.display()))),
    }
}
