//! The configurations of clients in `examples/`: each in its client's own form, and each starts a server that lists
//! tools.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::support::{
    House, json,
    program::{Lines, upstream_program},
};

/// A client's file, where its documentation has the servers, and whether a server has to name its transport.
struct Form {
    file: &'static str,
    servers: &'static str,
    names_transport: bool,
}

const FORMS: [Form; 5] = [
    Form { file: "claude_desktop_config.json", servers: "mcpServers", names_transport: false },
    Form { file: "claude-code.mcp.json", servers: "mcpServers", names_transport: true },
    Form { file: "cursor-mcp.json", servers: "mcpServers", names_transport: false },
    Form { file: "vscode-mcp.json", servers: "servers", names_transport: true },
    Form { file: "windsurf-mcp_config.json", servers: "mcpServers", names_transport: false },
];

fn examples() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// The one server of a client's file, by its name.
fn server(folder: &str, form: &Form) -> (String, Value) {
    let path = examples().join(folder).join(form.file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let config: Value = serde_json::from_str(&text).unwrap();
    let members = config.as_object().unwrap();
    assert_eq!(members.keys().collect::<Vec<_>>(), [form.servers], "{}", path.display());
    let servers = members[form.servers].as_object().unwrap();
    assert_eq!(servers.len(), 1, "{}", path.display());
    let (name, server) = servers.iter().next().unwrap();
    let known = ["type", "command", "args", "env"];
    assert!(server.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())), "{server}");
    assert_eq!(server["type"] == "stdio", form.names_transport, "{}", path.display());
    assert_eq!(server["command"], "haldir-mcp", "{}", path.display());
    (name.clone(), server.clone())
}

/// The names of the tools of a server that is started as a client would start it, but for what is on the network: in its
/// place stands ours.
fn tools(server: &Value) -> Vec<String> {
    let house = House::new();
    let mut command = house.program();
    for (name, value) in server["env"].as_object().into_iter().flatten() {
        command.env(name, value.as_str().unwrap());
    }
    let arguments = server["args"].as_array().cloned().unwrap_or_default();
    for argument in arguments.iter().map(|argument| argument.as_str().unwrap()) {
        command.arg(argument);
        if argument == "--" {
            command.arg(upstream_program()).arg("--stdio");
            break;
        }
    }
    let mut client = Lines::begun(command);
    let listed: Value = serde_json::from_str(client.ask("tools/list", &json!({})).last().unwrap()).unwrap();
    let tools = listed["result"]["tools"].as_array().unwrap_or_else(|| panic!("{listed}"));
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_clients_config_starts_haldir_and_lists_its_tools() {
    for form in &FORMS {
        let (name, server) = server("", form);
        assert_eq!(name, "haldir", "{}", form.file);
        let tools = tools(&server);
        assert!(tools.len() == 10 && tools.iter().any(|tool| tool == "createSession"), "{}: {tools:?}", form.file);
    }
}

#[test]
fn every_clients_config_wraps_a_server_and_lists_its_tools() {
    for form in &FORMS {
        let (name, server) = server("wrapped", form);
        let arguments: Vec<_> = server["args"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        assert_eq!(arguments[..3], ["wrap", "--name", name.as_str()], "{}", form.file);
        let tools = tools(&server);
        assert!(tools.iter().any(|tool| tool == "delete"), "{}: {tools:?}", form.file);
        assert!(!tools.iter().any(|tool| tool == "createSession"), "{}: {tools:?}", form.file);
    }
}
