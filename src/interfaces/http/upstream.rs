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
use children::Children;
use headers::{is_modern, mirror, mirroring, mismatch, unlike};
use http::{HeaderMap, Method, StatusCode};
use route::Route;
pub use sessions::UpstreamSessions;

use super::{App, body_budget::Payer, guard::RequestId, input, mcp, respond, rpc_errors};
use crate::{
    error::{Code, Error, Result},
    model::{Credential, UpstreamName},
    operations::proxied::Outcome,
    protocol::{
        Client,
        code::{HEADER_MISMATCH, INTERNAL_ERROR, INVALID_REQUEST},
        header::{SESSION_ID, accepts_events, mirrored},
        lines,
        message::{self, Message, Refused, TOOLS_CHANGED},
    },
    relay::{
        call::Call,
        elicitation::{ApprovalReply, ElicitedDecision, UNDECIDED},
        forwarding::{Forwarding, RequestKind, SessionState},
        govern::{CallAttempt, Decision, changes},
    },
    upstream::{Link, Place, transport::Source},
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
    let route = match (link.http()?, &target.place) {
        (Some(place), _) => {
            let route = Route::new(app, credential, name, place, (link, Arc::clone(&known)));
            let relayed = || {
                let (name, target, known) = (&route.name, &target, Arc::clone(&known));
                let source = Source::Http(Box::new(route.connection(app)));
                Children { app, credential, name, source, target, known, link: None, limits: route.limits }
            };
            let has_session = headers.contains_key(SESSION_ID);
            if has_session && relayed().serves(&headers) || !has_session && needs_bridge(&route.link, &read).await {
                return relayed().answer(&method, &headers, &body).await;
            }
            route
        }
        (None, Place::Child(command)) => {
            let source = Source::Child(command.clone());
            let target = &target;
            let limits = *link.limits();
            let children = Children { app, credential, name: &name, source, target, known, link: Some(link), limits };
            return children.answer(&method, &headers, &body).await;
        }
        (None, Place::Http { .. }) => return Err(Error::internal("an upstream over HTTP has no address")),
    };
    let sessions = &app.shared.upstream_sessions;
    let Some(open) = sessions.admit(route.name.as_str(), &headers, credential) else {
        let problem = "the MCP session is unknown or has ended: initialise again";
        return Ok(rpc_error(StatusCode::NOT_FOUND, lines::id_in(&body).as_deref(), INVALID_REQUEST, problem));
    };
    let exchange = Exchange { app: app.clone(), credential: credential.clone(), route, open, client: None };
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
    app: App,
    credential: Credential,
    route: Route,
    open: SessionState,
    /// The client that begins a protocol session with this request.
    client: Option<Client>,
}

/// A `tools/call` of a client.
struct Calling {
    headers: HeaderMap,
    /// The message, as it was written.
    text: Bytes,
    id: String,
    modern: bool,
    /// The session that the request names.
    session: Option<String>,
    /// What the person at the client has decided on it, and whether they were asked.
    decided: Option<ElicitedDecision>,
    asked: bool,
}

impl Exchange {
    async fn post(
        mut self,
        headers: HeaderMap,
        message: &Message<'_>,
        text: &Bytes,
        session: Option<String>,
    ) -> Result<Response> {
        if self.open.hear(message) {
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
            self.open.outside_calls().restart();
        }
        if let Some(id) = id.as_deref().filter(|id| self.open.is_parked(id)) {
            let problem = "the id of a request must be one that no other request has";
            return Ok(rpc_error(StatusCode::BAD_REQUEST, Some(id), INVALID_REQUEST, problem));
        }
        let modern = message.is_modern() || is_modern(&headers);
        if message.is("tools/call") {
            // A call without an id would be one without an answer.
            let Some(id) = id else { return Ok(respond::json(202, String::new())) };
            let calling = Calling { headers, text: text.clone(), id, modern, session, decided: None, asked: false };
            return self.call(calling, message).await;
        }
        let lasts = message.is("subscriptions/listen");
        let kind = match message.method.as_deref() {
            Some("initialize" | "server/discover") => RequestKind::Introduction,
            _ if changes::subscribes(message) => RequestKind::Subscription,
            _ => RequestKind::Other,
        };
        let mut forwarding = Forwarding {
            own: id.clone(),
            kind,
            unasked: id.is_none(),
            until: (!lasts).then(|| Instant::now() + self.route.limits.call_timeout),
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
        let (subscription, governor) =
            (id.filter(|_| kind == RequestKind::Subscription), Arc::clone(&self.route.governor));
        let (app, credential) = (self.app.clone(), self.credential.clone());
        let response = self.send(&headers, outgoing, forwarding, modern).await?;
        let Some(id) = subscription else { return Ok(response) };
        let response = stream::subscribed(response, &id, (&app, &credential)).await;
        Ok(stream::with_changes(response, governor.changes().await, &changes::list_changed_for(&id)))
    }

    /// A call of a tool; `message` is what its text says.
    async fn call(self, calling: Calling, message: &Message<'_>) -> Result<Response> {
        let Calling { headers, id, modern, session, decided, asked, .. } = &calling;
        let call = match Call::read(message.params) {
            Ok(call) => call,
            Err((code, problem)) => return Ok(rpc_error(StatusCode::BAD_REQUEST, Some(id), code, &problem)),
        };
        if let Some(header) = mismatch(headers, message.method.as_deref(), Some(&call.name)) {
            return Ok(misnamed(Some(id), header.as_str()));
        }
        let arguments = call.arguments.map_or("{}", |arguments| arguments.get());
        let haldir = &self.app.shared.haldir;
        let definition = || haldir.pinned_definition(&self.credential, &self.route.name, &call.name);
        let definition = mirror(headers).then(definition).transpose()?;
        if let Some(definition) = &definition
            && let Some(header) = unlike(headers, &mirrored(definition, arguments))
        {
            return Ok(misnamed(Some(id), &header));
        }
        let session = call.session.clone().or(session.clone());
        let decided = decided.clone().or_else(|| call.decided(message));
        let asks = !asked
            && call.answered.is_none()
            && if *modern { message.speaker().can_ask } else { self.can_ask(headers) };
        let asking = CallAttempt {
            tool: call.name.clone(),
            arguments: arguments.to_owned(),
            session,
            decided,
            is_listed: None,
            asks,
        };
        let decision = match self.route.governor.admit(asking).await {
            Err(error) if matches!(error.code, Code::Unauthorized | Code::RateLimited) => return Err(error),
            Err(error) => Decision::of(&error),
            Ok(Decision::Ask { question, held, .. }) if *modern => {
                let (asked, undecided) =
                    (call.answered.is_some(), matches!(call.answered, Some((_, ApprovalReply::None))));
                match call.asking(&question).filter(|_| !asked && message.speaker().can_ask) {
                    Some(result) => return Ok(respond::json(200, message::response(id, &result))),
                    None => Decision::Told(held.text_after(if undecided { UNDECIDED } else { "" })),
                }
            }
            Ok(Decision::Ask { question, held, asking }) if !asked && self.can_ask(headers) => match self.open.ask() {
                Some(ask) => return elicit::begin(self, calling, ask, &question, held, asking),
                None => Decision::Told(held.text()),
            },
            Ok(decision) => decision,
        };
        let admitted = match decision.admitted(id, *modern) {
            Ok(admitted) => admitted,
            Err(response) => return Ok(respond::json(200, response)),
        };
        let text = call.forwarded(id, &admitted.arguments);
        // The arguments can differ from the client's by now: they contain secrets, or what an operator put there.
        let mirroring = definition.map(|text| mirroring(headers, &mirrored(&text, &admitted.arguments)));
        let outgoing = self.outgoing(Method::POST, mirroring.as_ref().unwrap_or(headers), Some(text), false);
        let forwarding = Forwarding {
            call: Some((id.clone(), admitted.report)),
            until: Some(Instant::now() + self.route.limits.call_timeout),
            ..self.passing()
        };
        self.send(headers, outgoing, forwarding, *modern).await
    }

    /// An answer on its way to the client.
    fn passing(&self) -> Forwarding {
        let silence = self.route.limits.call_timeout;
        Forwarding::new(&self.route.governor, &self.route.secrets, &self.open, silence)
    }

    /// Whether the person at the client can be asked in the answer to a request: an event stream, to which the client
    /// answers within the same protocol session.
    fn can_ask(&self, headers: &HeaderMap) -> bool {
        headers.contains_key(SESSION_ID) && accepts_events(headers) && self.open.client().can_ask
    }

    async fn other(self, method: &Method, headers: &HeaderMap) -> Result<Response> {
        let forwarding = Forwarding { unasked: *method == Method::DELETE, ..self.passing() };
        let ends = (method == Method::DELETE).then(|| headers.get(SESSION_ID).cloned()).flatten();
        let (app, name) = (self.app.clone(), self.route.name.clone());
        let outgoing = self.outgoing(method.clone(), headers, None, true);
        let listening = (method == Method::GET).then(|| self.open.listening());
        let governor = Arc::clone(&self.route.governor);
        let mut response = self.send(headers, outgoing, forwarding, false).await?;
        drop(listening);
        if method == Method::GET && response.status().is_success() {
            response = stream::with_changes(response, governor.changes().await, TOOLS_CHANGED);
        }
        if let (Some(id), true) = (ends, response.status() != StatusCode::METHOD_NOT_ALLOWED) {
            app.shared.upstream_sessions.end(name.as_str(), &id);
        }
        Ok(response)
    }
}

/// Reports that the upstream refused a call as a request; answers the id of the request, a call or not. The upstream may have
/// carried it out all the same.
fn refused_by_upstream(forwarding: &mut Forwarding, why: &'static str) -> Option<String> {
    let Some((id, report)) = forwarding.call.take() else { return forwarding.own.clone() };
    report.send(Outcome::unknown(why));
    Some(id)
}

/// Reports that a call did not leave; answers its id.
fn not_carried_out(forwarding: &mut Forwarding, why: &'static str) -> Option<String> {
    let (id, report) = forwarding.call.take()?;
    report.send(Outcome::unsent(why));
    Some(id)
}

fn misnamed(id: Option<&str>, header: &str) -> Response {
    let problem = format!("the header {header} does not say what the body says");
    rpc_error(StatusCode::BAD_REQUEST, id, HEADER_MISMATCH, &problem)
}

fn rpc_error(status: StatusCode, id: Option<&str>, code: i32, problem: &str) -> Response {
    respond::json(status.as_u16(), message::error(id, code, problem))
}
