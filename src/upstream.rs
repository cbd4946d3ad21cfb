//! MCP servers that haldir calls: connections over streamable HTTP, or to a child of its own, within
//! bounds of time, size and number, with a circuit breaker. Nothing here decides whether a call may be made.

mod breaker;
pub mod child;
mod connection;
mod dispatcher;
mod gate;
mod in_flight;
mod levels;
mod link;
mod mid_call;
pub mod over_http;
pub mod pipe;
pub mod stderr_log;
pub mod transport;
#[cfg(unix)]
pub mod watchdog;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use child::ChildCommand;
pub use gate::{Gate, Turn};
use levels::Levels;
pub use levels::Wanted;
pub use link::{Again, AskedBy, HttpPlace, Link, Revisions, ToolCall};
pub use mid_call::{CallClock, CallEvent, CallListener, MidCallRequest, Reply};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::{
    model::{LogLevel, TenantId, UpstreamName, UpstreamSettings},
    outbound::Outbound,
};

/// The longest that a call may take, whatever progress it reports, and however long its client takes to answer requests.
pub const LONGEST: Duration = Duration::from_secs(3_600);

/// Bounds of what upstream servers may take and give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamLimits {
    /// How long a connection may take to be made, its handshake included.
    pub connect_timeout: Duration,
    /// How long a child may take to start, and any upstream to list its tools.
    pub start_timeout: Duration,
    /// How long an upstream may be silent about a call. What it says of the call's progress, and the time in which the
    /// client is asked something, do not count.
    pub call_timeout: Duration,
    /// The largest answer, in bytes.
    pub answer_bytes: usize,
    /// Calls of one upstream at a time, in this process.
    pub concurrency: usize,
    /// How long a call may wait for its turn.
    pub queue_timeout: Duration,
    /// How long a list of tools is taken to be the present one.
    pub list_age: Duration,
    /// The first pause after failures; it doubles with each, up to a minute.
    pub backoff: Duration,
}

impl Default for UpstreamLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(15),
            start_timeout: Duration::from_secs(60),
            call_timeout: Duration::from_secs(600),
            answer_bytes: 16 * 1024 * 1024,
            concurrency: 64,
            queue_timeout: Duration::from_secs(30),
            list_age: Duration::from_secs(60),
            backoff: Duration::from_millis(500),
        }
    }
}

impl UpstreamLimits {
    /// Those of one upstream.
    #[must_use]
    pub fn of(self, settings: &UpstreamSettings) -> Self {
        let seconds = |set: Option<i64>, all: Duration| {
            set.and_then(|set| u64::try_from(set).ok()).map_or(all, Duration::from_secs)
        };
        let number = |set: Option<i64>, all: usize| set.and_then(|set| usize::try_from(set).ok()).unwrap_or(all);
        Self {
            call_timeout: seconds(settings.call_timeout, self.call_timeout),
            start_timeout: seconds(settings.start_timeout, self.start_timeout),
            concurrency: number(settings.concurrency, self.concurrency),
            answer_bytes: number(settings.max_answer, self.answer_bytes),
            ..self
        }
    }
}

/// Where an upstream is, as it is registered now. Headers hold their secrets already.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name.
    pub name: UpstreamName,
    /// Which registration this is.
    pub generation: i64,
    /// How it is reached.
    pub place: Place,
    /// What is set for it alone.
    pub limits: UpstreamSettings,
}

/// How an upstream is reached.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// Over streamable HTTP.
    Http {
        /// Its address.
        url: String,
        /// Headers of every request.
        headers: BTreeMap<String, Zeroizing<String>>,
    },
    /// A child of this process.
    Child(ChildCommand),
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({}/{} #{})", self.tenant, self.name, self.generation)
    }
}

/// Why an upstream gave no result.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What went wrong.
    pub kind: FailureKind,
    /// For people; without the address, which may hold secrets.
    pub message: String,
    /// Whether the call certainly never reached the upstream.
    pub unsent: bool,
}

/// The kinds of failure.
#[derive(Clone, Debug)]
pub enum FailureKind {
    /// It could not be reached, or broke off.
    Unavailable,
    /// It is being started, and has not answered yet.
    Starting,
    /// It did not answer in time.
    TimedOut,
    /// Its answer was larger than allowed.
    TooLarge,
    /// Too many calls are under way, or it has failed too often of late.
    Busy,
    /// It answered with an HTTP status other than success, and this text, cut short.
    Status(u16, String),
    /// It answered with a JSON-RPC error: `code`, `message`, `data`, as it was written.
    Rpc(Box<RawValue>),
    /// The client took the call back.
    Cancelled,
    /// It no longer knows the session that the request was made in.
    SessionOver,
}

impl FailureKind {
    /// A word for logs and answers.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unavailable | Self::SessionOver => "upstream_unavailable",
            Self::Starting => "upstream_starting",
            Self::TimedOut => "upstream_timeout",
            Self::TooLarge => "upstream_answer_too_large",
            Self::Busy => "upstream_busy",
            Self::Status(..) => "upstream_status",
            Self::Rpc(_) => "upstream_error",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Failure {
    /// The client took the call back; `unsent` if that was before it left.
    pub fn cancelled(unsent: bool) -> Self {
        let message = "the client cancelled the call before it was answered".to_owned();
        Self { kind: FailureKind::Cancelled, message, unsent }
    }

    /// The message as the client of `/mcp/{upstream}`, or of a wrapped server, reads it.
    pub fn as_upstreams(&self) -> String {
        format!("the upstream did not answer: {}", self.message)
    }

    /// Whether the upstream redirected the request to another address. It may have carried it out before.
    pub fn is_redirect(&self) -> bool {
        self.message == over_http::REDIRECTED
    }

    fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), unsent: false }
    }

    /// Of a request that was not answered in this time.
    fn timed_out(limit: Duration) -> Self {
        Self::new(FailureKind::TimedOut, format!("no answer within {} s", limit.as_secs_f64()))
    }

    fn unsent(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), unsent: true }
    }
}

type Key = (TenantId, UpstreamName);

/// The connections of this process. Each is made when it is first needed, and again when it broke.
pub struct Connections {
    outbound: Outbound,
    limits: UpstreamLimits,
    // A mutex that blocks its thread: it is held to look up or insert, never across a wait.
    links: Mutex<HashMap<Key, Arc<Link>>>,
    /// What the clients of each tenant want to hear.
    levels: Mutex<HashMap<TenantId, Levels>>,
}

impl Connections {
    /// No connection yet.
    pub fn new(outbound: Outbound, limits: UpstreamLimits) -> Self {
        Self { outbound, limits, links: Mutex::default(), levels: Mutex::default() }
    }

    /// The bounds.
    pub fn limits(&self) -> &UpstreamLimits {
        &self.limits
    }

    /// The connection to this target; one that was made for an older registration is dropped.
    pub fn link(&self, target: Target) -> Arc<Link> {
        let key = (target.tenant.clone(), target.name.clone());
        let mut links = self.links.lock();
        if let Some(link) = links.get(&key).filter(|link| link.serves(&target)) {
            return Arc::clone(link);
        }
        let levels = self.levels(&target.tenant);
        let limits = self.limits.of(&target.limits);
        let link = Arc::new(Link::new(target, self.outbound.clone(), limits, levels));
        links.insert(key, Arc::clone(&link));
        link
    }

    fn levels(&self, tenant: &TenantId) -> Levels {
        let mut levels = self.levels.lock();
        levels.entry(tenant.clone()).or_default().clone()
    }

    /// A client of this tenant wants log messages from this level on, for as long as the answer is kept.
    pub fn want_logs(&self, tenant: &TenantId, level: LogLevel) -> Wanted {
        self.levels(tenant).want(level)
    }

    /// Tells the upstreams of a tenant that are connected what its clients want.
    pub async fn tell_levels(&self, tenant: &TenantId) {
        let links: Vec<_> = {
            let links = self.links.lock();
            links.iter().filter(|((of, _), _)| of == tenant).map(|(_, link)| Arc::clone(link)).collect()
        };
        futures::future::join_all(links.iter().map(|link| link.tell_level())).await;
    }

    /// The connection that there is, whatever it was made for.
    pub fn existing(&self, tenant: &TenantId, name: &UpstreamName) -> Option<Arc<Link>> {
        let links = self.links.lock();
        links.get(&(tenant.clone(), name.clone())).cloned()
    }

    /// How many there are, and how many of them are left alone for having failed.
    pub fn count(&self) -> (usize, usize) {
        let links = self.links.lock();
        (links.len(), links.values().filter(|link| link.gate().is_resting()).count())
    }

    /// Ends all of them, and the children behind them.
    pub async fn close(&self) {
        let links: Vec<_> = {
            let mut links = self.links.lock();
            links.drain().map(|(_, link)| link).collect()
        };
        futures::future::join_all(links.iter().map(|link| link.close())).await;
    }

    /// Drops the connection, if there is one.
    pub fn forget(&self, tenant: &TenantId, name: &UpstreamName) {
        let mut links = self.links.lock();
        links.remove(&(tenant.clone(), name.clone()));
    }
}
