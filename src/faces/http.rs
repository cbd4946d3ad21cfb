//! HTTP: the listener, and what it serves: `/mcp`, `/v1`, the OpenAPI document, health.

pub mod guard;
pub mod health;
pub mod input;
pub mod listener;
pub mod mcp;
pub mod mcp_sessions;
pub mod openapi;
pub mod respond;
pub mod rest;
pub mod telemetry;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, middleware, routing::get};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::{error::Result, operations::Haldir};

/// The largest request body, in bytes.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// How long a client may take to send a request's body.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What the HTTP face is told.
#[derive(Clone, Default)]
pub struct HttpSettings {
    /// Where clients reach it, such as `https://haldir.example.com`; else where it listens.
    pub public_url: Option<String>,
    /// Further host names in the `Host` header.
    pub allowed_hosts: Vec<String>,
    /// Further origins of browsers.
    pub allowed_origins: Vec<String>,
    /// Opens `/metrics` to its bearer.
    pub metrics_token: Option<Zeroizing<String>>,
}

/// What every handler shares.
#[derive(Clone)]
pub struct App {
    shared: Arc<Shared>,
}

struct Shared {
    haldir: Haldir,
    guard: guard::Guard,
    mcp: mcp::McpFace,
    openapi: String,
    public_url: String,
    metrics_token: telemetry::MetricsToken,
}

impl App {
    /// The face of `haldir`, listening on `address`.
    pub fn new(
        haldir: Haldir,
        address: SocketAddr,
        settings: HttpSettings,
        shutdown: &CancellationToken,
    ) -> Result<Self> {
        let guard = guard::Guard::new(address, &settings);
        let metrics_token = telemetry::MetricsToken::new(settings.metrics_token.as_ref());
        let public_url = settings.public_url.unwrap_or_else(|| format!("http://{address}"));
        let shared = Shared {
            guard,
            mcp: mcp::McpFace::new(haldir.clone(), shutdown),
            openapi: openapi::document(&public_url)?,
            haldir,
            public_url,
            metrics_token,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Every route.
    pub fn router(&self) -> Router {
        rest::routes()
            .route("/mcp", mcp::routes())
            .route("/openapi.json", get(openapi::serve))
            .route("/.well-known/mcp/server-card.json", get(health::server_card))
            .route("/health", get(health::healthz))
            .route("/healthz", get(health::healthz))
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
