//! What tells programs and people what this server is, all from the list of operations and the public URL. Documents that do
//! not change while the process runs have templates in `templates/discovery`.

use std::fmt::Write as _;

use axum::{Extension, Router, body::Body, extract::State, response::Response, routing::get};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderName, HeaderValue, header};
use rmcp::model::ProtocolVersion;
use serde_json::{Value, json};

use super::{App, HttpSettings, guard::RequestId, openapi, respond};
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

const JSON: &str = "application/json";
/// The headers of documents that pages of any origin may read, and keep for an hour.
const OF_ANY_ORIGIN: [(HeaderName, &str); 4] = [
    (header::CACHE_CONTROL, "public, max-age=3600"),
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET"),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type"),
];

/// A document that does not change while the process runs.
#[derive(Clone)]
struct Document {
    path: &'static str,
    content_type: &'static str,
    is_for_any_origin: bool,
    body: String,
}

/// The documents, and what `security.txt` is made of.
pub struct Discovery {
    documents: Vec<Document>,
    contact: Option<String>,
    public_url: String,
}

impl Discovery {
    /// Writes them for a server at `public_url`.
    pub fn new(public_url: &str, settings: &HttpSettings) -> Result<Self> {
        let url = public_url;
        let contact = settings.security_contact.clone();
        if let Some(contact) = &contact {
            check_contact(contact)?;
        }
        let document =
            |path, content_type, is_for_any_origin, body| Document { path, content_type, is_for_any_origin, body };
        let documents = vec![
            document("/openapi.json", JSON, false, openapi::document(url)?),
            document("/llms.txt", "text/plain; charset=utf-8", false, llms(url)),
            document("/.well-known/ai-plugin.json", JSON, false, plugin(url, contact.as_deref())?.to_string()),
            document("/.well-known/mcp/mcp.json", JSON, false, mcp(url)?.to_string()),
            document("/.well-known/mcp/server-card.json", JSON, true, card(url)?.to_string()),
            // SEP-2127: a server card beside the endpoint, and a catalog that leads to it.
            document("/mcp/server-card", "application/mcp-server-card+json", true, server_card(url)?.to_string()),
            document("/.well-known/ai-catalog.json", "application/ai-catalog+json", true, catalog(url)?.to_string()),
        ];
        Ok(Self { documents, contact, public_url: url.to_owned() })
    }

    /// The routes of all documents.
    pub fn routes(&self) -> Router<App> {
        let others = Router::new()
            .route("/.well-known/jwks.json", get(jwks))
            .route("/.well-known/security.txt", get(security_txt));
        self.documents.iter().cloned().fold(others, |router, document| {
            router.route(document.path, get(move || std::future::ready(document.response())))
        })
    }
}

impl Document {
    fn response(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        for (name, value) in OF_ANY_ORIGIN.into_iter().filter(|_| self.is_for_any_origin) {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// A template with its placeholders, between at signs, filled in.
fn filled(template: &str, values: &[(&str, &str)]) -> Result<Value> {
    let mut text = template.replace("@VERSION@", VERSION).replace("@SUMMARY@", SUMMARY);
    for (placeholder, value) in values {
        let value = Value::from(*value).to_string();
        text = text.replace(placeholder, &value[1..value.len() - 1]);
    }
    serde_json::from_str(&text).map_err(Error::internal)
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

fn plugin(public_url: &str, contact: Option<&str>) -> Result<Value> {
    let writes = operations::all().iter().filter(|one| one.tool.is_some() && matches!(one.run, Run::Write(_)));
    let writes = writes.map(|operation| operation.name).collect::<Vec<_>>().join(", ");
    // The format wants a contact, a logo and legal information; there is nothing true to say of what is not set.
    let contact = contact.and_then(|contact| contact.strip_prefix("mailto:")).unwrap_or_default();
    let values = [("@PUBLIC_URL@", public_url), ("@WRITES@", &writes), ("@CONTACT@", contact)];
    filled(include_str!("../../../templates/discovery/ai-plugin.json"), &values)
}

fn mcp(public_url: &str) -> Result<Value> {
    let template = include_str!("../../../templates/discovery/mcp.json");
    let mut document = filled(template, &[("@PUBLIC_URL@", public_url)])?;
    document["capabilities"]["tools"] = tools::all().iter().map(|tool| tool.name.as_ref()).collect();
    document["capabilities"]["prompts"] = prompts::all().into_iter().map(|prompt| prompt.name).collect();
    Ok(document)
}

/// The server card by SEP-2127. It is for connecting alone: tools are listed over the protocol.
fn server_card(public_url: &str) -> Result<Value> {
    let template = include_str!("../../../templates/discovery/server-card.json");
    let mut card = filled(template, &[("@PUBLIC_URL@", public_url)])?;
    let versions = ProtocolVersion::KNOWN_VERSIONS.iter().map(ProtocolVersion::as_str);
    card["remotes"][0]["supportedProtocolVersions"] = versions.collect();
    Ok(card)
}

/// The catalog that leads to the server card.
fn catalog(public_url: &str) -> Result<Value> {
    let host = public_url.split_once("://").map_or(public_url, |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    let template = include_str!("../../../templates/discovery/ai-catalog.json");
    filled(template, &[("@PUBLIC_URL@", public_url), ("@HOST@", host)])
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

/// `/.well-known/jwks.json` (RFC 7517, RFC 8037): the keys that tree heads are signed with, the newest first.
async fn jwks(State(app): State<App>, Extension(id): Extension<RequestId>) -> Response {
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
async fn security_txt(State(app): State<App>, Extension(id): Extension<RequestId>) -> Response {
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
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=86400"));
    response
}
