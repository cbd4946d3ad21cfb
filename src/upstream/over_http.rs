//! An upstream over streamable HTTP: every message of the client is an HTTP request, and what comes back is passed on
//! message by message.

mod answer;
#[cfg(test)]
mod tests;

pub use answer::whole;

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use parking_lot::Mutex;
use reqwest::Url;
use serde_json::value::RawValue;
use tokio::{sync::mpsc, task::AbortHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    Failure, FailureKind, Gate,
    dispatcher::{Sink, TAKEN_WITHIN},
};
use crate::{
    outbound::http_client::{HttpClient, SendError, UpstreamResponse},
    protocol::{
        Message, edit,
        header::{
            ACCEPT_BOTH, EVENT_STREAM, JSON, METHOD, NAME, PROTOCOL_VERSION, SESSION_ID, encoded, is_kind, mirrored,
        },
        page::ToolPage,
        revision::FIRST_WITHOUT_HANDSHAKE,
    },
};

/// Redirects that are followed, within one origin.
const MAX_REDIRECTS: usize = 3;
/// How often the stream of messages that belong to no request is opened again. The pause before grows up to the longest.
const MAX_LISTENS: u32 = 1_000;
const LISTEN_PAUSE: Duration = Duration::from_secs(1);
const MAX_LISTEN_PAUSES: u32 = 30;
/// How long such a stream, or a subscription, stays open before it is opened anew.
const LISTEN: Duration = Duration::from_secs(3_600);
/// How long the end of a session may take.
const GOODBYE: Duration = Duration::from_secs(5);
/// How long messages wait until the upstream has answered the request for that stream.
const LISTENED_WITHIN: Duration = Duration::from_secs(2);
/// How long an upstream has to say whether it knows a session, or which transport it has.
const ASKED_WITHIN: Duration = Duration::from_secs(5);
/// Requests of a session in a row that end in a 5xx status, after which the session is begun anew: some servers answer an
/// unknown session so.
const MAX_FAULTS: u32 = 3;
/// Tools whose arguments are mirrored in headers.
const MAX_MIRRORED: usize = 1_000;

pub(super) const REDIRECTED: &str = "it redirects to another address: register that one, if it is meant";
/// How requests end that are in flight when a session ends.
pub(super) const SESSION_OVER: &str = "its session is over";
const COMPRESSED: &str = "it compresses its answers although it was asked not to";
const FORGOTTEN: &str = "it has forgotten the session, as it does when it is started again: call again";

/// Where it is, and within which bounds.
#[derive(Clone)]
pub struct HttpUpstream {
    /// Follows no redirect, and connects to allowed addresses only.
    pub client: HttpClient,
    /// The address.
    pub url: Url,
    /// Headers of every request.
    pub headers: HeaderMap,
    /// How long a request may take, from its beginning or its newest progress.
    pub call_timeout: Duration,
    /// The largest message.
    pub answer_bytes: usize,
    /// What each request passes; `None` where it has passed already.
    pub gate: Option<Arc<Gate>>,
}

/// What a request is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Initialize,
    Call,
    /// It stays open, and counts as no call.
    Subscription,
    Other,
}

#[derive(Default)]
struct State {
    session: Option<HeaderValue>,
    version: Option<String>,
    /// From `initialize` until `notifications/initialized` is sent, which no request may overtake.
    is_handshaking: bool,
    /// Requests in flight: what ends them here, and what says that their client has cancelled them.
    in_flight: HashMap<String, (AbortHandle, CancellationToken)>,
    /// Requests in a row that were answered with a 5xx status.
    faults: u32,
    /// Definitions of listed tools whose arguments are mirrored in headers.
    mirrors: HashMap<String, String>,
}

impl State {
    /// Counts faults in a row; whether the session is to be begun anew.
    fn count(&mut self, is_fault: bool) -> bool {
        self.faults = if is_fault && self.session.is_some() { self.faults + 1 } else { 0 };
        self.faults >= MAX_FAULTS
    }
}

/// One connection.
pub(super) struct Session {
    upstream: HttpUpstream,
    state: Mutex<State>,
    sink: Sink,
    /// Ends it; cancelled too once it has ended by itself.
    pub(super) stop: CancellationToken,
}

impl HttpUpstream {
    /// Serves a connection until `stop`. Besides `messages`, [`Session::send_request`] takes requests.
    pub(super) fn start(
        &self,
        messages: mpsc::Receiver<Zeroizing<String>>,
        sink: Sink,
        stop: CancellationToken,
    ) -> Arc<Session> {
        let session = Arc::new(Session { upstream: self.clone(), state: Mutex::default(), sink, stop });
        tokio::spawn(Arc::clone(&session).send_all(messages));
        session
    }

    /// Sends a request, and follows redirects that stay within the operator's origin.
    async fn send(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
        within: Duration,
    ) -> Result<UpstreamResponse, Failure> {
        let request = (method, headers, body);
        let answer = send(&self.client, &self.url, &request, within).await?;
        let coding = answer.headers().get(header::CONTENT_ENCODING);
        if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err(Failure::new(FailureKind::Unavailable, COMPRESSED));
        }
        Ok(answer)
    }

    /// Whether an upstream that takes no message at this address serves there the event stream with which the transport of
    /// 2024-11-05 (HTTP+SSE) begins.
    pub(super) async fn is_of_2024(&self) -> bool {
        let mut headers = self.headers.clone();
        headers.insert(header::ACCEPT, HeaderValue::from_static(EVENT_STREAM));
        let asked = timeout(ASKED_WITHIN, async {
            let answer = self.send(Method::GET, headers, Bytes::new(), ASKED_WITHIN).await.ok()?;
            answer::first_event(answer, self.answer_bytes).await
        });
        asked.await.ok().flatten().is_some_and(|event| event.kind.as_deref() == Some("endpoint"))
    }
}

/// Sends a request, and follows redirects that stay within the origin of `url`. Only what the first address did not get is
/// unsent.
pub async fn send(
    client: &HttpClient,
    url: &Url,
    (method, headers, body): &(Method, HeaderMap, Bytes),
    within: Duration,
) -> Result<UpstreamResponse, Failure> {
    let mut url = url.clone();
    for redirects in 0..=MAX_REDIRECTS {
        let request = (method.clone(), headers.clone(), body.clone());
        let answer = client.send(&url, request, within).await.map_err(|unanswered| match unanswered {
            SendError::Unreachable(why) if redirects == 0 => {
                Failure::unsent(FailureKind::Unavailable, format!("could not connect: {why}"))
            }
            SendError::TimedOut => Failure::new(FailureKind::TimedOut, "no answer in time"),
            SendError::Unreachable(_) | SendError::BrokeOff => {
                Failure::new(FailureKind::Unavailable, "the connection broke off")
            }
        })?;
        if !answer.status().is_redirection() || answer.status() == StatusCode::NOT_MODIFIED {
            return Ok(answer);
        }
        let is_followed = matches!(answer.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
        let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let target = location.and_then(|location| url.join(location).ok());
        let target = target.filter(|target| is_followed && target.origin() == url.origin());
        url = target.ok_or_else(|| Failure::new(FailureKind::Unavailable, REDIRECTED))?;
    }
    Err(Failure::new(FailureKind::Unavailable, REDIRECTED))
}

impl Session {
    async fn send_all(self: Arc<Self>, mut messages: mpsc::Receiver<Zeroizing<String>>) {
        loop {
            let text = tokio::select! {
                () = self.stop.cancelled() => break,
                text = messages.recv() => match text {
                    Some(text) => text,
                    None => break,
                },
            };
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = self.take(text) => {}
            }
        }
        // Closed first: a request that is made now belongs to the next connection.
        drop(messages);
        self.end().await;
    }

    /// Sends a request in a task on the caller's runtime: no wake-up crosses threads, since each worker thread has an HTTP
    /// client of its own. `false` during the handshake: the queue then keeps the request behind `notifications/initialized`.
    pub(super) fn send_request(self: &Arc<Self>, text: &str) -> bool {
        let Some(message) = Message::read(text).ok().filter(|_| !self.state.lock().is_handshaking) else {
            return false;
        };
        self.begin(&message, text)
    }

    /// Begins a request, with its own task; `false` if the message is none.
    fn begin(self: &Arc<Self>, message: &Message<'_>, text: &str) -> bool {
        let Some(id) = message.request_id().map(str::to_owned) else { return false };
        let kind = match message.method.as_deref() {
            Some("initialize") => Kind::Initialize,
            Some("tools/call") => Kind::Call,
            Some("subscriptions/listen") => Kind::Subscription,
            _ => Kind::Other,
        };
        let (headers, body) = (self.headers(message), Bytes::copy_from_slice(text.as_bytes()));
        let (session, known, cancelled) = (Arc::clone(self), id.clone(), CancellationToken::new());
        let is_cancelled = cancelled.clone();
        // Locked until it stands there: its task takes it out, and `end` aborts after the stop what stands there.
        let mut state = self.state.lock();
        if self.stop.is_cancelled() {
            // The requests in flight fail with the session.
            return true;
        }
        state.is_handshaking |= kind == Kind::Initialize;
        let request = tokio::spawn(async move {
            session.request(&known, headers, body, kind, &is_cancelled).await;
            session.state.lock().in_flight.remove(&known);
        });
        state.in_flight.insert(id, (request.abort_handle(), cancelled));
        true
    }

    async fn take(self: &Arc<Self>, text: Zeroizing<String>) {
        let Ok(message) = Message::read(&text) else { return };
        if self.begin(&message, &text) {
            return;
        }
        let (headers, body) = (self.headers(&message), Bytes::copy_from_slice(text.as_bytes()));
        if message.is("notifications/cancelled")
            && let Some((request, cancelled)) =
                message.cancelled_id().and_then(|id| self.state.lock().in_flight.remove(&id))
        {
            // From 2026-07-28 on the end of the stream cancels a request.
            if self.is_modern() {
                return request.abort();
            }
            // A stream that ends now is not resumed: no answer is to come.
            cancelled.cancel();
        }
        let begins = message.is("notifications/initialized");
        // A notification that does not arrive is lost, as on a pipe that breaks.
        match timeout(TAKEN_WITHIN, self.send(Method::POST, headers, body, self.upstream.call_timeout)).await {
            Ok(Ok(_)) => {}
            Ok(Err(failure)) => tracing::debug!(problem = failure.message, "a message did not reach the upstream"),
            Err(_) if message.method.is_some() => tracing::debug!("an upstream does not take a notification"),
            Err(_) => {
                tracing::warn!("an upstream does not take the answers to its requests; its connection is ended");
                return self.stop.cancel();
            }
        }
        if begins {
            // Requests of the upstream during a call may come on that stream: no call overtakes it.
            let listening = CancellationToken::new();
            tokio::spawn(Arc::clone(self).listen(listening.clone().drop_guard()));
            let _ = timeout(LISTENED_WITHIN, listening.cancelled()).await;
            self.state.lock().is_handshaking = false;
        }
    }

    fn is_modern(&self) -> bool {
        let state = self.state.lock();
        state.session.is_none() && state.version.is_none()
    }

    /// Headers that repeat what the body says.
    fn headers(&self, message: &Message<'_>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
        headers.insert(header::ACCEPT, ACCEPT_BOTH);
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let mut put = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        if !message.is_modern() {
            if let Some(version) = &self.state.lock().version {
                put(PROTOCOL_VERSION, version);
            }
            return headers;
        }
        put(PROTOCOL_VERSION, FIRST_WITHOUT_HANDSHAKE);
        let method = message.method.as_deref().unwrap_or_default();
        put(METHOD, method);
        let Some(name) = message.text_param(if method == "resources/read" { "uri" } else { "name" }) else {
            return headers;
        };
        put(NAME, &encoded(&name));
        let definition = self.state.lock().mirrors.get(&name).filter(|_| method == "tools/call").cloned();
        let arguments = message.param("arguments").map_or("{}", RawValue::get);
        for (name, value) in definition.into_iter().flat_map(|definition| mirrored(&definition, arguments)) {
            if let (Ok(name), Some(value)) = (name.parse(), value) {
                put(name, &encoded(&value));
            }
        }
        headers
    }

    /// Remembers the definitions of tools whose arguments are mirrored in headers.
    fn learn_mirrors(&self, message: &Message<'_>) {
        let Some(result) = message.result.filter(|result| result.get().contains(crate::protocol::header::MIRRORED))
        else {
            return;
        };
        let Ok(page) = serde_json::from_str::<ToolPage<'_>>(result.get()) else { return };
        let mut state = self.state.lock();
        for tool in page.tools {
            let name = edit::member(Some(tool), "name").and_then(|name| serde_json::from_str(name.get()).ok());
            if let Some(name) = name.filter(|_| state.mirrors.len() < MAX_MIRRORED) {
                state.mirrors.insert(name, tool.get().to_owned());
            }
        }
    }

    async fn send(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
        within: Duration,
    ) -> Result<UpstreamResponse, Failure> {
        let mut headers = headers;
        for (name, value) in &self.upstream.headers {
            headers.insert(name.clone(), value.clone());
        }
        if let Some(session) = self.state.lock().session.clone() {
            headers.insert(SESSION_ID, session);
        }
        self.upstream.send(method, headers, body, within).await
    }

    /// One request, until its answer has come or certainly will not.
    async fn request(&self, id: &str, headers: HeaderMap, body: Bytes, kind: Kind, cancelled: &CancellationToken) {
        let gate = self.upstream.gate.as_ref();
        let _turn = match gate.filter(|_| kind != Kind::Subscription) {
            None => None,
            Some(gate) => match gate.enter().await.and_then(|turn| match kind {
                Kind::Call => gate.admit().map(|()| turn),
                _ => Ok(turn),
            }) {
                Ok(turn) => Some(turn),
                Err(busy) => return self.sink.fail(id, busy).await,
            },
        };
        let within = if kind == Kind::Subscription { LISTEN } else { self.upstream.call_timeout };
        // A cancelled request says nothing about the upstream.
        let sent = self.send(Method::POST, headers, body, within).await;
        if let Some(gate) = gate.filter(|_| kind == Kind::Call) {
            gate.reached(sent.as_ref().map_or_else(Failure::is_redirect, |_| true));
        }
        let failed = match sent {
            Ok(answer) if kind != Kind::Initialize && self.is_over(answer.status()).await => {
                self.sink.fail(id, Failure::new(FailureKind::SessionOver, FORGOTTEN)).await;
                return self.stop.cancel();
            }
            Ok(answer) => {
                let is_fault = answer.status().is_server_error();
                let received = self.receive(answer, Some((id, cancelled)), kind == Kind::Initialize).await;
                let gives_up = self.state.lock().count(is_fault);
                if let Err(failure) = received {
                    self.sink.fail(id, failure).await;
                }
                if gives_up {
                    self.stop.cancel();
                }
                return;
            }
            Err(failed) => failed,
        };
        self.sink.fail(id, failed).await;
    }

    /// Whether the session is over, one of whose requests was answered with this status. 404 says so, and older SDKs say 400;
    /// either may be about the request as well, which would then be carried out twice. So a ping tells: the session is all
    /// that could be refused in it.
    async fn is_over(&self, status: StatusCode) -> bool {
        let is_of_caller =
            matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS);
        if self.state.lock().session.is_none() || !status.is_client_error() || is_of_caller {
            return false;
        }
        let Ok(message) = Message::read(PING) else { return false };
        let asked = self.send(Method::POST, self.headers(&message), Bytes::from_static(PING.as_bytes()), ASKED_WITHIN);
        let answered = timeout(ASKED_WITHIN, asked).await;
        answered.is_ok_and(|answered| answered.is_ok_and(|answer| answer.status().is_client_error()))
    }

    /// Ends the requests in flight, and the session.
    async fn end(&self) {
        let (in_flight, has_session) = {
            let mut state = self.state.lock();
            (std::mem::take(&mut state.in_flight), state.session.is_some())
        };
        for (request, _) in in_flight.into_values() {
            request.abort();
        }
        if has_session {
            // A server whose sessions cannot be ended refuses.
            let goodbye = self.send(Method::DELETE, HeaderMap::new(), Bytes::new(), GOODBYE);
            let _ = timeout(GOODBYE, goodbye).await;
        }
    }
}

/// A request that can be refused for nothing but its session.
pub const PING: &str = r#"{"jsonrpc":"2.0","id":"haldir-ping","method":"ping"}"#;

/// Whether an answer is an event stream.
fn is_event_stream(answer: &UpstreamResponse) -> bool {
    is_kind(answer.headers(), EVENT_STREAM)
}
