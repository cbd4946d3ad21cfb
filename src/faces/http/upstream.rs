//! `/mcp/{upstream}`: one upstream server, as if haldir were not there, but for what haldir does not allow.
//!
//! Requests go on with the client's own protocol headers and bodies, and answers come back as they were written, so
//! every revision and extension that client and upstream share passes. What belongs to haldir does not: its keys and
//! sessions stay here, and the upstream's credentials never reach the client.

mod children;
mod dialog;
mod failed;
mod headers;
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
use headers::{is_modern, mismatch};
use http::{HeaderMap, Method, StatusCode};
use route::Route;
pub use sessions::UpstreamSessions;

use super::{App, guard::RequestId, input, mcp, mcp_sessions::SESSION_ID, respond};
use crate::{
    error::{Code, Error, Result},
    faces::elicitation::{Answer, Client, Decided, UNDECIDED},
    faces::relay::{
        govern::{Asked, Decision, Outcome},
        message::{self, Call, INTERNAL_ERROR, INVALID_REQUEST, Message},
        passing::{Open, Passing},
        wrap::Source,
    },
    model::{Credential, UpstreamName},
    operations::proxied,
    upstream::Place,
};

/// How long a stream may stay open that is no answer to a call.
pub const LISTEN: Duration = Duration::from_secs(24 * 3_600);
/// JSON-RPC: a header does not say what the body says (SEP-2243).
const HEADER_MISMATCH: i32 = -32_020;

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
    answer(&app, &credential, &name, request).await.unwrap_or_else(|error| respond::error(&error, &id))
}

async fn answer(app: &App, credential: &Credential, name: &str, request: Request) -> Result<Response> {
    let session = request.headers().get(HALDIR_SESSION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let name = UpstreamName::parse(name).map_err(|_| Error::not_found("the upstream"))?;
    let (target, sent) = proxied::target(&app.shared.haldir.watch_proxy(credential)?, &name)?;
    let link = app.shared.haldir.link(&target);
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let body = if method == Method::POST {
        input::check_content_type(&headers)?;
        input::body(request).await?
    } else {
        Bytes::new()
    };
    let route = match target.place.clone() {
        Place::Http { url, headers: written } => {
            let route = Route::new(app, credential, name, (&url, &written), (link, sent.clone()))?;
            let wire = Source::Wire(Box::new(route.wire(app)));
            let (name, target) = (&route.name, &target);
            let relayed = Children { app, credential, name, source: wire, target, sent, link: None };
            if relayed.serves(&headers) || needs_bridge(app, credential, &route.name, &headers, &body).await? {
                return relayed.answer(&method, &headers, &body).await;
            }
            route
        }
        Place::Child(command) => {
            let source = Source::Child(command);
            let target = &target;
            let children = Children { app, credential, name: &name, source, target, sent, link: Some(link) };
            return children.answer(&method, &headers, &body).await;
        }
    };
    let sessions = &app.shared.upstream_sessions;
    let Some(open) = sessions.admit(route.name.as_str(), &headers, credential) else {
        let problem = "the MCP session is unknown or has ended: initialise again";
        return Ok(rpc_error(StatusCode::NOT_FOUND, None, INVALID_REQUEST, problem));
    };
    let exchange = Exchange { app: app.clone(), credential: credential.clone(), route, open, client: None };
    if method == Method::POST {
        return exchange.post(&headers, &body, session).await;
    }
    exchange.other(&method, &headers).await
}

/// Whether the upstream knows the revision that this request is of not at all.
async fn needs_bridge(
    app: &App,
    credential: &Credential,
    name: &UpstreamName,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<bool> {
    if headers.contains_key(SESSION_ID) {
        return Ok(false);
    }
    let Ok(Ok(message)) = std::str::from_utf8(body).map(Message::read) else { return Ok(false) };
    let modern = message.is_modern();
    if !modern && !message.is("initialize") {
        return Ok(false);
    }
    let cx = app.shared.haldir.watch_proxy(credential)?;
    let reach = proxied::reach(&cx, name)?;
    // Where that is not known, the upstream speaks for itself.
    let Some(revisions) = reach.link.revisions().await else { return Ok(false) };
    Ok(if modern { !revisions.modern } else { !revisions.with_handshake })
}

struct Exchange {
    app: App,
    credential: Credential,
    route: Route,
    open: Open,
    /// Who begins a protocol session with this request.
    client: Option<Client>,
}

/// A `tools/call` of a client.
struct Calling {
    headers: HeaderMap,
    /// The message, as it was written.
    text: String,
    id: String,
    modern: bool,
    /// The session that the request names.
    session: Option<String>,
    /// What the person at the client has decided on it, and whether they were asked.
    decided: Option<Decided>,
    asked: bool,
}

impl Exchange {
    async fn post(mut self, headers: &HeaderMap, body: &Bytes, session: Option<String>) -> Result<Response> {
        let read = std::str::from_utf8(body).map_err(|_| (message::PARSE_ERROR, "this is no UTF-8".to_owned()));
        let read = read.and_then(|text| Message::read(text).map(|message| (message, text)));
        let (message, text) = match read {
            Ok(read) => read,
            Err((code, problem)) => return Ok(rpc_error(StatusCode::BAD_REQUEST, None, code, &problem)),
        };
        if self.open.hear(&message) {
            return Ok(respond::json(202, String::new()));
        }
        self.client = message.is("initialize").then(|| message.speaker());
        let id = message.request_id().map(str::to_owned);
        let modern = message.is_modern() || is_modern(headers);
        let mut passing = Passing {
            governor: Arc::clone(&self.route.governor),
            call: None,
            list: id.clone().filter(|_| message.is("tools/list")),
            open: self.open.clone(),
            until: Some(Instant::now() + self.app.shared.call_timeout),
            turn: None,
        };
        if message.is("subscriptions/listen") {
            passing.until = None;
        }
        if !message.is("tools/call") {
            if let Some(id) = id.as_deref().filter(|_| passing.until.is_some()) {
                match self.route.link.enter().await {
                    Ok(turn) => passing.turn = Some(turn),
                    Err(busy) => {
                        return Ok(rpc_error(StatusCode::BAD_GATEWAY, Some(id), INTERNAL_ERROR, &busy.message));
                    }
                }
            }
            return self.send(Method::POST, headers, Some(message.text()), passing, modern).await;
        }
        // A call without an id would be one without an answer.
        let Some(id) = id else { return Ok(respond::json(202, String::new())) };
        let (headers, text) = (headers.clone(), text.to_owned());
        self.call(Calling { headers, text, id, modern, session, decided: None, asked: false }).await
    }

    async fn call(self, calling: Calling) -> Result<Response> {
        let Calling { headers, text, id, modern, session, decided, asked } = &calling;
        let message = Message::read(text).map_err(|(_, problem)| Error::internal(problem))?;
        let call = match Call::read(message.params) {
            Ok(call) => call,
            Err((code, problem)) => return Ok(rpc_error(StatusCode::BAD_REQUEST, Some(id), code, &problem)),
        };
        if let Some(header) = mismatch(headers, &call.name) {
            let problem = format!("the header {header} does not say what the body says");
            return Ok(rpc_error(StatusCode::BAD_REQUEST, Some(id), HEADER_MISMATCH, &problem));
        }
        let arguments = call.arguments.map_or("{}", |arguments| arguments.get()).to_owned();
        let session = call.session.clone().or(session.clone());
        let decided = decided.clone().or_else(|| call.decided(&message));
        let asks = !asked
            && call.answered.is_none()
            && if *modern { message.speaker().can_ask } else { self.can_ask(headers) };
        let asking = Asked { tool: call.name.clone(), arguments, session, decided, offered: None, asks };
        let decision = match self.route.governor.admit(asking).await {
            Err(error) if matches!(error.code, Code::Unauthorized | Code::RateLimited) => return Err(error),
            Err(error) => Decision::of(&error),
            Ok(Decision::Ask { question, held, .. }) if *modern => {
                let (asked, undecided) = (call.answered.is_some(), matches!(call.answered, Some((_, Answer::None))));
                match call.asking(&question).filter(|_| !asked && message.speaker().can_ask) {
                    Some(result) => return Ok(respond::json(200, message::response(id, &result))),
                    None => Decision::Told {
                        text: held.text_after(if undecided { UNDECIDED } else { "" }),
                        is_error: false,
                    },
                }
            }
            Ok(Decision::Ask { question, held, within }) if !asked && self.can_ask(headers) => match self.open.ask() {
                Some(ask) => return dialog::begin(self, calling, ask, &question, held, within),
                None => Decision::Told { text: held.text(), is_error: false },
            },
            Ok(decision) => decision,
        };
        let admitted = match decision.admitted(id, *modern) {
            Ok(admitted) => admitted,
            Err(response) => return Ok(respond::json(200, response)),
        };
        if let Some(redact) = admitted.redact {
            self.open.redact(redact);
        }
        let text = call.forwarded(id, &admitted.arguments);
        let passing = Passing {
            governor: Arc::clone(&self.route.governor),
            call: Some((id.clone(), admitted.report)),
            list: None,
            open: self.open.clone(),
            until: Some(Instant::now() + self.app.shared.call_timeout),
            turn: None,
        };
        self.send(Method::POST, headers, Some(text), passing, *modern).await
    }

    /// Whether the person at the client can be asked in the answer to a request: an event stream, to which the client
    /// answers within the same protocol session.
    fn can_ask(&self, headers: &HeaderMap) -> bool {
        headers.contains_key(SESSION_ID) && mcp::accepts_events(headers) && self.open.client().can_ask
    }

    async fn other(self, method: &Method, headers: &HeaderMap) -> Result<Response> {
        let passing = Passing {
            governor: Arc::clone(&self.route.governor),
            call: None,
            list: None,
            open: self.open.clone(),
            until: None,
            turn: None,
        };
        let ends = (method == Method::DELETE).then(|| headers.get(SESSION_ID).cloned()).flatten();
        let (app, name) = (self.app.clone(), self.route.name.clone());
        let response = self.send(method.clone(), headers, None, passing, false).await?;
        if let (Some(id), true) = (ends, response.status() != StatusCode::METHOD_NOT_ALLOWED) {
            app.shared.upstream_sessions.end(name.as_str(), &id);
        }
        Ok(response)
    }
}

/// Reports that a call was refused as a request; answers its id.
fn not_carried_out(passing: &mut Passing, why: &'static str) -> Option<String> {
    let (id, report) = passing.call.take()?;
    report.send(Outcome::Unsent(why));
    Some(id)
}

fn rpc_error(status: StatusCode, id: Option<&str>, code: i32, problem: &str) -> Response {
    respond::json(status.as_u16(), message::error(id, code, problem))
}
