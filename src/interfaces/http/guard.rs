//! The first step of every request: a request id, and the checks of `Host` and `Origin`.
//!
//! A page in the operator's browser can send requests to a server on their machine: directly, with its own
//! `Origin`, or by making its own host name resolve to 127.0.0.1 (DNS rebinding), with its own `Host`. On a
//! loopback address both are checked; elsewhere `Host` is whatever the deployment's name is.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};

use super::{App, HttpSettings, cors, dashboard, drain::UnreadBody, input, rpc_errors};
use crate::{
    config::address::origin_of,
    crypto,
    error::{Code, Error, Result},
    protocol::header::{PARAMETER_PREFIX, PREFIX},
    traces::{self, Parent},
};

/// The longest inbound `X-Request-ID` that is accepted.
const MAX_REQUEST_ID_CHARS: usize = 64;
const REQUEST_ID: &str = "x-request-id";

/// The id of a request, in its response and in the log.
#[derive(Clone, Debug)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The hosts and origins through which browsers may reach this server.
pub struct Guard {
    /// Allowed host names; `None` is any.
    hosts: Option<Vec<String>>,
    /// Origins allowed by name, in lower case.
    origins: Vec<String>,
    loopback: bool,
    /// Random per process, so that ids of several processes differ.
    id_prefix: String,
    next_id: AtomicU64,
}

/// Paths that orchestrators request under any host name.
const PROBES: [&str; 5] = ["/health", "/healthz", "/livez", "/readyz", "/metrics"];

const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

impl Guard {
    /// The guard of a server that listens on `address`.
    pub fn new(address: SocketAddr, settings: &HttpSettings) -> Self {
        let loopback = address.ip().is_loopback();
        let public = settings.public_url.as_deref().and_then(|url| url.parse::<Uri>().ok());
        let mut hosts: Vec<String> = settings.allowed_hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        hosts.extend(public.as_ref().and_then(|url| url.host()).map(str::to_ascii_lowercase));
        let restricted = loopback || !hosts.is_empty();
        hosts.extend(LOOPBACK_NAMES.map(str::to_owned));
        hosts.push(match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        });
        let mut origins: Vec<String> = settings.allowed_origins.iter().map(|origin| normal(origin)).collect();
        origins.extend(settings.public_url.as_deref().and_then(origin_of).as_deref().map(normal));
        Self {
            hosts: restricted.then_some(hosts),
            origins,
            loopback,
            id_prefix: crypto::token::<6>("req_").unwrap_or_else(|_| "req_".to_owned()),
            next_id: AtomicU64::new(1),
        }
    }

    fn request_id(&self, headers: &HeaderMap) -> RequestId {
        let inbound = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let is_safe = |id: &&str| {
            (1..=MAX_REQUEST_ID_CHARS).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        match inbound.filter(is_safe) {
            Some(id) => RequestId(id.into()),
            None => RequestId(format!("{}{:x}", self.id_prefix, self.next_id.fetch_add(1, Ordering::Relaxed)).into()),
        }
    }

    fn admit(&self, request: &Request) -> Result<()> {
        unambiguous(request)?;
        let named = request.headers().get(header::HOST).map(HeaderValue::to_str);
        let host = match (named, request.uri().host()) {
            (Some(Ok(host)), _) | (None, Some(host)) => host_name(host).to_ascii_lowercase(),
            _ => return Err(forbidden("the Host header is missing or no text")),
        };
        // Probes use the address as the host, and return nothing that a page could use.
        let is_probe = PROBES.contains(&request.uri().path());
        if !is_probe && self.hosts.as_ref().is_some_and(|hosts| !hosts.contains(&host)) {
            return Err(forbidden("this host name is not served here: an operator allows it with --allow-host"));
        }
        match request.headers().get(header::ORIGIN).map(HeaderValue::to_str) {
            None => Ok(()),
            // Public documents, read only.
            Some(_) if request.method() == Method::GET && is_public(request.uri().path()) => Ok(()),
            Some(Ok(origin)) if self.admits_origin(origin) => Ok(()),
            // A page of the dashboard itself. Its cookie is for this host only, so a page whose own name resolves here (DNS
            // rebinding) sends none.
            Some(Ok(origin))
                if dashboard::has(request.uri().path()) && authority_of(origin) == host_header(request) =>
            {
                Ok(())
            }
            Some(_) => Err(forbidden("this origin is not allowed: an operator allows it with --allow-origin")),
        }
    }

    /// Whether the request names this machine itself as its host. A request through a reverse proxy on the same machine can come
    /// from anywhere, and names a public host.
    pub fn is_for_loopback(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let is_loopback = |host: &str| LOOPBACK_NAMES.contains(&host_name(host).to_ascii_lowercase().as_str());
        let forwarded = FORWARDED.iter().any(|name| headers.contains_key(*name));
        self.loopback && !forwarded && host.is_some_and(is_loopback)
    }

    /// The origin of the requesting page, if an operator has allowed it by name: the page may read the response.
    fn page<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        origin.to_str().ok().filter(|text| self.origins.contains(&normal(text)))?;
        Some(origin)
    }

    fn admits_origin(&self, origin: &str) -> bool {
        let origin = normal(origin);
        let local = || {
            let host = origin.split_once("://").map(|(_, host)| host_name(host));
            self.loopback && host.is_some_and(|host| LOOPBACK_NAMES.contains(&host))
        };
        self.origins.contains(&origin) || local()
    }
}

/// Headers that decide the caller, the operation or the session. The headers of MCP itself are matched by prefix.
const DECISIVE: [HeaderName; 9] = [
    header::HOST,
    header::ORIGIN,
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-session-id"),
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("x-on-hang-up"),
];
/// The query parameter that carries a key, see [`super::mcp::credential`].
const KEY_PARAMETER: &str = "apiKey";

/// Refuses a request that two readers can understand differently: a proxy in front may have checked the copy of a header that
/// is not read here (RFC 9112, section 3.2, for `Host`).
fn unambiguous(request: &Request) -> Result<()> {
    let headers = request.headers();
    let refuse = |what: &str| Err(Error::new(Code::InvalidArgument, format!("{what}: send one")));
    let of_mcp = |name: &str| name.starts_with(PREFIX) && !name.starts_with(PARAMETER_PREFIX);
    let is_decisive = |name: &&HeaderName| DECISIVE.contains(name) || of_mcp(name.as_str());
    for name in headers.keys().filter(is_decisive) {
        if headers.get_all(name).iter().nth(1).is_some() {
            return refuse(&format!("the header {name} is given more than once"));
        }
    }
    if input::names_two_keys(headers) {
        return refuse("the headers authorization and x-api-key hold different keys");
    }
    let query = request.uri().query().unwrap_or_default();
    // Few requests have a query.
    if query.contains(KEY_PARAMETER) {
        let keys = input::query(query)?.into_iter().filter(|(name, _)| name == KEY_PARAMETER).count();
        if keys > 1 {
            return refuse("apiKey is given more than once in the query");
        }
    }
    Ok(())
}

/// What reverse proxies add.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];

/// Whether any page may read this: discovery documents.
fn is_public(path: &str) -> bool {
    path == "/mcp/server-card" || path.starts_with("/.well-known/")
}

/// `Host` without its port.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Host and port of an origin, in lower case.
fn authority_of(origin: &str) -> Option<String> {
    origin.split_once("://").map(|(_, authority)| normal(authority))
}

/// Host and port that a request is for, in lower case.
fn host_header(request: &Request) -> Option<String> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    host.or_else(|| request.uri().authority().map(http::uri::Authority::as_str)).map(normal)
}

fn normal(origin: &str) -> String {
    origin.trim_end_matches('/').to_ascii_lowercase()
}

fn forbidden(message: &str) -> Error {
    Error::new(Code::ForbiddenOrigin, message)
}

/// The caller's trace context.
fn parent(headers: &HeaderMap) -> Option<Parent> {
    if !traces::are_exported() {
        return None;
    }
    Parent::parse(headers.get("traceparent")?.to_str().ok()?)
}

/// The middleware.
pub async fn check(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let guard = &app.shared.guard;
    let id = guard.request_id(request.headers());
    // Without the query, which may contain a secret. Collected only if the log has debug messages.
    let asked = tracing::enabled!(tracing::Level::DEBUG)
        .then(|| (request.method().clone(), request.uri().path().to_owned(), Instant::now()));
    let page = guard.page(request.headers()).cloned();
    let refusal = rpc_errors::form_at(request.uri().path());
    let unread = UnreadBody::of(&mut request);
    let asks_first = page.is_some() && cors::asks_first(&request);
    let mut response = match guard.admit(&request) {
        Ok(()) if asks_first => cors::allowed(&request),
        Ok(()) => {
            request.extensions_mut().insert(id.clone());
            let parent = parent(request.headers());
            traces::within(parent, next.run(request)).await
        }
        Err(error) => refusal(&error, &id),
    };
    if let Some(unread) = unread.filter(|_| response.status() != StatusCode::REQUEST_TIMEOUT) {
        unread.read().await;
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        headers.insert(REQUEST_ID, value);
    }
    // Browsers must not guess the type of a response.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(origin) = page {
        cors::readable_by(headers, origin);
    }
    if let Some((method, path, began)) = asked {
        let (status, took) = (response.status().as_u16(), began.elapsed().as_micros());
        tracing::debug!(id = id.as_str(), %method, path, status, micros = took, "answered");
    }
    response
}
