//! Outcomes of calls that could not be written, for example on a full disk. This process retries them while it runs: the
//! caller has its response already, and the log would otherwise call the call abandoned.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::{Services, WriteContext};
use crate::{
    error::{Code, Error, Result},
    model::{Caller, UnixMicros},
    store::{Store, Tx},
};

/// The most outcomes to retry. No call begins while the store cannot be written, so these were in flight before. One more
/// outcome is lost, and its call is later closed as unknown.
const MAX_UNWRITTEN: usize = 4_096;
/// The pause between retries.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Writes an outcome; may run several times.
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
    /// The runtime of the task that retries.
    pub(super) runtime: Option<Handle>,
}

impl Outcome {
    /// Writes it in the given transaction.
    pub(super) fn write(&self, tx: &mut Tx) -> Result<()> {
        (self.work)(&mut WriteContext { tx, caller: &self.caller, now: self.at, services: &self.services })
    }
}

/// Outcomes to retry, oldest first.
#[derive(Default)]
pub struct Unwritten {
    // A mutex that blocks its thread: held to insert or remove an outcome, never across a write.
    state: Mutex<State>,
    // A tokio mutex: held across writes, so that no outcome is written twice.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    outcomes: VecDeque<Arc<Outcome>>,
    /// Whether a task retries.
    is_retrying: bool,
}

impl Unwritten {
    /// Whether the outcome of this call is to be retried.
    pub fn holds(&self, call: &str) -> bool {
        self.state.lock().outcomes.iter().any(|outcome| outcome.call == call)
    }

    /// Retries an outcome that was not written, if a retry can succeed.
    pub(super) fn keep(outcome: &Arc<Outcome>, error: &Error) {
        let (services, call) = (&outcome.services, outcome.call.as_str());
        if error.code != Code::Unavailable {
            return tracing::error!(%error, call, "the outcome of a call could not be written");
        }
        let begins = {
            let mut state = services.unwritten.state.lock();
            if state.outcomes.len() >= MAX_UNWRITTEN {
                drop(state);
                return tracing::error!(%error, call, "the outcome of a call is lost: {MAX_UNWRITTEN} others already wait");
            }
            state.outcomes.push_back(Arc::clone(outcome));
            !std::mem::replace(&mut state.is_retrying, true)
        };
        if !begins {
            return;
        }
        tracing::error!(%error, "the outcome of a call could not be written and will be retried");
        let retry = Retry { services: Arc::clone(services), is_done: false };
        // Without a runtime, or if the runtime ends, the next outcome starts the task.
        if let Some(runtime) = &outcome.runtime {
            runtime.spawn(retry.until_written());
        }
    }

    /// Writes the outcomes; returns whether all of them are written.
    pub async fn write(&self) -> bool {
        let _turn = self.turn.lock().await;
        loop {
            let Some(outcome) = self.state.lock().outcomes.front().cloned() else { return true };
            let written = Arc::clone(&outcome);
            match outcome.store.write(&outcome.caller.tenant, move |tx| written.write(tx)).await {
                Ok(()) => {}
                Err(error) if error.code == Code::Unavailable => return false,
                Err(error) => {
                    let call = outcome.call.as_str();
                    tracing::error!(%error, call, "the outcome of a call could not be written");
                }
            }
            self.state.lock().outcomes.pop_front();
        }
    }

    /// Enqueues all of them with the writer for the last time.
    pub fn close(&self) {
        let outcomes = std::mem::take(&mut self.state.lock().outcomes);
        for outcome in outcomes {
            let (written, call) = (Arc::clone(&outcome), outcome.call.clone());
            let failed = move |error: Error| tracing::error!(%error, call, "the outcome of a call is lost");
            outcome.store.write_behind(&outcome.caller.tenant, move |tx| written.write(tx), failed);
        }
    }
}

/// The task that retries. If it ends before all are written, the next outcome starts another one.
struct Retry {
    services: Arc<Services>,
    is_done: bool,
}

impl Retry {
    async fn until_written(mut self) {
        loop {
            tokio::time::sleep(RETRY_EVERY).await;
            if !self.services.unwritten.write().await {
                continue;
            }
            let mut state = self.services.unwritten.state.lock();
            if state.outcomes.is_empty() {
                state.is_retrying = false;
                drop(state);
                self.is_done = true;
                tracing::info!("the outcomes of calls are written");
                return;
            }
        }
    }
}

impl Drop for Retry {
    fn drop(&mut self) {
        if !self.is_done {
            self.services.unwritten.state.lock().is_retrying = false;
        }
    }
}
