//! Why an upstream gave no answer, from what rmcp and the wire say of it.

use std::time::Duration;

use rmcp::{
    service::{ClientInitializeError, ServiceError},
    transport::streamable_http_client::StreamableHttpError,
};

use super::{Failure, FailureKind, transport::WireError};

/// Why a server is begun with again that knows `server/discover`, and the handshake's revisions only.
pub(super) const OTHER_REVISION: &str = "it speaks no revision of MCP that haldir asked for";

pub(super) fn timed_out(limit: Duration) -> Failure {
    Failure::new(FailureKind::TimedOut, format!("no answer within {} s", limit.as_secs_f64()))
}

/// The failure of the wire that lies at the bottom of an error of rmcp's.
fn cause(error: &(dyn std::error::Error + 'static)) -> Option<Failure> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(failed) = error.downcast_ref::<StreamableHttpError<WireError>>() {
            return Some(explain(failed));
        }
        next = error.source();
    }
    None
}

fn explain(failed: &StreamableHttpError<WireError>) -> Failure {
    let unavailable = |message: String| Failure::new(FailureKind::Unavailable, message);
    match failed {
        StreamableHttpError::Client(wire) => from_wire(wire),
        StreamableHttpError::UnexpectedContentType(_) => {
            unavailable("it answers with something that is neither JSON nor an event stream".to_owned())
        }
        StreamableHttpError::Sse(error) => {
            let text = error.to_string();
            let kind = if text.contains("more than") { FailureKind::TooLarge } else { FailureKind::Unavailable };
            Failure::new(kind, text)
        }
        other => unavailable(other.to_string()),
    }
}

fn from_wire(wire: &WireError) -> Failure {
    let message = wire.to_string();
    match wire {
        WireError::Connect(_) | WireError::Unsafe(_) => Failure::unsent(FailureKind::Unavailable, message),
        WireError::TimedOut => Failure::new(FailureKind::TimedOut, message),
        WireError::TooLarge(_) => Failure::new(FailureKind::TooLarge, message),
        WireError::Status(status, said) => Failure::new(FailureKind::Status(*status, said.clone()), message),
        WireError::Http(_) | WireError::Redirected => Failure::new(FailureKind::Unavailable, message),
    }
}

pub(super) fn failure(error: &ServiceError) -> Failure {
    match error {
        ServiceError::Timeout { timeout } => timed_out(*timeout),
        ServiceError::McpError(error) => Failure::new(FailureKind::Unavailable, error.message.to_string()),
        ServiceError::TransportSend(inner) => cause(&*inner.error)
            .unwrap_or_else(|| Failure::new(FailureKind::Unavailable, "the connection broke".to_owned())),
        ServiceError::TransportClosed => Failure::new(FailureKind::Unavailable, "the connection broke".to_owned()),
        other => Failure::new(FailureKind::Unavailable, other.to_string()),
    }
}

pub(super) fn not_connected(error: &ClientInitializeError) -> Failure {
    if matches!(error, ClientInitializeError::NoCompatibleProtocolVersion { .. }) {
        return Failure::unsent(FailureKind::Unavailable, OTHER_REVISION);
    }
    if let ClientInitializeError::LegacyFallbackFailed { fallback, .. } = error {
        return not_connected(fallback);
    }
    let found = match error {
        ClientInitializeError::TransportError { error, .. } => cause(&*error.error),
        other => cause(other),
    };
    let mut failure = found.unwrap_or_else(|| {
        Failure::new(FailureKind::Unavailable, format!("it does not speak MCP as a server: {error}"))
    });
    failure.unsent = true;
    failure
}
