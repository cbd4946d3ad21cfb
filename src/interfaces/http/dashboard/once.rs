//! A new key or secret, on the one page that shows it.

use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    sign_in::OneTimeSecret,
    view::{Inline, Part, Section, code, text, time},
};
use crate::model::UnixMicros;

/// What people need of the responses that hold a secret.
#[derive(Default, Deserialize)]
#[serde(default)]
struct SecretResponse {
    key: Zeroizing<String>,
    secret: Zeroizing<String>,
    name: String,
    prefix: String,
    role: String,
    tier: String,
    scopes: Vec<String>,
    url: String,
    events: Vec<String>,
    expires_at: Option<UnixMicros>,
    previous_prefix: String,
    previous_expires_at: Option<UnixMicros>,
    secret_prev_expires_at: Option<UnixMicros>,
}

/// The section with the key or the secret, alone so that it can be copied, and the other fields of the response.
pub fn section(once: &OneTimeSecret) -> Section {
    let Ok(answer) = serde_json::from_str::<SecretResponse>(&once.answer) else {
        let broken = "The answer of this server cannot be shown. Make another one.".to_owned();
        return Section::new("once", once.operation.title, vec![Part::Alert(broken)]);
    };
    let (title, secret) = match once.operation.name {
        "createApiKey" => ("The new API key", answer.key),
        "rotateApiKey" => ("The API key in place of the old one", answer.key),
        "rotateWebhookSecret" => ("The new secret of the webhook", answer.secret),
        _ => ("The secret of the webhook, with which its events are signed", answer.secret),
    };
    let when = |at: Option<UnixMicros>| at.map(time).unwrap_or_default();
    let named = |name: &str| if name.is_empty() { Vec::new() } else { code(name) };
    // Facts without a value are left out.
    let facts: Vec<(&'static str, Vec<Inline>)> = vec![
        ("Name", text(&answer.name)),
        ("First characters", named(&answer.prefix)),
        ("Role", text(&answer.role)),
        ("Tier", text(&answer.tier)),
        ("Scopes", text(answer.scopes.join(", "))),
        ("Address", named(&answer.url)),
        ("Events", text(answer.events.join(", "))),
        ("Expires", when(answer.expires_at)),
        ("The old key", named(&answer.previous_prefix)),
        ("The old key is valid until", when(answer.previous_expires_at)),
        ("The old secret is valid until", when(answer.secret_prev_expires_at)),
    ];
    let parts = vec![
        Part::Secret(secret),
        Part::says("Copy it now. You will not see it again."),
        Part::Facts(facts.into_iter().filter(|(_, value)| !value.is_empty()).collect()),
    ];
    Section::new("once", title, parts)
}
