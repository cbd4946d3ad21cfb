//! Which places of a client's file change, and how.

use std::{collections::HashMap, ops::Range};

use serde::Serialize;

use super::{
    document::{Format, Node, Value},
    entry::{self, Launch},
};
use crate::crypto;

/// Under which names clients list their servers.
const LISTS: [&str; 5] = ["mcpServers", "mcp_servers", "servers", "context_servers", "amp.mcpServers"];
/// The name that `OpenCode` and Kilo use, and VS Code's settings as well, for an object that has such a list in it.
const LIST_OR_PARENT: &str = "mcp";
/// Goose's name, in YAML: in JSON it is a list of something else.
const GOOSE: &str = "extensions";
/// Levels below which such a list is looked for: some clients have one for each project.
const MAX_DEPTH: usize = 4;
/// The longest name of an upstream that is made of a server's.
const MAX_NAME: usize = 48;

/// How servers are wrapped.
pub struct Wrapping<'a> {
    /// The program that wraps.
    pub program: &'a str,
    /// Its options, besides the server's name.
    pub options: &'a [String],
    /// The servers that are meant; none are all.
    pub only: &'a [String],
}

/// What is to be written instead of what.
#[derive(Debug)]
pub struct Edit {
    /// Bytes of the old text.
    pub span: Range<usize>,
    /// What stands there then.
    pub text: String,
}

/// A server that stays as it is.
#[derive(Debug, Serialize)]
pub struct Left {
    /// The server.
    pub name: String,
    /// Why.
    pub why: &'static str,
}

/// All that changes in a file.
#[derive(Debug, Default)]
pub struct Change {
    /// From the beginning to the end; they do not overlap.
    pub edits: Vec<Edit>,
    /// Servers that are wrapped, or no longer are.
    pub wrapped: Vec<String>,
    /// Servers that are not.
    pub left: Vec<Left>,
}

/// How to wrap the servers of a client's file.
pub fn wrap(text: &str, format: Format, wrapping: &Wrapping<'_>) -> Result<Change, String> {
    let document = format.parse(text)?;
    let servers = servers(&document, format);
    let mut names = Names::of(&servers);
    each(&servers, wrapping.only, |server, launch, edits| {
        let words = launch.words();
        if entry::is_ours(words[0]) {
            return Err("it is haldir");
        }
        let name = names.for_server(server, &words);
        let mut before = vec!["wrap".to_owned(), "--name".to_owned(), name];
        before.extend(wrapping.options.iter().cloned());
        before.extend(["--".to_owned(), words[0].to_owned()]);
        insert(text, format, launch, wrapping.program, &before, edits);
        Ok(())
    })
}

/// How to take haldir away from the servers of a client's file, each by what stands in its own entry.
pub fn unwrap(text: &str, format: Format, only: &[String]) -> Result<Change, String> {
    let document = format.parse(text)?;
    each(&servers(&document, format), only, |_, launch, edits| {
        let words = launch.words();
        let wrapped = entry::wrapped(&words).ok_or("haldir has not wrapped it")?;
        remove(text, launch, words[wrapped.program], wrapped.program, edits);
        Ok(())
    })
}

type Servers<'a> = Vec<(String, &'a Node)>;

fn each(
    servers: &Servers<'_>,
    only: &[String],
    mut edit: impl FnMut(&str, &Launch<'_>, &mut Vec<Edit>) -> Result<(), &'static str>,
) -> Result<Change, String> {
    if let Some(name) = only.iter().find(|name| !servers.iter().any(|(server, _)| server == *name)) {
        return Err(format!("there is no server `{name}`"));
    }
    let mut change = Change::default();
    for (server, entry) in servers.iter().filter(|(server, _)| only.is_empty() || only.contains(server)) {
        match Launch::of(entry).and_then(|launch| edit(server, &launch, &mut change.edits)) {
            Ok(()) => change.wrapped.push(server.clone()),
            Err(why) => change.left.push(Left { name: server.clone(), why }),
        }
    }
    change.edits.sort_by_key(|edit| edit.span.start);
    Ok(change)
}

fn servers(document: &Node, format: Format) -> Servers<'_> {
    let mut found = Vec::new();
    find(document, format, &mut found, 0);
    found
}

fn find<'a>(node: &'a Node, format: Format, found: &mut Servers<'a>, depth: usize) {
    for (name, value) in node.members() {
        let is_list = LISTS.contains(&name.as_str()) || (format == Format::Yaml && name == GOOSE);
        if is_list {
            found.extend(value.members().iter().map(|(server, entry)| (server.clone(), entry)));
            // Continue has a list of entries that have their name in them.
            let named = |entry: &'a Node| Some((entry.get("name")?.text()?.to_owned(), entry));
            found.extend(value.items().unwrap_or_default().iter().filter_map(named));
        } else if name == LIST_OR_PARENT {
            let is_server = |entry: &Node| entry.get("command").is_some() || entry.get("url").is_some();
            let (here, other): (Vec<_>, Vec<_>) = value.members().iter().partition(|(_, entry)| is_server(entry));
            found.extend(here.into_iter().map(|(server, entry)| (server.clone(), entry)));
            if other.iter().any(|(name, _)| LISTS.contains(&name.as_str())) {
                find(value, format, found, depth + 1);
            }
        } else if depth < MAX_DEPTH {
            find(value, format, found, depth + 1);
        }
    }
}

/// The names of upstreams in one file: two servers with one name would be taken for one whose tools keep changing.
struct Names(HashMap<String, Vec<String>>);

impl Names {
    /// Those that entries have already.
    fn of(servers: &Servers<'_>) -> Self {
        let mut names = HashMap::new();
        for (_, entry) in servers {
            let words = Launch::of(entry).map(|launch| launch.words()).unwrap_or_default();
            if let Some(wrapped) = entry::wrapped(&words)
                && let Some(name) = wrapped.name
            {
                names.insert(name.to_owned(), owned(&words[wrapped.program..]));
            }
        }
        Self(names)
    }

    /// The name of a server's upstream: its own as upstreams may be called, and a digest behind it where another server has
    /// that name, or where nothing is left of its own.
    fn for_server(&mut self, server: &str, words: &[&str]) -> String {
        let plain =
            |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c.to_ascii_lowercase() } else { '-' };
        let name: String = server.chars().map(plain).take(MAX_NAME).collect();
        let name = name.trim_matches(['-', '_']);
        let name = if name.is_empty() { "server" } else { name };
        let is_free = self.0.get(name).is_none_or(|taken| *taken == owned(words));
        let name = if is_free && server.chars().any(|c| c.is_ascii_alphanumeric()) {
            name.to_owned()
        } else {
            let digest = crypto::digest(&[server.as_bytes(), &[0], words.join("\0").as_bytes()]);
            format!("{name}-{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2])
        };
        self.0.insert(name.clone(), owned(words));
        name
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Texts as JSON writes them, which TOML and YAML read as well.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn joined(words: &[String], separator: &str) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(separator)
}

/// What stands between the items of an array.
fn separator(text: &str, items: &[Node], is_block: bool) -> String {
    let Some(first) = items.first().filter(|_| is_block) else { return ", ".to_owned() };
    let line = text[..first.span.start].rfind('\n').map_or(0, |end| end + 1);
    let indent: String = text[line..first.span.start].chars().map(|c| if c == '-' { ' ' } else { c }).collect();
    let dash = text[line..first.span.start].rfind('-').unwrap_or(0);
    format!("\n{}- ", &indent[..dash])
}

fn insert(text: &str, format: Format, launch: &Launch<'_>, program: &str, before: &[String], edits: &mut Vec<Edit>) {
    match launch {
        Launch::Together { words } => {
            let Value::Array { items, is_block } = &words.value else { return };
            let words: Vec<_> = std::iter::once(program.to_owned()).chain(before.iter().cloned()).collect();
            let text = joined(&words, &separator(text, items, *is_block));
            edits.push(Edit { span: items[0].span.clone(), text });
        }
        Launch::Apart { program: old, arguments, object } => {
            edits.push(Edit { span: old.span.clone(), text: quoted(program) });
            edits.push(match arguments.map(|arguments| (arguments, &arguments.value)) {
                Some((arguments, Value::Array { items, is_block })) => match items.first() {
                    // Before the first argument, whatever stands between it and the bracket.
                    Some(first) => {
                        let separator = separator(text, items, *is_block);
                        let at = first.span.start;
                        Edit { span: at..at, text: joined(before, &separator) + &separator }
                    }
                    None => Edit { span: arguments.span.clone(), text: format!("[{}]", joined(before, ", ")) },
                },
                _ => new_arguments(text, format, old, object, &joined(before, ", ")),
            });
        }
    }
}

/// Arguments for an entry that has none.
fn new_arguments(text: &str, format: Format, program: &Node, object: &Node, words: &str) -> Edit {
    let line = text[..program.span.start].rfind('\n').map_or(0, |end| end + 1);
    let before = &text[line..program.span.start];
    let is_inline = match format {
        Format::Json => true,
        // In an inline table the line begins with another key, or with the table's own.
        Format::Toml => !before.trim_start().trim_start_matches(['"', '\'']).starts_with("command"),
        Format::Yaml => text[object.span.start..].starts_with('{'),
    };
    let name = match format {
        Format::Json => "\"args\": ",
        Format::Toml => "args = ",
        Format::Yaml => "args: ",
    };
    if is_inline {
        return Edit { span: program.span.end..program.span.end, text: format!(", {name}[{words}]") };
    }
    let indent: String = before.chars().take_while(|c| matches!(c, ' ' | '\t' | '-')).collect();
    let end = text[program.span.end..].find(['\r', '\n']).map_or(text.len(), |end| program.span.end + end);
    Edit { span: end..end, text: format!("\n{}{name}[{words}]", indent.replace('-', " ")) }
}

/// Takes away all words before the program at `place`.
fn remove(text: &str, launch: &Launch<'_>, program: &str, place: usize, edits: &mut Vec<Edit>) {
    match launch {
        Launch::Together { words } => {
            if let Some(items) = words.items() {
                edits.push(Edit { span: items[0].span.start..items[place].span.start, text: String::new() });
            }
        }
        Launch::Apart { program: ours, arguments, .. } => {
            edits.push(Edit { span: ours.span.clone(), text: quoted(program) });
            let Some(Node { value: Value::Array { items, is_block }, span }) = arguments else { return };
            // The program is the first of the words, and no argument.
            let edit = match (items.get(place), items.last()) {
                (Some(rest), _) => Edit { span: items[0].span.start..rest.span.start, text: String::new() },
                (None, Some(last)) if *is_block => {
                    let dash = text[..items[0].span.start].rfind('-').unwrap_or(items[0].span.start);
                    Edit { span: dash..last.span.end, text: "[]".to_owned() }
                }
                _ => Edit { span: span.clone(), text: "[]".to_owned() },
            };
            edits.push(edit);
        }
    }
}

impl Change {
    /// The new text.
    pub fn apply(&self, text: &str) -> String {
        let mut new = String::with_capacity(text.len() + 256 * self.edits.len());
        let mut at = 0;
        for edit in &self.edits {
            new.push_str(&text[at..edit.span.start]);
            new.push_str(&edit.text);
            at = edit.span.end;
        }
        new.push_str(&text[at..]);
        new
    }

    /// The lines that change: `-` and how they were, `+` and how they will be, with their number in the old text.
    pub fn diff(&self, text: &str) -> Vec<String> {
        let begins = |at: usize| text[..at].rfind('\n').map_or(0, |end| end + 1);
        let ends = |at: usize| text[at..].find('\n').map_or(text.len(), |end| at + end);
        let mut rows = Vec::new();
        let mut edits = self.edits.iter().peekable();
        while let Some(first) = edits.next() {
            let (start, mut end) = (begins(first.span.start), ends(first.span.end));
            let mut group = vec![first];
            while let Some(next) = edits.next_if(|next| next.span.start <= end) {
                end = end.max(ends(next.span.end));
                group.push(next);
            }
            let mut new = String::new();
            let mut at = start;
            for edit in group {
                new.push_str(&text[at..edit.span.start]);
                new.push_str(&edit.text);
                at = edit.span.end;
            }
            new.push_str(&text[at..end]);
            rows.push(format!("@ line {}", text[..start].matches('\n').count() + 1));
            rows.extend(text[start..end].lines().map(|line| format!("-{line}")));
            rows.extend(new.lines().map(|line| format!("+{line}")));
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &[String] = &[];

    fn wrapped(text: &str) -> (String, Change) {
        let change =
            wrap(text, Format::Json, &Wrapping { program: "/bin/haldir-mcp", options: OPTIONS, only: &[] }).unwrap();
        (change.apply(text), change)
    }

    #[test]
    fn a_server_is_wrapped_and_all_else_stays() {
        let text = "{\n  // mine\n  \"mcpServers\": {\n    \"File System\": {\n      \"command\": \"npx\",\n      \"args\": [\n        \"-y\", // yes\n        \"x\"\n      ],\n      \"env\": {\"A\": \"b\"},\n    },\n    \"bare\": {\"command\": \"b\"},\n    \"none\": {\"args\": [], \"command\": \"c\"},\n    \"far\": {\"url\": \"https://x\"},\n    \"done\": {\"command\": \"C:\\\\h\\\\haldir-mcp.exe\"}\n  }\n}\n";
        let (new, change) = wrapped(text);
        let expected = text
            .replace("\"command\": \"npx\"", "\"command\": \"/bin/haldir-mcp\"")
            .replace("\"-y\"", "\"wrap\", \"--name\", \"file-system\", \"--\", \"npx\", \"-y\"")
            .replace(
                "{\"command\": \"b\"}",
                "{\"command\": \"/bin/haldir-mcp\", \"args\": [\"wrap\", \"--name\", \"bare\", \"--\", \"b\"]}",
            )
            .replace(
                "{\"args\": [], \"command\": \"c\"}",
                "{\"args\": [\"wrap\", \"--name\", \"none\", \"--\", \"c\"], \"command\": \"/bin/haldir-mcp\"}",
            );
        assert_eq!(new, expected);
        assert_eq!(change.wrapped, ["File System", "bare", "none"]);
        assert_eq!(change.left.iter().map(|left| left.name.as_str()).collect::<Vec<_>>(), ["far", "done"]);
        let (again, second) = wrapped(&new);
        assert_eq!((again, second.edits.len()), (new, 0), "wrapping twice is wrapping once");
        assert!(change.diff(text).contains(&"-      \"command\": \"npx\",".to_owned()));
    }

    #[test]
    fn lists_of_projects_and_other_names_are_found() {
        let text =
            r#"{"projects": {"/p": {"mcpServers": {"a": {"command": "x"}}}}, "servers": {"b": {"command": "y"}}}"#;
        assert_eq!(wrapped(text).1.wrapped, ["a", "b"]);
        let only = ["a".to_owned()];
        let change = wrap(text, Format::Json, &Wrapping { program: "h", options: OPTIONS, only: &only }).unwrap();
        assert_eq!(change.wrapped, ["a"]);
        let only = ["z".to_owned()];
        assert!(
            wrap(text, Format::Json, &Wrapping { program: "h", options: OPTIONS, only: &only })
                .unwrap_err()
                .contains("`z`")
        );
    }

    /// What is wrapped and unwrapped is what was there, in each client's form and format.
    #[track_caller]
    fn there_and_back(format: Format, text: &str, expected: &str) {
        let wrapping = Wrapping { program: "/bin/haldir-mcp", options: OPTIONS, only: &[] };
        let new = wrap(text, format, &wrapping).unwrap().apply(text);
        assert_eq!(new, expected);
        assert!(wrap(&new, format, &wrapping).unwrap().edits.is_empty(), "wrapping twice is wrapping once");
        let back = unwrap(&new, format, &[]).unwrap().apply(&new);
        let known = |text: &str| format!("{:?}", shape(&format.parse(text).unwrap()));
        assert_eq!(known(&back), known(text), "{back}");
    }

    /// A document without the places of its values.
    fn shape(node: &Node) -> serde_json::Value {
        match &node.value {
            Value::Object(members) => members.iter().map(|(name, node)| (name.clone(), shape(node))).collect(),
            Value::Array { items, .. } => items.iter().map(shape).collect(),
            Value::Text(text) => text.as_str().into(),
            Value::Other => serde_json::Value::Null,
        }
    }

    #[test]
    fn every_form_of_json_is_wrapped_and_unwrapped() {
        for (text, expected) in [
            (
                r#"{"mcp": {"git": {"type": "local", "command": ["npx", "-y", "git"], "enabled": true}}}"#,
                r#"{"mcp": {"git": {"type": "local", "command": ["/bin/haldir-mcp", "wrap", "--name", "git", "--", "npx", "-y", "git"], "enabled": true}}}"#,
            ),
            (
                r#"{"mcp": {"servers": {"git": {"command": "git", "args": ["x"]}}}}"#,
                r#"{"mcp": {"servers": {"git": {"command": "/bin/haldir-mcp", "args": ["wrap", "--name", "git", "--", "git", "x"]}}}}"#,
            ),
            (
                r#"{"mcpServers": {"a": {"transport": {"type": "stdio", "command": "x", "args": []}}}}"#,
                r#"{"mcpServers": {"a": {"transport": {"type": "stdio", "command": "/bin/haldir-mcp", "args": ["wrap", "--name", "a", "--", "x"]}}}}"#,
            ),
            (
                r#"{"context_servers": {"a": {"command": {"path": "x", "args": ["y"]}}}}"#,
                r#"{"context_servers": {"a": {"command": {"path": "/bin/haldir-mcp", "args": ["wrap", "--name", "a", "--", "x", "y"]}}}}"#,
            ),
            (
                r#"{"amp.mcpServers": {"a": {"command": "x", "args": ["--", "y"]}}}"#,
                r#"{"amp.mcpServers": {"a": {"command": "/bin/haldir-mcp", "args": ["wrap", "--name", "a", "--", "x", "--", "y"]}}}"#,
            ),
            (
                r#"{"mcpServers": {"a": {"command": "first", "command": "last", "args": ["y"]}}}"#,
                r#"{"mcpServers": {"a": {"command": "first", "command": "/bin/haldir-mcp", "args": ["wrap", "--name", "a", "--", "last", "y"]}}}"#,
            ),
        ] {
            there_and_back(Format::Json, text, expected);
        }
    }

    #[test]
    fn toml_is_wrapped_and_unwrapped() {
        let text = "model = \"m\" # mine\n\n[mcp_servers.files]\ncommand = 'npx' # yes\nargs = [\n  \"-y\", # quietly\n  \"files\",\n]\n\n[mcp_servers.bare]\ncommand = \"b\" # no arguments\n\n[mcp_servers]\ninline = { command = \"c\" }\nfar = { url = \"https://x\" }\n";
        let expected = text
            .replace("'npx'", "\"/bin/haldir-mcp\"")
            .replace("\"-y\"", "\"wrap\", \"--name\", \"files\", \"--\", \"npx\", \"-y\"")
            .replace(
                "\"b\" # no arguments",
                "\"/bin/haldir-mcp\" # no arguments\nargs = [\"wrap\", \"--name\", \"bare\", \"--\", \"b\"]",
            )
            .replace("\"c\" }", "\"/bin/haldir-mcp\", args = [\"wrap\", \"--name\", \"inline\", \"--\", \"c\"] }");
        let wrapping = Wrapping { program: "/bin/haldir-mcp", options: OPTIONS, only: &[] };
        let new = wrap(text, Format::Toml, &wrapping).unwrap().apply(text);
        assert_eq!(new, expected);
        let back = unwrap(&new, Format::Toml, &[]).unwrap().apply(&new);
        let expected = text
            .replace("'npx'", "\"npx\"")
            .replace("\"b\" # no arguments", "\"b\" # no arguments\nargs = []")
            .replace("\"c\" }", "\"c\", args = [] }");
        assert_eq!(back, expected);
    }

    #[test]
    fn yaml_is_wrapped_and_unwrapped_with_its_comments() {
        let text = "# mine\nmcpServers:\n  - name: files\n    command: npx # yes\n    args:\n      - -y # quietly\n      - files\n  - name: flow\n    command: \"f\"\n    args: [a, 'b']\n  - command: bare\n    name: bare\n  - name: far\n    url: https://x\n";
        let wrapping = Wrapping { program: "/bin/haldir-mcp", options: OPTIONS, only: &[] };
        let new = wrap(text, Format::Yaml, &wrapping).unwrap().apply(text);
        let expected = text
            .replace("command: npx", "command: \"/bin/haldir-mcp\"")
            .replace(
                "- -y",
                "- \"wrap\"\n      - \"--name\"\n      - \"files\"\n      - \"--\"\n      - \"npx\"\n      - -y",
            )
            .replace("\"f\"", "\"/bin/haldir-mcp\"")
            .replace("[a,", "[\"wrap\", \"--name\", \"flow\", \"--\", \"f\", a,")
            .replace(
                "command: bare",
                "command: \"/bin/haldir-mcp\"\n    args: [\"wrap\", \"--name\", \"bare\", \"--\", \"bare\"]",
            );
        assert_eq!(new, expected);
        let back = unwrap(&new, Format::Yaml, &[]).unwrap().apply(&new);
        let expected = text
            .replace("command: npx", "command: \"npx\"")
            .replace("command: bare", "command: \"bare\"\n    args: []");
        assert_eq!(back, expected);
        let goose = "extensions:\n  git:\n    type: stdio\n    cmd: uvx\n    args: []\n    enabled: true\n";
        let new = wrap(goose, Format::Yaml, &wrapping).unwrap().apply(goose);
        assert!(
            new.contains("cmd: \"/bin/haldir-mcp\"\n    args: [\"wrap\", \"--name\", \"git\", \"--\", \"uvx\"]"),
            "{new}"
        );
    }

    #[test]
    fn servers_whose_names_come_out_alike_get_names_of_their_own() {
        let text = r#"{"mcpServers": {"Files": {"command": "x"}, "files": {"command": "y"}, "Файлы": {"command": "z"}, "FILES": {"command": "x"}}}"#;
        let (new, _) = wrapped(text);
        let document: serde_json::Value = serde_json::from_str(&new).unwrap();
        let name = |server: &str| document["mcpServers"][server]["args"][2].as_str().unwrap().to_owned();
        assert_eq!(name("Files"), "files");
        assert!(name("files").starts_with("files-") && name("Файлы").starts_with("server-"), "{new}");
        assert_eq!(name("FILES"), "files", "the same program under two spellings is one upstream");
    }
}
