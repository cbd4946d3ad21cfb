//! An upstream over streamable HTTP, as if it were a pipe: every message is a request of its own, and what comes back
//! is heard message by message. For connections that are more than bytes passed on; see [`super::bridge`].

mod hearing;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use reqwest::Url;
use tokio::{sync::mpsc, task::AbortHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{govern::Outcome, wrap::Said};
use crate::{
    outbound::carrier::{Answer, Carrier, Unanswered},
    protocol::{
        Message,
        header::{ACCEPT_BOTH, METHOD, NAME, PROTOCOL_VERSION, SESSION_ID, encoded},
        revision::FIRST_WITHOUT_HANDSHAKE,
    },
    upstream::Link,
};

/// Messages that wait for their reader.
const MAX_WAITING: usize = 256;
/// How often the stream of what belongs to no request is opened again, and the pause before.
const MAX_LISTENS: u32 = 10;
const LISTEN_PAUSE: Duration = Duration::from_secs(1);
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(5);
/// How long messages wait until the upstream has answered that it is listened to.
const LISTENED_WITHIN: Duration = Duration::from_secs(2);
/// How long an upstream has to say whether it knows a session.
const PING_WITHIN: Duration = Duration::from_secs(5);

/// Why a request was not answered.
const REDIRECTED: &str = "the upstream redirects to another address: register that one, if it is meant";
const UNAUTHORIZED: &str = "the upstream does not accept the credentials that haldir has for it";
const REFUSED: &str = "the upstream did not accept the request";
const FORGOTTEN: &str = "the upstream has forgotten the session, as it does when it is started again: call again";
const RESTING: &str = "the upstream is left alone for a while, or has too many calls under way";

/// A request without an answer.
#[derive(Debug)]
enum Failed {
    /// It did not leave: there was no connection to be had, for this reason.
    Unreachable(&'static str),
    /// It may have been carried out.
    Unanswered(&'static str),
}

impl Failed {
    /// For the client. Where the upstream is, is in haldir's log.
    fn told(&self) -> String {
        match self {
            Self::Unreachable(why) => format!("the upstream cannot be reached: {why}"),
            Self::Unanswered(why) => (*why).to_owned(),
        }
    }

    /// For the log of calls.
    fn outcome(&self) -> Outcome {
        match self {
            Self::Unreachable(why) => Outcome::Unsent(why),
            Self::Unanswered(why) => Outcome::Unknown(why),
        }
    }
}

/// Where it is, and within which bounds.
#[derive(Clone)]
pub struct Wire {
    /// Follows no redirect, and connects to allowed addresses only.
    pub client: Carrier,
    /// The address.
    pub url: Url,
    /// Headers of every request.
    pub headers: HeaderMap,
    /// How long a request may take.
    pub call_timeout: Duration,
    /// The largest message.
    pub answer_bytes: usize,
    /// Knows how the upstream is, and whose turn it is.
    pub link: Arc<Link>,
}

/// A connection: it ends when this is dropped.
pub(super) struct Connected {
    pub(super) input: mpsc::Sender<String>,
    pub(super) output: mpsc::Receiver<Said>,
    pub(super) guard: DropGuard,
}

/// What a request is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Beginning,
    Call,
    /// It lasts, and takes up nobody's turn.
    Listening,
    Other,
}

#[derive(Default)]
struct State {
    session: Option<HeaderValue>,
    version: Option<String>,
    /// Requests under way: what ends them here, and what says that their client has taken them back.
    running: HashMap<String, (AbortHandle, CancellationToken)>,
}

#[derive(Clone)]
struct Speaker {
    wire: Arc<Wire>,
    state: Arc<Mutex<State>>,
    said: mpsc::Sender<Said>,
    stop: CancellationToken,
}

impl Wire {
    pub(super) fn start(&self) -> Connected {
        let (input, messages) = mpsc::channel(MAX_WAITING);
        let (said, output) = mpsc::channel(MAX_WAITING);
        let stop = CancellationToken::new();
        let speaker = Speaker { wire: Arc::new(self.clone()), state: Arc::default(), said, stop: stop.clone() };
        tokio::spawn(speaker.pass_on(messages));
        Connected { input, output, guard: stop.drop_guard() }
    }
}

impl Speaker {
    async fn pass_on(self, mut messages: mpsc::Receiver<String>) {
        loop {
            let text = tokio::select! {
                () = self.stop.cancelled() => break,
                text = messages.recv() => match text {
                    Some(text) => text,
                    None => break,
                },
            };
            self.take(text).await;
        }
        self.leave().await;
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(&self, text: String) {
        let Ok(message) = Message::read(&text) else { return };
        if let Some(id) = message.request_id().map(str::to_owned) {
            let (speaker, known) = (self.clone(), id.clone());
            let headers = self.headers(&message);
            let kind = match message.method.as_deref() {
                Some("initialize") => Kind::Beginning,
                Some("tools/call") => Kind::Call,
                Some("subscriptions/listen") => Kind::Listening,
                _ => Kind::Other,
            };
            let taken_back = CancellationToken::new();
            let is_taken_back = taken_back.clone();
            let running = tokio::spawn(async move {
                speaker.ask(&known, headers, text, kind, &is_taken_back).await;
                speaker.state().running.remove(&known);
            });
            if !running.is_finished() {
                self.state().running.insert(id, (running.abort_handle(), taken_back));
            }
            return;
        }
        if message.is("notifications/cancelled") {
            // From 2026-07-28 on it is the end of the stream that says so.
            if let Some((running, taken_back)) = message.cancelled_id().and_then(|id| self.state().running.remove(&id))
            {
                if self.is_modern() {
                    return running.abort();
                }
                // A stream that ends now is not gone on with: no answer is to come.
                taken_back.cancel();
            }
        }
        let headers = self.headers(&message);
        let begun = message.is("notifications/initialized");
        // What is not answered is lost if it does not arrive, as it would be on a pipe that breaks.
        if let Err(problem) = self.send(Method::POST, headers, Some(text)).await {
            tracing::debug!(?problem, "a message did not reach the upstream");
        }
        if begun {
            // What the upstream asks in the middle of a call may come on that stream: no call overtakes it.
            let listening = CancellationToken::new();
            tokio::spawn(self.clone().listen(listening.clone().drop_guard()));
            let _ = tokio::time::timeout(LISTENED_WITHIN, listening.cancelled()).await;
        }
    }

    fn is_modern(&self) -> bool {
        let state = self.state();
        state.session.is_none() && state.version.is_none()
    }

    /// Headers that say what the body says.
    fn headers(&self, message: &Message<'_>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, ACCEPT_BOTH);
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let mut put = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        if message.is_modern() {
            put(PROTOCOL_VERSION, FIRST_WITHOUT_HANDSHAKE);
            let method = message.method.as_deref().unwrap_or_default();
            put(METHOD, method);
            let named = if method == "resources/read" { "uri" } else { "name" };
            if let Some(name) = message.text_param(named) {
                put(NAME, &encoded(&name));
            }
        } else if let Some(version) = &self.state().version {
            put(PROTOCOL_VERSION, version);
        }
        headers
    }

    async fn send(&self, method: Method, headers: HeaderMap, body: Option<String>) -> Result<Answer, Failed> {
        let mut headers = headers;
        for (name, value) in &self.wire.headers {
            headers.insert(name.clone(), value.clone());
        }
        if let Some(session) = self.state().session.clone() {
            headers.append(SESSION_ID, session);
        }
        let request = (method, headers, body.map(Bytes::from).unwrap_or_default());
        let sent = self.wire.client.send(&self.wire.url, request, self.wire.call_timeout).await;
        let response = sent.map_err(|unanswered| match unanswered {
            Unanswered::Unreachable(why) => Failed::Unreachable(why),
            Unanswered::TimedOut => Failed::Unanswered("the upstream did not answer in time"),
            Unanswered::BrokeOff => Failed::Unanswered("the connection to the upstream broke off"),
        })?;
        if response.status().is_redirection() {
            return Err(Failed::Unanswered(REDIRECTED));
        }
        Ok(response)
    }

    /// One request, until its answer has come; without one, it is told so.
    async fn ask(&self, id: &str, headers: HeaderMap, text: String, kind: Kind, taken_back: &CancellationToken) {
        let link = &self.wire.link;
        let _turn = match kind {
            Kind::Listening => None,
            _ => match link.enter().await {
                Ok(turn) => Some(turn),
                Err(busy) => return self.fail(id, busy.message, Outcome::Unsent(RESTING)).await,
            },
        };
        if kind == Kind::Call
            && let Err(resting) = link.admit()
        {
            return self.fail(id, resting.message, Outcome::Unsent(RESTING)).await;
        }
        // One that is taken back says nothing of the upstream.
        let sent = self.send(Method::POST, headers, Some(text)).await;
        if kind == Kind::Call {
            link.reached(sent.is_ok());
        }
        let answered = match sent {
            Ok(response) if kind != Kind::Beginning && self.is_over(response.status()).await => {
                self.fail(id, FORGOTTEN.to_owned(), Outcome::Unknown(FORGOTTEN)).await;
                // The relay then begins another one, in the client's words.
                return self.stop.cancel();
            }
            Ok(response) => {
                let heard = self.hear(response, Some((id, taken_back)), kind == Kind::Beginning).await;
                heard.map_err(Failed::Unanswered)
            }
            Err(failed) => Err(failed),
        };
        if let Err(failed) = answered {
            self.fail(id, failed.told(), failed.outcome()).await;
        }
    }

    /// Whether the session is over, one of whose requests was answered with this status. 404 says so; older SDKs say 400,
    /// which may be about the request as well, so a ping tells.
    async fn is_over(&self, status: StatusCode) -> bool {
        if self.state().session.is_none() || !status.is_client_error() {
            return false;
        }
        match status {
            StatusCode::NOT_FOUND => return true,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => return false,
            _ => {}
        }
        let ping = r#"{"jsonrpc":"2.0","id":"haldir-ping","method":"ping"}"#.to_owned();
        let Ok(message) = Message::read(&ping) else { return false };
        let headers = self.headers(&message);
        let asked = self.send(Method::POST, headers, Some(ping.clone()));
        let answered = tokio::time::timeout(PING_WITHIN, asked).await;
        answered.is_ok_and(|answered| answered.is_ok_and(|response| response.status().is_client_error()))
    }

    /// Says that no answer will come: in words of ours, which are not to be taken for the upstream's.
    async fn fail(&self, id: &str, told: String, outcome: Outcome) {
        // As in `say`.
        let _ = self.said.send(Said::Failed { id: id.to_owned(), told, outcome }).await;
    }

    async fn say(&self, text: String) {
        // Fails if the connection has ended.
        let _ = self.said.send(Said::Message(text)).await;
    }

    /// Ends what is under way, and the session.
    async fn leave(self) {
        let (running, has_session) = {
            let mut state = self.state();
            (std::mem::take(&mut state.running), state.session.is_some())
        };
        for (running, _) in running.into_values() {
            running.abort();
        }
        if has_session {
            // One that keeps its sessions to itself refuses, and that is that.
            let _ = tokio::time::timeout(GOODBYE, self.send(Method::DELETE, HeaderMap::new(), None)).await;
        }
    }
}
