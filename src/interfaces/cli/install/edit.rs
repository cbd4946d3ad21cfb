//! Putting an entry into a client's file, and taking it out. Every change is checked before it is written: read again, the
//! new file has the entry, or has it no longer, and is otherwise the same.

mod facts;
mod json;
#[cfg(test)]
mod tests;
mod toml;
mod yaml;

use super::entry::{self, Entry};
use crate::interfaces::cli::clients::{
    change::{Change, Edit},
    document::{Format, Node},
};

/// Whether a file has nothing in it, or only what is no document: clients take it for one that is not there.
pub fn is_blank(text: &str, format: Format) -> bool {
    match format {
        Format::Json => text.trim_start_matches('\u{feff}').trim().is_empty(),
        Format::Toml => text.trim().is_empty(),
        Format::Yaml => yaml::is_blank(text),
    }
}

/// How to add an entry to a file that has none of that name.
pub fn insert(text: &str, format: Format, entry: &Entry) -> Result<Vec<Edit>, String> {
    let edits = match format {
        Format::Json => json::insert(text, &format.parse(text)?, entry)?,
        Format::Toml => {
            format.parse(text)?;
            toml::insert(text, entry)
        }
        Format::Yaml if yaml::is_blank(text) => yaml::append(text, entry),
        Format::Yaml => yaml::insert(text, &format.parse(text)?, entry)?,
    };
    let new = applied(text, &edits);
    let has_it = format.parse(&new).is_ok_and(|document| entry::find(&document, entry.list, &entry.name).is_some());
    let is_same = facts::of(text, format, entry.list, &entry.name) == facts::of(&new, format, entry.list, &entry.name);
    // What could not be taken out again is not added.
    if !has_it || !is_same || remove(&new, format, entry.list, &entry.name).is_err() {
        return Err(format!("{} has a form that cannot be added to: add the entry by hand", entry.list.join(".")));
    }
    Ok(edits)
}

/// How to take the entry of a name out of a file, with the list if nothing else is in that.
pub fn remove(text: &str, format: Format, list: &[&str], name: &str) -> Result<Vec<Edit>, String> {
    let document = format.parse(text)?;
    let edits = match format {
        Format::Json => json::remove(text, &document, list, name),
        Format::Toml => toml::remove(text, &document, list, name),
        Format::Yaml => yaml::remove(text, &document, list, name),
    };
    let new = applied(text, &edits);
    let is_gone = match format.parse(&new) {
        Ok(document) => entry::find(&document, list, name).is_none(),
        Err(_) => format == Format::Yaml && yaml::is_blank(&new),
    };
    if !is_gone || facts::of(text, format, list, name) != facts::of(&new, format, list, name) {
        return Err(format!(
            "the entry {name} of {} has a form that cannot be cut out: remove it by hand",
            list.join(".")
        ));
    }
    Ok(edits)
}

/// A file with nothing else in it.
pub fn new_file(format: Format, preamble: &str, entry: &Entry) -> String {
    match format {
        Format::Json => {
            let empty = "{}\n";
            let node = Node::empty_object(0..2);
            json::insert(empty, &node, entry).map(|edits| applied(empty, &edits)).unwrap_or_default()
        }
        Format::Toml => applied("", &toml::insert("", entry)),
        Format::Yaml => applied(preamble, &yaml::append(preamble, entry)),
    }
}

fn applied(text: &str, edits: &[Edit]) -> String {
    Change::edited(text, edits)
}

/// The beginning of the line that a byte is on.
fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}

/// The end of the line that a byte is on, before its line break.
fn line_end(text: &str, at: usize) -> usize {
    let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
    if text[..end].ends_with('\r') && end > at { end - 1 } else { end }
}

/// Where the next line begins.
fn next_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |end| at + end + 1)
}

/// The white space at the beginning of the line that a byte is on.
fn indentation(text: &str, at: usize) -> &str {
    let line = &text[line_start(text, at)..];
    let end = line.find(|c| !matches!(c, ' ' | '\t')).unwrap_or(line.len());
    &line[..end]
}

/// How lines end.
fn line_break(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// Where the last thing in a value ends, other than the end of the value itself, which in TOML and YAML can lie further on.
fn deep_end(text: &str, node: &Node) -> usize {
    let is_flow =
        text[node.span.clone()].starts_with(['{', '[']) && text[node.span.clone()].trim_end().ends_with(['}', ']']);
    let members = node.members().iter().flat_map(|member| [member.key.end, deep_end(text, &member.value)]);
    let items = node.items().unwrap_or_default().iter().map(|item| deep_end(text, item));
    match members.chain(items).max() {
        Some(inner) if is_flow => inner.max(node.span.end),
        Some(inner) => inner,
        None => node.span.start + text[node.span.clone()].trim_end().len(),
    }
}
