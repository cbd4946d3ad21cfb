//! What an upstream over HTTP says: in the answer to a request, and on the stream of messages that belong to no request.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{LISTEN, LISTEN_PAUSE, MAX_LISTEN_PAUSES, MAX_LISTENS, Session, is_event_stream};
use crate::{
    outbound::http_client::{SendError, UpstreamResponse},
    protocol::{
        edit,
        event_stream::{Event, EventReader},
        header::{EVENT_STREAM, JSON, LAST_EVENT_ID, PROTOCOL_VERSION, SESSION_ID, is_kind},
        message::{self, Message, one_line},
    },
    upstream::{Failure, FailureKind, LONGEST},
};

/// How often the stream of one request is resumed, and how often in a row without an answer to that.
const MAX_RESUMES: u32 = 4_096;
const MAX_FAILED_RESUMES: u32 = 5;
/// The pause before, where the upstream names none, and what it may name.
const RESUME_PAUSE: Duration = Duration::from_secs(1);
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Bytes of an answer that reports a failure, and characters of it that are kept.
const MAX_ERROR_BYTES: usize = 65_536;
const EXCERPT_CHARS: usize = 500;

const ENDED: &str = "its event stream ended before the answer, and could not be resumed";

/// What became of a stream.
enum Ended {
    Answered,
    /// It ended, or broke off, before the answer.
    Unanswered,
}

/// From where a stream can be resumed, and until when.
struct Place {
    /// The id of the last event.
    last: Option<HeaderValue>,
    pause: Duration,
    until: Instant,
    /// The latest that progress can make of that.
    longest: Instant,
}

fn unavailable(message: &str) -> Failure {
    Failure::new(FailureKind::Unavailable, message)
}

fn too_large(most: usize) -> Failure {
    Failure::new(FailureKind::TooLarge, format!("the answer is larger than allowed: it has more than {most} bytes"))
}

/// The whole body of an answer.
pub async fn whole(answer: &mut UpstreamResponse, most: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|unanswered| match unanswered {
        SendError::TimedOut => Failure::new(FailureKind::TimedOut, "no answer in time"),
        _ => unavailable("the answer broke off"),
    })? {
        if body.len() + chunk.len() > most {
            return Err(too_large(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The first event of an answer, if it is an event stream.
pub(super) async fn first_event(mut answer: UpstreamResponse, most: usize) -> Option<Event> {
    if answer.status() != StatusCode::OK || !is_event_stream(&answer) {
        return None;
    }
    let mut reader = EventReader::default();
    while let Some(chunk) = answer.chunk().await.ok().flatten().filter(|_| reader.pending() <= most) {
        reader.push(&chunk);
        if let Some(event) = reader.next_event() {
            return Some(Event::read(std::str::from_utf8(&event).ok()?));
        }
    }
    None
}

impl Session {
    /// Passes on everything in an answer; an error if the request is not answered in it, nor on a stream that resumes it.
    pub(super) async fn receive(
        &self,
        answer: UpstreamResponse,
        asked: Option<(&str, &CancellationToken)>,
        begins: bool,
    ) -> Result<(), Failure> {
        let id = asked.map(|(id, _)| id);
        if begins && let Some(session) = answer.headers().get(SESSION_ID) {
            self.state.lock().session = Some(session.clone());
        }
        if !is_event_stream(&answer) {
            return self.receive_body(answer, id, begins).await;
        }
        let status = answer.status();
        let now = Instant::now();
        let (until, longest) = (now + self.upstream.call_timeout, now + LONGEST.max(self.upstream.call_timeout));
        let mut place = Place { last: None, pause: RESUME_PAUSE, until, longest };
        let mut ended = self.receive_events(answer, id, begins, &mut place).await?;
        let mut resumed = 0;
        while let Ended::Unanswered = ended {
            let problem = || if status.is_success() { unavailable(ENDED) } else { refused(status, "") };
            // The stream of messages that belong to no request is opened anew instead.
            let (Some(last), Some((_, cancelled))) = (place.last.clone(), asked) else { return Err(problem()) };
            let answer = tokio::select! {
                biased;
                () = cancelled.cancelled() => None,
                answer = self.resume(&last, &mut resumed, &place) => answer,
            };
            let Some(answer) = answer else { return Err(problem()) };
            ended = self.receive_events(answer, id, begins, &mut place).await?;
        }
        Ok(())
    }

    async fn receive_body(&self, mut answer: UpstreamResponse, id: Option<&str>, begins: bool) -> Result<(), Failure> {
        let status = answer.status();
        let is_json = is_kind(answer.headers(), JSON) || !answer.headers().contains_key(header::CONTENT_TYPE);
        let most = if status.is_success() { self.upstream.answer_bytes } else { MAX_ERROR_BYTES };
        let body = match whole(&mut answer, most).await {
            Err(_) if !status.is_success() => Vec::new(),
            body => body?,
        };
        // These are about the credentials, or how often they are used, and not about the request.
        let is_of_caller =
            matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS);
        let excerpt = || String::from_utf8_lossy(&body).chars().take(EXCERPT_CHARS).collect::<String>();
        if is_of_caller || !status.is_success() && !is_json {
            return Err(refused(status, &excerpt()));
        }
        let said = !body.trim_ascii().is_empty();
        if let (true, Ok(text)) = (is_json, std::str::from_utf8(&body))
            && said
            && self.received(text.to_owned(), id, begins).await
        {
            return Ok(());
        }
        Err(match (status.is_success(), is_json || !said) {
            (false, _) => refused(status, &excerpt()),
            (true, false) => unavailable("it answers with something that is neither JSON nor an event stream"),
            (true, true) => unavailable("it holds no JSON-RPC response to the request"),
        })
    }

    async fn receive_events(
        &self,
        mut answer: UpstreamResponse,
        id: Option<&str>,
        begins: bool,
        place: &mut Place,
    ) -> Result<Ended, Failure> {
        let mut reader = EventReader::default();
        loop {
            match answer.chunk().await {
                Ok(Some(chunk)) => reader.push(&chunk),
                Err(SendError::TimedOut) => return Err(Failure::new(FailureKind::TimedOut, "no answer in time")),
                Ok(None) | Err(_) => return Ok(Ended::Unanswered),
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
                if data.len() > self.upstream.answer_bytes {
                    return Err(too_large(self.upstream.answer_bytes));
                }
                if Message::read(&data).is_ok_and(|message| message.is("notifications/progress")) {
                    place.until = place.longest.min(Instant::now() + self.upstream.call_timeout);
                    answer.wait_until(place.until);
                }
                if self.received(data, id, begins).await {
                    return Ok(Ended::Answered);
                }
            }
            if reader.pending() > self.upstream.answer_bytes {
                return Err(too_large(self.upstream.answer_bytes));
            }
        }
    }

    /// A stream that goes on after an event (SEP-1699); `None` if there is none to be had in time.
    async fn resume(&self, last: &HeaderValue, resumed: &mut u32, place: &Place) -> Option<UpstreamResponse> {
        for _ in 0..MAX_FAILED_RESUMES {
            if *resumed >= MAX_RESUMES || Instant::now() + place.pause >= place.until {
                return None;
            }
            *resumed += 1;
            tokio::time::sleep(place.pause).await;
            let mut headers = self.listening_headers();
            headers.insert(LAST_EVENT_ID, last.clone());
            let asked = self.send(Method::GET, headers, Bytes::new(), self.upstream.call_timeout);
            match timeout_at(place.until, asked).await.ok()? {
                Ok(mut answer) if answer.status() == StatusCode::OK && is_event_stream(&answer) => {
                    answer.wait_until(place.until);
                    return Some(answer);
                }
                // The upstream has no such stream, or no such session any more.
                Ok(answer) if !answer.status().is_server_error() => return None,
                Ok(_) | Err(_) => {}
            }
        }
        None
    }

    fn listening_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(EVENT_STREAM));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(version) = self.state.lock().version.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
            headers.insert(PROTOCOL_VERSION, version);
        }
        headers
    }

    /// Whether the answer was in this message, or batch of them.
    async fn received(&self, text: String, id: Option<&str>, begins: bool) -> bool {
        let mut answered = false;
        for text in message::messages(text) {
            answered |= self.received_one(text, id, begins).await;
        }
        answered
    }

    async fn received_one(&self, text: String, id: Option<&str>, begins: bool) -> bool {
        let text = one_line(&text);
        let Ok(message) = Message::read(&text) else { return false };
        let answers = message.answers();
        // Servers answer a request that they could not read under `null`, or under an id of their own.
        let is_error = message.method.is_none() && message.error.is_some();
        let of_other = |answered: &str| self.state.lock().in_flight.contains_key(answered);
        if let Some(id) = id.filter(|id| is_error && answers != Some(id) && !answers.is_some_and(of_other)) {
            let message = message.with_id(id);
            self.sink.pass(&message, &message.text(), Some(id)).await;
            return true;
        }
        // Some write a number that they were sent as text.
        let is_answer = id.zip(answers).is_some_and(|(id, answers)| id.trim_matches('"') == answers.trim_matches('"'));
        if is_answer && begins {
            let version = edit::member(message.result, "protocolVersion");
            self.state.lock().version = version.and_then(|version| serde_json::from_str(version.get()).ok());
        }
        self.learn_mirrors(&message);
        self.sink.pass(&message, &text, id).await;
        is_answer
    }

    /// Keeps the stream of messages that belong to no request open, where the upstream has one.
    pub(super) async fn listen(self: Arc<Self>, begun: DropGuard) {
        let mut begun = Some(begun);
        for attempt in 1..=MAX_LISTENS {
            let listening = async {
                let answered = self.send(Method::GET, self.listening_headers(), Bytes::new(), LISTEN).await;
                drop(begun.take());
                match answered {
                    Ok(answer) if answer.status() == StatusCode::OK => {
                        // It ends whenever the upstream likes.
                        let _ = self.receive(answer, None, false).await;
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
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(LISTEN_PAUSE * attempt.min(MAX_LISTEN_PAUSES)) => {}
            }
        }
    }
}

/// The failure that a status says, with the beginning of what stands in the body.
fn refused(status: StatusCode, excerpt: &str) -> Failure {
    let excerpt = excerpt.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let message = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            format!("it does not accept the credentials that haldir has for it (status {})", status.as_u16())
        }
        _ => format!("it answered with status {}", status.as_u16()),
    };
    Failure::new(FailureKind::Status(status.as_u16(), excerpt), message)
}
