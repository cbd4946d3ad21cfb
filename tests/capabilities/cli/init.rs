//! `haldir init`: the folder works as it stands.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::json;

use super::Terminal;
use crate::support::{Server, on_postgres};

#[test]
fn a_server_starts_with_the_written_settings_and_its_first_key_is_made_with_the_written_token() {
    let terminal = Terminal::new();
    let folder = terminal.folder.path().join("server");
    let path = folder.to_str().unwrap();
    let written = terminal.done(&["init", path, "--public-url", "https://haldir.example.com", "--json"]).json();
    let mut names: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    let expected = [
        ".gitignore", "Caddyfile", "START.md", "compose.yaml", "haldir.env", "haldir.service", "haldir.toml",
        "nginx.conf",
    ];
    assert_eq!(names, expected);
    assert_eq!(written["files"].as_array().map(Vec::len), Some(expected.len()));
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    for name in expected {
        let marks = ["FOLDER", "HOST", "NAME", "PROGRAM", "BIN", "PUBLIC_URL", "TOKEN"].map(|word| format!("@{word}@"));
        assert!(!marks.iter().any(|mark| read(name).contains(mark)), "{name}: {}", read(name));
        let mode = fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if name == "haldir.env" { 0o600 } else { 0o644 }, "{name}");
    }
    // The environment and the config file are those of a server that starts.
    let environment = read("haldir.env");
    let variables: Vec<_> =
        environment.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('=')).collect();
    let token = variables.iter().find(|(name, _)| *name == "HALDIR_BOOTSTRAP_TOKEN").unwrap().1;
    assert!(token.len() >= 32, "{token}");
    let mut command = terminal.server(&["serve", "--listen", "127.0.0.1:0"]);
    on_postgres::set_store(command.envs(variables.iter().copied()), &terminal.store());
    command.env("HALDIR_CONFIG", folder.join("haldir.toml"));
    let server = Server::start(command);
    let without = json!({"name": "operator"});
    server.anonymous().post("/v1/keys", &without).refused(401, "unauthorized");
    let made = server.anonymous().post("/v1/keys", &json!({"name": "operator", "bootstrap_token": token})).ok();
    assert_eq!(made["role"], "operator", "{made}");

    // What event streams need.
    for (name, needs) in [
        ("nginx.conf", &["proxy_buffering off", "proxy_read_timeout 24h", "server_name haldir.example.com;"][..]),
        ("Caddyfile", &["flush_interval -1", "read_timeout 24h", "haldir.example.com {"]),
        ("haldir.service", &["ExecStart=/", &format!("EnvironmentFile={path}/haldir.env"), "DynamicUser=yes"]),
        ("compose.yaml", &["env_file: haldir.env", "127.0.0.1:8000:8000", "[CMD, haldir-mcp, health]"]),
    ] {
        assert!(needs.iter().all(|part| read(name).contains(part)), "{name}: {}", read(name));
    }

    // What is there stays as it is.
    let before = read("haldir.env");
    let again = terminal.refused(&["init", path], 1);
    assert!(again.stderr.contains("not empty") && read("haldir.env") == before, "{again:?}");
    let empty = terminal.folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert!(terminal.done(&["init", empty.to_str().unwrap()]).stderr.contains("START.md"));
    assert!(fs::read_to_string(empty.join("Caddyfile")).unwrap().contains("\nlocalhost {"));
    let strange = terminal.folder.path().join("two words");
    assert!(terminal.refused(&["init", strange.to_str().unwrap()], 2).stderr.contains("blanks"));
    assert!(!strange.exists());
    terminal.refused(&["init", strange.to_str().unwrap(), "--public-url", "haldir.example.com"], 2);
}
