use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::interfaces::cli::clients::place::Client;

fn entry(client: &str) -> Entry {
    Entry::new(Client::named(client).unwrap(), "haldir", &["/bin/haldir-mcp".to_owned(), "--db=x".to_owned()])
}

/// The text with the entry; taken out again, the text is what it was.
#[track_caller]
fn there_and_back(client: &str, format: Format, old: &str, expected: &str) {
    let mut entry = entry(client);
    if let Ok(document) = format.parse(old) {
        entry.list = entry::list_path(&document, entry.list);
    }
    let new = applied(old, &insert(old, format, &entry).unwrap());
    assert_eq!(new, expected);
    let back = applied(&new, &remove(&new, format, entry.list, "haldir").unwrap());
    assert_eq!(back, old);
}

const MEMBERS: &str = "\"command\": \"/bin/haldir-mcp\",·\"args\": [\"--db=x\"]";

#[test]
fn json_keeps_its_layout_and_its_comments() {
    let inner = MEMBERS.replace('·', "\n      ");
    let pretty = format!("\"haldir\": {{\n      {inner}\n    }}");
    for (old, expected) in [
        (
            "{\n  // mine\n  \"mcpServers\": {\n    \"a\": {\"command\": \"x\"} // the first\n    // the end\n  }\n}\n",
            format!(
                "{{\n  // mine\n  \"mcpServers\": {{\n    \"a\": {{\"command\": \"x\"}}, // the first\n    {pretty}\n    // the end\n  }}\n}}\n"
            ),
        ),
        (
            "{\n  \"mcpServers\": {\n    \"a\": {\"command\": \"x\"}, // the first\n  },\n}",
            format!(
                "{{\n  \"mcpServers\": {{\n    \"a\": {{\"command\": \"x\"}}, // the first\n    {pretty},\n  }},\n}}"
            ),
        ),
        (
            "{\n  \"theme\": \"dark\" /* at night */\n}\n",
            format!("{{\n  \"theme\": \"dark\", /* at night */\n  \"mcpServers\": {{\n    {pretty}\n  }}\n}}\n"),
        ),
        (
            "{\n  \"mcpServers\": {\n    // none yet\n  }\n}\n",
            format!("{{\n  \"mcpServers\": {{\n    // none yet\n    {pretty}\n  }}\n}}\n"),
        ),
        (
            "{ \"mcpServers\": {\"a\": {\"command\": \"x\"}}, \"b\": 1.10 }",
            "{ \"mcpServers\": {\"a\": {\"command\": \"x\"}, \"haldir\": { \"command\": \"/bin/haldir-mcp\", \"args\": [\"--db=x\"] }}, \"b\": 1.10 }".to_owned(),
        ),
        ("{}", format!("{{\n  \"mcpServers\": {{\n    {pretty}\n  }}\n}}")),
        (
            "{\r\n  \"a\": 1\r\n}\r\n",
            format!("{{\n  \"a\": 1,\n  \"mcpServers\": {{\n    {pretty}\n  }}\n}}\n").replace('\n', "\r\n"),
        ),
        (
            "{\n\t\"mcpServers\": {\n\t\t\"a\": {}\n\t}\n}",
            format!("{{\n\t\"mcpServers\": {{\n\t\t\"a\": {{}},\n\t\t{}\n\t}}\n}}", pretty.replace("      ", "\t\t\t").replace("    }", "\t\t}")),
        ),
    ] {
        there_and_back("cursor", Format::Json, old, &expected);
    }
}

#[test]
fn each_client_has_its_own_list_and_form() {
    let one_line = |client: &str, old: &str, expected: &str| there_and_back(client, Format::Json, old, expected);
    one_line(
        "vscode",
        r#"{"servers": {"a": 1}}"#,
        r#"{"servers": {"a": 1, "haldir": { "type": "stdio", "command": "/bin/haldir-mcp", "args": ["--db=x"] }}}"#,
    );
    one_line(
        "opencode",
        r#"{"mcp": {"a": {"type": "local"}}}"#,
        r#"{"mcp": {"a": {"type": "local"}, "haldir": { "type": "local", "command": ["/bin/haldir-mcp", "--db=x"], "enabled": true }}}"#,
    );
    one_line(
        "opencode",
        r#"{"mcp": {"servers": {"a": {"type": "local"}}}}"#,
        r#"{"mcp": {"servers": {"a": {"type": "local"}, "haldir": { "type": "local", "command": ["/bin/haldir-mcp", "--db=x"], "enabled": true }}}}"#,
    );
    one_line(
        "cline",
        r#"{"mcpServers": {"a": 1}}"#,
        r#"{"mcpServers": {"a": 1, "haldir": { "transport": { "type": "stdio", "command": "/bin/haldir-mcp", "args": ["--db=x"] } }}}"#,
    );
    one_line(
        "copilot",
        r#"{"mcpServers": {"a": 1}}"#,
        r#"{"mcpServers": {"a": 1, "haldir": { "type": "local", "command": "/bin/haldir-mcp", "args": ["--db=x"], "tools": ["*"] }}}"#,
    );
    one_line(
        "amp",
        r#"{"amp.mcpServers": {"a": 1}}"#,
        r#"{"amp.mcpServers": {"a": 1, "haldir": { "command": "/bin/haldir-mcp", "args": ["--db=x"] }}}"#,
    );
}

#[test]
fn toml_gets_a_table_of_its_own() {
    let table = "[mcp_servers.haldir]\ncommand = \"/bin/haldir-mcp\"\nargs = [\"--db=x\"]\n";
    for old in [
        "model = \"m\" # mine\n",
        "# mine\n\n[mcp_servers.a]\ncommand = 'x'\n[mcp_servers.a.env]\nA = \"[b]\"\n",
        "text = \"\"\"\n[mcp_servers.haldir]\n\"\"\"\n[mcp_servers]\na = { command = \"x\" } # inline\n",
    ] {
        there_and_back("codex", Format::Toml, old, &format!("{old}\n{table}"));
    }
    // In the middle, with a table of its own below and comments behind it.
    let middle = "a = 1\n\n[mcp_servers.haldir]\ncommand = \"haldir-mcp\" # mine\n[mcp_servers.haldir.env]\nX = \"y\"\n\n# next\n[b]\n";
    let gone = applied(middle, &remove(middle, Format::Toml, &["mcp_servers"], "haldir").unwrap());
    assert_eq!(gone, "a = 1\n\n# next\n[b]\n");
    let inline = "mcp_servers = { a = { command = \"x\" } }\n";
    assert!(insert(inline, Format::Toml, &entry("codex")).unwrap_err().contains("by hand"));
}

#[test]
fn yaml_gets_an_item_or_a_member_in_the_layout_of_the_others() {
    let item = |indent: &str| {
        format!("{indent}- name: \"haldir\"\n{indent}  command: \"/bin/haldir-mcp\"\n{indent}  args: [\"--db=x\"]\n")
    };
    for (old, expected) in [
        ("name: mine # yes\n", format!("name: mine # yes\nmcpServers:\n{}", item("  "))),
        (
            "mcpServers:\n- name: a\n  command: x # first\n  args:\n    - y\n# the end\nother: 1\n",
            format!(
                "mcpServers:\n- name: a\n  command: x # first\n  args:\n    - y\n{}# the end\nother: 1\n",
                item("")
            ),
        ),
        (
            "mcpServers:\n    - name: a\n      command: |\n        x\n\n",
            format!("mcpServers:\n    - name: a\n      command: |\n        x\n{}\n", item("    ")),
        ),
    ] {
        there_and_back("continue", Format::Yaml, old, &expected);
    }
    let member = "    enabled: true\n    type: \"stdio\"\n    name: \"haldir\"\n    description: \"Governance for agents\"\n    cmd: \"/bin/haldir-mcp\"\n    args: [\"--db=x\"]\n    timeout: 300\n";
    for old in [
        "GOOSE_MODEL: m\nextensions:\n  developer:\n    enabled: true # mine\n    args: []\n",
        "extensions:\n  developer:\n    enabled: true\n    envs: {}\n",
    ] {
        there_and_back("goose", Format::Yaml, old, &format!("{old}  haldir:\n{member}"));
    }
    for empty in ["extensions: {}\nlast: 1\n", "extensions:\nlast: 1\n", "extensions: # none\nlast: 1\n"] {
        let new = applied(empty, &insert(empty, Format::Yaml, &entry("goose")).unwrap());
        assert!(new.contains(&format!("\n  haldir:\n{member}last: 1\n")), "{new}");
    }
}

#[test]
fn a_new_file_has_the_entry_only() {
    for client in crate::interfaces::cli::clients::place::CLIENTS {
        let format = match client.name {
            "codex" | "grok" => Format::Toml,
            "continue" | "goose" => Format::Yaml,
            _ => Format::Json,
        };
        let entry = entry(client.name);
        let text = new_file(format, client.preamble, &entry);
        let document = format.parse(&text).unwrap();
        let found = entry::find(&document, entry.list, "haldir").unwrap();
        assert_eq!(entry::words(found), ["/bin/haldir-mcp", "--db=x"], "{text}");
    }
}

#[test]
fn what_cannot_be_added_to_is_refused() {
    for text in ["[]", "{\"mcpServers\": []}", "{\"mcpServers\": null}", "1"] {
        assert!(insert(text, Format::Json, &entry("cursor")).unwrap_err().contains("not a JSON object"), "{text}");
    }
    assert!(insert("- a\n", Format::Yaml, &entry("goose")).is_err());
    assert!(insert("extensions: 5\n", Format::Yaml, &entry("goose")).is_err());
}

/// What clients' files are made of in each format, so that many texts can nearly be read.
const PIECES: &str = "{¦}¦[¦]¦:¦,¦ ¦\n¦\n  ¦- ¦\"¦#¦// x\n¦/* y */¦|\n¦=¦\r\n¦\t¦\u{feff}¦mcpServers¦\"mcpServers\": ¦\"mcpServers\": {¦\
                      mcpServers:\n¦[mcp_servers.a]\n¦[mcp_servers.haldir]\n¦extensions:\n¦\"mcp\": {¦\"a\": 1¦a: 1\n¦a = 1\n¦\"haldir\": {}¦\
                      haldir: {}\n¦- name: haldir\n¦  haldir:\n¦\"command\": \"x\"¦command: x\n¦é";

#[test]
fn a_list_that_ends_before_a_text_at_the_margin_is_refused() {
    // Found by the property below: the entry could be added, and not be cut out.
    assert!(insert(" extensions:\n// x\n", Format::Yaml, &entry("goose")).is_err());
}

proptest! {
    #[test]
    fn any_text_is_changed_in_the_entry_alone_or_refused(
        pieces in vec(select(PIECES.split('¦').collect::<Vec<_>>()), 0..20),
        (client, format) in select(vec![
            ("cursor", Format::Json), ("opencode", Format::Json), ("codex", Format::Toml), ("continue", Format::Yaml), ("goose", Format::Yaml),
        ]),
    ) {
        let text = pieces.concat();
        let entry = entry(client);
        // The functions check their own results; here they must neither panic nor cut characters.
        if let Ok(edits) = insert(&text, format, &entry) {
            let new = applied(&text, &edits);
            prop_assert!(remove(&new, format, entry.list, "haldir").is_ok(), "{new}");
        }
        let _ = remove(&text, format, entry.list, "haldir").map(|edits| applied(&text, &edits));
    }

    #[test]
    fn any_json_with_a_server_is_given_back_exactly(
        names in vec("[a-z]{1,6}", 1..5), values in vec(any::<String>(), 5), is_pretty: bool, has_list: bool,
    ) {
        let mut document: serde_json::Map<_, _> =
            names.iter().zip(&values).map(|(name, value)| (name.clone(), serde_json::json!({"x": value}))).collect();
        if has_list {
            document.insert("mcpServers".to_owned(), serde_json::json!({"other": {"command": values[0]}}));
        }
        let text = if is_pretty { serde_json::to_string_pretty(&document).unwrap() } else { serde_json::to_string(&document).unwrap() };
        let entry = entry("cursor");
        let new = applied(&text, &insert(&text, Format::Json, &entry).unwrap());
        let read: serde_json::Value = serde_json::from_str(&new).unwrap();
        prop_assert_eq!(&read["mcpServers"]["haldir"]["command"], "/bin/haldir-mcp");
        let back = applied(&new, &remove(&new, Format::Json, entry.list, "haldir").unwrap());
        prop_assert_eq!(back, text);
    }
}
