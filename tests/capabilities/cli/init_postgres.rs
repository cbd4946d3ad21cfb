//! `haldir init --postgres`: the files agree with the program, with the image, and with each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use haldir::interfaces::http::{dashboard::COOKIE, listener::DRAIN_TIMEOUT};
use serde_json::{Value, json};

use super::Terminal;
use crate::support::{Server, health};

const FILES: [&str; 9] = [
    ".env", ".gitignore", "Caddyfile", "START.md", "compose.yaml", "database.sql", "haldir.toml", "haproxy.cfg",
    "nginx.conf",
];

/// A folder that the command has written.
struct Written {
    terminal: Terminal,
    folder: PathBuf,
    /// What `.env` sets.
    variables: BTreeMap<String, String>,
    /// `compose.yaml`, with these variables.
    services: Value,
}

impl Written {
    fn new() -> Self {
        let terminal = Terminal::new();
        let folder = terminal.folder.path().join("two words");
        let arguments = ["init", folder.to_str().unwrap(), "--postgres", "--public-url", "https://haldir.example.com"];
        assert!(terminal.done(&arguments).stderr.contains("START.md says how to start"));
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let environment = read(".env");
        let set = environment.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
        let variables = set.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let compose: Value = serde_saphyr::from_str(&interpolated(&read("compose.yaml"), &variables)).unwrap();
        Self { services: compose["services"].clone(), terminal, folder, variables }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap()
    }

    fn secrets(&self) -> BTreeSet<&str> {
        let secrets = self.variables.iter().filter(|(name, _)| *name != "HALDIR_PUBLIC_URL");
        secrets.map(|(_, value)| value.as_str()).collect()
    }

    /// What compose sets for a server.
    fn environment(&self) -> BTreeMap<String, String> {
        let set = self.services["haldir"]["environment"].as_object().unwrap().iter();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        set.map(|(name, value)| (name.clone(), text(value))).collect()
    }
}

/// Fills in what compose does: `${NAME:?message}` and `${NAME:-default}`.
fn interpolated(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut parts = text.split("${");
    let mut filled = parts.next().unwrap().to_owned();
    for part in parts {
        let (variable, rest) = part.split_once('}').unwrap();
        let (name, otherwise) = variable.split_once(':').unwrap();
        let default = otherwise.strip_prefix('-');
        let value = variables.get(name).map(String::as_str).or(default);
        filled.extend([value.unwrap_or_else(|| panic!(".env lacks {name}")), rest]);
    }
    filled
}

fn source(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn after<'t>(text: &'t str, mark: &str) -> &'t str {
    text.split_once(mark).unwrap().1.split_whitespace().next().unwrap()
}

#[test]
fn its_secrets_are_new_and_in_one_file_that_only_its_owner_reads() {
    let (written, other) = (Written::new(), Written::new());
    assert_eq!((written.secrets().len(), written.variables.len()), (4, 5));
    assert!(written.secrets().is_disjoint(&other.secrets()));
    let mut names: Vec<_> = fs::read_dir(&written.folder).unwrap().map(|file| file.unwrap().file_name()).collect();
    names.sort_unstable();
    assert_eq!(names, FILES);
    for name in FILES {
        let (text, is_private) = (written.read(name), name == ".env");
        let holds = |secret: &&str| secret.len() >= 32 && text.contains(secret);
        assert_eq!(written.secrets().iter().filter(|secret| holds(secret)).count(), if is_private { 4 } else { 0 });
        let marks = ["HOST", "NAME", "PUBLIC_URL", "TOKEN", "KEY", "ADMINISTRATOR", "PASSWORD"];
        assert!(!marks.iter().any(|mark| text.contains(&format!("@{mark}@"))), "{name}: {text}");
        let mode = fs::metadata(written.folder.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if is_private { 0o600 } else { 0o644 }, "{name}");
    }
    assert_eq!(written.read(".gitignore"), ".env\n");
    // Only the servers have the key, and only the database has the password of its administrator.
    let has = |service: &str, name: &str| written.services[service].to_string().contains(&written.variables[name]);
    for (name, holder, other) in [
        ("HALDIR_ENCRYPTION_KEY", "haldir", "postgres"),
        ("HALDIR_BOOTSTRAP_TOKEN", "haldir", "postgres"),
        ("POSTGRES_PASSWORD", "postgres", "haldir"),
    ] {
        assert!(has(holder, name) && !has(other, name), "{name}");
    }
}

#[test]
fn its_containers_have_no_rights_and_are_reached_from_this_machine_alone() {
    let written = Written::new();
    let services = written.services.as_object().unwrap();
    assert_eq!(services.keys().collect::<Vec<_>>(), ["postgres", "haldir", "proxy"]);
    for (name, service) in services {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], json!(["ALL"]), "{name}");
        assert_eq!(service["security_opt"], json!(["no-new-privileges:true"]), "{name}");
        assert_eq!(service["healthcheck"]["test"][0], "CMD", "{name}");
        let mut ports = service["ports"].as_array().into_iter().flatten();
        assert!(ports.all(|port| port.as_str().unwrap().starts_with("127.0.0.1:")), "{name}");
    }
    for (service, needs) in [("haldir", "postgres"), ("proxy", "haldir")] {
        assert_eq!(services[service]["depends_on"][needs]["condition"], "service_healthy");
    }
    // The root is read-only: the folder of the image that is written to is mounted, for the user of the image.
    assert_eq!(services["haldir"]["tmpfs"], json!(["/tmp", "/data:uid=10001,mode=0700"]));
    assert!(source("Dockerfile").contains("\nUSER 10001:10001\n"));
    let grace = services["haldir"]["stop_grace_period"].as_str().and_then(|text| text.strip_suffix('s')).unwrap();
    assert!(grace.parse::<u64>().unwrap() > DRAIN_TIMEOUT.as_secs());
}

#[test]
fn every_server_that_its_proxy_knows_has_its_connections_to_the_database() {
    let written = Written::new();
    let proxy = written.read("haproxy.cfg");
    let servers: u64 = after(&proxy, "server-template haldir 1-").parse().unwrap();
    assert!(written.read("START.md").contains(&format!("at most {servers}:")));
    let each: u64 = written.environment()["HALDIR_PG_POOL_MAX"].parse().unwrap();
    let most: u64 = after(&written.read("compose.yaml"), "max_connections=").trim_end_matches(']').parse().unwrap();
    // One more of each server writes, and Postgres reserves three.
    assert!(servers * (each + 1) + 3 <= most);
    for part in [COOKIE, "Mcp-Session-Id", "uri /readyz ", "server-template haldir 1-8 haldir:8000"] {
        assert!(proxy.contains(part), "{part}");
    }
    assert!(source("Dockerfile").contains("\nEXPOSE 8000\n"));
}

#[test]
fn its_environment_starts_a_server_and_its_check_fails_once_that_has_ended() {
    let written = Written::new();
    let (environment, settings) = (written.environment(), source("docs/settings.md"));
    for name in environment.keys() {
        assert!(settings.contains(&format!("| `{name}` |")), "docs/settings.md does not explain {name}");
    }
    let password = &written.variables["HALDIR_DATABASE_PASSWORD"];
    assert_eq!(environment["HALDIR_DB"], format!("postgres://haldir:{password}@postgres/haldir?sslmode=disable"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_haldir-mcp"));
    command.arg("serve").env_clear().envs(&environment);
    command.env("HALDIR_DB", written.terminal.store()).env("HALDIR_CONFIG", written.folder.join("haldir.toml"));
    command.env("HALDIR_LISTEN", "127.0.0.1:0");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let server = Server::start(command);
    let key = json!({"name": "operator", "bootstrap_token": written.variables["HALDIR_BOOTSTRAP_TOKEN"]});
    assert_eq!(server.anonymous().post("/v1/keys", &key).ok()["role"], "operator");
    assert_eq!(written.services["haldir"]["healthcheck"]["test"], json!(["CMD", "haldir-mcp", "health"]));
    let here = server.address.to_string();
    assert_eq!(health(&[], &[("HALDIR_LISTEN", &here)]).0, 0);
    drop(server);
    assert_eq!(health(&[], &[("HALDIR_LISTEN", &here)]).0, 1);
}

#[test]
fn a_folder_that_is_not_empty_stays_as_it_is() {
    let written = Written::new();
    let before = FILES.map(|name| written.read(name));
    let path = written.folder.to_str().unwrap();
    let refused = written.terminal.refused(&["init", path, "--postgres"], 1);
    assert!(refused.stderr.contains("not empty: name a new folder"), "{refused:?}");
    assert_eq!(FILES.map(|name| written.read(name)), before);
    let own = written.terminal.folder.path().join("own");
    fs::create_dir(&own).unwrap();
    fs::write(own.join(".env"), "A=1\n").unwrap();
    written.terminal.refused(&["init", own.to_str().unwrap(), "--postgres"], 1);
    assert_eq!(fs::read_dir(&own).unwrap().count(), 1);
}
