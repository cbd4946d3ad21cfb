//! A connection to an upstream: how it begins, requests and their answers, and what the upstream sends by itself.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json, value::RawValue};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use zeroize::Zeroizing;

use super::{
    Failure, FailureKind,
    dispatcher::Sink,
    in_flight::{InFlight, Ticket},
    levels::Told,
    mid_call::{CallClock, CallListener},
    over_http::{SESSION_OVER, Session},
    transport::{Incoming, MAX_WAITING, Source, Transport},
};
use crate::protocol::{
    edit, json,
    message::{self, INITIALIZED, Message, quoted},
    meta::{CLIENT_CAPABILITIES, CLIENT_INFO, PROGRESS_TOKEN, PROTOCOL_VERSION},
    revision::{FIRST_WITHOUT_HANDSHAKE, is_without_handshake},
};

/// How long a child that takes no input any more is still read.
const READ_ON: Duration = Duration::from_secs(1);
/// Why the connection to an upstream is ended that makes requests, and does not read the answers.
const TAKES_NOTHING: &str = "it does not take the answers to its questions";
/// Why requests in flight fail on a connection that haldir ends.
const STOPPED: &str = "the connection was ended";
/// The failure message of a server that knows none of the revisions that it was asked for.
pub(super) const OTHER_REVISION: &str = "it speaks no revision of MCP that haldir asked for";

/// How a connection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// With `initialize`, as revisions before 2026-07-28 have it, naming this revision.
    Handshake(&'static str),
    /// With `server/discover`.
    Discovery,
}

/// What a server says of itself.
#[derive(Debug)]
struct Server {
    is_modern: bool,
    capabilities: Value,
    /// The revisions that it names without a handshake.
    versions: Vec<String>,
}

/// A connection. It ends once the last clone is dropped.
#[derive(Clone)]
pub(super) struct Connection(Arc<Inner>);

struct Inner {
    /// Over HTTP: takes requests directly.
    session: Option<Arc<Session>>,
    in_flight: InFlight,
    server: OnceLock<Server>,
    /// What the upstream was told of the log messages that are wanted.
    told: Told,
    stop: CancellationToken,
    /// Once the child behind it has ended.
    ended: CancellationToken,
    _stop: DropGuard,
}

/// What a call has besides its parameters.
pub(super) struct CallContext {
    /// Hears what the upstream says meanwhile.
    pub(super) listener: Option<CallListener>,
    pub(super) pace: Arc<CallClock>,
    /// Members of its `_meta`, as JSON.
    pub(super) meta: Vec<(&'static str, String)>,
}

/// What haldir can do as a client. The connection is for many clients: for one that cannot do what the upstream asks, haldir
/// declines.
fn capabilities() -> Value {
    json!({"elicitation": {"form": {}, "url": {}}, "roots": {}, "sampling": {"tools": {}, "context": {}}})
}

fn client_info() -> Value {
    json!({"name": "haldir", "version": env!("CARGO_PKG_VERSION")})
}

impl Connection {
    /// Connects and begins. A message of the upstream has at most `most` bytes; `tools_changed` is set when the upstream
    /// says that its tools have changed.
    pub(super) async fn begin(
        source: &Source,
        most: usize,
        (beginning, within): (Beginning, Duration),
        tools_changed: Arc<AtomicBool>,
    ) -> Result<Self, Failure> {
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let guard = ended.clone().drop_guard();
        let (in_flight, session) = match source {
            Source::Http(upstream) => {
                let (input, messages) = mpsc::channel(MAX_WAITING);
                let in_flight = InFlight::new(input, tools_changed);
                let session = upstream.start(messages, Sink::InFlight(in_flight.clone()), stop.child_token());
                tokio::spawn(end_with(Arc::clone(&session), in_flight.clone(), stop.clone(), guard));
                (in_flight, Some(session))
            }
            Source::Child(_) => {
                let transport = Transport::start(source, most)?;
                let in_flight = InFlight::new(transport.input.clone(), tools_changed);
                let receiver = Receiver { transport, in_flight: in_flight.clone(), most };
                tokio::spawn(receiver.run(stop.clone(), guard));
                (in_flight, None)
            }
        };
        let (server, told, guard) = (OnceLock::new(), Told::default(), stop.clone().drop_guard());
        let this = Self(Arc::new(Inner { session, in_flight, server, told, stop, ended, _stop: guard }));
        let begun = match timeout(within, this.introduce(beginning)).await {
            Ok(begun) => begun,
            Err(_) => Err(Failure::timed_out(within)),
        };
        match begun {
            Ok(server) => {
                let _ = this.0.server.set(server);
                Ok(this)
            }
            Err(failure) => {
                // A child that is begun anew must not meet the one before.
                this.end().await;
                Err(Failure { unsent: true, ..failure })
            }
        }
    }

    async fn introduce(&self, beginning: Beginning) -> Result<Server, Failure> {
        let unreadable = || Failure::new(FailureKind::Unavailable, "it does not speak MCP as a server");
        match beginning {
            Beginning::Handshake(revision) => {
                let params = json!({"protocolVersion": revision, "capabilities": capabilities(),
                    "clientInfo": client_info()});
                let result = self.request("initialize", &params.to_string(), None).await?;
                let result = edit::value(&result);
                let version = result["protocolVersion"].as_str().ok_or_else(unreadable)?;
                if is_without_handshake(version) && version != revision {
                    return Err(Failure::new(FailureKind::Unavailable, OTHER_REVISION));
                }
                self.send(INITIALIZED.to_owned()).await;
                let capabilities = result["capabilities"].clone();
                Ok(Server { is_modern: false, capabilities, versions: vec![version.to_owned()] })
            }
            Beginning::Discovery => {
                let params = with_meta("{}", &modern_meta(&capabilities(), &[]));
                let result = self.request("server/discover", &params, None).await?;
                let result = edit::value(&result);
                let versions = result["supportedVersions"].as_array().ok_or_else(unreadable)?;
                let versions: Vec<String> = versions.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect();
                if !versions.iter().any(|version| version == FIRST_WITHOUT_HANDSHAKE) {
                    return Err(Failure::new(FailureKind::Unavailable, OTHER_REVISION));
                }
                Ok(Server { is_modern: true, capabilities: result["capabilities"].clone(), versions })
            }
        }
    }

    fn server(&self) -> Option<&Server> {
        self.0.server.get()
    }

    /// Whether it began without a handshake.
    pub(super) fn is_modern(&self) -> bool {
        self.server().is_some_and(|server| server.is_modern)
    }

    /// Whether the server names a revision for which this holds.
    pub(super) fn names(&self, holds: impl Fn(&str) -> bool) -> bool {
        self.server().is_some_and(|server| server.versions.iter().any(|version| holds(version)))
    }

    /// Whether the server declares this: a capability, or a member of one.
    pub(super) fn declares(&self, pointer: &str) -> bool {
        let declared = self.server().and_then(|server| server.capabilities.pointer(pointer));
        declared.is_some_and(|declared| !declared.is_null() && *declared != false)
    }

    /// What it was told of the log messages that are wanted.
    pub(super) fn told(&self) -> &Told {
        &self.0.told
    }

    /// Whether requests may still be made over it.
    pub(super) fn is_usable(&self) -> bool {
        !self.0.in_flight.has_ended() && !self.0.stop.is_cancelled() && !self.0.in_flight.input().is_closed()
    }

    /// Ends the connection, and waits until the child behind it has ended.
    pub(super) async fn end(&self) {
        self.0.stop.cancel();
        self.0.ended.cancelled().await;
    }

    /// Makes a request with these parameters, an object; answers its result as it was written.
    pub(super) async fn request(
        &self,
        method: &str,
        params: &str,
        call: Option<CallContext>,
    ) -> Result<Box<RawValue>, Failure> {
        let (context, more) = match call {
            Some(CallContext { listener, pace, meta }) => (Some((listener, pace)), meta),
            None => (None, Vec::new()),
        };
        let is_call = context.is_some();
        let (ticket, answer) = self.0.in_flight.begin(context)?;
        let text = self.written(method, params, &ticket, is_call, more);
        if !self.0.session.as_ref().is_some_and(|session| session.send_request(&text)) {
            // Fails if the connection has ended; its reader says why.
            let _ = self.0.in_flight.input().send(text).await;
        }
        let answer = tokio::select! {
            biased;
            answer = answer => answer,
            () = self.0.in_flight.given_up() => Ok(Err(Failure::new(FailureKind::Unavailable, TAKES_NOTHING))),
        };
        answer.unwrap_or_else(|_| Err(Failure::new(FailureKind::Unavailable, "the connection broke")))
    }

    fn written(
        &self,
        method: &str,
        params: &str,
        ticket: &Ticket,
        is_call: bool,
        mut meta: Vec<(&'static str, String)>,
    ) -> Zeroizing<String> {
        if is_call {
            meta.push((PROGRESS_TOKEN, ticket.id.to_string()));
        }
        let params = if self.is_modern() {
            let own = modern_meta(&capabilities(), &meta);
            Zeroizing::new(with_meta(params, &own))
        } else if meta.is_empty() {
            Zeroizing::new(params.to_owned())
        } else {
            Zeroizing::new(with_meta(params, &meta))
        };
        message::request(&ticket.id.to_string(), method, &params).into()
    }

    async fn send(&self, text: String) {
        // Fails if the connection has ended, which the next request finds out.
        let _ = self.0.in_flight.input().send(text.into()).await;
    }

    /// Sets `tools_changed` whenever a server of 2026-07-28 says so; a server of an earlier revision says it unasked.
    pub(super) async fn follow_changes(self, tools_changed: Arc<AtomicBool>) {
        if !self.declares("/tools/listChanged") {
            return;
        }
        let params = json!({"notifications": {"toolsListChanged": true}}).to_string();
        for _ in 0..MAX_FOLLOWED {
            // It is answered when the subscription ends.
            if let Err(Failure { kind: FailureKind::Rpc(_) | FailureKind::Status(..), .. }) =
                self.request("subscriptions/listen", &params, None).await
            {
                return;
            }
            tokio::time::sleep(FOLLOW_PAUSE).await;
            if !self.is_usable() {
                return;
            }
            // Changes in between were told to no subscription.
            tools_changed.store(true, Ordering::Release);
        }
    }
}

/// How often changes are followed anew once that has ended, and the pause before.
const MAX_FOLLOWED: usize = 1_000;
const FOLLOW_PAUSE: Duration = Duration::from_secs(5);

/// The members of `_meta` that every request of 2026-07-28 has; those of the request come first.
fn modern_meta(capabilities: &Value, own: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
    let mut all = own.to_vec();
    for (name, value) in [
        (PROTOCOL_VERSION, quoted(FIRST_WITHOUT_HANDSHAKE)),
        (CLIENT_INFO, client_info().to_string()),
        (CLIENT_CAPABILITIES, capabilities.to_string()),
    ] {
        if !all.iter().any(|(known, _)| *known == name) {
            all.push((name, value));
        }
    }
    all
}

/// Parameters, an object, with this `_meta`.
fn with_meta(params: &str, meta: &[(&'static str, String)]) -> String {
    let meta = format!("\"_meta\":{}", json::written(meta.iter().map(|(name, value)| (name, value))));
    match params.strip_prefix('{').unwrap_or_default() {
        "}" | "" => format!("{{{meta}}}"),
        rest => format!("{{{meta},{rest}"),
    }
}

/// Reads what a child sends.
struct Receiver {
    transport: Transport,
    in_flight: InFlight,
    most: usize,
}

/// Ends the requests in flight with their session over HTTP.
async fn end_with(session: Arc<Session>, in_flight: InFlight, stop: CancellationToken, ended: DropGuard) {
    let message = tokio::select! {
        biased;
        () = stop.cancelled() => STOPPED,
        () = in_flight.given_up() => TAKES_NOTHING,
        () = session.stop.cancelled() => SESSION_OVER,
    };
    in_flight.end(&Failure::new(FailureKind::Unavailable, message));
    session.stop.cancel();
    drop(ended);
}

impl Receiver {
    async fn run(mut self, stop: CancellationToken, ended: DropGuard) {
        let unavailable = |message: String| Failure::new(FailureKind::Unavailable, message);
        let in_flight = self.in_flight;
        let failure = loop {
            let incoming = tokio::select! {
                biased;
                () = stop.cancelled() => break unavailable(STOPPED.to_owned()),
                () = in_flight.given_up() => break unavailable(TAKES_NOTHING.to_owned()),
                incoming = self.transport.output.recv() => incoming,
                // A child that closed its input may write for ever.
                () = async { in_flight.input().closed().await; tokio::time::sleep(READ_ON).await } => None,
            };
            match incoming {
                Some(Incoming::Message { text, answering, .. }) => {
                    if let Some(text) = self.transport.without_noise(text) {
                        for text in message::messages(text) {
                            match Message::read(&text) {
                                Ok(message) => in_flight.take(&message, text.len(), answering.as_deref()).await,
                                Err(_) => self.transport.noise(&text),
                            }
                        }
                    }
                }
                // haldir cannot tell which request it answers, and it may never end.
                Some(Incoming::TooLong(_)) => {
                    let message = format!("the answer has more than {} bytes", self.most);
                    break Failure::new(FailureKind::TooLarge, message);
                }
                Some(Incoming::Failed { id, failure }) => in_flight.failed(&id, failure),
                None => break unavailable(self.transport.how_it_ended().await),
            }
        };
        in_flight.end(&failure);
        self.transport.stop().await;
        drop(ended);
    }
}
