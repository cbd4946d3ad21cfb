//! Which places of a client's file change, and how.

use std::ops::Range;

use serde::Serialize;

use super::jsonc::{self, Node, Value};

/// Under which names clients list their servers.
const LISTS: [&str; 2] = ["mcpServers", "servers"];
/// Levels below which such a list is looked for: some clients have one for each project.
const MAX_DEPTH: usize = 4;

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
    /// Servers that are wrapped.
    pub wrapped: Vec<String>,
    /// Servers that are not.
    pub left: Vec<Left>,
}

/// How to wrap the servers of a client's file.
pub fn wrap(text: &str, wrapping: &Wrapping<'_>) -> Result<Change, String> {
    let document = jsonc::parse(text)?;
    let mut change = Change::default();
    find(&document, wrapping, &mut change, 0);
    change.edits.sort_by_key(|edit| edit.span.start);
    let unknown = wrapping
        .only
        .iter()
        .find(|name| !change.wrapped.contains(name) && !change.left.iter().any(|left| left.name == **name));
    match unknown {
        Some(name) => Err(format!("there is no server `{name}`")),
        None => Ok(change),
    }
}

fn find(node: &Node, wrapping: &Wrapping<'_>, change: &mut Change, depth: usize) {
    for (name, value) in node.members() {
        if LISTS.contains(&name.as_str()) {
            for (server, settings) in value.members() {
                if wrapping.only.is_empty() || wrapping.only.contains(server) {
                    one(server, settings, wrapping, change);
                }
            }
        } else if depth < MAX_DEPTH {
            find(value, wrapping, change, depth + 1);
        }
    }
}

fn one(server: &str, settings: &Node, wrapping: &Wrapping<'_>, change: &mut Change) {
    let mut leave = |why| change.left.push(Left { name: server.to_owned(), why });
    let Some(command) = settings.get("command") else {
        return leave("it is no program: register its address with haldir, and use /mcp/NAME of haldir instead");
    };
    let Some(program) = command.text() else { return leave("its command is no text") };
    if is_ours(program) {
        return leave("it is haldir");
    }
    let mut words = vec!["wrap".to_owned(), "--name".to_owned(), upstream_name(server)];
    words.extend(wrapping.options.iter().cloned());
    words.extend(["--".to_owned(), program.to_owned()]);
    let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
    let words = words.join(", ");
    let arguments = match settings.get("args") {
        Some(Node { value: Value::Array(items), span }) => {
            let separator = if items.is_empty() { "" } else { ", " };
            // Before the first argument, whatever stands between it and the bracket.
            let at = items.first().map_or(span.start + 1, |first| first.span.start);
            Edit { span: at..at, text: format!("{words}{separator}") }
        }
        Some(_) => return leave("its args are no list"),
        None => Edit { span: command.span.end..command.span.end, text: format!(", \"args\": [{words}]") },
    };
    change.edits.push(Edit { span: command.span.clone(), text: quoted(wrapping.program) });
    change.edits.push(arguments);
    change.wrapped.push(server.to_owned());
}

fn is_ours(program: &str) -> bool {
    let file = program.rsplit(['/', '\\']).next().unwrap_or(program);
    file.strip_suffix(".exe").unwrap_or(file) == "haldir-mcp"
}

/// The server's name as upstreams may be called.
fn upstream_name(server: &str) -> String {
    let plain =
        |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c.to_ascii_lowercase() } else { '-' };
    let name: String = server.chars().map(plain).take(64).collect();
    let name = name.trim_matches(['-', '_']);
    if name.is_empty() { "server".to_owned() } else { name.to_owned() }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
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
        let change = wrap(text, &Wrapping { program: "/bin/haldir-mcp", options: OPTIONS, only: &[] }).unwrap();
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
        let change = wrap(text, &Wrapping { program: "h", options: OPTIONS, only: &only }).unwrap();
        assert_eq!(change.wrapped, ["a"]);
        let only = ["z".to_owned()];
        assert!(wrap(text, &Wrapping { program: "h", options: OPTIONS, only: &only }).unwrap_err().contains("`z`"));
    }
}
