//! Where a client's file lists its servers.

use super::document::{Format, Member, Node};

/// Under which names clients list their servers.
const LISTS: [&str; 5] = ["mcpServers", "mcp_servers", "servers", "context_servers", "amp.mcpServers"];
/// The name that `OpenCode` and Kilo use, and VS Code's settings as well, for an object that has such a list in it.
const LIST_OR_PARENT: &str = "mcp";
/// Goose's name, in YAML: in JSON it is a list of something else.
const GOOSE: &str = "extensions";
/// Levels below which such a list is looked for: some clients have one for each project.
const MAX_DEPTH: usize = 4;

/// Servers by name, each with its entry.
pub type Servers<'a> = Vec<(String, &'a Node)>;

/// The servers of a file, in its order.
pub fn servers(document: &Node, format: Format) -> Servers<'_> {
    let mut found = Vec::new();
    find(document, format, &mut found, 0);
    found
}

fn find<'a>(node: &'a Node, format: Format, found: &mut Servers<'a>, depth: usize) {
    for Member { name, value, .. } in node.members() {
        let is_list = LISTS.contains(&name.as_str()) || (format == Format::Yaml && name == GOOSE);
        if is_list {
            found.extend(value.members().iter().map(|member| (member.name.clone(), &member.value)));
            // Continue has a list of entries that have their name in them.
            let named = |entry: &'a Node| Some((entry.get("name")?.text()?.to_owned(), entry));
            found.extend(value.items().unwrap_or_default().iter().filter_map(named));
        } else if name == LIST_OR_PARENT {
            let is_server = |entry: &Node| entry.get("command").is_some() || entry.get("url").is_some();
            let (here, other): (Vec<_>, Vec<_>) = value.members().iter().partition(|member| is_server(&member.value));
            found.extend(here.into_iter().map(|member| (member.name.clone(), &member.value)));
            if other.iter().any(|member| LISTS.contains(&member.name.as_str())) {
                find(value, format, found, depth + 1);
            }
        } else if depth < MAX_DEPTH {
            find(value, format, found, depth + 1);
        }
    }
}
