//! `haldir keys create`.

use std::process::ExitCode;

use clap::Args;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::{
    GlobalOptions, Screen, Stop,
    output::{line, note, printable},
    target::Target,
};
use crate::{
    config::duration::parse_seconds,
    error::Error,
    model::{Money, Resource},
};

pub const HELP: &str = "\
Examples:
  KEY=$(haldir keys create --name ci)
  haldir keys create --name dashboard --read-only
  haldir keys create --name bot --role agent --max-scopes read,spend \\
    --max-spend 20 --max-ttl 1h
  haldir keys create --json | jq -r .key";

#[derive(Args)]
pub struct CreateOptions {
    /// What people call it.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Its hourly limit: free 100 calls, pro 5,000, enterprise 50,000. Default: free.
    #[arg(long, value_parser = ["free", "pro", "enterprise"])]
    tier: Option<String>,
    /// An agent's key cannot make keys, settle payments or change rules. Default: operator for the first key of a
    /// store, agent for every later one.
    #[arg(long, value_parser = ["agent", "operator"])]
    role: Option<String>,
    /// A key for looking only: an operator's, with the scope read of every resource.
    #[arg(long, conflicts_with_all = ["role", "scopes"])]
    read_only: bool,
    /// What the key may reach, separated by commas: *, or <resource>:read|write|*. Resources: sessions, vault, audit,
    /// payments, webhooks, proxy, approvals, admin. Default: everything.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    scopes: Option<Vec<String>>,
    /// The scopes that a session created with it may have, separated by commas. Default for an agent's key: all but
    /// admin and *.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    max_scopes: Option<Vec<String>>,
    /// The most that one session created with it may spend. Default: no limit.
    #[arg(long, value_name = "USD")]
    max_spend: Option<Money>,
    /// The most that all sessions created with it may spend together in a UTC day. Default: no limit.
    #[arg(long, value_name = "USD")]
    max_daily_spend: Option<Money>,
    /// The longest life of a session created with it. Default: no limit of the key's own. Such as 1h.
    #[arg(long, value_name = "DURATION", value_parser = parse_seconds)]
    max_ttl: Option<i64>,
    /// How long until the key expires, such as 30d; a number is seconds. Default: never.
    #[arg(long, value_name = "DURATION", value_parser = parse_seconds)]
    expires_in: Option<i64>,
    /// Print the key and nothing else.
    #[arg(long, short)]
    quiet: bool,
}

/// The input of `createApiKey`. Written as text at once, so that the amount stays exact.
#[derive(Serialize)]
struct Input<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tier: Option<&'a str>,
    role: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_scopes: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_spend: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_daily_spend: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_ttl: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<i64>,
}

#[derive(Deserialize)]
struct Created {
    key: Zeroizing<String>,
    prefix: String,
    name: String,
    tier: String,
    role: String,
}

pub fn run(options: &CreateOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let target = Target::open_or_create(global)?;
    let role = match options.role.as_deref() {
        Some(role) => role,
        None if options.read_only => "operator",
        None if target.is_store_without_keys()? => "operator",
        None => "agent",
    };
    let look_only = || Resource::ALL.iter().map(|(name, _)| format!("{name}:read")).collect::<Vec<_>>();
    let scopes = if options.read_only { Some(look_only()) } else { options.scopes.clone() };
    let input = Input {
        name: options.name.as_deref(),
        tier: options.tier.as_deref(),
        role,
        scopes: scopes.as_deref(),
        max_scopes: options.max_scopes.as_deref(),
        max_spend: options.max_spend,
        max_daily_spend: options.max_daily_spend,
        max_ttl: options.max_ttl,
        expires_in: options.expires_in,
    };
    let input = serde_json::to_string(&input).map_err(Error::internal)?;
    let reply = target.call("createApiKey", &input)?;
    let created: Created = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    let shown = if screen.json { line(&reply.body) } else { line(&created.key) };
    if shown.is_err() {
        // A key that nobody has seen should not lie about as one that works.
        note(&format!("haldir: the key could not be written: run `haldir keys revoke {}`", created.prefix));
        return Ok(ExitCode::FAILURE);
    }
    if !options.quiet && !screen.json {
        let Created { prefix, name, tier, role, .. } = &created;
        note(&format!("API key {prefix} `{}`, role {role}, tier {tier}.", printable(name)));
        note("Keep it in a safe place: it is not stored here and will not be shown again.");
    }
    Ok(ExitCode::SUCCESS)
}
