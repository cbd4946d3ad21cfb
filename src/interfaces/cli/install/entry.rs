//! What haldir's entry is in a client's file.

use serde_json::{Map, Value, json};

use crate::interfaces::cli::clients::{
    document::{self, Node, quoted},
    launch::LaunchCommand,
    place::{Client, Shape},
};

/// Seconds that goose waits for a call; a person may be asked to approve it.
const GOOSE_TIMEOUT: u32 = 300;

/// Haldir's entry in a client's file.
pub struct Entry {
    /// The names that lead to the list of servers.
    pub list: &'static [&'static str],
    /// The server's name.
    pub name: String,
    /// Whether the list is an array of items that have their name in them.
    pub is_item: bool,
    /// The members, in their order.
    pub members: Map<String, Value>,
}

impl Entry {
    /// The entry that starts these words.
    pub fn new(client: &Client, name: &str, words: &[String]) -> Self {
        let (program, arguments) =
            words.split_first().map_or((json!(""), &[][..]), |(first, rest)| (json!(first), rest));
        let arguments = json!(arguments);
        let members = match client.shape {
            Shape::Plain => json!({"command": program, "args": arguments}),
            Shape::Stdio => json!({"type": "stdio", "command": program, "args": arguments}),
            Shape::Copilot => json!({"type": "local", "command": program, "args": arguments, "tools": ["*"]}),
            Shape::Together => json!({"type": "local", "command": words, "enabled": true}),
            Shape::Cline => json!({"transport": {"type": "stdio", "command": program, "args": arguments}}),
            Shape::Goose => json!({
                "enabled": true, "type": "stdio", "name": name, "description": "Governance for agents", "cmd": program,
                "args": arguments, "timeout": GOOSE_TIMEOUT,
            }),
            Shape::Named => json!({"name": name, "command": program, "args": arguments}),
        };
        let members = if let Value::Object(members) = members { members } else { Map::new() };
        Self { list: client.list, name: name.to_owned(), is_item: client.shape == Shape::Named, members }
    }
}

/// A value on one line, as JSON, TOML and YAML read it.
pub fn inline(value: &Value) -> String {
    let joined = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| format!("{}: {}", quoted(name), inline(value)));
            format!("{{ {} }}", joined(members.collect()))
        }
        Value::Array(items) => format!("[{}]", joined(items.iter().map(inline).collect())),
        other => other.to_string(),
    }
}

/// The list of servers in a file; of `mcp`, the list within it if there is one, as newer versions of `OpenCode` have it.
pub fn list_path(document: &Node, list: &'static [&'static str]) -> &'static [&'static str] {
    const NESTED: &[&str] = &["mcp", "servers"];
    let is_list = |node: &Node| {
        let is_server = node.get("command").is_some() || node.get("url").is_some() || node.get("enabled").is_some();
        !is_server && matches!(node.value, document::Value::Object(_))
    };
    let nested = document.get("mcp").and_then(|mcp| mcp.get("servers"));
    if list == ["mcp"] && nested.is_some_and(is_list) { NESTED } else { list }
}

/// The entries of a list of servers.
pub fn all<'a>(document: &'a Node, list: &[&str]) -> impl Iterator<Item = &'a Node> {
    let list = list.iter().try_fold(document, |node, name| node.get(name));
    let members = list.map(Node::members).unwrap_or_default().iter().map(|member| &member.value);
    members.chain(list.and_then(Node::items).unwrap_or_default())
}

/// The entry of a name in a list of servers.
pub fn find<'a>(document: &'a Node, list: &[&str], name: &str) -> Option<&'a Node> {
    let list = list.iter().try_fold(document, |node, name| node.get(name))?;
    let has_name = |item: &&Node| item.get("name").and_then(Node::text) == Some(name);
    list.get(name).or_else(|| list.items()?.iter().rfind(has_name))
}

/// The program and the arguments of an entry.
pub fn words(entry: &Node) -> Vec<&str> {
    LaunchCommand::of(entry).map(|launch| launch.words()).unwrap_or_default()
}
