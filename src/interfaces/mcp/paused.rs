//! Paused calls, which wait for their client's `input_required` reply. A client of 2026-07-28 gets requests in the result of
//! its call. An upstream of an older revision makes requests during a call: then the call stays in flight here, its client
//! gets the requests as a result, and its repeated call, with the answers, continues this one.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rmcp::model::InputResponses;
use serde_json::value::RawValue;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    crypto,
    error::{Code, Error, Result},
    interfaces::owner::{Owner, owner},
    model::Credential,
    operations::proxied::{CallEvent, MidCallRequest},
    protocol::{code::INTERNAL_ERROR, message::quoted, request::input_required},
};

/// What stands in front of a `requestState` that names such a call.
const STATE: &str = "haldir-call:";
/// Calls that wait at a time, and those of one caller. One more is not asked: its upstream gets an error.
const MAX_WAITING: usize = 256;
const MAX_OF_CALLER: usize = 16;
/// Bytes of answers and further questions that came meanwhile, of all of them together.
const MAX_KEPT_BYTES: usize = 4 * 1024 * 1024;
/// How long a client may leave its call: less than an upstream waits for one that is asked in another way.
const BACK_WITHIN: Duration = Duration::from_secs(240);
/// Why a client is not asked.
const OVER: &str = "the call is over";
const TOO_MANY: &str = "too much waits for clients' answers already";

/// The calls that wait, of all clients of this interface.
#[derive(Clone, Default)]
pub struct PausedCalls(Arc<Room>);

struct Room {
    // A mutex that blocks its thread: held to look or to write, never across a wait.
    waiting: Mutex<HashMap<String, PausedCall>>,
    /// A permit for each byte that may wait.
    kept: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Self {
        Self { waiting: Mutex::default(), kept: Arc::new(Semaphore::new(MAX_KEPT_BYTES)) }
    }
}

/// What a repeated call must have in common with the paused one: its caller, session, tool and arguments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CallKey {
    owner: Owner,
    asks: [u8; 32],
}

impl CallKey {
    /// The key of a call of this tool with these arguments, as they were written, in this session.
    pub fn new(credential: &Credential, session: &str, tool: &str, arguments: &str) -> Self {
        let asks = [quoted(session), quoted(tool), arguments.to_owned()].join(" ");
        Self { owner: owner(credential), asks: crypto::digest(&[asks.as_bytes()]) }
    }
}

/// A call that waits. What its upstream says meanwhile is taken by a task, which ends with it.
struct PausedCall {
    key: CallKey,
    questions: BTreeMap<String, MidCallRequest>,
    cancelled: CancellationToken,
    back: oneshot::Sender<()>,
    keeper: JoinHandle<Option<RunningCall>>,
}

/// A call under way that may outlive the request it was made by. It is taken back if this is dropped.
pub struct RunningCall {
    // First: it is taken back before its questions end.
    _guard: DropGuard,
    /// Takes the call back.
    pub cancelled: CancellationToken,
    /// What it came to.
    pub outcome: JoinHandle<Finished>,
    /// What its upstream says.
    pub said: mpsc::Receiver<CallEvent>,
    /// Requests that came while the client was away.
    asked: Vec<(MidCallRequest, OwnedSemaphorePermit)>,
    attended: Arc<AtomicBool>,
}

/// What a call came to.
pub struct Finished {
    /// The result, as JSON.
    pub result: Result<Box<RawValue>>,
    _kept: Option<OwnedSemaphorePermit>,
}

/// So many of the bytes that may wait, until this is dropped; `None` if there are not so many.
fn reserved(kept: &Arc<Semaphore>, bytes: usize) -> Option<OwnedSemaphorePermit> {
    Arc::clone(kept).try_acquire_many_owned(u32::try_from(bytes).ok()?).ok()
}

impl PausedCalls {
    /// Begins a call in its own task: a call that has left is settled, even if the client disconnects. `cancelled`
    /// ends it.
    pub fn run(
        &self,
        call: impl Future<Output = Result<Box<RawValue>>> + Send + 'static,
        cancelled: CancellationToken,
        said: mpsc::Receiver<CallEvent>,
    ) -> RunningCall {
        let attended = Arc::new(AtomicBool::new(true));
        let (kept, is_attended) = (Arc::clone(&self.0.kept), Arc::clone(&attended));
        let outcome = tokio::spawn(async move {
            let result = call.await;
            let bytes = result.as_ref().map_or(0, |result| result.get().len());
            if is_attended.load(Ordering::Acquire) {
                return Finished { result, _kept: None };
            }
            match reserved(&kept, bytes) {
                Some(kept) => Finished { result, _kept: Some(kept) },
                None => Finished { result: Err(too_large()), _kept: None },
            }
        });
        RunningCall { _guard: cancelled.clone().drop_guard(), cancelled, outcome, said, asked: Vec::new(), attended }
    }

    /// Leaves a call until its client calls again; answers the result that asks it to. The call back if it cannot be left:
    /// its upstream was told so.
    pub fn leave(
        &self,
        call: RunningCall,
        questions: Vec<MidCallRequest>,
        key: CallKey,
    ) -> Result<String, RunningCall> {
        self.leave_for(BACK_WITHIN, call, questions, key)
    }

    fn leave_for(
        &self,
        within: Duration,
        call: RunningCall,
        questions: Vec<MidCallRequest>,
        key: CallKey,
    ) -> Result<String, RunningCall> {
        let refuse = |why: &str, questions: Vec<MidCallRequest>| {
            for question in questions {
                question.answer(Err((INTERNAL_ERROR, why.to_owned())));
            }
        };
        // What it came to would lie here uncounted until the client is back, and is all that it waits for.
        if call.outcome.is_finished() {
            refuse(OVER, questions);
            return Err(call);
        }
        // Random: from one state no other can be guessed.
        let Ok(state) = crypto::token::<24>(STATE) else {
            refuse("the client cannot be asked", questions);
            return Err(call);
        };
        let mut waiting = self.0.waiting.lock();
        let of_caller = waiting.values().filter(|other| other.key.owner == key.owner).count();
        if waiting.len() >= MAX_WAITING || of_caller >= MAX_OF_CALLER {
            drop(waiting);
            refuse(TOO_MANY, questions);
            return Err(call);
        }
        let unanswered: BTreeMap<_, _> =
            questions.into_iter().enumerate().map(|(at, question)| (format!("q{at}"), question)).collect();
        let shown = unanswered.iter().map(|(key, question)| {
            (key.as_str(), question.kind.method(), question.params.as_deref().map_or("{}", RawValue::get))
        });
        let result = input_required(shown, &state);
        call.attended.store(false, Ordering::Release);
        let (back, is_back) = oneshot::channel();
        let cancelled = call.cancelled.clone();
        // It finds its call among the others, since that is locked until it stands there.
        let keeper = tokio::spawn(self.clone().keep(call, state.clone(), within, is_back));
        waiting.insert(state, PausedCall { key, questions: unanswered, cancelled, back, keeper });
        Ok(result)
    }

    /// Hears the upstream until the client is back; `None` if it does not come in time.
    async fn keep(
        self,
        mut call: RunningCall,
        state: String,
        within: Duration,
        mut is_back: oneshot::Receiver<()>,
    ) -> Option<RunningCall> {
        let end = tokio::time::sleep(within);
        let mut end = std::pin::pin!(end);
        loop {
            tokio::select! {
                biased;
                _ = &mut is_back => return Some(call),
                () = &mut end => break,
                // Progress is out of date when the client is back.
                Some(said) = call.said.recv() => if let CallEvent::Request(question) = said {
                    let bytes = question.params.as_deref().map_or(0, |params| params.get().len());
                    match reserved(&self.0.kept, bytes) {
                        Some(kept) => call.asked.push((question, kept)),
                        None => question.answer(Err((INTERNAL_ERROR, TOO_MANY.to_owned()))),
                    }
                },
            }
        }
        tracing::debug!("a client did not come back to its call");
        let left = self.0.waiting.lock().remove(&state);
        // First, so that nothing is asked any more when the questions end.
        drop(call);
        drop(left);
        None
    }

    /// Whether this names a call that was left.
    pub fn is_state(state: &str) -> bool {
        state.starts_with(STATE)
    }

    /// The call that a client comes back to; `None` if there is none of this name for it. Another caller's attempt does not end it.
    pub fn find(&self, state: &str, key: CallKey) -> Option<ResumedCall> {
        let mut waiting = self.0.waiting.lock();
        waiting.get(state).filter(|found| found.key == key)?;
        waiting.remove(state).map(ResumedCall)
    }
}

/// A call that its client has come back to.
pub struct ResumedCall(PausedCall);

impl ResumedCall {
    /// It may not go on: it is taken back.
    pub fn end(self) {
        // First, so that nothing is asked any more when the questions end.
        self.0.cancelled.cancel();
    }

    /// Gives the upstream the answers, and goes on; `None` if the client is too late.
    pub async fn go_on(self, answers: Option<&InputResponses>) -> Option<RunningCall> {
        let PausedCall { questions, back, keeper, .. } = self.0;
        // Fails if it has ended.
        let _ = back.send(());
        let call = keeper.await.ok().flatten()?;
        for (key, question) in questions {
            let answer = answers.and_then(|all| serde_json::value::to_raw_value(all.get(&key)?).ok());
            question.answer(answer.ok_or((INTERNAL_ERROR, "the client has not answered this".to_owned())));
        }
        call.attended.store(true, Ordering::Release);
        Some(call)
    }
}

impl RunningCall {
    /// Requests that came while the client was away.
    pub fn asked_meanwhile(&mut self) -> Vec<MidCallRequest> {
        std::mem::take(&mut self.asked).into_iter().map(|(question, _)| question).collect()
    }
}

fn too_large() -> Error {
    Error::new(Code::Unavailable, "the answer came before its client did, and was too large to wait")
}

#[cfg(test)]
mod tests;
