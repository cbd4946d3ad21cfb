//! API keys and secrets. A new key is shown once; values of secrets never are.

use serde_json::json;

use super::{
    view::{
        Field, Form, Inline, Input, Page, Part, Section, Table, Tone, button, code, pill, text, time, time_or, word,
    },
    viewer::Viewer,
};
use crate::{
    error::Result,
    gate::list_api_keys::{ApiKeyDetail, ApiKeyList},
    model::{Money, SecretName},
    vault::list_secrets::SecretList,
};

/// Keys and names of secrets that are shown.
const LISTED: usize = 200;
const HERE: &str = "/dashboard/keys";

/// The page.
pub async fn page(viewer: &Viewer) -> Result<Page> {
    let asked = json!({"limit": LISTED});
    let keys = viewer.section("keys", "API keys", "listApiKeys", asked.clone(), keys).await?;
    let secrets = viewer.section("secrets", "Secrets", "listSecrets", asked, secrets).await?;
    Ok(Page::new("Keys and secrets", vec![keys, secrets]))
}

fn ceiling(key: &ApiKeyDetail) -> String {
    let of = |amount: Option<Money>, what: &str| amount.map(|amount| format!("{amount} USD {what}"));
    let bounds: Vec<_> =
        [of(key.max_spend, "a session"), of(key.max_daily_spend, "a day")].into_iter().flatten().collect();
    if bounds.is_empty() { "none".to_owned() } else { bounds.join(", ") }
}

fn keys(found: &ApiKeyList) -> Section {
    let row = |key: &ApiKeyDetail| {
        let form = |operation, word| Form::button(operation, word, &[("prefix", &key.prefix)], HERE);
        let rotate = form("rotateApiKey", "Rotate").after("Makes a new key with the same rights, and shows it once.");
        let revoke = form("revokeApiKey", "Revoke")
            .after("The key is refused from the next call on, and its sessions end. This cannot be undone.");
        let forms = if key.revoked { text("") } else { [rotate, revoke].map(Inline::Form).into() };
        vec![
            code(&key.prefix),
            text(&key.name),
            text(format!("{}, {}", word(key.role), word(key.tier))),
            text(key.scopes.join(", ")),
            text(ceiling(key)),
            time(key.created_at),
            time_or(key.last_used, "never"),
            if key.revoked { pill(Tone::Bad, "revoked") } else { time_or(key.expires_at, "never") },
            forms,
        ]
    };
    let header = ["Key", "Name", "Role, tier", "Scopes", "Ceilings", "Made", "Last used", "Expires", ""];
    let mut parts = vec![Table::part(&header, found.keys.iter().map(row), "There is no API key.")];
    parts.extend(Part::more(found.next_cursor.is_some(), format!("Only the newest {LISTED} are shown.")));
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

fn secrets(found: &SecretList) -> Section {
    let row = |name: &SecretName| {
        let delete = Form::button("deleteSecret", "Delete", &[("name", name.as_str())], HERE)
            .after("Calls that name this secret are refused from now on.");
        vec![code(name.as_str()), button(delete)]
    };
    let table = Table::part(&["Name", ""], found.secrets.iter().map(row), "No secret is stored.");
    let mut parts = vec![Part::says("Values are sealed, and shown nowhere here."), table];
    parts.extend(Part::more(found.next_cursor.is_some(), format!("Only the first {LISTED} are shown.")));
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
    Section::new("secrets", "Secrets", parts)
}
