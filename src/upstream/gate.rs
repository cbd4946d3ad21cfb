//! How many requests one upstream has at a time, and whether it rests after failures.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Failure, FailureKind, UpstreamLimits, breaker::Breaker};

/// The gate that every request to one upstream passes, whichever connection makes it.
pub struct Gate {
    turns: Arc<Semaphore>,
    breaker: Breaker,
    concurrency: usize,
    queue_timeout: Duration,
}

/// A place among the requests of an upstream, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _permit: OwnedSemaphorePermit,
}

impl Gate {
    /// The pauses after failures grow up to the longest.
    pub(super) fn new(limits: &UpstreamLimits, longest_pause: Duration) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(limits.concurrency)),
            breaker: Breaker::new(limits.backoff, longest_pause),
            concurrency: limits.concurrency,
            queue_timeout: limits.queue_timeout,
        }
    }

    /// Whether the upstream failed so often that it rests.
    pub(super) fn is_resting(&self) -> bool {
        self.breaker.is_open()
    }

    /// Whether a call may be tried: not while the upstream rests. [`Self::reached`] must follow.
    pub fn admit(&self) -> Result<(), Failure> {
        self.breaker.admit(Instant::now()).map_err(|wait| {
            let message = format!("it failed repeatedly and is left alone for {} ms", wait.as_millis());
            Failure::unsent(FailureKind::Busy, message)
        })
    }

    /// Waits for a turn, which every request needs that is not a subscription.
    pub async fn enter(&self) -> Result<Turn, Failure> {
        let turn = tokio::time::timeout(self.queue_timeout, Arc::clone(&self.turns).acquire_owned()).await;
        turn.ok().and_then(Result::ok).map(|permit| Turn { _permit: permit }).ok_or_else(|| {
            let message = format!("{} calls of it are under way already", self.concurrency);
            Failure::unsent(FailureKind::Busy, message)
        })
    }

    /// A turn, if there is one at once.
    pub(super) fn try_enter(&self) -> Option<Turn> {
        Arc::clone(&self.turns).try_acquire_owned().ok().map(|permit| Turn { _permit: permit })
    }

    /// A turn for a call whose outcome [`Self::judged`] gets.
    pub(super) async fn call(&self) -> Result<Turn, Failure> {
        self.admit()?;
        self.enter().await
    }

    /// Whether a call was answered at all.
    pub fn reached(&self, answered: bool) {
        if answered { self.breaker.succeeded() } else { self.breaker.failed(Instant::now()) }
    }

    /// Lets the breaker know an outcome. An error that the server itself wrote is an answer like any other.
    pub(super) fn judged<T>(&self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        match &outcome {
            Ok(_) | Err(Failure { kind: FailureKind::Rpc(_) | FailureKind::TooLarge, .. }) => self.breaker.succeeded(),
            // It is waited for, and has not failed.
            Err(Failure { kind: FailureKind::Starting, .. }) => {}
            Err(_) => self.breaker.failed(Instant::now()),
        }
        outcome
    }
}
