//! What an upstream says in the middle of a call, and whose call it belongs to.
//!
//! Many clients share one connection. Progress names its call by a token. Over HTTP, what stands in the answer to a call
//! belongs to that call. Anything else says of no call that it is about it: it is taken to be about the newest one, and
//! that only if all calls under way are of one and the same client; else it is refused, and nobody hears of it. A call
//! that was given up still counts for a while, since the upstream may still be at it.

mod said;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rmcp::model::RequestId;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

pub(super) use said::Slot;
pub use said::{Listener, Pace, Question, Reply, Said};

use crate::protocol::{
    code::INTERNAL_ERROR,
    message::{error, one_line, response},
    request::ServerRequest,
};

/// How long a call that was given up still counts as under way.
const LINGER: Duration = Duration::from_secs(10);
/// Questions of one upstream that wait for an answer at a time.
const MAX_QUESTIONS: usize = 64;
/// Bytes of a progress or a log message; a longer one is dropped.
const MAX_TOLD_BYTES: usize = 65_536;
/// Bytes of a question; a longer one is refused.
const MAX_QUESTION_BYTES: usize = 1024 * 1024;
/// Bytes of a question's id, as it is written; one with a longer id is dropped.
const MAX_ID_BYTES: usize = 256;
/// Why a question is refused that nobody can be found for.
const WHOSE: &str = "haldir cannot tell which call this belongs to: calls of several clients are under way on this \
    connection";

/// The calls under way on one connection.
#[derive(Clone, Default)]
pub(super) struct Floor(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Calls that nobody listens to.
    plain: AtomicUsize,
    /// Questions whose answers are not sent yet, or that somebody still looks at.
    open: Arc<AtomicUsize>,
    /// Whether the upstream is not to be heard any more.
    given_up: CancellationToken,
    // A std mutex: held to look or to write, never across a wait.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    keys: u64,
    /// The others, oldest first.
    calls: Vec<Heard>,
    /// How calls spend their time that nobody listens to.
    silent: Vec<Silent>,
    /// Questions without an answer.
    questions: Vec<Open>,
}

struct Heard {
    key: u64,
    id: Option<RequestId>,
    token: Option<String>,
    /// Until the call is given up.
    listener: Option<Listener>,
    whose: u64,
}

/// A call that nobody listens to: what it says of its progress gives it time, and is told to nobody.
struct Silent {
    key: u64,
    token: Option<String>,
    pace: Arc<Pace>,
}

/// A question without an answer.
struct Open {
    key: u64,
    /// As it was written.
    id: String,
    withdraw: oneshot::Sender<()>,
}

/// What is to be done with a message of the upstream that is no answer.
pub(super) enum Taken {
    /// It is for rmcp to see.
    Passes,
    /// Nothing.
    Done,
    /// It is answered so.
    Refused(String),
    /// It is answered once its client has answered.
    Asked(Asked),
}

/// A question that waits for its answer.
pub(super) struct Asked {
    key: u64,
    id: String,
    replied: oneshot::Receiver<Reply>,
    withdrawn: oneshot::Receiver<()>,
    floor: Floor,
    slot: Arc<Slot>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.floor.state().questions.retain(|open| open.key != self.key);
    }
}

impl Asked {
    /// The response, as it is sent, and the question's place, which it has until it is sent; `None` if the upstream has
    /// taken the question back.
    pub(super) async fn response(mut self) -> Option<(String, Arc<Slot>)> {
        let reply = tokio::select! {
            reply = &mut self.replied => reply.unwrap_or_else(|_| Err((INTERNAL_ERROR, "the call is over".to_owned()))),
            Ok(()) = &mut self.withdrawn => return None,
        };
        let id = &self.id;
        let response = match reply {
            Ok(result) => response(id, &one_line(result.get())),
            Err((code, message)) => error(Some(id), code, &message),
        };
        Some((response, Arc::clone(&self.slot)))
    }
}

/// A call's place on the floor. One that is dropped before it was answered is kept for a while.
pub(super) struct Place {
    floor: Floor,
    key: u64,
    is_plain: bool,
    over: bool,
}

impl Place {
    /// Names the call to the transport.
    pub(super) fn key(&self) -> u64 {
        self.key
    }

    /// The upstream will say nothing more about it.
    pub(super) fn over(&mut self) {
        self.over = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (floor, key, is_plain) = (self.floor.clone(), self.key, self.is_plain);
        if self.over {
            return floor.leave(key, is_plain);
        }
        if let Some(call) = floor.state().calls.iter_mut().find(|call| call.key == key) {
            call.listener = None;
        }
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move {
                tokio::time::sleep(LINGER).await;
                floor.leave(key, is_plain);
            })),
            Err(_) => floor.leave(key, is_plain),
        }
    }
}

/// A message, as far as it must be understood here.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default, borrow)]
    id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    params: Option<&'a RawValue>,
}

impl Floor {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins. What is heard of the progress of one that nobody listens to is counted as `pace`'s.
    pub(super) fn enter(&self, listener: Option<&Listener>, pace: &Arc<Pace>) -> Place {
        let mut state = self.state();
        state.keys += 1;
        let key = state.keys;
        if let Some(listener) = listener {
            let (listener, whose) = (Some(listener.clone()), listener.whose);
            state.calls.push(Heard { key, id: None, token: None, listener, whose });
        } else {
            self.0.plain.fetch_add(1, Ordering::AcqRel);
            state.silent.push(Silent { key, token: None, pace: Arc::clone(pace) });
        }
        drop(state);
        Place { floor: self.clone(), key, is_plain: listener.is_none(), over: false }
    }

    fn leave(&self, key: u64, is_plain: bool) {
        if is_plain {
            self.0.plain.fetch_sub(1, Ordering::AcqRel);
            self.state().silent.retain(|call| call.key != key);
        } else {
            self.state().calls.retain(|call| call.key != key);
        }
    }

    /// The call leaves under this id, with this token.
    pub(super) fn sent(&self, key: u64, id: &RequestId, token: Option<String>) {
        let mut state = self.state();
        if let Some(call) = state.calls.iter_mut().find(|call| call.key == key) {
            call.id = Some(id.clone());
            call.token = token;
        } else if let Some(call) = state.silent.iter_mut().find(|call| call.key == key) {
            call.token = token;
        }
    }

    /// Takes a message that is no answer; `stream` is the request whose answer it stands in, where there is such a thing.
    pub(super) fn heard(&self, text: &str, stream: Option<&RequestId>) -> Taken {
        let mut state = self.state();
        if state.calls.is_empty() && state.silent.is_empty() {
            return Taken::Passes;
        }
        let Ok(message) = serde_json::from_str::<Message<'_>>(text) else { return Taken::Passes };
        let Some(method) = message.method.as_deref() else { return Taken::Passes };
        if method == "notifications/progress" {
            let token = member(message.params, "progressToken").map(unquoted);
            if let Some(call) = state.silent.iter().find(|call| call.token.is_some() && call.token == token) {
                call.pace.moved();
                return Taken::Done;
            }
        }
        if state.calls.is_empty() {
            return Taken::Passes;
        }
        let params = || message.params.map(ToOwned::to_owned);
        match (method, message.id) {
            // Before anything is kept of it.
            ("notifications/progress" | "notifications/message", None) if text.len() > MAX_TOLD_BYTES => Taken::Done,
            (method, Some(id)) if ServerRequest::of(method).is_some() && id.get().len() > MAX_ID_BYTES => Taken::Done,
            (method, Some(id)) if ServerRequest::of(method).is_some() && text.len() > MAX_QUESTION_BYTES => {
                let why = format!("a question may have {MAX_QUESTION_BYTES} bytes");
                Taken::Refused(error(Some(id.get()), INTERNAL_ERROR, &why))
            }
            ("notifications/progress", None) => {
                let token = member(message.params, "progressToken").map(unquoted);
                let call = state.calls.iter().find(|call| call.token.is_some() && call.token == token);
                if let Some(listener) = call.and_then(|call| call.listener.as_ref()) {
                    listener.pace.moved();
                }
                say(call.and_then(|call| call.listener.as_ref()), params().map(Said::Progress))
            }
            ("notifications/message", None) => say(self.whose(&state, stream).ok().flatten(), params().map(Said::Log)),
            ("notifications/cancelled", None) => {
                let id = member(message.params, "requestId").map(|id| id.get().to_owned());
                let Some(at) = state.questions.iter().position(|open| Some(&open.id) == id.as_ref()) else {
                    return Taken::Passes;
                };
                // Fails if it was answered just now.
                let _ = state.questions.swap_remove(at).withdraw.send(());
                Taken::Done
            }
            (method, Some(id)) => match ServerRequest::of(method) {
                Some(wish) => self.asked(&mut state, wish, id.get(), params(), stream),
                None => Taken::Passes,
            },
            _ => Taken::Passes,
        }
    }

    fn asked(
        &self,
        state: &mut State,
        wish: ServerRequest,
        id: &str,
        params: Option<Box<RawValue>>,
        stream: Option<&RequestId>,
    ) -> Taken {
        let listener = match self.whose(state, stream) {
            Ok(Some(listener)) => listener,
            // A client that nobody can ask: it is as if it had declared nothing.
            Ok(None) => return Taken::Passes,
            Err(why) => return Taken::Refused(error(Some(id), INTERNAL_ERROR, why)),
        };
        let Some(slot) = Slot::of(&self.0.open, MAX_QUESTIONS) else {
            return Taken::Refused(error(
                Some(id),
                INTERNAL_ERROR,
                "too many questions wait for their answers already",
            ));
        };
        let slot = Arc::new(slot);
        let (question, replied) = Question::new(wish, params, &listener.pace);
        let question = question.in_slot(&slot);
        if listener.sender.try_send(Said::Question(question)).is_err() {
            return Taken::Refused(error(
                Some(id),
                INTERNAL_ERROR,
                "the call is over, or its client hears too much already",
            ));
        }
        let (withdraw, withdrawn) = oneshot::channel();
        state.keys += 1;
        let key = state.keys;
        state.questions.push(Open { key, id: id.to_owned(), withdraw });
        Taken::Asked(Asked { key, id: id.to_owned(), replied, withdrawn, floor: self.clone(), slot })
    }

    /// The upstream is not to be heard any more: its connection is ended, and so are the calls under way on it.
    pub(super) fn give_up(&self) {
        self.0.given_up.cancel();
    }

    /// Waits until then.
    pub(super) async fn given_up(&self) {
        self.0.given_up.cancelled().await;
    }

    /// Whether it is so.
    pub(super) fn is_given_up(&self) -> bool {
        self.0.given_up.is_cancelled()
    }

    /// Who hears what names no call; an error if that cannot be told.
    fn whose<'a>(&self, state: &'a State, stream: Option<&RequestId>) -> Result<Option<&'a Listener>, &'static str> {
        if let Some(stream) = stream {
            let call = state.calls.iter().find(|call| call.id.as_ref() == Some(stream));
            return Ok(call.and_then(|call| call.listener.as_ref()));
        }
        let Some(first) = state.calls.first() else { return Ok(None) };
        let others = self.0.plain.load(Ordering::Acquire) > 0;
        if others || state.calls.iter().any(|call| call.whose != first.whose) {
            return Err(WHOSE);
        }
        Ok(state.calls.iter().rev().find_map(|call| call.listener.as_ref()))
    }
}

fn say(listener: Option<&Listener>, said: Option<Said>) -> Taken {
    if let (Some(listener), Some(said)) = (listener, said) {
        // A client that does not keep up loses what is not an answer.
        let _ = listener.sender.try_send(said);
    }
    Taken::Done
}

fn member<'a>(params: Option<&'a RawValue>, name: &str) -> Option<&'a RawValue> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Params<'a> {
        #[serde(default, borrow)]
        progress_token: Option<&'a RawValue>,
        #[serde(default, borrow)]
        request_id: Option<&'a RawValue>,
    }
    let params: Params<'_> = serde_json::from_str(params?.get()).ok()?;
    if name == "progressToken" { params.progress_token } else { params.request_id }
}

/// Some servers write a number that they were sent as text.
fn unquoted(token: &RawValue) -> String {
    token.get().trim_matches('"').to_owned()
}
