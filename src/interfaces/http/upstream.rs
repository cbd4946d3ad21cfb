//! `/mcp/{upstream}`: one upstream server, as if haldir were not there, but for what haldir does not allow.
//!
//! Requests go on with the client's own protocol headers and bodies, and every message of an answer comes back with its
//! own parameters, so every revision and extension that client and upstream share passes. Nothing reaches the client that
//! was not understood and written anew: JSON-RPC messages, in JSON or in event streams, and a few headers. What belongs to
//! haldir does not pass: its keys and sessions stay here, and secrets never come back.

mod answer;
mod children;
mod elicit;
mod headers;
mod modern;
mod route;
mod send;
mod sessions;
mod stream;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Extension,
    extract::{Path, Request, State},
    response::Response,
    routing::MethodRouter,
};
use bytes::Bytes;
use headers::{is_modern, mirror, mirroring, mismatch, unlike};
use http::{HeaderMap, Method, StatusCode};
use route::Route;
pub use sessions::UpstreamSessions;

use super::{App, body_budget::Payer, guard::RequestId, input, mcp, respond, rpc_errors};
use crate::{
    error::{Code, Error, Result},
    model::{Credential, UpstreamName},
    protocol::{
        Client,
        code::{HEADER_MISMATCH, INTERNAL_ERROR, INVALID_REQUEST},
        header::{SESSION_ID, accepts_events, mirrored},
        lines,
        message::{self, Message, Refused, TOOLS_CHANGED},
    },
    relay::{
        call::Call,
        elicitation::ElicitedDecision,
        elsewhere::{self, Named, UNKNOWN_SESSION},
        forwarding::{Forwarding, RequestKind, SessionState},
        govern::{Decision, Govern, Redact, changes},
        governor::Tools,
    },
    upstream::{HttpPlace, Link, UpstreamLimits},
};

/// How long a stream may stay open that is no answer to a call.
pub const LISTEN: Duration = Duration::from_secs(24 * 3_600);

/// Where a request names the session that its call belongs to.
const HALDIR_SESSION: &str = "x-session-id";

/// The route.
pub fn routes() -> MethodRouter<App> {
    axum::routing::get(serve).post(serve).delete(serve)
}

async fn serve(
    State(app): State<App>,
    Extension(id): Extension<RequestId>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let credential = mcp::credential(&request).unwrap_or_else(|| app.shared.keyless.clone());
    let (app, credential, name) = (&app, &credential, &name);
    let answered = rpc_errors::answered(request, Payer::Sender(app, credential), &id, |request: Request| async move {
        answer::same_site(request.headers())?;
        passed(app, credential, name, request).await
    });
    answer::confined(answered.await)
}

async fn passed(app: &App, credential: &Credential, name: &str, request: Request) -> Result<Response> {
    let session = request.headers().get(HALDIR_SESSION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let name = UpstreamName::parse(name).map_err(|_| Error::not_found("the upstream"))?;
    let (target, known) = app.shared.haldir.find_upstream(credential, &name)?;
    let link = app.shared.haldir.link(&target);
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let body = if method == Method::POST {
        input::check_content_type(&headers)?;
        let body = input::body_within(request, app.shared.message_bytes, Payer::Sender(app, credential)).await?;
        let whole = std::str::from_utf8(&body).ok().and_then(message::whole);
        whole.map_or(body, Bytes::from)
    } else {
        Bytes::new()
    };
    let read = Message::read_bytes(&body).map(Message::of_client);
    // A call of a tool counts itself once it is decided on.
    if !read.as_ref().is_ok_and(|message| message.is("tools/call") && Call::read(message.params).is_ok()) {
        app.shared.haldir.admit(credential).await?;
    }
    if method == Method::GET {
        app.shared.listeners.require_room(app, credential)?;
    }
    let place = link.http()?;
    let route = Route { app: app.clone(), credential: credential.clone(), name, target, known, link };
    let has_session = headers.contains_key(SESSION_ID);
    let Some(place) = place.filter(|_| !(has_session && route.is_relayed(&headers))) else {
        return route.relay(&method, &headers, &body).await;
    };
    if !has_session && needs_bridge(&route.link, &read).await {
        return route.relay(&method, &headers, &body).await;
    }
    let sessions = &app.shared.upstream_sessions;
    let Some(open) = sessions.admit(route.name.as_str(), &headers, credential) else {
        elsewhere::note(Named::Session);
        let id = lines::id_in(&body);
        return Ok(rpc_error(StatusCode::NOT_FOUND, id.as_deref(), INVALID_REQUEST, UNKNOWN_SESSION));
    };
    let governor = Arc::new(route.governor(Tools::Asked(Arc::clone(&route.link))));
    let (secrets, limits) = (route.secrets(), *route.link.limits());
    let exchange = Exchange { route, place, governor, secrets, limits, open, client: None };
    if method == Method::POST {
        return match read {
            Ok(message) => exchange.post(headers, &message, &body, session).await,
            Err((code, problem)) => {
                let id = lines::id_in(&body);
                Ok(rpc_error(StatusCode::BAD_REQUEST, id.as_deref(), code, &problem))
            }
        };
    }
    exchange.other(&method, &headers).await
}

/// Whether the upstream knows the revision that this request is of not at all.
async fn needs_bridge(link: &Link, message: &std::result::Result<Message<'_>, Refused>) -> bool {
    let Ok(message) = message else { return false };
    let modern = message.is_modern();
    if !modern && !message.is("initialize") {
        return false;
    }
    // Where that is not known, the upstream speaks for itself.
    let Some(revisions) = link.revisions().await else { return false };
    if modern { !revisions.modern } else { !revisions.with_handshake }
}

struct Exchange {
    route: Route,
    /// Where the upstream is, and the headers of every request.
    place: Arc<HttpPlace>,
    governor: Arc<dyn Govern>,
    secrets: Redact,
    limits: UpstreamLimits,
    open: Arc<SessionState>,
    /// The client that begins a protocol session with this request.
    client: Option<Client>,
}

/// A `tools/call` of a client.
struct Calling {
    headers: HeaderMap,
    /// The message, as it was written.
    text: Bytes,
    /// The session that the request names.
    session: Option<String>,
    /// What the person at the client has decided on it, who is asked once.
    decided: Option<ElicitedDecision>,
}

impl Exchange {
    async fn post(
        mut self,
        headers: HeaderMap,
        message: &Message<'_>,
        text: &Bytes,
        session: Option<String>,
    ) -> Result<Response> {
        if self.open.dialogs.take(message) {
            return Ok(respond::json(202, String::new()));
        }
        // What the upstream asks in the middle of a call may come on the stream that the client is about to listen to.
        self.open.listened().await;
        self.client = message.is("initialize").then(|| message.speaker());
        let id = message.request_id().map(str::to_owned);
        if let Some(header) = mismatch(&headers, message.method.as_deref(), None) {
            return Ok(misnamed(id.as_deref(), header.as_str()));
        }
        if id.is_some() {
            self.open.outside_calls.restart();
        }
        if let Some(id) = id.as_deref().filter(|id| self.open.is_parked(id)) {
            let problem = "the id of a request must be one that no other request has";
            return Ok(rpc_error(StatusCode::BAD_REQUEST, Some(id), INVALID_REQUEST, problem));
        }
        if message.is("tools/call") {
            return self.call(Calling { headers, text: text.clone(), session, decided: None }, message).await;
        }
        let lasts = message.is("subscriptions/listen");
        let kind = RequestKind::of(message);
        let subscription = id.clone().filter(|_| kind == RequestKind::Subscription);
        let mut forwarding = Forwarding {
            own: id.clone(),
            kind,
            unasked: id.is_none(),
            until: (!lasts).then(|| Instant::now() + self.limits.call_timeout),
            ..self.passing()
        };
        if let Some(id) = id.as_deref().filter(|_| forwarding.until.is_some()) {
            match self.route.link.gate().enter().await {
                Ok(turn) => forwarding.turn = Some(turn),
                Err(busy) => {
                    return Ok(rpc_error(StatusCode::BAD_GATEWAY, Some(id), INTERNAL_ERROR, &busy.message));
                }
            }
        }
        let outgoing = self.outgoing(Method::POST, &headers, Some(message.text()), forwarding.until.is_none());
        let modern = message.is_modern() || is_modern(&headers);
        let response = self.send(&headers, outgoing, forwarding, modern).await?;
        let Some(id) = subscription else { return Ok(response) };
        let response = stream::subscribed(response, &id, &self.route).await;
        Ok(stream::with_changes(response, self.governor.changes().await, &changes::list_changed_for(&id)))
    }

    /// A call of a tool; `message` is what its text says.
    async fn call(self, calling: Calling, message: &Message<'_>) -> Result<Response> {
        let Calling { headers, session, decided, .. } = &calling;
        // A call without an id would be one without an answer.
        let Some(id) = message.request_id() else { return Ok(respond::json(202, String::new())) };
        let modern = message.is_modern() || is_modern(headers);
        let call = match Call::read(message.params) {
            Ok(call) => call,
            Err((code, problem)) => return Ok(rpc_error(StatusCode::BAD_REQUEST, Some(id), code, &problem)),
        };
        if let Some(header) = mismatch(headers, message.method.as_deref(), Some(&call.name)) {
            return Ok(misnamed(Some(id), header.as_str()));
        }
        let haldir = &self.route.app.shared.haldir;
        let definition = || haldir.pinned_definition(&self.route.credential, &self.route.name, &call.name);
        let definition = mirror(headers).then(definition).transpose()?;
        let can_ask = if modern { message.speaker().can_ask } else { self.can_ask(headers) };
        let attempt =
            call.attempt(message, (session.as_deref(), None), (decided.clone(), can_ask && decided.is_none()));
        if let Some(definition) = &definition
            && let Some(header) = unlike(headers, &mirrored(definition, &attempt.arguments))
        {
            return Ok(misnamed(Some(id), &header));
        }
        let decision = match self.governor.admit(attempt).await {
            Err(error) if matches!(error.code, Code::Unauthorized | Code::RateLimited) => return Err(error),
            Err(error) => Decision::of(&error),
            Ok(Decision::Ask(held)) if !modern => match self.open.dialogs.open() {
                Some(dialog) => return Ok(elicit::begin(self, calling, dialog, held)),
                None => Decision::Told(held.held.text()),
            },
            Ok(decision) => decision,
        };
        let admitted = match decision.admitted(id, &call, modern) {
            Ok(admitted) => admitted,
            Err(response) => return Ok(respond::json(200, response)),
        };
        let text = call.forwarded(id, &admitted.arguments);
        // The arguments can differ from the client's by now: they contain secrets, or what an operator put there.
        let mirroring = definition.map(|text| mirroring(headers, &mirrored(&text, &admitted.arguments)));
        let outgoing = self.outgoing(Method::POST, mirroring.as_ref().unwrap_or(headers), Some(text), false);
        let forwarding = Forwarding {
            call: Some((id.to_owned(), admitted.report)),
            until: Some(Instant::now() + self.limits.call_timeout),
            ..self.passing()
        };
        self.send(headers, outgoing, forwarding, modern).await
    }

    /// An answer on its way to the client.
    fn passing(&self) -> Forwarding {
        let silence = self.limits.call_timeout;
        Forwarding::new(&self.governor, &self.secrets, &self.open, silence)
    }

    /// Whether the person at the client can be asked in the answer to a request: an event stream, to which the client
    /// answers within the same protocol session.
    fn can_ask(&self, headers: &HeaderMap) -> bool {
        headers.contains_key(SESSION_ID)
            && accepts_events(headers)
            && self.open.client.lock().can_ask
            && self.open.dialogs.have_room()
    }

    async fn other(self, method: &Method, headers: &HeaderMap) -> Result<Response> {
        let forwarding = Forwarding { unasked: *method == Method::DELETE, ..self.passing() };
        let outgoing = self.outgoing(method.clone(), headers, None, true);
        let listening = (method == Method::GET).then(|| self.open.listening());
        let mut response = self.send(headers, outgoing, forwarding, false).await?;
        drop(listening);
        if method == Method::GET && response.status().is_success() {
            response = stream::with_changes(response, self.governor.changes().await, TOOLS_CHANGED);
        }
        if method == Method::DELETE
            && response.status() != StatusCode::METHOD_NOT_ALLOWED
            && let Some(id) = headers.get(SESSION_ID)
        {
            self.route.app.shared.upstream_sessions.end(self.route.name.as_str(), id);
        }
        Ok(response)
    }
}

fn misnamed(id: Option<&str>, header: &str) -> Response {
    let problem = format!("the header {header} does not say what the body says");
    rpc_error(StatusCode::BAD_REQUEST, id, HEADER_MISMATCH, &problem)
}

fn rpc_error(status: StatusCode, id: Option<&str>, code: i32, problem: &str) -> Response {
    respond::json(status.as_u16(), message::error(id, code, problem))
}
