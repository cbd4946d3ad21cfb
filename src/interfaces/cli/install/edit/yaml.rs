//! YAML in its block style, as the clients that use it write it.

use super::{
    super::entry::{Entry, inline},
    Edit, deep_end, line_break, line_end, line_start, next_line,
};
use crate::interfaces::cli::clients::document::{Node, Value, quoted};

/// Indentation of an entry in a list that has no other.
const INDENT: usize = 2;

/// Whether a file has nothing but comments.
pub fn is_blank(text: &str) -> bool {
    text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
}

/// Adds the list with the entry at the end of the file.
pub fn append(text: &str, entry: &Entry) -> Vec<Edit> {
    let newline = line_break(text);
    let begin = if text.is_empty() || text.ends_with('\n') { "" } else { newline };
    let list = entry.list.join(".");
    let text_of = format!("{begin}{list}:{newline}{}{newline}", block(entry, INDENT, newline));
    vec![Edit { span: text.len()..text.len(), text: text_of }]
}

/// Adds the entry behind the others of its list.
pub fn insert(text: &str, document: &Node, entry: &Entry) -> Result<Vec<Edit>, String> {
    let is_flow = |node: &Node| text[node.span.clone()].starts_with(['{', '[']);
    let Some(member) = document.member(&entry.list.join(".")) else {
        let is_block = matches!(document.value, Value::Object(_)) && !is_flow(document);
        return if is_block { Ok(append(text, entry)) } else { Err("it is no YAML mapping in block style".to_owned()) };
    };
    let newline = line_break(text);
    let entries = &member.value;
    let last = entries.items().map_or_else(|| entries.members().last().map(|member| &member.value), <[Node]>::last);
    let first = entries.items().map_or_else(
        || entries.members().first().map(|first| first.key.start),
        |items| items.first().map(|first| first.span.start),
    );
    let at = |at: usize, text: String| vec![Edit { span: at..at, text }];
    let block = |indent: usize| format!("{newline}{}", block(entry, indent, newline));
    Ok(match (first.zip(last), &entries.value) {
        (Some((_, last)), _) if is_flow(entries) => {
            let value = inline(&serde_json::Value::Object(entry.members.clone()));
            let value = if entry.is_item { value } else { format!("{}: {value}", quoted(&entry.name)) };
            at(last.span.end, format!(", {value}"))
        }
        (Some((first, last)), _) => {
            let line = &text[line_start(text, first)..first];
            let indent = if entry.is_item { line.find('-').unwrap_or(INDENT) } else { line.len() };
            at(line_end(text, deep_end(text, last)), block(indent))
        }
        // `extensions: {}`: the brackets make room for the block.
        (None, Value::Object(_) | Value::Array { .. }) => {
            let before = text[..entries.span.start].trim_end_matches([' ', '\t']).len();
            vec![Edit { span: before..entries.span.end, text: block(INDENT) }]
        }
        (None, _) => at(line_end(text, member.key.end), block(INDENT)),
    })
}

/// The entry as lines, the first of them indented by so many spaces.
fn block(entry: &Entry, indent: usize, newline: &str) -> String {
    let outer = " ".repeat(indent);
    let lines: Vec<_> = entry.members.iter().map(|(name, value)| format!("{name}: {}", inline(value))).collect();
    let begin = if entry.is_item { format!("{outer}- ") } else { format!("{outer}{}:{newline}{outer}  ", entry.name) };
    begin + &lines.join(&format!("{newline}{outer}  "))
}

/// Takes the entry out, with the list if it was alone in it.
pub fn remove(text: &str, document: &Node, list: &[&str], name: &str) -> Vec<Edit> {
    let Some(outer) = document.member(&list.join(".")) else { return Vec::new() };
    let entries = &outer.value;
    let found = match entries.items() {
        Some(items) => {
            let is_entry = |item: &&Node| item.get("name").and_then(Node::text) == Some(name);
            items.iter().rfind(is_entry).map(|item| (item.span.start, item, items.len()))
        }
        None => entries.member(name).map(|member| (member.key.start, &member.value, entries.members().len())),
    };
    let Some((start, entry, count)) = found else { return Vec::new() };
    let start = if count == 1 { outer.key.start } else { start };
    vec![Edit { span: line_start(text, start)..next_line(text, deep_end(text, entry)), text: String::new() }]
}
