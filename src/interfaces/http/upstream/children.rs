//! `/mcp/{upstream}` where more than bytes is passed on. A child of this process: each protocol session has one of its own,
//! as it would have on standard input and output. A server over HTTP that does not know the client's revision: each
//! protocol session has a connection of its own, with a bridge in front.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::response::{IntoResponse, Response};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::time::timeout;

use super::{HALDIR_SESSION, Route, headers::is_modern, mismatch, misnamed, modern, rpc_error};
use crate::{
    crypto,
    error::{Error, Result},
    interfaces::http::{mcp_sessions::owner, respond},
    protocol::{
        code::{INTERNAL_ERROR, INVALID_REQUEST},
        event_stream,
        header::{SESSION_ID, accepts_events},
        lines,
        message::Message,
    },
    relay::{
        call::Call,
        elsewhere::{self, Named, UNKNOWN_SESSION},
        governor::Tools,
        multiplexer::{Messages, Multiplexer, TimeLimit},
        wrap::Bounds,
    },
    upstream::{Place, Turn, over_http::HttpUpstream, transport::Source},
};

/// How much longer a call may take than its own time limits say: they are looked at now and then.
const CALL_GRACE: Duration = Duration::from_secs(15);
/// An answer that comes so soon has a status of its own, where the revision has one for it; any other is a stream.
const QUICK: Duration = Duration::from_secs(2);

impl Route {
    /// Whether a child, or a connection with a bridge, serves the session that these headers name.
    pub fn is_relayed(&self, headers: &HeaderMap) -> bool {
        self.multiplexer_of(headers).is_some()
    }

    /// Answers one request, whose body is there if it is a POST.
    pub async fn relay(self, method: &Method, headers: &HeaderMap, body: &Bytes) -> Result<Response> {
        match *method {
            Method::POST => self.post(headers, body).await,
            Method::GET => {
                let Some(multiplexer) = self.multiplexer(headers) else { return Ok(unknown_session()) };
                Ok(self.streamed(heard(multiplexer.listen(), multiplexer), true))
            }
            _ => {
                if self.multiplexer(headers).is_none() {
                    return Ok(unknown_session());
                }
                if let Some(id) = headers.get(SESSION_ID) {
                    self.app.shared.upstream_sessions.end(self.name.as_str(), id);
                }
                Ok(StatusCode::NO_CONTENT.into_response())
            }
        }
    }

    /// The connection that these headers name, if it is this caller's and has not ended.
    fn multiplexer(&self, headers: &HeaderMap) -> Option<Arc<Multiplexer>> {
        self.multiplexer_of(headers).filter(|multiplexer| !multiplexer.has_ended())
    }

    fn multiplexer_of(&self, headers: &HeaderMap) -> Option<Arc<Multiplexer>> {
        self.app.shared.upstream_sessions.multiplexer(self.name.as_str(), headers, &self.credential, &self.target)
    }

    async fn post(&self, headers: &HeaderMap, body: &Bytes) -> Result<Response> {
        let message = match Message::read_bytes(body) {
            Ok(message) => message,
            Err((code, problem)) => {
                let id = lines::id_in(body);
                return Ok(rpc_error(StatusCode::BAD_REQUEST, id.as_deref(), code, &problem));
            }
        };
        let modern = message.is_modern() || is_modern(headers) && !message.is("initialize");
        let shared = modern && !headers.contains_key(SESSION_ID);
        if shared && let Some(refusal) = modern::refusal(headers, &message) {
            return Ok(refusal);
        }
        let begins = message.is("initialize") && !headers.contains_key(SESSION_ID);
        let (multiplexer, begun) = if begins {
            let id = crypto::token::<24>("").map_err(Error::internal)?;
            let id = HeaderValue::from_str(&id).map_err(Error::internal)?;
            let multiplexer = self.begin(&id, false)?;
            (multiplexer, Some(id))
        } else if shared {
            (self.shared(&message)?, None)
        } else if headers.contains_key(SESSION_ID) {
            let Some(multiplexer) = self.multiplexer(headers) else { return Ok(unknown_session()) };
            (multiplexer, None)
        } else {
            let problem = "this upstream has a state: initialise first, and send its Mcp-Session-Id with every request";
            return Ok(rpc_error(StatusCode::BAD_REQUEST, message.request_id(), INVALID_REQUEST, problem));
        };
        let Some(id) = message.request_id() else {
            multiplexer.tell(&message, shared).await;
            return Ok(StatusCode::ACCEPTED.into_response());
        };
        if message.is("tools/call")
            && let Ok(call) = Call::read(message.params)
            && let Some(header) = mismatch(headers, message.method.as_deref(), Some(&call.name))
        {
            return Ok(misnamed(Some(id), header.as_str()));
        }
        let listens = message.is("subscriptions/listen");
        // A connection over HTTP passes the gate itself.
        let turn = if listens || !matches!(self.target.place, Place::Child(_)) {
            None
        } else {
            match self.link.gate().enter().await {
                Ok(turn) => Some(turn),
                Err(busy) => return Ok(rpc_error(StatusCode::BAD_GATEWAY, Some(id), INTERNAL_ERROR, &busy.message)),
            }
        };
        let allowed = (!listens).then(|| self.allowed(&message, turn));
        let session = headers.get(HALDIR_SESSION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let Some(mut answer) = multiplexer.ask(&message, session.as_deref(), shared, allowed).await else {
            let problem = "a request with this id is under way already, or the upstream has ended";
            return Ok(rpc_error(StatusCode::BAD_REQUEST, Some(id), INVALID_REQUEST, problem));
        };
        if !accepts_events(headers) {
            return whole(begun, answer, id).await;
        }
        let mut first = None;
        if shared && let Ok(Some(text)) = timeout(QUICK, answer.next()).await {
            // Only what has not begun as a stream has a status of its own.
            if let Ok(message) = Message::read(&text)
                && message.answers() == Some(id)
            {
                return Ok(respond::json(modern::status(&message).as_u16(), text.clone()));
            }
            first = Some(Ok(event_stream::message(&text)));
        }
        let events = stream::iter(first).chain(heard(answer, multiplexer)).boxed();
        let mut response = self.streamed(events, listens);
        response.headers_mut().extend(begun.map(|id| (SESSION_ID, id)));
        Ok(response)
    }

    /// How long a request may take. A call has a time limit of its own, and one for the person at the client before that;
    /// its turn does not last so long.
    fn allowed(&self, message: &Message<'_>, turn: Option<Turn>) -> TimeLimit {
        let (limit, within) = (self.link.limits().call_timeout, self.app.shared.asking.within);
        let of_call = limit.saturating_mul(2).saturating_add(within).saturating_add(CALL_GRACE);
        TimeLimit { turn: (turn, limit), time: if message.is("tools/call") { of_call } else { limit } }
    }

    /// The child for requests of 2026-07-28, which know no protocol session: one for each kind of client of a caller.
    fn shared(&self, message: &Message<'_>) -> Result<Arc<Multiplexer>> {
        let client = message.client().unwrap_or_default();
        let digest = crypto::digest(&[&owner(&self.credential), client.as_bytes()]);
        let id = BASE64_URL_SAFE_NO_PAD.encode(digest);
        let id = HeaderValue::from_str(&id).map_err(Error::internal)?;
        let mut named = HeaderMap::new();
        named.insert(SESSION_ID, id.clone());
        match self.multiplexer(&named) {
            Some(multiplexer) => Ok(multiplexer),
            None => self.begin(&id, true),
        }
    }

    /// A child for a new protocol session.
    fn begin(&self, id: &HeaderValue, bridges: bool) -> Result<Arc<Multiplexer>> {
        let shared = &self.app.shared;
        let start = || {
            let bounds = Bounds { limits: *self.link.limits(), message_bytes: shared.message_bytes };
            let governor = Arc::new(self.governor(Tools::Beside));
            Multiplexer::start(governor, self.source()?, self.secrets(), bounds, bridges).map(Arc::new)
        };
        shared.upstream_sessions.begin_child(self.name.as_str(), id, (&self.credential, &self.target), start)
    }

    /// The upstream as a connection of messages.
    fn source(&self) -> Result<Source> {
        if let Place::Child(command) = &self.target.place {
            return Ok(Source::Child(command.clone()));
        }
        let place = self.link.http()?.ok_or_else(|| Error::internal("an upstream over HTTP has no address"))?;
        Ok(Source::Http(Box::new(HttpUpstream {
            client: self.app.shared.upstreams.clone(),
            url: place.url.clone(),
            headers: place.headers.clone(),
            call_timeout: self.link.limits().call_timeout,
            answer_bytes: self.link.limits().answer_bytes,
            gate: Some(Arc::clone(self.link.gate())),
        })))
    }
}

fn unknown_session() -> Response {
    elsewhere::note(Named::Session);
    rpc_error(StatusCode::NOT_FOUND, None, INVALID_REQUEST, UNKNOWN_SESSION)
}

/// Everything that is heard, event by event. It holds the connection while it is read.
fn heard(heard: Messages, multiplexer: Arc<Multiplexer>) -> BoxStream<'static, Result<Bytes, Infallible>> {
    let events = stream::unfold((heard, multiplexer), |(mut heard, multiplexer)| async move {
        let text = heard.next().await?;
        Some((Ok(event_stream::message(&text)), (heard, multiplexer)))
    });
    events.boxed()
}

/// The answer alone, for a client that reads no event streams.
async fn whole(begun: Option<HeaderValue>, mut heard: Messages, id: &str) -> Result<Response> {
    while let Some(text) = heard.next().await {
        if Message::read(&text).is_ok_and(|message| message.answers() == Some(id)) {
            let mut response = respond::json(200, text);
            response.headers_mut().extend(begun.map(|id| (SESSION_ID, id)));
            return Ok(response);
        }
    }
    let problem = "the request was taken back, or the upstream ended before it had answered";
    Ok(rpc_error(StatusCode::BAD_GATEWAY, Some(id), INTERNAL_ERROR, problem))
}
