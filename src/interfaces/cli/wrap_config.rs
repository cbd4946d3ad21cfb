//! `haldir wrap-config`: puts haldir in front of every server that an MCP client starts, and takes it away again.
//!
//! The client's file is edited where servers are started and nowhere else: comments, order and layout stay. Before
//! it is written the old file is kept beside it, under a name that says what it was replaced by: as long as nothing else has
//! changed, undoing gives back exactly that file. Clients rewrite their files all the time; after that each entry is
//! unwrapped by what stands in it, and all else stays as the client left it.

mod document;
mod edit;
mod entry;
mod place;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::Args;
use document::Format;
use edit::{Change, Wrapping};
use serde_json::json;

use super::{
    CommandError, GlobalOptions,
    files::{self, beside, new_file},
    output::{line, printable},
};
use crate::{
    crypto,
    error::{Code, Error, Result},
};

/// The largest file that is read, in bytes: some clients keep their whole history in it.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

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
    /// The program that wraps. Default: the haldir-mcp beside this program.
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

/// The options of every `haldir-mcp wrap`: the store that this command was told to use, since clients hand few variables on,
/// and what the operator adds.
fn wrap_options(options: &WrapConfigOptions, global: &GlobalOptions) -> Result<Vec<String>> {
    let mut words = Vec::new();
    for (name, path) in [("--db", &global.store.db), ("--config", &global.store.config)] {
        let Some(path) = path else { continue };
        let path = std::path::absolute(path).map_err(|error| unreadable(path, &error))?;
        let text = path.to_str().ok_or_else(|| {
            Error::invalid("db", format!("{} is not UTF-8, as a client's file must be", path.display()))
        })?;
        words.extend([name.to_owned(), text.to_owned()]);
    }
    words.extend(options.wrap_option.iter().cloned());
    Ok(words)
}

fn wrap(path: &Path, text: &str, options: &WrapConfigOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    let program = options.program.clone().map_or_else(own_server, Ok)?;
    let words = wrap_options(options, global)?;
    let wrapping = Wrapping { program: &program, options: &words, only: &options.only };
    let change = edit::wrap(text, Format::of(path), &wrapping)
        .map_err(|problem| Error::new(Code::MalformedJson, format!("{}: {problem}", path.display())))?;
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
    let backup = backup_of(path, &wrapped);
    write(path, &backup, text).map_err(|error| unwritable(&backup, &error))?;
    write(path, path, &wrapped).map_err(|error| unwritable(path, &error))?;
    Ok(backup)
}

fn undo(path: &Path, text: &str, options: &WrapConfigOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    let backup = backup_of(path, text);
    if options.only.is_empty() && backup.exists() {
        let old = read(&backup)?;
        write(path, path, &old).map_err(|error| unwritable(path, &error))?;
        fs::remove_file(&backup).map_err(|error| unwritable(&backup, &error))?;
        return restored(path, &[], global, "is as it was");
    }
    let change = edit::unwrap(text, Format::of(path), &options.only)
        .map_err(|problem| Error::new(Code::MalformedJson, format!("{}: {problem}", path.display())))?;
    if change.edits.is_empty() {
        let message = format!("{}: no server is wrapped; nothing was changed", path.display());
        return Err(Error::new(Code::Conflict, message).into());
    }
    write(path, path, &change.apply(text)).map_err(|error| unwritable(path, &error))?;
    restored(path, &change.wrapped, global, &format!("no longer wraps {}", change.wrapped.join(", ")))
}

fn restored(path: &Path, unwrapped: &[String], global: &GlobalOptions, what: &str) -> Result<(), CommandError> {
    let done = json!({"file": path.display().to_string(), "restored": true, "unwrapped": unwrapped});
    global.report(&done, &format!("{} {what}. Restart the client.", path.display()))
}

/// Where the file is kept that `written` replaces.
fn backup_of(path: &Path, written: &str) -> PathBuf {
    let digest = crypto::digest(&[written.as_bytes()]);
    let digest = u64::from_be_bytes(std::array::from_fn(|index| digest[index]));
    beside(path, &format!(".haldir-backup-{digest:016x}"))
}

/// Writes a file at once or not at all, with the permissions of `like`.
fn write(like: &Path, path: &Path, text: &str) -> io::Result<()> {
    files::replace(path, text.as_bytes(), |part| {
        // Such files hold keys: no other user may read the new file before it has the permissions of the old one.
        let file = new_file(part)?;
        file.set_permissions(fs::metadata(like)?.permissions())?;
        Ok(file)
    })
}

fn read(path: &Path) -> Result<String> {
    crate::files::read_text(path, MAX_BYTES).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    let code = if error.kind() == io::ErrorKind::FileTooLarge { Code::InvalidArgument } else { Code::NotFound };
    Error::new(code, format!("{} cannot be read: {error}", path.display()))
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::new(Code::Unavailable, format!("{} cannot be written: {error}", path.display()))
}

/// The server beside this program, by its full path, since clients with windows often have a path of their own.
fn own_server() -> Result<String> {
    let name = format!("haldir-mcp{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(&name)).filter(|path| path.exists());
    if let Some(path) = beside.as_deref().filter(|path| is_in_cache(path)) {
        let message = format!(
            "{} lies in a cache that is emptied one day, and the client's servers would be gone: install haldir, or name \
             the program with --program",
            path.display()
        );
        return Err(Error::invalid("program", message));
    }
    Ok(beside.and_then(|path| path.to_str().map(str::to_owned)).unwrap_or(name))
}

/// Whether a program lies where npx or uvx unpack what they run once.
fn is_in_cache(program: &Path) -> bool {
    let names: Vec<_> = program.iter().filter_map(|name| name.to_str()).collect();
    let has = |name: &str| names.contains(&name);
    has("_npx")
        || (has("uv") && names.iter().any(|name| name.starts_with("archive-") || name.starts_with("environments-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_of_npx_and_uvx_are_known() {
        for path in [
            "/home/a/.npm/_npx/0a1b/node_modules/haldir-mcp/bin/haldir-mcp",
            "/home/a/.cache/uv/archive-v0/xyz/bin/haldir-mcp",
        ] {
            assert!(is_in_cache(Path::new(path)), "{path}");
        }
        for path in [
            "/home/a/.cargo/bin/haldir-mcp",
            "/home/uv/bin/haldir-mcp",
            "/home/a/.local/share/uv/tools/haldir-mcp/bin/haldir-mcp",
        ] {
            assert!(!is_in_cache(Path::new(path)), "{path}");
        }
    }
}
