//! What a file says besides one entry, to compare a file before and after a change.

use crate::interfaces::cli::clients::document::{Format, Node, Value};

/// The path and the text of every value, but for the entry and for a list that has nothing else.
pub fn of(text: &str, format: Format, list: &[&str], name: &str) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    // A file without a document says nothing.
    if let Ok(document) = format.parse(text) {
        let mut path: Vec<&str> = list.to_vec();
        path.push(name);
        collect(text, &document, "", Some(&path), &mut facts);
    }
    facts
}

/// `entry` is what still leads from this value to the entry, if the value is on the way.
fn collect(text: &str, node: &Node, path: &str, entry: Option<&[&str]>, facts: &mut Vec<(String, String)>) {
    let before = facts.len();
    match &node.value {
        Value::Object(members) => {
            for member in members.iter().filter(|member| entry != Some(&[member.name.as_str()])) {
                let below = entry.filter(|names| names[0] == member.name).map(|names| &names[1..]);
                collect(text, &member.value, &format!("{path}.{}", member.name), below, facts);
            }
            if facts.len() == before && entry.is_none() {
                facts.push((path.to_owned(), "{}".to_owned()));
            }
        }
        Value::Array { items, .. } => {
            let is_entry =
                |item: &&Node| matches!(entry, Some([name]) if item.get("name").and_then(Node::text) == Some(name));
            for (place, item) in items.iter().filter(|item| !is_entry(item)).enumerate() {
                collect(text, item, &format!("{path}[{place}]"), None, facts);
            }
            if facts.len() == before && entry.is_none() {
                facts.push((path.to_owned(), "[]".to_owned()));
            }
        }
        Value::Text(value) => facts.push((path.to_owned(), format!("\"{value}"))),
        // An empty value where a list is expected is an empty list.
        Value::Other if entry.is_some() => {}
        Value::Other => facts.push((path.to_owned(), text[node.span.clone()].trim().to_owned())),
    }
}
