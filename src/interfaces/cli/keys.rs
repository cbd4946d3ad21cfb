//! `haldir keys`: the API keys of a store.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    CommandError, GlobalOptions,
    output::{amounts::dollars, line, note, printable, table_or, when, when_any, word},
    target::Target,
};
use crate::{
    config::duration::{self, parse_seconds},
    error::{Error, Result},
    gate::{
        authenticate::PUBLIC_CHARS,
        create_api_key::ApiKeyCreated,
        list_api_keys::{ApiKeyDetail, ApiKeyList},
    },
    model::{Clock, Money, Resource, UnixMicros, time::SystemClock},
};

/// Keys that are read to find out whether one was revoked before.
const MAX_KEYS: usize = 1_000;
#[derive(Subcommand)]
pub enum KeysCommand {
    /// Make an API key. Standard output holds the key alone, once; it cannot be shown again.
    Create(CreateOptions),
    /// List the API keys, newest first. The keys themselves are not stored.
    List,
    /// Revoke an API key: it is refused from the next call on, and the sessions that it made end.
    Revoke {
        /// The key's first twelve characters, as `haldir keys list` shows them.
        #[arg(value_name = "PREFIX")]
        prefix: String,
    },
    /// Change an API key's hourly limit. It matters only where the server counts calls.
    Tier {
        /// The key's first twelve characters, as `haldir keys list` shows them.
        #[arg(value_name = "PREFIX")]
        prefix: String,
        /// Its hourly limit from now on.
        #[arg(value_name = "TIER")]
        tier: NamedTier,
    },
}

/// The input of `createApiKey`, with two options of the command's own.
#[derive(Args, Clone, Serialize)]
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
    #[serde(skip)]
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
    #[serde(skip)]
    quiet: bool,
}

#[derive(Clone, Copy, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum NamedTier {
    /// 100 calls an hour, unless the server has another figure.
    Free,
    /// 5,000 calls an hour.
    Pro,
    /// 50,000 calls an hour.
    Enterprise,
}

pub fn run(command: &KeysCommand, global: &GlobalOptions) -> std::result::Result<ExitCode, CommandError> {
    match command {
        KeysCommand::Create(options) => return create(options, global),
        KeysCommand::List => list(global),
        KeysCommand::Revoke { prefix } => revoke(prefix, global),
        KeysCommand::Tier { prefix, tier } => {
            require_prefix(prefix)?;
            let done = format!("{prefix} is in the tier {} now", word(tier));
            global.done("setApiKeyTier", json!({"prefix": prefix, "tier": tier}), &done)
        }
    }?;
    Ok(ExitCode::SUCCESS)
}

fn create(options: &CreateOptions, global: &GlobalOptions) -> std::result::Result<ExitCode, CommandError> {
    let target = Target::open_or_create(global)?;
    let mut input = options.clone();
    if options.read_only {
        input.scopes = Some(Resource::ALL.iter().map(|(name, _)| format!("{name}:read")).collect());
    }
    if input.role.is_none() {
        let is_operator = options.read_only || target.is_store_without_keys()?;
        input.role = Some(if is_operator { "operator" } else { "agent" }.to_owned());
    }
    let reply = target.call("createApiKey", &serde_json::to_string(&input).map_err(Error::internal)?)?;
    let created: ApiKeyCreated = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    let ApiKeyCreated { key, prefix, name, tier, role, .. } = &created;
    if line(if global.json { &reply.body } else { key }).is_err() {
        // A key that was never shown must not stay valid unnoticed.
        note(&format!("haldir: the key could not be written: run `haldir keys revoke {prefix}`"));
        return Ok(ExitCode::FAILURE);
    }
    if !options.quiet && !global.json {
        note(&format!("API key {prefix} `{}`, role {}, tier {}.", printable(name), word(role), word(tier)));
        note("Keep it in a safe place: it is not stored here and will not be shown again.");
    }
    Ok(ExitCode::SUCCESS)
}

fn list(global: &GlobalOptions) -> std::result::Result<(), CommandError> {
    let header = ["PREFIX", "NAME", "ROLE", "TIER", "STATE", "SCOPES", "EACH SESSION AT MOST", "CREATED", "LAST USED"];
    let none = "no API keys yet: `haldir keys create` makes the first one, an operator's";
    let now = SystemClock.now();
    global.show("listApiKeys", json!({}), |list: ApiKeyList| {
        table_or(none, &header, list.keys.into_iter().map(|key| row(key, now)))
    })
}

fn row(key: ApiKeyDetail, now: UnixMicros) -> Vec<String> {
    let state = match key.expires_at {
        _ if key.revoked => "revoked".to_owned(),
        Some(end) if end <= now => "expired".to_owned(),
        Some(end) => format!("live until {}", when(end)),
        None => "live".to_owned(),
    };
    let bounds = [
        key.max_spend.map(dollars),
        key.max_ttl.map(|ttl| duration::shown(ttl.unsigned_abs())),
        key.max_scopes.map(|scopes| format!("scopes {}", scopes.to_string().replace(", ", ","))),
    ];
    let bounds: Vec<_> = bounds.into_iter().flatten().collect();
    let bounds = if bounds.is_empty() { "no limits".to_owned() } else { bounds.join(", ") };
    let (created, last_used) = (when(key.created_at), when_any(key.last_used, "never"));
    let scopes = key.scopes.join(",");
    vec![key.prefix, key.name, word(key.role), word(key.tier), state, scopes, bounds, created, last_used]
}

/// Refuses what is longer, so that a whole key given by mistake is not repeated in an error.
fn require_prefix(prefix: &str) -> Result<()> {
    if prefix.chars().count() > PUBLIC_CHARS {
        let message = format!("PREFIX is the first {PUBLIC_CHARS} characters of a key: see `haldir keys list`");
        return Err(Error::invalid("prefix", message));
    }
    Ok(())
}

fn revoke(prefix: &str, global: &GlobalOptions) -> std::result::Result<(), CommandError> {
    require_prefix(prefix)?;
    let target = Target::open(global)?;
    let was_revoked = !global.json && is_revoked(&target, prefix);
    let done = if was_revoked { format!("{prefix} was revoked already") } else { format!("revoked {prefix}") };
    target.show(global, "revokeApiKey", json!({"prefix": prefix}), |_: Value| line(&done))
}

/// Whether all keys of this name are revoked; false for a caller that may not list keys.
fn is_revoked(target: &Target, prefix: &str) -> bool {
    let listed = target.read::<ApiKeyList>("listApiKeys", json!({"limit": MAX_KEYS}));
    let keys = listed.map(|list| list.keys).unwrap_or_default();
    let mut own = keys.iter().filter(|key| key.prefix == prefix).peekable();
    own.peek().is_some() && own.all(|key| key.revoked)
}
