//! HTTP: the listener, and what it serves: `/mcp`, `/v1`, the OpenAPI document, health.

mod body_budget;
mod cors;
pub mod dashboard;
pub mod descriptors;
pub mod discovery;
mod drain;
pub mod guard;
pub mod health;
mod held_open;
pub mod input;
mod keep_alive;
pub mod listener;
pub mod mcp;
pub mod mcp_sessions;
mod oauth;
pub mod openapi;
pub mod respond;
pub mod rest;
pub mod rpc_errors;
mod stalled;
pub mod telemetry;
pub mod upstream;
pub mod workers;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, middleware, routing::get};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::{
    error::Result,
    jobs::tool_changes::ToolChanges,
    model::Credential,
    operations::Haldir,
    outbound::http_client::HttpClient,
    relay::bound_session::{BoundSession, SessionTerms},
    relay::elicitation::AskSettings,
};

/// The largest request body of the REST API, in bytes.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// How long a client may take to send a request's body.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What the HTTP interface is told.
#[derive(Clone)]
pub struct HttpSettings {
    /// Where clients reach it, such as `https://haldir.example.com`, without a slash at its end; else where it listens.
    pub public_url: Option<String>,
    /// Further host names in the `Host` header.
    pub allowed_hosts: Vec<String>,
    /// Further origins of browsers.
    pub allowed_origins: Vec<String>,
    /// Whether a caller of `/mcp` without a key is the local agent, as on stdio. On a loopback address only.
    pub local_agent: bool,
    /// Whether the person at an agent's client is asked about calls that need an approval.
    pub asking: AskSettings,
    /// The largest message of an MCP client, in bytes.
    pub message_bytes: usize,
    /// Where to report a vulnerability: a URI, for `security.txt`.
    pub security_contact: Option<String>,
    /// Connections at a time.
    pub connections: usize,
    /// Opens `/metrics` to its bearer.
    pub metrics_token: Option<Zeroizing<String>>,
    /// How long browsers stay signed in at the dashboard.
    pub signed_in: dashboard::Lifetimes,
}

impl HttpSettings {
    /// Those of a server for this machine alone, with so many connections at a time.
    pub fn loopback(connections: usize) -> Self {
        Self {
            public_url: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            local_agent: false,
            asking: AskSettings::default(),
            message_bytes: MAX_BODY_BYTES,
            security_contact: None,
            connections,
            metrics_token: None,
            signed_in: dashboard::Lifetimes::default(),
        }
    }
}

/// What every handler shares.
#[derive(Clone)]
pub struct App {
    shared: Arc<Shared>,
}

struct Shared {
    haldir: Haldir,
    guard: guard::Guard,
    mcp: mcp::McpInterface,
    /// Asks upstreams, at allowed addresses only.
    upstreams: HttpClient,
    /// The session of local callers who name none.
    local_session: Arc<BoundSession>,
    upstream_sessions: upstream::UpstreamSessions,
    /// The streams that clients hold open.
    listeners: descriptors::Listeners,
    /// The bodies that clients are sending.
    receiving: body_budget::BodyBudget,
    discovery: discovery::Discovery,
    public_url: String,
    /// Who calls `/mcp` without a key.
    keyless: Credential,
    /// Where changes of upstreams' tools are looked for, for all clients.
    tool_changes: ToolChanges,
    asking: AskSettings,
    message_bytes: usize,
    metrics_token: telemetry::MetricsToken,
    /// Browsers that are signed in at the dashboard.
    signed_in: dashboard::SignedIn,
    /// Cancelled when the server is about to stop: streams end then.
    stopping: CancellationToken,
}

impl App {
    /// The interface of `haldir`, listening on `address`.
    pub fn new(
        haldir: Haldir,
        address: SocketAddr,
        settings: &HttpSettings,
        shutdown: &CancellationToken,
    ) -> Result<Self> {
        let guard = guard::Guard::new(address, settings);
        let metrics_token = telemetry::MetricsToken::new(settings.metrics_token.as_ref());
        let public_url = settings.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
        let terms = SessionTerms::default();
        let local_session = Arc::new(BoundSession::new(haldir.clone(), Credential::LocalAgent, terms));
        let tool_changes = ToolChanges::new(haldir.clone());
        let following = (haldir.clone(), tool_changes.clone());
        let shared = Shared {
            guard,
            mcp: mcp::McpInterface::new(following, &local_session, settings.asking, settings.message_bytes, shutdown),
            tool_changes,
            upstreams: HttpClient::new(haldir.outbound(), upstream::LISTEN)?,
            local_session,
            upstream_sessions: upstream::UpstreamSessions::default(),
            listeners: descriptors::Listeners::new(settings.connections),
            receiving: body_budget::BodyBudget::new(settings.message_bytes.max(MAX_BODY_BYTES)),
            discovery: discovery::Discovery::new(&public_url, settings)?,
            haldir,
            public_url,
            keyless: if settings.local_agent { Credential::LocalAgent } else { Credential::Anonymous },
            asking: settings.asking,
            message_bytes: settings.message_bytes,
            metrics_token,
            signed_in: dashboard::SignedIn::new(settings.signed_in),
            stopping: shutdown.clone(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// A token for `/dashboard/open`, which signs one browser in with this credential, once.
    pub fn one_time_link(&self, credential: Credential) -> Result<Zeroizing<String>> {
        self.shared.signed_in.link(credential, self.shared.haldir.now())
    }

    /// The routes of the dashboard alone.
    pub fn dashboard_router(&self) -> Router {
        dashboard::routes()
            .route("/", get(dashboard::root))
            .fallback(respond::not_found)
            .method_not_allowed_fallback(respond::method_not_allowed)
            .layer(middleware::from_fn_with_state(self.clone(), guard::check))
            .with_state(self.clone())
    }

    /// Every route.
    pub fn router(&self) -> Router {
        rest::routes()
            .route("/mcp", mcp::routes())
            .route("/mcp/{upstream}", upstream::routes())
            .merge(self.shared.discovery.routes())
            .merge(oauth::routes())
            .merge(dashboard::routes())
            .route("/", get(dashboard::root))
            .route("/health", get(health::healthz))
            .route("/healthz", get(health::healthz))
            .route("/livez", get(health::livez))
            .route("/readyz", get(health::readyz))
            .route("/metrics", get(telemetry::metrics))
            .route("/v1", get(health::index))
            .route("/v1/status", get(telemetry::status))
            .fallback(respond::not_found)
            .method_not_allowed_fallback(respond::method_not_allowed)
            .layer(middleware::from_fn_with_state(self.clone(), guard::check))
            .with_state(self.clone())
    }
}
