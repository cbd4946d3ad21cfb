//! Outcomes of calls that could not be written, as on a full disk: kept until they can, for as long as this process lives.
//! The caller has its answer by then, and the log would say that the call was abandoned.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::runtime::Handle;

use super::{Services, WriteContext};
use crate::{
    error::{Code, Error, Result},
    model::{Caller, UnixMicros},
    store::{Store, Tx},
};

/// Outcomes that are kept. No call begins while nothing can be written, so these are calls that were in flight before; the
/// outcome of a further one is lost, and the call is closed as unknown later.
const MAX_KEPT: usize = 4_096;
/// How often they are tried again.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// Writes an outcome, as often as it takes.
pub(super) type Work = Box<dyn Fn(&mut WriteContext<'_>) -> Result<()> + Send + Sync>;

/// The outcome of a call, to be written.
pub(super) struct Outcome {
    pub(super) store: Store,
    pub(super) caller: Caller,
    pub(super) services: Arc<Services>,
    /// The call's id.
    pub(super) call: String,
    /// When the call ended.
    pub(super) at: UnixMicros,
    pub(super) work: Work,
    /// Where it is tried again.
    pub(super) runtime: Option<Handle>,
}

impl Outcome {
    /// Writes it, in a transaction that has begun.
    pub(super) fn write(&self, tx: &mut dyn Tx) -> Result<()> {
        (self.work)(&mut WriteContext { tx, caller: &self.caller, now: self.at, services: &self.services })
    }
}

/// Those that wait, oldest first.
#[derive(Default)]
pub struct Unwritten {
    // A std mutex: held to put one in or take one out, never across a write.
    state: Mutex<State>,
    // A tokio mutex: held across writes, so that none is written twice.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    kept: VecDeque<Arc<Outcome>>,
    /// Whether a task tries them again.
    is_tried: bool,
}

impl Unwritten {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the outcome of this call is kept here.
    pub fn holds(&self, call: &str) -> bool {
        self.state().kept.iter().any(|outcome| outcome.call == call)
    }

    /// Keeps an outcome that was not written, if that may yet be.
    pub(super) fn keep(outcome: &Arc<Outcome>, error: &Error) {
        let (services, call) = (&outcome.services, outcome.call.as_str());
        if error.code != Code::Unavailable {
            return tracing::error!(%error, call, "what became of a call could not be written");
        }
        let begins = {
            let mut state = services.unwritten.state();
            if state.kept.len() >= MAX_KEPT {
                drop(state);
                return tracing::error!(%error, call, "what became of a call is lost: {MAX_KEPT} outcomes wait already");
            }
            state.kept.push_back(Arc::clone(outcome));
            !std::mem::replace(&mut state.is_tried, true)
        };
        if !begins {
            return;
        }
        tracing::error!(%error, "what became of a call could not be written; it is kept, and tried again");
        let trying = Trying { services: Arc::clone(services), is_done: false };
        // Without a runtime, or in one that ends, the next one begins the task.
        if let Some(runtime) = &outcome.runtime {
            runtime.spawn(trying.until_written());
        }
    }

    /// Writes those that are kept; whether all of them are written.
    pub async fn write(&self) -> bool {
        let _turn = self.turn.lock().await;
        loop {
            let Some(outcome) = self.state().kept.front().cloned() else { return true };
            let written = Arc::clone(&outcome);
            match outcome.store.write(move |tx| written.write(tx)).await {
                Ok(()) => {}
                Err(error) if error.code == Code::Unavailable => return false,
                Err(error) => {
                    let call = outcome.call.as_str();
                    tracing::error!(%error, call, "what became of a call could not be written");
                }
            }
            self.state().kept.pop_front();
        }
    }

    /// Hands all of them to the writer for the last time.
    pub fn close(&self) {
        let kept = std::mem::take(&mut self.state().kept);
        for outcome in kept {
            let (written, call) = (Arc::clone(&outcome), outcome.call.clone());
            let failed = move |error: Error| tracing::error!(%error, call, "what became of a call is lost");
            outcome.store.write_behind(move |tx| written.write(tx), failed);
        }
    }
}

/// The task that tries again. Once it ends before all are written, the next outcome begins another one.
struct Trying {
    services: Arc<Services>,
    is_done: bool,
}

impl Trying {
    async fn until_written(mut self) {
        loop {
            tokio::time::sleep(TRY_EVERY).await;
            if !self.services.unwritten.write().await {
                continue;
            }
            let mut state = self.services.unwritten.state();
            if state.kept.is_empty() {
                state.is_tried = false;
                drop(state);
                self.is_done = true;
                tracing::info!("what became of calls is written");
                return;
            }
        }
    }
}

impl Drop for Trying {
    fn drop(&mut self) {
        if !self.is_done {
            self.services.unwritten.state().is_tried = false;
        }
    }
}
