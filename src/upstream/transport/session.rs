//! Whether an upstream still knows a protocol session, and whether it has revisions with a handshake at all.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use http::{HeaderName, HeaderValue, StatusCode, header};
use reqwest::{Method, Response};
use serde::Deserialize;
use serde_json::json;
use sse_stream::SseStream;
use tokio::time::timeout;

use super::{
    Transport,
    wire::{body, is_kind, pieces},
};
use crate::protocol::{
    header::SESSION_ID,
    revision::{NEWEST_WITH_HANDSHAKE, is_without_handshake},
};

/// How long an upstream has to say whether it knows a session.
const ASKED_WITHIN: Duration = Duration::from_secs(5);
/// Requests of a session in a row that end in a fault of the server, after which the session is begun anew.
const MAX_REFUSALS: u32 = 3;
/// Bytes of an answer to these questions.
const MAX_ANSWER_BYTES: usize = 65_536;

/// Faults in a row with which an upstream has answered the requests of a session.
#[derive(Clone, Default)]
pub(in crate::upstream) struct Refusals(Arc<AtomicU32>);

impl Refusals {
    /// A request was answered with a fault, or not.
    pub(super) fn count(&self, fault: bool) {
        if fault {
            self.0.fetch_add(1, Ordering::AcqRel);
        } else if self.0.load(Ordering::Acquire) > 0 {
            self.0.store(0, Ordering::Release);
        }
    }

    /// Whether the session is to be begun anew: some servers answer an unknown session with a fault of theirs.
    pub(in crate::upstream) fn are_many(&self) -> bool {
        self.0.load(Ordering::Acquire) >= MAX_REFUSALS
    }
}

impl Transport {
    /// Whether a session is over whose request was refused with this status. 404 says so, and older SDKs say 400; either may
    /// be about the request as well, which would then be carried out twice. So a ping tells: it has nothing in it that could
    /// be refused but the session.
    pub(super) async fn has_ended(
        &self,
        status: StatusCode,
        uri: &str,
        session: &str,
        headers: &HashMap<HeaderName, HeaderValue>,
    ) -> bool {
        // These are about who asks, and how often.
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
            return false;
        }
        let ping = json!({"jsonrpc": "2.0", "id": "haldir-ping", "method": "ping"}).to_string();
        let build = |url| {
            let request = self.wire.request(Method::POST, url, Some(session), headers);
            request.header(header::CONTENT_TYPE, "application/json").body(ping.clone())
        };
        match timeout(ASKED_WITHIN, self.wire.send(uri, build)).await {
            Ok(Ok(response)) => response.status().is_client_error(),
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Whether an upstream that takes no message at this address serves there the event stream with which the transport of
    /// 2024-11-05 (HTTP+SSE) begins.
    pub(in crate::upstream) async fn is_of_2024(&self, uri: &str, headers: &HashMap<HeaderName, HeaderValue>) -> bool {
        let asked = timeout(ASKED_WITHIN, async {
            let response = self.listen(uri, None, None, headers).await.ok()?;
            if response.status() != StatusCode::OK || !is_kind(&response, "text/event-stream") {
                return None;
            }
            let mut events = std::pin::pin!(SseStream::from_bytes_stream(pieces(response, MAX_ANSWER_BYTES)));
            events.next().await?.ok()?.event
        });
        asked.await.is_ok_and(|event| event.as_deref() == Some("endpoint"))
    }

    /// Whether the upstream takes a handshake, whatever it has answered to `server/discover`. Servers of both kinds name
    /// the revisions without one only. The session that this begins is ended at once.
    pub(in crate::upstream) async fn shakes_hands(
        &self,
        uri: &str,
        headers: &HashMap<HeaderName, HeaderValue>,
    ) -> bool {
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": NEWEST_WITH_HANDSHAKE, "capabilities": {},
            "clientInfo": {"name": "haldir", "version": env!("CARGO_PKG_VERSION")}}});
        let hello = hello.to_string();
        let build = |url| {
            let request = self.wire.request(Method::POST, url, None, headers);
            request.header(header::CONTENT_TYPE, "application/json").body(hello.clone())
        };
        let asked = timeout(ASKED_WITHIN, async {
            let response = self.wire.send(uri, build).await.ok().filter(|response| response.status().is_success())?;
            let session = response.headers().get(SESSION_ID).and_then(|value| value.to_str().ok()).map(str::to_owned);
            Some((session, welcome(response).await))
        });
        let Ok(Some((session, version))) = asked.await else { return false };
        if let Some(session) = session {
            let end = |url| self.wire.request(Method::DELETE, url, Some(&session), headers);
            // A server that keeps its sessions to itself refuses.
            let _ = timeout(ASKED_WITHIN, self.wire.send(uri, end)).await;
        }
        version.is_some_and(|version| !is_without_handshake(&version))
    }
}

/// The revision that an answer to `initialize` names.
async fn welcome(response: Response) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        result: Welcome,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Welcome {
        protocol_version: String,
    }
    let read = |text: &[u8]| serde_json::from_slice::<Answer>(text).ok().map(|answer| answer.result.protocol_version);
    if !is_kind(&response, "text/event-stream") {
        return read(&body(response, MAX_ANSWER_BYTES).await.ok()?);
    }
    let mut events = std::pin::pin!(SseStream::from_bytes_stream(pieces(response, MAX_ANSWER_BYTES)));
    while let Some(Ok(event)) = events.next().await {
        if let Some(version) = event.data.and_then(|data| read(data.as_bytes())) {
            return Some(version);
        }
    }
    None
}
