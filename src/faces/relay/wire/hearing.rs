//! What an upstream over HTTP says: in the answer to a request, and on the stream of what belongs to no request.

use bytes::BytesMut;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::time::Instant;
use tokio_util::sync::DropGuard;

use super::{
    super::{
        bridge::text,
        events::{self, EventReader},
        message::{self, Message},
    },
    LISTEN_PAUSE, MAX_LISTENS, REFUSED, SESSION, Speaker, UNAUTHORIZED, VERSION,
};
use crate::{outbound::carrier::Answer, upstream::LONGEST};

impl Speaker {
    /// Everything in an answer; an error if what was asked is not answered in it.
    pub(super) async fn hear(&self, mut response: Answer, id: Option<&str>, begins: bool) -> Result<(), &'static str> {
        if begins && let Some(session) = response.headers().get(SESSION) {
            self.state().session = Some(session.clone());
        }
        if matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(UNAUTHORIZED);
        }
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_stream = kind.starts_with("text/event-stream");
        let (mut reader, mut body) = (EventReader::default(), BytesMut::new());
        let longest = Instant::now() + LONGEST.max(self.wire.call_timeout);
        while let Some(chunk) = response.chunk().await.map_err(|_| "the upstream's answer broke off")? {
            if !is_stream {
                if body.len() + chunk.len() > self.wire.answer_bytes {
                    return Err("the upstream's answer is larger than allowed");
                }
                body.extend_from_slice(&chunk);
                continue;
            }
            reader.push(&chunk);
            while let Some(event) = reader.next_event() {
                let data = std::str::from_utf8(&event).ok().and_then(events::data).filter(|data| !data.is_empty());
                let Some(data) = data else { continue };
                if Message::read(&data).is_ok_and(|message| message.is("notifications/progress")) {
                    response.wait_until(longest.min(Instant::now() + self.wire.call_timeout));
                }
                if self.heard(data, id, begins).await {
                    return Ok(());
                }
            }
            if reader.pending() > self.wire.answer_bytes {
                return Err("the upstream's answer is larger than allowed");
            }
        }
        let text = String::from_utf8(body.to_vec()).map_err(|_| "the upstream's answer is no UTF-8")?;
        if !is_stream && !text.trim().is_empty() && self.heard(text, id, begins).await {
            return Ok(());
        }
        Err(if response.status().is_client_error() { REFUSED } else { "the upstream did not answer" })
    }

    /// Whether the answer was in this message, or batch of them.
    async fn heard(&self, text: String, id: Option<&str>, begins: bool) -> bool {
        let mut answered = false;
        for text in message::messages(text) {
            answered |= self.heard_one(text, id, begins).await;
        }
        answered
    }

    async fn heard_one(&self, text: String, id: Option<&str>, begins: bool) -> bool {
        let Ok(message) = Message::read(&text) else { return false };
        // Some answer what they cannot read without its id.
        let is_error = message.method.is_none() && message.error.is_some() && message.id.is_none();
        if let (Some(id), true) = (id, is_error) {
            let id = serde_json::from_str(id).ok();
            let text = Message { id, ..message }.text();
            self.say(text).await;
            return true;
        }
        let is_answer = id.is_some() && message.answers() == id;
        if is_answer && begins {
            let version = text::member(message.result, "protocolVersion").map(text::value);
            self.state().version = version.as_ref().and_then(serde_json::Value::as_str).map(str::to_owned);
        }
        // A message is one line, as on a pipe.
        let text = if text.contains(['\n', '\r']) { message.text() } else { text };
        self.say(text).await;
        is_answer
    }

    /// Keeps the stream open of what belongs to no request, where the upstream has one.
    pub(super) async fn listen(self, begun: DropGuard) {
        let mut begun = Some(begun);
        for _ in 0..MAX_LISTENS {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
            if let Some(version) = self.state().version.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
                headers.insert(VERSION, version);
            }
            let listening = async {
                let answered = self.send(Method::GET, headers, None).await;
                drop(begun.take());
                match answered {
                    Ok(response) if response.status() == StatusCode::OK => {
                        // It ends whenever the upstream likes.
                        let _ = self.hear(response, None, false).await;
                        true
                    }
                    Ok(_) => false,
                    Err(_) => true,
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => return,
                again = listening => if !again {
                    return;
                },
            }
            tokio::time::sleep(LISTEN_PAUSE).await;
        }
    }
}
