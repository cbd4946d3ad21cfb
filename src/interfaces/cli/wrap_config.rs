//! `haldir wrap-config`: puts haldir in front of every server that an MCP client starts, and takes it away again.
//!
//! The client's file is edited where servers are started and nowhere else: comments, order and layout stay. Before
//! it is written the old file is kept beside it, under a name that says what it was replaced by: as long as nothing else has
//! changed, undoing gives back exactly that file. Clients rewrite their files all the time; after that each entry is
//! unwrapped by what stands in it, and all else stays as the client left it.

pub mod edit;

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use edit::Wrapping;
use serde_json::json;

use super::{
    CommandError, GlobalOptions,
    clients::{
        change::Change,
        document::Format,
        file::{self, malformed, read, store_options, unreadable, write},
        place, program,
    },
    output::{line, printable},
};
use crate::error::{Code, Error, Result};

/// What the names of the backups have in them.
const BACKUP: &str = "backup";

#[derive(Args)]
#[allow(clippy::doc_markdown)] // Help texts: a terminal would show the backticks.
pub struct WrapConfigOptions {
    /// A client, such as claude, claude-code, cursor, codex or opencode (an unknown name lists all); or the path of a file such
    /// as .mcp.json, in JSON, TOML or YAML.
    #[arg(value_name = "CLIENT|FILE")]
    client: String,
    /// Write the file, and keep the old one beside it. Without it the changes are shown only.
    #[arg(long)]
    write: bool,
    /// Take haldir away from the servers again; all else in the file stays as it is now.
    #[arg(long, conflicts_with = "write")]
    undo: bool,
    /// Wrap or unwrap this server only. May be repeated.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// An option for every `haldir-mcp wrap`, such as --wrap-option=--agent=claude. May be repeated.
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    wrap_option: Vec<String>,
    /// The program that wraps. Default: the haldir-mcp beside this program, or the command that fetches it if this one was
    /// started by npx, uvx or the like.
    #[arg(long, value_name = "PATH")]
    program: Option<String>,
}

pub fn run(options: &WrapConfigOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    let path = place::find(&options.client)?;
    // A link stays a link: what it leads to is edited.
    let path = fs::canonicalize(&path).map_err(|error| unreadable(&path, &error))?;
    let text = read(&path)?;
    if options.undo { undo(&path, &text, options, global) } else { wrap(&path, &text, options, global) }
}

fn wrap(path: &Path, text: &str, options: &WrapConfigOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    let program = options.program.clone().map_or_else(program::words, |path| vec![path]);
    let mut words = store_options(global)?;
    words.extend(options.wrap_option.iter().cloned());
    let wrapping = Wrapping { program: &program, options: &words, only: &options.only };
    let change = edit::wrap(text, Format::of(path), &wrapping).map_err(|problem| malformed(path, &problem))?;
    let backup = if options.write && !change.edits.is_empty() { Some(replace(path, text, &change)?) } else { None };
    if global.json {
        let backup = backup.as_ref().map(|backup| backup.display().to_string());
        let body = json!({
            "file": path.display().to_string(), "wrapped": change.wrapped, "left": change.skipped, "written": backup.is_some(),
            "backup": backup, "diff": change.diff(text),
        });
        return line(&body.to_string());
    }
    for row in change.diff(text) {
        line(&printable(&row))?;
    }
    for skipped in &change.skipped {
        line(&printable(&format!("{}: left as it is: {}", skipped.name, skipped.why)))?;
    }
    line(&match (&backup, change.edits.is_empty()) {
        (_, true) => format!("nothing to wrap in {}", path.display()),
        (None, false) => format!("{} would be changed: repeat with --write", path.display()),
        (Some(backup), false) => {
            format!("wrote {}; the old file is {}. Restart the client.", path.display(), backup.display())
        }
    })
}

/// Writes the new file, once the old one is safe; returns where that is.
fn replace(path: &Path, text: &str, change: &Change) -> Result<PathBuf> {
    let wrapped = change.apply(text);
    let backup = file::backup_of(path, BACKUP, &wrapped);
    write(path, &backup, text)?;
    write(path, path, &wrapped)?;
    Ok(backup)
}

fn undo(path: &Path, text: &str, options: &WrapConfigOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    let backup = file::backup_of(path, BACKUP, text);
    if options.only.is_empty() && backup.exists() {
        let old = read(&backup)?;
        write(path, path, &old)?;
        file::remove(&backup)?;
        return restored(path, &[], global, "is as it was");
    }
    let change = edit::unwrap(text, Format::of(path), &options.only).map_err(|problem| malformed(path, &problem))?;
    if change.edits.is_empty() {
        let message = format!("{}: no server is wrapped; nothing was changed", path.display());
        return Err(Error::new(Code::Conflict, message).into());
    }
    write(path, path, &change.apply(text))?;
    restored(path, &change.wrapped, global, &format!("no longer wraps {}", change.wrapped.join(", ")))
}

fn restored(path: &Path, unwrapped: &[String], global: &GlobalOptions, what: &str) -> Result<(), CommandError> {
    let done = json!({"file": path.display().to_string(), "restored": true, "unwrapped": unwrapped});
    global.report(&done, &format!("{} {what}. Restart the client.", path.display()))
}
