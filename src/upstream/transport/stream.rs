//! The event streams of an upstream. One that answers a request may end before the answer, because the server closed it or
//! because the connection broke: the answer then comes on another stream, which is asked for with the id of the last event
//! (SEP-1699). The request is not sent again.

use std::{sync::Arc, time::Duration};

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use http::StatusCode;
use reqwest::Response;
use rmcp::{
    model::{ErrorCode, ErrorData, RequestId, ServerJsonRpcMessage},
    transport::streamable_http_client::SseError,
};
use sse_stream::{Sse, SseStream};

use super::{
    Address, Answers, KnownVersions, Transport, refused,
    wire::{WireError, is_kind, pieces},
};
use crate::{
    error::Result,
    upstream::{Failure, FailureKind, capture::Exact},
};

/// How often the stream of one request is resumed, and how often in a row without an answer to that.
const MAX_RESUMES: u32 = 4_096;
const MAX_FAILED_RESUMES: u32 = 5;
/// The pause before, where the server names none, and what it may name.
const PAUSE: Duration = Duration::from_secs(1);
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Bytes of an event's id.
const MAX_EVENT_ID_BYTES: usize = 1_024;

/// What the stream that answers a request is looked through for.
pub(super) struct Asked {
    /// The request.
    pub(super) id: RequestId,
    pub(super) exact: Option<Exact>,
    pub(super) known: Option<KnownVersions>,
}

type Events = BoxStream<'static, Result<Sse, SseError>>;

/// The stream of what belongs to no request.
pub(super) fn events(response: Response, most: usize, answers: Answers) -> Events {
    let answers = Arc::new(answers);
    SseStream::from_bytes_stream(pieces(response, most))
        .then(move |event| {
            let answers = Arc::clone(&answers);
            async move {
                let mut event = event?;
                if let Some(data) = &event.data
                    && answers.take(data, None).await?
                {
                    event.data = None;
                }
                Ok(event)
            }
        })
        .boxed()
}

/// The stream that answers a request, and those that go on with it.
pub(super) fn answering(transport: Transport, response: Response, asked: Asked, answers: Answers) -> Events {
    let events = Some(SseStream::from_bytes_stream(pieces(response, transport.limits.answer_bytes)).boxed());
    let hearing =
        Hearing { transport, asked, answers, events, last: None, pause: PAUSE, resumed: 0, is_answered: false };
    stream::unfold(hearing, Hearing::next).boxed()
}

struct Hearing {
    transport: Transport,
    asked: Asked,
    answers: Answers,
    /// Until nothing more is to come.
    events: Option<Events>,
    /// The id of the last event.
    last: Option<String>,
    pause: Duration,
    resumed: u32,
    is_answered: bool,
}

impl Hearing {
    async fn next(mut self) -> Option<(Result<Sse, SseError>, Self)> {
        loop {
            let problem = match self.events.as_mut()?.next().await {
                Some(Ok(mut event)) => {
                    self.keep_place(&mut event);
                    let heard = self.heard(event).await;
                    if heard.is_err() {
                        self.events = None;
                    }
                    return Some((heard, self));
                }
                Some(Err(problem)) => Some(problem),
                None => None,
            };
            self.events = None;
            if self.is_answered {
                return None;
            }
            let too_large = problem.as_ref().and_then(too_large);
            if too_large.is_none() {
                self.events = self.resume().await;
                if self.events.is_some() {
                    continue;
                }
            }
            let Some(exact) = &self.asked.exact else { return problem.map(|problem| (Err(problem), self)) };
            let failure = too_large.unwrap_or_else(|| {
                let why = "its event stream ended before the answer, and could not be resumed";
                Failure::new(FailureKind::Unavailable, why)
            });
            let error = ErrorData::new(ErrorCode::INTERNAL_ERROR, failure.message.clone(), None);
            exact.failed(failure);
            // That the answer will not come is what rmcp is to see as the answer.
            let error = ServerJsonRpcMessage::error(error, Some(self.asked.id.clone()));
            let data = serde_json::to_string(&error).ok();
            return Some((Ok(Sse { data, ..Sse::default() }), self));
        }
    }

    /// Keeps from where the stream can be gone on with; rmcp need not know it.
    fn keep_place(&mut self, event: &mut Sse) {
        if let Some(id) = event.id.take() {
            self.last = Some(id).filter(|id| !id.is_empty() && id.len() <= MAX_EVENT_ID_BYTES);
        }
        if let Some(retry) = event.retry.take() {
            self.pause = Duration::from_millis(retry).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        }
    }

    /// The event as rmcp is to see it.
    async fn heard(&mut self, mut event: Sse) -> Result<Sse, SseError> {
        let Asked { id, exact, known } = &self.asked;
        let Some(data) = &event.data else { return Ok(event) };
        if let Some(known) = known {
            known.read(data);
        }
        let shown = exact.as_ref().and_then(|exact| exact.keep(id, data));
        if shown.is_some() {
            event.data = shown;
        } else if self.answers.take(data, exact.is_some().then_some(id)).await? {
            event.data = None;
        } else if let Some(refused) = refused(data, id, exact.as_ref()) {
            event.data = serde_json::to_string(&refused).ok();
        }
        self.is_answered |= match exact {
            Some(exact) => exact.is_answered(),
            None => event.data.as_deref().is_some_and(answers),
        };
        Ok(event)
    }

    /// Another stream that goes on after the last event; `None` if there is none to be had.
    async fn resume(&mut self) -> Option<Events> {
        let last = self.last.clone()?;
        for _ in 0..MAX_FAILED_RESUMES {
            if self.resumed >= MAX_RESUMES {
                return None;
            }
            self.resumed += 1;
            tokio::time::sleep(self.pause).await;
            let Address { uri, session, headers } = &*self.answers.address;
            match self.transport.listen(uri, session.as_deref(), Some(&last), headers).await {
                Ok(response) if response.status() == StatusCode::OK && is_kind(&response, "text/event-stream") => {
                    let pieces = pieces(response, self.transport.limits.answer_bytes);
                    return Some(SseStream::from_bytes_stream(pieces).boxed());
                }
                // It has no such stream, or no such session any more.
                Ok(response) if !response.status().is_server_error() => return None,
                Ok(_) | Err(_) => {}
            }
        }
        None
    }
}

/// Whether a message answers the request in whose stream it stands.
fn answers(text: &str) -> bool {
    let message = serde_json::from_str::<ServerJsonRpcMessage>(text);
    matches!(message, Ok(ServerJsonRpcMessage::Response(_) | ServerJsonRpcMessage::Error(_)))
}

/// That an answer is larger than allowed.
fn too_large(problem: &SseError) -> Option<Failure> {
    let SseError::Body(cause) = problem else { return None };
    match cause.downcast_ref::<WireError>()? {
        large @ WireError::TooLarge(_) => Some(Failure::new(FailureKind::TooLarge, large.to_string())),
        _ => None,
    }
}
