//! What an upstream over HTTP says: in the answer to a request, and on the stream of what belongs to no request.

use std::time::Duration;

use bytes::BytesMut;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{LISTEN_PAUSE, MAX_LISTENS, REFUSED, Speaker, UNAUTHORIZED};
use crate::{
    outbound::carrier::{Answer, Unanswered},
    protocol::{
        edit,
        event_stream::{Event, EventReader},
        header::{EVENT_STREAM, LAST_EVENT_ID, PROTOCOL_VERSION, SESSION_ID, is_kind},
        message::{self, Message},
    },
    upstream::LONGEST,
};

/// How often the stream of one request is resumed, and how often in a row without an answer to that.
const MAX_RESUMES: u32 = 4_096;
const MAX_FAILED_RESUMES: u32 = 5;
/// The pause before, where the upstream names none, and what it may name.
const RESUME_PAUSE: Duration = Duration::from_secs(1);
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

const BROKE_OFF: &str = "the upstream's answer broke off";
const TOO_LARGE: &str = "the upstream's answer is larger than allowed";
const UNANSWERED: &str = "the upstream did not answer";

/// What became of a stream.
enum Ended {
    Answered,
    /// It ended, or broke off, before the answer.
    Unanswered(&'static str),
}

/// From where a stream can be gone on with, and until when.
struct Place {
    /// The id of the last event.
    last: Option<HeaderValue>,
    pause: Duration,
    until: Instant,
    /// The latest that progress can make of that.
    longest: Instant,
}

impl Speaker {
    /// Everything in an answer; an error if what was asked is not answered in it, nor on a stream that goes on with it.
    pub(super) async fn hear(
        &self,
        response: Answer,
        asked: Option<(&str, &CancellationToken)>,
        begins: bool,
    ) -> Result<(), &'static str> {
        let id = asked.map(|(id, _)| id);
        if begins && let Some(session) = response.headers().get(SESSION_ID) {
            self.state().session = Some(session.clone());
        }
        if matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(UNAUTHORIZED);
        }
        if !is_event_stream(&response) {
            return self.hear_body(response, id, begins).await;
        }
        let is_refused = response.status().is_client_error();
        let now = Instant::now();
        let (until, longest) = (now + self.wire.call_timeout, now + LONGEST.max(self.wire.call_timeout));
        let mut place = Place { last: None, pause: RESUME_PAUSE, until, longest };
        let mut ended = self.hear_events(response, id, begins, &mut place).await?;
        let mut resumed = 0;
        while let Ended::Unanswered(problem) = ended {
            // What belongs to no request is listened to anew instead.
            let (Some(last), Some((_, taken_back))) = (place.last.clone(), asked) else {
                return Err(if is_refused { REFUSED } else { problem });
            };
            let response = tokio::select! {
                biased;
                () = taken_back.cancelled() => None,
                response = self.resume(&last, &mut resumed, &place) => response,
            };
            let Some(response) = response else { return Err(problem) };
            ended = self.hear_events(response, id, begins, &mut place).await?;
        }
        Ok(())
    }

    async fn hear_body(&self, mut response: Answer, id: Option<&str>, begins: bool) -> Result<(), &'static str> {
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|_| BROKE_OFF)? {
            if body.len() + chunk.len() > self.wire.answer_bytes {
                return Err(TOO_LARGE);
            }
            body.extend_from_slice(&chunk);
        }
        let text = String::from_utf8(body.to_vec()).map_err(|_| "the upstream's answer is no UTF-8")?;
        if !text.trim().is_empty() && self.heard(text, id, begins).await {
            return Ok(());
        }
        Err(if response.status().is_client_error() { REFUSED } else { UNANSWERED })
    }

    async fn hear_events(
        &self,
        mut response: Answer,
        id: Option<&str>,
        begins: bool,
        place: &mut Place,
    ) -> Result<Ended, &'static str> {
        let mut reader = EventReader::default();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => reader.push(&chunk),
                Ok(None) => return Ok(Ended::Unanswered(UNANSWERED)),
                Err(Unanswered::TimedOut) => return Err(BROKE_OFF),
                Err(_) => return Ok(Ended::Unanswered(BROKE_OFF)),
            }
            while let Some(event) = reader.next_event() {
                let Ok(event) = std::str::from_utf8(&event) else { continue };
                let event = Event::read(event);
                if let Some(id) = event.id {
                    place.last = HeaderValue::from_str(&id).ok().filter(|id| !id.is_empty());
                }
                if let Some(retry) = event.retry {
                    place.pause = Duration::from_millis(retry).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
                }
                let Some(data) = event.data.filter(|data| !data.is_empty()) else { continue };
                if Message::read(&data).is_ok_and(|message| message.is("notifications/progress")) {
                    place.until = place.longest.min(Instant::now() + self.wire.call_timeout);
                    response.wait_until(place.until);
                }
                if self.heard(data, id, begins).await {
                    return Ok(Ended::Answered);
                }
            }
            if reader.pending() > self.wire.answer_bytes {
                return Err(TOO_LARGE);
            }
        }
    }

    /// Another stream that goes on after an event (SEP-1699); `None` if there is none to be had in time.
    async fn resume(&self, last: &HeaderValue, resumed: &mut u32, place: &Place) -> Option<Answer> {
        for _ in 0..MAX_FAILED_RESUMES {
            if *resumed >= MAX_RESUMES || Instant::now() + place.pause >= place.until {
                return None;
            }
            *resumed += 1;
            tokio::time::sleep(place.pause).await;
            let mut headers = self.listening_headers();
            headers.insert(LAST_EVENT_ID, last.clone());
            match timeout_at(place.until, self.send(Method::GET, headers, None)).await.ok()? {
                Ok(mut response) if response.status() == StatusCode::OK && is_event_stream(&response) => {
                    response.wait_until(place.until);
                    return Some(response);
                }
                // It has no such stream, or no such session any more.
                Ok(response) if !response.status().is_server_error() => return None,
                Ok(_) | Err(_) => {}
            }
        }
        None
    }

    fn listening_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(EVENT_STREAM));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(version) = self.state().version.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
            headers.insert(PROTOCOL_VERSION, version);
        }
        headers
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
            self.say(message.with_id(id).text()).await;
            return true;
        }
        let is_answer = id.is_some() && message.answers() == id;
        if is_answer && begins {
            let version = edit::member(message.result, "protocolVersion").map(edit::value);
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
            let listening = async {
                let answered = self.send(Method::GET, self.listening_headers(), None).await;
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

fn is_event_stream(response: &Answer) -> bool {
    is_kind(response.headers(), EVENT_STREAM)
}
