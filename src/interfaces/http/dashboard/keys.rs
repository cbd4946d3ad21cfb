//! API keys and secrets. A new key is shown once; values of secrets never are.

use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::{
    view::{Field, Form, Inline, Input, Page, Part, Section, Table, Tone, button, code, pill, text, time, time_or},
    viewer::Viewer,
};
use crate::{
    error::Result,
    model::{Money, UnixMicros},
};

/// Keys and names of secrets that are shown.
const LISTED: usize = 200;
const HERE: &str = "/dashboard/keys";

#[derive(Deserialize)]
struct Keys {
    keys: Vec<Key>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Key {
    prefix: String,
    name: String,
    role: String,
    tier: String,
    scopes: Vec<String>,
    created_at: UnixMicros,
    expires_at: Option<UnixMicros>,
    last_used: Option<UnixMicros>,
    revoked: bool,
    max_spend: Option<Money>,
    max_daily_spend: Option<Money>,
}

#[derive(Deserialize)]
struct Secrets {
    secrets: Vec<String>,
    next_cursor: Option<String>,
}

/// The page.
pub async fn page(viewer: Viewer) -> Response {
    let page = sections(&viewer).await.map(|sections| Page::new("Keys and secrets", sections));
    viewer.answer("/keys", page)
}

async fn sections(viewer: &Viewer) -> Result<Vec<Section>> {
    let keys = match viewer.read_if_open::<Keys>("listApiKeys", json!({"limit": LISTED})).await? {
        Some(found) => keys(&found),
        None => viewer.closed("keys", "API keys", "listApiKeys"),
    };
    let secrets = match viewer.read_if_open::<Secrets>("listSecrets", json!({"limit": LISTED})).await? {
        Some(found) => secrets(viewer, &found),
        None => viewer.closed("secrets", "Secrets", "listSecrets"),
    };
    Ok(vec![keys, secrets])
}

fn ceiling(key: &Key) -> String {
    let of = |amount: Option<Money>, what: &str| amount.map(|amount| format!("{amount} USD {what}"));
    let bounds: Vec<_> =
        [of(key.max_spend, "a session"), of(key.max_daily_spend, "a day")].into_iter().flatten().collect();
    if bounds.is_empty() { "none".to_owned() } else { bounds.join(", ") }
}

fn keys(found: &Keys) -> Section {
    let row = |key: &Key| {
        let form = |operation, word| Form::button(operation, word, &[("prefix", &key.prefix)], HERE);
        let rotate = form("rotateApiKey", "Rotate").after("Makes a new key with the same rights, and shows it once.");
        let revoke = form("revokeApiKey", "Revoke")
            .after("The key is refused from the next call on, and its sessions end. This cannot be undone.");
        let forms = if key.revoked { text("") } else { [rotate, revoke].map(Inline::Form).into() };
        vec![
            code(&key.prefix),
            text(&key.name),
            text(format!("{}, {}", key.role, key.tier)),
            text(key.scopes.join(", ")),
            text(ceiling(key)),
            time(key.created_at),
            time_or(key.last_used, "never"),
            if key.revoked { pill(Tone::Bad, "revoked") } else { time_or(key.expires_at, "never") },
            forms,
        ]
    };
    let header = ["Key", "Name", "Role, tier", "Scopes", "Ceilings", "Made", "Last used", "Expires", ""];
    let mut parts = vec![Table::part(&header, found.keys.iter().map(row).collect(), "There is no API key.")];
    if found.next_cursor.is_some() {
        parts.push(Part::Text(text(format!("Only the newest {LISTED} are shown."))));
    }
    let add = Form::button("createApiKey", "Make key", &[], HERE).with(vec![
        Field::new("name", "Name", Input::Line, "what it is for"),
        Field::new("role", "Role", Input::Choice(&["agent", "operator"]), ""),
        Field::new("scopes", "Scopes", Input::Line, "sessions:write,audit:write; empty is the default of the role"),
        Field::new("max_spend", "Most a session may spend (USD)", Input::Number, ""),
        Field::new("max_daily_spend", "Most a day (USD)", Input::Number, ""),
        Field::new("expires_in", "Valid for", Input::Line, "30d; empty is for good"),
    ]);
    parts.push(Part::Form(add));
    Section::new("keys", "API keys", parts)
}

fn secrets(viewer: &Viewer, found: &Secrets) -> Section {
    let row = |name: &String| {
        let delete = Form::button("deleteSecret", "Delete", &[("name", name)], HERE)
            .after("Calls that name this secret are refused from now on.");
        vec![code(name), if viewer.may("deleteSecret") { button(delete) } else { text("") }]
    };
    let table = Table::part(&["Name", ""], found.secrets.iter().map(row).collect(), "No secret is stored.");
    let mut parts = vec![Part::Text(text("Values are sealed, and shown nowhere here.")), table];
    if found.next_cursor.is_some() {
        parts.push(Part::Text(text(format!("Only the first {LISTED} are shown."))));
    }
    if viewer.may("storeSecret") {
        let add = Form::button("storeSecret", "Store secret", &[], HERE).with(vec![
            Field::new("name", "Name", Input::Line, "").required(),
            Field::new("value", "Value", Input::Secret, "replaces an earlier value").required(),
            Field::new("upstreams", "Only for the servers", Input::Line, "separated by commas; empty is all"),
            Field::new(
                "disclosure",
                "Who may read it",
                Input::Choice(&["", "inject_only"]),
                "inject_only: no agent, only calls",
            ),
        ]);
        parts.push(Part::Form(add));
    }
    Section::new("secrets", "Secrets", parts)
}
