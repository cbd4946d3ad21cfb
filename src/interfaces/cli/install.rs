//! `haldir install`: adds haldir's MCP server to a client's configuration, and takes it out again.
//!
//! Only the entry is added: comments, order and layout of the file stay. Before it is written, the command works out whether
//! taking the entry out of the new file gives back the old one. Where it does not, the old file is kept beside the new one,
//! under a name that says what it was replaced by.

mod edit;
mod entry;
mod list;

use std::path::{Path, PathBuf};

use clap::Args;
use entry::Entry;
use serde_json::json;

use super::{
    CommandError, GlobalOptions,
    clients::{
        change::Change,
        document::{Format, quoted},
        file, launch,
        place::{self, Client},
        program, servers,
    },
    output::{line, note, printable},
    prompt,
    wrap_config::edit::{Wrapping, unwrap, wrap},
};
use crate::error::{Code, Error, Result};

/// What the names of the backups have in them.
const BACKUP: &str = "install";
/// The longest name of a server.
const MAX_NAME: usize = 48;

#[derive(Args)]
#[allow(clippy::struct_excessive_bools)] // Each is a flag of its own.
pub struct InstallOptions {
    /// The client, such as claude, claude-code, codex, cursor or vscode. Without it all are listed, with their files, and
    /// whether haldir is in them.
    #[arg(value_name = "CLIENT")]
    client: Option<String>,
    /// Write the file without asking.
    #[arg(long, requires = "client")]
    yes: bool,
    /// Show what would change, and write nothing.
    #[arg(long, requires = "client", conflicts_with = "yes")]
    dry_run: bool,
    /// Take haldir out again; all else in the file stays as it is now.
    #[arg(long, requires = "client")]
    remove: bool,
    /// Put haldir in front of the client's other servers too; with --remove, take it away from them.
    #[arg(long, requires = "client")]
    wrap: bool,
    /// What the client calls the server.
    #[arg(long, value_name = "NAME", default_value = "haldir", value_parser = parse_name)]
    name: String,
    /// The program that the client starts. Default: the haldir-mcp beside this program, or the command that fetches it if this
    /// one was started by npx, uvx or the like.
    #[arg(long, value_name = "PATH", requires = "client", conflicts_with = "remove")]
    program: Option<String>,
}

fn parse_name(name: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_plain) {
        return Err(format!("a name has 1 to {MAX_NAME} letters, digits, _ and -"));
    }
    Ok(name.to_owned())
}

pub fn run(options: &InstallOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    let Some(name) = &options.client else { return list::run(global) };
    let client = Client::named(name).ok_or_else(|| {
        let message = format!("{name} is not a client that haldir knows; it knows {}", place::names());
        Error::invalid("client", message)
    })?;
    let target = Target::open(client)?;
    let next = if options.remove { target.without(options)? } else { target.with(options, global)? };
    finish(&target, &next, options, global)
}

/// A client's file.
struct Target {
    client: &'static Client,
    path: PathBuf,
    format: Format,
    /// What is in it, unless it is not there.
    text: Option<String>,
}

/// What a file is to be.
struct Next {
    /// What is in it; `None` if it is to be removed.
    text: Option<String>,
    change: Change,
    /// The file that has the old text, which is removed once that is back.
    restored: Option<PathBuf>,
    /// Whether the old text has to be kept.
    keep_old: bool,
}

impl Target {
    fn open(client: &'static Client) -> Result<Self> {
        let (path, text) = file::read_if_there(&client.file()?)?;
        // A file without anything in it is no document, and clients write one into it.
        let format = Format::of(&path);
        Ok(Self { client, path, format, text })
    }

    fn malformed(&self, problem: &str) -> Error {
        file::malformed(&self.path, problem)
    }

    fn list(&self, text: &str) -> Result<&'static [&'static str]> {
        let document = self.parse(text)?;
        Ok(document.as_ref().map_or(self.client.list, |document| entry::list_path(document, self.client.list)))
    }

    /// The document; none if there is nothing in the file.
    fn parse(&self, text: &str) -> Result<Option<super::clients::document::Node>> {
        if edit::is_blank(text, self.format) {
            return Ok(None);
        }
        self.format.parse(text).map(Some).map_err(|problem| self.malformed(&problem))
    }

    /// The words of the entry of this name.
    fn words(&self, text: &str, name: &str) -> Result<Option<Vec<String>>> {
        let Some(document) = self.parse(text)? else { return Ok(None) };
        let list = entry::list_path(&document, self.client.list);
        let found = entry::find(&document, list, name);
        Ok(found.map(|found| entry::words(found).into_iter().map(str::to_owned).collect()))
    }

    /// The file with haldir.
    fn with(&self, options: &InstallOptions, global: &GlobalOptions) -> Result<Next> {
        let program = options.program.clone().map_or_else(program::words, |path| vec![path]);
        let store = file::store_options(global)?;
        let words = [program.as_slice(), &store].concat();
        let old = self.text.as_deref().unwrap_or_default();
        let mut change = Change::default();
        match self.words(old, &options.name)? {
            Some(there) if there == words => {}
            Some(there) => return Err(self.taken(&options.name, &there)),
            None => {
                let mut entry = Entry::new(self.client, &options.name, &words);
                entry.list = self.list(old)?;
                if self
                    .text
                    .as_deref()
                    .is_none_or(|text| edit::is_blank(text, self.format) && self.format == Format::Json)
                {
                    return self.anew(&entry);
                }
                change.edits = edit::insert(old, self.format, &entry).map_err(|problem| self.malformed(&problem))?;
            }
        }
        if options.wrap && !edit::is_blank(old, self.format) {
            let wrapping = Wrapping { program: &program, options: &store, only: &[] };
            let wrapped = wrap(old, self.format, &wrapping).map_err(|problem| self.malformed(&problem))?;
            change = merged(wrapped, change.edits);
        }
        let new = change.apply(old);
        let back = self.taken_out(&new, &options.name, options.wrap);
        let keep_old = !change.edits.is_empty() && back.ok().flatten().as_deref() != Some(old);
        Ok(Next { text: Some(new), change, restored: None, keep_old })
    }

    /// A file that has nothing but the entry.
    fn anew(&self, entry: &Entry) -> Result<Next> {
        if let Some(earlier) = self.client.earlier_file()? {
            let message = format!(
                "{} would no longer be read if {} was made: move it to the new format first",
                earlier.display(),
                self.path.display()
            );
            return Err(Error::new(Code::Conflict, message));
        }
        let new = edit::new_file(self.format, self.client.preamble, entry);
        let change = Change::between(self.text.as_deref().unwrap_or_default(), &new);
        Ok(Next { text: Some(new), change, restored: None, keep_old: self.text.is_some() })
    }

    fn taken(&self, name: &str, words: &[String]) -> Error {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let next = if launch::haldir(&words).is_some() {
            format!("take it out first: haldir install {} --remove", self.client.name)
        } else {
            "choose another name with --name".to_owned()
        };
        let message =
            format!("{} has a server {name} already, which starts {}; {next}", self.path.display(), words.join(" "));
        Error::new(Code::Conflict, message).field("name")
    }

    /// The file without haldir.
    fn without(&self, options: &InstallOptions) -> Result<Next> {
        let unchanged = Next { text: self.text.clone(), change: Change::default(), restored: None, keep_old: false };
        let Some(old) = self.text.as_deref() else { return Ok(unchanged) };
        if let Some(words) = self.words(old, &options.name)?
            && launch::haldir(&words.iter().map(String::as_str).collect::<Vec<_>>()).is_none()
        {
            let message = format!(
                "the server {} of {} is not haldir, it starts {}; name another with --name",
                options.name,
                self.path.display(),
                words.join(" ")
            );
            return Err(Error::new(Code::Conflict, message).field("name"));
        }
        let new = self.taken_out(old, &options.name, options.wrap)?;
        let backup = file::backup_of(&self.path, BACKUP, old);
        if backup.is_file() {
            let before = file::read(&backup)?;
            // It may be of a time at which haldir stood in front of other servers than it is to now.
            if self.wrapped(&before) == self.wrapped(new.as_deref().unwrap_or_default()) {
                let change = Change::between(old, &before);
                return Ok(Next { text: Some(before), change, restored: Some(backup), keep_old: false });
            }
        }
        let change = Change::between(old, new.as_deref().unwrap_or_default());
        Ok(Next { text: new, change, restored: None, keep_old: false })
    }

    /// A text without the entry, and with `unwrapping` without haldir in front of servers; none if the file had nothing else.
    fn taken_out(&self, text: &str, name: &str, unwrapping: bool) -> Result<Option<String>> {
        let mut new = text.to_owned();
        if unwrapping && !edit::is_blank(text, self.format) {
            let change = unwrap(text, self.format, &[]).map_err(|problem| self.malformed(&problem))?;
            new = change.apply(text);
        }
        let Some(words) = self.words(&new, name)? else { return Ok(Some(new)) };
        let list = self.list(&new)?;
        let mut entry = Entry::new(self.client, name, &words);
        entry.list = list;
        if self.text.is_some() && edit::new_file(self.format, self.client.preamble, &entry) == new {
            return Ok(None);
        }
        let edits = edit::remove(&new, self.format, list, name).map_err(|problem| self.malformed(&problem))?;
        Ok(Some(Change::edited(&new, &edits)))
    }

    /// The servers that haldir stands in front of.
    fn wrapped(&self, text: &str) -> Vec<String> {
        let Ok(Some(document)) = self.parse(text) else { return Vec::new() };
        let list = servers::servers(&document, self.format);
        let is_wrapped = |entry| launch::wrapped(&entry::words(entry)).is_some();
        list.into_iter().filter(|(_, entry)| is_wrapped(entry)).map(|(name, _)| name).collect()
    }

    /// Whether the file is as it was when this command read it.
    fn require_unchanged(&self) -> Result<()> {
        let (_, now) = file::read_if_there(&self.path)?;
        if now == self.text {
            return Ok(());
        }
        let message = format!("{} was changed meanwhile; run the command again", self.path.display());
        Err(Error::new(Code::Conflict, message))
    }

    fn write(&self, next: &Next) -> Result<Option<PathBuf>> {
        self.require_unchanged()?;
        let (Some(old), Some(new)) = (&self.text, &next.text) else {
            match &next.text {
                Some(new) => file::create(&self.path, new)?,
                None => file::remove(&self.path)?,
            }
            return Ok(None);
        };
        let backup = next.keep_old.then(|| file::backup_of(&self.path, BACKUP, new));
        if let Some(backup) = &backup {
            file::write(&self.path, backup, old)?;
        }
        file::write(&self.path, &self.path, new)?;
        if let Some(restored) = &next.restored {
            file::remove(restored)?;
        }
        Ok(backup)
    }
}

/// The edits that wrap servers with those that add the entry: both are of the same text. At the same place wrapping comes
/// first, since the entry is added behind the one that is wrapped.
fn merged(mut wrapped: Change, added: Vec<super::clients::change::Edit>) -> Change {
    wrapped.edits.extend(added);
    wrapped.edits.sort_by_key(|edit| edit.span.start);
    wrapped
}

/// Shows the change, asks, and writes.
fn finish(target: &Target, next: &Next, options: &InstallOptions, global: &GlobalOptions) -> Result<(), CommandError> {
    let (path, is_same) = (target.path.display(), next.change.edits.is_empty());
    let old = target.text.as_deref().unwrap_or_default();
    let rows = next.change.diff(old);
    if !is_same && !options.dry_run && !options.yes && (global.json || !prompt::can_ask()) {
        let message = format!("{path} would be changed: say --yes to write it, or --dry-run to see what would change");
        return Err(Error::invalid("yes", message).into());
    }
    if !global.json {
        for row in &rows {
            line(&printable(row))?;
        }
        for skipped in next.change.skipped.iter().filter(|skipped| skipped.name != options.name) {
            line(&printable(&format!("{}: left as it is: {}", skipped.name, skipped.why)))?;
        }
    }
    let is_written = !is_same && !options.dry_run;
    if is_written && !options.yes && !is_confirmed(&target.path)? {
        return Err(Error::new(Code::Conflict, "it was not confirmed; nothing was changed").into());
    }
    let backup = if is_written { target.write(next)? } else { None };
    if global.json {
        let body = json!({
            "client": target.client.name, "file": path.to_string(), "name": options.name, "changed": !is_same,
            "written": is_written, "wrapped": next.change.wrapped, "left": next.change.skipped,
            "backup": backup.map(|backup| backup.display().to_string()), "diff": rows,
        });
        return line(&body.to_string());
    }
    if !is_written {
        let what = match (is_same, options.remove) {
            (true, true) => format!("{} is not in {path}; nothing was changed", quoted(&options.name)),
            (true, false) => format!("{} is in {path} already; nothing was changed", quoted(&options.name)),
            (false, _) => format!("{path} would be changed so; nothing was written"),
        };
        return line(&what);
    }
    if let Some(backup) = backup {
        note(&format!("the old file is {}", backup.display()));
    }
    let wrapped = next.text.as_deref().map(|text| target.wrapped(text)).unwrap_or_default();
    if options.remove && !wrapped.is_empty() {
        note(&format!("haldir still stands in front of {}: --remove --wrap takes it away too", wrapped.join(", ")));
    }
    let what = match (&next.text, options.remove) {
        (None, _) => format!("removed {path}, which had nothing else"),
        (_, true) => format!("took {} out of {path}", options.name),
        (_, false) => format!("wrote {path}"),
    };
    line(&format!("{what}. Restart {}.", target.client.title))
}

fn is_confirmed(path: &Path) -> Result<bool> {
    let answer = prompt::ask("yes", &format!("Write {}? (yes or no)", path.display()))?;
    Ok(matches!(answer.trim(), "y" | "yes" | "Y" | "YES" | "Yes"))
}
