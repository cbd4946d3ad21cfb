//! How a connection to an upstream is made, and what it says by itself.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use http::{HeaderName, HeaderValue};
use rmcp::{
    ClientHandler, RoleClient,
    model::{ClientConfig, Implementation},
    service::{ClientLifecycleMode, ClientServiceExt, NotificationContext, RunningService},
    transport::{
        IntoTransport,
        streamable_http_client::{StreamableHttpClientTransport, StreamableHttpClientTransportConfig},
    },
};
use serde_json::json;
use zeroize::Zeroizing;

use super::Revisions;
use crate::{
    outbound::Outbound,
    upstream::{
        Failure, FailureKind, Place, UpstreamLimits,
        child::ChildCommand,
        failed::{OTHER_REVISION, not_connected, timed_out},
        floor::Floor,
        levels::Told,
        piped::{Piped, Silence},
        transport::{KnownVersions, Refusals, Transport},
    },
};

/// How many times the time that a start may take a child is waited for in all, while it lives.
const PATIENCE: u32 = 10;

/// A connection that is made.
pub(super) struct Connected {
    pub(super) service: RunningService<RoleClient, Events>,
    pub(super) events: Events,
    pub(super) listed: Option<Instant>,
}

impl Connected {
    /// Whether it began without a handshake.
    pub(super) fn is_modern(&self) -> bool {
        self.service.peer().peer_info().is_some_and(|info| !info.protocol_version.has_initialize())
    }

    /// Whether requests may still be made over it.
    pub(super) fn is_usable(&self) -> bool {
        let Events { floor, refusals, .. } = &self.events;
        !self.service.peer().is_transport_closed() && !floor.is_given_up() && !refusals.are_many()
    }

    /// Waits until the connection is closed, and the child behind it has ended.
    pub(super) async fn end(self) {
        // Fails if its task has panicked, and then it has ended too.
        let _ = self.service.cancel().await;
    }
}

/// How a connection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// As the server likes best.
    Any,
    /// With a handshake, as revisions before 2026-07-28 have it.
    Handshake,
    /// Without one.
    Modern,
}

/// The newest revision if the server has it, else what it shakes hands with.
fn either() -> ClientLifecycleMode {
    ClientLifecycleMode::Auto { preferred_versions: vec![rmcp::model::ProtocolVersion::LATEST], legacy_version: None }
}

/// Without a handshake.
fn modern() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover { preferred_versions: vec![rmcp::model::ProtocolVersion::LATEST] }
}

/// Hears what an upstream says by itself.
#[derive(Clone, Default)]
pub(super) struct Events {
    pub(super) tools_changed: Arc<AtomicBool>,
    /// Of a child: why it is heard no more.
    silence: Silence,
    /// Over HTTP: the revisions that it says to know.
    known: KnownVersions,
    /// Over HTTP: whether the session is to be begun anew.
    pub(super) refusals: Refusals,
    /// Who hears what it says in the middle of a call.
    pub(super) floor: Floor,
    /// What it knows of the log messages that are wanted.
    pub(super) told: Told,
}

impl Events {
    /// A failure with what is known of its cause.
    pub(super) fn explained(&self, failure: Failure) -> Failure {
        match self.silence.why() {
            Some((kind, message)) if matches!(failure.kind, FailureKind::Unavailable) => {
                Failure { kind, message, ..failure }
            }
            _ => failure,
        }
    }
}

impl ClientHandler for Events {
    fn get_info(&self) -> ClientConfig {
        // The connection is for many clients. One that cannot do what the upstream asks is declined for.
        let all =
            json!({"elicitation": {"form": {}, "url": {}}, "roots": {}, "sampling": {"tools": {}, "context": {}}});
        let all = serde_json::from_value(all).unwrap_or_default();
        ClientConfig::new(all, Implementation::new("haldir", env!("CARGO_PKG_VERSION")))
    }

    async fn on_tool_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.tools_changed.store(true, Ordering::Release);
    }
}

/// Makes connections to one upstream.
#[derive(Clone)]
pub(super) struct Dialer {
    pub(super) place: Place,
    pub(super) outbound: Outbound,
    pub(super) limits: UpstreamLimits,
    /// Whether any of them has said that the tools are other ones now.
    pub(super) tools_changed: Arc<AtomicBool>,
    /// Whether the upstream, a child, has refused a handshake the last time.
    pub(super) without_handshake: bool,
}

impl Dialer {
    /// Makes one, and says which revisions the upstream knows.
    pub(super) async fn connect(self, beginning: Beginning) -> Result<(Connected, Revisions), Failure> {
        match &self.place {
            Place::Http { url, headers } => {
                let headers =
                    Self::headers(headers).map_err(|problem| Failure::unsent(FailureKind::Unavailable, problem))?;
                self.connect_http(url, headers, beginning).await
            }
            Place::Child(command) if beginning == Beginning::Modern => {
                let connected = self.begin_child(command, modern(), self.limits.start_timeout).await?;
                Ok((connected, Revisions { modern: true, with_handshake: true }))
            }
            Place::Child(command) => self.connect_child(command).await,
        }
    }

    async fn connect_http(
        &self,
        url: &str,
        headers: HashMap<HeaderName, HeaderValue>,
        beginning: Beginning,
    ) -> Result<(Connected, Revisions), Failure> {
        if beginning == Beginning::Handshake {
            let (connected, _) = self.begin_http(url, headers, ClientLifecycleMode::Initialize).await?;
            return Ok((connected, Revisions { modern: true, with_handshake: true }));
        }
        let (connected, transport) = match self.begin_http(url, headers.clone(), either()).await {
            Err(failure) if failure.message == OTHER_REVISION => {
                self.begin_http(url, headers.clone(), ClientLifecycleMode::Initialize).await?
            }
            begun => begun?,
        };
        let modern = connected.is_modern();
        let with_handshake =
            !modern || connected.events.known.has_handshake() || transport.shakes_hands(url, &headers).await;
        Ok((connected, Revisions { modern, with_handshake }))
    }

    async fn begin_http(
        &self,
        url: &str,
        headers: HashMap<HeaderName, HeaderValue>,
        mode: ClientLifecycleMode,
    ) -> Result<(Connected, Transport), Failure> {
        let events = self.events();
        let heard = (events.known.clone(), events.refusals.clone());
        let transport = Transport::new((self.outbound.clone(), url), self.limits, heard, events.floor.clone());
        let transport = transport.map_err(|error| Failure::unsent(FailureKind::Unavailable, error.message.clone()))?;
        let mut config =
            StreamableHttpClientTransportConfig::with_uri(url).max_concurrent_requests(self.limits.concurrency + 1);
        config.custom_headers = headers;
        config.max_sse_event_size = self.limits.answer_bytes;
        let headers = config.custom_headers.clone();
        let client = StreamableHttpClientTransport::with_client(transport.clone(), config);
        let failure = match Self::begin(client, mode, events, self.limits.connect_timeout).await {
            Ok(connected) => return Ok((connected, transport)),
            Err(failure) => failure,
        };
        if takes_no_message(&failure) && transport.is_of_2024(url, &headers).await {
            return Err(Failure { message: format!("{}: {OLD_TRANSPORT}", failure.message), ..failure });
        }
        Err(failure)
    }

    /// A handshake comes first: a server that knows none refuses it at once, while one from before 2026-07-28 may take
    /// any other beginning for the end, or not answer it. One that is slow to start is waited for.
    async fn connect_child(&self, command: &ChildCommand) -> Result<(Connected, Revisions), Failure> {
        let mut modes = [ClientLifecycleMode::Initialize, modern()];
        if self.without_handshake {
            modes.reverse();
        }
        let [first, second] = modes;
        let within = self.limits.start_timeout.saturating_mul(PATIENCE);
        let connected = match self.begin_child(command, first, within).await {
            // It ran, and did not take this beginning.
            Err(failure) if matches!(failure.kind, FailureKind::Unavailable) && !failure.message.contains(NO_START) => {
                self.begin_child(command, second, within).await?
            }
            begun => begun?,
        };
        let modern = connected.is_modern();
        Ok((connected, Revisions { modern, with_handshake: !modern }))
    }

    async fn begin_child(
        &self,
        command: &ChildCommand,
        mode: ClientLifecycleMode,
        within: Duration,
    ) -> Result<Connected, Failure> {
        let events = self.events();
        let floor = events.floor.clone();
        let piped =
            Piped::start(command, self.limits.answer_bytes, events.silence.clone(), floor).map_err(|error| {
                let message = format!("{} {NO_START}: {error}", command.program.to_string_lossy());
                Failure::unsent(FailureKind::Unavailable, message)
            })?;
        let begun = Self::begin(piped, mode, events.clone(), within).await;
        begun.map_err(|failure| events.explained(failure))
    }

    fn events(&self) -> Events {
        Events { tools_changed: Arc::clone(&self.tools_changed), ..Events::default() }
    }

    async fn begin<T, E, A>(
        transport: T,
        mode: ClientLifecycleMode,
        events: Events,
        within: Duration,
    ) -> Result<Connected, Failure>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let serving = events.clone().serve_with_lifecycle(transport, mode);
        match tokio::time::timeout(within, serving).await {
            Ok(Ok(service)) => Ok(Connected { service, events, listed: None }),
            Ok(Err(error)) => Err(not_connected(&error)),
            Err(_) => Err(Failure::unsent(FailureKind::TimedOut, timed_out(within).message)),
        }
    }

    fn headers(headers: &BTreeMap<String, Zeroizing<String>>) -> Result<HashMap<HeaderName, HeaderValue>, String> {
        let read = |(name, value): (&String, &Zeroizing<String>)| {
            let name: HeaderName = name.parse().map_err(|_| format!("{name} is no header name"))?;
            let mut value: HeaderValue =
                value.parse().map_err(|_| format!("the header {name} cannot have that value"))?;
            value.set_sensitive(true);
            Ok((name, value))
        };
        headers.iter().map(read).collect()
    }
}

/// What is said of a program that does not even run.
const NO_START: &str = "cannot be started";

/// What is said of a server of 2024-11-05.
const OLD_TRANSPORT: &str = "it serves the HTTP+SSE transport of 2024-11-05, which haldir does not speak; register the \
    address of its streamable HTTP transport, if it has one, often ending in /mcp";

/// Whether there is nothing at the address that takes messages.
fn takes_no_message(failure: &Failure) -> bool {
    matches!(failure.kind, FailureKind::Status(404 | 405, _))
}
