//! `haldir config show`: every setting of both programs, its value, and where that comes from. Secrets are masked.

use std::collections::BTreeMap;

use clap::{Arg, Args, Subcommand};
use reqwest::Url;
use serde::Serialize;
use serde_json::json;

use super::{
    CommandError, GlobalOptions,
    output::{line, note, printable, table_or},
    profile,
    stdin::StandardInput,
    target::{Destination, KEY_VARIABLE, SERVER_VARIABLE},
};
use crate::{
    config::{CeilingOptions, postgres_without_password},
    error::{Error, Result},
    interfaces::server,
    store::is_postgres_url,
};

/// What the config file may hold, at its defaults.
const DEFAULTS: &str = include_str!("../../../examples/haldir.toml");
/// Shown in place of a secret.
const MASKED: &str = "(set, not shown)";
/// Shown for a setting without a value.
const NONE: &str = "none";

/// Variables without a flag: those that hold a secret, and those that other programs read as well.
const VARIABLES: [(&str, Kind, &str); 13] = [
    ("HALDIR_ENCRYPTION_KEY", Kind::Secret, "the key file beside the database"),
    (KEY_VARIABLE, Kind::Secret, NONE),
    (SERVER_VARIABLE, Kind::Plain, NONE),
    (profile::VARIABLE, Kind::Plain, NONE),
    ("HALDIR_BOOTSTRAP_TOKEN", Kind::Secret, NONE),
    ("HALDIR_METRICS_TOKEN", Kind::Secret, NONE),
    ("HALDIR_LOG", Kind::Plain, "info for serve, else warn"),
    ("PORT", Kind::Plain, NONE),
    ("SSL_CERT_FILE", Kind::Plain, NONE),
    ("SSL_CERT_DIR", Kind::Plain, NONE),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", Kind::Plain, NONE),
    ("OTEL_EXPORTER_OTLP_HEADERS", Kind::Secret, NONE),
    ("OTEL_SERVICE_NAME", Kind::Plain, "haldir"),
];

/// Defaults that clap does not know.
const UNSET: [(&str, &str); 14] = [
    ("allow_private", NONE),
    ("approve_by", "operator for serve, else elicitation"),
    ("listen", "127.0.0.1:8000, or 0.0.0.0 and PORT"),
    ("max_scopes", "all but admin and *, for the local tenant"),
    ("max_spend", "100, for the local tenant"),
    ("max_ttl", "1d, for the local tenant"),
    ("max_daily_spend", "no limit"),
    ("pg_pool_max", "16, on Postgres"),
    ("pg_pool_min", "1, on Postgres"),
    ("pg_prepare", "on, unless a pool is found"),
    ("public_url", "where it listens"),
    ("rate_limits", "off"),
    ("tool_names", "plain"),
    ("workers", "half of the cores, at least two"),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Secret,
}

#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Show every setting, its value, and where that comes from: default, file, environment or flag.
    Show(ShowOptions),
}

#[derive(Args)]
pub struct ShowOptions {
    /// Only what is set, and not by default.
    #[arg(long)]
    set: bool,
}

/// A setting, for programs.
#[derive(Serialize)]
struct Setting {
    /// Its variable, else its flag; of the config file its place in it.
    name: String,
    flag: Option<String>,
    value: String,
    /// `default`, `file`, `environment`, `flag` or `profile`.
    from: &'static str,
    secret: bool,
}

pub fn run(command: &ConfigCommand, global: &GlobalOptions) -> Result<(), CommandError> {
    let ConfigCommand::Show(options) = command;
    // Reports a config file that cannot be used, instead of showing it.
    global.store.settings(&CeilingOptions::default())?;
    let mut settings = vec![target(global)?];
    settings.extend(flags(global)?);
    settings.extend(VARIABLES.map(|(name, kind, default)| variable(name, kind, default)));
    settings.extend(file(global)?);
    if options.set {
        settings.retain(|setting| setting.from != "default");
    }
    if global.json {
        return line(&json!({"settings": settings}).to_string());
    }
    let rows = settings.into_iter().map(|setting| vec![setting.name, setting.value, setting.from.to_owned()]);
    table_or("everything has its default", &["SETTING", "VALUE", "FROM"], rows)?;
    if !options.set {
        note("haldir config show --set leaves the defaults out");
    }
    Ok(())
}

/// Where commands of `haldir` go.
fn target(global: &GlobalOptions) -> Result<Setting> {
    let place = Destination::find(global, &global.server, &mut StandardInput::default())?;
    let from_variable = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty());
    let (value, from) = match place {
        Destination::Server { url, profile: Some(name), .. } => (format!("{url} (profile {name})"), "profile"),
        Destination::Server { url, .. } if global.server.url.is_some() => (url, "flag"),
        Destination::Server { url, .. } => (url, "environment"),
        Destination::Store(_) if global.given.contains_key("db") => ("the local store".to_owned(), "flag"),
        Destination::Store(_) if from_variable("HALDIR_DB") => ("the local store".to_owned(), "environment"),
        Destination::Store(_) => ("the local store".to_owned(), "default"),
    };
    Ok(Setting { name: "commands go to".to_owned(), flag: None, value: without_password(&value), from, secret: false })
}

fn variable(name: &str, kind: Kind, default: &str) -> Setting {
    let secret = kind == Kind::Secret;
    let set = std::env::var(name).ok().filter(|value| !value.is_empty());
    let (value, from) = match set {
        Some(_) if secret => (MASKED.to_owned(), "environment"),
        Some(value) => (without_password(&value), "environment"),
        None => (default.to_owned(), "default"),
    };
    Setting { name: name.to_owned(), flag: None, value, from, secret }
}

/// The flags of both programs that are settings: not what one call is about.
fn flags(global: &GlobalOptions) -> Result<Vec<Setting>> {
    let command = server::command();
    let serve = command.find_subcommand("serve").into_iter().flat_map(clap::Command::get_arguments);
    let shown = |argument: &&Arg| {
        let is_own = !matches!(argument.get_id().as_str(), "help" | "version");
        is_own && !argument.is_hide_set() && argument.get_long().is_some()
    };
    let mut settings = Vec::new();
    for argument in command.get_arguments().chain(serve).filter(shown) {
        settings.push(of_argument(argument, global)?);
    }
    let tenant = global.given.get("tenant").map(|value| (value.clone(), "flag"));
    let of_environment = || std::env::var("HALDIR_TENANT").ok().filter(|value| !value.is_empty());
    let (value, from) = tenant
        .or_else(|| Some((of_environment()?, "environment")))
        .unwrap_or_else(|| (global.tenant.to_string(), "default"));
    let flag = Some("--tenant".to_owned());
    settings.push(Setting { name: "HALDIR_TENANT".to_owned(), flag, value, from, secret: false });
    Ok(settings)
}

fn of_argument(argument: &Arg, global: &GlobalOptions) -> Result<Setting> {
    let id = argument.get_id().as_str();
    let flag = argument.get_long().map(|long| format!("--{long}"));
    let variable = argument.get_env().map(|name| name.to_string_lossy().into_owned());
    let set = || variable.as_ref().and_then(std::env::var_os).filter(|value| !value.is_empty());
    let (value, from) = if let Some(value) = global.given.get(id) {
        (value.clone(), "flag")
    } else if let Some(value) = set() {
        (value.to_string_lossy().into_owned(), "environment")
    } else {
        (default(argument, global)?, "default")
    };
    let name = variable.or_else(|| flag.clone()).unwrap_or_default();
    let value = if is_postgres_url(&value) { postgres_without_password(&value) } else { without_password(&value) };
    Ok(Setting { name, flag, value, from, secret: false })
}

fn default(argument: &Arg, global: &GlobalOptions) -> Result<String> {
    let id = argument.get_id().as_str();
    if id == "db" {
        return Ok(global.store.path()?.display().to_string());
    }
    let values: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !values.is_empty() {
        return Ok(values.join(","));
    }
    if !argument.get_action().takes_values() {
        return Ok("off".to_owned());
    }
    let known = UNSET.iter().find(|(known, _)| *known == id);
    Ok(known.map_or(NONE, |(_, text)| text).to_owned())
}

/// What the config file says, and the defaults of what it does not.
fn file(global: &GlobalOptions) -> Result<Vec<Setting>> {
    let bad = |problem: &dyn std::fmt::Display| Error::invalid("HALDIR_CONFIG", format!("HALDIR_CONFIG: {problem}"));
    let read = |text: &str| text.parse::<toml::Table>().map_err(|error| bad(&error.message()));
    let mut defaults = BTreeMap::new();
    flatten(String::new(), &toml::Value::Table(read(DEFAULTS)?), &mut defaults);
    let mut own = BTreeMap::new();
    if let Some(path) = &global.store.config {
        let text = std::fs::read_to_string(path).map_err(|error| bad(&format!("{}: {error}", path.display())))?;
        flatten(String::new(), &toml::Value::Table(read(&text)?), &mut own);
    }
    let names: Vec<String> =
        defaults.keys().chain(own.keys().filter(|name| !defaults.contains_key(*name))).cloned().collect();
    let setting = |name: String| {
        // The variables of a child server may hold secrets.
        let secret = name.starts_with("upstreams.") && name.contains(".env.");
        let (value, from) = match own.remove(&name) {
            Some(_) if secret => (MASKED.to_owned(), "file"),
            Some(value) => (without_password(&value), "file"),
            None => (defaults.get(&name).cloned().unwrap_or_default(), "default"),
        };
        Setting { name, flag: None, value, from, secret }
    };
    Ok(names.into_iter().map(setting).collect())
}

/// The values of a table by their paths.
fn flatten(path: String, value: &toml::Value, into: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            for (name, value) in table {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(below, value, into);
            }
        }
        toml::Value::String(text) => {
            into.insert(path, text.clone());
        }
        value => {
            into.insert(path, printable(&value.to_string()));
        }
    }
}

/// Addresses, between commas, without the passwords that they hold.
fn without_password(text: &str) -> String {
    let masked = |part: &str| {
        let url = part.parse::<Url>().ok().filter(|url| url.password().is_some());
        let masked = url.and_then(|mut url| url.set_password(Some("***")).is_ok().then(|| url.to_string()));
        masked.unwrap_or_else(|| part.to_owned())
    };
    text.split(',').map(masked).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_without_a_default_of_its_own_is_described() {
        let command = server::command();
        for (id, _) in UNSET {
            let of_serve = command.find_subcommand("serve").unwrap().get_arguments();
            let found = command.get_arguments().chain(of_serve).any(|argument| argument.get_id() == id);
            assert!(found, "{id} is no setting any more");
        }
    }

    #[test]
    fn passwords_in_addresses_are_masked() {
        let text = "https://me:secret@proxy.example:3128/,file:/a,x";
        assert_eq!(without_password(text), "https://me:***@proxy.example:3128/,file:/a,x");
    }
}
