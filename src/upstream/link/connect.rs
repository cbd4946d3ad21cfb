//! How a connection to an upstream is made, and what it says by itself.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
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

use super::Link;
use crate::upstream::{
    Failure, FailureKind, Place,
    child::ChildCommand,
    failed::{OTHER_REVISION, not_connected, timed_out},
    floor::Floor,
    levels::Told,
    piped::{Piped, Silence},
    transport::{KnownVersions, Transport},
};

/// A connection that is made.
pub(super) struct Connected {
    pub(super) service: RunningService<RoleClient, Events>,
    pub(super) events: Events,
    pub(super) listed: Option<Instant>,
}

impl Connected {
    /// Waits until the connection is closed, and the child behind it has ended.
    pub(super) async fn end(self) {
        // Fails if its task has panicked, and then it has ended too.
        let _ = self.service.cancel().await;
    }
}

/// The newest revision if the server has it, else what it shakes hands with.
fn either() -> ClientLifecycleMode {
    ClientLifecycleMode::Auto { preferred_versions: vec![rmcp::model::ProtocolVersion::LATEST], legacy_version: None }
}

/// Hears what an upstream says by itself.
#[derive(Clone, Default)]
pub(super) struct Events {
    pub(super) tools_changed: Arc<AtomicBool>,
    /// Of a child: why it is heard no more.
    silence: Silence,
    /// Over HTTP: the revisions that it says to know.
    pub(super) known: KnownVersions,
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

impl Link {
    pub(super) async fn connect(&self) -> Result<Connected, Failure> {
        match &self.target.place {
            Place::Http { url, headers } => match self.begin_http(url, headers, either()).await {
                Err(failure) if failure.message == OTHER_REVISION => {
                    self.begin_http(url, headers, ClientLifecycleMode::Initialize).await
                }
                begun => begun,
            },
            Place::Child(command) => {
                let begun = self.begin_child(command, either()).await;
                // Servers from before 2026-07-28 may take any other beginning than theirs for the end.
                match begun {
                    Err(Failure { kind: FailureKind::Unavailable, .. }) => {
                        self.begin_child(command, ClientLifecycleMode::Initialize).await
                    }
                    begun => begun,
                }
            }
        }
    }

    async fn begin_http(
        &self,
        url: &str,
        headers: &BTreeMap<String, Zeroizing<String>>,
        mode: ClientLifecycleMode,
    ) -> Result<Connected, Failure> {
        let unsent = |message: String| Failure::unsent(FailureKind::Unavailable, message);
        let events = Events::default();
        let transport = Transport::new(self.outbound.clone(), self.limits, events.known.clone(), events.floor.clone());
        let transport = transport.map_err(|error| unsent(error.message.clone()))?;
        let mut config =
            StreamableHttpClientTransportConfig::with_uri(url).max_concurrent_requests(self.limits.concurrency + 1);
        config.custom_headers = Self::headers(headers).map_err(unsent)?;
        config.max_sse_event_size = self.limits.answer_bytes;
        self.begin(StreamableHttpClientTransport::with_client(transport, config), mode, events).await
    }

    async fn begin_child(&self, command: &ChildCommand, mode: ClientLifecycleMode) -> Result<Connected, Failure> {
        let events = Events::default();
        let floor = events.floor.clone();
        let piped =
            Piped::start(command, self.limits.answer_bytes, events.silence.clone(), floor).map_err(|error| {
                let message = format!("{} cannot be started: {error}", command.program.to_string_lossy());
                Failure::unsent(FailureKind::Unavailable, message)
            })?;
        self.begin(piped, mode, events.clone()).await.map_err(|failure| events.explained(failure))
    }

    async fn begin<T, E, A>(
        &self,
        transport: T,
        mode: ClientLifecycleMode,
        events: Events,
    ) -> Result<Connected, Failure>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let serving = events.clone().serve_with_lifecycle(transport, mode);
        match tokio::time::timeout(self.limits.connect_timeout, serving).await {
            Ok(Ok(service)) => Ok(Connected { service, events, listed: None }),
            Ok(Err(error)) => Err(not_connected(&error)),
            Err(_) => Err(Failure::unsent(FailureKind::TimedOut, timed_out(self.limits.connect_timeout).message)),
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
