//! `haldir keys list`.

use std::process::ExitCode;

use serde::Deserialize;

use super::super::{
    GlobalOptions, Screen, Stop,
    output::{amounts::dollars, line, table, when, when_any},
    target::Target,
};
use crate::{
    config::duration,
    error::Error,
    model::{Clock, Money, UnixMicros, time::SystemClock},
};

#[derive(Deserialize)]
struct Listed {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    prefix: String,
    name: String,
    tier: String,
    role: String,
    scopes: Vec<String>,
    max_scopes: Option<Vec<String>>,
    max_spend: Option<Money>,
    max_ttl: Option<i64>,
    created_at: UnixMicros,
    expires_at: Option<UnixMicros>,
    last_used: Option<UnixMicros>,
    revoked: bool,
}

const HEADER: [&str; 9] =
    ["PREFIX", "NAME", "ROLE", "TIER", "STATE", "SCOPES", "EACH SESSION AT MOST", "CREATED", "LAST USED"];

pub fn run(global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    let reply = Target::open(global)?.call("listApiKeys", "{}")?;
    if screen.json {
        line(&reply.body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let listed: Listed = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    if listed.keys.is_empty() {
        line("no API keys yet: `haldir keys create` makes the first one, an operator's")?;
        return Ok(ExitCode::SUCCESS);
    }
    let now = SystemClock.now();
    let rows: Vec<_> = listed.keys.into_iter().map(|key| row(key, now)).collect();
    table(&HEADER, &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn row(key: Key, now: UnixMicros) -> Vec<String> {
    let state = match key.expires_at {
        _ if key.revoked => "revoked".to_owned(),
        Some(end) if end <= now => "expired".to_owned(),
        Some(end) => format!("live until {}", when(end)),
        None => "live".to_owned(),
    };
    let bounds: Vec<_> = [
        key.max_spend.map(dollars),
        key.max_ttl.map(|ttl| duration::shown(ttl.unsigned_abs())),
        key.max_scopes.map(|scopes| format!("scopes {}", scopes.join(","))),
    ]
    .into_iter()
    .flatten()
    .collect();
    let bounds = if bounds.is_empty() { "no limits".to_owned() } else { bounds.join(", ") };
    let last_used = when_any(key.last_used, "never");
    let created = when(key.created_at);
    vec![key.prefix, key.name, key.role, key.tier, state, key.scopes.join(","), bounds, created, last_used]
}
