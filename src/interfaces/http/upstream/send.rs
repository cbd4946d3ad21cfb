//! A request on its way to the upstream, and the answer on its way back.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::{Exchange, LISTEN, answer, headers::for_upstream, rpc_error, stream};
use crate::{
    error::{Error, Result},
    interfaces::http::respond,
    operations::proxied::Outcome,
    outbound::http_client::UpstreamResponse,
    protocol::{
        code::{INTERNAL_ERROR, INVALID_REQUEST},
        header::{ACCEPT_BOTH, EVENT_STREAM, JSON, LAST_EVENT_ID, METHOD, NAME, SESSION_ID, is_kind},
    },
    relay::forwarding::Forwarding,
    upstream::{
        Failure,
        over_http::{self, PING},
    },
};

/// How long an upstream has to say whether it knows a session.
const PING_WITHIN: Duration = Duration::from_secs(5);

/// How long it may take to send it a message of haldir's own.
const OWN_WITHIN: Duration = Duration::from_secs(10);

/// Why a session is over.
const FORGOTTEN: &str =
    "the upstream has forgotten the MCP session, as it does when it is started again: initialise again";
/// Why the outcome of a call is unknown.
const FAILED: &str = "the upstream failed, maybe in the middle of the call";

/// A request to the upstream.
pub(super) struct Outgoing {
    request: (Method, HeaderMap, Bytes),
    /// The time limit of the request and its response.
    within: Duration,
}

impl Exchange {
    /// Sends a request on, and answers with what comes back.
    pub(super) async fn send(
        &self,
        headers: &HeaderMap,
        outgoing: Outgoing,
        mut forwarding: Forwarding,
        modern: bool,
    ) -> Result<Response> {
        let begins = forwarding.call.is_none() && !headers.contains_key(SESSION_ID);
        let is_call = forwarding.call.is_some();
        if is_call {
            let turn = self.route.link.gate().enter().await;
            // Last: an admitted call must report whether it was answered.
            match turn.and_then(|turn| self.route.link.gate().admit().map(|()| turn)) {
                Ok(turn) => forwarding.turn = Some(turn),
                Err(resting) => {
                    let problem = "the upstream is left alone for a while, or has too many calls under way";
                    let id = forwarding.end(Outcome::unsent(problem));
                    return Ok(rpc_error(StatusCode::BAD_GATEWAY, id.as_deref(), INTERNAL_ERROR, &resting.message));
                }
            }
        }
        let asked = self.request(outgoing).await;
        if is_call {
            self.route.link.gate().reached(asked.as_ref().map_or_else(Failure::is_redirect, |_| true));
        }
        let response = match asked {
            Ok(response) => response,
            Err(failed) => {
                let id = forwarding.end(Outcome::not_answered(&failed));
                return Ok(rpc_error(StatusCode::BAD_GATEWAY, id.as_deref(), INTERNAL_ERROR, &failed.as_upstreams()));
            }
        };
        if response.status() == StatusCode::BAD_REQUEST && self.has_forgotten(headers).await {
            let id = forwarding.end(Outcome::unknown(FORGOTTEN));
            if let Some(session) = headers.get(SESSION_ID) {
                self.route.app.shared.upstream_sessions.end(self.route.name.as_str(), session);
            }
            return Ok(rpc_error(StatusCode::NOT_FOUND, id.as_deref(), INVALID_REQUEST, FORGOTTEN));
        }
        if matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            // The client's own credentials are for haldir, so this is not about them.
            let problem = "the upstream does not accept the credentials that haldir has for it";
            let id = forwarding.end(Outcome::unknown(problem));
            return Ok(rpc_error(StatusCode::BAD_GATEWAY, id.as_deref(), INTERNAL_ERROR, problem));
        }
        let session = match answer::session(response.headers(), &forwarding.secrets) {
            Ok(session) => session,
            Err(problem) => {
                let id = forwarding.id();
                return Ok(rpc_error(StatusCode::BAD_GATEWAY, id.as_deref(), INTERNAL_ERROR, problem));
            }
        };
        if begins && let Some(id) = &session {
            let begun = self.route.app.shared.upstream_sessions.begin(
                self.route.name.as_str(),
                id,
                (&self.route.credential, &self.route.app.shared.haldir.caller_of(&self.route.credential)?.tenant),
            );
            forwarding.open = begun?;
            *forwarding.open.client.lock() = self.client.clone().unwrap_or_default();
        }
        let headers_of_answer = answer::headers(response.headers());
        let mut passed = self.passed_on(headers, response, forwarding, modern).await?;
        passed.headers_mut().extend(headers_of_answer);
        passed.headers_mut().extend(session.map(|id| (SESSION_ID, id)));
        Ok(passed)
    }

    /// Whether the upstream knows the session of these headers no more, one of whose requests it has answered with 400, as
    /// older SDKs do. A client takes a session for over that is answered with 404, and no other. 400 may be about the request
    /// as well, so a ping tells: it has nothing in it that could be refused but the session.
    async fn has_forgotten(&self, headers: &HeaderMap) -> bool {
        if !headers.contains_key(SESSION_ID) {
            return false;
        }
        let ping = (Method::POST, self.own_headers(headers), Bytes::from_static(PING.as_bytes()));
        let asked = self.route.app.shared.upstreams.send(&self.place.url, ping, PING_WITHIN);
        asked.await.is_ok_and(|response| response.status().is_client_error())
    }

    /// Sends the upstream a message of haldir's own, in the protocol session of these headers, without waiting for an answer.
    pub(super) fn to_upstream(&self, headers: &HeaderMap) -> Arc<dyn Fn(String) + Send + Sync> {
        let headers = self.own_headers(headers);
        let (client, place) = (self.route.app.shared.upstreams.clone(), Arc::clone(&self.place));
        Arc::new(move |text| {
            let request = (Method::POST, headers.clone(), Bytes::from(text));
            let (client, place) = (client.clone(), Arc::clone(&place));
            tokio::spawn(async move {
                if let Err(failure) = over_http::send(&client, &place.url, &request, OWN_WITHIN).await {
                    tracing::debug!(failure = failure.message, "the upstream did not take a message");
                }
            });
        })
    }

    /// The headers of a message of haldir's own, in the protocol session of a client's.
    fn own_headers(&self, headers: &HeaderMap) -> HeaderMap {
        let Outgoing { request: (_, mut own, _), .. } = self.outgoing(Method::POST, headers, None, false);
        own.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
        own.insert(header::ACCEPT, ACCEPT_BOTH);
        for of_request in [LAST_EVENT_ID, METHOD, NAME] {
            own.remove(of_request);
        }
        own
    }

    /// The upstream's answer, as the client may see it.
    async fn passed_on(
        &self,
        headers: &HeaderMap,
        response: UpstreamResponse,
        mut forwarding: Forwarding,
        modern: bool,
    ) -> Result<Response> {
        forwarding.to_upstream = self.to_upstream(headers);
        let status = response.status();
        let most = self.limits.answer_bytes;
        if status.is_success() && is_kind(response.headers(), EVENT_STREAM) {
            let session = headers.contains_key(SESSION_ID);
            let park = session.then_some(self.limits.call_timeout);
            let listens = forwarding.until.is_none();
            let events = stream::events(response, forwarding, most, (modern, park));
            let mut streamed = self.route.streamed(events, listens);
            *streamed.status_mut() = status;
            return Ok(streamed);
        }
        let (id, mut response) = (forwarding.id(), response);
        let body = match over_http::whole(&mut response, most).await {
            Ok(body) => body,
            Err(failure) => {
                let problem = failure.as_upstreams();
                return Ok(rpc_error(StatusCode::BAD_GATEWAY, id.as_deref(), INTERNAL_ERROR, &problem));
            }
        };
        if status.is_success() && (forwarding.unasked || body.trim_ascii().is_empty()) {
            return Response::builder().status(status).body(Body::empty()).map_err(Error::internal);
        }
        forwarding.unsure = status.is_server_error().then_some(FAILED);
        let (text, secrets) = (String::from_utf8(body), forwarding.secrets.clone());
        let (passed, body) = match text {
            Ok(text) if !status.is_success() => (forwarding.pass(text.clone()).await, text.into_bytes()),
            Ok(text) => (forwarding.pass(text).await, Vec::new()),
            Err(error) => (None, error.into_bytes()),
        };
        let why = match status {
            _ if status.is_server_error() => FAILED,
            _ if status.is_success() => "the upstream's answer is no answer to the call",
            _ => "the upstream did not accept the request",
        };
        forwarding.end(Outcome::unknown(why));
        match passed {
            Some(text) => Ok(respond::json(status.as_u16(), text)),
            None => Ok(answer::no_message(status, body, id.as_deref(), &secrets).await),
        }
    }

    /// A request of the client as it goes on.
    pub(super) fn outgoing(&self, method: Method, headers: &HeaderMap, body: Option<String>, lasts: bool) -> Outgoing {
        let mut sent = for_upstream(headers);
        // Without it the upstream may compress what it answers, which nothing here could look into.
        sent.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        // In the place of what the client has sent under the same name.
        for (name, value) in &self.place.headers {
            sent.insert(name.clone(), value.clone());
        }
        let within = if lasts { LISTEN } else { self.limits.call_timeout };
        Outgoing { request: (method, sent, body.map(Bytes::from).unwrap_or_default()), within }
    }

    async fn request(&self, outgoing: Outgoing) -> Result<UpstreamResponse, Failure> {
        over_http::send(&self.route.app.shared.upstreams, &self.place.url, &outgoing.request, outgoing.within).await
    }
}
