//! Requests over plain HTTP, on connections that are kept for the next one to the same address.
//!
//! A connection is driven by whoever waits for its answer, and is no task of its own: between a request and its answer
//! no other task, and so no other thread, has to be woken. Who stops waiting closes it.

use std::{
    collections::HashMap,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header,
    uri::{Authority, PathAndQuery},
};
use http_body_util::Full;
use hyper::{
    body::{Body, Incoming},
    client::conn::http1::{self, SendRequest},
};
use hyper_util::{
    client::legacy::connect::{HttpConnector, dns::Name},
    rt::TokioIo,
};
use tokio::{
    net::TcpStream,
    runtime::{Handle, Id},
    task::coop::unconstrained,
    time::{Instant, timeout_at},
};
use tower::Service;

use super::{CONNECT_TIMEOUT, Outbound, USER_AGENT, cause};

/// How long a connection is kept that nobody uses, and how many of them to one address.
const KEPT: Duration = Duration::from_secs(90);
const MAX_KEPT: usize = 64;
/// When a silent connection is asked whether it is still there, how often, and how many times.
const PROBE: Duration = Duration::from_secs(15);
const PROBES: u32 = 3;

/// Why nothing is sent to an address that is none.
const NO_ADDRESS: &str = "its address is none that haldir connects to";

/// Says in the log that an address was not reached, and why.
fn tell(address: &Authority, error: &str) {
    let place = address.as_str();
    if cause::is_due(place) {
        tracing::warn!(place, error, "an upstream was not reached");
    }
}

/// A request that can be sent as it is.
pub type Outgoing = Request<Full<Bytes>>;

type Driver = http1::Connection<TokioIo<TcpStream>, Full<Bytes>>;
type Answered = Result<Response<Incoming>, http1_error::Unsent>;

mod http1_error {
    pub type Unsent = hyper::client::conn::TrySendError<super::Outgoing>;
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// It never left: there was no connection to be had. Why, without an address: this may be told to agents.
    Unreachable(&'static str),
    /// Not in time.
    TimedOut,
    /// The connection ended before.
    BrokeOff,
}

/// The connections that are kept.
#[derive(Clone)]
pub struct Kept {
    connector: HttpConnector<Names>,
    idle: Arc<Idle>,
}

/// Those that nobody uses now.
#[derive(Default)]
struct Idle {
    // A std mutex: it is held to put one in or take one out.
    wires: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    by_place: HashMap<Place, Vec<(Wire, Instant)>>,
    /// Whether a task looks for those that were kept for too long.
    is_swept: bool,
}

/// Where a connection goes, and the runtime that hears of its events: in another one it would be a thread further away.
type Place = (Option<Id>, Authority);

fn place(address: &Authority) -> Place {
    (Handle::try_current().ok().map(|runtime| runtime.id()), address.clone())
}

/// A connection.
struct Wire {
    place: Place,
    sender: SendRequest<Full<Bytes>>,
    driver: Pin<Box<Driver>>,
    has_ended: bool,
}

/// A request on its way.
pub struct Sent {
    wire: Wire,
    answer: Pin<Box<dyn Future<Output = Answered> + Send>>,
}

/// An answer, whose body is still to come.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    body: Incoming,
    /// Until the body has ended.
    wire: Option<Wire>,
    idle: Arc<Idle>,
    until: Instant,
}

/// A request as it is sent to `uri`, with what every request has.
pub fn outgoing(method: Method, uri: &Uri, mut headers: HeaderMap, body: Bytes) -> Option<(Authority, Outgoing)> {
    let address = uri.authority()?.clone();
    let host = match address.port_u16() {
        Some(80) | None => HeaderValue::from_str(address.host()),
        Some(_) => HeaderValue::from_str(address.as_str()),
    };
    headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
    headers.entry(header::HOST).or_insert(host.ok()?);
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")).into();
    *request.headers_mut() = headers;
    Some((address, request))
}

impl Kept {
    /// Connects to allowed addresses only. Who sends asks [`Outbound::check_form`] before, for hosts that are no names.
    pub fn new(outbound: &Outbound) -> Self {
        let mut connector = HttpConnector::new_with_resolver(Names(outbound.clone()));
        connector.set_nodelay(true);
        connector.set_keepalive(Some(PROBE));
        connector.set_keepalive_interval(Some(PROBE));
        connector.set_keepalive_retries(Some(PROBES));
        Self { connector, idle: Arc::default() }
    }

    /// Sends a request, and answers with the head of what comes back. A body that has not ended then is broken off.
    pub async fn send(&self, address: &Authority, mut request: Outgoing, until: Instant) -> Result<Answer, Unanswered> {
        while let Some(wire) = self.idle.take(address) {
            // A server may end a connection that it has kept for a while just then. What it did not get is sent again.
            match self.answered(wire.send(request), until).await? {
                Ok(answer) => return Ok(answer),
                Err(unsent) => request = *unsent,
            }
        }
        let wire = self.connected(address, until).await?;
        self.answered(wire.send(request), until).await?.map_err(|_| Unanswered::BrokeOff)
    }

    /// Waits for the answer; gives the request back if it was not sent.
    async fn answered(&self, sent: Sent, until: Instant) -> Result<Result<Answer, Box<Outgoing>>, Unanswered> {
        let Sent { mut wire, mut answer } = sent;
        let answered = std::future::poll_fn(|cx| {
            wire.drive(cx);
            // It can only come by driving the connection, so nobody needs to be woken for it.
            unwoken(answer.as_mut())
        });
        match timeout_at(until, answered).await.map_err(|_| Unanswered::TimedOut)? {
            Ok(response) => {
                let (head, body) = response.into_parts();
                let (status, headers, idle) = (head.status, head.headers, Arc::clone(&self.idle));
                Ok(Ok(Answer { status, headers, body, wire: Some(wire), idle, until }))
            }
            Err(mut error) => error.take_message().map(|request| Err(Box::new(request))).ok_or(Unanswered::BrokeOff),
        }
    }

    async fn connected(&self, address: &Authority, until: Instant) -> Result<Wire, Unanswered> {
        let uri = Uri::builder().scheme("http").authority(address.clone()).path_and_query("/").build();
        let uri = uri.map_err(|_| Unanswered::Unreachable(NO_ADDRESS))?;
        let soon = Instant::now() + CONNECT_TIMEOUT;
        let connected = timeout_at(soon.min(until), self.connector.clone().call(uri)).await;
        let stream = match connected {
            Ok(Ok(stream)) => stream,
            Err(_) if until <= soon => return Err(Unanswered::TimedOut),
            Ok(Err(error)) => {
                tell(address, &cause::chain(&error));
                return Err(Unanswered::Unreachable(cause::class(&error)));
            }
            Err(_) => {
                tell(address, "no connection within 5 s");
                return Err(Unanswered::Unreachable(cause::LATE));
            }
        };
        let handshake = http1::handshake(stream).await;
        let (sender, driver) = handshake.map_err(|error| Unanswered::Unreachable(cause::class(&error)))?;
        Ok(Wire { place: place(address), sender, driver: Box::pin(driver), has_ended: false })
    }
}

impl Wire {
    /// Hands a request to the connection, which writes it at once as far as the other side takes it.
    fn send(mut self, request: Outgoing) -> Sent {
        let answer = Box::pin(self.sender.try_send_request(request));
        self.drive_unwoken();
        Sent { wire: self, answer }
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.has_ended {
            self.has_ended = self.driver.as_mut().poll(cx).is_ready();
        }
    }

    fn drive_unwoken(&mut self) {
        if !self.has_ended {
            self.has_ended = unwoken(self.driver.as_mut()).is_ready();
        }
    }

    /// Whether it takes another request; it is nobody's affair then what happens on it.
    fn is_free(&mut self) -> bool {
        self.drive_unwoken();
        !self.has_ended && self.sender.is_ready()
    }
}

/// Polls what only goes on when it is polled again; without the budget of a task, which would end such a poll early.
fn unwoken<F: Future + Unpin>(work: F) -> Poll<F::Output> {
    Pin::new(&mut unconstrained(work)).poll(&mut Context::from_waker(Waker::noop()))
}

impl Answer {
    /// The rest of the body may come until then.
    pub fn wait_until(&mut self, until: Instant) {
        self.until = until;
    }

    /// The next piece of the body; `None` once it has ended.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Unanswered> {
        let until = self.until;
        timeout_at(until, std::future::poll_fn(|cx| self.poll_chunk(cx))).await.map_err(|_| Unanswered::TimedOut)?
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Unanswered>> {
        let Some(wire) = &mut self.wire else { return Poll::Ready(Ok(None)) };
        let mut is_driven = false;
        loop {
            match Pin::new(&mut self.body).poll_frame(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers say nothing here.
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Ok(Some(data)));
                    }
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Unanswered::BrokeOff)),
                Poll::Ready(None) => {
                    self.wire.take().into_iter().for_each(|wire| self.idle.keep(wire));
                    return Poll::Ready(Ok(None));
                }
                Poll::Pending if wire.has_ended => return Poll::Ready(Err(Unanswered::BrokeOff)),
                Poll::Pending if is_driven => return Poll::Pending,
                Poll::Pending => {
                    wire.drive(cx);
                    is_driven = true;
                }
            }
        }
    }
}

impl Idle {
    fn wires(&self) -> MutexGuard<'_, Waiting> {
        self.wires.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that is still open: the one that was used last.
    fn take(&self, address: &Authority) -> Option<Wire> {
        let place = place(address);
        loop {
            let (mut wire, since) = self.wires().by_place.get_mut(&place)?.pop()?;
            if since.elapsed() < KEPT && wire.is_free() {
                return Some(wire);
            }
        }
    }

    fn keep(self: &Arc<Self>, mut wire: Wire) {
        if !wire.is_free() {
            return;
        }
        let mut waiting = self.wires();
        let there = waiting.by_place.entry(wire.place.clone()).or_default();
        if there.len() < MAX_KEPT {
            there.push((wire, Instant::now()));
        }
        if !waiting.is_swept
            && let Ok(runtime) = Handle::try_current()
        {
            waiting.is_swept = true;
            runtime.spawn(Self::sweep(Arc::clone(self)));
        }
    }

    /// Closes those that nobody has used for so long, until there are none.
    async fn sweep(this: Arc<Self>) {
        loop {
            tokio::time::sleep(KEPT).await;
            let mut waiting = this.wires();
            waiting.by_place.retain(|_, wires| {
                wires.retain_mut(|(wire, since)| since.elapsed() < KEPT && wire.is_free());
                !wires.is_empty()
            });
            if waiting.by_place.is_empty() {
                waiting.is_swept = false;
                return;
            }
        }
    }
}

/// Looks names up, and refuses those that lead to addresses that are not allowed.
#[derive(Clone)]
struct Names(Outbound);

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = String;
    type Future = BoxFuture<'static, Result<Self::Response, String>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), String>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let outbound = self.0.clone();
        Box::pin(async move { Ok(Outbound::resolve(&outbound, name.as_str()).await?.into_iter()) })
    }
}

#[cfg(test)]
mod tests;
