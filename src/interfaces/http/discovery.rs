//! What tells programs and people what this server is, all from the list of operations and the public URL.

use std::fmt::Write as _;

use axum::{Extension, extract::State, response::Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::HeaderValue;
use serde_json::{Value, json};

use super::{App, HttpSettings, guard::RequestId, respond, server_card};
use crate::{
    call::PublishedKey,
    error::{Code, Error, Result},
    interfaces::mcp::{prompts, tools},
    model::{Clock, UnixMicros, time::SystemClock},
    operations::{self, Run},
};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const SUMMARY: &str = "Governs AI agents: sessions with scopes and budgets, a vault, and a tamper-evident audit log.";
/// How long `security.txt` may be relied on. RFC 9116 recommends less than a year.
const SECURITY_TXT_SECONDS: i64 = 180 * 86_400;
/// The longest contact.
const MAX_CONTACT_CHARS: usize = 500;

/// The documents that do not change while the process runs.
pub struct Discovery {
    llms: String,
    plugin: String,
    mcp: String,
    card: String,
    server_card: String,
    catalog: String,
    contact: Option<String>,
    public_url: String,
}

impl Discovery {
    /// Writes them for a server at `public_url`.
    pub fn new(public_url: &str, settings: &HttpSettings) -> Result<Self> {
        let public_url = public_url.to_owned();
        let contact = settings.security_contact.clone();
        if let Some(contact) = &contact {
            check_contact(contact)?;
        }
        Ok(Self {
            llms: llms(&public_url),
            plugin: plugin(&public_url, contact.as_deref()).to_string(),
            mcp: mcp(&public_url).to_string(),
            card: card(&public_url)?.to_string(),
            server_card: server_card::card(&public_url, SUMMARY).to_string(),
            catalog: server_card::catalog(&public_url, SUMMARY).to_string(),
            contact,
            public_url,
        })
    }
}

impl Discovery {
    /// The server card by SEP-2127.
    pub fn server_card(&self) -> &str {
        &self.server_card
    }

    /// The catalog that leads to it.
    pub fn catalog(&self) -> &str {
        &self.catalog
    }
}

/// RFC 9116 section 2.5.3: a URI, such as `mailto:security@example.com`.
fn check_contact(contact: &str) -> Result<()> {
    let is_uri = ["https://", "mailto:", "tel:"]
        .iter()
        .any(|scheme| contact.len() > scheme.len() && contact.starts_with(scheme));
    if is_uri && contact.len() <= MAX_CONTACT_CHARS && contact.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Error::invalid(
        "HALDIR_SECURITY_CONTACT",
        "HALDIR_SECURITY_CONTACT must be an address such as mailto:security@example.com or https://example.com/security",
    ))
}

/// `/llms.txt` (llmstxt.org): what a language model needs to know to use this server.
fn llms(public_url: &str) -> String {
    let mut text = format!(
        "# haldir\n\n> {SUMMARY}\n\nServed at {public_url}, version {VERSION}. Send an API key as `Authorization: \
         Bearer hld_…` or `X-API-Key`. Answers are JSON; an error has `error` for people and `code` for programs, and \
         its message names the fix.\n\n## Documents\n\n"
    );
    for (name, path, about) in [
        ("OpenAPI", "/openapi.json", "every operation of the REST API, with schemas"),
        ("MCP server card", "/mcp/server-card", "where to connect, and how"),
        ("Tools", "/.well-known/mcp/server-card.json", "tools, prompts and resources"),
        ("Signing keys", "/.well-known/jwks.json", "the keys that tree heads are signed with"),
        ("Index", "/v1", "the groups of the REST API"),
    ] {
        let _ = writeln!(text, "- [{name}]({public_url}{path}): {about}");
    }
    let _ = writeln!(text, "\n## MCP tools\n\nAt {public_url}/mcp, by streamable HTTP.\n");
    for operation in operations::all().iter().filter(|operation| operation.tool.is_some()) {
        let _ = writeln!(text, "- `{}`: {}", operation.name, operation.description());
    }
    text.push_str("\n## REST operations\n\n");
    for operation in operations::all() {
        let (method, path) = (operation.method.as_str(), operation.path.replace("{*", "{"));
        let _ = writeln!(text, "- `{method} {path}`: {}", first_sentence(&operation.description()));
    }
    text
}

fn first_sentence(text: &str) -> &str {
    text.find(". ").map_or(text, |end| &text[..=end])
}

fn plugin(public_url: &str, contact: Option<&str>) -> Value {
    let writes: Vec<_> = operations::all()
        .iter()
        .filter(|operation| operation.tool.is_some() && matches!(operation.run, Run::Write(_)))
        .map(|operation| operation.name)
        .collect();
    let for_models = format!(
        "{SUMMARY} Begin with createSession and give its session_id in every further call. These operations change \
         something: {}.",
        writes.join(", ")
    );
    json!({
        "schema_version": "v1",
        "name_for_human": "haldir",
        "name_for_model": "haldir",
        "description_for_human": SUMMARY,
        "description_for_model": for_models,
        "auth": {"type": "service_http", "authorization_type": "bearer"},
        "api": {"type": "openapi", "url": format!("{public_url}/openapi.json")},
        // The format wants these, and there is nothing true to say without a contact.
        "logo_url": "",
        "contact_email": contact.and_then(|contact| contact.strip_prefix("mailto:")).unwrap_or_default(),
        "legal_info_url": "",
    })
}

fn mcp(public_url: &str) -> Value {
    json!({
        "name": "haldir",
        "version": VERSION,
        "description": SUMMARY,
        "url": public_url,
        "mcpEndpoint": format!("{public_url}/mcp"),
        "transport": "http",
        "authentication": {
            "type": "bearer",
            "instructions": "Send an API key as Authorization: Bearer hld_…; an operator makes one with POST /v1/keys",
        },
        "capabilities": {
            "tools": tools::all().iter().map(|tool| tool.name.as_ref()).collect::<Vec<_>>(),
            "prompts": prompts::all().iter().map(|prompt| prompt.name.as_str()).collect::<Vec<_>>(),
            "resources": true,
        },
        "links": {
            "openapi": format!("{public_url}/openapi.json"),
            "llms": format!("{public_url}/llms.txt"),
            "serverCard": format!("{public_url}/mcp/server-card"),
            "catalog": format!("{public_url}/.well-known/ai-catalog.json"),
        },
    })
}

/// The card that is shipped beside the program, with the address of this server; a test holds the file against the
/// operations.
fn card(public_url: &str) -> Result<Value> {
    let mut card: Value = serde_json::from_str(include_str!("../../../server-card.json")).map_err(Error::internal)?;
    card["url"] = public_url.into();
    let endpoint = Value::from(format!("{public_url}/mcp"));
    card["transport"]["url"] = endpoint.clone();
    for transport in card["transports"].as_array_mut().into_iter().flatten() {
        if transport["type"] == "streamable-http" {
            transport["url"] = endpoint.clone();
        }
    }
    Ok(card)
}

/// `/llms.txt`.
pub async fn llms_txt(State(app): State<App>) -> Response {
    respond::text(app.shared.discovery.llms.clone())
}

/// `/.well-known/ai-plugin.json`.
pub async fn ai_plugin(State(app): State<App>) -> Response {
    respond::json(200, app.shared.discovery.plugin.clone())
}

/// `/.well-known/mcp/mcp.json`.
pub async fn mcp_json(State(app): State<App>) -> Response {
    respond::json(200, app.shared.discovery.mcp.clone())
}

/// `/.well-known/mcp/server-card.json`.
pub async fn server_card(State(app): State<App>) -> Response {
    server_card::public(&app.shared.discovery.card, HeaderValue::from_static("application/json"))
}

/// `/.well-known/jwks.json` (RFC 7517, RFC 8037): the keys that tree heads are signed with, the newest first.
pub async fn jwks(State(app): State<App>, Extension(id): Extension<RequestId>) -> Response {
    match app.shared.haldir.published_keys() {
        Ok(keys) => {
            let key = |published: &PublishedKey| {
                json!({
                    "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": published.key.id(),
                    "x": URL_SAFE_NO_PAD.encode(published.key.as_bytes()),
                })
            };
            let keys: Vec<Value> = keys.iter().map(key).collect();
            respond::json(200, json!({"keys": keys}).to_string())
        }
        Err(error) => respond::error(&error, &id),
    }
}

/// `/.well-known/security.txt` (RFC 9116), where the operator set a contact: without one there is nothing true to say.
pub async fn security_txt(
    State(app): State<App>,
    axum::Extension(id): axum::Extension<super::guard::RequestId>,
) -> Response {
    let discovery = &app.shared.discovery;
    let Some(contact) = &discovery.contact else {
        let message = "no security contact is set: an operator sets one with --security-contact";
        return respond::error(&Error::new(Code::NotFound, message), &id);
    };
    // Whole days, so that the file stays the same for a while.
    let now = SystemClock.now().as_seconds();
    let expires = UnixMicros::default().plus_seconds((now - now.rem_euclid(86_400)) + SECURITY_TXT_SECONDS);
    let url = &discovery.public_url;
    let mut text = format!("Contact: {contact}\nExpires: {}\n", expires.to_rfc3339());
    // Section 2.5.2: a canonical address is an https one.
    if url.starts_with("https://") {
        let _ = writeln!(text, "Canonical: {url}/.well-known/security.txt");
    }
    text.push_str("Preferred-Languages: en\n");
    let mut response = respond::text(text);
    response.headers_mut().insert(http::header::CACHE_CONTROL, HeaderValue::from_static("max-age=86400"));
    response
}
