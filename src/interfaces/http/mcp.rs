//! `/mcp`: MCP over streamable HTTP.
//!
//! Two rmcp services share the path. Clients that begin with `initialize` and accept event streams get a session
//! (the revisions up to 2025-11-25); everyone else is served statelessly, with one JSON answer: clients of
//! 2026-07-28, and plain `curl`, which neither initialises nor accepts event streams.
//!
//! A plain `tools/call` takes the straight way: it needs nothing of what a protocol session is for, and building
//! one for every call costs more than the call.

mod message;
mod rmcp_answers;

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::MethodRouter,
};
use bytes::Bytes;
use futures::{StreamExt, future::ready};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use http_body_util::Full;
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    session::never::NeverSessionManager,
};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use self::{
    message::{arguments, is_object_or_null, plain_tool_call, revision_asked_for},
    rmcp_answers::{readable, rpc_error, takes_priming, unknown_session, with_exact_numbers},
};
use super::{App, body_budget::Payer, guard::RequestId, held_open, input, mcp_sessions::McpSessions, rpc_errors};
use crate::{
    error::Result,
    interfaces::{
        backend::Backend,
        mcp::{
            HaldirMcp, RawArguments,
            client_channel::OneAnswer,
            paused::PausedCalls,
            session::{SESSION_HEADER, Standing},
            stdio::calls_upstream,
        },
    },
    jobs::tool_changes::ToolChanges,
    model::Credential,
    operations::Haldir,
    protocol::{
        Message,
        code::INVALID_PARAMS,
        header::{ACCEPT_BOTH, EVENT_STREAM, JSON, SESSION_ID, accepts_events, is_kind},
    },
    relay::{bound_session::BoundSession, elicitation::AskSettings},
};

/// The MCP side of the listener.
pub struct McpInterface {
    backend: Backend,
    sessions: McpSessions,
    /// The sessions of haldir's that callers made last.
    standing: Standing,
    in_session: StreamableHttpService<HaldirMcp, LocalSessionManager>,
    stateless: StreamableHttpService<HaldirMcp, NeverSessionManager>,
}

impl McpInterface {
    /// Serves `haldir` until `shutdown`, and tells clients of `changes`.
    pub fn new(
        (haldir, changes): (Haldir, ToolChanges),
        local_session: &Arc<BoundSession>,
        asking: AskSettings,
        message_bytes: usize,
        shutdown: &CancellationToken,
    ) -> Self {
        let backend = Backend::Local(haldir);
        let config = StreamableHttpServerConfig::default()
            .with_max_request_body_bytes(message_bytes)
            .with_cancellation_token(shutdown.clone())
            // The guard has checked both, for all of HTTP.
            .disable_allowed_hosts()
            .disable_allowed_origins();
        let sessions = McpSessions::default();
        let (paused, standing) = (PausedCalls::default(), Standing::default());
        // A server for each session, since each has a log level of its own.
        let factory = |backend: Backend| {
            let (session, changes, paused) = (Arc::clone(local_session), changes.clone(), paused.clone());
            let standing = standing.clone();
            move || {
                let server = HaldirMcp::new(backend.clone(), Credential::Anonymous).following(changes.clone());
                let server = server.standing_on(standing.clone());
                Ok(server.bound_to(Arc::clone(&session)).asking(asking).pausing_in(paused.clone()))
            }
        };
        Self {
            in_session: StreamableHttpService::new(
                factory(backend.clone()),
                Arc::clone(&sessions.live),
                config.clone(),
            ),
            stateless: StreamableHttpService::new(
                factory(backend.clone()),
                Arc::default(),
                config.with_legacy_session_mode(false).with_json_response(true),
            ),
            sessions,
            standing,
            backend,
        }
    }
}

/// The route.
pub fn routes() -> MethodRouter<App> {
    axum::routing::get(serve).post(serve).delete(serve)
}

async fn serve(State(app): State<App>, Extension(id): Extension<RequestId>, request: Request) -> Response {
    let credential = credential(&request).unwrap_or_else(|| app.shared.keyless.clone());
    rpc_errors::answered(request, Payer::Sender(&app, &credential), &id, |request| {
        answer(&app, &credential, request, &id)
    })
    .await
}

/// A response that lasts for as long as the client listens ends with the key that it listens by.
fn listened(app: &App, credential: &Credential, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    if !is_kind(&parts.headers, EVENT_STREAM) {
        return Response::from_parts(parts, body);
    }
    let events = body.into_data_stream().take_while(|event| ready(event.is_ok()));
    let events = events.map(|event| Ok(event.unwrap_or_default()));
    Response::from_parts(parts, held_open::while_permitted(events, app, credential, Haldir::authenticate_only))
}

/// As everywhere, and besides `?apiKey=`, which is how Smithery passes its configuration on.
pub fn credential(request: &Request) -> Option<Credential> {
    let from_headers = input::credential(request.headers());
    if !matches!(from_headers, Credential::Anonymous) {
        return Some(from_headers);
    }
    let query = input::query(request.uri().query().unwrap_or_default()).unwrap_or_default();
    let key = query.into_iter().find(|(name, value)| name == "apiKey" && !value.is_empty());
    key.map(|(_, key)| Credential::ApiKey(Zeroizing::new(key)))
}

async fn answer(app: &App, credential: &Credential, request: Request, id: &RequestId) -> Result<Response> {
    let interface = &app.shared.mcp;
    // A small POST outside a session may be a plain tool call, which authenticates itself; everything else is authenticated here.
    let may_ask_itself = request.method() == Method::POST
        && input::has_small_body(&request)
        && !request.headers().contains_key(SESSION_ID);
    if !may_ask_itself {
        interface.backend.authenticate(credential)?;
    }
    if !interface.sessions.admit(request.headers(), credential) {
        return Ok(unknown_session(id));
    }
    if request.method() != Method::POST {
        interface.backend.admit(credential).await?;
        if request.method() == Method::GET {
            app.shared.listeners.require_room(app, credential)?;
        }
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(credential.clone());
        let (ends, primes) = (parts.method == Method::DELETE, takes_priming(&parts.headers, None));
        let response = interface.in_session.handle(Request::from_parts(parts, body)).await;
        let mut response = readable(with_exact_numbers(response, primes).await, id);
        // There is nothing more to come, and clients warn about a 202.
        if ends && response.status() == StatusCode::ACCEPTED {
            response = StatusCode::NO_CONTENT.into_response();
        }
        return Ok(listened(app, credential, response));
    }
    input::check_content_type(request.headers())?;
    let (parts, body) = request.into_parts();
    let (request, payer) = (Request::from_parts(parts.clone(), body), Payer::Sender(app, credential));
    let body = input::body_within(request, app.shared.message_bytes, payer).await?;
    let body = if calls_upstream(&body) { input::whole(body) } else { body };
    let message = Message::read_bytes(&body);
    if let Some(call) = message.as_ref().ok().and_then(|message| plain_tool_call(message, &parts.headers)) {
        return call.answer(interface, credential, session_header(&parts.headers)).await;
    }
    // Once, whatever it asks for: what follows from it is part of it.
    interface.backend.admit(credential).await?;
    let message = match message {
        Ok(message) => message,
        Err((code, problem)) => return Ok(rpc_error(StatusCode::BAD_REQUEST, None, code, &problem, id)),
    };
    if !message.params.is_none_or(is_object_or_null) {
        let problem = "params must be a JSON object";
        return Ok(rpc_error(StatusCode::BAD_REQUEST, message.id.as_deref(), INVALID_PARAMS, problem, id));
    }
    let begins_session = message.is("initialize") && accepts_events(&parts.headers);
    let primes = takes_priming(&parts.headers, revision_asked_for(&message).as_deref());
    let (is_tool_call, arguments) = (message.is("tools/call"), arguments(&message));
    let listens = message.is("subscriptions/listen");
    let in_session = begins_session || parts.headers.contains_key(SESSION_ID);
    let at_once = !in_session && !accepts_events(&parts.headers);
    // A response with an error and a result is the error alone: no approval may be read out of it.
    let body = if message.answers().is_some() { Bytes::from(message.of_client().text()) } else { body.clone() };
    let mut request = for_rmcp(parts, credential, arguments, body);
    if at_once {
        request.extensions_mut().insert(OneAnswer);
    }
    let response = match (begins_session, in_session) {
        (true, _) => {
            let tenant = app.shared.haldir.caller_of(credential)?.tenant;
            interface.sessions.begin(credential, tenant, Box::pin(interface.in_session.handle(request))).await?
        }
        (false, true) => interface.in_session.handle(request).await,
        (false, false) => interface.stateless.handle(request).await,
    };
    let response =
        if is_tool_call || !primes { with_exact_numbers(response, primes).await } else { response.map(Body::new) };
    Ok(if listens { listened(app, credential, readable(response, id)) } else { readable(response, id) })
}

fn session_header(headers: &HeaderMap) -> Option<&str> {
    headers.get(SESSION_HEADER)?.to_str().ok()
}

fn for_rmcp(
    mut parts: Parts,
    credential: &Credential,
    arguments: Option<RawArguments>,
    body: Bytes,
) -> http::Request<Full<Bytes>> {
    parts.headers.insert(header::ACCEPT, ACCEPT_BOTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    parts.extensions.insert(credential.clone());
    if let Some(arguments) = arguments {
        parts.extensions.insert(arguments);
    }
    http::Request::from_parts(parts, Full::new(body))
}
