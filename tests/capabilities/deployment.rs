//! `deploy/kubernetes/haldir.yaml` agrees with the program and with the image.

use std::{collections::BTreeMap, fs, path::Path};

use haldir::interfaces::{http::listener::DRAIN_TIMEOUT, server};
use serde_json::{Value, json};

use crate::support::House;

/// Connections that Postgres leaves to users: `max_connections` less `superuser_reserved_connections`, at their defaults.
const USERS_CONNECTIONS: u64 = 100 - 3;
/// What the end of a server takes after calls in flight have ended, at most, while the database can be reached: upstreams are told
/// (5 s), an attempt to write ends (5 s), spans are sent (2 s).
const CLOSING_SECONDS: u64 = 12;

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The objects of the manifest, by their kinds.
fn objects() -> BTreeMap<String, Value> {
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text("deploy/kubernetes/haldir.yaml")).unwrap();
    objects.into_iter().map(|object| (object["kind"].as_str().unwrap().to_owned(), object)).collect()
}

fn container(objects: &BTreeMap<String, Value>) -> &Value {
    &objects["Deployment"]["spec"]["template"]["spec"]["containers"][0]
}

fn environment(container: &Value) -> BTreeMap<&str, &Value> {
    let variables = container["env"].as_array().unwrap();
    variables.iter().map(|variable| (variable["name"].as_str().unwrap(), variable)).collect()
}

fn number(value: &Value) -> u64 {
    let text = value.as_str().and_then(|text| text.parse().ok());
    value.as_u64().or(text).unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn the_manifest_sets_what_the_program_reads_and_holds_no_secret() {
    let objects = objects();
    assert!(!objects.contains_key("Secret"), "secrets are made by the operator");
    let (container, settings) = (container(&objects), text("docs/settings.md"));
    for (name, variable) in environment(container) {
        assert!(settings.contains(&format!("| `{name}` |")), "docs/settings.md does not explain {name}");
        let is_secret = ["DB", "KEY", "TOKEN"].iter().any(|part| name.ends_with(part));
        assert_eq!(is_secret, variable["valueFrom"]["secretKeyRef"]["name"] == "haldir", "{variable}");
        assert_ne!(is_secret, variable["value"].is_string(), "{variable}");
    }
    let arguments = container["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
    server::command().try_get_matches_from(arguments).unwrap();
}

#[test]
fn probes_ask_for_paths_that_there_are_and_only_readiness_asks_the_database() {
    let objects = objects();
    let container = container(&objects);
    let house = House::new();
    let server = house.serve();
    for (probe, path) in [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
        let asked = &container[probe]["httpGet"];
        assert_eq!(asked, &json!({"path": path, "port": container["ports"][0]["name"]}), "{probe}");
        assert_eq!(server.anonymous().get(path).status, 200, "{probe}");
    }
    assert_eq!(objects["Service"]["spec"]["ports"][0]["targetPort"], container["ports"][0]["name"]);
}

#[test]
fn the_manifest_fits_the_image() {
    let (objects, dockerfile) = (objects(), text("Dockerfile"));
    let container = container(&objects);
    let image = container["image"].as_str().unwrap();
    assert!(image.ends_with(&format!("/haldir:{}", env!("CARGO_PKG_VERSION"))), "{image}");
    let command = dockerfile.lines().find_map(|line| line.strip_prefix("CMD ")).unwrap();
    let command: Vec<String> = serde_json::from_str(command).unwrap();
    assert_eq!(json!(command).as_array().unwrap()[..], container["args"].as_array().unwrap()[..command.len()]);
    let port = number(&container["ports"][0]["containerPort"]);
    assert!(dockerfile.contains(&format!("\nEXPOSE {port}\n")), "{port}");
    let listen = environment(container)["HALDIR_LISTEN"]["value"].as_str().unwrap();
    assert_eq!(listen, format!("0.0.0.0:{port}"));
    let pod = &objects["Deployment"]["spec"]["template"]["spec"];
    let user = number(&pod["securityContext"]["runAsUser"]);
    assert!(dockerfile.contains(&format!("\nUSER {user}:{user}\n")), "{user}");
    // The root is read-only: what the image writes to is mounted.
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    let mounts: Vec<_> =
        container["volumeMounts"].as_array().unwrap().iter().map(|mount| &mount["mountPath"]).collect();
    assert_eq!(mounts, ["/data", "/tmp"]);
}

#[test]
fn the_manifest_leaves_connections_for_every_server_and_time_for_calls_in_flight() {
    let objects = objects();
    let (deployment, container) = (&objects["Deployment"]["spec"], container(&objects));
    let update = &deployment["strategy"]["rollingUpdate"];
    assert_eq!(update["maxUnavailable"], 0);
    let servers = number(&objects["HorizontalPodAutoscaler"]["spec"]["maxReplicas"]) + number(&update["maxSurge"]);
    let environment = environment(container);
    let most = number(&environment["HALDIR_PG_POOL_MAX"]["value"]);
    assert!(number(&environment["HALDIR_PG_POOL_MIN"]["value"]) <= most);
    let connections = (most + 2) * servers;
    assert!(connections <= USERS_CONNECTIONS, "{connections} connections");
    let pause = number(&container["lifecycle"]["preStop"]["exec"]["command"][1]);
    let grace = number(&deployment["template"]["spec"]["terminationGracePeriodSeconds"]);
    assert!(grace >= pause + DRAIN_TIMEOUT.as_secs() + CLOSING_SECONDS, "{grace} s");
    // Every object is about the pods of the Deployment.
    let labels = &deployment["template"]["metadata"]["labels"];
    for selector in [
        &deployment["selector"]["matchLabels"],
        &objects["Service"]["spec"]["selector"],
        &objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        &objects["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ] {
        assert_eq!(selector, labels);
    }
    let scaled = &objects["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"];
    assert_eq!(scaled["name"], objects["Deployment"]["metadata"]["name"]);
}
