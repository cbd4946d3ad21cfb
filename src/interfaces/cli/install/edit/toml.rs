//! TOML: the entry is a table of its own at the end of the file, where its header takes no key away from another table.

use super::{
    super::entry::{Entry, inline},
    Edit, deep_end, line_break, line_start, next_line,
};
use crate::interfaces::cli::clients::document::{Format, Node};

/// Adds the entry.
pub fn insert(text: &str, entry: &Entry) -> Vec<Edit> {
    let newline = line_break(text);
    let mut table = String::new();
    if !text.is_empty() && !text.ends_with('\n') {
        table.push_str(newline);
    }
    if !text.trim().is_empty() {
        table.push_str(newline);
    }
    table.extend(["[", &entry.list.join("."), ".", &entry.name, "]", newline]);
    for (name, value) in &entry.members {
        table.extend([name.as_str(), " = ", &inline(value), newline]);
    }
    vec![Edit { span: text.len()..text.len(), text: table }]
}

/// Takes the entry out, with the empty line before it.
pub fn remove(text: &str, document: &Node, list: &[&str], name: &str) -> Vec<Edit> {
    let entries = list.iter().try_fold(document, |node, name| node.get(name));
    let Some(member) = entries.and_then(|entries| entries.member(name)) else { return Vec::new() };
    let end = next_line(text, deep_end(text, &member.value));
    let first = first_key(&member.value).unwrap_or(end);
    let mut start = header(text, first, list, name).unwrap_or_else(|| line_start(text, member.key.start));
    if let Some(empty) = ["\r\n\r\n", "\n\n"].iter().find(|empty| text[..start].ends_with(**empty)) {
        start -= empty.len() / 2;
    }
    if start > end { Vec::new() } else { vec![Edit { span: start..end, text: String::new() }] }
}

/// Where the first key of a table is.
fn first_key(table: &Node) -> Option<usize> {
    table.members().iter().map(|member| first_key(&member.value).unwrap_or(member.key.start)).min()
}

/// Where the line begins that is the header of the entry's table: the last one before its first key, since such a line can stand
/// in a text too.
fn header(text: &str, first: usize, list: &[&str], name: &str) -> Option<usize> {
    let (mut at, mut found) = (0, None);
    for line in text[..first].split_inclusive('\n') {
        let start = at;
        at += line.len();
        if !line.trim_start().starts_with('[') {
            continue;
        }
        let Ok(table) = Format::Toml.parse(line) else { continue };
        let entries = list.iter().try_fold(&table, |node, name| node.get(name));
        if entries.and_then(|entries| entries.get(name)).is_some_and(|entry| entry.members().is_empty()) {
            found = Some(start);
        }
    }
    found
}
