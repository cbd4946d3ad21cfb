//! `/mcp`: MCP over streamable HTTP.
//!
//! Two rmcp services share the path. Clients that begin with `initialize` and accept event streams get a session
//! (the revisions up to 2025-11-25); everyone else is served statelessly, with one JSON answer: clients of
//! 2026-07-28, and plain `curl`, which neither initialises nor accepts event streams.
//!
//! A plain `tools/call` takes the straight way: it needs nothing of what a protocol session is for, and building
//! one for every call costs more than the call.

use std::{borrow::Cow, convert::Infallible, sync::Arc};

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
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use rmcp::{
    model::{ErrorCode, ErrorData},
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
        session::never::NeverSessionManager,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    App,
    guard::RequestId,
    input, listening,
    mcp_sessions::{McpSessions, SESSION_ID},
    refusals, respond,
};
use crate::{
    error::{Error, Result},
    faces::{
        backend::Backend,
        elicitation::Asking,
        mcp::{
            HaldirMcp, RawArguments, exact,
            line::OneAnswer,
            session::{self, SESSION_HEADER, Standing},
            stdio::calls_upstream,
            suspended::Suspended,
            tools,
        },
        relay::bound_session::BoundSession,
    },
    model::Credential,
    operations::{self, Haldir, Operation, tool_changes::ToolChanges},
};

const PROTOCOL_VERSION: &str = "mcp-protocol-version";
/// The first revision without sessions: from here on every request describes itself, which rmcp checks.
const FIRST_STATELESS: &str = "2026-07-28";
/// The first revision whose streams begin with an event without data.
const FIRST_PRIMED: &str = "2025-11-25";
/// What rmcp wants of every client, and plain clients do not say.
const ACCEPT_BOTH: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// The MCP side of the listener.
pub struct McpFace {
    backend: Backend,
    sessions: McpSessions,
    /// The sessions of haldir's that callers made last.
    standing: Standing,
    in_session: StreamableHttpService<HaldirMcp, LocalSessionManager>,
    stateless: StreamableHttpService<HaldirMcp, NeverSessionManager>,
}

impl McpFace {
    /// Serves `haldir` until `shutdown`.
    pub fn new(
        haldir: Haldir,
        local_session: &Arc<BoundSession>,
        asking: Asking,
        message_bytes: usize,
        shutdown: &CancellationToken,
    ) -> Self {
        let changes = ToolChanges::new(haldir.clone());
        let backend = Backend::Local(haldir);
        let config = StreamableHttpServerConfig::default()
            .with_max_request_body_bytes(message_bytes)
            .with_cancellation_token(shutdown.clone())
            // The guard has checked both, for all of HTTP.
            .disable_allowed_hosts()
            .disable_allowed_origins();
        let sessions = McpSessions::default();
        let (suspended, standing) = (Suspended::default(), Standing::default());
        // A server for each session, since each has a log level of its own.
        let factory = |backend: Backend| {
            let (session, changes, suspended) = (Arc::clone(local_session), changes.clone(), suspended.clone());
            let standing = standing.clone();
            move || {
                let server = HaldirMcp::new(backend.clone(), Credential::Anonymous).following(changes.clone());
                let server = server.standing_on(standing.clone());
                Ok(server.bound_to(Arc::clone(&session)).asking(asking).suspending_in(suspended.clone()))
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
    refusals::in_rpc(request, &id, |request| answer(&app, &credential, request)).await
}

/// A response that lasts for as long as the client listens ends with the key that it listens by.
fn listened(app: &App, credential: &Credential, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    if parts.headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind.as_bytes() != b"text/event-stream") {
        return Response::from_parts(parts, body);
    }
    let events = body.into_data_stream().take_while(|event| ready(event.is_ok()));
    let events = events.map(|event| Ok(event.unwrap_or_default()));
    Response::from_parts(parts, listening::looked_after(events, app, credential, Haldir::authenticate_only))
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

async fn answer(app: &App, credential: &Credential, request: Request) -> Result<Response> {
    let face = &app.shared.mcp;
    // A small POST outside a session may be a plain tool call, which asks who calls; everything else is asked here.
    let may_ask_itself = request.method() == Method::POST
        && input::has_small_body(&request)
        && !request.headers().contains_key(SESSION_ID);
    if !may_ask_itself {
        face.backend.authenticate(credential)?;
    }
    if !face.sessions.admit(request.headers(), credential) {
        return Ok(unknown_session());
    }
    if request.method() != Method::POST {
        face.backend.admit(credential).await?;
        if request.method() == Method::GET {
            app.shared.listeners.require_room(app, credential)?;
        }
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(credential.clone());
        let (ends, primes) = (parts.method == Method::DELETE, takes_priming(&parts.headers, None));
        let response = face.in_session.handle(Request::from_parts(parts, body)).await;
        let mut response = readable(with_exact_numbers(response, primes).await);
        // There is nothing more to come, and clients warn about a 202.
        if ends && response.status() == StatusCode::ACCEPTED {
            response = StatusCode::NO_CONTENT.into_response();
        }
        return Ok(listened(app, credential, response));
    }
    input::check_content_type(request.headers())?;
    let (parts, body) = request.into_parts();
    let body = input::body_within(Request::from_parts(parts.clone(), body), app.shared.message_bytes).await?;
    let body = if calls_upstream(&body) { input::whole(body) } else { body };
    let message = Message::read(&body);
    if let Some(call) = message.as_ref().ok().and_then(|message| message.plain_tool_call(&parts.headers)) {
        return call.answer(face, credential, session_header(&parts.headers)).await;
    }
    if may_ask_itself {
        face.backend.authenticate(credential)?;
    }
    // A call of a tool counts itself.
    if !message.as_ref().is_ok_and(Message::calls_a_tool) {
        face.backend.admit(credential).await?;
    }
    let message = match message {
        Ok(message) => message,
        Err(error) => return Ok(rpc_error(StatusCode::BAD_REQUEST, None, &error)),
    };
    if !message.params.is_none_or(is_object_or_null) {
        let error = ErrorData::invalid_params("params must be a JSON object", None);
        return Ok(rpc_error(StatusCode::BAD_REQUEST, message.id, &error));
    }
    let begins_session = message.method.as_deref() == Some("initialize") && accepts_events(&parts.headers);
    let primes = takes_priming(&parts.headers, message.revision_asked_for().as_deref());
    let (is_tool_call, arguments) = (message.method.as_deref() == Some("tools/call"), message.arguments());
    let listens = message.method.as_deref() == Some("subscriptions/listen");
    let in_session = begins_session || parts.headers.contains_key(SESSION_ID);
    let one_answer = !in_session && !accepts_events(&parts.headers);
    let mut request = for_rmcp(parts, credential, arguments, body.clone());
    if one_answer {
        request.extensions_mut().insert(OneAnswer);
    }
    let response = match (begins_session, in_session) {
        (true, _) => {
            let tenant = app.shared.haldir.caller_of(credential)?.tenant;
            face.sessions.begin(credential, tenant, Box::pin(face.in_session.handle(request))).await?
        }
        (false, true) => face.in_session.handle(request).await,
        (false, false) => face.stateless.handle(request).await,
    };
    let response =
        if is_tool_call || !primes { with_exact_numbers(response, primes).await } else { response.map(Body::new) };
    Ok(if listens { listened(app, credential, readable(response)) } else { readable(response) })
}

/// Whether the client takes an event without data at the beginning of a stream, which names the id to go on from. Clients
/// of earlier revisions take every event for a message, and give up: some have no tools then.
fn takes_priming(headers: &HeaderMap, asked_for: Option<&str>) -> bool {
    let said = headers.get(PROTOCOL_VERSION).and_then(|version| version.to_str().ok());
    said.or(asked_for).is_some_and(|revision| revision >= FIRST_PRIMED)
}

fn session_header(headers: &HeaderMap) -> Option<&str> {
    headers.get(SESSION_HEADER)?.to_str().ok()
}

/// rmcp's response, with the numbers of tool results as they were written, and without events that have no data where the
/// client does not take them. rmcp writes one message, or one event, a frame.
async fn with_exact_numbers(response: http::Response<BoxBody<Bytes, Infallible>>, primes: bool) -> Response {
    let (parts, body) = response.into_parts();
    let content_type = parts.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let body = match content_type {
        Some(b"application/json") => {
            let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            Body::from(replaced(bytes, exact::restore))
        }
        Some(b"text/event-stream") => Body::new(body.map_frame(move |frame| {
            frame.map_data(|event| {
                if !primes && is_priming(&event) { Bytes::new() } else { replaced(event, exact::restore_event) }
            })
        })),
        _ => Body::new(body),
    };
    Response::from_parts(parts, body)
}

/// Whether this is an event whose data is empty.
fn is_priming(event: &[u8]) -> bool {
    let mut lines = event.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"data"));
    let is_empty =
        |line: &[u8]| line.trim_ascii_end().strip_prefix(b"data").is_some_and(|rest| rest.is_empty() || rest == b":");
    lines.next().is_some_and(is_empty) && lines.next().is_none()
}

fn replaced(bytes: Bytes, replacement: impl Fn(&str) -> Option<String>) -> Bytes {
    std::str::from_utf8(&bytes).ok().and_then(replacement).map_or(bytes, Bytes::from)
}

fn for_rmcp(
    mut parts: Parts,
    credential: &Credential,
    arguments: Option<RawArguments>,
    body: Bytes,
) -> http::Request<Full<Bytes>> {
    parts.headers.insert(header::ACCEPT, ACCEPT_BOTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    parts.extensions.insert(credential.clone());
    if let Some(arguments) = arguments {
        parts.extensions.insert(arguments);
    }
    http::Request::from_parts(parts, Full::new(body))
}

/// Whether the client takes an event stream as an answer.
pub fn accepts_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.into_iter().any(|value| value.contains("text/event-stream") || value.contains("*/*"))
}

/// rmcp's own refusals are plain text; here they become what errors are everywhere.
fn readable(response: Response) -> Response {
    if response.status().as_u16() < 400 || response.headers().contains_key(header::CONTENT_TYPE) {
        return response;
    }
    match response.status() {
        // The body was JSON, so what it could not read was the message.
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            let error = ErrorData::invalid_request("expected a JSON-RPC 2.0 request, notification or response", None);
            rpc_error(StatusCode::BAD_REQUEST, None, &error)
        }
        StatusCode::NOT_FOUND => unknown_session(),
        status => {
            let error = ErrorData::invalid_request(
                format!(
                    "the request does not follow the streamable HTTP transport ({status}): see Mcp-Session-Id, \
                         MCP-Protocol-Version and Accept"
                ),
                None,
            );
            rpc_error(status, None, &error)
        }
    }
}

/// A session that has ended, never was, or is another key's.
fn unknown_session() -> Response {
    let error = ErrorData::invalid_request("the MCP session is unknown or has ended: initialise again", None);
    rpc_error(StatusCode::NOT_FOUND, None, &error)
}

/// A JSON-RPC message, as far as routing needs it.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CallParams<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<&'a RawValue>,
}

impl<'a> Message<'a> {
    fn read(body: &'a [u8]) -> Result<Self, ErrorData> {
        match serde_json::from_slice::<Self>(body) {
            Ok(message) if message.jsonrpc.as_deref() == Some("2.0") => Ok(message),
            Ok(_) => Err(ErrorData::invalid_request("expected \"jsonrpc\": \"2.0\"", None)),
            // Of what is no JSON nothing else can be said, wherever in it the first error is.
            Err(_) => Err(match serde_json::from_slice::<&RawValue>(body) {
                Err(error) => ErrorData::parse_error(format!("the message is no JSON that can be read: {error}"), None),
                Ok(json) if json.get().starts_with('[') => {
                    ErrorData::invalid_request("batches are not supported: send one message at a time", None)
                }
                Ok(_) => ErrorData::invalid_request("expected a JSON-RPC 2.0 message", None),
            }),
        }
    }

    fn call_params(&self) -> Option<CallParams<'a>> {
        let params = self.params.filter(|_| self.method.as_deref() == Some("tools/call"))?;
        serde_json::from_str(params.get()).ok()
    }

    /// Whether it calls one of haldir's tools, or names one as those of upstreams are named.
    fn calls_a_tool(&self) -> bool {
        let name = self.call_params().map(|params| params.name);
        name.is_some_and(|name| operations::tool(&name).is_some() || name.contains('.') || name.contains("__"))
    }

    /// The revision that an `initialize` asks for.
    fn revision_asked_for(&self) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Asked {
            protocol_version: String,
        }
        let params = self.params.filter(|_| self.method.as_deref() == Some("initialize"))?;
        serde_json::from_str::<Asked>(params.get()).ok().map(|asked| asked.protocol_version)
    }

    fn arguments(&self) -> Option<RawArguments> {
        Some(RawArguments(self.call_params()?.arguments?.get().into()))
    }

    /// A `tools/call` outside any protocol session, by a client that says nothing rmcp would have to check.
    fn plain_tool_call(&self, headers: &HeaderMap) -> Option<PlainCall<'a>> {
        let id = self.id.filter(|id| id.get().starts_with('"') || id.get().parse::<i64>().is_ok())?;
        let says_version = headers.get(PROTOCOL_VERSION);
        let legacy = says_version.is_none_or(|version| {
            rmcp::model::ProtocolVersion::KNOWN_VERSIONS
                .iter()
                .any(|known| known.as_str().as_bytes() == version.as_bytes() && known.as_str() < FIRST_STATELESS)
        });
        let has_standard_headers =
            headers.keys().any(|name| name.as_str().starts_with("mcp-") && name != PROTOCOL_VERSION);
        if !legacy || has_standard_headers {
            return None;
        }
        let params = self.call_params().filter(|params| params.meta.is_none())?;
        if !params.arguments.is_none_or(is_object_or_null) {
            return None; // rmcp says that arguments are an object.
        }
        // A tool of an upstream takes the long way.
        let operation = operations::tool(&params.name)?;
        Some(PlainCall { id, params, operation })
    }
}

fn is_object_or_null(json: &RawValue) -> bool {
    json.get().starts_with('{') || json.get() == "null"
}

struct PlainCall<'a> {
    id: &'a RawValue,
    params: CallParams<'a>,
    operation: &'static Operation,
}

#[derive(Serialize)]
struct RpcResponse<'a, R> {
    jsonrpc: &'static str,
    id: &'a RawValue,
    result: R,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolResult<'a> {
    content: [TextBlock<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_content: Option<&'a RawValue>,
    is_error: bool,
}

#[derive(Serialize)]
struct TextBlock<'a> {
    r#type: &'static str,
    text: &'a str,
}

impl PlainCall<'_> {
    async fn answer(&self, face: &McpFace, credential: &Credential, named: Option<&str>) -> Result<Response> {
        let arguments = self.params.arguments.map_or("{}", RawValue::get);
        let arguments = if arguments == "null" { "{}" } else { arguments };
        let session = if session::uses_session(self.operation) && !session::may_name_one(arguments) {
            named.map(str::to_owned).or_else(|| face.standing.of(credential))
        } else {
            None
        };
        let arguments = session::filled(self.operation, arguments, session.as_deref());
        let outcome = tools::call(&face.backend, credential, self.operation, &arguments).await?;
        face.standing.note(credential, self.operation, &outcome);
        let structured = if outcome.structured { serde_json::from_str(&outcome.json).ok() } else { None };
        let response = RpcResponse {
            jsonrpc: "2.0",
            id: self.id,
            result: ToolResult {
                content: [TextBlock { r#type: "text", text: &outcome.text() }],
                structured_content: structured,
                is_error: outcome.is_error,
            },
        };
        Ok(respond::json(200, serde_json::to_string(&response).map_err(Error::internal)?))
    }
}

fn rpc_error(status: StatusCode, id: Option<&RawValue>, error: &ErrorData) -> Response {
    #[derive(Serialize)]
    struct Body<'a> {
        jsonrpc: &'static str,
        id: Option<&'a RawValue>,
        error: ErrorBody<'a>,
    }
    #[derive(Serialize)]
    struct ErrorBody<'a> {
        code: ErrorCode,
        message: &'a str,
    }
    let body = Body { jsonrpc: "2.0", id, error: ErrorBody { code: error.code, message: &error.message } };
    respond::json(status.as_u16(), serde_json::to_string(&body).unwrap_or_default())
}
