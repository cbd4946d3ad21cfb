use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::interfaces::cli::clients::document::{Node, Value};

const OPTIONS: &[String] = &[];

fn program() -> [String; 1] {
    ["/bin/haldir-mcp".to_owned()]
}

fn wrapped(text: &str) -> (String, Change) {
    let change = wrap(text, Format::Json, &Wrapping { program: &program(), options: OPTIONS, only: &[] }).unwrap();
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
    assert_eq!(change.skipped.iter().map(|skipped| skipped.name.as_str()).collect::<Vec<_>>(), ["far", "done"]);
    let (again, second) = wrapped(&new);
    assert_eq!((again, second.edits.len()), (new, 0), "wrapping twice is wrapping once");
    assert!(change.diff(text).contains(&"-      \"command\": \"npx\",".to_owned()));
}

#[test]
fn lists_of_projects_and_other_names_are_found() {
    let text = r#"{"projects": {"/p": {"mcpServers": {"a": {"command": "x"}}}}, "servers": {"b": {"command": "y"}}}"#;
    assert_eq!(wrapped(text).1.wrapped, ["a", "b"]);
    let only = ["a".to_owned()];
    let change = wrap(text, Format::Json, &Wrapping { program: &program(), options: OPTIONS, only: &only }).unwrap();
    assert_eq!(change.wrapped, ["a"]);
    let only = ["z".to_owned()];
    assert!(
        wrap(text, Format::Json, &Wrapping { program: &program(), options: OPTIONS, only: &only })
            .unwrap_err()
            .contains("`z`")
    );
}

/// What is wrapped and unwrapped is what was there, in each client's form and format.
#[track_caller]
fn there_and_back(format: Format, text: &str, expected: &str) {
    let wrapping = Wrapping { program: &program(), options: OPTIONS, only: &[] };
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
        Value::Object(members) => members.iter().map(|member| (member.name.clone(), shape(&member.value))).collect(),
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
    let wrapping = Wrapping { program: &program(), options: OPTIONS, only: &[] };
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
    let wrapping = Wrapping { program: &program(), options: OPTIONS, only: &[] };
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
    let expected =
        text.replace("command: npx", "command: \"npx\"").replace("command: bare", "command: \"bare\"\n    args: []");
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

/// What clients' files are made of in each format, so that many texts can nearly be read.
const PIECES: &str = "{¦}¦[¦]¦:¦,¦ ¦\n¦\n  ¦\n    - ¦- ¦\"¦'¦#¦// ¦/* ¦*/¦|\n¦>¦&a ¦*a¦<<: ¦!!str ¦---\n¦=¦ = ¦.¦\r\n¦\t¦\u{feff}¦\
                      \u{85}¦mcpServers¦\"mcpServers\": ¦mcpServers:\n¦[mcp_servers.a]\n¦[[mcp_servers]]\n¦extensions:\n¦\"mcp\": ¦\
                      \"a\": ¦a: ¦  name: b\n¦command¦\"command\": \"x\"¦command: x\n¦command = \"x\"\n¦cmd: ¦\"args\": [\"y\"]¦\
                      args: [y]\n¦args:\n¦args = ['y']\n¦\"transport\": ¦\"path\": ¦é¦\u{1f600}¦\\¦\\ud800¦1e5¦null";

fn formats() -> impl Strategy<Value = Format> {
    select(vec![Format::Json, Format::Toml, Format::Yaml])
}

/// Every value stands within the one that holds it, and begins and ends between characters.
fn check_places(text: &str, node: &Node) {
    assert!(text.get(node.span.clone()).is_some(), "{:?} is no place of {text:?}", node.span);
    node.members()
        .iter()
        .map(|member| &member.value)
        .chain(node.items().unwrap_or_default())
        .for_each(|inner| check_places(text, inner));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_edits_stand_in_it(
        text in prop_oneof![any::<String>(), vec(select(PIECES.split('¦').collect::<Vec<_>>()), 0..30).prop_map(|pieces| pieces.concat())], format in formats(),
    ) {
        if let Ok(node) = format.parse(&text) {
            check_places(&text, &node);
        }
        let wrapping = Wrapping { program: &program(), options: OPTIONS, only: &[] };
        for change in [wrap(&text, format, &wrapping), unwrap(&text, format, &[])].into_iter().flatten() {
            let _ = (change.apply(&text), change.diff(&text));
        }
    }

    #[test]
    fn any_servers_are_wrapped_and_unwrapped(
        servers in vec(("[a-zA-Z0-9 _.é-]{1,8}", any::<String>(), vec(any::<String>(), 0..4)), 1..4), format in formats(), is_pretty: bool,
    ) {
        let list: serde_json::Map<_, _> = servers
            .into_iter()
            .map(|(name, command, args)| (name, serde_json::json!({"command": command, "args": args})))
            .collect();
        let document = serde_json::json!({"mcp_servers": list});
        let text = match format {
            Format::Toml => toml::to_string(&document).unwrap(),
            _ if is_pretty => serde_json::to_string_pretty(&document).unwrap(),
            _ => document.to_string(),
        };
        // YAML reads most JSON, but for some characters.
        let Ok(read) = format.parse(&text) else { return Ok(()) };
        let wrapping = Wrapping { program: &program(), options: OPTIONS, only: &[] };
        let change = wrap(&text, format, &wrapping).unwrap();
        let new = change.apply(&text);
        prop_assert!(wrap(&new, format, &wrapping).unwrap().edits.is_empty(), "wrapped twice: {}", new);
        let back = unwrap(&new, format, &[]).unwrap().apply(&new);
        prop_assert_eq!(shape(&format.parse(&back).unwrap()), shape(&read), "{}", back);
    }
}
