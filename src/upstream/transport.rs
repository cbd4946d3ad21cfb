//! Streamable HTTP to an upstream, for rmcp's client: allowed addresses only, no redirect to another origin, and no more
//! bytes than allowed.

mod session;
mod stream;
mod wire;

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::stream::BoxStream;
use http::{HeaderName, HeaderValue, StatusCode, header};
use reqwest::{Method, Response};
use rmcp::{
    model::{ClientJsonRpcMessage, ClientRequest, ErrorData, RequestId, ServerJsonRpcMessage},
    transport::streamable_http_client::{
        SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
    },
};
use serde::Deserialize;
use sse_stream::Sse;
use zeroize::Zeroizing;

pub(super) use session::Refusals;
use stream::{Asked, answering, events};
pub(super) use wire::WireError;
use wire::{Failed, Wire, body, is_kind};

use super::{
    UpstreamLimits,
    capture::{Exact, error_in, same, token},
    floor::{Floor, Taken},
    link::LONGEST,
    replies::{Owed, Replies},
};
use crate::{
    error::Result,
    outbound::Outbound,
    protocol::{
        header::{LAST_EVENT_ID, SESSION_ID},
        revision::is_without_handshake,
    },
};

/// How long the stream of notifications stays open before it is opened anew.
const LISTEN: Duration = Duration::from_secs(3_600);
/// Bytes of an answer that reports a failure.
const MAX_ERROR_BYTES: usize = 65_536;
/// Characters of it that are kept.
const EXCERPT_CHARS: usize = 500;

#[derive(Clone)]
pub(super) struct Transport {
    wire: Wire,
    limits: UpstreamLimits,
    known: KnownVersions,
    refusals: Refusals,
    floor: Floor,
    replies: Replies<Arc<Address>>,
}

/// Where what a server asks is answered.
struct Address {
    uri: Arc<str>,
    session: Option<Arc<str>>,
    headers: HashMap<HeaderName, HeaderValue>,
}

/// How what a server asks is answered: by a request of its own.
struct Answers {
    floor: Floor,
    replies: Replies<Arc<Address>>,
    address: Arc<Address>,
}

impl Answers {
    /// Whether a message that is no answer was taken, rather than for rmcp to see; an error if the server does not take
    /// its answers. While there is no room for another, nothing is read.
    async fn take(&self, text: &str, stream: Option<&RequestId>) -> Result<bool, SseError> {
        let owed = match self.floor.heard(text, stream) {
            Taken::Passes => return Ok(false),
            Taken::Done => return Ok(true),
            Taken::Refused(response) => Owed::Now(response),
            Taken::Asked(asked) => Owed::Later(asked),
        };
        if self.replies.put(Arc::clone(&self.address), owed).await {
            return Ok(true);
        }
        Err(SseError::Body(Box::new(WireError::Http("it does not take the answers to its questions".to_owned()))))
    }
}

/// The revisions that an upstream has answered to `server/discover`.
#[derive(Clone, Default)]
pub(super) struct KnownVersions(Arc<Mutex<Vec<String>>>);

impl KnownVersions {
    fn read(&self, answer: &str) {
        #[derive(Deserialize)]
        struct Answer {
            result: Discovered,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Discovered {
            supported_versions: Vec<String>,
        }
        if let Ok(Answer { result }) = serde_json::from_str(answer) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = result.supported_versions;
        }
    }

    /// Whether it named one with a handshake, or none at all.
    pub(super) fn has_handshake(&self) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.is_empty() || known.iter().any(|version| !is_without_handshake(version))
    }
}

impl Transport {
    pub(super) fn new(
        (outbound, url): (Outbound, &str),
        limits: UpstreamLimits,
        (known, refusals): (KnownVersions, Refusals),
        floor: Floor,
    ) -> Result<Self> {
        let client = outbound.client_to(&outbound.parse(url)?, limits.call_timeout.max(limits.start_timeout))?;
        let wire = Wire { client, outbound };
        let with = wire.clone();
        let replies = Replies::new(floor.clone(), move |to: Arc<Address>, text: String| {
            let wire = with.clone();
            async move {
                let build = |url| {
                    let request = wire.request(Method::POST, url, to.session.as_deref(), &to.headers);
                    request.header(header::CONTENT_TYPE, "application/json").body(text.clone())
                };
                if let Err(error) = wire.send(&to.uri, build).await {
                    tracing::debug!(%error, "an answer did not reach the upstream");
                }
            }
        });
        Ok(Self { wire, limits, known, refusals, floor, replies })
    }

    fn answers(&self, uri: Arc<str>, session: Option<Arc<str>>, headers: HashMap<HeaderName, HeaderValue>) -> Answers {
        let address = Arc::new(Address { uri, session, headers });
        Answers { floor: self.floor.clone(), replies: self.replies.clone(), address }
    }

    /// Asks for the stream of what belongs to no request, or for the one that goes on after an event.
    async fn listen(
        &self,
        uri: &str,
        session: Option<&str>,
        last_event: Option<&str>,
        headers: &HashMap<HeaderName, HeaderValue>,
    ) -> Result<Response, Failed> {
        let build = |url| {
            let request = self.wire.request(Method::GET, url, session, headers).timeout(LISTEN);
            match last_event {
                Some(id) => request.header(LAST_EVENT_ID, id),
                None => request,
            }
        };
        self.wire.send(uri, build).await
    }
}

/// The error that a message in the answer to a request is: the answer to that request, whatever id it bears.
fn refused(text: &str, id: &RequestId, exact: Option<&Exact>) -> Option<ServerJsonRpcMessage> {
    let (written, error) = error_in(text)?;
    if let Some(exact) = exact {
        exact.refused(written);
    }
    Some(ServerJsonRpcMessage::error(error, Some(id.clone())))
}

/// The message that a body is, which answers the request of this id; what rmcp must not see of an answer that is wanted as
/// it was written is kept from it. An error is the answer to the request whatever id it bears; anything else that bears
/// another id is none, and nothing more will come.
fn answer(body: &[u8], id: Option<&RequestId>, exact: Option<&Exact>) -> Option<ServerJsonRpcMessage> {
    let text = std::str::from_utf8(body).ok()?;
    let Some(id) = id else { return serde_json::from_str(text).ok() };
    let shown = exact.and_then(|exact| exact.keep(id, text));
    if shown.is_none()
        && let Some(refused) = refused(text, id, exact)
    {
        return Some(refused);
    }
    match serde_json::from_str(shown.as_deref().unwrap_or(text)).ok()? {
        ServerJsonRpcMessage::Response(response) if !same(&response.id, id) => None,
        message => Some(message),
    }
}

/// An answer that is no success: a JSON-RPC error if it holds one, which tells more than the status.
async fn not_well(
    response: Response,
    message: &ClientJsonRpcMessage,
    exact: Option<&Exact>,
) -> Result<StreamableHttpPostResponse, Failed> {
    let status = response.status();
    let is_json = is_kind(&response, "application/json");
    let text = body(response, MAX_ERROR_BYTES).await.unwrap_or_default();
    let excerpt: String = String::from_utf8_lossy(&text).chars().take(EXCERPT_CHARS).collect();
    let excerpt = excerpt.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let failed = || Failed::from(WireError::Status(status.as_u16(), excerpt));
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
        return Err(failed());
    }
    let ClientJsonRpcMessage::Request(request) = message else { return Err(failed()) };
    let told = std::str::from_utf8(&text).ok().filter(|_| is_json);
    let told = told.and_then(|text| refused(text, &request.id, exact));
    // A server from before `server/discover` refuses it in its own way; the handshake then goes back to `initialize`.
    let is_discovery = matches!(request.request, ClientRequest::DiscoverRequest(_)) && status.is_client_error();
    let in_its_way = || {
        let error = ErrorData::invalid_request(format!("HTTP {status}"), None);
        ServerJsonRpcMessage::error(error, Some(request.id.clone()))
    };
    match told.or_else(|| is_discovery.then(in_its_way)) {
        Some(error) => Ok(StreamableHttpPostResponse::Json(error, None)),
        None => Err(failed()),
    }
}

impl StreamableHttpClient for Transport {
    type Error = WireError;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        let exact = Exact::of(&message);
        let id = match &message {
            ClientJsonRpcMessage::Request(request) => Some(request.id.clone()),
            _ => None,
        };
        let sent = match &exact {
            Some((exact, id)) => {
                if let Some(place) = exact.place() {
                    self.floor.sent(place, id, token(&message));
                }
                exact.body(&message)?
            }
            None => Zeroizing::new(serde_json::to_string(&message)?),
        };
        let is_listening = matches!(&message, ClientJsonRpcMessage::Request(request)
            if matches!(request.request, ClientRequest::SubscriptionsListenRequest(_)));
        let is_call = exact.as_ref().is_some_and(|(exact, _)| exact.place().is_some());
        let session = session_id.as_deref();
        let build = |url| {
            let request = self.wire.request(Method::POST, url, session, &custom_headers);
            let request = request.header(header::CONTENT_TYPE, "application/json").body(sent.to_string());
            // Progress gives it time, and somebody may be asked in the middle of it: who waits for it keeps the time.
            match (is_call, is_listening) {
                (true, _) => request.timeout(LONGEST.max(self.limits.call_timeout)),
                (_, true) => request.timeout(LISTEN),
                _ => request,
            }
        };
        let leaving = exact.as_ref().map(|(exact, _)| exact.leave());
        let sent = self.wire.send(&uri, build).await;
        if let (Some(leaving), Err(error)) = (leaving, &sent)
            && wire::is_unsent(error)
        {
            leaving.has_not_left();
        }
        let response = sent?;
        let status = response.status();
        if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        if !status.is_success() {
            if let Some(session) = session
                && status.is_client_error()
                && self.has_ended(status, &uri, session, &custom_headers).await
            {
                return Err(StreamableHttpError::SessionExpired);
            }
            self.refusals.count(status.is_server_error() && session.is_some());
            return not_well(response, &message, exact.as_ref().map(|(exact, _)| exact)).await;
        }
        self.refusals.count(false);
        let wants_answer = id.is_some();
        let exact = exact.map(|(exact, _)| exact);
        let given = response.headers().get(SESSION_ID).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let most = self.limits.answer_bytes;
        let discovers = matches!(&message, ClientJsonRpcMessage::Request(request)
            if matches!(request.request, ClientRequest::DiscoverRequest(_)));
        let discovers = discovers.then(|| self.known.clone());
        if is_kind(&response, "text/event-stream") {
            let session = session_id.clone().or_else(|| given.as_deref().map(Arc::from));
            let answers = self.answers(uri, session, custom_headers);
            let events = match id {
                Some(id) => answering(self.clone(), response, Asked { id, exact, known: discovers }, answers),
                None => events(response, most, answers),
            };
            return Ok(StreamableHttpPostResponse::Sse(events, given));
        }
        if !is_kind(&response, "application/json") {
            if !wants_answer {
                return Ok(StreamableHttpPostResponse::Accepted);
            }
            let stated = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            return Err(StreamableHttpError::UnexpectedContentType(stated.map(str::to_owned)));
        }
        let body = body(response, most).await?;
        if let (Some(known), Ok(text)) = (&discovers, std::str::from_utf8(&body)) {
            known.read(text);
        }
        match answer(&body, id.as_ref(), exact.as_ref()) {
            Some(message) => Ok(StreamableHttpPostResponse::Json(message, given)),
            None if !wants_answer => Ok(StreamableHttpPostResponse::Accepted),
            None => {
                let problem = "it holds no JSON-RPC response to the request";
                Err(StreamableHttpError::UnexpectedServerResponse(Cow::Borrowed(problem)))
            }
        }
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), Failed> {
        let build = |url| self.wire.request(Method::DELETE, url, Some(&session_id), &custom_headers);
        // One that keeps its sessions to itself says 405; there is nothing to be done about any other answer.
        self.wire.send(&uri, build).await.map(drop)
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        _auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failed> {
        let response = self.listen(&uri, session_id.as_deref(), last_event_id.as_deref(), &custom_headers).await?;
        if !response.status().is_success() || !is_kind(&response, "text/event-stream") {
            return Err(StreamableHttpError::ServerDoesNotSupportSse);
        }
        let answers = self.answers(uri, session_id, custom_headers);
        Ok(events(response, self.limits.answer_bytes, answers))
    }
}
