//! Requests that an upstream has and has not answered, and which of them its messages belong to.
//!
//! Many clients share one connection. Progress names its call by a token. Over HTTP, a message in the answer to a call
//! belongs to that call. Any other message names no call: it is attributed to the newest one, and only if all calls in flight
//! are of one client; else it is refused, or dropped. A call that was given up still counts for a while, since the upstream
//! may still work on it.

#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    Failure, FailureKind,
    mid_call::{CallClock, CallEvent, CallListener, MidCallRequest, Reply, Slot},
};
use crate::protocol::{
    code::INTERNAL_ERROR,
    message::{Message, cancelled, error, one_line, response},
    request::ServerRequest,
};

/// Requests in flight on one connection, those that were given up included.
const MAX_REQUESTS: usize = 1_024;
/// How long a call that was given up still counts as in flight.
const LINGER: Duration = Duration::from_secs(10);
/// Requests of one upstream that wait for an answer at a time.
const MAX_QUESTIONS: usize = 64;
/// Bytes of a progress or a log message; a longer one is dropped.
const MAX_TOLD_BYTES: usize = 65_536;
/// Bytes of an upstream's request; a longer one is refused.
const MAX_QUESTION_BYTES: usize = 1024 * 1024;
/// Bytes of its id, as it is written; a request with a longer id is dropped.
const MAX_ID_BYTES: usize = 256;
/// Why a request is refused that cannot be attributed.
const WHOSE: &str = "haldir cannot tell which call this belongs to: calls of several clients are under way on this \
    connection";

/// What a request came to: its result, or why there is none.
pub(super) type Answer = Result<Box<RawValue>, Failure>;

/// The requests in flight on one connection.
#[derive(Clone)]
pub(super) struct InFlight(Arc<Shared>);

struct Shared {
    /// Messages to the upstream.
    input: mpsc::Sender<Zeroizing<String>>,
    /// Set when the upstream says that its tools have changed.
    tools_changed: Arc<AtomicBool>,
    /// The upstream's requests whose answers are not sent yet, or that a client still has.
    open: Arc<Semaphore>,
    /// Whether the upstream does not take the answers to its requests.
    given_up: CancellationToken,
    // A mutex that blocks its thread: held to look or to write, never across a wait.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last_id: u64,
    /// Oldest first.
    requests: Vec<Request>,
    /// The upstream's requests without an answer.
    questions: Vec<Open>,
    /// Why the connection has ended.
    ended: Option<Failure>,
}

struct Request {
    id: u64,
    /// Until it is given up.
    answer: Option<oneshot::Sender<Answer>>,
    /// Of a call.
    call: Option<Call>,
}

/// The client that hears what the upstream says during a call.
struct Call {
    /// Until the call is given up.
    listener: Option<CallListener>,
    /// The client; `None` if it hears nothing.
    whose: Option<u64>,
    pace: Arc<CallClock>,
}

/// A request of the upstream without an answer.
struct Open {
    key: u64,
    /// As it was written.
    id: String,
    withdraw: oneshot::Sender<()>,
}

/// What is to be done with a message of the upstream that is no answer.
pub(super) enum Taken {
    /// It belongs to no call.
    Passes,
    /// Nothing.
    Done,
    /// It is answered so.
    Refused(String),
    /// It is answered once its client has answered.
    Asked(Asked),
}

/// A request of the upstream that waits for its answer.
pub(super) struct Asked {
    key: u64,
    id: String,
    replied: oneshot::Receiver<Reply>,
    withdrawn: oneshot::Receiver<()>,
    in_flight: InFlight,
    slot: Slot,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.in_flight.0.state.lock().questions.retain(|open| open.key != self.key);
    }
}

impl Asked {
    /// The response, and the place of the request, which is held until the response is sent; `None` if the upstream has
    /// cancelled its request.
    pub(super) async fn response(mut self) -> Option<(String, Slot)> {
        let reply = tokio::select! {
            reply = &mut self.replied => reply.unwrap_or_else(|_| Err((INTERNAL_ERROR, "the call is over".to_owned()))),
            Ok(()) = &mut self.withdrawn => return None,
        };
        let response = match reply {
            Ok(result) => response(&self.id, &one_line(result.get())),
            Err((code, message)) => error(Some(&self.id), code, &message),
        };
        Some((response, Arc::clone(&self.slot)))
    }
}

/// A request in flight. If this is dropped before the answer came, the upstream is told that no task waits for it any more.
pub(super) struct Ticket {
    /// Its id, as it is written; its progress token too.
    pub(super) id: u64,
    in_flight: InFlight,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let (in_flight, id) = (self.in_flight.clone(), self.id);
        let is_call = {
            let mut state = in_flight.0.state.lock();
            let Some(request) = state.requests.iter_mut().find(|request| request.id == id) else { return };
            if request.answer.take().is_none() {
                // It was answered.
                drop(state);
                return in_flight.remove(id);
            }
            request.call.as_mut().map(|call| call.listener = None).is_some()
        };
        let notification = cancelled(&id.to_string(), Some("nobody waits for it any more"));
        // Fails if the connection has ended, or takes nothing.
        let _ = in_flight.input().try_send(notification.into());
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if is_call => drop(runtime.spawn(async move {
                tokio::time::sleep(LINGER).await;
                in_flight.remove(id);
            })),
            _ => in_flight.remove(id),
        }
    }
}

impl InFlight {
    /// None yet. They are sent to `input`; `tools_changed` is set when the upstream says that its tools have changed.
    pub(super) fn new(input: mpsc::Sender<Zeroizing<String>>, tools_changed: Arc<AtomicBool>) -> Self {
        let open = Arc::new(Semaphore::new(MAX_QUESTIONS));
        let (given_up, state) = (CancellationToken::new(), Mutex::default());
        Self(Arc::new(Shared { input, tools_changed, open, given_up, state }))
    }

    /// Takes messages to the upstream.
    pub(super) fn input(&self) -> &mpsc::Sender<Zeroizing<String>> {
        &self.0.input
    }

    /// The upstream's tools have changed.
    pub(super) fn note_change(&self) {
        self.0.tools_changed.store(true, Ordering::Release);
    }

    /// A request begins; of a call, with what hears of it.
    pub(super) fn begin(
        &self,
        call: Option<(Option<CallListener>, Arc<CallClock>)>,
    ) -> Result<(Ticket, oneshot::Receiver<Answer>), Failure> {
        let mut state = self.0.state.lock();
        if let Some(failure) = &state.ended {
            return Err(Failure { unsent: true, ..failure.clone() });
        }
        if state.requests.len() >= MAX_REQUESTS {
            let message = format!("{MAX_REQUESTS} requests are in flight on its connection");
            return Err(Failure::unsent(FailureKind::Busy, message));
        }
        state.last_id += 1;
        let id = state.last_id;
        let (sender, answer) = oneshot::channel();
        let call = call.map(|(listener, pace)| {
            let whose = listener.as_ref().map(|listener| listener.whose);
            Call { listener, whose, pace }
        });
        state.requests.push(Request { id, answer: Some(sender), call });
        drop(state);
        let ticket = Ticket { id, in_flight: self.clone() };
        Ok((ticket, answer))
    }

    fn remove(&self, id: u64) {
        self.0.state.lock().requests.retain(|request| request.id != id);
    }

    fn finish(&self, id: &str, answer: Answer) {
        // Some servers write a number that they were sent as text.
        let Ok(id) = id.trim_matches('"').parse::<u64>() else { return };
        let mut state = self.0.state.lock();
        let request = state.requests.iter_mut().find(|request| request.id == id);
        let Some(sender) = request.and_then(|request| request.answer.take()) else { return };
        // Fails if it was given up just now.
        let _ = sender.send(answer);
    }

    /// The upstream has answered the request of this id.
    pub(super) fn answered(&self, id: &str, message: &Message<'_>) {
        let answer = match (message.result, message.error) {
            (Some(result), None) => Ok(result.to_owned()),
            (None, Some(error)) => Err(Failure::new(FailureKind::Rpc(error.to_owned()), "it answered with an error")),
            _ => Err(Failure::new(FailureKind::Unavailable, "its answer could not be read")),
        };
        self.finish(id, answer);
    }

    /// No answer to the request of this id will come.
    pub(super) fn failed(&self, id: &str, failure: Failure) {
        if let FailureKind::SessionOver = failure.kind {
            // Before the caller gets the failure: it then asks for a new connection.
            self.0.state.lock().ended.get_or_insert_with(|| failure.clone());
        }
        self.finish(id, Err(failure));
    }

    /// The connection has ended.
    pub(super) fn end(&self, failure: &Failure) {
        let mut state = self.0.state.lock();
        state.ended = Some(failure.clone());
        for sender in state.requests.iter_mut().filter_map(|request| request.answer.take()) {
            // As above.
            let _ = sender.send(Err(failure.clone()));
        }
    }

    /// Takes a message that is no answer, `length` bytes long; `stream` is the request in whose answer it stands, over HTTP.
    pub(super) fn heard(&self, message: &Message<'_>, length: usize, stream: Option<&str>) -> Taken {
        let mut state = self.0.state.lock();
        let Some(method) = message.method.as_deref() else { return Taken::Passes };
        let mut calls = state.requests.iter().filter(|request| request.call.is_some()).peekable();
        if calls.peek().is_none() {
            return Taken::Passes;
        }
        let is_heard = calls.any(|request| request.call.as_ref().is_some_and(|call| call.whose.is_some()));
        let params = || message.params.map(ToOwned::to_owned);
        match (method, message.request_id()) {
            ("notifications/progress", None) => {
                let token = message.named_token().and_then(|token| token.trim_matches('"').parse::<u64>().ok());
                let call = state.requests.iter().find(|request| Some(request.id) == token);
                let Some(call) = call.and_then(|request| request.call.as_ref()) else { return Taken::Done };
                call.pace.moved();
                if length > MAX_TOLD_BYTES {
                    return Taken::Done;
                }
                say(call.listener.as_ref(), params().map(CallEvent::Progress))
            }
            _ if !is_heard => Taken::Passes,
            // Before anything of it is kept.
            ("notifications/message", None) if length > MAX_TOLD_BYTES => Taken::Done,
            ("notifications/message", None) => say(whose(&state, stream).ok().flatten(), params().map(CallEvent::Log)),
            ("notifications/cancelled", None) => {
                let id = message.param("requestId").map(|id| id.get().to_owned());
                let Some(at) = state.questions.iter().position(|open| Some(&open.id) == id.as_ref()) else {
                    return Taken::Passes;
                };
                // Fails if it was answered just now.
                let _ = state.questions.swap_remove(at).withdraw.send(());
                Taken::Done
            }
            (method, Some(id)) => match ServerRequest::of(method) {
                None => Taken::Passes,
                Some(_) if id.len() > MAX_ID_BYTES => Taken::Done,
                Some(_) if length > MAX_QUESTION_BYTES => {
                    let why = format!("a question may have {MAX_QUESTION_BYTES} bytes");
                    Taken::Refused(error(Some(id), INTERNAL_ERROR, &why))
                }
                Some(request) => self.asked(&mut state, request, id, params(), stream),
            },
            _ => Taken::Passes,
        }
    }

    fn asked(
        &self,
        state: &mut State,
        request: ServerRequest,
        id: &str,
        params: Option<Box<RawValue>>,
        stream: Option<&str>,
    ) -> Taken {
        let refused = |why: &str| Taken::Refused(error(Some(id), INTERNAL_ERROR, why));
        let listener = match whose(state, stream) {
            Ok(Some(listener)) => listener,
            // A client that cannot be asked: it is as if it had declared nothing.
            Ok(None) => return Taken::Passes,
            Err(why) => return refused(why),
        };
        let Ok(slot) = Arc::clone(&self.0.open).try_acquire_owned() else {
            return refused("too many questions wait for their answers already");
        };
        let slot = Arc::new(slot);
        let (question, replied) = MidCallRequest::new(request, params, &listener.pace);
        let question = question.in_slot(&slot);
        if listener.sender.try_send(CallEvent::Request(question)).is_err() {
            return refused("the call is over, or its client hears too much already");
        }
        let (withdraw, withdrawn) = oneshot::channel();
        state.last_id += 1;
        let key = state.last_id;
        state.questions.push(Open { key, id: id.to_owned(), withdraw });
        Taken::Asked(Asked { key, id: id.to_owned(), replied, withdrawn, in_flight: self.clone(), slot })
    }

    /// The upstream does not take the answers to its requests: its connection is ended.
    pub(super) fn give_up(&self) {
        self.0.given_up.cancel();
    }

    /// Waits until then.
    pub(super) async fn given_up(&self) {
        self.0.given_up.cancelled().await;
    }

    /// Whether no request can be made any more.
    pub(super) fn has_ended(&self) -> bool {
        self.0.given_up.is_cancelled() || self.0.state.lock().ended.is_some()
    }
}

/// The listener for a message that names no call; an error if it cannot be attributed.
fn whose<'a>(state: &'a State, stream: Option<&str>) -> Result<Option<&'a CallListener>, &'static str> {
    if let Some(stream) = stream {
        let request = state.requests.iter().find(|request| request.id.to_string() == stream);
        return Ok(request.and_then(|request| request.call.as_ref()?.listener.as_ref()));
    }
    let calls = || state.requests.iter().filter_map(|request| request.call.as_ref());
    let first = calls().next().and_then(|call| call.whose);
    // A call without a listener belongs to a client too.
    if calls().any(|call| call.whose.is_none() || call.whose != first) {
        return Err(WHOSE);
    }
    Ok(calls().rev().find_map(|call| call.listener.as_ref()))
}

fn say(listener: Option<&CallListener>, said: Option<CallEvent>) -> Taken {
    if let (Some(listener), Some(said)) = (listener, said) {
        // A client that does not keep up loses what is not an answer.
        let _ = listener.sender.try_send(said);
    }
    Taken::Done
}
