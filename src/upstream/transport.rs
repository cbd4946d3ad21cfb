//! Streamable HTTP to an upstream, for rmcp's client: allowed addresses only, no redirect to another origin, and no more
//! bytes than allowed.

mod wire;

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream::BoxStream};
use http::{HeaderName, HeaderValue, StatusCode, header};
use reqwest::{Method, Response};
use rmcp::{
    model::{ClientJsonRpcMessage, ClientRequest, ErrorData, RequestId, ServerJsonRpcMessage},
    transport::streamable_http_client::{
        SseError, StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
    },
};
use serde::Deserialize;
use sse_stream::{Sse, SseStream};
use zeroize::Zeroizing;

pub(super) use wire::WireError;
use wire::{Failed, SESSION, Wire, body, is_kind, pieces};

use super::{
    UpstreamLimits,
    capture::{Exact, token},
    floor::{Floor, Taken},
    link::MOST,
    replies::{Owed, Replies},
};
use crate::{error::Result, outbound::Outbound};

/// How long the stream of notifications stays open before it is opened anew.
const LISTEN: Duration = Duration::from_secs(3_600);
/// Bytes of an answer that reports a failure.
const MAX_ERROR_BYTES: usize = 65_536;
/// Characters of it that are kept.
const EXCERPT_CHARS: usize = 500;

/// The first revision without a handshake.
const FIRST_WITHOUT_HANDSHAKE: &str = "2026-07-28";

const LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");

#[derive(Clone)]
pub(super) struct Transport {
    wire: Wire,
    limits: UpstreamLimits,
    known: KnownVersions,
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
        known.is_empty() || known.iter().any(|version| version.as_str() < FIRST_WITHOUT_HANDSHAKE)
    }
}

impl Transport {
    pub(super) fn new(outbound: Outbound, limits: UpstreamLimits, known: KnownVersions, floor: Floor) -> Result<Self> {
        let wire = Wire { client: outbound.client(limits.call_timeout)?, outbound };
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
        Ok(Self { wire, limits, known, floor, replies })
    }

    fn answers(&self, uri: Arc<str>, session: Option<Arc<str>>, headers: HashMap<HeaderName, HeaderValue>) -> Answers {
        let address = Arc::new(Address { uri, session, headers });
        Answers { floor: self.floor.clone(), replies: self.replies.clone(), address }
    }
}

fn events(
    response: Response,
    most: usize,
    exact: Option<(Exact, RequestId)>,
    known: Option<KnownVersions>,
    answers: Answers,
) -> BoxStream<'static, Result<Sse, SseError>> {
    let events = SseStream::from_bytes_stream(pieces(response, most));
    let kept = Arc::new((exact, known, answers));
    events
        .then(move |event| {
            let kept = Arc::clone(&kept);
            async move {
                let (exact, known, answers) = &*kept;
                let mut event = event?;
                if let (Some(known), Some(data)) = (known, &event.data) {
                    known.read(data);
                }
                let Some(data) = &event.data else { return Ok(event) };
                let shown = exact.as_ref().and_then(|(exact, id)| exact.keep(id, data));
                if shown.is_some() {
                    event.data = shown;
                } else if answers.take(data, exact.as_ref().map(|(_, id)| id)).await? {
                    event.data = None;
                }
                Ok(event)
            }
        })
        .boxed()
}

/// The message that a body is; what rmcp must not see of an answer that is wanted as it was written is kept from it.
fn answer(body: &[u8], exact: Option<&(Exact, RequestId)>) -> Option<ServerJsonRpcMessage> {
    let shown = match (exact, std::str::from_utf8(body)) {
        (Some((exact, id)), Ok(text)) => exact.keep(id, text),
        _ => None,
    };
    serde_json::from_slice(shown.as_ref().map_or(body, |shown| shown.as_bytes())).ok()
}

/// An answer that is no success: a JSON-RPC error if it holds one, which tells more than the status.
async fn not_well(
    response: Response,
    message: &ClientJsonRpcMessage,
    in_session: bool,
) -> Result<StreamableHttpPostResponse, Failed> {
    let status = response.status();
    if status == StatusCode::NOT_FOUND && in_session {
        return Err(StreamableHttpError::SessionExpired);
    }
    let is_json = is_kind(&response, "application/json");
    let text = body(response, MAX_ERROR_BYTES).await.unwrap_or_default();
    let excerpt: String = String::from_utf8_lossy(&text).chars().take(EXCERPT_CHARS).collect();
    let excerpt = excerpt.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let failed = || Failed::from(WireError::Status(status.as_u16(), excerpt));
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
        return Err(failed());
    }
    let told = match serde_json::from_slice::<ServerJsonRpcMessage>(&text) {
        Ok(ServerJsonRpcMessage::Error(error)) if is_json => Some(error),
        _ => None,
    };
    // A server from before `server/discover` refuses it in its own way; the handshake then goes back to `initialize`.
    if let (ClientJsonRpcMessage::Request(request), true) = (message, status.is_client_error())
        && matches!(request.request, ClientRequest::DiscoverRequest(_))
    {
        let error = told.map_or_else(|| ErrorData::invalid_request(format!("HTTP {status}"), None), |told| told.error);
        let answer = ServerJsonRpcMessage::error(error, Some(request.id.clone()));
        return Ok(StreamableHttpPostResponse::Json(answer, None));
    }
    match told {
        Some(error) => Ok(StreamableHttpPostResponse::Json(ServerJsonRpcMessage::Error(error), None)),
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
        let has_listener = exact.as_ref().is_some_and(|(exact, _)| exact.place().is_some());
        let session = session_id.as_deref();
        let build = |url| {
            let request = self.wire.request(Method::POST, url, session, &custom_headers);
            let request = request.header(header::CONTENT_TYPE, "application/json").body(sent.to_string());
            // Somebody may be asked in the middle of it; who waits for it keeps the time.
            match (has_listener, is_listening) {
                (true, _) => request.timeout(MOST),
                (_, true) => request.timeout(LISTEN),
                _ => request,
            }
        };
        let response = self.wire.send(&uri, build).await?;
        let status = response.status();
        if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        if !status.is_success() {
            return not_well(response, &message, session.is_some()).await;
        }
        let wants_answer = matches!(message, ClientJsonRpcMessage::Request(_));
        let given = response.headers().get(SESSION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let most = self.limits.answer_bytes;
        let discovers = matches!(&message, ClientJsonRpcMessage::Request(request)
            if matches!(request.request, ClientRequest::DiscoverRequest(_)));
        let discovers = discovers.then(|| self.known.clone());
        if is_kind(&response, "text/event-stream") {
            let session = session_id.clone().or_else(|| given.as_deref().map(Arc::from));
            let answers = self.answers(uri, session, custom_headers);
            return Ok(StreamableHttpPostResponse::Sse(events(response, most, exact, discovers, answers), given));
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
        match answer(&body, exact.as_ref()) {
            Some(message) => Ok(StreamableHttpPostResponse::Json(message, given)),
            None if !wants_answer => Ok(StreamableHttpPostResponse::Accepted),
            None => Err(StreamableHttpError::UnexpectedServerResponse(Cow::Borrowed("no JSON-RPC message"))),
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
        let build = |url| {
            let request = self.wire.request(Method::GET, url, session_id.as_deref(), &custom_headers).timeout(LISTEN);
            match &last_event_id {
                Some(id) => request.header(LAST_EVENT, id),
                None => request,
            }
        };
        let response = self.wire.send(&uri, build).await?;
        if !response.status().is_success() || !is_kind(&response, "text/event-stream") {
            return Err(StreamableHttpError::ServerDoesNotSupportSse);
        }
        let answers = self.answers(uri, session_id, custom_headers);
        Ok(events(response, self.limits.answer_bytes, None, None, answers))
    }
}
