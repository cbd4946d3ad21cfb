//! One call of a tool, and the time that it may take.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use rmcp::{
    RoleClient,
    model::{CallToolRequest, CallToolRequestParams, ClientRequest, JsonObject, ProtocolVersion, RequestMetaObject},
    service::{Peer, PeerRequestOptions, ServiceError},
};
use serde_json::value::RawValue;

use super::{
    AskedBy, LONGEST, Link, NOT_MODERN_FOR, ToolCall,
    connect::{Beginning, Events},
};
use crate::upstream::{
    Failure, FailureKind, Pace, Place,
    awaited::Awaited,
    capture::{Exact, Outcome},
    failed::{failure, timed_out},
    floor::Place as OnFloor,
    levels,
};

/// How often it is looked whether somebody who is asked has answered.
const LOOK: Duration = Duration::from_millis(500);

impl Link {
    /// Calls a tool; answers its result as it was written.
    pub async fn call_tool(&self, call: ToolCall<'_>) -> Result<Box<RawValue>, Failure> {
        let _turn = self.turn().await?;
        // Not of its time: a start has its own.
        let (peer, events) = match self.peer_that_asks(call.asked).await {
            Ok(reached) => reached,
            Err(failure) => return self.judged(Err(failure)),
        };
        let pace = call.listener.as_ref().map_or_else(Arc::default, |listener| Arc::clone(&listener.pace));
        let most = LONGEST.max(self.limits.call_timeout);
        let work = self.call(call, (peer, events), Arc::clone(&pace));
        Box::pin(self.heard_out(work, &pace, most)).await
    }

    /// The connection over which the upstream can ask the caller's client.
    async fn peer_that_asks(&self, asked: AskedBy) -> Result<(Peer<RoleClient>, Events), Failure> {
        let both = || self.known_revisions().is_some_and(|known| known.modern && known.with_handshake);
        match (&self.target.place, asked) {
            (Place::Http { .. }, AskedBy::Requests) if both() => self.peer(Beginning::Handshake).await,
            (Place::Child(_), AskedBy::Results) => {
                let begun = self.peer(Beginning::Any).await?;
                if !self.may_begin_modern(&begun.0) {
                    return Ok(begun);
                }
                // A server keeps to the revision that its pipe began with, so this one has a process of its own.
                match self.peer(Beginning::Modern).await {
                    Ok(modern) => Ok(modern),
                    Err(failure) => {
                        if !matches!(failure.kind, FailureKind::Starting) {
                            *self.refused_modern.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                        }
                        Ok(begun)
                    }
                }
            }
            _ => self.peer(Beginning::Any).await,
        }
    }

    /// Whether a child that has begun with a handshake may know 2026-07-28 too: a server that does knows the newest
    /// revision with one as well.
    fn may_begin_modern(&self, begun: &Peer<RoleClient>) -> bool {
        let refused = *self.refused_modern.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = ProtocolVersion::LATEST_WITH_INITIALIZE;
        refused.is_none_or(|at| at.elapsed() > NOT_MODERN_FOR)
            && begun.peer_info().is_some_and(|info| info.protocol_version == newest)
    }

    /// A call in which the client may be asked something. That nobody has answered it is no failure of the upstream.
    pub(super) async fn heard_out<T>(
        &self,
        call: impl Future<Output = Result<T, Failure>>,
        pace: &Pace,
        most: Duration,
    ) -> Result<T, Failure> {
        match self.in_good_time(call, pace, most).await {
            Ok(outcome) => self.judged(outcome),
            Err(_) if pace.is_asking() => Err(timed_out(most)),
            Err(_) => self.judged(Err(timed_out(self.limits.call_timeout))),
        }
    }

    /// As a timeout does it, but for the time in which the client is asked something, and from the newest progress on.
    async fn in_good_time<T>(
        &self,
        call: impl Future<Output = T>,
        pace: &Pace,
        most: Duration,
    ) -> Result<T, tokio::time::error::Elapsed> {
        let begin = Instant::now();
        let mut call = std::pin::pin!(call);
        loop {
            let left = match pace.since(begin) {
                Some(since) => self.limits.call_timeout.saturating_sub(since.elapsed()),
                None => LOOK,
            };
            let left = left.min(most.saturating_sub(begin.elapsed()));
            match tokio::time::timeout(left, call.as_mut()).await {
                Ok(outcome) => return Ok(outcome),
                Err(elapsed) => {
                    let is_over = pace.since(begin).is_some_and(|at| at.elapsed() >= self.limits.call_timeout);
                    if is_over || begin.elapsed() >= most {
                        return Err(elapsed);
                    }
                }
            }
        }
    }

    async fn call(
        &self,
        call: ToolCall<'_>,
        (peer, events): (Peer<RoleClient>, Events),
        progress: Arc<Pace>,
    ) -> Result<Box<RawValue>, Failure> {
        let _wanted = call.level.map(|level| self.levels.want(level));
        events.told.tell(&peer, &self.levels).await;
        let mut params = CallToolRequestParams::new(call.name.to_owned());
        // For headers that mirror arguments; what is sent is the text.
        params.arguments = serde_json::from_str::<JsonObject>(&call.arguments).ok();
        let place = events.floor.enter(call.listener.as_ref(), &progress);
        let exact = Exact::call(call.arguments, call.again, place.key());
        let mut request = CallToolRequest::new(params);
        request.extensions.insert(exact.clone());
        // Before, it was told once for all.
        let is_modern = peer.peer_info().is_some_and(|info| !info.protocol_version.has_initialize());
        let meta = is_modern.then(|| {
            let mut meta = RequestMetaObject::default();
            meta.set_client_capabilities(call.capabilities.unwrap_or_default());
            if let Some(level) = call.level {
                levels::ask(&mut meta, level);
            }
            meta
        });
        let asking = self.ask(&peer, ClientRequest::CallToolRequest(request), &exact, meta, Some(place));
        tokio::select! {
            biased;
            answered = asking => answered.map_err(|failure| events.explained(failure)),
            () = events.floor.given_up() => {
                Err(Failure::new(FailureKind::Unavailable, "it does not take the answers to its questions"))
            }
        }
    }

    pub(super) async fn ask(
        &self,
        peer: &Peer<RoleClient>,
        request: ClientRequest,
        exact: &Exact,
        meta: Option<RequestMetaObject>,
        place: Option<OnFloor>,
    ) -> Result<Box<RawValue>, Failure> {
        // Who calls keeps the time.
        let mut options = PeerRequestOptions::no_options();
        options.meta = meta;
        // Another request of the connection may have failed for it, such as the handshake that begins a session anew.
        let failed = |error: &ServiceError| {
            let failure = failure(error);
            Failure { unsent: failure.unsent && !exact.has_left(), ..failure }
        };
        let handle = peer.send_cancellable_request(request, options).await.map_err(|error| failed(&error))?;
        let mut awaited = Awaited::new(peer, handle.id.clone(), place);
        let answered = handle.await_response().await;
        awaited.over();
        match (exact.take(), answered) {
            (Some(Outcome::Result(result)), _) => Ok(result),
            (Some(Outcome::Error(error)), _) => Err(Failure::new(FailureKind::Rpc(error), "it answered with an error")),
            (Some(Outcome::Failed(failure)), _) => Err(failure),
            (None, Err(error)) => Err(failed(&error)),
            (None, Ok(_)) => Err(Failure::new(FailureKind::Unavailable, "its answer could not be read")),
        }
    }
}
