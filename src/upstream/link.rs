//! One upstream, as this process reaches it: its connection, its turn-taking, its breaker.

mod connect;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, OnceLock, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;
use rmcp::{
    RoleClient,
    model::{
        CallToolRequest, CallToolRequestParams, ClientCapabilities, ClientRequest, JsonObject, ListToolsRequest,
        PaginatedRequestParams, RequestMetaObject,
    },
    service::{Peer, PeerRequestOptions},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use zeroize::Zeroizing;

use super::{
    Failure, FailureKind, Place, Target, UpstreamLimits,
    awaited::Awaited,
    breaker::Breaker,
    capture::{Exact, Outcome},
    failed::{failure, timed_out},
    floor::{Listener, Place as OnFloor},
    follow,
    levels::{self, Levels},
};
use crate::{error::Error, model::LogLevel, outbound::Outbound};
use connect::{Connected, Events};

/// Pages of a list of tools, and tools in it: more is no catalogue.
const MAX_PAGES: usize = 100;
const MAX_TOOLS: usize = 1_000;
/// The longest that a call may take in which somebody is asked something.
pub(super) const MOST: Duration = Duration::from_secs(600);
/// How old the list of a child may be that says nothing of changes, while somebody would be told of them.
const CHILD_LIST_AGE: Duration = Duration::from_secs(10);
/// How often it is looked whether they have answered.
const LOOK: Duration = Duration::from_millis(500);

/// A connection, made when it is needed.
pub struct Link {
    target: Target,
    outbound: Outbound,
    limits: UpstreamLimits,
    turns: Arc<Semaphore>,
    breaker: Breaker,
    /// Where it is over HTTP, once somebody has asked.
    http: OnceLock<Arc<HttpPlace>>,
    /// What clients want to hear.
    levels: Levels,
    /// What the newest connection has shown.
    revisions: std::sync::Mutex<Option<Revisions>>,
    // Tokio's mutex: it is held while the connection is made, so that only one is.
    state: Mutex<Option<Connected>>,
}

/// A turn among those that call an upstream.
#[derive(Debug)]
pub struct Turn {
    _turn: OwnedSemaphorePermit,
}

/// Where an upstream is over HTTP.
pub struct HttpPlace {
    /// Its address.
    pub url: Url,
    /// Of every request, secrets included.
    pub headers: HeaderMap,
}

/// Which revisions of MCP an upstream knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revisions {
    /// Those from 2026-07-28 on.
    pub modern: bool,
    /// Those before, with a handshake.
    pub with_handshake: bool,
}

/// A call as it leaves.
pub struct ToolCall<'a> {
    /// The tool, as its upstream names it.
    pub name: &'a str,
    /// JSON text of the arguments, secrets included.
    pub arguments: Zeroizing<String>,
    /// What the caller's client can be asked, from 2026-07-28 on; `None` is nothing.
    pub capabilities: Option<ClientCapabilities>,
    /// Answers that the upstream asked for.
    pub again: Option<Again>,
    /// The least level of log messages that the caller's client wants; `None` is none.
    pub level: Option<LogLevel>,
    /// Who hears what the upstream says meanwhile.
    pub listener: Option<Listener>,
}

/// What a call is made again with, once its client has answered (2026-07-28).
#[derive(Clone, Debug)]
pub struct Again {
    /// An object.
    pub responses: Option<Box<RawValue>>,
    /// What the upstream gave, and gets back.
    pub state: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    tools: Vec<Box<RawValue>>,
    #[serde(default)]
    next_cursor: Option<String>,
}

impl Link {
    pub(super) fn new(target: Target, outbound: Outbound, limits: UpstreamLimits, levels: Levels) -> Self {
        Self {
            target,
            levels,
            outbound,
            limits,
            turns: Arc::new(Semaphore::new(limits.concurrency)),
            breaker: Breaker::new(limits.backoff),
            http: OnceLock::new(),
            revisions: std::sync::Mutex::default(),
            state: Mutex::new(None),
        }
    }

    /// Whether this is the connection for that registration, with those headers.
    pub(super) fn serves(&self, target: &Target) -> bool {
        (self.target.generation, &self.target.place) == (target.generation, &target.place)
    }

    /// Where it is over HTTP, and the headers of every request; `None` if it is a child.
    pub fn http(&self) -> crate::error::Result<Option<Arc<HttpPlace>>> {
        let Place::Http { url, headers: written } = &self.target.place else { return Ok(None) };
        if let Some(known) = self.http.get() {
            return Ok(Some(Arc::clone(known)));
        }
        let url = self.outbound.parse(url)?;
        let mut headers = HeaderMap::new();
        for (header, value) in written {
            let header: HeaderName = header.parse().map_err(Error::internal)?;
            let mut value: HeaderValue = value.parse().map_err(Error::internal)?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        Ok(Some(Arc::clone(self.http.get_or_init(|| Arc::new(HttpPlace { url, headers })))))
    }

    /// Whether it failed so often that it is left alone.
    pub(super) fn is_resting(&self) -> bool {
        self.breaker.is_open()
    }

    /// Whether a call may be tried that another connection makes: not while it is left alone for having failed. Say with
    /// [`Self::reached`] what came of it.
    pub fn admit(&self) -> Result<(), Failure> {
        self.breaker.admit(Instant::now()).map_err(|wait| {
            let message = format!("it failed repeatedly and is left alone for {} ms", wait.as_millis());
            Failure::unsent(FailureKind::Busy, message)
        })
    }

    /// A turn for a request that another connection makes, whatever it is for; it ends when this is dropped.
    pub async fn enter(&self) -> Result<Turn, Failure> {
        if let Some(turn) = self.try_enter() {
            return Ok(turn);
        }
        let turn = tokio::time::timeout(self.limits.queue_timeout, Arc::clone(&self.turns).acquire_owned()).await;
        turn.ok().and_then(Result::ok).map(|turn| Turn { _turn: turn }).ok_or_else(|| self.is_busy())
    }

    /// The same, if nobody has to be waited for.
    pub fn try_enter(&self) -> Option<Turn> {
        Arc::clone(&self.turns).try_acquire_owned().ok().map(|turn| Turn { _turn: turn })
    }

    /// Whether a call that another connection made was answered at all.
    pub fn reached(&self, answered: bool) {
        if answered { self.breaker.succeeded() } else { self.breaker.failed(Instant::now()) }
    }

    /// Which revisions it knows; `None` if it cannot be reached.
    pub async fn revisions(&self) -> Option<Revisions> {
        let known = *self.revisions.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_some() {
            return known;
        }
        let _turn = self.turn().await.ok()?;
        let reached = tokio::time::timeout(self.limits.connect_timeout, self.peer()).await;
        self.judged(reached.unwrap_or_else(|_| Err(timed_out(self.limits.connect_timeout)))).ok()?;
        *self.revisions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether its tools must be listed before the next call: it is not connected, the list is old, or it said that it
    /// changed.
    pub async fn must_list(&self) -> bool {
        match &*self.state.lock().await {
            Some(Connected { service, events, listed: Some(listed) }) => {
                service.peer().is_transport_closed()
                    || events.tools_changed.load(Ordering::Acquire)
                    || listed.elapsed() > self.limits.list_age
            }
            _ => true,
        }
    }

    /// Whether it has said that its tools are other ones than it listed, or has to be asked whether they are.
    pub fn has_changed(&self) -> bool {
        // While the connection is made nothing was listed over it.
        let Ok(state) = self.state.try_lock() else { return false };
        let Some(connected) = state.as_ref() else { return false };
        let revisions = *self.revisions.lock().unwrap_or_else(PoisonError::into_inner);
        let says_nothing = matches!(self.target.place, Place::Child(_)) && revisions.is_some_and(|known| known.modern);
        let is_old = says_nothing && connected.listed.is_some_and(|listed| listed.elapsed() > CHILD_LIST_AGE);
        is_old || connected.events.tools_changed.load(Ordering::Acquire)
    }

    /// All its tools, each as it was written.
    pub async fn list_tools(&self) -> Result<Vec<Box<RawValue>>, Failure> {
        let _turn = self.turn().await?;
        let listed = tokio::time::timeout(self.limits.connect_timeout, self.list()).await;
        self.judged(listed.unwrap_or_else(|_| Err(timed_out(self.limits.connect_timeout))))
    }

    async fn list(&self) -> Result<Vec<Box<RawValue>>, Failure> {
        let (peer, events) = self.peer().await?;
        // Before the list is asked for: a change during it is heard, and it is asked for again.
        events.tools_changed.store(false, Ordering::Release);
        let mut tools = Vec::new();
        let mut cursor = None;
        for _ in 0..MAX_PAGES {
            let params = PaginatedRequestParams::default().with_cursor(cursor);
            let exact = Exact::default();
            let mut request = ListToolsRequest::with_param(params);
            request.extensions.insert(exact.clone());
            let page = self.ask(&peer, ClientRequest::ListToolsRequest(request), &exact, None, None).await?;
            let page: Page = serde_json::from_str(page.get())
                .map_err(|_| Failure::new(FailureKind::Unavailable, "its list of tools is none that can be read"))?;
            tools.extend(page.tools);
            if tools.len() > MAX_TOOLS {
                return Err(Failure::new(FailureKind::TooLarge, format!("it offers more than {MAX_TOOLS} tools")));
            }
            cursor = page.next_cursor.filter(|cursor| !cursor.is_empty());
            if cursor.is_none() {
                if let Some(connected) = &mut *self.state.lock().await {
                    connected.listed = Some(Instant::now());
                }
                return Ok(tools);
            }
        }
        Err(Failure::new(FailureKind::TooLarge, format!("its list of tools has more than {MAX_PAGES} pages")))
    }

    /// Calls a tool; answers its result as it was written.
    pub async fn call_tool(&self, call: ToolCall<'_>) -> Result<Box<RawValue>, Failure> {
        let _turn = self.turn().await?;
        let listener = call.listener.clone();
        if let Some(listener) = listener {
            return Box::pin(self.heard_out(self.call(call), &listener, MOST)).await;
        }
        let outcome = tokio::time::timeout(self.limits.call_timeout, self.call(call)).await;
        self.judged(outcome.unwrap_or_else(|_| Err(timed_out(self.limits.call_timeout))))
    }

    /// A call in which the client may be asked something. That nobody has answered it is no failure of the upstream.
    async fn heard_out<T>(
        &self,
        call: impl Future<Output = Result<T, Failure>>,
        listener: &Listener,
        most: Duration,
    ) -> Result<T, Failure> {
        match self.in_good_time(call, listener, most).await {
            Ok(outcome) => self.judged(outcome),
            Err(_) if listener.pace.is_asking() => Err(timed_out(most)),
            Err(_) => self.judged(Err(timed_out(self.limits.call_timeout))),
        }
    }

    /// As a timeout does it, but for the time in which the client is asked something.
    async fn in_good_time<T>(
        &self,
        call: impl Future<Output = T>,
        listener: &Listener,
        most: Duration,
    ) -> Result<T, tokio::time::error::Elapsed> {
        let begin = Instant::now();
        let mut call = std::pin::pin!(call);
        loop {
            let left = match listener.pace.since(begin) {
                Some(since) => self.limits.call_timeout.saturating_sub(since.elapsed()),
                None => LOOK,
            };
            let left = left.min(most.saturating_sub(begin.elapsed()));
            match tokio::time::timeout(left, call.as_mut()).await {
                Ok(outcome) => return Ok(outcome),
                Err(elapsed) => {
                    let is_over = listener.pace.since(begin).is_some_and(|at| at.elapsed() >= self.limits.call_timeout);
                    if is_over || begin.elapsed() >= most {
                        return Err(elapsed);
                    }
                }
            }
        }
    }

    /// Tells an upstream that is connected what clients want to hear.
    pub(super) async fn tell_level(&self) {
        let connected = {
            // While the connection is made nobody has called over it, and whoever does tells it first.
            let Ok(state) = self.state.try_lock() else { return };
            state.as_ref().map(|connected| (connected.service.peer().clone(), connected.events.clone()))
        };
        let Some((peer, events)) = connected.filter(|(peer, _)| !peer.is_transport_closed()) else { return };
        if let Some(_turn) = self.try_enter() {
            events.told.tell(&peer, &self.levels).await;
        }
    }

    async fn call(&self, call: ToolCall<'_>) -> Result<Box<RawValue>, Failure> {
        let (peer, events) = self.peer().await?;
        let _wanted = call.level.map(|level| self.levels.want(level));
        events.told.tell(&peer, &self.levels).await;
        let mut params = CallToolRequestParams::new(call.name.to_owned());
        // For headers that mirror arguments; what is sent is the text.
        params.arguments = serde_json::from_str::<JsonObject>(&call.arguments).ok();
        let place = events.floor.enter(call.listener.as_ref());
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

    async fn ask(
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
        let handle = peer.send_cancellable_request(request, options).await.map_err(|error| failure(&error))?;
        let mut awaited = Awaited::new(peer, handle.id.clone(), place);
        let answered = handle.await_response().await;
        awaited.over();
        match (exact.take(), answered) {
            (Some(Outcome::Result(result)), _) => Ok(result),
            (Some(Outcome::Error(error)), _) => Err(Failure::new(FailureKind::Rpc(error), "it answered with an error")),
            (None, Err(error)) => Err(failure(&error)),
            (None, Ok(_)) => Err(Failure::new(FailureKind::Unavailable, "its answer could not be read")),
        }
    }

    /// A turn among those that call this upstream.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, Failure> {
        self.admit()?;
        let turn = tokio::time::timeout(self.limits.queue_timeout, self.turns.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| self.is_busy())
    }

    fn is_busy(&self) -> Failure {
        let message = format!("{} calls of it are under way already", self.limits.concurrency);
        Failure::unsent(FailureKind::Busy, message)
    }

    /// Lets the breaker know. An error that the server itself wrote is an answer like any other.
    fn judged<T>(&self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        match &outcome {
            Ok(_) | Err(Failure { kind: FailureKind::Rpc(_) | FailureKind::TooLarge, .. }) => self.breaker.succeeded(),
            Err(_) => self.breaker.failed(Instant::now()),
        }
        outcome
    }

    async fn peer(&self) -> Result<(Peer<RoleClient>, Events), Failure> {
        let mut state = self.state.lock().await;
        if let Some(connected) = &*state
            && !connected.service.peer().is_transport_closed()
            && !connected.events.floor.is_given_up()
        {
            return Ok((connected.service.peer().clone(), connected.events.clone()));
        }
        if let Some(ended) = state.take() {
            ended.end().await;
        }
        // Apart: it would make every call as large as itself, connected or not.
        let connected = Box::pin(self.connect()).await?;
        let found = (connected.service.peer().clone(), connected.events.clone());
        let spoken = connected.service.peer().peer_info().map(|info| info.protocol_version.clone());
        let modern = spoken.is_some_and(|version| !version.has_initialize());
        let with_handshake = !modern || connected.events.known.has_handshake();
        *self.revisions.lock().unwrap_or_else(PoisonError::into_inner) = Some(Revisions { modern, with_handshake });
        // A child that is told to end would wait for whoever follows it: it is asked instead, see `has_changed`.
        if modern && matches!(self.target.place, Place::Http { .. }) {
            tokio::spawn(follow::changes(found.0.clone(), Arc::clone(&found.1.tools_changed)));
        }
        *state = Some(connected);
        Ok(found)
    }

    /// Ends the connection, and the child behind it.
    pub(super) async fn close(&self) {
        if let Some(connected) = self.state.lock().await.take() {
            connected.end().await;
        }
    }
}
