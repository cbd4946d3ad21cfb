//! JSON, with the comments and the commas that editors allow.

use serde_json::{Map, Value};

use super::{
    super::entry::{Entry, inline},
    Edit, indentation, line_break, line_end, line_start, next_line,
};
use crate::interfaces::cli::clients::document::{Member, Node, Value as NodeValue, quoted};

/// What stands between a value and what follows it.
struct Tail {
    /// Where its comma is.
    comma: Option<usize>,
    /// The end of its line, behind comments; or where the next thing begins, if that is on the same line.
    end: usize,
    /// Whether a line ends there.
    breaks: bool,
}

impl Tail {
    fn of(text: &str, from: usize) -> Self {
        let bytes = text.as_bytes();
        let (mut at, mut comma) = (from, None);
        loop {
            match bytes.get(at) {
                Some(b' ' | b'\t') => at += 1,
                Some(b',') if comma.is_none() => {
                    comma = Some(at);
                    at += 1;
                }
                Some(b'/') if bytes.get(at + 1) == Some(&b'/') => at = line_end(text, at),
                Some(b'/') if bytes.get(at + 1) == Some(&b'*') => {
                    at = text[at..].find("*/").map_or(text.len(), |end| at + end + 2);
                }
                next => return Self { comma, end: at, breaks: matches!(next, Some(b'\r' | b'\n')) },
            }
        }
    }
}

/// Adds the entry to its list, or a list with the entry to what is there of the way to it.
pub fn insert(text: &str, document: &Node, entry: &Entry) -> Result<Vec<Edit>, String> {
    let (mut object, mut rest) = (document, entry.list);
    while let Some((inner, names)) = rest.split_first().and_then(|(name, names)| Some((object.get(name)?, names))) {
        (object, rest) = (inner, names);
    }
    if !matches!(object.value, NodeValue::Object(_)) {
        let name = entry.list[..entry.list.len() - rest.len()].join(".");
        let what = if name.is_empty() { "the file".to_owned() } else { name };
        return Err(format!("{what} is not a JSON object, as the client's list of servers is"));
    }
    let mut name = entry.name.as_str();
    let mut value = Value::Object(entry.members.clone());
    for outer in rest.iter().rev() {
        value = Value::Object(Map::from_iter([(name.to_owned(), value)]));
        name = outer;
    }
    Ok(add(text, document, object, name, &value))
}

fn add(text: &str, document: &Node, object: &Node, name: &str, value: &Value) -> Vec<Edit> {
    let (unit, newline) = (unit(text, document), line_break(text));
    let outer = indentation(text, object.span.start);
    let at = |at: usize, text: String| Edit { span: at..at, text };
    let written = |indent: &str| format!("{indent}{}: {}", quoted(name), laid_out(value, indent, unit, newline));
    let Some(last) = object.members().last() else {
        let (start, end) = (object.span.start + 1, object.span.end - 1);
        let comments = text[start..end].trim_end().len();
        let member = written(&format!("{outer}{unit}"));
        return vec![Edit { span: start + comments..end, text: format!("{newline}{member}{newline}{outer}") }];
    };
    let tail = Tail::of(text, last.value.span.end);
    if !tail.breaks {
        return vec![at(last.value.span.end, format!(", {}: {}", quoted(name), inline(value)))];
    }
    let first = object.members().iter().find(|member| begins_line(text, member));
    let indent = first.map_or(format!("{outer}{unit}"), |first| indentation(text, first.key.start).to_owned());
    let member = written(&indent);
    match tail.comma {
        Some(_) => vec![at(tail.end, format!("{newline}{member},"))],
        // The comma goes behind the value, and the entry behind the comment that belongs to the value.
        None => vec![at(last.value.span.end, ",".to_owned()), at(tail.end, format!("{newline}{member}"))],
    }
}

/// Takes the entry out, with the list if it was alone in it.
pub fn remove(text: &str, document: &Node, list: &[&str], name: &str) -> Vec<Edit> {
    let mut path = vec![document];
    for name in list {
        let Some(inner) = path.last().and_then(|node| node.get(name)) else { return Vec::new() };
        path.push(inner);
    }
    let mut names = list.to_vec();
    names.push(name);
    while let (Some(object), Some(name)) = (path.pop(), names.pop()) {
        let Some(place) = object.members().iter().rposition(|member| member.name == name) else { return Vec::new() };
        if path.is_empty() || !is_alone(text, object) {
            return cut(text, object, place);
        }
    }
    Vec::new()
}

/// Whether an object has one member, and nothing else but white space.
fn is_alone(text: &str, object: &Node) -> bool {
    let [member] = object.members() else { return false };
    let before = &text[object.span.start + 1..member.key.start];
    let after = &text[member.value.span.end..object.span.end - 1];
    before.trim().is_empty() && matches!(after.trim(), "" | ",")
}

fn cut(text: &str, object: &Node, place: usize) -> Vec<Edit> {
    let member = &object.members()[place];
    let none = |start: usize, end: usize| Edit { span: start..end, text: String::new() };
    if is_alone(text, object) {
        return vec![none(object.span.start + 1, object.span.end - 1)];
    }
    let tail = Tail::of(text, member.value.span.end);
    let begins = begins_line(text, member);
    let (start, end) = (member.key.start, member.value.span.end);
    let line = line_start(text, start);
    if let Some(comma) = tail.comma {
        let is_whole = begins && tail.breaks && text[comma + 1..tail.end].trim().is_empty();
        let blank = text[comma + 1..].len() - text[comma + 1..].trim_start_matches([' ', '\t']).len();
        return vec![if is_whole { none(line, next_line(text, tail.end)) } else { none(start, comma + 1 + blank) }];
    }
    // The last one: the line break before it goes, and the comma of the one before.
    let from = if begins { line.saturating_sub(if text[..line].ends_with("\r\n") { 2 } else { 1 }) } else { start };
    let before = place.checked_sub(1).map(|before| object.members()[before].value.span.end);
    match before.and_then(|before| Tail::of(text, before).comma) {
        Some(comma) if text[comma + 1..start].trim_matches([' ', '\t']).is_empty() => vec![none(comma, end)],
        Some(comma) if comma < from => vec![none(comma, comma + 1), none(from, end)],
        _ => vec![none(from, end)],
    }
}

fn begins_line(text: &str, member: &Member) -> bool {
    text[line_start(text, member.key.start)..member.key.start].trim().is_empty()
}

/// What one level is indented by.
fn unit<'a>(text: &'a str, document: &Node) -> &'a str {
    let first = document.members().iter().find(|member| begins_line(text, member));
    let unit = first.map(|member| indentation(text, member.key.start)).unwrap_or_default();
    if unit.is_empty() { "  " } else { unit }
}

/// A value whose objects have a line for each member.
fn laid_out(value: &Value, indent: &str, unit: &str, newline: &str) -> String {
    let Value::Object(members) = value else { return inline(value) };
    let inner = format!("{indent}{unit}");
    let member = |(name, value)| format!("{inner}{}: {}", quoted(name), laid_out(value, &inner, unit, newline));
    let members: Vec<_> = members.iter().map(|(name, value)| member((name.as_str(), value))).collect();
    format!("{{{newline}{}{newline}{indent}}}", members.join(&format!(",{newline}")))
}
