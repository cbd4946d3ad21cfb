//! What is shipped beside the program agrees with the program: the server card, Smithery's file, the examples.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use haldir::{
    call::AnomalyThresholds,
    config::{CeilingOptions, StoreOptions},
    interfaces::{
        backend::Backend,
        mcp::{HaldirMcp, prompts, resources, tools},
        remote::Remote,
    },
    model::Credential,
    operations,
};
use rmcp::{ServerHandler, model::ProtocolVersion};
use serde_json::{Value, json};

/// Set to write what is generated anew instead of checking it.
const UPDATE: &str = "HALDIR_UPDATE";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn json_file(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The card as the code has it: the shape that registries read at `/.well-known/mcp/server-card.json` (SEP-1649),
/// with name, version, description and title as SEP-2127 has them.
fn card() -> Value {
    let remote = Backend::Remote(Remote::new("http://localhost").unwrap());
    let info = HaldirMcp::new(remote, Credential::Anonymous).get_info();
    let versions: Vec<_> = ProtocolVersion::KNOWN_VERSIONS.iter().map(ProtocolVersion::as_str).collect();
    // Of the operations, not of `schemas/tools.json`: both files are then written anew in one run.
    let tools: Vec<_> = tools::of_operations()
        .iter()
        .map(|tool| {
            json!({
                "name": tool.name, "title": tool.title, "description": tool.description,
                "inputSchema": tool.input_schema, "annotations": tool.annotations,
            })
        })
        .collect();
    json!({
        "name": "haldir/haldir",
        "title": "haldir",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "Governs AI agents: sessions with scopes and budgets, a vault, and a tamper-evident audit log.",
        "serverInfo": {"name": info.server_info.name, "title": "haldir", "version": info.server_info.version},
        "protocolVersion": versions.last(),
        "supportedProtocolVersions": versions,
        "transport": {"type": "streamable-http", "endpoint": "/mcp"},
        "transports": [
            {"type": "streamable-http", "endpoint": "/mcp"},
            {"type": "stdio", "command": "haldir-mcp"},
        ],
        "authentication": {"required": true, "schemes": ["bearer"]},
        "capabilities": info.capabilities,
        "instructions": info.instructions,
        "tools": tools,
        "prompts": prompts::all(),
        "resources": resources::all(),
        "resourceTemplates": resources::templates(),
    })
}

#[test]
fn the_committed_server_card_says_what_the_server_is() {
    if std::env::var_os(UPDATE).is_some() {
        // In the order of their names, whatever order serde_json is built to keep.
        let mut sorted = card();
        sorted.sort_all_objects();
        fs::write(path("server-card.json"), serde_json::to_string_pretty(&sorted).unwrap() + "\n").unwrap();
    }
    assert_eq!(
        json_file("server-card.json"),
        card(),
        "server-card.json is stale: {UPDATE}=1 cargo test --test capabilities the_committed"
    );
}

#[test]
fn the_server_card_names_every_tool_and_nothing_else() {
    let card = json_file("server-card.json");
    assert_eq!(card["version"], env!("CARGO_PKG_VERSION"));
    let named: Vec<_> = card["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    let tools: Vec<_> = operations::all().iter().filter(|one| one.tool.is_some()).map(|one| one.name).collect();
    assert_eq!(named, tools);
    assert!(card["description"].as_str().unwrap().len() <= 100, "SEP-2127 allows 100 characters");
}

#[test]
fn smithery_starts_the_program_with_the_settings_that_were_given() {
    let file: Value = serde_saphyr::from_str(&text("smithery.yaml")).unwrap();
    let start = &file["startCommand"];
    assert_eq!(start["type"], "stdio");
    let schema = &start["configSchema"];
    assert!(jsonschema::meta::is_valid(schema));
    assert_eq!(schema["properties"].as_object().unwrap().len(), 2);
    let accepts = |config: Value| jsonschema::is_valid(schema, &config);
    assert!(accepts(json!({})), "both settings are optional");
    assert!(accepts(json!({"apiKey": "hld_x"})));
    assert!(accepts(json!({"apiKey": "hld_x", "baseUrl": "https://haldir.example.com"})));
    assert!(!accepts(json!({"baseUrl": "https://haldir.example.com"})), "a remote haldir needs a key");
    let function = start["commandFunction"].as_str().unwrap();
    for part in ["command: 'haldir-mcp'", "{ HALDIR_API_KEY: config.apiKey }", "{ HALDIR_BASE_URL: config.baseUrl }"] {
        assert!(function.contains(part), "the command function lacks {part}");
    }
    assert!(accepts(start["exampleConfig"].clone()));
    assert!(path(file["build"]["dockerfile"].as_str().unwrap()).exists());
}

#[test]
fn the_container_form_of_smithery_is_valid_when_uncommented() {
    let smithery = text("smithery.yaml");
    let (_, commented) = smithery.split_once("# --- container form ---\n").unwrap();
    let yaml: String = commented.lines().map(|line| line.strip_prefix("# ").unwrap().to_owned() + "\n").collect();
    let file: Value = serde_saphyr::from_str(&yaml).unwrap();
    assert_eq!((&file["runtime"], &file["startCommand"]["type"]), (&json!("container"), &json!("http")));
    let start = &file["startCommand"];
    assert!(jsonschema::is_valid(&start["configSchema"], &start["exampleConfig"]));
    assert!(path(file["build"]["dockerfile"].as_str().unwrap()).exists());
}

#[test]
fn the_dockerfile_sets_only_variables_that_the_program_reads() {
    let dockerfile = text("Dockerfile");
    for (name, value) in [("HALDIR_DB", "/data/haldir.db"), ("PORT", "8000")] {
        assert!(dockerfile.contains(&format!("ENV {name}={value}\n")), "{name} is not set");
    }
    assert!(dockerfile.contains("\nUSER 10001:10001\n"), "the server runs as root");
    assert!(dockerfile.contains("VOLUME /data"));
}

#[test]
fn every_client_config_starts_the_program() {
    let file = |name: &str| json_file(&format!("examples/{name}"));
    for (config, servers) in [
        (file("claude_desktop_config.json"), "mcpServers"),
        (file("cursor-mcp.json"), "mcpServers"),
        (file("vscode-mcp.json"), "servers"),
        (file("claude-code.mcp.json"), "mcpServers"),
        (file("windsurf-mcp_config.json"), "mcpServers"),
    ] {
        let server = &config[servers]["haldir"];
        assert_eq!(server["command"], "haldir-mcp");
        for name in server["env"].as_object().into_iter().flatten().map(|(name, _)| name) {
            assert!(
                text("docs/settings.md").contains(&format!("`{name}`")),
                "docs/settings.md does not explain {name}"
            );
        }
    }
}

#[test]
fn the_config_file_example_has_every_threshold_at_its_default() {
    let options = StoreOptions { db: None, config: Some(path("examples/haldir.toml")), ..StoreOptions::default() };
    assert_eq!(options.settings(&CeilingOptions::default()).unwrap().anomalies, AnomalyThresholds::default());
    let file: toml::Table = text("examples/haldir.toml").parse().unwrap();
    let named: BTreeSet<_> = file["anomalies"].as_table().unwrap().keys().cloned().collect();
    // The fields, as `Debug` writes them: one to a line, indented once.
    let fields = format!("{:#?}", AnomalyThresholds::default());
    let fields = fields.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(": "));
    let fields: BTreeSet<_> = fields.map(|(name, _)| name.to_owned()).filter(|name| !name.starts_with(' ')).collect();
    assert_eq!(named, fields);
}
