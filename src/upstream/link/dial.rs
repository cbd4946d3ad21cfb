//! Which revision a connection to an upstream begins with.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use tokio_util::task::AbortOnDropHandle;

use super::{Revisions, http_place};
use crate::{
    outbound::{Outbound, http_client::HttpClient},
    protocol::revision::{FIRST_WITHOUT_HANDSHAKE, NEWEST_WITH_HANDSHAKE, is_without_handshake},
    upstream::{
        Failure, FailureKind, LONGEST, Place, UpstreamLimits,
        child::ChildCommand,
        connection::{Beginning, Connection, OTHER_REVISION},
        over_http::HttpUpstream,
        transport::{NO_START, Source},
    },
};

/// The beginning of every server from before 2026-07-28.
const SHAKES_HANDS: Beginning = Beginning::Handshake(NEWEST_WITH_HANDSHAKE);
/// How many times the time that a start may take a child is waited for in all, while it lives.
const PATIENCE: u32 = 10;
/// How long a server has to answer `server/discover`; then it is asked for a handshake.
const DISCOVERED_WITHIN: Duration = Duration::from_secs(10);
/// How long a server has to say whether it takes a handshake.
const ASKED_WITHIN: Duration = Duration::from_secs(5);
/// What is said of a server of 2024-11-05.
const OLD_TRANSPORT: &str = "it serves the HTTP+SSE transport of 2024-11-05, which haldir does not speak; register the \
    address of its streamable HTTP transport, if it has one, often ending in /mcp";

/// A connection that is made.
pub(super) struct Connected {
    pub(super) connection: Connection,
    pub(super) listed: Option<Instant>,
    /// Hears that the tools have changed.
    pub(super) follows: Option<AbortOnDropHandle<()>>,
}

/// Which connection a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Any: without a handshake if the server takes that.
    Any,
    /// One with a handshake, as revisions before 2026-07-28 have it.
    Handshake,
    /// One without.
    Modern,
}

/// Makes connections to one upstream.
#[derive(Clone)]
pub(super) struct Dialer {
    pub(super) place: Place,
    pub(super) outbound: Outbound,
    pub(super) limits: UpstreamLimits,
    /// Set once any of them says that its tools have changed.
    pub(super) tools_changed: Arc<AtomicBool>,
    /// Whether the upstream, a child, has refused a handshake the last time.
    pub(super) without_handshake: bool,
}

impl Dialer {
    /// Makes one, and says which revisions the upstream knows.
    pub(super) async fn connect(self, wanted: Wanted) -> Result<(Connected, Revisions), Failure> {
        let both = Revisions { modern: true, with_handshake: true };
        let (connection, revisions) = match &self.place {
            Place::Http { .. } => self.connect_http(wanted).await?,
            Place::Child(command) if wanted == Wanted::Modern => {
                let source = Source::Child(command.clone());
                (self.begin(&source, Beginning::Discovery, self.limits.start_timeout).await?, both)
            }
            Place::Child(command) => self.connect_child(command).await?,
        };
        Ok((Connected { connection, listed: None, follows: None }, revisions))
    }

    async fn connect_http(&self, wanted: Wanted) -> Result<(Connection, Revisions), Failure> {
        let unusable = |error: crate::error::Error| Failure::unsent(FailureKind::Unavailable, error.message);
        let (url, headers) = http_place(&self.place, &self.outbound).map_err(unusable)?;
        // The caller of each request keeps the time: a client may be asked something meanwhile.
        let call_timeout = LONGEST.max(self.limits.call_timeout);
        let client = HttpClient::new(&self.outbound, call_timeout).map_err(unusable)?;
        let answer_bytes = self.limits.answer_bytes;
        let upstream = HttpUpstream { client, url, headers, call_timeout, answer_bytes, gate: None };
        let (source, within) = (Source::Http(Box::new(upstream.clone())), self.limits.connect_timeout);
        if wanted == Wanted::Handshake {
            let connection = self.begin(&source, SHAKES_HANDS, within).await?;
            return Ok((connection, Revisions { modern: true, with_handshake: true }));
        }
        let began = Instant::now();
        let discovered = self.begin(&source, Beginning::Discovery, within.min(DISCOVERED_WITHIN)).await;
        let failure = match discovered {
            Ok(connection) => {
                let with_handshake = connection.names(|revision| !is_without_handshake(revision))
                    || self.begin(&source, SHAKES_HANDS, ASKED_WITHIN).await.is_ok();
                return Ok((connection, Revisions { modern: true, with_handshake }));
            }
            // A server from before `server/discover` refuses it in its own way, or does not answer.
            Err(failure) if may_shake_hands(&failure) => {
                let left = within.saturating_sub(began.elapsed());
                // Named so, the server shows whether it takes the revision after all.
                match self.begin(&source, Beginning::Handshake(FIRST_WITHOUT_HANDSHAKE), left).await {
                    Ok(connection) => {
                        let modern = connection.names(is_without_handshake);
                        return Ok((connection, Revisions { modern, with_handshake: true }));
                    }
                    Err(failure) => failure,
                }
            }
            Err(failure) => failure,
        };
        if matches!(failure.kind, FailureKind::Status(404 | 405, _)) && upstream.is_of_2024().await {
            return Err(Failure { message: format!("{}: {OLD_TRANSPORT}", failure.message), ..failure });
        }
        Err(failure)
    }

    /// A handshake comes first: a server that knows none refuses it at once, while one from before 2026-07-28 may take
    /// any other beginning for the end, or not answer it. One that is slow to start is waited for.
    async fn connect_child(&self, command: &ChildCommand) -> Result<(Connection, Revisions), Failure> {
        let mut beginnings = [SHAKES_HANDS, Beginning::Discovery];
        if self.without_handshake {
            beginnings.reverse();
        }
        let source = Source::Child(command.clone());
        let within = self.limits.start_timeout.saturating_mul(PATIENCE);
        let connection = match self.begin(&source, beginnings[0], within).await {
            // It ran, and did not take this beginning.
            Err(Failure { kind: FailureKind::Unavailable | FailureKind::Rpc(_), message, .. })
                if !message.contains(NO_START) =>
            {
                self.begin(&source, beginnings[1], within).await?
            }
            begun => begun?,
        };
        let modern = connection.is_modern();
        Ok((connection, Revisions { modern, with_handshake: !modern }))
    }

    async fn begin(&self, source: &Source, beginning: Beginning, within: Duration) -> Result<Connection, Failure> {
        let changed = Arc::clone(&self.tools_changed);
        let begun = Connection::begin(source, self.limits.answer_bytes, (beginning, within), changed).await;
        // An error is no answer to a call.
        begun.map_err(|failure| match failure.kind {
            FailureKind::Rpc(error) => {
                let message = format!("it does not speak MCP as a server: {}", error.get());
                Failure::unsent(FailureKind::Unavailable, message)
            }
            _ => failure,
        })
    }
}

/// Whether a server that was asked for what it is without a handshake may know one.
fn may_shake_hands(failure: &Failure) -> bool {
    match &failure.kind {
        FailureKind::Status(status, _) => (400..500).contains(status) && !matches!(status, 401 | 403 | 429),
        FailureKind::TimedOut => true,
        FailureKind::Unavailable => {
            failure.message == OTHER_REVISION || failure.message.starts_with("it does not speak MCP")
        }
        _ => false,
    }
}
