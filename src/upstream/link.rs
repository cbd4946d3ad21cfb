//! One upstream, as this process reaches it: its connection, its turn-taking, its breaker.

mod call;
mod dial;
mod list;
mod slot;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;
use serde_json::{Value, value::RawValue};
use tokio::sync::Mutex;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use zeroize::Zeroizing;

use super::{
    Failure, FailureKind, Place, Target, UpstreamLimits, child::LAST_WORDS, connection::Connection, gate::Gate,
    levels::Levels, mid_call::CallListener,
};
use crate::{error::Error, model::LogLevel, outbound::Outbound};
use dial::{Dialer, Wanted};
use slot::Slot;

/// The longest that an upstream is left alone for having failed, and a child.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
const LONGEST_PAUSE_OF_CHILD: Duration = Duration::from_secs(60);

/// How long a call waits for a child to begin without a handshake, beside the one that has begun with one; and how long a
/// child that does not is not asked again.
const MODERN_WITHIN: Duration = Duration::from_secs(10);
const NOT_MODERN_FOR: Duration = Duration::from_secs(600);

/// A connection, made when it is needed.
pub struct Link {
    target: Target,
    outbound: Outbound,
    limits: UpstreamLimits,
    gate: Arc<Gate>,
    /// Its address and headers over HTTP, once they were needed.
    http: OnceLock<Arc<HttpPlace>>,
    /// What clients want to hear.
    levels: Levels,
    /// What the newest connection has shown.
    revisions: parking_lot::Mutex<Option<Revisions>>,
    /// Whether any connection has said that the tools are other ones now.
    tools_changed: Arc<AtomicBool>,
    // Tokio's mutexes: they are held while the connection is made, so that only one is.
    state: Mutex<Slot>,
    /// At a server of both kinds of revisions: the connection that begins the other way than `state`, for calls whose
    /// client is asked as it is over that one.
    other: Mutex<Slot>,
    /// When a child last did not begin without a handshake.
    refused_modern: parking_lot::Mutex<Option<Instant>>,
    /// Ends all waiting for a connection.
    stop: CancellationToken,
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
    pub capabilities: Option<Arc<Value>>,
    /// How the caller's client is asked something. A server of both kinds of revisions asks in the way of the revision
    /// that its connection began with.
    pub asked: AskedBy,
    /// Answers that the upstream asked for.
    pub again: Option<Again>,
    /// The least level of log messages that the caller's client wants; `None` is none.
    pub level: Option<LogLevel>,
    /// Hears what the upstream says meanwhile.
    pub listener: Option<CallListener>,
}

/// How a client is asked something in the middle of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedBy {
    /// It cannot be asked anything.
    Nothing,
    /// By requests of the server, as before 2026-07-28.
    Requests,
    /// By a result that says what is needed, from 2026-07-28 on.
    Results,
}

/// What a call is made again with, once its client has answered (2026-07-28).
#[derive(Clone, Debug)]
pub struct Again {
    /// An object.
    pub responses: Option<Box<RawValue>>,
    /// What the upstream gave, and gets back.
    pub state: Option<String>,
}

impl Link {
    pub(super) fn new(target: Target, outbound: Outbound, limits: UpstreamLimits, levels: Levels) -> Self {
        // To start a program costs more than to ask whether one listens.
        let longest = match target.place {
            Place::Http { .. } => LONGEST_PAUSE,
            Place::Child(_) => LONGEST_PAUSE_OF_CHILD,
        };
        Self {
            target,
            levels,
            outbound,
            limits,
            gate: Arc::new(Gate::new(&limits, longest)),
            http: OnceLock::new(),
            revisions: parking_lot::Mutex::default(),
            tools_changed: Arc::default(),
            state: Mutex::default(),
            other: Mutex::default(),
            refused_modern: parking_lot::Mutex::default(),
            stop: CancellationToken::new(),
        }
    }

    /// Whether this is the connection for that registration, with those headers.
    pub(super) fn serves(&self, target: &Target) -> bool {
        (self.target.generation, &self.target.place, &self.target.limits)
            == (target.generation, &target.place, &target.limits)
    }

    /// Its bounds.
    pub fn limits(&self) -> &UpstreamLimits {
        &self.limits
    }

    /// Where it is over HTTP, and the headers of every request; `None` if it is a child.
    pub fn http(&self) -> crate::error::Result<Option<Arc<HttpPlace>>> {
        if let Place::Child(_) = &self.target.place {
            return Ok(None);
        }
        if let Some(known) = self.http.get() {
            return Ok(Some(Arc::clone(known)));
        }
        let (url, headers) = http_place(&self.target.place, &self.outbound)?;
        Ok(Some(Arc::clone(self.http.get_or_init(|| Arc::new(HttpPlace { url, headers })))))
    }

    /// Limits its calls at a time, and knows whether it rests.
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Which revisions it knows; `None` if it cannot be reached.
    pub async fn revisions(&self) -> Option<Revisions> {
        let known = *self.revisions.lock();
        if known.is_some() {
            return known;
        }
        let _turn = self.gate.call().await.ok()?;
        let reached = self.connection(Wanted::Any).await;
        self.gate.judged(reached).ok()?;
        *self.revisions.lock()
    }

    /// Tells an upstream that is connected what clients want to hear.
    pub(super) async fn tell_level(&self) {
        for place in [&self.state, &self.other] {
            // No call was made yet over a connection that is being made, and the first call sets the level before it is sent.
            let connected = place.try_lock().ok().and_then(|slot| slot.usable());
            let Some(connection) = connected else { continue };
            if let Some(_turn) = self.gate.try_enter() {
                connection.told().tell(&connection, &self.levels).await;
            }
        }
    }

    /// The connection that is wanted, which is made if there is none.
    async fn connection(&self, wanted: Wanted) -> Result<Connection, Failure> {
        let entered = Instant::now();
        let place = if wanted == Wanted::Any { &self.state } else { &self.other };
        let mut slot = place.lock().await;
        // Apart: it would make every call as large as itself, connected or not.
        let made = tokio::select! {
            made = Box::pin(slot.connected(|| self.dialer(), wanted, (entered, self.patience(wanted)))) => made,
            () = self.stop.cancelled() => Err(Failure::unsent(FailureKind::Unavailable, "haldir is ending")),
        };
        let made = made.inspect_err(|failure| self.tell_of(failure, wanted))?;
        let found = slot.usable().ok_or_else(|| Failure::unsent(FailureKind::Unavailable, "the connection broke"))?;
        let Some(revisions) = made.filter(|_| wanted == Wanted::Any) else { return Ok(found) };
        *self.revisions.lock() = Some(revisions);
        // A child that is told to end would wait for the end of a subscription: it is asked instead, see `has_changed`.
        if found.is_modern() && matches!(self.target.place, Place::Http { .. }) {
            let follows = tokio::spawn(found.clone().follow_changes(Arc::clone(&self.tools_changed)));
            if let Some(made) = slot.made_mut() {
                made.follows = Some(AbortOnDropHandle::new(follows));
            }
        }
        Ok(found)
    }

    /// Tells the operator of a child that does not start.
    fn tell_of(&self, failure: &Failure, wanted: Wanted) {
        if let Place::Child(command) = &self.target.place {
            if wanted == Wanted::Modern {
                // It runs, and need not know that revision.
                return tracing::debug!(upstream = %self.target.name, "a child does not begin without a handshake");
            }
            // Its standard error may hold secrets.
            let problem = failure.message.split(LAST_WORDS).next().unwrap_or_default();
            tracing::warn!(upstream = %self.target.name, log = %command.log.display(), problem, "a child is not there");
        }
    }

    fn dialer(&self) -> Dialer {
        Dialer {
            place: self.target.place.clone(),
            outbound: self.outbound.clone(),
            limits: self.limits,
            tools_changed: Arc::clone(&self.tools_changed),
            without_handshake: self.known_revisions().is_some_and(|known| !known.with_handshake),
        }
    }

    fn known_revisions(&self) -> Option<Revisions> {
        *self.revisions.lock()
    }

    /// How long an attempt to connect is waited for.
    fn patience(&self, wanted: Wanted) -> Duration {
        match self.target.place {
            // It ends by itself before.
            Place::Http { .. } => self.limits.connect_timeout.saturating_mul(4),
            Place::Child(_) if wanted == Wanted::Modern => self.limits.start_timeout.min(MODERN_WITHIN),
            Place::Child(_) => self.limits.start_timeout,
        }
    }

    /// Ends the connections, and the child behind them.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        for place in [&self.state, &self.other] {
            place.lock().await.close().await;
        }
    }
}

/// The address of an upstream over HTTP, and the headers of every request to it.
fn http_place(place: &Place, outbound: &Outbound) -> crate::error::Result<(Url, HeaderMap)> {
    let Place::Http { url, headers: written } = place else { return Err(Error::internal("a child has no address")) };
    let url = outbound.parse(url)?;
    let mut headers = HeaderMap::new();
    for (header, value) in written {
        let header: HeaderName = header.parse().map_err(Error::internal)?;
        let mut value: HeaderValue = value.parse().map_err(Error::internal)?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok((url, headers))
}
